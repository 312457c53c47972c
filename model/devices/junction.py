# SPDX-License-Identifier: BSD-2-Clause
"""A perpendicular magnetic tunnel junction: write errors, read disturb, retention, write energy.

Macrospin without field. Reduced variables: overdrive ``i = I / Ic0`` and ``tau = t / t_D``.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import constants

from . import fokker_planck
from .knobs import Knobs, knob, within

GYROMAGNETIC = 1.76085963e11  # rad / s / T, of the electron
ROOM = 300.0  # K, where a junction's stability is given
MODELS = ("corrected", "butler", "fokker-planck", "thermal")
OVERDRIVES = {  # in units of Ic0, where each model is meant to hold
    "corrected": (1.5, 10.0),
    "butler": (1.5, 10.0),
    "fokker-planck": (0.5, 10.0),
    "thermal": (0.0, 0.99),
}


def butler_prefactor(overdrive: float) -> float:
    """``pi^2 / 4``: growth stays linear up to th = pi/2 (Butler et al., IEEE Trans. Magn.
    48, 4684, 2012).

    Conservative: over-estimates the error rate, see docs/devices.md.
    """
    return math.pi**2 / 4


def corrected_prefactor(overdrive: float) -> float:
    """``K(i) = 2 * 2^((i-1)/(i+1)) * ((i-1)/i)^(2/(i+1))``: the exact deterministic trajectory to
    th = pi/2 (derived for this project)."""
    i = overdrive
    return 2 * 2 ** ((i - 1) / (i + 1)) * ((i - 1) / i) ** (2 / (i + 1))


def exponent(overdrive: float, tau: np.ndarray, stability: float) -> np.ndarray:
    """``1 / <th^2>`` at tau for i > 1, by linear growth from the thermal start:
    ``Delta (i - 1) / (i exp(2 (i - 1) tau) - 1)``."""
    i = overdrive
    with np.errstate(over="ignore"):
        return stability * (i - 1) / (i * np.exp(2 * (i - 1) * np.asarray(tau, float)) - 1)


@dataclass(frozen=True)
class Junction(Knobs):
    """Material parameters of a junction and its two resistances.

    The critical current and the time constant follow from them. The barrier and the anisotropy are
    taken not to depend on temperature [own]: heat lowers Delta, so that writes fail more rarely and
    states are lost sooner.
    """

    stability: float = knob(20.0, 120.0, "", 60.0)  # barrier over kT at 300 K
    damping: float = knob(1e-3, 0.1, "", 0.01)
    anisotropy_field: float = knob(0.01, 2.0, "T", 0.3)  # mu0 Hk
    efficiency: float = knob(0.05, 1.0, "", 0.6)  # of spin torque
    temperature: float = knob(200.0, 450.0, "K", 300.0)
    parallel_resistance: float = knob(100.0, 1e6, "ohm", 6e3)
    magnetoresistance: float = knob(0.1, 6.0, "", 2.571)  # TMR = (R_AP - R_P) / R_P
    attempt_time: float = knob(1e-11, 1e-8, "s", 1e-9)
    barrier_exponent: float = knob(1.0, 2.0, "", 2.0)  # below Ic0; compact models take 1

    @property
    def thermal_stability(self) -> float:
        """Delta, the barrier over kT at the junction's temperature."""
        return self.stability * (ROOM / self.temperature)

    @property
    def critical_current(self) -> float:
        """Ic0 in A: ``4 alpha e kB T Delta / (nu hbar)``."""
        energy = constants.k * ROOM * self.stability
        return 4 * self.damping * constants.e * energy / (self.efficiency * constants.hbar)

    @property
    def time_constant(self) -> float:
        """t_D in s: ``(1 + alpha^2) / (alpha gamma mu0 Hk)``."""
        return (1 + self.damping**2) / (self.damping * GYROMAGNETIC * self.anisotropy_field)

    @property
    def antiparallel_resistance(self) -> float:
        """R_AP in ohm."""
        return self.parallel_resistance * (1 + self.magnetoresistance)

    def write_error_rate(
        self, current: float, width: np.ndarray | float, model: str = "corrected"
    ) -> np.ndarray:
        """Probability that a pulse does not switch the junction, float64 of the shape of ``width``.

        ``current`` in A, ``width`` in s. The closed forms ``corrected`` and ``butler`` hold well
        above Ic0, ``thermal`` below it; ``fokker-planck`` solves the equation. Raises
        ``ValueError`` for another model or a current outside the model's range.
        """
        i = self.overdrive(current, model)
        width = np.asarray(width, float)
        if not (width >= 0).all():
            raise ValueError("Pulse widths must not be negative")
        if model == "thermal":
            return np.exp(-width / self._escape_time(i))
        tau = width / self.time_constant
        if model == "fokker-planck":
            times, where = np.unique(tau, return_inverse=True)
            rates = fokker_planck.write_error_rates(i, times, self.thermal_stability)
            return rates[where].reshape(width.shape)
        prefactor = corrected_prefactor if model == "corrected" else butler_prefactor
        return -np.expm1(-prefactor(i) * exponent(i, tau, self.thermal_stability))

    def overdrive(self, current: float, model: str = "corrected") -> float:
        """``current`` in units of Ic0; raises ``ValueError`` outside the model's range."""
        if model not in MODELS:
            raise ValueError(f"The model is one of {', '.join(MODELS)}, not {model!r}")
        low, high = (limit * self.critical_current for limit in OVERDRIVES[model])
        return within(f"current of the {model} model", current, low, high, "A") / (
            self.critical_current
        )

    def width_for(self, current: float, error_rate: float) -> float:
        """Pulse width in s at which the corrected closed form gives ``error_rate``."""
        i = self.overdrive(current)
        within("error_rate", error_rate, 1e-15, 0.5, "")
        growth = (
            corrected_prefactor(i) * self.thermal_stability * (i - 1) / -math.log1p(-error_rate)
        )
        return self.time_constant * math.log((growth + 1) / i) / (2 * (i - 1))

    def write_energy(self, current: float, width: float) -> float:
        """Energy in J of one pulse, ``R I^2 t`` with the mean of R_P and R_AP: a write starts in
        one and ends in the other."""
        mean = (self.parallel_resistance + self.antiparallel_resistance) / 2
        return mean * current**2 * width

    def read_disturb(self, current: float, time: float) -> float:
        """Probability that a read with ``current`` in A for ``time`` in s switches the junction."""
        return -math.expm1(-time / self._escape_time(self.overdrive(current, "thermal")))

    def retention_error(self, time: float) -> float:
        """Probability that a bit is lost after ``time`` in s without current:
        ``(1 - exp(-2 t / (tau0 exp(Delta)))) / 2``."""
        return -math.expm1(-2 * time / self._escape_time(0.0)) / 2

    def _escape_time(self, overdrive: float) -> float:
        """Neel-Brown: ``tau0 exp(Delta (1 - i)^x)``."""
        barrier = self.thermal_stability * (1 - overdrive) ** self.barrier_exponent
        return self.attempt_time * math.exp(barrier)
