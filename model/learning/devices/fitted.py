# SPDX-License-Identifier: BSD-2-Clause
"""Devices from measured pulse trains: a CSV file, two slopes and a noise for each device.

Each measured device gets the law ``ln R = start + slope min(t, knee) + tail max(t - knee, 0)`` by
least squares; what remains is its noise. A memory's devices are drawn from the fitted ones with
replacement, whole, so that measured correlations between start, slopes and noise are kept.
"""

import hashlib
import math
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from ...devices import measurements
from ...devices.measurements import MeasurementError
from .memory import LearningDevice, Memory
from .weak_reset import two_slopes

COLUMNS = ("device", "pulse", "resistance_ohm")
LEAST = 6  # points of a device: one more than its law and noise have numbers
KNEES = 64  # candidates for the knee of a device


@dataclass(frozen=True, eq=False)
class PulseTrain:
    """One measured device: its ``ohm``, float64, after each of its ``pulses``, ascending."""

    device: str
    pulses: np.ndarray
    ohm: np.ndarray


@dataclass(frozen=True)
class TwoSlopes:
    """The law of one fitted device: ln ohm, ln ohm per pulse, pulses; ``noise`` is the standard
    deviation of its points around it, ln ohm."""

    start: float
    slope: float
    knee: float
    tail: float
    noise: float


def read(path: str | Path) -> tuple[PulseTrain, ...]:
    """Reads a CSV file with exactly the columns of COLUMNS, in any order.

    ``device`` is any name, ``pulse`` the number of weak RESET pulses since SET, an integer from 0,
    ``resistance_ohm`` a number from 1 to 1e12. Rows may come in any order, but no pulse of a device
    twice. Raises :class:`MeasurementError` with the line and column, ``OSError``.
    """
    path = Path(path)
    trains = _trains(path)
    for name, points in trains.items():
        if len(points) < LEAST:
            raise MeasurementError(
                f"{path}: device {name!r} has {len(points)} points, a fit needs {LEAST}"
            )
    if not trains:
        raise MeasurementError(f"{path} has no rows")
    return tuple(
        PulseTrain(name, np.array(sorted(points)), np.array([points[t] for t in sorted(points)]))
        for name, points in trains.items()
    )


def _trains(path: Path) -> dict[str, dict[int, float]]:
    trains: dict[str, dict[int, float]] = {}
    for line, (name, pulse, ohm) in measurements.rows(path, COLUMNS, (), _row):
        if pulse in (points := trains.setdefault(name, {})):
            raise MeasurementError(f"{path}:{line}: pulse {pulse} of device {name!r} again")
        points[pulse] = ohm
    return trains


def _row(row: dict[str, str]) -> tuple[str, int, float]:
    if not (name := row["device"].strip()):
        raise ValueError("device is empty")
    pulse = measurements.integer("pulse", row["pulse"].strip(), row["pulse"], 15)
    return name, pulse, measurements.resistance(row)


def fit(train: PulseTrain) -> TwoSlopes:
    """The two-slope law of a measured device: least squares in ln R with slopes from 0 up.

    The knee is one of at most KNEES of the measured pulse counts. Raises :class:`MeasurementError`
    when there are fewer than LEAST points.
    """
    t, logs = train.pulses.astype(float), np.log(train.ohm)
    if len(t) < LEAST:
        raise MeasurementError(f"Device {train.device!r} has {len(t)} points, a fit needs {LEAST}")
    places = np.unique(np.linspace(1, len(t) - 1, min(KNEES, len(t) - 1)).astype(int))
    best: tuple[float, float, np.ndarray] | None = None
    for knee in t[places]:
        basis = np.stack([np.ones_like(t), np.minimum(t, knee), np.maximum(t - knee, 0)], axis=1)
        size = np.linalg.norm(basis, axis=0)
        found, residual = nnls(basis / np.where(size > 0, size, 1), logs)
        if best is None or residual < best[0]:
            best = float(residual), float(knee), found / np.where(size > 0, size, 1)
    assert best is not None  # LEAST points have a second one
    residual, knee, (start, slope, tail) = best
    noise = residual / math.sqrt(len(t) - 4)
    return TwoSlopes(float(start), float(slope), knee, float(tail), noise)


