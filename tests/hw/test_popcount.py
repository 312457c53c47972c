# SPDX-License-Identifier: BSD-2-Clause
import re

import numpy as np
import pytest
from amaranth.sim import Simulator

from twincell.hw.popcount import Popcount


def _counts(popcount: Popcount, words: list[int]) -> list[int]:
    """Counts of words sent back to back, taken ``delay`` cycles after each."""
    found = []

    async def bench(ctx):
        for word in [*words, *[0] * popcount.delay]:
            ctx.set(popcount.i, word)
            _, _, count = await ctx.tick().sample(popcount.o)
            found.append(count)

    simulator = Simulator(popcount)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found[popcount.delay :]


def _words(width: int) -> list[int]:
    """All words when they are few; else corners, walking ones and zeros, and random words."""
    if width <= 10:
        return list(range(1 << width))
    full = (1 << width) - 1
    walking = [1 << bit for bit in range(width)]
    rng = np.random.default_rng(width)
    drawn = [int.from_bytes(rng.bytes(width // 8 + 1), "little") & full for _ in range(200)]
    return [0, full, *walking, *(full ^ one for one in walking), *drawn]


@pytest.mark.parametrize("levels", [1, 2, 3, 10])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 7, 8, 10, 13, 31, 63, 64, 65, 127])
def test_counts_ones(width, levels):
    popcount = Popcount(width, levels=levels)
    words = _words(width)
    bits = np.array([[word >> bit & 1 for bit in range(width)] for word in words])
    assert _counts(popcount, words) == Popcount.model(bits).tolist()
    assert Popcount.model(bits).tolist() == [word.bit_count() for word in words]


def test_all_lanes_fit_the_count():
    for width in range(1, 40):
        assert _counts(Popcount(width), [(1 << width) - 1]) == [width]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "Width must be a positive integer, not 0"),
        ({"width": 2.0}, "Width must be a positive integer, not 2.0"),
        ({"width": 8, "levels": 0}, "Levels must be a positive integer, not 0"),
    ],
)
def test_bad_parameters(arguments, message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        Popcount(**arguments)
