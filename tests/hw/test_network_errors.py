# SPDX-License-Identifier: BSD-2-Clause
"""Networks on emulated memories: the scores of the integer reference with the same errors."""

import numpy as np
import pytest
from amaranth.hdl import Value
from amaranth.sim import Simulator

from tests.support.graphs import mlp, random_images
from tests.support.networks import run
from twincell.hw.arrays.emulated import EmulatedArrays
from twincell.hw.network import Network
from twincell.hw.plan import Budget, plan
from twincell.model import integer
from twincell.model.errors import ErrorMap
from twincell.model.planes import Binary, FixedPoint


def _case(bits: int, ternary: bool, arrangement: str, first_layer: str = "serial", seed: int = 1):
    rng = np.random.default_rng(seed)
    graph = mlp(rng, [23, 14, 9, 5], Binary() if bits == 1 else FixedPoint(bits), ternary)
    planned = plan(graph, Budget(lanes=60, arrangement=arrangement, first_layer=first_layer))
    nodes = [layer.node for layer in planned.layers]
    rates = dict(zip(nodes, (0.02, 0.001, 0.1), strict=True))
    errors = ErrorMap.draw(graph, 5, persistent=0.01, transient=rates)
    return graph, planned, errors, random_images(rng, graph, 9)


@pytest.mark.parametrize("arrangement", ["columns", "rows"])
@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize(("bits", "first_layer"), [(1, "serial"), (3, "serial"), (3, "parallel")])
def test_scores_with_read_errors(bits, first_layer, ternary, arrangement):
    graph, planned, errors, images = _case(bits, ternary, arrangement, first_layer)
    network = Network(errors.sensed(graph), planned, arrays=EmulatedArrays(errors))
    observed = run(network, images, pauses="both" if ternary else "none")
    wanted = integer.scores(graph, images, errors=errors, order=planned.read_order)
    assert np.array_equal(observed.scores, wanted)
    assert not np.array_equal(wanted, integer.scores(graph, images))


def test_cycles_of_an_image_are_those_of_the_model():
    """The layer that is the slowest by far has the images' pace."""
    rng = np.random.default_rng(2)
    graph = mlp(rng, [31, 20, 3], Binary())
    planned = plan(graph, Budget(lanes=40))
    slow = max(planned.layers, key=lambda layer: layer.cycles)
    errors = ErrorMap.draw(graph, 5, transient={slow.node: 0.1})
    network = Network(errors.sensed(graph), planned, arrays=EmulatedArrays(errors))
    observed = run(network, random_images(rng, graph, 25))
    array = network.arrays[planned.layers.index(slow)]
    model = array.model_cycles(25)
    assert np.array_equal(np.diff(observed.finished)[3:], np.diff(model)[3:])
    assert len(set(np.diff(model))) > 5
    mean = np.diff(observed.finished)[3:].mean()
    assert abs(mean / array.expected_cycles() - 1) < 0.1


def test_rate_and_seed_are_loaded_at_run_time():
    """Through the stream that loads weights; and the arrays count reads and flips."""
    graph, planned, _, images = _case(1, True, "columns")
    other = ErrorMap.draw(graph, 6, transient=0.05)
    network = Network(graph, planned, loadable=True, arrays=EmulatedArrays(wear=True))
    reads = [(each["name"], each["reads"]) for each in network.about()["emulated"]]
    assert reads == [(layer.name, layer.reads) for layer in planned.layers]
    assert "emulated" not in Network(graph, planned).about()
    kinds = [each.target.kind for each in network.loadables]
    assert kinds == ["word lines", "constants", "read errors"] * 3
    loaded = Network(graph, planned, loadable=True, arrays=EmulatedArrays(other)).loadables
    found = []

    async def load(ctx):
        for index, each in enumerate(loaded):
            if each.target.kind != "read errors":
                continue
            for row, line in enumerate(each.target.lines(each.contents)):
                top = network.load.payload.line
                shift = len(top) - 32
                ctx.set(
                    network.load.payload,
                    {"target": index, "row": row, "line": int(line[0]) << shift},
                )
                ctx.set(network.load.valid, 1)
                await ctx.tick().until(network.load.ready)
        ctx.set(network.load.valid, 0)

    async def bench(ctx):
        await load(ctx)
        about = network.about()
        per_beat, bits = about["pixels_per_beat"], about["pixel_bits"]
        assert bits == 1
        padded = np.pad(images.reshape(len(images), -1), [(0, 0), (0, -23 % per_beat)])
        beats = padded.reshape(-1, per_beat)
        ctx.set(network.o.ready, 1)
        for beat in beats:
            ctx.set(Value.cast(network.i.payload), sum(int(b) << k for k, b in enumerate(beat)))
            ctx.set(network.i.valid, 1)
            await ctx.tick().until(network.i.ready)
        ctx.set(network.i.valid, 0)

    async def sink(ctx):
        payload = network.o.payload
        while len(found) < len(images):
            scores = []
            for _ in range(network.about()["output_beats"]):
                values = await ctx.tick().sample(*payload.scores).until(network.o.valid)
                scores += values
            found.append(scores[:5])
        for layer, array, counters in zip(
            planned.layers, network.arrays, network.counters, strict=True
        ):
            assert ctx.get(counters.reads) == len(images) * layer.reads
            expected = 0.05 * len(images) * layer.reads * array.bits_per_read
            assert 0.5 * expected < ctx.get(counters.flips) < 1.5 * expected
            assert ctx.get(counters.cycles) > ctx.get(counters.reads)

    simulator = Simulator(network)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.add_testbench(sink)
    simulator.run()
    wanted = integer.scores(graph, images, errors=other, order=planned.read_order)
    assert np.array_equal(np.array(found), wanted)
    assert not np.array_equal(wanted, integer.scores(graph, images))


def test_programmings_of_every_word_line():
    """Loaded a number of times each, and asked for in any order under pauses."""
    graph, planned, _, _ = _case(1, False, "columns")
    network = Network(graph, planned, loadable=True, arrays=EmulatedArrays(wear=True))
    rng = np.random.default_rng(0)
    wanted = [rng.integers(0, 4, layer.rows) for layer in planned.layers]
    lines = [index for index, each in enumerate(network.loadables) if index % 3 == 0]
    found = []

    async def bench(ctx):
        ctx.set(network.load.valid, 1)
        for target, counts in zip(lines, wanted, strict=True):
            for row in np.repeat(np.arange(len(counts)), counts):
                ctx.set(network.load.payload, {"target": target, "row": int(row), "line": 0})
                await ctx.tick().until(network.load.ready)
        ctx.set(network.load.valid, 0)
        for array, row in asked:
            while rng.random() < 0.3:
                await ctx.tick()
            ctx.set(network.i_wear.payload, {"array": int(array), "row": int(row)})
            ctx.set(network.i_wear.valid, 1)
            await ctx.tick().until(network.i_wear.ready)
            ctx.set(network.i_wear.valid, 0)

    async def sink(ctx):
        while len(found) < len(asked):
            ready = rng.random() < 0.5
            ctx.set(network.o_wear.ready, ready)
            o = network.o_wear
            *_, valid, count = await ctx.tick().sample(o.valid, o.payload)
            if valid and ready:
                found.append(count)

    asked = [(array, row) for array, counts in enumerate(wanted) for row in range(len(counts))]
    asked = [asked[k] for k in rng.permutation(len(asked))]
    simulator = Simulator(network)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.add_testbench(sink)
    simulator.run()
    assert found == [wanted[array][row] for array, row in asked]
    assert "i_wear" not in Network(graph, planned, arrays=EmulatedArrays()).signature.members
