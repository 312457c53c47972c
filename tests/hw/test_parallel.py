# SPDX-License-Identifier: BSD-2-Clause
"""Whole pixels times weights: the tree, the counts against their model, and reads inside."""

import re

import numpy as np
import pytest
from amaranth.hdl import Value
from amaranth.sim import Simulator

from twincell.hw.layer_plan import Arrangement, LayerPlan
from twincell.hw.parallel import AdderTree, Held, ParallelCounts
from twincell.model.planes import FixedPoint


def _run(component, bench) -> None:
    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def _piped(component, given: list[int], port: Value, results: list[Value], delay: int) -> list:
    """Results of successive inputs, one a cycle."""
    found = []

    async def bench(ctx):
        for cycle in range(len(given) + delay):
            if cycle < len(given):
                ctx.set(port, given[cycle])
            _, _, *values = await ctx.tick().sample(*results)
            found.append(values)

    _run(component, bench)
    return found[delay:]


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize(("terms", "bits"), [(1, 1), (1, 8), (2, 3), (5, 8), (8, 4), (13, 2)])
def test_tree_adds_up(terms, bits, levels):
    tree = AdderTree(terms, bits, levels=levels)
    values = np.random.default_rng(terms).integers(0, 1 << bits, (30, terms))
    values[0], values[1] = 0, (1 << bits) - 1
    words = [sum(int(v) << bits * k for k, v in enumerate(row)) for row in values]
    found = _piped(tree, words, tree.i.as_value(), [tree.o], tree.delay)
    assert [total for (total,) in found] == AdderTree.model(values).tolist()


def test_tree_refuses_nothing_to_add():
    with pytest.raises(TypeError, match=re.escape("Terms must be a positive integer, not 0")):
        AdderTree(0, 8)


@pytest.mark.parametrize("arrangement", ["columns", "rows"])
@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize(("lanes", "neurons", "bits"), [(1, 1, 8), (3, 2, 4), (7, 3, 8)])
def test_counts_are_the_weighted_counts_of_all_planes(lanes, neurons, bits, ternary, arrangement):
    layer = LayerPlan(
        "layer", 0, 2 * lanes, neurons, bits, ternary, lanes, neurons, Arrangement(arrangement)
    )
    counts, reads = ParallelCounts(layer), 40
    rng = np.random.default_rng(lanes)
    sign = rng.integers(0, 2, (reads, neurons, lanes))
    active = rng.integers(0, 2, sign.shape) if ternary else np.ones_like(sign)
    pixels = rng.integers(0, 1 << bits, (reads, lanes))
    pixels[0], pixels[1] = 0, (1 << bits) - 1
    words = []
    for read in range(reads):
        word = sum(int(p) << bits * k for k, p in enumerate(pixels[read])) << 2 * layer.columns
        for neuron, lane in np.ndindex(neurons, lanes):
            column = layer.column(neuron, lane)
            if active[read, neuron, lane]:
                word |= int(sign[read, neuron, lane]) << column | 1 << layer.columns + column
        words.append(word)
    results = [counts.counts[neuron] for neuron in range(neurons)]
    found = np.array(_piped(counts, words, counts.i.as_value(), results, counts.delay))
    wanted = ParallelCounts.model(sign, active if ternary else None, pixels, bits)
    assert np.array_equal(found, wanted)
    # The planes of a bit-serial layer, weighted, give the same.
    planes = (pixels[None] >> np.arange(bits)[:, None, None]) & 1
    agree = (sign == planes[:, :, None, :]) & (active == 1)
    ones = agree.sum(axis=3) + ternary * (agree | (active == 0)).sum(axis=3)
    weights = np.array(FixedPoint(bits).weights(0))
    assert np.array_equal(wanted, np.tensordot(weights, ones, 1))


def test_a_layer_beyond_its_inputs_counts_nothing():
    """Lanes of a partial fold are not enabled, so not active, and their pixels mean nothing."""
    layer = LayerPlan("layer", 0, 5, 1, 4, False, 3, 1)
    counts = ParallelCounts(layer)
    full = 0b1111_1111_1111 << 6
    found = _piped(counts, [full | 0b011_011], counts.i.as_value(), [counts.counts[0]], 2)
    assert found[0] == [30]


@pytest.mark.parametrize(("latency", "cycles", "places"), [(1, 1, 1), (6, 4, 2), (7, 1, 7)])
def test_held_gives_back_in_order(latency, cycles, places):
    assert Held.places_for(latency, cycles) == places
    held = Held(8, places)
    rng = np.random.default_rng(places)
    inside: list[int] = []

    async def bench(ctx):
        for _ in range(200):
            give = bool(inside) and rng.random() < 0.5
            take = len(inside) - give < places and rng.random() < 0.6
            word = int(rng.integers(256))
            ctx.set(held.i, word)
            ctx.set(held.take, take)
            ctx.set(held.give, give)
            if inside:
                assert ctx.get(held.o) == inside[0]
            await ctx.tick()
            if give:
                inside.pop(0)
            if take:
                inside.append(word)

    _run(held, bench)
