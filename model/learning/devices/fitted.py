# SPDX-License-Identifier: BSD-2-Clause
"""Devices from measured pulse trains: a CSV file, one or two slopes and a noise for each device.

Each measured device gets the law ``ln R = start + slope min(t, knee) + tail max(t - knee, 0)`` by
least squares; what its points scatter from one to the next is its noise. A memory's devices are
drawn from the fitted ones with replacement, whole, so that measured correlations between start,
slopes and noise are kept.
"""

import hashlib
import math
import warnings
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from scipy import linalg, stats
from torch import Tensor

from ...devices import measurements
from ...devices.measurements import MeasurementError
from .memory import LearningDevice, Memory
from .weak_reset import two_slopes

COLUMNS = ("device", "pulse", "resistance_ohm")
LEAST = 6  # points of a device: one more than its law and noise have numbers
STARTS = 100.0, 1e9  # ohm, the median device of a memory; else the file is in another unit
LEVEL = 0.01  # of both tests: whether a device has two slopes, whether any device rises
ROUNDING = 1e-9  # ln ohm, what no measurement resolves


@dataclass(frozen=True, eq=False)
class PulseTrain:
    """One measured device: its ``ohm``, float64, after each of its ``pulses``, ascending."""

    device: str
    pulses: np.ndarray
    ohm: np.ndarray


@dataclass(frozen=True)
class TwoSlopes:
    """The law of one fitted device: ln ohm, ln ohm per pulse, pulses; ``noise`` is the standard
    deviation of its white noise, ln ohm, and ``last`` the last measured pulse, if known. With one
    slope ``tail`` equals it."""

    start: float
    slope: float
    knee: float
    tail: float
    noise: float
    last: float = math.inf


def read(path: str | Path) -> tuple[PulseTrain, ...]:
    """Reads a CSV file with exactly the columns of COLUMNS, in any order.

    ``device`` is any name, ``pulse`` the number of weak RESET pulses since SET, an integer from 0,
    ``resistance_ohm`` a number from 1 to 1e12. Rows may come in any order, but no pulse of a device
    twice. The median of the first resistances must be within STARTS. Raises
    :class:`MeasurementError` with the line and column, ``OSError``.
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
    start = np.median([points[min(points)] for points in trains.values()])
    if not STARTS[0] <= start <= STARTS[1]:
        raise MeasurementError(
            f"{path}: the median resistance at the first pulse is {start:g}, outside "
            f"{STARTS[0]:g} to {STARTS[1]:g}; ohm expected"
        )
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
    """The law of a measured device: least squares in ln R with slopes from 0 up.

    It has one slope, unless two leave so much less that an F test with 2 and n - 4 degrees of
    freedom is significant at LEVEL. Raises :class:`MeasurementError` when there are fewer than
    LEAST points.
    """
    t, logs = train.pulses.astype(float), np.log(train.ohm)
    if len(t) < LEAST:
        raise MeasurementError(f"Device {train.device!r} has {len(t)} points, a fit needs {LEAST}")
    y, free = logs - logs.mean(), len(t) - 4
    one, two = _straight(t, y), _bent(t, y)
    left = [float(np.sum(_residual(t, y, law) ** 2)) for law in (one, two)]
    ratio = (left[0] - left[1]) / 2 / ((left[1] + len(t) * ROUNDING**2) / free)
    law = two if stats.f.sf(ratio, 2, free) < LEVEL else one
    start = float(logs.mean() - _rise(t, *law).mean())
    return TwoSlopes(start, *law, _noise(t, _residual(t, y, law), law[1]), float(t[-1]))


def _rise(t: np.ndarray, slope: float, knee: float, tail: float) -> np.ndarray:
    return slope * np.minimum(t, knee) + tail * np.maximum(t - knee, 0)


def _residual(t: np.ndarray, y: np.ndarray, law: tuple[float, float, float]) -> np.ndarray:
    """What the law leaves of ``y``, whose mean is 0 as that of the result."""
    rise = _rise(t, *law)
    return y - (rise - rise.mean())


def _straight(t: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Slope, knee and tail of the best law with one slope; its knee is the last point."""
    slope = float(_lines(t, y)[1][-1])
    return slope, float(t[-1]), slope


