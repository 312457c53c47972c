# SPDX-License-Identifier: BSD-2-Clause
"""The random numbers that binarize stochastic pixels: each generator is defined once, here.

Pixel ``x`` of ``b`` bits shows +1 in a presentation when ``x >= r``, with a random number ``r``
from 1 to ``2^b - 1``. Numbers are drawn in the order in which hardware meets the pixels: all of the
first presentation, then all of the second. Of the generators,

* ``lfsr`` gives each pixel ``b`` fresh bits of one sequence;
* ``taps`` gives each pixel one fresh bit of that sequence and reads the others at fixed distances,
  all of whose differences are different, so that two pixels have one bit in common at most: a
  sequence for an eighth of the gates;
* ``low-discrepancy`` gives each pixel ``b`` bits that stay for all presentations, XORed with a
  counter of the presentations whose bits are reversed (the radical inverse of J. G. van der Corput,
  scrambled digit by digit), so that a pixel's numbers are evenly spread;
* ``shared`` gives all pixels of a presentation the state of a maximal LFSR of ``b`` bits.

The sequence is that of a maximal LFSR of 31 bits, ``s[n + 31] = s[n + 3] ^ s[n]``. Its period,
``2^31 - 1``, is a prime, so draws of any number of bits visit every state. ``b`` of its bits are
0 to ``2^b - 1``; a value ``v`` below the middle counts as ``v + 1``, so that no pixel of 0 shows +1
and every other has ``x + [x >= 2^(b-1)]`` of ``2^b`` chances. The states of ``shared`` are 1 to
``2^b - 1``, and give exactly ``x`` of ``2^b - 1``.

Each image starts with a state of its own, from a second register (``u[n + 31] = u[n + 13] ^ u[n]``)
which moves on by 31 steps an image: so any image can be started at without those before it.
"""

import math
from enum import StrEnum
from functools import cache

import numpy as np
from numba import njit

from .generators import apply, mix, twice

WIDTH = 31
MASK = (1 << WIDTH) - 1
FEEDBACK = 3  # s[n + 31] = s[n + 3] ^ s[n]
START_FEEDBACK = 13  # u[n + 31] = u[n + 13] ^ u[n]

# Places of a number's bits, lowest first: the Mian-Chowla sequence less 1 (OEIS A005282), of which
# no two pairs are equally far apart.
MARKS = (0, 1, 3, 7, 12, 20, 30, 44, 65, 80, 96, 122, 147, 181, 203, 251)

# Taps of maximal Fibonacci LFSRs (Xilinx XAPP 052, table 3), the highest being the width.
_TAPS = {
    2: (2, 1), 3: (3, 2), 4: (4, 3), 5: (5, 3), 6: (6, 5), 7: (7, 6), 8: (8, 6, 5, 4),
    9: (9, 5), 10: (10, 7), 11: (11, 9), 12: (12, 6, 4, 1), 13: (13, 4, 3, 1),
    14: (14, 5, 3, 1), 15: (15, 14), 16: (16, 15, 13, 4),
}  # fmt: skip


class Generator(StrEnum):
    """Where the random numbers of stochastic pixels come from."""

    LFSR = "lfsr"  # fresh bits for every pixel
    TAPS = "taps"  # one fresh bit for every pixel, which shares the others with its neighbours
    LOW_DISCREPANCY = "low-discrepancy"  # of each pixel, evenly spread over its presentations
    SHARED = "shared"  # one number for all pixels of a presentation


def lfsr_step(width: int, state: int) -> int:
    """The state after ``state`` of the maximal LFSR of 2 to 16 bits: shifted left, with the XOR of
    the tapped bits at the right.

    Raises ``ValueError`` for other widths.
    """
    if width not in _TAPS:
        raise ValueError(f"An LFSR is {min(_TAPS)} to {max(_TAPS)} bits wide, not {width!r}")
    feedback = 0
    for tap in _TAPS[width]:
        feedback ^= state >> (tap - 1)
    return ((state << 1) | (feedback & 1)) & ((1 << width) - 1)


def lfsr_leap(width: int) -> int:
    """Steps between two draws: at least ``width``, so that no bit is used twice, and coprime to the
    period, so that the draws still visit every state."""
    period = (1 << width) - 1
    return next(leap for leap in range(width, period + 2) if math.gcd(leap, period) == 1)


