# SPDX-License-Identifier: BSD-2-Clause
"""What a simulation is asked for and what it hands back, the same for every simulator."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Payloads that are played into stream ``load`` before an image that comes first after a reset, for
# the index of that image.
Prologue = Callable[[int], list[int]]


@dataclass(frozen=True)
class Pauses:
    """Random pauses on both sides of a component.

    ``source`` is the probability that a cycle in which a beat could be offered passes without one;
    ``sink`` the probability that the sink is not ready in a cycle.
    """

    source: float = 0.0
    sink: float = 0.0

    def __post_init__(self):
        for name in ("source", "sink"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ValueError(f"Pauses: {name} must be at least 0 and below 1, not {value!r}")

    def __str__(self):
        return f"source {self.source:g}, sink {self.sink:g}"


# What every stream is tested under: no pauses, source idle, sink stalls, both.
SWEEP = (Pauses(), Pauses(source=0.5), Pauses(sink=0.5), Pauses(source=0.5, sink=0.5))


class SimulationError(RuntimeError):
    """The simulated hardware misbehaved: broke the stream contract or sent too many beats.

    ``waves`` and ``replay`` are those of :class:`Result`.
    """

    waves: Path | None = None
    replay: str = ""


class Hang(SimulationError):
    """The simulated hardware stopped: no beat moved for as long as the limit says."""


class TimedOut(RuntimeError):
    """A simulator took longer than it was given, whatever the hardware did."""


class BuildError(RuntimeError):
    """A simulator did not compile or start; the message ends with its last lines."""


@dataclass(frozen=True, eq=False)
class Played:
    """Beats that left, uint8 (beats, bytes), the cycle of each, and the cycles up to the last."""

    beats: np.ndarray
    stamps: np.ndarray
    cycles: int


@dataclass(frozen=True, eq=False)
class Result:
    """Scores as a simulation saw them, and when.

    Parameters
    ----------
    scores : int64 (N, classes)
    labels : int64 (N,); -1 where the marks of the last beat were wrong
    finished : int64 (N,), the cycle in which each image's last beat left, counted from the reset
        of its slice
    slices : (start, stop) of the images that one run of the simulator saw, one after the other
    cycles : simulated clock cycles of all slices
    seconds : wall time of the simulation, compilation apart
    compile_seconds : wall time of the compilation; near zero when it was cached
    waves : waveform of the first difference, if one was kept
    replay : how to see a difference again; empty if there was none
    """

    simulator: str
    scores: np.ndarray
    labels: np.ndarray
    finished: np.ndarray
    slices: tuple[tuple[int, int], ...]
    cycles: int
    seconds: float
    compile_seconds: float
    pauses: Pauses
    seed: int
    waves: Path | None = None
    replay: str = ""

    def mismatches(self, scores: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Which scores differ from the expected ones, bool (N, classes).

        A wrong label counts as a difference in the column of the expected label. ``labels``
        defaults to the lowest index of each greatest expected score.
        """
        expected = np.asarray(scores)
        labels = np.asarray(expected.argmax(axis=1) if labels is None else labels)
        wrong = self.scores != expected
        rows = np.flatnonzero(self.labels != labels)
        wrong[rows, labels[rows]] = True
        return wrong

    @property
    def steady_cycles_per_image(self) -> float | None:
        """Cycles from one image's completion to the next, once the pipeline has filled.

        Measured inside slices only, without the first images of each; exact when the hardware's
        rhythm is. ``None`` unless some slice holds two images.
        """
        steps = []
        for start, stop in self.slices:
            between = np.diff(self.finished[start:stop])
            steps.append(between[min(8, len(between) // 2) :])
        steps = np.concatenate(steps) if steps else np.zeros(0)
        return float(steps.sum() / len(steps)) if len(steps) else None

    @property
    def images_per_second(self) -> float:
        """Simulated images per second of wall time."""
        return len(self.scores) / self.seconds if self.seconds else 0.0

    @property
    def clock_cycles_per_second(self) -> float:
        """Simulated clock cycles per second of wall time, all processes together."""
        return self.cycles / self.seconds if self.seconds else 0.0
