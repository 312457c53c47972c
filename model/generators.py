# SPDX-License-Identifier: BSD-2-Clause
"""The integer generators of the bit errors that hardware must match.

Each is defined once, here; the executors call it and the Amaranth components mirror it. (Those of
stochastic pixels are in :mod:`~twincell.model.stochastic`.)

Bit errors are drawn as the *gaps* between them: in a row of bits that each fail with probability
``p``, the number of sound bits before the next failing one is geometric. Its digits in base 64 are
independent, so a gap is drawn digit by digit from tables, with integers only, and a generator costs
per error and not per bit.

* The words come from taus88 (P. L'Ecuyer, Math. Comp. 65:203, 1996): three shift registers of 31,
  29 and 28 bits, period about 2^88.
* A digit takes one word: its upper 6 bits choose an entry of the digit's table, its lower 26 bits
  are compared with the entry's threshold and decide between the entry's own number and its alias
  (A. J. Walker, Electron. Lett. 10:127, 1974).
* The errors of image ``i`` come from the ``i``-th stretch of 2^27 words of one sequence, so any
  image can be started at without those before it, and no two images share a word as long as an
  image draws fewer.
"""

from fractions import Fraction
from functools import cache, lru_cache

import numpy as np
from numba import njit

_U64 = (1 << 64) - 1
_U32 = (1 << 32) - 1

Registers = tuple[int, int, int]  # of taus88

RADIX_BITS = 6
RADIX = 1 << RADIX_BITS
FRACTION_BITS = 26
LEAST_RATE = 2.0**-40

SPLITMIX_STEP = np.uint64(0x9E3779B97F4A7C15)
_JUMP = 27  # log2 of the words between two images
# Of each register: feedback shift, feedback shift back, mask of the bits that count, shift.
_TAUS88 = (
    (13, 19, 0xFFFFFFFE, 12),
    (2, 25, 0xFFFFFFF8, 4),
    (3, 11, 0xFFFFFFF0, 17),
)


def mix(*values: int) -> int:
    """A 64-bit seed from non-negative integers: the splitmix64 finalizer, chained.

    Used wherever a generator restarts: ``mix(seed, stream, image)``.
    """
    state = 0
    for value in values:
        state = (state + 0x9E3779B97F4A7C15 + (value & _U64)) & _U64
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _U64
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _U64
        state ^= state >> 31
    return state


@njit(inline="always")
def splitmix(state):
    """The word of the splitmix64 sequence that belongs to ``state``, uint64; states are
    ``SPLITMIX_STEP`` apart."""
    word = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


def step_register(index: int, value: int) -> int:
    """The next value of one of taus88's three 32-bit registers."""
    left, right, mask, shift = _TAUS88[index]
    feedback = (((value << left) & _U32) ^ value) >> right
    return (((value & mask) << shift) & _U32) ^ feedback


@cache
def jump_columns(index: int, exponent: int = _JUMP) -> tuple[int, ...]:
    """What each bit of a register becomes after ``2^exponent`` steps: 32 columns of a matrix over
    GF(2). The default exponent leads from the start of one image to that of the next."""
    if exponent == 0:
        return tuple(step_register(index, 1 << bit) for bit in range(32))
    return twice(jump_columns(index, exponent - 1))


def twice(columns: tuple[int, ...]) -> tuple[int, ...]:
    """The columns of a matrix over GF(2) times itself."""
    return tuple(apply(columns, column) for column in columns)


def apply(columns: tuple[int, ...], value: int) -> int:
    """A matrix over GF(2), as columns, times the bits of a value."""
    result = 0
    for bit, column in enumerate(columns):
        if value >> bit & 1:
            result ^= column
    return result


def start(seed: int, *stream: int) -> Registers:
    """The three registers with which a stream starts, from a seed and the stream's integers.

    Bits that do not count are 0, and no register is 0.
    """
    registers = []
    for index, (_, _, mask, _) in enumerate(_TAUS88):
        value = mix(seed, *stream, index) & mask
        registers.append(value or 1 << 31)
    return registers[0], registers[1], registers[2]


