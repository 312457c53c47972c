# SPDX-License-Identifier: BSD-2-Clause
"""The table of areas and energies that an estimate multiplies its counts with, and a user's own."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ...model.checks import is_positive

DEFAULT = Path(__file__).with_name("technology.toml")
VERSION = 1
SQUARE_NM = 1e-6  # um^2
# Sections whose entries are replaced whole, and what these have.
_WHOLE = {
    "node": (("gate_area", "supply"),),
    "cell": (("area", "devices"), ("area_um2", "devices")),
}
# Entries that are divided by, or that cannot be nothing; and numbers of things.
_POSITIVE = ("gate_area", "supply", "area", "area_um2")
_COUNTS = ("block_rows",)


class TableError(ValueError):
    """A table that cannot be used; the message names file, entry and what is allowed."""


@dataclass(frozen=True)
class Technology:
    """A node with the entries of the table that hold at it.

    Parameters
    ----------
    table : as it was read; every entry with its source
    node : in nm, one of the table's
    cell : kind of the synapses' cells, one of the table's
    """

    table: Mapping[str, Any]
    node: int
    cell: str

    def __post_init__(self):
        self._known("node", str(self.node))
        entry = self._known("cell", self.cell).get("area_um2")
        if entry is not None and entry["node"] != self.node:
            raise TableError(f"The cell {self.cell} is of {entry['node']} nm, not {self.node} nm")

    def _known(self, section: str, name: str) -> Mapping[str, Any]:
        entries = self.table[section]
        if name not in entries:
            raise TableError(f"The table has no {section} {name!r}: {', '.join(entries)}")
        return entries[name]

    def value(self, section: str, name: str) -> float:
        """An entry's value."""
        return float(self._known(section, name)["value"])

    @property
    def gate_area(self) -> float:
        """Of a gate equivalent, um^2."""
        return float(self.table["node"][str(self.node)]["gate_area"]["value"])

    @property
    def supply(self) -> float:
        """Volt."""
        return float(self.table["node"][str(self.node)]["supply"]["value"])

    def cell_area(self, cell: str | None = None) -> float:
        """Of a cell, by default that of the synapses, um^2."""
        entries = self._known("cell", cell or self.cell)
        if "area_um2" in entries:
            return float(entries["area_um2"]["value"])
        return float(entries["area"]["value"]) * self.node**2 * SQUARE_NM

    @property
    def devices(self) -> int:
        """Programmable devices of a cell."""
        return int(self._known("cell", self.cell)["devices"])

    def energy(self, name: str) -> float:
        """Of an event at this node, J."""
        entries = self.table["energy"]
        value = self.value("energy", name) * 1e-15
        if name == "pulse":
            return value
        scale = self.node / entries["node"] * (self.supply / entries["supply"]) ** 2
        return value * scale

    def charge(self, name: str, cells: float) -> float:
        """Of charging a line of so many cells, J: C V^2, the capacitance by the node's size."""
        scale = self.node / self.table["energy"]["node"]
        return self.value("energy", name) * 1e-15 * scale * cells * self.supply**2

    def sources(self) -> list[dict]:
        """Every entry that holds at this node: what, value, unit, tag, source."""
        found = []
        for section, name in (("node", str(self.node)), ("cell", self.cell), ("cell", "sram")):
            found += _entries(f"{section}.{name}", self.table[section][name])
        for section in ("periphery", "energy", "activity"):
            found += _entries(section, self.table[section])
        return found


def _entries(where: str, section: Mapping[str, Any]) -> list[dict]:
    return [
        {"entry": f"{where}.{name}", **entry}
        for name, entry in section.items()
        if isinstance(entry, Mapping)
    ]


@cache
def default_table() -> Mapping[str, Any]:
    """The table that comes with the package."""
    return tomllib.loads(DEFAULT.read_text())


def read_table(path: Path | None) -> Mapping[str, Any]:
    """The table with the entries of a file, TOML or JSON by its suffix, in place of its own.

    Raises :class:`TableError` for what is no such file, and for an entry without value, tag and
    source.
    """
    if path is None:
        return default_table()
    try:
        text = path.read_text()
        given = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise TableError(f"{path} is no table: {error}") from None
    if not isinstance(given, dict):
        raise TableError(f"{path} is no table: sections are expected, not {type(given).__name__}")
    if given.get("version", VERSION) != VERSION:
        raise TableError(f"{path} has version {given['version']!r}; {VERSION} can be read")
    return _merged(default_table(), given, str(path))


def _merged(table: Mapping[str, Any], given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The table with what is given in place. A node or a cell is replaced whole, and may be new."""
    found = dict(table)
    for name, value in given.items():
        here = f"{where}: {name}"
        if name not in table:
            raise TableError(f"{here} is unknown; there are {', '.join(table)}")
        if not isinstance(table[name], Mapping):
            if not is_positive(value):
                raise TableError(f"{here} must be a positive number, not {value!r}")
            found[name] = value
        elif not isinstance(value, Mapping):
            raise TableError(f"{here} must be a section or an entry, not {value!r}")
        elif "value" in table[name]:
            found[name] = _entry(name, value, here)
        elif name in _WHOLE:
            made = {each: _whole(name, entry, f"{here}: {each}") for each, entry in value.items()}
            found[name] = {**table[name], **made}
        else:
            found[name] = _merged(table[name], value, here)
    return found


def _whole(section: str, given: Any, where: str) -> Mapping[str, Any]:
    """A node or a cell with all that it needs."""
    names = set(given) if isinstance(given, Mapping) else set()
    if not any(names == set(allowed) for allowed in _WHOLE[section]):
        allowed = " or ".join(", ".join(each) for each in _WHOLE[section])
        found = ", ".join(sorted(names)) or repr(given)
        raise TableError(f"{where} has {allowed}, not {found}")
    for name in names - {"devices"}:
        _entry(name, given[name], f"{where}: {name}")
    if "area_um2" in names and type(given["area_um2"].get("node")) is not int:
        raise TableError(f"{where}: area_um2 lacks node, in nm")
    if "devices" in names and (type(given["devices"]) is not int or given["devices"] < 0):
        raise TableError(f"{where}: devices must be an integer from 0, not {given['devices']!r}")
    return given


def _entry(name: str, value: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    wanted = ("value", "tag", "source")
    missing = [each for each in wanted if not isinstance(value, Mapping) or each not in value]
    if missing:
        raise TableError(f"{where} lacks {', '.join(missing)}")
    number = value["value"]
    if name in _COUNTS:
        fits, allowed = is_positive(number) and isinstance(number, int), "an integer from 1"
    elif name in _POSITIVE:
        fits, allowed = is_positive(number), "a finite value above 0"
    else:
        zero = number == 0 and not isinstance(number, bool)
        fits, allowed = is_positive(number) or zero, "a finite value of 0 or more"
    if not fits:
        raise TableError(f"{where} must have {allowed}, not {number!r}")
    return value
