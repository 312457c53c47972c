# SPDX-License-Identifier: BSD-2-Clause
"""Both forms of counting give, of the same reads of the same array, the same counts."""

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from twincell.hw.arrays.digital import DigitalArray
from twincell.hw.counts import AgreeCounts, Counts, StoredCounts, counts_for
from twincell.hw.layer_plan import Arrangement, LayerPlan


def _layer(lanes: int, neurons: int, ternary: bool = False, arrangement="columns") -> LayerPlan:
    return LayerPlan(
        "layer", 0, 2 * lanes, 3 * neurons, 1, ternary, lanes, neurons, Arrangement(arrangement)
    )


class _Counted(wiring.Component):
    """An array and its counts; inputs and enable bits are given for the lanes of a neuron."""

    def __init__(self, array: DigitalArray, counts: Counts):
        self.array = array
        self.counts = counts
        lanes = counts.layer.lanes
        super().__init__(
            {"row": In(array.i.payload.row.shape()), "inputs": In(lanes), "enable": In(lanes)}
            | {"totals": Out(16).array(counts.layer.neurons)}
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.array, m.submodules.counts = array, counts = self.array, self.counts
        layer = counts.layer
        m.d.comb += [
            array.i.valid.eq(1),
            array.i.payload.row.eq(self.row),
            array.o.ready.eq(1),
            counts.i.eq(counts.of(array)),
        ]
        for neuron, lane in np.ndindex(layer.neurons, layer.lanes):
            column = layer.column(neuron, lane)
            m.d.comb += [
                array.i.payload.inputs[column].eq(self.inputs[lane]),
                array.i.payload.enable[column].eq(self.enable[lane]),
            ]
        for neuron, total in enumerate(self.totals):
            carry = counts.carries[neuron : neuron + 1]
            m.d.comb += total.eq(counts.counts[neuron] + carry)
        return m


def _play(dut: _Counted, rows, inputs, enable) -> np.ndarray:
    found = []
    latency = dut.array.latency + dut.counts.delay
    weights = 1 << np.arange(dut.counts.layer.lanes, dtype=object)

    async def bench(ctx):
        for read in range(len(rows) + latency):
            if read < len(rows):
                ctx.set(dut.row, int(rows[read]))
                ctx.set(dut.inputs, int(inputs[read] @ weights))
                ctx.set(dut.enable, int(enable[read] @ weights))
            _, _, *totals = await ctx.tick().sample(*dut.totals)
            found.append(totals)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return np.array(found[latency:])


@pytest.mark.parametrize("arrangement", ["columns", "rows"])
@pytest.mark.parametrize("form", ["stored", "agree", "ternary"])
@pytest.mark.parametrize(
    ("lanes", "neurons"), [(1, 1), (1, 5), (2, 1), (3, 2), (8, 3), (13, 2), (17, 1), (64, 2)]
)
def test_counts_of_an_array(lanes, neurons, form, arrangement):
    rng = np.random.default_rng(lanes)
    layer = _layer(lanes, neurons, form == "ternary", arrangement)
    sign, stored = rng.integers(0, 2, (2, 3 * neurons, 2 * lanes))
    active = layer.word_lines(stored) if layer.ternary else None
    array = DigitalArray(layer.word_lines(sign), active)
    counts = StoredCounts(layer) if form == "stored" else AgreeCounts(layer)
    reads = 60
    rows = rng.integers(0, layer.rows, reads)
    inputs, enable = rng.integers(0, 2, (2, reads, lanes))
    enable[:20] = 1  # whole folds
    group, fold = np.divmod(rows, layer.folds)
    first = np.arange(reads) % 3
    for read in range(3):  # every lane of one neuron agrees
        neuron = group[read] * neurons + first[read] % neurons
        inputs[read] = sign[neuron, fold[read] * lanes : (fold[read] + 1) * lanes]
    found = _play(_Counted(array, counts), rows, inputs, enable)
    assert counts.most == lanes * (1 + layer.ternary)
    for read in range(reads):
        span = slice(fold[read] * lanes, (fold[read] + 1) * lanes)
        tile = slice(group[read] * neurons, (group[read] + 1) * neurons)
        shown = enable[read] & (stored[tile, span] if layer.ternary else 1)
        agree = (sign[tile, span] == inputs[read]) & shown
        wanted = agree.sum(1)
        if layer.ternary:
            wanted = wanted + (agree | (1 - shown)).sum(1)
        assert np.array_equal(found[read], wanted), read


def test_an_array_that_shows_what_it_stores_gets_the_fused_form():
    zeros = np.zeros((6, 8), int)
    layer = _layer(4, 2)
    assert isinstance(counts_for(DigitalArray(zeros), layer), StoredCounts)
    assert isinstance(counts_for(DigitalArray(zeros, zeros), _layer(4, 2, True)), AgreeCounts)
