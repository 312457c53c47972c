# SPDX-License-Identifier: BSD-2-Clause
import re

import numpy as np
import pytest

from tests.support.simulate import PAUSES, play
from twincell.hw.gearbox import Gearbox, beats

BITS = 3
SHAPES = [  # elements, beat in, beat out
    (1, 1, 1), (7, 1, 7), (7, 7, 1), (7, 7, 7), (8, 2, 8), (8, 8, 2), (13, 1, 4), (13, 4, 1),
    (13, 8, 2), (13, 2, 8), (20, 4, 6), (20, 6, 4), (35, 5, 7), (35, 7, 5), (100, 8, 10),
    (100, 10, 8), (29, 7, 12), (29, 12, 7), (64, 49, 8), (31, 30, 29),
]  # fmt: skip


def _cut(vectors: np.ndarray, size: int) -> list[int]:
    """Vectors as beats of ``size`` elements; zeros beyond the end of each."""
    count = beats(vectors.shape[1], size)
    padded = np.pad(vectors, [(0, 0), (0, count * size - vectors.shape[1])])
    weights = [1 << (BITS * k) for k in range(size)]
    return [
        sum(int(value) * weight for value, weight in zip(beat, weights, strict=True))
        for beat in padded.reshape(-1, size)
    ]


def _joined(found: list[int], elements: int, size: int) -> list[list[int]]:
    """Beats as vectors, without what lies beyond their end."""
    count = beats(elements, size)
    values = [beat >> (BITS * k) & ((1 << BITS) - 1) for beat in found for k in range(size)]
    rows = [values[start : start + count * size] for start in range(0, len(values), count * size)]
    return [row[:elements] for row in rows]


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize(("elements", "i_size", "o_size"), SHAPES)
def test_vectors_pass_unchanged(elements, i_size, o_size, pauses):
    rng = np.random.default_rng(elements)
    vectors = rng.integers(0, 1 << BITS, (12, elements))
    gearbox = Gearbox(BITS, elements, i_size, o_size)
    wanted = len(vectors) * beats(elements, o_size)
    found, cycles = play(gearbox, _cut(vectors, i_size), wanted, pauses=pauses)
    assert _joined(found, elements, o_size) == vectors.tolist()
    if pauses == "none":
        slower = max(beats(elements, i_size), beats(elements, o_size))
        ends = np.array(cycles)[beats(elements, o_size) - 1 :: beats(elements, o_size)]
        assert set(np.diff(ends)[2:]) == {slower}, "a bubble between vectors"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 4, 1, 1), TypeError, "Bits must be a positive integer, not 0"),
        ((1, 0, 1, 1), TypeError, "Elements must be a positive integer, not 0"),
        ((1, 4, 5, 1), ValueError, "i_size must be from 1 to the 4 elements, not 5"),
        ((1, 4, 1, 0), ValueError, "o_size must be from 1 to the 4 elements, not 0"),
    ],
)
def test_bad_parameters(arguments, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        Gearbox(*arguments)
