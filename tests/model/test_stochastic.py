# SPDX-License-Identifier: BSD-2-Clause
"""The random numbers of stochastic pixels: as defined, evenly distributed, and restarted."""

import itertools
import math

import numpy as np
import pytest
from numba import njit

from tests.support.numbers import obvious_numbers
from twincell.model import generators, stochastic
from twincell.model.planes import Generator, Stochastic
from twincell.model.stochastic import MARKS, MASK, lfsr_leap, lfsr_step, numbers, start_register


@pytest.mark.parametrize("bits", [2, 3, 8, 11, 16])
@pytest.mark.parametrize("generator", list(Generator))
def test_numbers_are_those_of_the_definition(generator, bits):
    planes = Stochastic(bits, (9,), seed=bits, generator=generator)
    for image, pixels in ((0, 1), (1, 40), (6, 33)):
        wanted = obvious_numbers(planes, image, 9, pixels)
        assert planes.numbers(image, 9, pixels).tolist() == wanted


@pytest.mark.parametrize("width", range(2, 17))
def test_the_lfsr_of_few_bits_visits_every_state_but_zero_once(width):
    states, state = set(), 1
    for _ in range((1 << width) - 1):
        states.add(state)
        state = lfsr_step(width, state)
    assert state == 1 and states == set(range(1, 1 << width))
    leap = lfsr_leap(width)
    assert leap >= width and math.gcd(leap, (1 << width) - 1) == 1


@pytest.mark.parametrize("bits", range(2, 17))
def test_a_shared_number_takes_each_value_once_in_a_period(bits):
    period = (1 << bits) - 1
    draws = numbers(Generator.SHARED, bits, 5, period, 1)[:, 0]
    assert np.array_equal(np.sort(draws), np.arange(1, period + 1))


def test_a_shared_number_of_8_bits_shows_a_pixel_x_times_in_255():
    draws = numbers(Generator.SHARED, 8, 77, 255, 3)
    assert [(x >= draws).sum(axis=0).tolist() for x in range(256)] == [[x] * 3 for x in range(256)]


@pytest.mark.parametrize("bits", range(2, 11))
def test_evenly_spread_numbers_show_a_pixel_x_times_in_a_period(bits):
    """Of any pixel, and each half, quarter... of the period holds one number of each interval."""
    draws = numbers(Generator.LOW_DISCREPANCY, bits, 12345, 1 << bits, 5)
    middle, most = 1 << bits - 1, 1 << bits
    for pixel in range(5):
        shown = [int((x >= draws[:, pixel]).sum()) for x in range(most)]
        assert shown == [x + (x >= middle) for x in range(most)]
        for few in (2, most // 2):
            whole = draws[:few, pixel] - (draws[:few, pixel] <= middle)
            assert len(set((whole * few // most).tolist())) >= few - 1


def test_both_registers_have_the_greatest_period():
    """A step is no identity but comes back to itself after 2^31 - 1, a prime."""
    assert stochastic._jump(0) == stochastic._jump(31)
    assert stochastic._jump(0) != tuple(1 << bit for bit in range(31))
    feedback = [_sequence_step(1 << bit) for bit in range(31)]
    power = feedback
    for _ in range(31):
        power = [generators.apply(tuple(power), column) for column in power]
    assert power == feedback != [1 << bit for bit in range(31)]


def _sequence_step(state: int) -> int:
    return state >> 1 | ((state ^ state >> 3) & 1) << 30


@pytest.mark.parametrize("generator", [Generator.LFSR, Generator.TAPS])
@pytest.mark.parametrize("bits", range(2, 17))
def test_the_bits_of_a_number_are_independent(generator, bits):
    """Linear functions of the state, none of which is a sum of others: so over the period each
    value but 0 comes up 2^(31 - bits) times, and 0 once less."""
    raw = [_raw(generator, bits, 1 << place) for place in range(31)]
    rank = 0
    while any(raw):
        pivot = max(raw)
        top = pivot.bit_length() - 1
        raw = [value ^ pivot if value >> top & 1 else value for value in raw]
        rank += 1
    assert rank == bits


def _raw(generator: Generator, bits: int, state: int) -> int:
    """The number before values below the middle are raised."""
    sequence = [state >> n & 1 for n in range(31)]
    for n in range(300):
        sequence.append(sequence[n + 3] ^ sequence[n])
    places = range(bits) if generator is Generator.LFSR else MARKS[:bits]
    return sum(sequence[place] << k for k, place in enumerate(places))


@njit
def _histogram(bits, found):
    state = 1
    for _ in range((1 << 31) - 1):
        found[state & ((1 << bits) - 1)] += 1
        fresh = (state ^ (state >> 3)) & ((1 << bits) - 1)
        state = (state >> bits) | (fresh << (31 - bits))
    return state


@pytest.mark.slow
def test_the_long_period_enumerated():
    """All 2^31 - 1 draws of 8 bits: every value 2^23 times, 0 once less, and back at the start."""
    found = np.zeros(256, dtype=np.int64)
    assert _histogram(8, found) == 1
    assert found[0] == (1 << 23) - 1 and set(found[1:].tolist()) == {1 << 23}


def test_two_pixels_share_one_bit_at_most():
    assert len({b - a for a, b in itertools.combinations(MARKS, 2)}) == 16 * 15 // 2


@pytest.mark.parametrize("generator", [Generator.LFSR, Generator.TAPS])
def test_no_two_pixels_share_their_numbers(generator):
    """The numbers of 8 pixels in a row occur nowhere else among those of an image."""
    draws = numbers(generator, 8, start_register(3), 8, 784).reshape(-1)
    rows = np.lib.stride_tricks.sliding_window_view(draws, 8)
    assert len(np.unique(rows, axis=0)) == len(rows)


@pytest.mark.parametrize("generator", list(Generator))
def test_numbers_restart_at_each_image_and_go_on_with_presentations(generator):
    planes = Stochastic(8, (5,), seed=3, generator=generator)
    assert np.array_equal(planes.numbers(17, 2, 50), planes.numbers(17, 5, 50)[:2])
    assert not np.array_equal(planes.numbers(17, 5, 50), planes.numbers(18, 5, 50))
    other = Stochastic(8, (5,), seed=4, generator=generator)
    assert not np.array_equal(planes.numbers(17, 5, 50), other.numbers(17, 5, 50))


def test_any_image_can_be_started_at():
    register = start_register(77)
    for image in range(40):
        assert start_register(77, image) == register
        register = stochastic.start_step(register)
        assert 0 < register <= MASK
    far = start_register(77, 1 << 30)
    assert stochastic.start_step(far) == start_register(77, (1 << 30) + 1)


def test_a_width_without_taps_is_refused():
    with pytest.raises(ValueError, match=r"^An LFSR is 2 to 16 bits wide, not 17$"):
        lfsr_step(17, 1)