def start_of_image(first: Registers, image: int) -> Registers:
    """The registers with which image ``image`` starts, when image 0 starts with ``first``."""
    registers = list(first)
    for index, (_, _, mask, _) in enumerate(_TAUS88):
        for bit in range(image.bit_length()):
            if image >> bit & 1:
                registers[index] = apply(jump_columns(index, _JUMP + bit), registers[index])
        registers[index] &= mask
    return registers[0], registers[1], registers[2]


@lru_cache(maxsize=256)  # ternary training asks for another rate in each step
def gap_table(rate: float) -> np.ndarray:
    """Tables of the gaps between errors of probability ``rate``: uint32 (digits, 64), read-only.

    Entry ``k`` of digit ``d`` holds a threshold of 26 bits over an alias of 6 bits. Digit ``d`` is
    ``k`` with a probability proportional to ``(1 - rate)^(k 64^d)``, exact to 2^-32, and for the
    first entry, which takes the rest, to 2^-26. There are as many digits as leave a gap beyond them
    a probability below 2^-32.

    Raises ``ValueError`` unless ``LEAST_RATE <= rate <= 1``.
    """
    if not LEAST_RATE <= rate <= 1:
        raise ValueError(f"An error rate is {LEAST_RATE:g} to 1, not {rate!r}")
    scale = 256  # fractional bits
    ratio = (1 << scale) - int(Fraction(rate) * (1 << scale))
    digits = []
    while not digits or (ratio >> (scale - 32)) > 0:
        powers = [1 << scale]
        for _ in range(RADIX):
            powers.append(powers[-1] * ratio >> scale)
        digits.append(_alias_table(powers[:RADIX]))
        ratio = powers[RADIX]
    table = np.array(digits, dtype=np.uint32)
    table.setflags(write=False)
    return table


