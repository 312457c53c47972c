# SPDX-License-Identifier: BSD-2-Clause
"""Proofs over all inputs and all stalls: nothing is lost, doubled or changed while it waits.

They are bounded: each holds for the cycles after reset that its depth says, 8 to 14. That is longer
than any of these modules remembers, but it is no induction.

Every proof has its counterpart, a design with a planted bug for which it must fail.
"""

import numpy as np
import pytest
from amaranth.hdl import Array, Assert, Assume, Elaboratable, Module, Mux, Signal, Value

from tests.formal.prover import outcome
from tests.support.planted import planted
from twincell.hw.arrays.digital import DigitalArray
from twincell.hw.gearbox import Collect, Gearbox, Split, beats
from twincell.hw.outbox import Outbox
from twincell.hw.planes import PlaneBuffer


def _constant(m: Module, *free: Signal) -> None:
    """Each of these inputs has any value, and keeps it."""
    started = Signal()
    m.d.sync += started.eq(1)
    for signal in free:
        before = Signal.like(signal)
        m.d.sync += before.eq(signal)
        with m.If(started):
            m.d.comb += Assume(signal == before)


def _stable(m: Module, stream, does: type) -> None:
    """Asserts or assumes that a beat offered stays until it is taken."""
    waiting, payload = Signal(), Signal(len(Value.cast(stream.payload)))
    m.d.sync += [waiting.eq(stream.valid & ~stream.ready), payload.eq(stream.payload)]
    with m.If(waiting):
        m.d.comb += [does(stream.valid), does(Value.cast(stream.payload) == payload)]