def lfsr_draw(width: int, state: int) -> int:
    """The state of the next draw, :func:`lfsr_leap` steps later."""
    for _ in range(lfsr_leap(width)):
        state = lfsr_step(width, state)
    return state


@cache
def _draws(width: int) -> np.ndarray:
    """The next draw of every state, uint32 (2^width,)."""
    return np.array([lfsr_draw(width, state) for state in range(1 << width)], dtype=np.uint32)


def start_step(register: int) -> int:
    """What the next image starts with, when this one starts with ``register``."""
    near = WIDTH - START_FEEDBACK  # of the new bits: those that the old ones suffice for
    low = (register ^ (register >> START_FEEDBACK)) & ((1 << near) - 1)
    high = (low ^ (register >> near)) & ((1 << START_FEEDBACK) - 1)
    return low | high << near


@cache
def _jump(exponent: int) -> tuple[int, ...]:
    """What each bit of the start register becomes after ``2^exponent`` images."""
    if exponent == 0:
        return tuple(start_step(1 << bit) for bit in range(WIDTH))
    return twice(_jump(exponent - 1))


def start_register(seed: int, image: int = 0) -> int:
    """The start register of an image, 1 to ``2^31 - 1``."""
    register = mix(seed) & MASK or 1
    for bit in range(image.bit_length()):
        if image >> bit & 1:
            register = apply(_jump(bit), register)
    return register


def numbers(
    generator: Generator | str, bits: int, start: int, presentations: int, pixels: int
) -> np.ndarray:
    """The random numbers of one image, uint32 (presentations, pixels), 1 to ``2^bits - 1``.

    ``start`` is the image's :func:`start_register`.
    """
    out = np.empty((presentations, pixels), dtype=np.uint32)
    match Generator(generator):
        case Generator.LFSR:
            _lfsr(start, bits, out.reshape(-1))
        case Generator.TAPS:
            _taps(start, np.array(MARKS[:bits]), out.reshape(-1))
        case Generator.LOW_DISCREPANCY:
            _lfsr(start, bits, out[0])
            _scramble(bits, out)
        case Generator.SHARED:
            _shared(start & ((1 << bits) - 1) or 1, _draws(bits), out)
            return out
    out += out < 1 << bits - 1
    return out


@njit(cache=True, nogil=True)
def _lfsr(state, bits, out):
    mask = (1 << bits) - 1
    for index in range(len(out)):
        out[index] = state & mask
        fresh = (state ^ (state >> FEEDBACK)) & mask
        state = (state >> bits) | (fresh << (WIDTH - bits))


@njit(cache=True, nogil=True, boundscheck=False)
def _taps(state, marks, out):
    sequence = np.empty(len(out) + max(marks[-1], WIDTH), dtype=np.uint32)
    for n in range(WIDTH):
        sequence[n] = state >> n & 1
    for n in range(len(sequence) - WIDTH):
        sequence[n + WIDTH] = sequence[n + FEEDBACK] ^ sequence[n]
    for index in range(len(out)):
        value = np.uint32(0)
        for bit in range(len(marks)):
            value |= sequence[index + marks[bit]] << np.uint32(bit)
        out[index] = value


@njit(cache=True, nogil=True)
def _scramble(bits, out):
    """Presentations behind the first, whose numbers are there."""
    for presentation in range(len(out) - 1, -1, -1):
        reverse = np.uint32(0)
        for bit in range(bits):
            reverse |= np.uint32((presentation >> bit & 1) << (bits - 1 - bit))
        for index in range(out.shape[1]):
            out[presentation, index] = out[0, index] ^ reverse


@njit(cache=True, nogil=True)
def _shared(state, draws, out):
    for presentation in range(len(out)):
        out[presentation] = state
        state = draws[state]


@njit(cache=True, nogil=True, boundscheck=False)
def compare(pixels, thresholds, packed):
    """Whether each pixel reaches its number in each presentation, as packed bits.

    Parameters
    ----------
    pixels : uint32 (n,)
    thresholds : uint32 (presentations, n)
    packed : uint64 (presentations, words), overwritten
    """
    packed[:] = 0
    for presentation in range(len(thresholds)):
        for index in range(len(pixels)):
            bit = np.uint64(pixels[index] >= thresholds[presentation, index])
            packed[presentation, index >> 6] |= bit << np.uint64(index & 63)