def _bent(t: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Slope, knee and tail of the best law with two slopes.

    A tail steeper than the slope rests on two points or more: no bound would hold what a single
    one, maybe an outlier, makes of the pulses to come.
    """
    knees = _knees(t, y)
    slope, tail, explained = _slopes(t - t[0], y, knees - t[0])
    explained[(tail > slope) & (knees > t[-3])] = -1
    best = np.argmax(explained >= explained.max() * (1 - 1e-12))  # of equals a measured pulse
    return float(slope[best]), float(knees[best]), float(tail[best])


def _knees(t: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where the best knee can be: at a measured pulse, or between two of them.

    Between two it is the crossing of the best rising lines on either side (Hudson, Journal of the
    American Statistical Association 61:1097, 1966).
    """
    before, after = _lines(t, y), _lines(t[::-1], y[::-1])
    (low, slope), (high, tail) = before[:, :-1], after[:, -2::-1]
    apart = slope - tail
    crossings = (high - low) / np.where(apart == 0, np.inf, apart)  # parallel ones do not cross
    knees = np.concatenate([t[1:-1], np.clip(crossings, t[:-1], t[1:])])
    return knees[(t[0] < knees) & (knees < t[-1])]


def _lines(t: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Offset and slope, from 0 up, of the best lines through the first k points, (2, n)."""
    count, since = np.arange(1, len(t) + 1), t - t[0]
    mean_t, mean_y = since.cumsum() / count, y.cumsum() / count
    variance = (since * since).cumsum() / count - mean_t**2
    covariance = (since * y).cumsum() / count - mean_t * mean_y
    slope = np.maximum(covariance, 0) / np.where(count == 1, np.inf, variance)
    return np.stack([mean_y - slope * (mean_t + t[0]), slope])


def _slopes(
    t: np.ndarray, y: np.ndarray, knees: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slope, tail, both from 0 up, and the explained sum of squares for each of the knees.

    These are the normal equations of ``a = min(t, knee)`` and ``b = max(t - knee, 0)``, from sums
    over the points below and above a knee.
    """
    sums = np.stack([np.ones_like(t), t, y, t * t, t * y]).cumsum(axis=1)
    below = sums[:, np.searchsorted(t, knees, side="right") - 1]
    n1, t1, _, tt1, ty1 = below
    n2, t2, y2, tt2, ty2 = sums[:, -1:] - below
    a, b = t1 + knees * n2, t2 - knees * n2
    aa = tt1 + knees**2 * n2 - a * a / (n1 + n2)
    bb = tt2 - 2 * knees * t2 + knees**2 * n2 - b * b / (n1 + n2)
    ab = knees * b - a * b / (n1 + n2)
    ay, by = ty1 + knees * y2, ty2 - knees * y2
    slope, tail = (bb * ay - ab * by, aa * by - ab * ay) / (aa * bb - ab * ab)
    # With a negative one among them, the best law has one slope that is 0.
    alone = np.maximum(ay, 0) / aa, np.maximum(by, 0) / bb
    first, both = alone[0] * ay >= alone[1] * by, (slope >= 0) & (tail >= 0)
    slope = np.where(both, slope, np.where(first, alone[0], 0))
    tail = np.where(both, tail, np.where(first, 0, alone[1]))
    return slope, tail, slope * ay + tail * by


def _noise(t: np.ndarray, residual: np.ndarray, knee: float) -> float:
    """The standard deviation of white noise, from differences of neighbouring residuals.

    Slow noise hardly enters these differences. White noise of variance 1 in the points leaves
    residuals whose differences have the squares ``2 (n - 1) - |D Q|^2`` in the mean, D the
    differences and Q an orthonormal basis of what the fit was free in: a line on either side of
    the knee, or one line.
    """
    beyond, scaled = t > knee, t / t[-1]
    free = [np.ones_like(t), scaled, beyond, beyond * scaled]
    basis = linalg.orth(np.stack(free if beyond.any() else free[:2], axis=1))
    squares = 2 * (len(t) - 1) - np.sum(np.diff(basis, axis=0) ** 2)
    return float(np.sqrt(np.sum(np.diff(residual) ** 2) / squares))


@dataclass(frozen=True, kw_only=True)
class Fitted(LearningDevice):
    """Devices like measured ones.

    Parameters
    ----------
    devices : the laws to draw from
    spread : whether devices differ; without, all are the measured one whose law is nearest to the
        medians of all, with the median noise
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
        """Reads and fits a file of pulse trains.

        Raises :class:`MeasurementError`, also when no device rises with pulses (Fisher's combined
        test of one line for each device at LEVEL) and when the median of their laws begins outside
        STARTS, ``OSError``. Warns of devices whose noise is more than a factor of e: a row of them
        may be wrong; and of such that were measured from a pulse on which is further from 0 than
        from the last one.
        """
        trains = read(path)
        _check_rise(path, trains)
        devices = tuple(fit(train) for train in trains)
        _check_starts(path, trains, devices)
        if wild := [t.device for t, law in zip(trains, devices, strict=True) if law.noise > 1]:
            warnings.warn(
                f"{path}: the noise of {len(wild)} of {len(trains)} devices is more than a factor "
                f"of e, the first is {wild[0]!r}",
                stacklevel=2,
            )
        return cls(devices=devices, **knobs)

    def memory(self, shape: tuple[int, ...], seed: int) -> "FittedMemory":
        return FittedMemory(self, shape, seed)

    def __repr__(self) -> str:
        options = ", ".join(
            f"{name}={getattr(self, name)}" for name in ("limit", *self.IMPERFECTIONS)
        )
        return f"Fitted({len(self.devices)} devices {_digest(self.devices)}, {options})"


def _check_rise(path: str | Path, trains: tuple[PulseTrain, ...]) -> None:
    chances = [1e-300 + _chance(train) for train in trains]  # which have logarithms
    if stats.combine_pvalues(chances).pvalue >= LEVEL:
        raise MeasurementError(
            f"{path}: none of its {len(trains)} devices rises with pulses (at a level of "
            f"{LEVEL:.0%}); learning needs resistances that grow"
        )


def _check_starts(
    path: str | Path, trains: tuple[PulseTrain, ...], devices: tuple[TwoSlopes, ...]
) -> None:
    """Memories begin at pulse 0, where the law of a train that begins later is extrapolated."""
    first = np.median([train.pulses[0] for train in trains])
    start = math.exp(np.median([law.start for law in devices]))
    if not STARTS[0] <= start <= STARTS[1]:
        raise MeasurementError(
            f"{path}: extrapolated from pulse {first:g}, the median of the first ones, to pulse 0 "
            f"the median resistance is {start:g} ohm, outside {STARTS[0]:g} to {STARTS[1]:g}; "
            "count pulses from the SET on, and measure from there"
        )
    if late := [train.device for train in trains if train.pulses[0] > np.ptp(train.pulses)]:
        warnings.warn(
            f"{path}: {len(late)} of {len(trains)} devices were measured late, the first is "
            f"{late[0]!r}: between pulse 0, where memories begin, and the first one measured their "
            "law is extrapolated",
            stacklevel=3,
        )


def _chance(train: PulseTrain) -> float:
    """The p-value of a rising line through ln R against noise alone."""
    logs = np.log(train.ohm)
    if np.ptp(logs) < ROUNDING:
        return 1.0
    return float(stats.linregress(train.pulses, logs, alternative="greater").pvalue)


def _typical(laws: np.ndarray) -> np.ndarray:
    """Of laws (devices, 6) the one that is nearest to the medians of ln R along the pulses, with
    the median noise; medians of slopes and knees, which depend on each other, make no device."""
    start, slope, knee, tail, noise, last = laws.T[..., None]
    ends = last[np.isfinite(last)]
    end = np.median(ends) if len(ends) else 2 * knee.max()  # where nothing was measured
    curves = start + _rise(np.linspace(0, end, 65), slope, knee, tail)
    nearest = np.argmin(np.sum((curves - np.median(curves, axis=0)) ** 2, axis=1))
    typical = laws[[nearest]]
    typical[:, 4] = np.median(noise)
    return typical


def _digest(devices: tuple[TwoSlopes, ...]) -> str:
    """Eight hexadecimal digits that tell sets of fitted devices apart."""
    return hashlib.sha256(repr(devices).encode()).hexdigest()[:8]


class FittedMemory(Memory):
    """The devices of a layer: their numbers and ``age`` in pulses, float64 (2, *shape).

    ``beyond``, bool (2, *shape), are the devices that were driven beyond their last measured pulse,
    where their law is extrapolated; the first of them warn.
    """

    STREAMS = ("noise",)

    device: Fitted
    start: Tensor
    slope: Tensor
    knee: Tensor
    tail: Tensor
    deviation: Tensor
    last: Tensor
    beyond: Tensor
    residual: Tensor
    age: Tensor

    def __init__(self, device: Fitted, shape: tuple[int, ...], seed: int):
        super().__init__(device, shape, seed)
        laws = np.array([astuple(each) for each in device.devices], dtype=np.float64)
        if not device.spread:
            laws = _typical(laws)
        picks = torch.randint(len(laws), (2, *shape), generator=self._generator("device"))
        names = ("start", "slope", "knee", "tail", "deviation", "last")
        for name, column in zip(names, torch.from_numpy(laws).unbind(1), strict=True):
            self.register_buffer(name, column[picks])
        self.register_buffer("beyond", torch.zeros(2, *shape, dtype=torch.bool))
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
        self._look_beyond()
        self._renew(counts > 0)
        self._evaluate()

    def _look_beyond(self) -> None:
        past = self.age > self.last
        if past.any() and not self.beyond.any():
            warnings.warn(
                f"Devices are driven beyond pulse {self.last[past].min():g}, the last one measured:"
                " their law is extrapolated",
                stacklevel=2,
            )
        self.beyond |= past

    def _set(self, synapses: Tensor) -> None:
        chosen = synapses.expand(2, *self.shape)
        self.age[chosen] = 0
        self._renew(chosen)
        self._evaluate()
