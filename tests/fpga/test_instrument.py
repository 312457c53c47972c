# SPDX-License-Identifier: BSD-2-Clause
"""The emulator behind its bus: held images run again under other errors, and what is refused."""

import re

import numpy as np
import pytest
from amaranth.sim import Simulator

from tests.support import instrument as support
from tests.support.graphs import mlp
from tests.support.instrument import Board
from twincell.fpga.instrument import Instrument
from twincell.hw.arrays.emulated import EmulatedArrays
from twincell.hw.network import Network
from twincell.hw.plan import plan
from twincell.model import integer
from twincell.model.errors import ErrorMap
from twincell.model.integer import Interpreter
from twincell.model.planes import Binary


def play(instrument, bench):
    """Runs a testbench that talks to the instrument's registers."""

    async def process(ctx):
        await bench(Board(ctx, instrument))

    simulator = Simulator(instrument)
    simulator.add_clock(1e-6)
    simulator.add_testbench(process)
    simulator.run()


@pytest.fixture(scope="module")
def case():
    return support.case()


def test_images_run_again_under_other_errors(case):
    """Scores, labels, images and counters are those of the reference, and without errors first."""
    instrument = Instrument(case.network(), slots=5)
    images = case.images[:5]
    interpreter = Interpreter(case.graph)

    async def bench(board):
        await board.upload(images)
        assert (await board.access("IMAGE_DATA", 0))[1], "there is no slot behind the last"
        for seed, rate, first in ((None, 0, 0), (1, 0.05, 0), (2, 0.1, 7)):
            wanted = interpreter
            if seed is not None:
                errors = ErrorMap.draw(case.graph, seed, transient=rate)
                await board.load_errors(errors, first)
                wanted = interpreter.with_errors(errors, case.plan.read_order)
            await board.pulse("CONTROL", "CLEAR")
            await board.start(0, 5)
            scores, labels = await board.results(5)
            expected = wanted.scores(images, first_image=first)
            assert np.array_equal(scores, expected)
            assert np.array_equal(labels, integer.labels(expected))
            assert await board.read("RUN_STATE") == 0
            assert await board.read("IMAGES") == 5
            (pace,) = board.about.paces
            for index, array in enumerate(board.about.emulated):
                assert await board.read(f"A{index}_READS") == 5 * pace.reads[index]
                flips = wanted.read_flips().get(array.node, 0)
                assert await board.read(f"A{index}_FLIPS") == flips
                assert not seed or flips

    play(instrument, bench)


def test_a_full_queue_stalls_and_loses_nothing(case):
    """Runs of more images than there are slots go round, and results wait as long as they must."""
    instrument = Instrument(case.network(), slots=3, results=2)
    expected = integer.scores(case.graph, case.images[:3])

    async def bench(board):
        await board.upload(case.images[:3])
        assert await board.read("RESULT_DATA") == 0
        await board.start(2, 6)
        for _ in range(600):
            await board.ctx.tick()
        size = board.about.results.words
        assert await board.field("RUN_STATE", "WORDS") == 2 * size
        assert await board.field("RUN_STATE", "RUNNING") == 1
        scores, _ = await board.results(6)
        assert np.array_equal(scores, expected[[2, 0, 1] * 2])
        assert await board.read("RUN_STATE") == 0

    play(instrument, bench)


def test_images_are_written_while_others_run(case):
    instrument = Instrument(case.network(), slots=6, results=4)
    expected = integer.scores(case.graph, case.images)

    async def bench(board):
        await board.upload(case.images[:3])
        for turn in range(4):
            here, there = 3 * (turn % 2), 3 * ((turn + 1) % 2)
            await board.start(here, 3)
            if turn < 3:
                await board.upload(case.images[3 * turn + 3 : 3 * turn + 6], there)
            scores, _ = await board.results(3)
            assert np.array_equal(scores, expected[3 * turn : 3 * turn + 3]), f"turn {turn}"

    play(instrument, bench)


def test_what_ends_and_what_holds_a_run(case):
    instrument = Instrument(case.network(), slots=3)
    expected = integer.scores(case.graph, case.images[:3])

    async def bench(board):
        await board.upload(case.images[:3])
        await board.start(3, 1)
        assert await board.read("RUN_STATE") == 2  # refused: there is no slot 3
        await board.start(0, 1000)
        assert await board.read("RUN_STATE") & 3 == 1
        await board.pulse("RUN", "START")
        assert await board.field("RUN_STATE", "REFUSED") == 1  # one is on its way
        await board.pulse("RUN", "ABORT")
        while await board.field("RUN_STATE", "RUNNING"):
            pass
        count = await board.read("IMAGES")
        scores, _ = await board.results(count)
        assert 0 < count < 40 and np.array_equal(scores, expected[np.arange(count) % 3])

        await board.start(0, 1000)
        await board.pulse("CONTROL", "SOFT_RESET")
        assert await board.read("RUN_STATE") == 0
        await board.hold()
        await board.start(1, 2)
        for _ in range(500):
            await board.ctx.tick()
        assert await board.read("RUN_STATE") == 1  # no image enters
        await board.write("CONTROL", 0)
        scores, _ = await board.results(2)
        assert np.array_equal(scores, expected[1:])

        # Half an image is forgotten when the slot is written again.
        await board.write("IMAGE_SLOT", 0)
        await board.write("IMAGE_DATA", 0x55555555)
        await board.upload(case.images[1:2])
        await board.start(0, 1)
        scores, _ = await board.results(1)
        assert np.array_equal(scores, expected[1:2])

    play(instrument, bench)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slots": 0}, "slots must be a positive integer, not 0"),
        ({"slots": 3, "results": True}, "results must be a positive integer, not True"),
    ],
)
def test_refusals(case, options, message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        Instrument(case.network(), **options)


def test_the_least_and_the_most_results(case):
    """Of two words at least, and as many as the register of waiting words can say."""
    graph = mlp(np.random.default_rng(2), [6, 2], Binary())
    network = Network(graph, plan(graph), loadable=True, arrays=EmulatedArrays())
    instrument = Instrument(network, slots=1, results=1)
    assert instrument.layout.words == 1
    images = np.array([[1, 0, 1, 1, 0, 0]])

    async def bench(board):
        await board.upload(images)
        for _ in range(3):
            await board.start(0, 1)
            scores, _ = await board.results(1)
            assert np.array_equal(scores, integer.scores(graph, images))

    play(instrument, bench)
    Instrument(network, slots=1, results=65535)
    with pytest.raises(ValueError, match=r"^The queue holds up to 65,535 results, not 65,536$"):
        Instrument(network, slots=1, results=65536)