def _alias_table(weights: list[int]) -> list[int]:
    """Walker's table of integer weights: entries of a threshold over an alias."""
    whole = 1 << FRACTION_BITS
    total = sum(weights)
    shares = [weight * (RADIX * whole) // total for weight in weights]
    shares[0] += RADIX * whole - sum(shares)  # what rounding down has left, at most 63 units
    small = [k for k, share in enumerate(shares) if share < whole]
    large = [k for k, share in enumerate(shares) if share >= whole]
    # A full entry is its own alias, so its threshold does not matter.
    entries = [(whole - 1) << RADIX_BITS | k for k in range(RADIX)]
    while small:
        needy, giver = small.pop(), large[-1]
        entries[needy] = shares[needy] << RADIX_BITS | giver
        shares[giver] -= whole - shares[needy]
        if shares[giver] < whole:
            small.append(large.pop())
    return entries


@njit(cache=True, nogil=True, inline="always")
def _stepped(s1, s2, s3):
    """The three registers, uint32, after one step. Results are narrowed because numba widens what
    it shifts."""
    a = np.uint32((s1 & np.uint32(0xFFFFFFFE)) << np.uint32(12))
    b = np.uint32((s2 & np.uint32(0xFFFFFFF8)) << np.uint32(4))
    c = np.uint32((s3 & np.uint32(0xFFFFFFF0)) << np.uint32(17))
    s1 = np.uint32(np.uint32(s1 << np.uint32(13)) ^ s1)
    s2 = np.uint32(np.uint32(s2 << np.uint32(2)) ^ s2)
    s3 = np.uint32(np.uint32(s3 << np.uint32(3)) ^ s3)
    return (
        np.uint32(a ^ np.uint32(s1 >> np.uint32(19))),
        np.uint32(b ^ np.uint32(s2 >> np.uint32(25))),
        np.uint32(c ^ np.uint32(s3 >> np.uint32(11))),
    )


@njit(cache=True, nogil=True, inline="always")
def _gap(s1, s2, s3, table):
    """Sound bits before the next failing one, int64, and the registers after it."""
    gap = np.int64(0)
    for digit in range(len(table)):
        s1, s2, s3 = _stepped(s1, s2, s3)
        word = np.uint32(s1 ^ s2 ^ s3)
        index = np.uint32(word >> np.uint32(26))
        entry = table[digit, index]
        alias = np.uint32(entry & np.uint32(0x3F))
        aliased = np.uint32((word & np.uint32(0x3FFFFFF)) >= np.uint32(entry >> np.uint32(6)))
        # A choice without a branch, which would be mispredicted every few words.
        index ^= (index ^ alias) & np.uint32(-np.int32(aliased))
        gap += np.int64(index) << np.int64(6 * digit)
    return gap, s1, s2, s3


@njit(cache=True, nogil=True, inline="always")
def _loaded(registers):
    return np.uint32(registers[0]), np.uint32(registers[1]), np.uint32(registers[2])


@njit(cache=True, nogil=True)
def next_word(registers):
    """Steps taus88, uint64 (3,), and returns its 32-bit word."""
    s1, s2, s3 = _loaded(registers)
    s1, s2, s3 = _stepped(s1, s2, s3)
    registers[0], registers[1], registers[2] = s1, s2, s3
    return np.uint64(s1 ^ s2 ^ s3)


@njit(cache=True, nogil=True)
def next_gap(registers, table):
    """Sound bits before the next failing one: int64, from registers uint64 (3,) and a table."""
    s1, s2, s3 = _loaded(registers)
    gap, s1, s2, s3 = _gap(s1, s2, s3, table)
    registers[0], registers[1], registers[2] = s1, s2, s3
    return gap


@njit(cache=True, nogil=True, boundscheck=False)
def fill_positions(registers, table, bits, position, out):
    """Positions of errors below ``bits`` into ``out``, from ``position`` on: how many, and the
    position of the error after them."""
    s1, s2, s3 = _loaded(registers)
    count = 0
    while position < bits and count < len(out):
        out[count] = position
        count += 1
        gap, s1, s2, s3 = _gap(s1, s2, s3, table)
        position += 1 + gap
    registers[0], registers[1], registers[2] = s1, s2, s3
    return count, position


def error_positions(registers: Registers, table: np.ndarray, bits: int) -> np.ndarray:
    """Which of ``bits`` bits in a row fail: ascending positions, int64."""
    state = np.array(registers, dtype=np.uint64)
    position = int(next_gap(state, table))
    parts = []
    while position < bits:
        part = np.empty(1 << 16, dtype=np.int64)
        count, position = fill_positions(state, table, bits, position, part)
        parts.append(part[:count])
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


@njit(cache=True, nogil=True)
def _fill_words(registers, out):
    s1, s2, s3 = _loaded(registers)
    for index in range(len(out)):
        s1, s2, s3 = _stepped(s1, s2, s3)
        out[index] = s1 ^ s2 ^ s3


def random_words(registers: Registers, count: int) -> np.ndarray:
    """The first ``count`` words of taus88: uint64 (count,), each below 2^32."""
    words = np.empty(count, dtype=np.uint64)
    _fill_words(np.array(registers, dtype=np.uint64), words)
    return words


@njit(cache=True, nogil=True)
def _advance(columns, masks, registers):
    """Start registers of successive images, uint64 (images, 3), from those of the first."""
    for image in range(1, len(registers)):
        for index in range(3):
            value, result = registers[image - 1, index], np.uint64(0)
            for bit in range(32):
                result ^= columns[index, bit] * (value >> np.uint64(bit) & np.uint64(1))
            registers[image, index] = result & masks[index]


def starts_of_images(first: Registers, image: int, count: int) -> np.ndarray:
    """Registers with which images ``image`` to ``image + count - 1`` start, uint64 (count, 3)."""
    registers = np.zeros((count, 3), dtype=np.uint64)
    if count:
        registers[0] = start_of_image(first, image)
        columns = np.array([jump_columns(index) for index in range(3)], dtype=np.uint64)
        _advance(columns, np.array([m for _, _, m, _ in _TAUS88], dtype=np.uint64), registers)
    return registers
