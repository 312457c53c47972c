# SPDX-License-Identifier: BSD-2-Clause
"""Devices by name or by file: what there is, what one does, and fits of measured resistances."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from .injection import device_cell
from .networks import UsageError

if TYPE_CHECKING:
    from .model.devices.cell import Cell
    from .model.devices.fit import Measurements, StateFit
    from .model.devices.knobs import Knobs

Value = float | str  # of a knob: a number, or a word such as ``optimal``

CELLS = ("1T1R", "2T2R", "2T2R-ternary")


def listed() -> list[dict]:
    """The presets: ``name``, ``description``, and the rates of their errors."""
    from .model.devices.presets import PRESETS  # scipy's special functions take time to import

    return [
        {"name": each.name, "description": each.description} | _rates(each.cell)
        for each in PRESETS.values()
    ]


def shown(device: str, out: Path | None = None) -> dict:
    """What a device, a preset or a file, is and does; written to ``out`` as a description.

    Its ``knobs`` are numbers and words by their path, ``transitions`` the probability of each
    sensed state (columns) given the programmed one (rows), both in the order of ``states``.
    """
    from .model.devices import codec
    from .model.devices.presets import PRESETS

    cell = device_cell(device)
    about = {}
    if device in PRESETS:
        found = PRESETS[device]
        about = {name: getattr(found, name) for name in ("description", "source", "validity")}
        about["endurance"] = found.endurance
    if out is not None:
        codec.save(cell, out)
        about["file"] = str(out)
    return {
        "name": device,
        **about,
        **_does(cell),
        "knobs": dict(_knobs(cell)),
        "device": codec.to_dict(cell),
    }


def fit(
    measured: str | Path,
    out: str | Path,
    *,
    cell: str = "2T2R",
    condition: str | None = None,
    knobs: Mapping[str, Value] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict:
    """Fits a lognormal to each state of measured resistances, and writes the cell's description.

    Parameters
    ----------
    measured : a CSV file, see :func:`.model.devices.fit.read`
    out : the description, which is a device everywhere
    cell : one of CELLS
    condition : the rows to take, where the file has several programming conditions
    knobs : of the cell, beside its resistances; a ternary cell needs its ``threshold``
    confidence : of the intervals, above 0 and below 1
    seed : of the simulated p-values

    Returns what was found, as plain data. Raises ``UsageError`` for measurements that cannot be
    read or fitted and for knobs that the cell has not, ``OSError`` for files.
    """
    from .model.devices import codec, fit  # scipy's statistics take time to import

    knobs = dict(knobs or {})
    if reserved := knobs.keys() & {"type", "resistance"}:
        raise UsageError(f"--knob {min(reserved)} is what the fit decides; leave it out")
    if cell not in CELLS:
        raise UsageError(f"A fitted cell is one of {', '.join(CELLS)}, not {cell!r}")
    if not 0 < confidence < 1:
        raise UsageError(f"The confidence is above 0 and below 1, not {confidence:g}")
    if cell == "2T2R-ternary" and "threshold" not in knobs:
        raise UsageError("A ternary cell needs the R_T of its window: give threshold=OHM as a knob")
    try:
        rows = _chosen(fit.read(measured), Path(measured), condition)
        fitted = fit.fit(rows, confidence=confidence, seed=seed)
        resistance = codec.to_dict(fitted.resistance())
        made = codec.from_dict({"type": cell, "resistance": resistance} | knobs)
    except (fit.MeasurementError, codec.DeviceError) as error:
        raise UsageError(str(error)) from None
    codec.save(made, out)
    return {
        "measured": str(measured),
        "condition": condition,
        "file": str(out),
        "confidence": confidence,
        **{name: _state(getattr(fitted, name.lower())) for name in ("LRS", "HRS")},
        **_does(made),
        "device": codec.to_dict(made),
    }


def _chosen(rows: "Measurements", path: Path, condition: str | None) -> "Measurements":
    """The rows of a condition; raises ``UsageError`` that lists them when one must be chosen."""
    names = sorted(set(rows.condition.tolist()))
    if condition is None and len(names) > 1:
        raise UsageError(f"{path} has several conditions: choose one of {', '.join(names)}")
    return rows if condition is None else rows.of_condition(condition)


def _state(fitted: "StateFit") -> dict:
    return {
        "count": fitted.count,
        "median_ohm": fitted.law.median,
        "mu": fitted.law.mu,
        "mu_interval": list(fitted.mu_interval),
        "sigma": fitted.law.sigma,
        "sigma_interval": list(fitted.sigma_interval),
        "kolmogorov_smirnov_p": fitted.ks[1],
        "anderson_darling_p": fitted.ad[1],
    }


def _rates(cell: "Cell") -> dict:
    return {"error_rate": cell.error_rate(), "read_error_rate": float(cell.read_error_rate())}


def _does(cell: "Cell") -> dict:
    return {
        "states": list(cell.states),
        **_rates(cell),
        "transitions": cell.transitions().tolist(),
    }


def _knobs(part: "Knobs", path: str = "") -> Iterator[tuple[str, str]]:
    """Each knob's path, and its value with the unit."""
    from .model.devices.knobs import Knobs

    for each in fields(part):
        value = getattr(part, each.name)
        if isinstance(value, Knobs):
            yield from _knobs(value, f"{path}{each.name}.")
        else:
            shown = value if isinstance(value, str) else f"{value:g}"
            yield path + each.name, f"{shown} {each.metadata.get('unit', '')}".strip()
