# SPDX-License-Identifier: BSD-2-Clause
"""An emulated memory, bit for bit and cycle for cycle."""

import re

import numpy as np
import pytest
from amaranth.sim import Simulator

from tests.support.emulation import Traffic, exercise, word_of
from tests.support.simulate import PAUSES, play
from twincell.hw.arrays import settings
from twincell.hw.arrays.digital import DigitalArray
from twincell.hw.arrays.emulated import EmulatedArray
from twincell.model.generators import gap_table, start

# Word lines, columns, reads of an image, rate: width 1, primes, more bits than the gaps have and
# fewer, images of one read, rates from five digits to one.
CASES = [
    (1, 1, 1, 0.5), (2, 1, 7, 2**-24), (3, 5, 2, 0.1), (4, 8, 5, 0.1), (5, 13, 7, 0.02),
    (7, 64, 30, 1e-3), (7, 64, 3, 2**-24), (2, 100, 4, 0.5), (13, 67, 11, 0.02), (9, 100, 3, 1e-6),
    (2, 5, 4, 1.0), (6, 17, 1, 0.3), (3, 128, 2, 0.05),
]  # fmt: skip
PACES = [(1.0, 1.0), (0.5, 1.0), (1.0, 0.5), (0.4, 0.4)]  # of source and sink


def make(rows: int, columns: int, reads: int, rate: float, ternary: bool, seed: int = 0):
    rng = np.random.default_rng(seed)
    sign = rng.integers(0, 2, (rows, columns))
    active = rng.integers(0, 2, (rows, columns)) if ternary else None
    return EmulatedArray(sign, active, reads=reads, rate=rate, start=start(seed, 9))


@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("case", range(len(CASES)))
def test_reads_have_the_errors_of_the_model(case, ternary):
    array = make(*CASES[case], ternary)
    read, ready = PACES[(case + 2 * ternary) % len(PACES)]
    found = exercise(array, 600, Traffic(read=read, ready=ready))
    rate = CASES[case][3]
    if rate * found.reads * array.bits_per_read > 50:
        assert found.flips > 0
    assert found.reads >= 2 * array.reads or rate * array.bits_per_read > 10


@pytest.mark.parametrize("ternary", [False, True])
def test_long_stalls(ternary):
    """Until every queue inside is full."""
    array = make(5, 13, 7, 0.05, ternary)
    rng = np.random.default_rng(3)
    beats = [int(word) for word in rng.integers(0, 1 << 29, 140) if word % 8 < 5]
    fields = [np.array(beats) & 7, np.array(beats) >> 3, np.array(beats) >> 16]
    inputs, enable = ((each[:, None] >> np.arange(13)) & 1 for each in fields[1:])
    agree, active, _ = array.model(fields[0], inputs, enable)
    wanted = [word_of(np.hstack(each)) for each in zip(agree, active, strict=True)]
    found, _ = play(array, beats, len(beats), pauses="long")
    assert found == wanted


@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("rate", [0.0, 0.05])
def test_word_lines_are_programmed_within_images(rate, ternary):
    found = exercise(make(6, 19, 5, rate, ternary), 1500, Traffic(0.8, 0.3, 0.8))
    assert found.programmings.min() > 20


@pytest.mark.parametrize("ternary", [False, True])
def test_rate_and_seed_change_between_images_and_within(ternary):
    array = make(4, 11, 6, 0.05, ternary)
    other = settings.words(0.2, start(77))
    words = {
        200: other,  # everything
        700: [(settings.START + k, int(word)) for k, word in enumerate(start(78))],  # the seed
        1000: settings.words(0.0, start(79)),  # off
        1450: settings.words(1e-3, start(80)),
        1900: [(settings.CONTROL, 8), *((321 + k, w) for k, w in enumerate(start(81)))],
        2100: [(settings.CONTROL, 0)],  # off, and not on again
        2150: [(17, 5)],
    }
    found = exercise(array, 2300, Traffic(0.8, 0.05, 0.8, words))
    assert found.flips > 100 and not found.running


