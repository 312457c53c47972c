# SPDX-License-Identifier: BSD-2-Clause
"""Intervals of accuracies: known cases and coverage."""

import numpy as np
import pytest

from twincell.sweeps.intervals import two_way, wilson

SEED = np.random.SeedSequence(1)


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
    truth = 0.5 + 0.5 * np.tanh(1.0)  # checked below by many draws
    harm, ease = rng.normal(0, 0.3, (4000, 1)), rng.normal(1.0, 1.0, (1, 4000))
    truth = (ease > harm).mean()
    for trial in range(trials):
        harm, ease = rng.normal(0, 0.3, (20, 1)), rng.normal(1.0, 1.0, (1, 150))
        correct = (ease + rng.normal(0, 0.2, (20, 150)) > harm).astype(np.uint8)
        low, high = two_way(correct, np.random.SeedSequence(trial))
        covered += low <= truth <= high
    assert 0.92 * trials <= covered < trials
