# SPDX-License-Identifier: BSD-2-Clause
"""What is imperfect in a learning device, switched off or on one at a time: rows of a report."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..networks import UsageError

if TYPE_CHECKING:
    from ..model.learning.devices.memory import LearningDevice

DEVICE = "weak-reset"  # that is studied unless another is given
FULL_MODEL, IDEAL, LINEAR = "full", "ideal", "linear"
WITHOUT, ONLY = "without", "only"
DEVICES, CYCLES = "device-to-device", "cycle-to-cycle"  # both spreads, and both noises, together
NAMED = {
    DEVICES: ("slope_spread", "initial_spread"),
    CYCLES: ("telegraph", "pink"),
    "slope-spread": ("slope_spread",),
    "initial-spread": ("initial_spread",),
    "telegraph": ("telegraph",),
    "pink": ("pink",),
    "pulse-limit": ("limited",),
    "rounding": ("rounded",),
}
GROUPS = (DEVICES, CYCLES, "pulse-limit", "rounding")  # each imperfection is in one of them


def studied(given: str | None) -> "LearningDevice":
    """The device that is studied: the name of a preset, or a CSV file of pulse trains to which it
    is fitted; by default DEVICE. Raises ``UsageError`` for anything else."""
    from ..model.learning.devices.fitted import Fitted
    from ..model.learning.devices.presets import PRESETS, preset

    if given is None or given in PRESETS:
        return preset(given or DEVICE).device
    if not Path(given).is_file():
        raise UsageError(
            f"{given!r} is no learning device: {', '.join(PRESETS)}, or a CSV file of pulse trains"
        )
    try:
        return Fitted.from_csv(given)
    except ValueError as error:
        raise UsageError(str(error)) from None


def imperfections(device: "LearningDevice") -> dict[str, tuple[str, ...]]:
    """What can be switched off in a device, with the flags: groups first, then each by itself."""
    flags = [flag for flag in device.IMPERFECTIONS if getattr(device, flag)]
    found = {name: each for name, each in NAMED.items() if set(each) <= set(flags)}
    named = {flag for each in found.values() for flag in each}
    return found | {flag.replace("_", "-"): (flag,) for flag in flags if flag not in named}


def rows(*kinds: str, of: Iterable[str]) -> tuple[str, ...]:
    """The full model, the ideal device, and those WITHOUT or with ONLY each imperfection."""
    return FULL_MODEL, IDEAL, *(f"{kind}-{name}" for kind in kinds for name in of)


def switched(device: "LearningDevice", row: str) -> "LearningDevice":
    """The device of a row."""
    from ..model.learning.devices.presets import preset

    if row == FULL_MODEL:
        return device
    if row == IDEAL:
        return device.only()
    if row == LINEAR:
        return preset("ideal").device.only()
    kind, name = row.split("-", 1)
    flags = imperfections(device)[name]
    return device.without(*flags) if kind == WITHOUT else device.only(*flags)


def like(row: str) -> str:
    """The device at whose best rate a row is trained: the one that it is compared with."""
    return FULL_MODEL if row == FULL_MODEL or row.startswith(WITHOUT) else IDEAL
