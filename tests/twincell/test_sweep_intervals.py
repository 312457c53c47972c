# SPDX-License-Identifier: BSD-2-Clause
"""Intervals of accuracies: known cases and coverage."""

from statistics import NormalDist

import numpy as np
import pytest

from twincell.model.statistics import wilson
from twincell.sweeps.intervals import difference, two_way

SEED = np.random.SeedSequence(1)
DIFFERENCE = NormalDist().cdf(1) - NormalDist().cdf(0.7 / 1.13**0.5)


def test_wilson_in_closed_form():
    low, high = wilson(8, 10)
    z, n, p = 1.959963984540054, 10, 0.8
    centre, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert low == pytest.approx((centre - half) / (1 + z * z / n))
    assert high == pytest.approx((centre + half) / (1 + z * z / n))


def test_one_map_and_constant_maps_are_wilson():
    one = (np.arange(50) < 45).astype(np.uint8)[None]
    assert two_way(one, SEED) == wilson(45, 50)
    assert two_way(np.ones((7, 50), np.uint8), SEED) == wilson(50, 50)
    assert two_way(np.zeros((7, 50), np.uint8), SEED) == wilson(0, 50)


def test_the_seed_decides():
    correct = np.random.default_rng(0).integers(0, 2, (5, 40)).astype(np.uint8)
    assert two_way(correct, SEED) == two_way(correct, SEED)
    assert two_way(correct, SEED) != two_way(correct, np.random.SeedSequence(2))


@pytest.mark.parametrize(
    ("correct", "spread"),
    [
        # Equal maps: the images alone. Equal images: the maps alone.
        (np.tile(np.arange(400) < 300, (20, 1)), np.sqrt(0.75 * 0.25 / 400)),
        (np.tile(np.arange(40) < 30, (300, 1)).T, np.sqrt(0.75 * 0.25 / 40)),
    ],
)
def test_width_where_one_side_decides(correct, spread):
    low, high = two_way(correct.astype(np.uint8), SEED)
    assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.08)
    assert low < 0.75 < high


def test_coverage():
    """Maps and images both matter: an image is right when its ease exceeds the map's harm."""
    rng, covered, trials = np.random.default_rng(7), 0, 200
    truth = NormalDist().cdf(1.0 / (1.0 + 0.3**2 + 0.2**2) ** 0.5)
    for trial in range(trials):
        harm, ease = rng.normal(0, 0.3, (20, 1)), rng.normal(1.0, 1.0, (1, 150))
        correct = (ease + rng.normal(0, 0.2, (20, 150)) > harm).astype(np.uint8)
        low, high = two_way(correct, np.random.SeedSequence(trial))
        covered += low <= truth <= high
    assert 0.92 * trials <= covered < trials


def test_a_paired_difference_is_narrower_than_unpaired_ones():
    """Two networks that agree on all but a few images, on the same maps."""
    rng = np.random.default_rng(4)
    first = (rng.random((1, 2000)) < 0.9).astype(np.uint8).repeat(15, axis=0)
    worse = rng.random((15, 2000)) < 0.02
    low, high = difference(first, first & ~worse, SEED, 0.99)
    truth = 0.02 * first.mean()
    assert low < truth < high and high - low < 0.008
    assert difference(first & ~worse, first, SEED, 0.99)[1] == pytest.approx(-low)
    assert two_way(first, SEED, 0.99)[1] - two_way(first, SEED, 0.99)[0] > 4 * (high - low)


def test_a_difference_that_is_never_seen_still_has_a_width():
    same = np.ones((4, 300))
    assert difference(same, same[:1], SEED) == (-wilson(0, 300)[1], wilson(0, 300)[1])


def test_coverage_of_a_difference():
    covered = 0
    for trial in range(200):
        rng = np.random.default_rng(trial)
        ease = rng.normal(1, 1, (1, 200))
        harm = rng.normal(0, 0.3, (15, 1))
        second = ease + rng.normal(0, 0.2, (15, 200)) > harm + 0.3
        low, high = difference(ease > 0, second, np.random.SeedSequence(trial))
        covered += low <= DIFFERENCE <= high
    assert 0.92 * 200 <= covered < 200
