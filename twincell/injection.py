# SPDX-License-Identifier: BSD-2-Clause
"""Which bit errors a run injects: from rates, from a device, or from a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .model import error_store
from .model.draws import LEAST_READ_RATE, MOST_RATE
from .model.errors import ErrorMap
from .model.graph import Graph
from .networks import UsageError

if TYPE_CHECKING:
    from .model.devices.cell import Cell

#: Least and most of the options that are rates; each may be 0.
RATES = {"ber": (0.0, MOST_RATE), "transient": (LEAST_READ_RATE, MOST_RATE), "stuck": (0.0, 1.0)}
MOST_SEED = (1 << 64) - 1
DRAWN = ("ber", "transient", "device", "stuck")  # what errors are drawn from


@dataclass(frozen=True)
class Injection:
    """Errors to inject into a network's memory.

    Parameters
    ----------
    ber : mean rate of persistent errors, 0 to 0.5
    transient : rate of read errors, 0 or 2^-24 to 0.5
    device : a preset or the file of a description, whose cell gives the persistent errors and the
        rate of read errors; a rate below 2^-24 counts as none
    stuck : share of cells that always read one and the same state, 0 to 1; with ``ber`` or
        ``device`` if wanted
    file : errors that were saved; nothing else goes with it
    seed : of the errors, 0 to ``2^64 - 1``

    Raises ``UsageError`` for rates and seeds out of range, for what is no device, and for what does
    not go together.
    """

    ber: float | None = None
    transient: float | None = None
    device: str | None = None
    file: Path | None = None
    seed: int = 0
    stuck: float | None = None

    def __post_init__(self):
        given = [name for name in DRAWN if getattr(self, name) is not None]
        if self.file is not None and given:
            raise UsageError(f"A file of errors already has rates; leave out --{given[0]}")
        if self.device is not None and self.ber is not None:
            raise UsageError("A device has its own rate of errors; leave out --ber or --device")
        for name in RATES:
            check_rate(name, getattr(self, name) or 0)
        if self.device is not None:
            device_cell(self.device)
        if not 0 <= self.seed <= MOST_SEED:
            raise UsageError(f"--seed is 0 to {MOST_SEED}, not {self.seed}")

    def errors(self, graph: Graph) -> ErrorMap | None:
        """The errors of one programming of ``graph``, ``None`` when nothing is injected.

        Raises ``UsageError`` when a device's states are not those of the weights, or when a file's
        errors are of another network, and ``GraphError`` for a malformed file.
        """
        if self.file is not None:
            errors = error_store.load(self.file)
            try:
                errors.check(graph)
            except ValueError as error:
                raise UsageError(f"{self.file}: {error}") from None
            return errors
        if not (self.ber or self.transient or self.device or self.stuck):
            return None
        persistent, transient = self.ber or 0.0, self.transient
        if self.device is not None:
            persistent, read = device_rates(self.device, graph)
            transient = read if transient is None else transient
        rates = {"transient": transient or 0.0, "stuck": self.stuck or 0.0}
        return ErrorMap.draw(graph, self.seed, persistent=persistent, **rates)

    @property
    def options(self) -> list[object]:
        """The words of a command line that ask for it, the seed left out."""
        values = {name: getattr(self, name) for name in DRAWN} | {"errors": self.file}
        return [
            word
            for name, value in values.items()
            if value is not None
            for word in (f"--{name}", value)
        ]


def check_rate(name: str, rate: float) -> None:
    """Raises ``UsageError`` when the rate of an option, a key of RATES, is out of range."""
    least, most = RATES[name]
    if rate != 0 and not least <= rate <= most:
        low = f"0 or {least:g}" if least else "0"
        raise UsageError(f"--{name} is {low} to {most:g}, not {rate:g}")


def device_cell(device: str) -> "Cell":
    """The cell of a device: a preset by its name, or a description by its file.

    Raises ``UsageError`` when there is neither, and for a description that is no cell, ``OSError``
    when the file cannot be read.
    """
    from .model.devices import codec  # scipy's special functions take time to import
    from .model.devices.presets import PRESETS

    if device in PRESETS:
        return PRESETS[device].cell
    if not Path(device).is_file():
        raise UsageError(f"{device!r} is not a device: {', '.join(PRESETS)}, or a file")
    try:
        return codec.load(device)
    except codec.DeviceError as error:
        raise UsageError(str(error)) from None


def check_states(name: str, cell: "Cell", graph: Graph) -> None:
    """Raises ``UsageError`` when a cell's states are not those of the network's weights."""
    for index, node in enumerate(graph.nodes):
        weights = getattr(node, "weights", None)
        if weights is not None and len(cell.states) != (3 if weights.ternary else 2):
            kind = "ternary" if weights.ternary else "binary"
            raise UsageError(
                f"{name} has {len(cell.states)} states, but node {index} of {graph.name} has "
                f"{kind} weights"
            )


def read_rate(cell: "Cell") -> float:
    """A cell's rate of read errors, 0 when below what the generator of read errors can do.

    Raises ``UsageError`` when it is above: read disturb can be.
    """
    rate = float(cell.read_error_rate())
    if rate > MOST_RATE:
        raise UsageError(
            f"A read of this cell errs at a rate of {rate:g}, more than {MOST_RATE:g}: lower its "
            "noise, or the current or time of a read"
        )
    return rate if rate >= LEAST_READ_RATE else 0.0


def device_rates(name: str, graph: Graph) -> tuple[np.ndarray, float]:
    """A device's probability of each sensed state given the programmed one, and its rate of read
    errors, see :func:`read_rate`.

    Raises ``UsageError`` when the cell's states are not those of the network's weights.
    """
    cell = device_cell(name)
    check_states(name, cell, graph)
    return cell.transitions(), read_rate(cell)
