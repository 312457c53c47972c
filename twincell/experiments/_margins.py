# SPDX-License-Identifier: BSD-2-Clause
"""Score margins of images, and how well they tell which images errors turn."""

import numpy as np

from ..sweeps.intervals import resamples
from ._report import CONFIDENCE


def margins(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Score of the right class less the best of the others: (images, classes) to (images,)."""
    others = scores.astype(np.float64)
    rows = np.arange(len(labels))
    right = others[rows, labels]
    others[rows, labels] = -np.inf
    return right - others.max(axis=1)


def auc(values: np.ndarray, wrong: np.ndarray) -> float:
    """Probability that an image that went wrong has a smaller value than one that did not.

    Ties count half. Both images and their maps are drawn at random; 0.5 is no relation.

    Parameters
    ----------
    values : (images,)
    wrong : bool (maps, images)
    """
    return float(_areas(values, wrong.sum(axis=0)[None], (~wrong).sum(axis=0)[None])[0])


def auc_interval(
    values: np.ndarray, wrong: np.ndarray, seed: int, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Interval of :func:`auc` over new maps and new images, by the bootstrap of sweeps."""
    bad, good = wrong.astype(np.float64), (~wrong).astype(np.float64)
    found = [
        _areas(values, of_maps @ bad * of_images, of_maps @ good * of_images)
        for of_maps, of_images in resamples(wrong.shape, np.random.SeedSequence(seed))
    ]
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(np.concatenate(found), [tail, 1 - tail])
    return float(low), float(high)


def _areas(values: np.ndarray, bad: np.ndarray, good: np.ndarray) -> np.ndarray:
    """The area of each row of weights (rows, images); nan where one kind is missing."""
    levels = np.unique(values)
    starts = np.searchsorted(values[order := np.argsort(values, kind="stable")], levels)
    at_bad = np.add.reduceat(bad[:, order].astype(np.float64), starts, axis=1)
    at_good = np.add.reduceat(good[:, order].astype(np.float64), starts, axis=1)
    above = at_good.sum(axis=1, keepdims=True) - np.cumsum(at_good, axis=1)
    with np.errstate(invalid="ignore"):
        return (at_bad * (above + at_good / 2)).sum(axis=1) / (
            at_bad.sum(axis=1) * at_good.sum(axis=1)
        )
