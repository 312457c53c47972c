# SPDX-License-Identifier: BSD-2-Clause
"""How far a precharged branch discharges in the sense window: supply and time to a resistance.

This RC mapping is the project's own first model; no published circuit was fitted.
"""

import math
from dataclasses import dataclass

from .knobs import Knobs, knob

NOMINAL_SUPPLY = 1.2  # V, where on_resistance is stated
THERMAL_VOLTAGE = 0.02585  # V, at 300 K
SLOPE = 1.3  # of the transistors below threshold


@dataclass(frozen=True)
class Sensing(Knobs):
    """A sense window of a precharge sense amplifier.

    A branch of resistance R resolves when its node falls by the switching voltage within the
    window, ``(R + R_on) C ln(V / (V - V_sw)) < t``. The path's own resistance grows towards
    threshold as ``R_on(V) = R_on(1.2 V) f(1.2 V) / f(V)`` with
    ``f(V) = ln(1 + exp((V - V_th) / 2nU))``.
    Raises ``ValueError`` when no branch resolves at all.
    """

    supply: float = knob(0.4, 1.3, "V")
    sense_time: float = knob(1e-9, 1e-6, "s")
    capacitance: float = knob(1e-15, 1e-10, "F", 0.6e-12)  # bit line and output node
    switching_voltage: float = knob(0.05, 0.39, "V", 0.35)  # fall that turns the latch
    threshold_voltage: float = knob(0.1, 0.8, "V", 0.45)  # of the discharge path
    on_resistance: float = knob(0.0, 1e6, "ohm", 3e3)  # of the path at 1.2 V

    def __post_init__(self):
        super().__post_init__()
        if self.largest_resistance() <= 0:
            raise ValueError(
                f"In {self.sense_time:g} s at {self.supply:g} V no branch discharges: the path of "
                f"{self.path_resistance:g} ohm alone takes longer"
            )

    @property
    def path_resistance(self) -> float:
        """Resistance in ohm of the transistors in series with the cell."""
        return self.on_resistance * self._drive(NOMINAL_SUPPLY) / self._drive(self.supply)

    def largest_resistance(self) -> float:
        """The largest resistance in ohm that discharges within the window."""
        fall = math.log(self.supply / (self.supply - self.switching_voltage))
        return self.sense_time / (self.capacitance * fall) - self.path_resistance

    def _drive(self, supply: float) -> float:
        return math.log1p(
            math.exp((supply - self.threshold_voltage) / (2 * SLOPE * THERMAL_VOLTAGE))
        )