class _Recut(Elaboratable):
    """Any element of any vector leaves in its place with the value it came with."""

    def __init__(self, dut, elements: int, i_size: int, o_size: int):
        self.dut, self.elements, self.sizes = dut, elements, (i_size, o_size)
        self.vector, self.element = Signal(3), Signal(range(elements))
        self.free = {
            "vector": self.vector,
            "element": self.element,
            "valid": dut.i.valid,
            "payload": Value.cast(dut.i.payload),
            "ready": dut.o.ready,
        }

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        _constant(m, self.vector, self.element)
        m.d.comb += Assume(self.element < self.elements)
        _stable(m, dut.i, Assume)
        _stable(m, dut.o, Assert)

        seen, value, owed = Signal(), Signal.like(dut.i.payload[0]), Signal(range(40))
        for stream, size, side in zip((dut.i, dut.o), self.sizes, "io", strict=True):
            count = beats(self.elements, size)
            number, beat = Signal(8, name=f"{side}_vector"), Signal(range(count), name=side)
            where = Array(k // size for k in range(self.elements))[self.element]
            lane = Array(k % size for k in range(self.elements))[self.element]
            moved = stream.valid & stream.ready
            now = moved & (number == self.vector) & (beat == where)
            with m.If(moved):
                last = beat == count - 1
                m.d.sync += [beat.eq(Mux(last, 0, beat + 1)), number.eq(number + last)]
            with m.If(now):
                if side == "i":
                    m.d.sync += [seen.eq(1), value.eq(stream.payload[lane])]
                else:
                    m.d.comb += [Assert(seen), Assert(stream.payload[lane] == value)]
        # A sink that takes and a source that gives: something moves within a few cycles.
        with m.If((dut.o.valid & dut.o.ready) | (dut.i.valid & dut.i.ready)):
            m.d.sync += owed.eq(0)
        with m.Elif(dut.o.ready & dut.i.valid):
            m.d.sync += owed.eq(owed + 1)
        m.d.comb += Assert(owed < 4)
        return m


def _recut(kind: str) -> _Recut:
    if kind == "collect":
        return _Recut(Collect(1, 2, factor=2, beats=3), 5, 2, 4)
    if kind == "split":
        return _Recut(Split(1, 2, factor=2, beats=3), 5, 4, 2)
    elements, i_size, o_size = {"narrow": (5, 3, 1), "wide": (5, 2, 3)}[kind]
    return _Recut(Gearbox(1, elements, i_size, o_size), elements, i_size, o_size)


class _Boxed(Elaboratable):
    """An outbox behind any pipeline: what is put comes out, in order, and never overflows."""

    def __init__(self, depth: int):
        self.dut = dut = Outbox(2, depth)
        self.chosen = Signal(3)
        self.free = {
            "chosen": self.chosen, "reserve": dut.reserve, "put": dut.put, "beat": dut.beat,
            "ready": dut.o.ready,
        }  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        _constant(m, self.chosen)
        _stable(m, dut.o, Assert)
        reserved, put, left = Signal(6), Signal(6), Signal(6)
        value, seen = Signal(2), Signal()
        taken = dut.o.valid & dut.o.ready
        m.d.comb += [
            Assume(~dut.reserve | dut.room),
            Assume(~dut.put | (put != reserved)),
            Assert((reserved - left)[:6] <= dut.depth),
            Assert(dut.room | ((reserved - left)[:6] == dut.depth)),
        ]
        m.d.sync += [
            reserved.eq(reserved + dut.reserve), put.eq(put + dut.put), left.eq(left + taken),
        ]  # fmt: skip
        with m.If(dut.put & (put == self.chosen)):
            m.d.sync += [seen.eq(1), value.eq(dut.beat)]
        with m.If(taken & (left == self.chosen)):
            m.d.comb += [Assert(seen), Assert(dut.o.payload == value)]
        # What was put is offered soon.
        late = Signal(3)
        m.d.sync += late.eq(Mux((put != left) & ~dut.o.valid, late + 1, 0))
        m.d.comb += Assert(late < 3)
        return m


class _Reading(Elaboratable):
    """An array that nobody programs: the answer of any read is that of the contents."""

    def __init__(self, sign, active):
        self.sign, self.active = np.array(sign), np.array(active)
        self.dut = dut = DigitalArray(self.sign, self.active)
        self.chosen = Signal(3)
        self.free = {
            "chosen": self.chosen, "valid": dut.i.valid, "payload": Value.cast(dut.i.payload),
            "ready": dut.o.ready,
        }  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        _constant(m, self.chosen)
        rows, columns = self.sign.shape
        asked = dut.i.payload
        m.d.comb += Assume(asked.row < rows)
        _stable(m, dut.o, Assert)
        word = [sum(int(bit) << k for k, bit in enumerate(row)) for row in self.sign]
        mask = [sum(int(bit) << k for k, bit in enumerate(row)) for row in self.active]
        active = Signal(columns)
        m.d.comb += active.eq(Array(mask)[asked.row] & asked.enable)
        wanted, seen = Signal(2 * columns), Signal()
        came, left = Signal(6), Signal(6)
        moved, taken = dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready
        m.d.sync += [came.eq(came + moved), left.eq(left + taken)]
        with m.If(moved & (came == self.chosen)):
            agree = ~(asked.inputs ^ Array(word)[asked.row]) & active
            m.d.sync += [seen.eq(1), wanted[:columns].eq(agree), wanted[columns:].eq(active)]
        with m.If(taken & (left == self.chosen)):
            m.d.comb += [Assert(seen), Assert(Value.cast(dut.o.payload) == wanted)]
        m.d.comb += [Assert((came - left)[:6] <= 1), Assert(dut.o.valid == (came != left))]
        return m


class _Shown(Elaboratable):
    """A buffer read in any order: the plane shown is that of the word that was written."""

    def __init__(self, bits: int, folds: int):
        self.dut = dut = PlaneBuffer(bits, 1, folds)
        self.vector, self.chosen = Signal(2), Signal(range(max(folds, 2)))
        self.free = {
            "vector": self.vector, "chosen": self.chosen, "valid": dut.i.valid,
            "payload": Value.cast(dut.i.payload), "en": dut.en, "fold": dut.fold,
            "plane": dut.plane, "release": dut.release,
        }  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.dut = dut = self.dut
        _constant(m, self.vector, self.chosen)
        m.d.comb += [
            Assume(self.chosen < dut.folds),
            Assume(dut.fold < dut.folds), Assume(dut.plane < dut.bits),
            Assume(~dut.en | dut.present), Assume(~dut.release | dut.present),
        ]  # fmt: skip
        whole, fold, released = Signal(5), Signal(range(dut.folds)), Signal(5)
        word, expected, known = Signal(dut.bits), Signal(), Signal()
        moved, last = dut.i.valid & dut.i.ready, fold == dut.folds - 1
        with m.If(moved):
            m.d.sync += [fold.eq(Mux(last, 0, fold + 1)), whole.eq(whole + last)]
            with m.If((whole == self.vector) & (fold == self.chosen)):
                m.d.sync += word.eq(Value.cast(dut.i.payload))
        m.d.sync += released.eq(released + dut.release)
        with m.If(dut.en):
            mine = (released == self.vector) & (dut.fold == self.chosen)
            m.d.sync += [known.eq(mine), expected.eq(word.bit_select(dut.plane, 1))]
        held = (whole - released)[:5]
        m.d.comb += [
            Assert(dut.present == (held != 0)), Assert(dut.i.ready == (held != 2)),
            Assert(held <= 2), Assert(~known | (dut.shown == expected)),
        ]  # fmt: skip
        return m


SPECIFICATIONS = {
    "collect": (lambda: _recut("collect"), 12),
    "split": (lambda: _recut("split"), 12),
    "gearbox to narrow beats": (lambda: _recut("narrow"), 14),
    "gearbox to wide beats": (lambda: _recut("wide"), 14),
    "outbox of one": (lambda: _Boxed(1), 12),
    "outbox of three": (lambda: _Boxed(3), 10),
    "digital array": (lambda: _Reading([[1, 0], [0, 1], [1, 1]], [[1, 1], [1, 0], [0, 1]]), 8),
    "plane buffer": (lambda: _Shown(2, 3), 11),
    "plane buffer of a word": (lambda: _Shown(3, 1), 10),
}


@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_proven_for_every_input_and_stall(name):
    make, depth = SPECIFICATIONS[name]
    assert outcome(make(), mode="bmc", depth=depth) == "PASS"


CONTROLS = [
    ("collect", Collect, "self.i.ready.eq(~self.o.valid | self.o.ready)", "self.i.ready.eq(1)"),
    ("collect", Collect, "(slot == self.factor - 1) | last_beat", "slot == self.factor - 1"),
    ("split", Split, "(self.o.ready & done)", "self.o.ready"),
    ("split", Split, "with m.If(self.o.valid & self.o.ready):", "with m.If(self.o.valid):"),
    ("gearbox to narrow beats", Split, "rest >> width", "rest >> 2 * width"),
    ("gearbox to wide beats", Split, "(self.o.ready & done)", "self.o.ready"),
    ("outbox of one", Outbox, "self.room.eq(reserved != self.depth)", "self.room.eq(1)"),
    ("outbox of three", Outbox, "depth=self.depth + 1", "depth=self.depth - 1"),
    ("outbox of three", Outbox, "+ self.reserve - taken", "+ self.reserve"),
    ("digital array", DigitalArray, "~self.o.valid | self.o.ready", "1"),
    (
        "digital array",
        DigitalArray,
        "read.data[:columns]) & active",
        "read.data[:columns]) & enable",
    ),
    ("plane buffer", PlaneBuffer, "held != 2", "1"),
    ("plane buffer", PlaneBuffer, "held + filled - self.release", "held + filled"),
    ("plane buffer of a word", PlaneBuffer, "filling ^ held[0]", "filling"),
]


@pytest.mark.parametrize("case", range(len(CONTROLS)))
def test_the_proof_fails_for_a_planted_bug(case, monkeypatch):
    name, component, old, new = CONTROLS[case]
    monkeypatch.setattr(component, "elaborate", planted(component.elaborate, old, new))
    make, depth = SPECIFICATIONS[name]
    assert outcome(make(), mode="bmc", depth=depth) == "FAIL"
