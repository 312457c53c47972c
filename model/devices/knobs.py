# SPDX-License-Identifier: BSD-2-Clause
"""Knobs: numbers with a unit and the range in which a device model is meant to hold."""

import math
from dataclasses import MISSING, dataclass, field, fields
from numbers import Real
from typing import Any


def knob(low: float, high: float, unit: str, default: Any = MISSING) -> Any:
    """A dataclass field for a number from ``low`` to ``high``, both included, in ``unit``; with the
    default ``None`` it may be unknown."""
    return field(default=default, metadata={"low": low, "high": high, "unit": unit})


def within(name: str, value: object, low: float, high: float, unit: str) -> float:
    """``value`` as a float.

    Raises ``TypeError`` unless it is a number, and ``ValueError`` with the knob's name, the value,
    the range and the unit unless it lies from ``low`` to ``high``.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number{_in(unit)}, not {value!r}")
    try:
        number = float(value)
    except OverflowError:  # an integer beyond all floats
        number = math.inf if value > 0 else -math.inf
    if not low <= number <= high:  # so is NaN refused
        suffix = f" {unit}" if unit else ""
        raise ValueError(f"{name} is {number:g}{suffix}, outside {low:g} to {high:g}{suffix}")
    return number


def _in(unit: str) -> str:
    return f" in {unit}" if unit else ""


@dataclass(frozen=True)
class Knobs:
    """Base of the device dataclasses: checks each :func:`knob`, and the :func:`kinds` of parts."""

    def __post_init__(self):
        for each in fields(self):
            value = getattr(self, each.name)
            if "unit" in each.metadata:
                if value is None and each.default is None:
                    continue
                limits = (each.metadata["low"], each.metadata["high"], each.metadata["unit"])
                object.__setattr__(self, each.name, within(each.name, value, *limits))
            elif "kinds" in each.metadata and not isinstance(value, each.metadata["kinds"]):
                names = " or ".join(kind.__name__ for kind in each.metadata["kinds"])
                raise TypeError(f"{each.name} must be {names}, not {value!r}")


def kinds(*allowed: type) -> dict[str, Any]:
    """Metadata of a dataclass field that holds another device dataclass, one of ``allowed``."""
    return {"kinds": allowed}