@dataclass(frozen=True, kw_only=True)
class Fitted(LearningDevice):
    """Devices like measured ones.

    Parameters
    ----------
    devices : the laws to draw from
    spread : whether devices differ; without, all have the median of each number
    noise : whether each pulsed device gets a new normal deviation of its own size
    """

    IMPERFECTIONS: ClassVar[tuple[str, ...]] = ("spread", "noise", "limited", "rounded")

    devices: tuple[TwoSlopes, ...]
    spread: bool = True
    noise: bool = True

    def __post_init__(self):
        super().__post_init__()
        if not self.devices or not all(isinstance(each, TwoSlopes) for each in self.devices):
            raise TypeError(f"devices must be some TwoSlopes, not {self.devices!r:.60}")

    @classmethod
    def from_csv(cls, path: str | Path, **knobs) -> "Fitted":
        """Reads and fits a file of pulse trains; raises :class:`MeasurementError`, ``OSError``."""
        return cls(devices=tuple(fit(train) for train in read(path)), **knobs)

    def memory(self, shape: tuple[int, ...], seed: int) -> "FittedMemory":
        return FittedMemory(self, shape, seed)

    def __repr__(self) -> str:
        options = ", ".join(
            f"{name}={getattr(self, name)}" for name in ("limit", *self.IMPERFECTIONS)
        )
        return f"Fitted({len(self.devices)} devices {_digest(self.devices)}, {options})"


def _digest(devices: tuple[TwoSlopes, ...]) -> str:
    """Eight hexadecimal digits that tell sets of fitted devices apart."""
    return hashlib.sha256(repr(devices).encode()).hexdigest()[:8]


class FittedMemory(Memory):
    """The devices of a layer: their numbers, float64 (2, *shape), and ``age`` in pulses."""

    STREAMS = ("start", "noise")

    device: Fitted
    start: Tensor
    slope: Tensor
    knee: Tensor
    tail: Tensor
    deviation: Tensor
    residual: Tensor
    age: Tensor

    def __init__(self, device: Fitted, shape: tuple[int, ...], seed: int):
        super().__init__(device, shape, seed)
        laws = torch.tensor([astuple(each) for each in device.devices], dtype=torch.float64)
        if not device.spread:
            laws = laws.quantile(0.5, dim=0, keepdim=True)
        picks = torch.randint(len(laws), (2, *shape), generator=self._generator("device"))
        names = ("start", "slope", "knee", "tail", "deviation")
        for name, column in zip(names, laws.unbind(1), strict=True):
            self.register_buffer(name, column[picks])
        self.register_buffer("age", torch.zeros(2, *shape, dtype=torch.float64))
        self.register_buffer("residual", torch.zeros(2, *shape, dtype=torch.float64))
        self._set(torch.ones(shape, dtype=torch.bool))

    def _evaluate(self) -> None:
        mean = self.start + two_slopes(self.age, self.slope, self.knee, self.tail)
        self.ln_ohm.copy_(mean + self.residual)

    def _renew(self, where: Tensor) -> None:
        """New deviations for the chosen devices."""
        if self.device.noise:
            draws = self.streams["noise"]
            normal = torch.randn(int(where.sum()), generator=draws, dtype=torch.float64)
            self.residual[where] = normal * self.deviation[where]

    def _pulse(self, counts: Tensor) -> None:
        self.age += counts
        self._renew(counts > 0)
        self._evaluate()

    def _set(self, synapses: Tensor) -> None:
        chosen = synapses.expand(2, *self.shape)
        self.age[chosen] = 0
        self._renew(chosen)
        self._evaluate()
