# SPDX-License-Identifier: BSD-2-Clause
"""RRAM cells: 1T1R with a reference, complementary 2T2R, ternary 2T2R.

Polarity: +1 is a more resistive device on the bit line BL. What is physically undefined, such as
two equal resistances, is decided by the drawn values and the mismatch, once for a programming.
"""

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy.special import ndtr

from .cell import ROOT_2PI, TERNARY, BinaryCell, Cell, legendre
from .knobs import kinds, knob, within
from .rram import Programming, Resistance
from .sensing import Sensing

States = Resistance | Programming
REFERENCES = ("equal-tail", "optimal")
MAX_OHM = 1e30  # as good as infinite: every branch resolves


def optimal_reference(low: tuple[float, float], high: tuple[float, float]) -> float:
    """The threshold with the fewest errors between two equally likely normal laws (mean, sd): where
    their densities are equal; with two crossings, the better one."""
    (m, s), (n, t) = low, high
    if math.isclose(s, t, rel_tol=1e-9):
        return (m + n) / 2
    a, b = 1 / s**2 - 1 / t**2, n / t**2 - m / s**2
    c = (m / s) ** 2 - (n / t) ** 2 - 2 * math.log(t / s)
    root = math.sqrt(b * b - a * c)
    crossings = ((-b + root) / a, (-b - root) / a)
    return min(crossings, key=lambda x: ndtr((m - x) / s) + ndtr((x - n) / t))


@dataclass(frozen=True)
class SingleEnded(BinaryCell):
    """1T1R: one device, HRS for +1, compared with a reference resistance.

    Parameters
    ----------
    resistance : the two states, given or as programming leaves them
    reference : ohm, or ``equal-tail`` (both states err equally often), or ``optimal`` (fewest
        errors in all)
    offset : mismatch of the sense amplifier and its reference, standard deviation in ln-resistance
    noise : the same from read to read
    """

    devices = 1
    resistance: States = field(metadata=kinds(Resistance, Programming))
    reference: float | str = "equal-tail"
    offset: float = knob(0.0, 10.0, "ln ohm", 0.0)
    noise: float = knob(0.0, 10.0, "ln ohm", 0.0)

    def __post_init__(self):
        super().__post_init__()
        if isinstance(self.reference, str):
            if self.reference not in REFERENCES:
                names = " or ".join(REFERENCES)
                raise ValueError(f"reference is ohm, {names}, not {self.reference!r}")
        else:
            value = within("reference", self.reference, 1.0, MAX_OHM, "ohm")
            object.__setattr__(self, "reference", value)

    def _laws(self) -> tuple[tuple[float, float], tuple[float, float]]:
        lrs, hrs = self.resistance.lrs, self.resistance.hrs
        return (
            (lrs.mu, math.hypot(lrs.sigma, self.offset)),
            (hrs.mu, math.hypot(hrs.sigma, self.offset)),
        )

    def log_reference(self) -> float:
        """Natural logarithm of the reference in ohm."""
        low, high = self._laws()
        if self.reference == "equal-tail":
            return (low[0] * high[1] + high[0] * low[1]) / (low[1] + high[1])
        if self.reference == "optimal":
            return optimal_reference(low, high)
        return math.log(self.reference)

    def margin_laws(self):
        x = self.log_reference()
        low, high = self._laws()
        return (low[0] - x, low[1]), (high[0] - x, high[1])

    def margins(self, rng, programmed):
        lrs, hrs = self.resistance.lrs, self.resistance.hrs
        device = np.where(programmed == 1, hrs.draw(rng, programmed), lrs.draw(rng, programmed))
        mismatch = rng.normal(0.0, self.offset, programmed.shape)
        return np.log(device) - self.log_reference() + mismatch


@dataclass(frozen=True)
class Differential(BinaryCell):
    """2T2R: two devices in opposite states, compared with each other.

    The error rate is ``Q((muH - muL) / sqrt(sL^2 + sH^2 + offset^2))``.

    Parameters
    ----------
    resistance : the two states, given or as programming leaves them
    offset : mismatch of the sense amplifier, standard deviation in ln-resistance
    noise : the same from read to read
    """

    devices = 2
    resistance: States = field(metadata=kinds(Resistance, Programming))
    offset: float = knob(0.0, 10.0, "ln ohm", 0.0)
    noise: float = knob(0.0, 10.0, "ln ohm", 0.0)

    def margin_laws(self):
        lrs, hrs = self.resistance.lrs, self.resistance.hrs
        mean = hrs.mu - lrs.mu
        sd = math.hypot(lrs.sigma, hrs.sigma, self.offset)
        return (-mean, sd), (mean, sd)

    def margins(self, rng, programmed):
        bl, blb = _complementary(rng, self.resistance, programmed)
        return np.log(bl / blb) + rng.normal(0.0, self.offset, programmed.shape)


