# SPDX-License-Identifier: BSD-2-Clause
"""Cells as plain dictionaries, for JSON: each part with its ``type`` and its knobs in SI units."""

import dataclasses
import json
from pathlib import Path

from .. import files
from .cell import Cell
from .junction import Junction
from .knobs import Knobs
from .magnetic import MagneticDifferential, MagneticSingleEnded, Write
from .resistive import Differential, SingleEnded, TernaryDifferential
from .rram import Lognormal, Programming, Resistance, Technology
from .sensing import Sensing

CELLS: dict[str, type[Cell]] = {
    "1T1R": SingleEnded,
    "2T2R": Differential,
    "2T2R-ternary": TernaryDifferential,
    "ST-MRAM": MagneticSingleEnded,
    "ST-MRAM-differential": MagneticDifferential,
}
PARTS: dict[str, type[Knobs]] = {
    "junction": Junction,
    "lognormal": Lognormal,
    "programming": Programming,
    "resistance": Resistance,
    "sensing": Sensing,
    "technology": Technology,
    "write": Write,
}
_TYPES = {**CELLS, **PARTS}
_NAMES = {kind: name for name, kind in _TYPES.items()}
MAX_BYTES = 1 << 16  # of a file: a cell has some dozens of numbers


class DeviceError(ValueError):
    """A description that is no cell; the message says where and what is allowed."""


def to_dict(cell: Knobs) -> dict:
    """A cell, or a part of one, as numbers, strings and dictionaries."""
    values = {each.name: getattr(cell, each.name) for each in dataclasses.fields(cell)}
    return {"type": _NAMES[type(cell)]} | {
        name: to_dict(value) if isinstance(value, Knobs) else value
        for name, value in values.items()
    }


def from_dict(description: object) -> Cell:
    """The cell of a dictionary; knobs with a default may be left out.

    Raises :class:`DeviceError` for unknown, missing or wrong entries, with their path.
    """
    cell = _part(description, "device")
    if not isinstance(cell, Cell):
        raise DeviceError(f"device: the type is one of {', '.join(CELLS)}, not a part of a cell")
    return cell


def load(path: str | Path) -> Cell:
    """Reads a cell from a JSON file.

    Raises :class:`DeviceError` that names the file, or ``OSError`` when it cannot be read.
    """
    with Path(path).open("rb") as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise DeviceError(f"{path} is larger than {MAX_BYTES} bytes")
    try:
        described = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DeviceError(f"{path} is not JSON: {error}") from None
    try:
        return from_dict(described)
    except RecursionError:
        raise DeviceError(f"{path}: parts are nested too deeply") from None
    except DeviceError as error:
        raise DeviceError(f"{path}: {error}") from None


def save(cell: Cell, path: str | Path) -> None:
    """Writes a cell as JSON, atomically; raises ``OSError`` when the file cannot be written."""
    files.write_bytes(path, (json.dumps(to_dict(cell), indent=2) + "\n").encode())


def _part(described: object, where: str) -> Knobs:
    if not isinstance(described, dict):
        raise DeviceError(f"{where}: expected a dictionary with a type, not {described!r}")
    kind = described.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise DeviceError(f"{where}.type is one of {', '.join(_TYPES)}, not {kind!r}")
    fields = {each.name: each for each in dataclasses.fields(_TYPES[kind])}
    values = {name: value for name, value in described.items() if name != "type"}
    if unknown := values.keys() - fields.keys():
        allowed = ", ".join(fields)
        raise DeviceError(
            f"{where}: unknown {', '.join(sorted(map(str, unknown)))}; {allowed} exist"
        )
    required = {name for name, each in fields.items() if each.default is dataclasses.MISSING}
    if missing := required - values.keys():
        raise DeviceError(f"{where}: {', '.join(sorted(missing))} missing")
    parts = {
        name: _part(value, f"{where}.{name}") if isinstance(value, dict) else value
        for name, value in values.items()
    }
    try:
        return _TYPES[kind](**parts)
    except (TypeError, ValueError) as error:
        raise DeviceError(f"{where}: {error}") from None
