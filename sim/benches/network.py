# SPDX-License-Identifier: BSD-2-Clause
"""The bench of a generated network: every score and label of every image, under random pauses."""

import cocotb

from ..images import codec
from ..scoreboard import Model, Scoreboard
from .bench import Bench


@cocotb.test()
async def scores(dut):
    """The images of the job leave in order, with exactly the expected scores and labels."""
    bench = Bench(dut)
    network, vectors = codec(bench.job.build), bench.vectors
    beats, length = network.input.integers(vectors["beats"]), network.input_beats
    images = [tuple(beats[at : at + length]) for at in range(0, len(beats), length)]
    board = Scoreboard(network, Model(images, vectors["scores"], vectors["labels"]))
    bench.entered, bench.left = board.entering, board.leaving
    streams = await bench.run()
    # A run that is cut short leaves images inside; they say nothing.
    whole = not streams and not bench.settings["partial"]
    bench.close(streams, board.finish() if whole else board.problems)
