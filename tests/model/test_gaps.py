# SPDX-License-Identifier: BSD-2-Clause
"""The generator of bit errors against a slow one written from the papers' definitions."""

from fractions import Fraction

import numpy as np
import pytest
from numba import njit

from twincell.model.generators import (
    error_positions,
    gap_table,
    jump_columns,
    next_word,
    random_words,
    start,
    start_of_image,
    starts_of_images,
    step_register,
)

RATES = [2**-24, 1e-6, 1e-3, 0.02, 0.1, 0.5, 1.0]
# P. L'Ecuyer, Math. Comp. 65:203 (1996), section 2 and figure 1: component j is the sequence of
# bits with x[n] = x[n - k + q] + x[n - k], from which each word takes 32 bits, s after the last.
TAUSWORTHE = [(31, 13, 12), (29, 2, 4), (28, 3, 17)]  # k, q, s


def tausworthe(value: int, k: int, q: int, s: int) -> int:
    """The next 32 bits of a component, its last ones being ``value``, the oldest bit uppermost."""
    bits = [value >> (31 - n) & 1 for n in range(k)]  # the others follow from these
    while len(bits) < s + 32:
        bits.append(bits[-(k - q)] ^ bits[-k])
    return int("".join(map(str, bits[s : s + 32])), 2)


class Slow:
    """Gaps between errors: taus88, alias tables and digits, one at a time, in plain Python."""

    def __init__(self, registers: tuple[int, int, int], rate: float):
        self.registers = list(registers)
        self.table = gap_table(rate).tolist()

    def word(self) -> int:
        parts = zip(self.registers, TAUSWORTHE, strict=True)
        self.registers = [tausworthe(value, *component) for value, component in parts]
        s1, s2, s3 = self.registers
        return s1 ^ s2 ^ s3

    def digit(self, entries: list[int]) -> int:
        # A. J. Walker, Electron. Lett. 10:127 (1974): one uniform number chooses a column and,
        # by its fraction, one of the column's two outcomes.
        column, fraction = divmod(self.word(), 1 << 26)
        cut, other = divmod(entries[column], 64)
        return column if fraction < cut else other

    def positions(self, bits: int) -> list[int]:
        found, position = [], -1
        while True:
            position += 1 + sum(
                self.digit(entries) * 64**place for place, entries in enumerate(self.table)
            )
            if position >= bits:
                return found
            found.append(position)


@pytest.mark.parametrize("index", range(3))
def test_a_step_is_the_recurrence_of_the_paper(index):
    rng = np.random.default_rng(index)
    values = [1, 1 << 31, (1 << 32) - 1, *(int(v) for v in rng.integers(0, 1 << 32, 200))]
    for value in values:
        assert step_register(index, value) == tausworthe(value, *TAUSWORTHE[index])


def test_words_are_those_of_the_slow_generator():
    slow = Slow(start(3, 1), 0.5)
    words = [slow.word() for _ in range(500)]
    assert random_words(start(3, 1), 500).tolist() == words
    state = np.array(start(3, 1), dtype=np.uint64)
    assert [int(next_word(state)) for _ in range(500)] == words


@pytest.mark.parametrize("rate", RATES)
def test_errors_are_those_of_the_slow_generator(rate):
    bits = min(int(400 / rate), 1 << 34)
    for seed in range(3):
        expected = Slow(start(seed, 5), rate).positions(bits)
        assert error_positions(start(seed, 5), gap_table(rate), bits).tolist() == expected
        assert len(expected) > 300 or rate < 1e-6


@pytest.mark.parametrize("rate", RATES)
def test_tables_have_the_probabilities_of_geometric_digits(rate):
    """Over all words: those of digit d are proportional to ((1 - rate)^(64^d))^k."""
    table = gap_table(rate)
    ratio = 1 - Fraction(rate)
    for place, entries in enumerate(table.tolist()):
        share = [0] * 64
        for column, entry in enumerate(entries):
            cut, other = divmod(entry, 64)
            share[column] += cut
            share[other] += (1 << 26) - cut
        step = float(ratio) ** 64**place if place else float(ratio)
        weights = step ** np.arange(64.0)
        exact = weights / weights.sum()
        found = np.array(share) / 2**32
        assert sum(share) == 1 << 32
        assert np.abs(found - exact)[1:].max() <= 1.01 * 2**-32
        assert abs(found[0] - exact[0]) <= 64 * 2**-32
    # What the digits leave out is rarer than a word.
    assert float(ratio) ** 64 ** len(table) < 2**-32


@pytest.mark.parametrize("index", range(3))
def test_a_jump_is_as_many_steps(index):
    for exponent in range(11):
        columns = jump_columns(index, exponent)
        for value in (1 << 31, 0x12345678, 0xFFFFFFFF):
            stepped = value
            for _ in range(1 << exponent):
                stepped = step_register(index, stepped)
            assert _times(columns, value) == stepped


@pytest.mark.parametrize("index", range(3))
def test_jumps_close_the_cycle(index):
    """A component of k bits has a period of 2^k - 1, so 2^k steps are one."""
    assert jump_columns(index, TAUSWORTHE[index][0]) == jump_columns(index, 0)
    assert jump_columns(index, 1) != jump_columns(index, 0)


def test_images_are_2_27_words_apart():
    first = start(7, 2)
    state = np.array(first, dtype=np.uint64)
    _walk(state, 1 << 27)
    assert start_of_image(first, 1) == tuple(
        int(word) & mask
        for word, mask in zip(state, (0xFFFFFFFE, 0xFFFFFFF8, 0xFFFFFFF0), strict=True)
    )
    for image in (0, 1, 2, 1000, 12345):
        several = starts_of_images(first, image, 3)
        assert several.tolist() == [list(start_of_image(first, image + k)) for k in range(3)]


def _times(columns: tuple[int, ...], value: int) -> int:
    result = 0
    for bit, column in enumerate(columns):
        result ^= column * (value >> bit & 1)
    return result


@njit
def _walk(state, steps):
    for _ in range(steps):
        next_word(state)