@dataclass(frozen=True)
class TernaryDifferential(Cell):
    """Ternary 2T2R: both devices HRS is 0, sensed in one operation by a window in which an LRS
    branch discharges and an HRS branch does not.

    Branch i resolves when ``ln R_i + e_i < ln R_T``; neither is sensed as 0, else the smaller
    effective resistance wins. ``R_T`` is the largest resistance that discharges in the window.

    Parameters
    ----------
    resistance : the two states, given or as programming leaves them
    threshold : R_T in ohm, or the supply and sense time that give it
    offset : mismatch of the sense amplifier, standard deviation in ln-resistance; half of its
        variance is each branch's
    """

    states = TERNARY
    devices = 2
    resistance: States = field(metadata=kinds(Resistance, Programming))
    threshold: float | Sensing = 20e3
    offset: float = knob(0.0, 10.0, "ln ohm", 0.0)

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.threshold, Sensing):
            value = within("threshold", self.threshold, 1.0, MAX_OHM, "ohm")
            object.__setattr__(self, "threshold", value)

    def log_threshold(self) -> float:
        """Natural logarithm of R_T in ohm."""
        if isinstance(self.threshold, Sensing):
            return math.log(self.threshold.largest_resistance())
        return math.log(self.threshold)

    def zero_read_as_one(self) -> float:
        """P(0 -> +1 or -1): at least one of two HRS branches resolves."""
        one = self._fast(self.resistance.hrs)
        return one * (2 - one)

    def one_read_as_zero(self) -> float:
        """P(+1 or -1 -> 0): neither branch resolves."""
        return self._slow(self.resistance.lrs) * self._slow(self.resistance.hrs)

    def swapped(self) -> float:
        """P(+1 -> -1) = P(-1 -> +1): the HRS branch resolves, and before the LRS branch.

        ``int_{-inf}^{ln R_T} n(x; muH, s'H) Q((x - muL) / s'L) dx``: exactly where Q is 1 to
        machine precision, by Gauss-Legendre above, in two pieces around the most likely x.
        """
        low, high = self._law(self.resistance.lrs), self._law(self.resistance.hrs)
        top = self.log_threshold()
        certain = min(low[0] - 9 * low[1], top)
        likely = (low[0] * high[1] ** 2 + high[0] * low[1] ** 2) / (low[1] ** 2 + high[1] ** 2)
        reach = 12 * low[1] * high[1] / math.hypot(low[1], high[1])
        cuts = [min(max(x, certain), top) for x in (certain, likely - reach, likely + reach)]
        total = float(ndtr((certain - high[0]) / high[1]))
        for start, end in pairwise(cuts):
            x, weights = legendre(start, end)
            density = np.exp(-(((x - high[0]) / high[1]) ** 2) / 2) / high[1]
            total += float((weights * density * ndtr((low[0] - x) / low[1])).sum()) / ROOT_2PI
        return total

    def transitions(self) -> np.ndarray:
        one, zero, swap = self.zero_read_as_one(), self.one_read_as_zero(), self.swapped()
        right = 1 - zero - swap
        return np.array([[right, zero, swap], [one / 2, 1 - one, one / 2], [swap, zero, right]])

    def _sensed(self, rng: np.random.Generator, programmed: np.ndarray) -> np.ndarray:
        lrs, hrs = self.resistance.lrs, self.resistance.hrs
        bl = np.where(programmed == 0, lrs.draw(rng, programmed), hrs.draw(rng, programmed))
        blb = np.where(programmed == 2, lrs.draw(rng, programmed), hrs.draw(rng, programmed))
        branch = self.offset / math.sqrt(2)
        bl, blb = (np.log(each) + rng.normal(0.0, branch, each.shape) for each in (bl, blb))
        resolved = np.minimum(bl, blb) < self.log_threshold()
        return np.where(resolved, np.where(bl > blb, 2, 0), 1).astype(np.uint8)

    def _law(self, state) -> tuple[float, float]:
        return state.mu, math.hypot(state.sigma, self.offset / math.sqrt(2))

    def _slow(self, state) -> float:
        mu, sigma = self._law(state)
        return float(ndtr((mu - self.log_threshold()) / sigma))

    def _fast(self, state) -> float:
        mu, sigma = self._law(state)
        return float(ndtr((self.log_threshold() - mu) / sigma))


def _complementary(rng, resistance: States, programmed: np.ndarray):
    """Resistances of BL and BLb, in ohm: for +1 BL is HRS."""
    lrs, hrs = resistance.lrs.draw(rng, programmed), resistance.hrs.draw(rng, programmed)
    plus = programmed == 1
    return np.where(plus, hrs, lrs), np.where(plus, lrs, hrs)
