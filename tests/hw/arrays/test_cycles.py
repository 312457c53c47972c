# SPDX-License-Identifier: BSD-2-Clause
"""Cycles of an emulated memory: the model against the hardware, and expectations against it."""

import numpy as np
import pytest

from tests.support.simulate import play
from twincell.hw.arrays.cycles import cycles, expected_cycles
from twincell.hw.arrays.emulated import EmulatedArray
from twincell.model.generators import gap_table, start, starts_of_images

RATES = [2**-24, 1e-6, 1e-3, 0.02, 0.1, 0.5]
# Reads of an image and columns; images of one read have more restarts than reads.
SHAPES = [(1, 3), (2, 64), (11, 16), (40, 7)]


def _left(array: EmulatedArray, images: int) -> np.ndarray:
    """The cycle in which the last read of each image left."""
    count = images * array.reads
    _, found = play(array, [0] * count, count)
    return np.array(found)[array.reads - 1 :: array.reads]


@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("rate", RATES)
def test_the_model_is_exact(rate, ternary):
    for seed, (reads, columns) in enumerate(SHAPES):
        sign = np.zeros((2, columns), dtype=np.uint8)
        active = sign if ternary else None
        array = EmulatedArray(sign, active, reads=reads, rate=rate, start=start(seed, 3))
        per_image = array.expected_cycles()
        images = int(np.clip(900 / per_image, 2, 25))
        assert np.array_equal(_left(array, images), array.model_cycles(images)), (reads, columns)


def test_without_errors_a_read_leaves_every_cycle():
    array = EmulatedArray(np.zeros((2, 4)), reads=5)
    assert array.model_cycles(3).tolist() == [5, 10, 15] == _left(array, 3).tolist()
    assert array.expected_cycles() == 5
    assert cycles(np.zeros((2, 3)), None, 4, 8, since=10).tolist() == [14, 18]


def test_a_read_with_errors_takes_as_many_cycles_more():
    """With one digit a gap and time to draw ahead, that is all errors cost."""
    reads, bits, rate = 3, 4, 0.4
    table, first = gap_table(rate), start(8)
    assert len(table) == 1
    array = EmulatedArray(np.zeros((2, bits)), reads=reads, rate=rate, start=first)
    mask = array.model(np.zeros(reads, int), np.zeros((reads, bits)), np.ones((reads, bits)))[2]
    assert mask > 1
    late = array.model_cycles(1, since=1000)
    assert late.tolist() == [1000 + reads + mask]


@pytest.mark.parametrize("reads", [1, 8, 100])
@pytest.mark.parametrize("rate", RATES)
def test_expectations_hold_for_other_seeds(rate, reads):
    expected = expected_cycles(rate, reads, 64)
    images = int(np.clip(200_000 / (reads * 64 * rate), 50, 5000))
    found = cycles(starts_of_images(start(99), 5, images + 1), gap_table(rate), reads, 64)
    assert abs((found[-1] - found[0]) / images / expected - 1) < 0.02


def test_expectations_lie_between_what_the_parts_allow():
    """A gap takes a cycle a digit, a read one and one an error."""
    for rate in RATES:
        digits = len(gap_table(rate))
        for reads in (20, 300):
            errors = 64 * reads * rate
            found = expected_cycles(rate, reads, 64)
            assert max(reads, digits * errors) * 0.99 < found < reads + digits * errors + 12
