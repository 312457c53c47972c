# SPDX-License-Identifier: BSD-2-Clause
"""Buffer, outbox and the search for the greatest score, each on its own."""

import numpy as np
import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.sim import Simulator

from tests.support.simulate import PAUSES, play
from twincell.hw.head import Greatest
from twincell.hw.outbox import Outbox
from twincell.hw.planes import PlaneBuffer


def _run(component, bench) -> None:
    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("bits", [1, 3])
@pytest.mark.parametrize("folds", [1, 2, 3, 5])
def test_buffer_shows_each_plane_while_the_next_vector_comes_in(bits, folds):
    lanes, vectors = 4, 6
    rng = np.random.default_rng(folds)
    pixels = rng.integers(0, 1 << bits, (vectors, folds, lanes))
    words = [sum(int(p) << (bits * k) for k, p in enumerate(w)) for w in pixels.reshape(-1, lanes)]
    buffer = PlaneBuffer(bits, lanes, folds)
    shown = []

    async def bench(ctx):
        pending = list(words)
        reads = [(f, p) for p in range(bits) for f in range(folds)]
        vector, index, expected = 0, 0, None
        while vector < vectors:
            ctx.set(buffer.i.valid, bool(pending))
            if pending:
                ctx.set(buffer.i.payload.as_value(), pending[0])
            present = ctx.get(buffer.present)
            ctx.set(buffer.en, present)
            if present:
                ctx.set(buffer.fold, reads[index][0])
                ctx.set(buffer.plane, reads[index][1])
            ctx.set(buffer.release, present and index == len(reads) - 1)
            _, _, ready, word = await ctx.tick().sample(buffer.i.ready, buffer.shown)
            if expected is not None:
                assert word == expected
            if pending and ready:
                pending.pop(0)
            if present:
                fold, plane = reads[index]
                bits_shown = pixels[vector, fold] >> plane & 1
                expected = sum(int(bit) << k for k, bit in enumerate(bits_shown))
                shown.append(expected)
                index = (index + 1) % len(reads)
                vector += index == 0
        assert not pending

    _run(buffer, bench)
    assert len(shown) == vectors * folds * bits


def test_buffer_takes_two_vectors_and_no_more():
    buffer = PlaneBuffer(1, 2, 3)

    async def bench(ctx):
        ctx.set(buffer.i.valid, 1)
        for word in range(6):
            assert ctx.get(buffer.i.ready), word
            await ctx.tick()
        for _ in range(3):
            assert not ctx.get(buffer.i.ready)
            await ctx.tick()
        ctx.set(buffer.release, 1)
        await ctx.tick()
        ctx.set(buffer.release, 0)
        assert ctx.get(buffer.i.ready)

    _run(buffer, bench)


class _Pipeline(wiring.Component):
    """Seven registers that cannot stall, with an outbox behind them."""

    STAGES = 7

    def __init__(self, depth: int):
        self.outbox = Outbox(8, depth)
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.outbox = outbox = self.outbox
        connect(m, outbox.o, flipped(self.o))
        m.d.comb += [
            self.i.ready.eq(outbox.room),
            outbox.reserve.eq(self.i.valid & outbox.room),
        ]
        valid, beat = outbox.reserve, self.i.payload
        for stage in range(self.STAGES):
            after = Signal(name=f"valid{stage}"), Signal(8, name=f"beat{stage}")
            m.d.sync += [after[0].eq(valid), after[1].eq(beat)]
            valid, beat = after
        m.d.comb += [outbox.put.eq(valid), outbox.beat.eq(beat)]
        return m


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("depth", [1, 2, 3, 9, 20])
def test_outbox_loses_nothing(depth, pauses):
    beats = [int(b) for b in np.random.default_rng(depth).integers(0, 256, 150)]
    found, _ = play(_Pipeline(depth), beats, len(beats), pauses=pauses)
    assert found == beats


@pytest.mark.parametrize("interval", [1, 2, 3, 10, 100])
def test_outbox_of_the_advised_depth_never_slows_a_pipeline(interval):
    depth = Outbox.depth_for(_Pipeline.STAGES, interval)
    _, cycles = play(_Pipeline(depth), [0] * 60, 60)
    assert cycles[-1] - cycles[0] <= interval * 59


def test_outbox_refuses_no_depth():
    with pytest.raises(TypeError, match=r"^Depth must be a positive integer, not 0$"):
        Outbox(8, 0)


def _greatest(scores: np.ndarray, neurons: int, idle: float) -> list[tuple[int, int, list[int]]]:
    """(label, last, scores) of each beat; scores (images, classes) of 6 bits."""
    images, classes = scores.shape
    groups = -(-classes // neurons)
    greatest = Greatest(signed(6), neurons, classes)
    rng = np.random.default_rng(0)
    padded = np.full((images, groups * neurons), 31)  # the greatest of all, yet never to be chosen
    padded[:, :classes] = scores
    found = []

    async def bench(ctx):
        pending = padded.reshape(-1, neurons).tolist()
        while len(found) < images * groups:
            send = bool(pending) and rng.random() >= idle
            ctx.set(greatest.valid, send)
            if send:
                ctx.set(greatest.scores, pending.pop(0))
            await ctx.tick()
            if ctx.get(greatest.o_valid):
                beat = greatest.beat
                values = [ctx.get(beat.scores[k]) for k in range(neurons)]
                found.append((ctx.get(beat.label), ctx.get(beat.last), values))

    _run(greatest, bench)
    return found


@pytest.mark.parametrize("idle", [0.0, 0.5])
@pytest.mark.parametrize(("classes", "neurons"), [(1, 1), (2, 1), (2, 2), (5, 2), (7, 7), (10, 4)])
def test_greatest_takes_the_lowest_index_of_equal_scores(classes, neurons, idle):
    rng = np.random.default_rng(classes)
    scores = rng.integers(-32, 31, (40, classes))
    scores[:20] = rng.integers(-1, 1, (20, classes))  # ties
    scores[0], scores[1] = -32, 30
    found = _greatest(scores, neurons, idle)
    groups = -(-classes // neurons)
    assert [last for _, last, _ in found] == ([0] * (groups - 1) + [1]) * 40
    labels = [label for label, last, _ in found if last]
    assert labels == scores.argmax(axis=1).tolist()
    values = np.array([values for _, _, values in found]).reshape(40, -1)
    assert np.array_equal(values[:, :classes], scores)
