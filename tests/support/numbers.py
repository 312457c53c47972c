# SPDX-License-Identifier: BSD-2-Clause
"""The random numbers of stochastic pixels by their definitions: bit by bit, in plain lists."""

import itertools

from twincell.model.generators import mix
from twincell.model.planes import Stochastic

# XAPP 052: feedback of the maximal LFSRs, for `shared`.
TAPS = {
    2: (2, 1), 3: (3, 2), 4: (4, 3), 5: (5, 3), 6: (6, 5), 7: (7, 6), 8: (8, 6, 5, 4),
    9: (9, 5), 10: (10, 7), 11: (11, 9), 12: (12, 6, 4, 1), 13: (13, 4, 3, 1),
    14: (14, 5, 3, 1), 15: (15, 14), 16: (16, 15, 13, 4),
}  # fmt: skip


def obvious_numbers(
    planes: Stochastic, image: int, presentations: int, pixels: int
) -> list[list[int]]:
    """Numbers of each presentation, for each pixel."""
    start = mix(planes.seed) % 2**31 or 1
    upcoming = _sequence([start >> n & 1 for n in range(31)], 13, 31 * (image + 1))
    return drawn(str(planes.generator), planes.bits, upcoming[31 * image :], presentations, pixels)


def drawn(
    generator: str, bits: int, start: list[int], presentations: int, pixels: int
) -> list[list[int]]:
    """The same, from the bits of the image's start."""
    if generator == "shared":
        return [[r] * pixels for r in _states(bits, start[:bits], presentations)]
    s = _sequence(start, 3, bits * presentations * pixels + 300)
    result = []
    for t in range(presentations):
        counter = [t >> (bits - 1 - j) & 1 for j in range(bits)]
        row = []
        for i in range(pixels):
            if generator == "lfsr":
                digits = s[bits * (t * pixels + i) :][:bits]
            elif generator == "taps":
                digits = [s[t * pixels + i + mark] for mark in _mian_chowla(bits)]
            else:
                digits = [a ^ b for a, b in zip(s[bits * i :][:bits], counter, strict=True)]
            v = sum(digit << j for j, digit in enumerate(digits))
            row.append(v + 1 if v < 2 ** (bits - 1) else v)
        result.append(row)
    return result


def _sequence(start: list[int], feedback: int, length: int) -> list[int]:
    bits = list(start)
    while len(bits) < length:
        bits.append(bits[-31 + feedback] ^ bits[-31])
    return bits


def _states(bits: int, start: list[int], count: int) -> list[int]:
    """Every so manieth state of the LFSR of ``bits`` bits."""
    state = start if any(start) else [1] + [0] * (bits - 1)
    period = 2**bits - 1
    leap = next(n for n in itertools.count(bits) if _coprime(n, period))
    found = []
    for _ in range(count):
        found.append(sum(bit << j for j, bit in enumerate(state)))
        for _ in range(leap):
            fed = sum(state[tap - 1] for tap in TAPS[bits]) % 2
            state = [fed, *state[:-1]]
    return found


def _coprime(a: int, b: int) -> bool:
    return not any(a % d == 0 and b % d == 0 for d in range(2, a + 1))


def _mian_chowla(count: int) -> list[int]:
    """The least numbers from 0 of which no two pairs are equally far apart."""
    marks: list[int] = []
    for n in itertools.count():
        distances = [b - a for a, b in itertools.combinations([*marks, n], 2)]
        if len(set(distances)) == len(distances):
            marks.append(n)
        if len(marks) == count:
            return marks
    raise AssertionError
