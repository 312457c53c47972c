# SPDX-License-Identifier: BSD-2-Clause
"""Memory cells: the probability of each sensed state given the programmed one.

Two kinds of error are kept apart. What a *programming* leaves (resistances, mismatch of the sense
amplifier) is persistent, and is what ``transitions`` and ``sample`` describe. What differs from one
read to the next is transient, and is one number, ``read_error_rate``.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
from scipy.special import ndtr

from .knobs import Knobs

BINARY = (-1, +1)
TERNARY = (-1, 0, +1)
ROOT_2PI = math.sqrt(2 * math.pi)


@dataclass(frozen=True)
class Cell(Knobs, ABC):
    """One synapse. ``states`` are its weights, in the order of the rows and columns below."""

    states: ClassVar[tuple[int, ...]]
    devices: ClassVar[int]  # memory devices of a synapse

    @abstractmethod
    def transitions(self) -> np.ndarray:
        """``P[sensed | programmed]`` of a programming, in closed form: float64 (states, states), a
        row for each programmed state, a column for each sensed one. Rows sum to one."""

    def sample(self, rng: np.random.Generator, programmed: np.ndarray) -> np.ndarray:
        """Sensed state indices, uint8 of the shape of ``programmed``.

        Devices and mismatch of every synapse are drawn and compared, without :meth:`transitions`.
        Raises ``ValueError`` when ``programmed`` holds anything but state indices.
        """
        programmed = np.asarray(programmed)
        indices = np.arange(len(self.states))
        if not np.isin(programmed, indices).all():
            raise ValueError(f"Programmed states are indices {indices[0]} to {indices[-1]}")
        return self._sensed(rng, programmed.astype(np.uint8))

    @abstractmethod
    def _sensed(self, rng: np.random.Generator, programmed: np.ndarray) -> np.ndarray: ...

    def error_rate(self) -> float:
        """Probability that a programmed synapse is sensed wrong, over equally likely states."""
        wrong = ~np.eye(len(self.states), dtype=bool)
        return float(self.transitions()[wrong].sum() / len(self.states))

    def read_error_rate(self) -> float:
        """Probability that one read differs from what the programming left, over equally likely
        states; 0 for cells without a mechanism of transient errors."""
        return 0.0


class BinaryCell(Cell):
    """A cell whose sense amplifier reports the sign of a margin: positive is sensed as +1.

    The margin is normal, in units of ln-resistance. ``noise`` is its standard deviation from read
    to read.
    """

    states = BINARY
    noise: float

    @abstractmethod
    def margin_laws(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Mean and standard deviation of the noise-free margin of programmed -1 and +1."""

    @abstractmethod
    def margins(self, rng: np.random.Generator, programmed: np.ndarray) -> np.ndarray:
        """Noise-free margins, float64, of devices and mismatch that are drawn one by one."""

    def transitions(self) -> np.ndarray:
        (low, low_sd), (high, high_sd) = self.margin_laws()
        return two_state(float(ndtr(low / low_sd)), float(ndtr(-high / high_sd)))

    def _sensed(self, rng: np.random.Generator, programmed: np.ndarray) -> np.ndarray:
        return (self.margins(rng, programmed) > 0).astype(np.uint8)

    def read_error_rate(self) -> float:
        """Probability that noise turns the sign of the margin in one read."""
        return sum(sign_change(mean, sd, self.noise) for mean, sd in self.margin_laws()) / 2

    def sample_read_errors(self, rng: np.random.Generator, programmed: np.ndarray) -> np.ndarray:
        """One noisy read of freshly programmed cells: whether each differs from the noise-free
        comparison, bool of the shape of ``programmed``."""
        margins = self.margins(rng, np.asarray(programmed))
        return (margins > 0) != (margins + rng.normal(0.0, self.noise, margins.shape) > 0)


def two_state(minus_to_plus: float, plus_to_minus: float) -> np.ndarray:
    """The transition matrix of a binary cell."""
    up, down = minus_to_plus, plus_to_minus
    return np.array([[1 - up, up], [down, 1 - down]])


def sign_change(mean: float, sd: float, noise: float) -> float:
    """``P[sign(d) != sign(d + e)]`` for ``d ~ N(mean, sd^2)`` and ``e ~ N(0, noise^2)``.

    Gauss-Legendre over d, on either side of zero around the most likely d that is turned.
    """
    if noise == 0.0:
        return 0.0
    likely = mean * noise**2 / (noise**2 + sd**2)
    reach = 12 * noise * sd / math.hypot(noise, sd)
    total = 0.0
    for low, high in (
        (max(0.0, likely - reach), max(0.0, likely) + reach),
        (min(0.0, likely) - reach, min(0.0, likely + reach)),
    ):
        if low < high:
            d, weights = legendre(low, high)
            density = np.exp(-(((d - mean) / sd) ** 2) / 2) / (sd * ROOT_2PI)
            total += float((weights * density * ndtr(-np.abs(d) / noise)).sum())
    return total


def legendre(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights of a 300-point Gauss-Legendre rule from ``low`` to ``high``."""
    nodes, weights = _legendre()
    half = (high - low) / 2
    return half * nodes + (high + low) / 2, half * weights


@cache
def _legendre() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(300)
