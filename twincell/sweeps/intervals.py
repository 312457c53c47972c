# SPDX-License-Identifier: BSD-2-Clause
"""Intervals of an accuracy: over images, and over images and error maps at once."""

from collections.abc import Iterator

import numpy as np

from ..model.statistics import wilson

LEVEL = 0.95
RESAMPLES = 2000
_AT_ONCE = 100  # bounds the memory


def two_way(
    correct: np.ndarray, seed: np.random.SeedSequence, level: float = LEVEL
) -> tuple[float, float]:
    """Interval of the mean of ``correct``, uint8 (maps, images), over new maps and new images.

    A bootstrap that draws maps and images with replacement, independently of each other: the
    pigeonhole bootstrap, which errs on the wide side (A. B. Owen, Ann. Appl. Stat. 1:386, 2007).
    With one map, and where no image is ever right or none ever wrong, it is Wilson's interval over
    the images.
    """
    maps, images = correct.shape
    if maps == 1 or correct.all() or not correct.any():
        return wilson(int(correct[0].sum()), images, level)
    return bootstrap(correct, seed, level)


def difference(
    first: np.ndarray, second: np.ndarray, seed: np.random.SeedSequence, level: float = LEVEL
) -> tuple[float, float]:
    """Interval of ``mean(first - second)`` over new maps and new images.

    Both are real, (maps, images) or (1, images), of the same images and maps: the interval is that
    of the paired difference. Where no image differs it is what Wilson's interval leaves for
    the share of images that would.
    """
    values = np.asarray(first, np.float64) - second
    if not values.any():
        most = wilson(0, values.shape[1], level)[1]
        return -most, most
    return bootstrap(values, seed, level)


def bootstrap(
    values: np.ndarray, seed: np.random.SeedSequence, level: float = LEVEL
) -> tuple[float, float]:
    """Interval of the mean of ``values``, (maps, images), as :func:`two_way` describes it."""
    values = values.astype(np.float64)
    means = np.concatenate(
        [
            ((of_maps @ values) * of_images).sum(axis=1) / values.size
            for of_maps, of_images in resamples(values.shape, seed)
        ]
    )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resamples(
    shape: tuple[int, ...], seed: np.random.SeedSequence
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """RESAMPLES draws with replacement of maps and images, in batches: how often each is drawn,
    float64 (draws, maps) and (draws, images)."""
    rng = np.random.default_rng(seed)
    for first in range(0, RESAMPLES, _AT_ONCE):
        draws = min(_AT_ONCE, RESAMPLES - first)
        of_maps = _weights(rng, draws, shape[0])
        yield of_maps, _weights(rng, draws, shape[1])


def _weights(rng: np.random.Generator, draws: int, n: int) -> np.ndarray:
    """How often each of ``n`` is drawn when n are drawn with replacement: float64 (draws, n)."""
    picks = rng.integers(0, n, (draws, n)) + n * np.arange(draws)[:, None]
    return np.bincount(picks.reshape(-1), minlength=draws * n).reshape(draws, n).astype(np.float64)
