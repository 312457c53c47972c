# SPDX-License-Identifier: BSD-2-Clause
"""The integer generators of every random bit that hardware must match.

Each is defined once, here; the executors call it and the Amaranth components mirror it.
"""

import math
from functools import cache

import numpy as np

_U64 = (1 << 64) - 1

# Taps of maximal Fibonacci LFSRs (Xilinx XAPP 052, table 3), the highest being the width.
_TAPS = {
    2: (2, 1), 3: (3, 2), 4: (4, 3), 5: (5, 3), 6: (6, 5), 7: (7, 6), 8: (8, 6, 5, 4),
    9: (9, 5), 10: (10, 7), 11: (11, 9), 12: (12, 6, 4, 1), 13: (13, 4, 3, 1),
    14: (14, 5, 3, 1), 15: (15, 14), 16: (16, 15, 13, 4),
}  # fmt: skip


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


@cache
def lfsr_cycle(width: int) -> np.ndarray:
    """All ``2**width - 1`` non-zero states of the maximal LFSR in order, starting at 1, read-only.

    One step shifts left and enters the XOR of the tapped bits at the right.
    """
    if width not in _TAPS:
        raise ValueError(f"An LFSR is {min(_TAPS)} to {max(_TAPS)} bits wide, not {width!r}")
    states = np.empty((1 << width) - 1, dtype=np.uint32)
    state = 1
    for index in range(len(states)):
        states[index] = state
        feedback = 0
        for tap in _TAPS[width]:
            feedback ^= state >> (tap - 1)
        state = ((state << 1) | (feedback & 1)) & ((1 << width) - 1)
    states.setflags(write=False)
    return states


def lfsr_leap(width: int) -> int:
    """Steps between two draws: at least ``width``, so that no bit is used twice, and coprime to the
    period, so that the draws still visit every state."""
    period = (1 << width) - 1
    return next(leap for leap in range(width, period + 2) if math.gcd(leap, period) == 1)


def stochastic_thresholds(
    bits: int, seed: int, image: int, presentations: int, pixels: int
) -> np.ndarray:
    """The random numbers that binarize one image: uint32 (presentations, pixels), 1 to 2^bits - 1.

    Pixel ``x`` shows +1 in a presentation when ``x >= threshold``, so over the LFSR's period a
    pixel of value ``x`` shows +1 exactly ``x`` times in ``2^bits - 1``. One LFSR runs over all
    pixels of all presentations in index order and restarts at each image from ``mix(seed, image)``.
    """
    cycle = lfsr_cycle(bits)
    draws = np.arange(presentations * pixels, dtype=np.int64) * lfsr_leap(bits)
    start = mix(seed, image) % len(cycle)
    return cycle[(start + draws) % len(cycle)].reshape(presentations, pixels)
