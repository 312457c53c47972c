# SPDX-License-Identifier: BSD-2-Clause
"""Resistance states of RRAM: two lognormal distributions, and how programming sets them.

Pulse-cycled HfO2 cells show a lognormal HRS and an LRS whose spread is small; both are taken as
lognormal here. How the four numbers follow from the programming pulses is this project's own
parametric form: published data say in which direction each knob works, not by how much.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from .knobs import Knobs, kinds, knob


@dataclass(frozen=True)
class Lognormal(Knobs):
    """A resistance whose natural logarithm is normal: ``ln(R / ohm) ~ N(mu, sigma^2)``."""

    mu: float = knob(0.0, 28.0, "ln ohm")
    sigma: float = knob(1e-6, 20.0, "ln ohm")

    @classmethod
    def of(cls, median: float, sigma: float) -> "Lognormal":
        """The distribution with a median in ohm."""
        return cls(math.log(median), sigma)

    @property
    def median(self) -> float:
        """Median in ohm."""
        return math.exp(self.mu)

    def draw(self, rng: np.random.Generator, like: np.ndarray) -> np.ndarray:
        """Resistances in ohm, one for each element of ``like``."""
        return rng.lognormal(self.mu, self.sigma, np.shape(like))


def _require_window(lrs: Lognormal, hrs: Lognormal) -> None:
    if hrs.mu < lrs.mu:
        raise ValueError(
            f"The HRS median {hrs.median:g} ohm is below the LRS median {lrs.median:g} ohm: "
            "there is no window to sense"
        )


@dataclass(frozen=True)
class Resistance(Knobs):
    """The two states as they are: measured, fitted or assumed."""

    lrs: Lognormal = field(metadata=kinds(Lognormal))
    hrs: Lognormal = field(metadata=kinds(Lognormal))

    def __post_init__(self):
        super().__post_init__()
        _require_window(self.lrs, self.hrs)


@dataclass(frozen=True)
class Technology(Knobs):
    """Constants of the parametric form; the defaults are this project's own choice.

    They are set at a reference condition (100 uA, 2.5 V, 100 ns, fresh) to LRS 5 kohm and HRS
    100 kohm; ``reset_slope`` is solved for so that the preset ``rram-weak`` errs by 3.3 %.
    """

    set_product: float = knob(0.1, 1.0, "V", 0.5)  # R_LRS * compliance current
    set_voltage: float = knob(0.1, 5.0, "V", 1.0)  # across cell and transistor during SET
    lrs_sigma: float = knob(1e-3, 2.0, "ln ohm", 0.15)
    hrs_mu: float = knob(0.0, 28.0, "ln ohm", math.log(100e3))
    reset_slope: float = knob(0.0, 10.0, "ln ohm per V", 0.795)
    width_slope: float = knob(0.0, 2.0, "ln ohm per e-fold", 0.1)
    wear_slope: float = knob(0.0, 2.0, "ln ohm per decade", 0.05)
    wear_cycles: float = knob(1.0, 1e12, "cycles", 1e6)
    hrs_sigma: float = knob(1e-3, 2.0, "ln ohm", 0.3)
    hrs_sigma_slope: float = knob(0.0, 1.0, "", 0.1)
    reference_current: float = knob(1e-6, 1e-3, "A", 100e-6)
    reference_voltage: float = knob(0.1, 5.0, "V", 2.5)
    reference_width: float = knob(1e-9, 1e-3, "s", 100e-9)


@dataclass(frozen=True)
class Programming(Knobs):
    """The two states that programming pulses leave, from knobs with units.

        muL = ln(V0 / I_C)               sL = sL0 * sqrt(I_ref / I_C)
        muH = muH0 + kV (V - V_ref) + kt ln(t / t_ref) - kc log10(1 + N / N0)
        sH  = a + b (muH - muL)

    A larger compliance current ``I_C`` lowers and sharpens the LRS, a larger RESET voltage ``V`` or
    width ``t`` raises and broadens the HRS, cycling ``N`` closes the window. Raises ``ValueError``
    when the RESET is so weak that no window is left.
    """

    compliance_current: float = knob(20e-6, 200e-6, "A")
    reset_voltage: float = knob(1.0, 3.0, "V")
    reset_width: float = knob(10e-9, 10e-6, "s")
    cycles: float = knob(0.0, 1e10, "cycles", 0.0)
    technology: Technology = field(default=Technology(), metadata=kinds(Technology))

    def __post_init__(self):
        super().__post_init__()
        _require_window(self.lrs, self.hrs)

    @property
    def lrs(self) -> Lognormal:
        """The state after SET."""
        of = self.technology
        sigma = of.lrs_sigma * math.sqrt(of.reference_current / self.compliance_current)
        return Lognormal(math.log(of.set_product / self.compliance_current), sigma)

    @property
    def hrs(self) -> Lognormal:
        """The state after RESET."""
        of = self.technology
        mu = (
            of.hrs_mu
            + of.reset_slope * (self.reset_voltage - of.reference_voltage)
            + of.width_slope * math.log(self.reset_width / of.reference_width)
            - of.wear_slope * math.log10(1 + self.cycles / of.wear_cycles)
        )
        sigma = of.hrs_sigma + of.hrs_sigma_slope * max(mu - self.lrs.mu, 0.0)
        return Lognormal(mu, sigma)

    @property
    def reset_energy(self) -> float:
        """Upper bound in J of one RESET: the voltage over a cell that stays in LRS, ``V^2 t / R``.

        Ohm's law, not a measurement; a cell that switches early spends less.
        """
        return self.reset_voltage**2 * self.reset_width / self.lrs.median

    @property
    def set_energy(self) -> float:
        """Upper bound in J of one SET: compliance current and SET voltage over a whole pulse, taken
        as long as the RESET pulse."""
        return self.technology.set_voltage * self.compliance_current * self.reset_width

    @property
    def energy(self) -> float:
        """Upper bound in J of programming one complementary pair: one SET and one RESET."""
        return self.set_energy + self.reset_energy
