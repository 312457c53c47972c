# SPDX-License-Identifier: BSD-2-Clause
"""What one worker does: draw one error map of one point and classify every image with it.

Workers import this module and nothing that needs Amaranth or torch.
"""

from dataclasses import dataclass, field

import numpy as np

from ..model.errors import ErrorMap
from ..model.graph import Graph
from ..model.integer import Interpreter, labels
from ..model.reads import ReadOrder

Task = tuple[int, int]  # point, map


@dataclass(frozen=True, eq=False)
class Rates:
    """What the errors of a point are drawn from: see :meth:`ErrorMap.draw`."""

    persistent: float | np.ndarray
    transient: float


@dataclass(frozen=True, eq=False)
class Job:
    """What all tasks of a sweep share.

    Parameters
    ----------
    graph, order : the network and the order in which its arrays are read
    images, labels : (images, *shape) and (images,)
    rates : of each point
    presentations : of an image, ``None`` unless the input is stochastic
    seed : of the whole sweep
    key : SHA-256 of all that decides the results
    """

    graph: Graph
    order: ReadOrder
    images: np.ndarray
    labels: np.ndarray
    rates: tuple[Rates, ...]
    presentations: int | None
    seed: int
    key: str


@dataclass(frozen=True)
class Outcome:
    """What one map of one point did.

    Parameters
    ----------
    correct : which images were classified rightly, one bit each, little-endian
    flips : synapses sensed wrong
    read_flips : bits that read errors flipped, over all images
    """

    point: int
    map: int
    correct: bytes
    flips: int
    read_flips: int

    def bits(self, images: int) -> np.ndarray:
        """Whether each image was classified rightly, uint8 (images,)."""
        packed = np.frombuffer(self.correct, dtype=np.uint8)
        return np.unpackbits(packed, count=images, bitorder="little")


def map_seed(seed: int, point: int, number: int) -> int:
    """The 64-bit seed of one error map."""
    sequence = np.random.SeedSequence(seed, spawn_key=(point, number))
    return int(sequence.generate_state(1, np.uint64)[0])


@dataclass(eq=False)
class Engine:
    """A job with its network packed and its images shown, for any number of tasks."""

    job: Job
    _network: Interpreter = field(init=False)

    def __post_init__(self):
        self._network = Interpreter(self.job.graph, threads=1)
        shown = self.job.presentations
        self._shown = self._network.shown(self.job.images, presentations=shown)

    def run(self, task: Task) -> Outcome:
        """The outcome of a task, which depends on nothing but the job and the task."""
        job, (point, number) = self.job, task
        rates = job.rates[point]
        seed = map_seed(job.seed, point, number)
        errors = ErrorMap.draw(
            job.graph, seed, persistent=rates.persistent, transient=rates.transient
        )
        network = self._network.with_errors(errors, job.order)
        correct = labels(network.scores(self._shown)) == job.labels
        return Outcome(
            point,
            number,
            np.packbits(correct, bitorder="little").tobytes(),
            sum(errors.flips(job.graph).values()),
            sum(network.read_flips().values()),
        )
