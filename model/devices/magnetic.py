# SPDX-License-Identifier: BSD-2-Clause
"""ST-MRAM cells: one junction with a reference, or two complementary junctions.

A write that fails leaves the former state, which is then sensed like any other: write errors and
sense errors compose.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtr

from .cell import BINARY, Cell, sign_change, two_state
from .junction import Junction, corrected_prefactor, exponent
from .knobs import Knobs, kinds, knob
from .resistive import Differential, SingleEnded
from .rram import Lognormal, Resistance


@dataclass(frozen=True)
class Write(Knobs):
    """How junctions are written.

    Parameters
    ----------
    junction : of the nominal cell
    current, width : of the pulse; the current is 1.5 to 10 times the critical current
    spread : standard deviation of ln(WER) from cell to cell; the nominal cell is the median.
        Spreads of resistance-area product and anisotropy give a lognormal WER (arXiv 2209.13828)
    switching : probability that a write has to switch: 1, or 0.5 after random contents
    """

    junction: Junction = field(metadata=kinds(Junction))
    current: float = knob(1e-6, 1e-2, "A")
    width: float = knob(1e-10, 1e-5, "s")
    spread: float = knob(0.0, 5.0, "ln WER", 0.0)
    switching: float = knob(0.0, 1.0, "", 1.0)

    def __post_init__(self):
        super().__post_init__()
        self.junction.overdrive(self.current)

    @property
    def energy(self) -> float:
        """Of one pulse in J."""
        return self.junction.write_energy(self.current, self.width)

    def error_rate(self) -> float:
        """Mean over cells of the probability that a written junction is in the wrong state.

        ``E[min(W exp(s z), 1)] = W exp(s^2/2) Phi(a - s) + Phi(-a)``, ``a = -ln(W) / s``.
        """
        nominal = float(self.junction.write_error_rate(self.current, self.width))
        s = self.spread
        if s > 0 and nominal > 0:
            a = -math.log(nominal) / s
            nominal = float(nominal * math.exp(s**2 / 2) * ndtr(a - s) + ndtr(-a))
        return self.switching * nominal

    def sample_errors(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Which written junctions are in the wrong state, bool.

        Each junction grows from a thermal angle of its own; ``th^2`` is exponential, and it has
        not switched when it is short of the angle that a trajectory of this overdrive needs. A cell
        of more than nominal WER is one whose growth is less.
        """
        i = self.junction.overdrive(self.current)
        tau = self.width / self.junction.time_constant
        needed = corrected_prefactor(i) * exponent(i, tau, self.junction.thermal_stability)
        nominal = -np.expm1(-needed)
        own = np.minimum(nominal * np.exp(rng.normal(0.0, self.spread, shape)), 1.0)
        with np.errstate(divide="ignore"):
            short = rng.exponential(1.0, shape) < -np.log1p(-own)
        return short & (rng.random(shape) < self.switching)


@dataclass(frozen=True)
class Magnetic(Cell):
    """What both ST-MRAM cells share; R_P is the low, R_AP the high state.

    Parameters
    ----------
    write : the programming pulse
    resistance_sigma : spread of ln-resistance from junction to junction
    offset, noise : mismatch of the sense amplifier, and its noise from read to read, in
        ln-resistance
    read_current, read_time : of one read, for the read disturb
    """

    states = BINARY
    write: Write = field(metadata=kinds(Write))
    resistance_sigma: float = knob(1e-6, 1.0, "ln ohm", 0.05)
    offset: float = knob(0.0, 10.0, "ln ohm", 0.05)
    noise: float = knob(0.0, 10.0, "ln ohm", 0.0)
    read_current: float = knob(0.0, 1e-2, "A", 0.0)
    read_time: float = knob(1e-10, 1e-6, "s", 1e-9)

    def __post_init__(self):
        super().__post_init__()
        self.write.junction.overdrive(self.read_current, "thermal")

    def resistance(self) -> Resistance:
        """The two states of a junction."""
        junction = self.write.junction
        return Resistance(
            Lognormal.of(junction.parallel_resistance, self.resistance_sigma),
            Lognormal.of(junction.antiparallel_resistance, self.resistance_sigma),
        )

    def read_disturb(self) -> float:
        """Probability that one read switches one junction. The switched state stays until the next
        programming; for rare events a rate for each read describes it."""
        return self.write.junction.read_disturb(self.read_current, self.read_time)


@dataclass(frozen=True)
class MagneticSingleEnded(Magnetic):
    """One junction, antiparallel for +1, against an equal-tail reference."""

    devices = 1

    def sense(self) -> SingleEnded:
        """The comparison alone."""
        return SingleEnded(self.resistance(), "equal-tail", self.offset, self.noise)

    def transitions(self) -> np.ndarray:
        wrong = self.write.error_rate()
        return two_state(wrong, wrong) @ self.sense().transitions()

    def _sensed(self, rng, programmed):
        stored = programmed ^ self.write.sample_errors(rng, programmed.shape)
        return self.sense().sample(rng, stored)

    def read_error_rate(self) -> float:
        """Noise of the comparison, or read disturb."""
        noise, disturb = self.sense().read_error_rate(), self.read_disturb()
        return noise + disturb - 2 * noise * disturb


@dataclass(frozen=True)
class MagneticDifferential(Magnetic):
    """Two junctions written to opposite states and compared with each other.

    Each is written on its own, so a pair of which one failed holds two equal states, whose
    comparison is a coin: differential sensing saves the reference but not the write errors, whose
    rate stays ``w (1 - w) + w^2 = w`` but for the comparison's own errors.
    """

    devices = 2

    def sense(self) -> Differential:
        """The comparison of two junctions in opposite states."""
        return Differential(self.resistance(), self.offset, self.noise)

    def transitions(self) -> np.ndarray:
        wrong, misread = self.write.error_rate(), self.sense().error_rate()
        one, both = wrong * (1 - wrong), wrong**2
        error = (1 - wrong) ** 2 * misread + one + both * (1 - misread)
        return two_state(error, error)

    def margins(self, rng: np.random.Generator, programmed: np.ndarray) -> np.ndarray:
        """Noise-free margins in ln-resistance, float64, of junctions that are written and drawn one
        by one; positive is sensed as +1."""
        bl = programmed ^ self.write.sample_errors(rng, programmed.shape)
        blb = (1 - programmed) ^ self.write.sample_errors(rng, programmed.shape)
        law = self.resistance()
        bl, blb = (
            np.where(state == 1, law.hrs.draw(rng, state), law.lrs.draw(rng, state))
            for state in (bl, blb)
        )
        return np.log(bl / blb) + rng.normal(0.0, self.offset, programmed.shape)

    def _sensed(self, rng, programmed):
        return (self.margins(rng, programmed) > 0).astype(np.uint8)

    def read_error_rate(self) -> float:
        """Noise of the comparison, of opposite states and of the equal ones of pairs of which one
        write failed; two junctions to disturb, one of which leaves a coin."""
        wrong, law = self.write.error_rate(), self.resistance()
        equal = 2 * wrong * (1 - wrong)
        spreads = (
            math.hypot(math.sqrt(2) * state.sigma, self.offset) for state in (law.lrs, law.hrs)
        )
        coins = sum(sign_change(0.0, spread, self.noise) for spread in spreads) / 2
        noise = (1 - equal) * self.sense().read_error_rate() + equal * coins
        disturb = self.read_disturb()
        return noise + disturb - 2 * noise * disturb
