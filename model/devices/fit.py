# SPDX-License-Identifier: BSD-2-Clause
"""Cells from measured resistances: a CSV file, two lognormal fits, and how well they fit."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from . import measurements
from .cell import Cell
from .codec import CELLS
from .measurements import MeasurementError
from .resistive import Differential, SingleEnded, TernaryDifferential
from .rram import Lognormal, Resistance

REQUIRED = ("state", "resistance_ohm")
OPTIONAL = ("cycle", "condition")
LEAST = 8  # values of a state
TESTED = 10_000  # values of a state that the tests of fit see at most


@dataclass(frozen=True, eq=False)
class Measurements:
    """Resistances as read: parallel arrays, one element for each row.

    ``hrs`` bool, ``ohm`` float64, ``cycle`` int64 (0 where not given), ``condition`` str (empty
    where not given).
    """

    hrs: np.ndarray
    ohm: np.ndarray
    cycle: np.ndarray
    condition: np.ndarray

    def where(self, chosen: np.ndarray) -> "Measurements":
        """The rows that are chosen."""
        return Measurements(
            self.hrs[chosen], self.ohm[chosen], self.cycle[chosen], self.condition[chosen]
        )

    def of_condition(self, condition: str) -> "Measurements":
        """The rows of one programming condition; raises with the names when there are none."""
        names = sorted(set(self.condition.tolist()))
        if condition not in names:
            raise MeasurementError(f"There is no condition {condition!r}, only {', '.join(names)}")
        return self.where(self.condition == condition)


def read(path: str | Path) -> Measurements:
    """Reads a CSV file with the columns of REQUIRED and, if wanted, of OPTIONAL.

    ``state`` is LRS or HRS, ``resistance_ohm`` a positive number, ``cycle`` an integer from 0, and
    ``condition`` any name. Raises :class:`MeasurementError` with the line and column.
    """
    path = Path(path)
    found = [row for _, row in measurements.rows(path, REQUIRED, OPTIONAL, _row)]
    if not found:
        raise MeasurementError(f"{path} has no rows")
    hrs, ohm, cycle, condition = zip(*found, strict=True)
    return Measurements(
        np.array(hrs), np.array(ohm), np.array(cycle, dtype=np.int64), np.array(condition)
    )


def _row(row: dict[str, str]) -> tuple[bool, float, int, str]:
    state = row["state"].strip().upper()
    if state not in ("LRS", "HRS"):
        raise ValueError(f"state is {row['state']!r}, not LRS or HRS")
    ohm = measurements.resistance(row)
    given = row.get("cycle", "")
    cycle = measurements.integer("cycle", given.strip() or "0", given, 18)
    return state == "HRS", ohm, cycle, row.get("condition", "").strip()


@dataclass(frozen=True)
class StateFit:
    """A lognormal fitted to the resistances of one state.

    ``mu_interval`` and ``sigma_interval`` are confidence intervals (Student, chi-squared).
    ``ks`` and ``ad`` are statistic and p-value of the Kolmogorov-Smirnov and Anderson-Darling tests
    with fitted parameters, whose p-values come from simulation: a small p-value speaks against the
    lognormal.
    """

    law: Lognormal
    count: int
    mu_interval: tuple[float, float]
    sigma_interval: tuple[float, float]
    ks: tuple[float, float]
    ad: tuple[float, float]


@dataclass(frozen=True)
class Fit:
    """Both states of a device, fitted."""

    lrs: StateFit
    hrs: StateFit
    confidence: float

    def resistance(self) -> Resistance:
        """The two fitted states; raises :class:`MeasurementError` without a window."""
        try:
            return Resistance(self.lrs.law, self.hrs.law)
        except ValueError as error:
            raise MeasurementError(str(error)) from None

    def cell(self, kind: str = "2T2R", **knobs: object) -> Cell:
        """A cell of the fitted devices: 1T1R, 2T2R or 2T2R-ternary, with its other knobs."""
        fitted = (SingleEnded, Differential, TernaryDifferential)
        names = [name for name, each in CELLS.items() if each in fitted]
        if kind not in names:
            raise ValueError(f"A fitted cell is one of {', '.join(names)}, not {kind!r}")
        make: Any = CELLS[kind]
        return make(resistance=self.resistance(), **knobs)


def fit(measurements: Measurements, *, confidence: float = 0.95, seed: int = 0) -> Fit:
    """Fits a lognormal to each state.

    ``seed`` is of the simulated p-values. Raises :class:`MeasurementError` when conditions are
    mixed, or when a state has fewer than LEAST values or only equal ones.
    """
    if len(names := sorted(set(measurements.condition.tolist()))) > 1:
        raise MeasurementError(f"Choose one condition of {', '.join(map(repr, names))}")
    states = {
        name: _fit_state(name, measurements.ohm[measurements.hrs == (name == "HRS")], confidence,
                         np.random.default_rng([seed, name == "HRS"]))
        for name in ("LRS", "HRS")
    }  # fmt: skip
    return Fit(states["LRS"], states["HRS"], confidence)


def _fit_state(name: str, ohm: np.ndarray, confidence: float, rng: np.random.Generator) -> StateFit:
    logs, count = np.log(ohm), len(ohm)
    if count < LEAST or np.ptp(logs) < 1e-6:
        raise MeasurementError(
            f"{name} has {count} values of {len(np.unique(ohm))} sizes; a fit needs {LEAST}, not "
            "all equal"
        )
    law, mu, sigma = lognormal_intervals(logs, confidence)
    if count > TESTED:
        logs = rng.choice(logs, TESTED, replace=False)
    return StateFit(law, count, mu, sigma, _goodness(logs, "ks", rng), _goodness(logs, "ad", rng))


def lognormal_intervals(
    logs: np.ndarray, confidence: float
) -> tuple[Lognormal, tuple[float, float], tuple[float, float]]:
    """The normal law of ``logs``, and the intervals of its mean and standard deviation."""
    count, mu, sigma = len(logs), float(logs.mean()), float(logs.std(ddof=1))
    tails = np.array([1 - confidence, 1 + confidence]) / 2
    means = mu + stats.t.ppf(tails, count - 1) * sigma / math.sqrt(count)
    sigmas = sigma * np.sqrt((count - 1) / stats.chi2.ppf(tails[::-1], count - 1))
    return Lognormal(mu, sigma), (means[0].item(), means[1].item()), tuple(sigmas.tolist())


def _goodness(logs: np.ndarray, statistic: str, rng: np.random.Generator) -> tuple[float, float]:
    samples = int(np.clip(2e6 // len(logs), 199, 1999))
    tested = stats.goodness_of_fit(
        stats.norm, logs, statistic=statistic, n_mc_samples=samples, rng=rng
    )
    return float(tested.statistic), float(tested.pvalue)
