# SPDX-License-Identifier: BSD-2-Clause
"""Named cells, so that a device can be chosen by name.

A tag says where a number comes from: [R] read in an abstract or caption of the paper, [CODE] in
source code that its authors published, [3P] in a third party's text about it, [D] derived and
checked numerically, [own] this project's choice.
"""

from dataclasses import dataclass

from .cell import Cell
from .junction import Junction
from .magnetic import MagneticDifferential, MagneticSingleEnded, Write
from .resistive import Differential, SingleEnded, TernaryDifferential
from .rram import Programming
from .sensing import Sensing

STRONG = Programming(100e-6, 2.5, 100e-9, 1e3)
WEAK = Programming(30e-6, 1.5, 30e-9, 1e3)
WORN = Programming(30e-6, 1.5, 30e-9, 1e9)
JUNCTION = Junction()
WRITE_CURRENT = 50e-6  # twice the critical current


@dataclass(frozen=True)
class Preset:
    """A cell with what is known about it.

    Parameters
    ----------
    name : what ``--device`` takes
    description : one line
    source : where its numbers come from, with tags
    validity : what it should not be used for
    cell : the cell
    endurance : programming cycles, where a source gives them, else ``None``
    """

    name: str
    description: str
    source: str
    validity: str
    cell: Cell
    endurance: float | None = None


_FORM = "knobs to resistances by this project's parametric form [own]"
_MACROSPIN = (
    "Delta 60, damping 0.01, mu0 Hk 0.3 T, efficiency 0.6 [own]; write errors by the corrected "
    "macrospin form [D]; R_P 6 kohm and TMR 2.57 (p = 0.75) [CODE: mram_simulation_framework]; "
    "spreads and sense offset [own]"
)
_RRAM_RANGE = "independent cells; no drift, no temperature; the form is not fitted to silicon"
_MRAM_RANGE = "currents of 1.5 to 10 Ic0; macrospin; equal switching in both directions"


def _written(error_rate: float) -> Write:
    """The pulse at which the nominal junction has ``error_rate``, with a spread of cells."""
    width = JUNCTION.width_for(WRITE_CURRENT, error_rate)
    return Write(JUNCTION, WRITE_CURRENT, width, spread=0.3)


_ALL = (
    Preset(
        "rram-strong",
        "2T2R, HfO2 RRAM programmed strongly: 100 uA, 2.5 V, 100 ns",
        f"{_FORM}, set to LRS 5 kohm and HRS 100 kohm",
        _RRAM_RANGE,
        Differential(STRONG, offset=0.05),
    ),
    Preset(
        "rram-weak",
        "2T2R, HfO2 RRAM programmed weakly: 30 uA, 1.5 V, 30 ns",
        f"{_FORM}; error rate set to 3.3 %, the highest named for ultra-low-power RRAM [3P]; "
        "endurance 'billions of cycles' at low voltage [R: IEDM 2018]",
        _RRAM_RANGE,
        Differential(WEAK, offset=0.05),
        endurance=1e9,
    ),
    Preset(
        "rram-weak-worn",
        "rram-weak after a billion cycles",
        f"{_FORM}; how cycling closes the window is a free parameter [own]",
        _RRAM_RANGE,
        Differential(WORN, offset=0.05),
        endurance=1e9,
    ),
    Preset(
        "rram-weak-noisy",
        "rram-weak with noise of 0.1 in ln-resistance from read to read",
        f"{_FORM}; noise [own]",
        _RRAM_RANGE,
        Differential(WEAK, offset=0.05, noise=0.1),
        endurance=1e9,
    ),
    Preset(
        "rram-1t1r",
        "1T1R with an equal-tail reference, programmed as rram-strong",
        _FORM,
        _RRAM_RANGE,
        SingleEnded(STRONG, offset=0.05),
    ),
    Preset(
        "rram-1t1r-weak",
        "1T1R with an equal-tail reference, programmed as rram-weak",
        _FORM,
        _RRAM_RANGE,
        SingleEnded(WEAK, offset=0.05),
        endurance=1e9,
    ),
    Preset(
        "rram-near-threshold",
        "ternary 2T2R, programmed as rram-strong, sensed for 20 ns at 0.6 V",
        f"{_FORM}; error formulas [D]; supply and sense time to R_T by an RC mapping [own]",
        f"{_RRAM_RANGE}; 0.4 to 1.3 V",
        TernaryDifferential(STRONG, Sensing(0.6, 20e-9), offset=0.1),
    ),
    Preset(
        "stt-mram",
        "one junction with a reference, written at 2 Ic0 to a nominal WER of 1e-8",
        _MACROSPIN,
        _MRAM_RANGE,
        MagneticSingleEnded(_written(1e-8)),
    ),
    Preset(
        "stt-mram-weak",
        "stt-mram with a shorter pulse, nominal WER 1e-3, half the write energy",
        f"{_MACROSPIN}; 1e-3 is the error rate called harmless [R: NANOARCH 2019]",
        _MRAM_RANGE,
        MagneticSingleEnded(_written(1e-3)),
    ),
    Preset(
        "stt-mram-differential",
        "two complementary junctions, written as stt-mram-weak",
        _MACROSPIN,
        _MRAM_RANGE,
        MagneticDifferential(_written(1e-3)),
    ),
)
PRESETS = {each.name: each for each in _ALL}


def preset(name: str) -> Preset:
    """The preset of a name; raises ``ValueError`` that lists the names."""
    if name not in PRESETS:
        raise ValueError(f"{name!r} is not a device: {', '.join(PRESETS)}")
    return PRESETS[name]
