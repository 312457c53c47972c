# SPDX-License-Identifier: BSD-2-Clause
"""The points of a sweep: error rates, or devices, and what they mean for a network."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from ..injection import check_rate, check_states, device_cell, read_rate
from ..model.graph import Graph
from ..networks import UsageError
from .tasks import Rates

if TYPE_CHECKING:
    from ..model.devices.cell import Cell

MAX_POINTS = 10_000


@dataclass(frozen=True)
class Point:
    """One point of a sweep.

    Parameters
    ----------
    ber, transient : rates of persistent and of read errors
    device : the preset, or the file, from which both come
    knob : what that device's knob is set to
    cell : the cell of the device as it is set
    """

    ber: float = 0.0
    transient: float = 0.0
    device: str | None = None
    knob: float | None = None
    cell: "Cell | None" = None

    @property
    def clean(self) -> bool:
        """Whether nothing can go wrong, so that every map is the same."""
        return self.cell is None and self.ber == 0 and self.transient == 0

    def rates(self, graph: Graph) -> Rates:
        """What a task draws errors from.

        Raises ``UsageError`` when a cell's states are not those of the network's weights.
        """
        if self.cell is None:
            return Rates(self.ber, self.transient)
        check_states(self.device or "", self.cell, graph)
        return Rates(self.cell.transitions(), self.transient)

    def as_dict(self) -> dict:
        """The point as plain data."""
        report: dict = {"ber": self.ber, "transient": self.transient}
        if self.device is not None:
            report["device"] = self.device
        if self.knob is not None:
            report["knob"] = self.knob
        return report


def points(
    ber: Sequence[float] = (),
    transient: Sequence[float] = (),
    device: Sequence[str] = (),
    knob: tuple[str, Sequence[float]] | None = None,
) -> tuple[Point, ...]:
    """The points of a sweep, first that without errors.

    Every rate of ``ber`` is combined with every one of ``transient``; or each ``device``, a preset
    or a file, is a point, or one of them with each value of one ``knob``.

    Raises ``UsageError`` when there are none, for rates and knobs out of range, values given twice,
    and options that do not go together.
    """
    if not (ber or transient or device):
        raise UsageError("A sweep needs rates or devices: give --ber, --transient or --device")
    if device and (ber or transient):
        raise UsageError("A device has its own error rates; leave out --ber and --transient")
    if knob and len(device) != 1:
        raise UsageError("A knob belongs to one device: give --device with one name")
    for name, values in (("ber", ber), ("transient", transient), ("device", device)):
        _distinct(name, values)
    if device:
        found = (
            _knob(device[0], *knob)
            if knob
            else [_point(device_cell(name), name) for name in device]
        )
        return (Point(), *found)
    for name, rates in (("ber", ber), ("transient", transient)):
        for rate in rates:
            check_rate(name, rate)
    grid = [Point(float(b), float(t)) for b, t in product(ber or (0,), transient or (0,))]
    if len(grid) > MAX_POINTS:
        raise UsageError(f"A sweep has at most {MAX_POINTS} points, not {len(grid)}")
    return (Point(), *(point for point in grid if not point.clean))


def _distinct(name: str, values: Sequence) -> None:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise UsageError(f"--{name} has {value} twice")


def _point(cell: "Cell", device: str, knob: float | None = None) -> Point:
    return Point(float(cell.error_rate()), read_rate(cell), device, knob, cell)


def _knob(device: str, name: str, values: Sequence[float]) -> list[Point]:
    """The device with each value of a knob."""
    _distinct("knob", values)
    if not values:
        raise UsageError(f"--knob {name} has no values")
    cell = device_cell(device)
    full = {".".join(path): path for path in _knobs(cell)}
    alike = Counter(path[-1] for path in full.values())
    short = {path[-1] if alike[path[-1]] == 1 else each: path for each, path in full.items()}
    paths = short | full
    if name not in paths:
        raise UsageError(f"{device} has no knob {name!r}, but {', '.join(short)}")
    try:
        return [_point(_set(cell, paths[name], value), device, value) for value in values]
    except ValueError as error:
        raise UsageError(str(error)) from None


def _knobs(part) -> Iterator[tuple[str, ...]]:
    """Paths of the knobs of a device and its parts, the outer ones last."""
    for each in fields(part):
        value = getattr(part, each.name)
        if is_dataclass(value):
            yield from ((each.name, *path) for path in _knobs(value))
    for each in fields(part):
        if "unit" in each.metadata:
            yield (each.name,)


def _set(part, path: tuple[str, ...], value: float):
    """A copy of a device with one knob changed."""
    name, *rest = path
    inner = value if not rest else _set(getattr(part, name), tuple(rest), value)
    return replace(part, **{name: inner})


def identity(rates: Rates) -> list:
    """The rates as plain data, exact to the bit."""
    persistent = np.asarray(rates.persistent, dtype=np.float64)
    return [[value.hex() for value in persistent.reshape(-1).tolist()], rates.transient.hex()]