def test_hardware_without_errors_of_its_own_takes_settings():
    array = make(4, 11, 6, 0.0, False)
    words = {50: settings.words(0.1, start(5)), 800: [(settings.CONTROL, 8), (323, 1 << 31)]}
    found = exercise(array, 1200, Traffic(0.8, 0.0, 0.8, words))
    assert found.flips > 20 and found.table is None


@pytest.mark.parametrize("ternary", [False, True])
def test_reset_in_every_state(ternary):
    """Reset returns to the constructor's settings and the first image; contents stay."""
    array = make(4, 11, 6, 0.1, ternary)
    rng = np.random.default_rng(4)
    resets = tuple(np.cumsum(rng.integers(1, 40, 80)).tolist())
    words = {300: settings.words(0.4, start(3)), 900: settings.words(0.0, start(3))}
    traffic = Traffic(0.8, 0.2, 0.7, words, resets)
    assert 300 + settings.ROWS > resets[20] > 300  # one falls into the words
    exercise(array, 2200, traffic, seed=6)


@pytest.mark.parametrize("at", [1200, 1640])
def test_reset_returns_to_the_table_of_the_constructor(at):
    array = make(4, 11, 6, 0.02, False)
    words = {100: settings.words(0.5, start(3))}
    found = exercise(array, 2200, Traffic(words=words, resets=(at,)))
    assert found.reads > 50 and found.flips < 0.1 * 11 * found.reads


@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("pauses", PAUSES)
def test_without_errors_it_is_a_digital_array_cycle_for_cycle(pauses, ternary):
    rng = np.random.default_rng(2)
    sign, stored = rng.integers(0, 2, (2, 5, 23))
    active = stored if ternary else None
    beats = [int(word) for word in rng.integers(0, 1 << 49, 120) if word & 7 < 5]
    runs = [
        play(array, beats, len(beats), pauses=pauses)
        for array in (DigitalArray(sign, active), EmulatedArray(sign, active, reads=7))
    ]
    assert runs[0] == runs[1]


def test_counters_are_cleared():
    array = make(2, 8, 4, 0.5, False)

    async def bench(ctx):
        ctx.set(array.i.payload, {"row": 1, "inputs": 0, "enable": 0xFF})
        ctx.set(array.i.valid, 1)
        ctx.set(array.o.ready, 1)
        await ctx.tick().repeat(100)
        assert min(ctx.get(array.counters[name]) for name in ("cycles", "reads", "flips")) > 10
        ctx.set(array.i.valid, 0)
        await ctx.tick().repeat(30)
        ctx.set(array.clear, 1)
        await ctx.tick()
        ctx.set(array.clear, 0)
        for _ in range(5):
            assert ctx.get(array.counters.as_value()) == 0
            await ctx.tick()

    simulator = Simulator(array)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_words_of_the_settings():
    words = settings.words(0.02, (11, 12, 13))
    table = gap_table(0.02)
    assert words.shape == (settings.ROWS,) == (324,)
    assert np.array_equal(words[:128].reshape(2, 64), table) and not words[128:320].any()
    assert words[320:].tolist() == [8 | 2, 11, 12, 13]
    assert settings.words(0, (1, 2, 3)).tolist() == [0] * 321 + [1, 2, 3]
    assert len(gap_table(settings.LEAST_READ_RATE)) == 5


def test_bad_parameters():
    zeros = np.zeros((2, 3))
    with pytest.raises(TypeError, match=r"^Reads must be a positive integer, not 0$"):
        EmulatedArray(zeros, reads=0)
    with pytest.raises(TypeError, match=r"^The rate of read errors must be a number, not '1'$"):
        EmulatedArray(zeros, reads=1, rate="1")
    for rate in (2.0**-25, 1.5, -0.1):
        message = f"The rate of read errors is 0 or 5.96046e-08 to 1, not {rate!r}"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            EmulatedArray(zeros, reads=1, rate=rate)
    with pytest.raises(ValueError, match=r"^Contents must be bits \(rows, columns\), not \[\(3,\)"):
        EmulatedArray(np.zeros(3), reads=1)
