# SPDX-License-Identifier: BSD-2-Clause
"""The fast model of area: terms that follow from a plan times coefficients fitted to syntheses."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ...model.planes import Stochastic
from ..layer_plan import LayerPlan
from ..pool_plan import PoolPlan
from .features import pool_terms, presenter_terms, terms
from .synthesis import Cells, Part

# Written by `make bench-estimate-fit`, with the error on points that were held back.
COEFFICIENTS = Path(__file__).with_name("coefficients.json")

Coefficients = Mapping[str, Mapping[str, list[float]]]


@cache
def calibration() -> dict:
    """Coefficients, and how far they are from syntheses: see ``benchmarks/``."""
    return json.loads(COEFFICIENTS.read_text())


def cells(
    layer: LayerPlan, array: str, beat: int, coefficients: Coefficients | None = None
) -> dict[Part, Cells]:
    """Transistors and registers of each part of a layer, without those of memory cells.

    Parameters
    ----------
    layer : the plan
    array : one of :data:`~.features.ARRAYS`
    beat : elements of a beat that come to it
    coefficients : transistors and register bits of each term, by formula; by default those of
        :func:`calibration`
    """
    known = coefficients or calibration()["coefficients"]
    return {
        part: _cells(known[f"{part}: {formula}"], found)
        for (part, formula), found in terms(layer, array, beat).items()
    }


def presenter_cells(
    planes: Stochastic, pixels: int, size: int, most: int, coefficients: Coefficients | None = None
) -> Cells:
    """The same of what draws the planes of a stochastic input; see
    :func:`~.features.presenter_terms`."""
    known = coefficients or calibration()["coefficients"]
    found = presenter_terms(planes, pixels, size, most)
    return _cells(known[f"{Part.RANDOM}: {planes.generator}"], found)


def pool_cells(pool: PoolPlan, beat: int, coefficients: Coefficients | None = None) -> Cells:
    """The same of a pooling; see :func:`~.features.pool_terms`."""
    known = coefficients or calibration()["coefficients"]
    return _cells(known[f"{Part.CONTROL}: pool"], pool_terms(pool, beat))


def _cells(each: Mapping[str, list[float]], found: Mapping[str, float]) -> Cells:
    sums = [sum(each[term][k] * value for term, value in found.items()) for k in (0, 1)]
    return Cells(round(sums[0]), round(sums[1]))
