# SPDX-License-Identifier: BSD-2-Clause
"""Proofs of the arithmetic by induction, so for sequences of any length: every count of every word,
every total of any counts, and that no total leaves its width.

Every proof has its counterpart, a design with a planted bug for which it must fail.
"""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Array, Assert, Assume, C, Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.hdl import signed as signed_shape

from tests.formal.prover import outcome
from tests.support.edges import network
from tests.support.planted import planted
from twincell.hw.accumulator import Accumulator
from twincell.hw.network import Network
from twincell.hw.plan import plan
from twincell.hw.popcount import Popcount, XnorPopcount
from twincell.hw.sums import Sums
from twincell.model.graph import Graph


class _Counted(Elaboratable):
    """Ones of the words of ``delay`` cycles ago, added one by one."""

    def __init__(self, dut, ports: dict, words: list[Value], counts: list[Value]):
        self.dut, self.free, self.words, self.counts = dut, ports, words, counts

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = self.dut
        valid = 1
        words = self.words
        for stage in range(self.dut.delay):
            later = [Signal(len(word), name=f"word{stage}") for word in words]
            then = Signal(name=f"valid{stage}")
            m.d.sync += [then.eq(valid), *(a.eq(b) for a, b in zip(later, words, strict=True))]
            words, valid = later, then
        for word, count in zip(words, self.counts, strict=True):
            ones = Signal(range(len(word) + 1))
            m.d.comb += ones.eq(sum(word[1:], start=word[0]))
            m.d.comb += Assert(~Value.cast(valid) | (count == ones))
        return m


def _counted(width: int, levels: int) -> _Counted:
    dut = Popcount(width, levels=levels)
    return _Counted(dut, {"i": dut.i}, [dut.i], [dut.o])


def _agreed(lanes: int, neurons: int) -> _Counted:
    dut = XnorPopcount(lanes, neurons)
    words = [~(dut.signs[n] ^ dut.inputs) for n in range(neurons)]
    ports = {"signs": Value.cast(dut.signs), "inputs": dut.inputs}
    return _Counted(dut, ports, words, [dut.o[n] for n in range(neurons)])


COUNTS = [(1, 1), (2, 2), (3, 1), (7, 2), (8, 1), (16, 2), (24, 2)]


def _depth(specification) -> int:
    return specification.dut.delay + 2


@pytest.mark.parametrize(
    ("width", "levels"),
    [*COUNTS, *(pytest.param(width, 2, marks=pytest.mark.slow) for width in (40, 48))],
)
def test_a_popcount_is_the_sum_of_its_lanes(width, levels):
    specification = _counted(width, levels)
    assert outcome(specification, mode="prove", depth=_depth(specification)) == "PASS"


@pytest.mark.parametrize(("lanes", "neurons"), [(1, 1), (3, 2), (7, 1), (12, 2)])
def test_an_xnor_popcount_is_the_sum_of_what_agrees(lanes, neurons):
    specification = _agreed(lanes, neurons)
    assert outcome(specification, mode="prove", depth=_depth(specification)) == "PASS"


MISWIRED = [
    (Popcount, lambda: _counted(7, 2), "list(self.i[adders:])", "[self.i[0]]"),
    (Popcount, lambda: _counted(8, 2), "_chunks(list(self.i[:adders]), 3)",
     "_chunks([self.i[0], *self.i[:adders - 1]], 3)"),
    (XnorPopcount, lambda: _agreed(12, 2), "self.inputs[word] for", "self.inputs[word][::-1] for"),
    (XnorPopcount, lambda: _agreed(12, 2), "~(late[0] ^", "(late[0] ^"),
    (XnorPopcount, lambda: _agreed(12, 2), "carry], _cut(m, late)", "carry], late"),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(MISWIRED)))
def test_the_proof_of_a_count_fails_for_a_planted_bug(case, monkeypatch):
    component, make, old, new = MISWIRED[case]
    monkeypatch.setattr(component, "elaborate", planted(component.elaborate, old, new))
    specification = make()
    assert outcome(specification, mode="bmc", depth=_depth(specification)) == "FAIL"


@pytest.mark.parametrize("make", [lambda: _counted(8, 2), lambda: _agreed(7, 2)])
def test_the_proof_of_a_count_fails_for_a_narrow_one(make):
    specification = make()
    specification.counts = [count[:-1] for count in specification.counts]
    assert outcome(specification, mode="bmc", depth=_depth(specification)) == "FAIL"


