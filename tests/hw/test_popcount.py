# SPDX-License-Identifier: BSD-2-Clause
import re

import numpy as np
import pytest
from amaranth.sim import Simulator

from twincell.hw.popcount import Popcount, XnorPopcount


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


def _agreeing(popcount: XnorPopcount, signs: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Counts (words, neurons) of words sent back to back, taken ``delay`` cycles after each."""
    found = []
    weights = 1 << np.arange(popcount.lanes, dtype=object)

    async def bench(ctx):
        for word in range(len(inputs) + popcount.delay):
            if word < len(inputs):
                for neuron in range(popcount.neurons):
                    ctx.set(popcount.signs[neuron], int(signs[word, neuron] @ weights))
                ctx.set(popcount.inputs, int(inputs[word] @ weights))
            counts = [popcount.o[neuron] for neuron in range(popcount.neurons)]
            _, _, *values = await ctx.tick().sample(*counts)
            found.append(values)

    simulator = Simulator(popcount)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return np.array(found[popcount.delay :])


@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 5])
def test_every_sign_and_input_of_few_lanes(lanes):
    bits = np.arange(1 << (2 * lanes))[:, None] >> np.arange(2 * lanes) & 1
    signs, inputs = bits[:, None, :lanes], bits[:, lanes:]
    found = _agreeing(XnorPopcount(lanes, 1), signs, inputs)
    assert np.array_equal(found, XnorPopcount.model(signs, inputs))
    assert np.array_equal(found, (signs == inputs[:, None]).sum(-1))


@pytest.mark.parametrize("levels", [1, 2, 9])
@pytest.mark.parametrize("neurons", [1, 3])
@pytest.mark.parametrize("lanes", [6, 7, 8, 9, 13, 15, 16, 17, 23, 31, 37, 63, 64, 65, 101, 127])
def test_counts_agreeing_lanes(lanes, neurons, levels):
    """Random words; every lane agreeing, none, and one alone in each place."""
    rng = np.random.default_rng(lanes)
    inputs = rng.integers(0, 2, (2 * lanes + 60, lanes))
    signs = rng.integers(0, 2, (len(inputs), neurons, lanes))
    signs[0], signs[1] = inputs[0], 1 - inputs[1]
    for lane in range(lanes):
        only = np.arange(lanes) == lane
        signs[2 + lane] = inputs[2 + lane] ^ ~only & 1
        signs[2 + lanes + lane] = inputs[2 + lanes + lane] ^ only
    found = _agreeing(XnorPopcount(lanes, neurons, levels=levels), signs, inputs)
    assert np.array_equal(found, XnorPopcount.model(signs, inputs))
    assert (found[0] == lanes).all() and (found[1] == 0).all()
    assert (found[2 : 2 + lanes] == 1).all()
    assert (found[2 + lanes : 2 + 2 * lanes] == lanes - 1).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lanes": 0, "neurons": 1}, "Lanes must be a positive integer, not 0"),
        ({"lanes": 8, "neurons": None}, "Neurons must be a positive integer, not None"),
        ({"lanes": 8, "neurons": 1, "levels": 0}, "Levels must be a positive integer, not 0"),
    ],
)
def test_bad_xnor_parameters(arguments, message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        XnorPopcount(**arguments)


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
