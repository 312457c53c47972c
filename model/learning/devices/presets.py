# SPDX-License-Identifier: BSD-2-Clause
"""Named learning devices.

Tags: [CODE] read in source code that the authors published, [D] derived, [own] this project's
choice. No source gives the energy of a weak RESET pulse or a number of pulses that a device
endures, so no preset has one; reports take them from the user.
"""

from dataclasses import dataclass

from .conductance import NonlinearConductance
from .ideal import Ideal
from .memory import LearningDevice
from .weak_reset import WeakReset


@dataclass(frozen=True)
class Preset:
    """A learning device with what is known about it.

    Parameters
    ----------
    name, description : the name, and one line
    source : where its numbers come from, with tags
    validity : what it should not be used for
    device : the device
    """

    name: str
    description: str
    source: str
    validity: str
    device: LearningDevice


_REPOSITORY = "[CODE: Atreya95/Learning-with-memory-device-imperfections]"
_ONE_PULSE = "one fixed pulse: no voltage, no width, no temperature, no retention"

_ALL = (
    Preset(
        "weak-reset",
        "HfOx RRAM by weak RESET pulses, all imperfections, up to 14 pulses an update",
        f"law, laws of the parameters, noises and limit {_REPOSITORY}",
        _ONE_PULSE,
        WeakReset(),
    ),
    Preset(
        "weak-reset-mean",
        "weak-reset without noises: devices differ, and each follows its two slopes",
        f"as weak-reset; the released code for MNIST runs this way {_REPOSITORY}",
        _ONE_PULSE,
        WeakReset().without("telegraph", "pink"),
    ),
    Preset(
        "weak-reset-uniform",
        "weak-reset with the nominal slopes in every device",
        "as weak-reset; nominal values are means of the laws before truncation, median t* [D]",
        _ONE_PULSE,
        WeakReset().without("slope_spread"),
    ),
    Preset(
        "nonlinear-conductance",
        "RESET whose conductance steps shrink, 200 pulses from Gmax to Gmin",
        f"an older model, not used there, without values for two of its noises {_REPOSITORY}",
        f"{_ONE_PULSE}; stops at Gmin [own]",
        NonlinearConductance(),
    ),
    Preset(
        "ideal",
        "equal steps in ln R, no limit, no rounding",
        "step and initial spread near the means of weak-reset [own]",
        "a baseline, not a device",
        Ideal(),
    ),
)
PRESETS = {each.name: each for each in _ALL}


def preset(name: str) -> Preset:
    """The preset of a name; raises ``ValueError`` that lists the names."""
    if name not in PRESETS:
        raise ValueError(f"{name!r} is not a learning device: {', '.join(PRESETS)}")
    return PRESETS[name]