class _Totalled(Elaboratable):
    """The totals of a layer are those of integers without a width, for any counts and constants
    that there can be: after each count, and with the rest, to the last bit.

    The specification keeps the constant of the neuron and the sum of what was counted, each count
    with its weight. The total is the constant and that sum without the bits below the plane's
    weight; ``rest`` has those of the constant. Bounds of the sum after each read, which follow from
    the lanes in use, make the invariant inductive.
    """

    def __init__(self, sums: Sums, *, narrower: int = 0, strict: bool = False):
        self.sums, self.strict = sums, strict
        counts, total = sums.counts, sums.total_shape
        self.dut = dut = Accumulator(
            counts.width,
            sums.doublings,
            sums.constant_shape,
            signed_shape(total.width - narrower),
            carry=counts.carried,
        )
        self.free = {
            "valid": dut.valid, "count": dut.count, "carry": dut.carry, "constant": dut.constant,
        }  # fmt: skip

    def reads(self) -> list[tuple[int, int, int]]:
        """Of each read of a neuron: the weight of its plane as a power of 2, least and most."""
        layer, halve = self.sums.layer, self.sums.doublings - (self.sums.layer.planes - 1)
        found = []
        for plane in reversed(range(layer.planes)):
            for fold in range(layer.folds):
                used = min(layer.inputs - fold * layer.lanes, layer.lanes)
                # Of a ternary lane that is not used, `not disagree` is 1.
                least = (layer.lanes - used) if layer.ternary else 0
                found.append((plane + halve, least, least + used * (1 + layer.ternary)))
        return found

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        layer, doublings, reads = self.sums.layer, self.sums.doublings, self.reads()
        low, high = self.sums.constant_range
        count, taken, position = Signal(16), Signal(range(len(reads) + 1)), Signal(8)
        constant, total = Signal.like(dut.constant), Signal(24)
        weight, least, most = (Array(column)[position] for column in zip(*reads, strict=True))
        m.d.comb += [
            position.eq(Mux(taken == len(reads), 0, taken)),
            dut.first.eq(position == 0),
            dut.double.eq(Array(k % layer.folds == 0 for k in range(len(reads)))[position]),
            count.eq(dut.count + dut.carry),
            Assume(dut.count <= self.sums.counts.width),
            Assume((count >= least) & (count <= most)),
            Assume((dut.constant >= low) & (dut.constant <= high)),
        ]
        with m.If(dut.valid):
            m.d.sync += [
                taken.eq(position + 1),
                total.eq(Mux(dut.first, 0, total) + (count << weight)),
            ]
            with m.If(dut.first):
                m.d.sync += constant.eq(dut.constant)
        whole, extended = Signal(signed_shape(26)), Signal(signed_shape(26))
        m.d.comb += [
            whole.eq(constant + total),
            extended.eq(constant),
            Assert(taken <= len(reads)),
            Assert((taken == 0) | ((constant >= low) & (constant <= high))),
        ]
        floor = ceiling = 0
        for index, (shift, least, most) in enumerate(reads):
            floor, ceiling = floor + (least << shift), ceiling + (most << shift)
            below = extended[:shift]
            rest = Cat(C(0, doublings - shift), below) if shift else C(0, doublings)
            with m.If(taken == index + 1):
                m.d.comb += [
                    Assert((total >= floor) & (total <= ceiling)),
                    Assert(total[:shift] == 0),
                    Assert(dut.total == whole >> shift),
                    Assert(dut.rest == rest),
                ]
        if doublings < layer.planes:  # the neuron fires when its sum is at least -constant
            fires = (total + constant > 0) if self.strict else (total + constant >= 0)
            m.d.comb += Assert((taken != len(reads)) | ((dut.total >= 0) == fires))
        return m


def _sums(layer: int, ternary: bool, loadable: bool, folds: int) -> Sums:
    """Those of a layer of a network whose lanes are not all used in the last fold."""
    graph = network(1, (5, 3, 2), 3, ternary)
    planned = plan(graph)
    layers = tuple(
        replace(each, lanes=-(-each.inputs // folds), neurons=1) for each in planned.layers
    )
    made = Network(graph, replace(planned, layers=layers), loadable=loadable)
    return [*made.layers, made.head][layer].sums


def _narrow_sums() -> Sums:
    """Constants of two bits, and two doublings."""
    graph = network(1, (5, 3, 2), 3, False)
    first = replace(graph.nodes[1], thresholds=np.array([[[0, 1, 1]]]))
    graph = Graph((graph.nodes[0], first, *graph.nodes[2:]), graph.name)
    return Network(graph, plan(graph)).layers[0].sums


LAYERS = [
    (layer, ternary, loadable, folds)
    for layer in (0, 1)  # three planes to a sign; one plane to a score, with half of its sum
    for ternary in (False, True)
    for loadable in (False, True)
    for folds in (1, 2)
]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_total_is_exact_and_never_overflows(layer):
    assert outcome(_Totalled(_sums(*layer)), mode="prove", depth=3) == "PASS"


def test_a_total_is_exact_where_a_constant_has_fewer_bits_than_there_are_doublings():
    sums = _narrow_sums()
    assert sums.constant_shape.width <= sums.doublings == 2
    assert outcome(_Totalled(sums), mode="prove", depth=3) == "PASS"


@pytest.mark.parametrize("layer", [LAYERS[1], LAYERS[6], LAYERS[8], LAYERS[13]])
def test_the_proof_of_a_total_fails_for_a_narrower_one(layer):
    specification = _Totalled(_sums(*layer), narrower=1)
    assert outcome(specification, mode="bmc", depth=len(specification.reads()) + 2) == "FAIL"


def test_the_proof_of_a_total_fails_for_a_neuron_that_fires_above_its_threshold():
    specification = _Totalled(_sums(*LAYERS[1]), strict=True)
    assert outcome(specification, mode="bmc", depth=len(specification.reads()) + 2) == "FAIL"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self.rest << 1", "self.rest"),
        ("self.constant >> self.doublings", "self.constant >> self.doublings + 1"),
        ("Mux(self.double, doubled, self.total)", "self.total"),
        ("C(1, below), start", "C(0, below), start"),
        ("with m.If(self.valid):", "with m.If(1):"),
    ],
)
def test_the_proof_of_a_total_fails_for_a_planted_bug(old, new, monkeypatch):
    monkeypatch.setattr(Accumulator, "elaborate", planted(Accumulator.elaborate, old, new))
    specification = _Totalled(_sums(0, False, True, 2))
    assert outcome(specification, mode="bmc", depth=len(specification.reads()) + 3) == "FAIL"
