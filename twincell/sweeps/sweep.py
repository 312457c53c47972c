# SPDX-License-Identifier: BSD-2-Clause
"""Accuracy against error rate: many error maps for each point, the same images for every map."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from ..hw.plan import Budget, plan
from ..injection import MOST_SEED
from ..model import store
from ..model.graph import Graph
from ..model.reads import ReadOrder
from ..networks import Images, UsageError, chosen_presentations, first_images, load
from ..progress import Progress
from . import workers as crews
from .intervals import LEVEL, two_way
from .ledger import FORMAT, Ledger, key
from .points import Point, identity, points
from .tasks import Job, Outcome, Task

MAX_MAPS = 1 << 20

# Who does tasks: gives their outcomes, in any order.
Crew = Callable[[Job, Sequence[Task]], Iterator[Outcome]]


@dataclass(frozen=True)
class Measured:
    """What the maps of one point showed.

    Parameters
    ----------
    accuracy, low, high : mean over maps and images, and its 95 % interval
    maps, images : how many; a point without errors has one map
    flips_mean : synapses sensed wrong, per map
    read_flips_mean : bits flipped by read errors, per image
    worst, best : accuracy of the worst and the best map
    """

    point: Point
    accuracy: float
    low: float
    high: float
    worst: float
    best: float
    maps: int
    images: int
    flips_mean: float
    read_flips_mean: float

    def as_dict(self) -> dict:
        """The same as plain data."""
        numbers = {name: value for name, value in vars(self).items() if name != "point"}
        return self.point.as_dict() | numbers


@dataclass(frozen=True)
class Sweep:
    """The table of a sweep, which depends on nothing but ``key``'s content and the maps.

    ``presentations`` are those of an image, ``None`` unless the input is stochastic.
    ``evaluated`` tasks were done by this run in ``seconds``; others were in the ledger. ``correct``
    says of each point which images each map got right: uint8 (maps, images).
    """

    network: str
    digest: str
    dataset: str
    presentations: int | None
    seed: int
    key: str
    knob: str | None
    points: tuple[Measured, ...]
    evaluated: int
    seconds: float
    correct: tuple[np.ndarray, ...] = field(default=(), compare=False, repr=False)

    def as_dict(self) -> dict:
        """The table as plain data: equal sweeps give equal ones."""
        return {
            "network": self.network,
            "digest": self.digest,
            "dataset": self.dataset,
            "presentations": self.presentations,
            "seed": self.seed,
            "key": self.key,
            "level": LEVEL,
            "knob": self.knob,
            "points": [point.as_dict() for point in self.points],
        }


def sweep(
    net: str | Path,
    directory: str | Path,
    *,
    ber: Sequence[float] = (),
    transient: Sequence[float] = (),
    device: Sequence[str] = (),
    knob: tuple[str, Sequence[float]] | None = None,
    maps: int = 20,
    images: int | None = None,
    dataset: str | None = None,
    data: Path | None = None,
    presentations: int | None = None,
    seed: int = 0,
    budget: Budget | None = None,
    workers: int | None = None,
    dask: str | None = None,
    crew: Crew | None = None,
    instrument: str = "software",
    order: ReadOrder | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
) -> Sweep:
    """Measures the accuracy of a network at each point with many error maps.

    What is done is in ``directory``'s ledger, from which the same sweep continues, with more maps
    too. ``sweep.json``, ``sweep.csv`` and ``sweep.svg`` are written there at the end.

    Parameters
    ----------
    net : file, or name from the zoo
    ber, transient, device, knob : see :func:`.points.points`
    maps : error maps of each point
    images : how many of the test images, from the first; by default all
    dataset, data : which images, and where their files are; see :func:`.networks.first_images`
    presentations : of a stochastic input, by default the first number that it supports
    seed : of all errors, 0 to 2^64 - 1
    budget : of the plan whose order of reads the read errors follow
    workers : processes; by default one a core, and 1 does it in this process
    dask : address of a scheduler, whose cluster does it
    crew : who does it instead
    instrument : what the crew measures on; only the same continues what a ledger has
    order : of the reads, where it is not that of a plan
    fresh : whether to forget what another sweep has left in the directory

    Raises ``UsageError``, ``PlanError``, ``DataError``, ``ToolMissing`` or ``OSError``.
    """
    grid = points(ber, transient, device, knob)
    _check_numbers(maps, workers, dask, seed)
    graph = load(net)
    presentations = chosen_presentations(graph, presentations)
    shown = first_images(net, graph, images, dataset=dataset, directory=data)
    if order is None and any(point.rates(graph).transient for point in grid):
        order = plan(graph, budget).read_order
    job, description = _job(graph, shown, grid, presentations, seed, order)
    crew = crew or partial(_outcomes, count=workers, dask=dask)
    start = time.perf_counter()
    claim = description | {"instrument": instrument}
    with Ledger(Path(directory), claim, len(job.labels), fresh=fresh) as ledger:
        tasks = [(k, m) for k, point in enumerate(grid) for m in range(_maps(point, maps))]
        evaluated = _fill(ledger, job, tasks, crew, progress or (lambda done, total: None))
        measured = tuple(
            _measure(ledger, k, point, _maps(point, maps), seed) for k, point in enumerate(grid)
        )
        correct = tuple(ledger.correctness(k, _maps(p, maps)) for k, p in enumerate(grid))
    found = Sweep(
        network=graph.name,
        digest=store.digest(graph),
        dataset=shown.source,
        presentations=presentations,
        seed=seed,
        key=job.key,
        knob=knob[0] if knob else None,
        points=measured,
        evaluated=evaluated,
        seconds=time.perf_counter() - start,
        correct=correct,
    )
    from .files import write  # matplotlib takes a second to import

    write(found, Path(directory))
    return found


def _check_numbers(maps: int, workers: int | None, dask: str | None, seed: int) -> None:
    """Raises ``UsageError`` for numbers out of range, and for workers beside a cluster's."""
    _range("--maps", maps, MAX_MAPS)
    if workers is not None:
        _range("--workers", workers, 1 << 10)
        if dask is not None:
            raise UsageError("A Dask cluster has its own workers; leave out --workers")
    _range("--seed", seed, MOST_SEED, 0)


def _fill(ledger: Ledger, job: Job, tasks: list[Task], crew: Crew, report: Progress) -> int:
    """Does the tasks that the ledger lacks; how many they were."""
    missing = [task for task in tasks if task not in ledger.outcomes]
    done = len(tasks) - len(missing)
    report(done, len(tasks))
    with closing(crew(job, missing)) as outcomes:
        for number, outcome in enumerate(outcomes, done + 1):
            ledger.add(outcome)
            report(number, len(tasks))
    return len(missing)


def _range(name: str, value: int, most: int, least: int = 1) -> None:
    if not least <= value <= most:
        raise UsageError(f"{name} must be {least} to {most}, not {value}")


def _maps(point: Point, maps: int) -> int:
    return 1 if point.clean else maps


def _job(
    graph: Graph,
    shown: Images,
    grid: Sequence[Point],
    presentations: int | None,
    seed: int,
    order: ReadOrder | None,
) -> tuple[Job, dict]:
    """What the workers share, and the plain data that decide their outcomes; raises ``UsageError``
    for images without labels."""
    if shown.labels is None:
        raise UsageError("A sweep needs labelled images: give --dataset with the name of a set")
    images = np.ascontiguousarray(shown.pixels)
    labels = shown.labels.astype(np.int64)
    rates = tuple(point.rates(graph) for point in grid)
    if order is None or not any(each.transient for each in rates):
        order = ReadOrder.logical(graph)  # and it decides nothing
    sha = hashlib.sha256(f"{images.dtype.str}{images.shape}".encode())
    sha.update(images.tobytes())
    sha.update(labels.tobytes())
    description = {
        "format": FORMAT,
        "network": store.digest(graph),
        "data": sha.hexdigest(),
        "images": len(images),
        "presentations": presentations,
        "seed": seed,
        "points": [identity(each) for each in rates],
        "order of reads": [
            list(vars(each).values()) for each in order.arrays if any(r.transient for r in rates)
        ],
    }
    job = Job(graph, order, images, labels, rates, presentations, seed, key(description))
    return job, description


def _outcomes(
    job: Job, tasks: Sequence[Task], count: int | None, dask: str | None
) -> Iterator[Outcome]:
    if dask is not None and tasks:
        return crews.cluster(job, tasks, dask)
    count = count or crews.default_workers(job, len(tasks))
    return crews.here(job, tasks) if count == 1 else crews.local(job, tasks, count)


def _measure(ledger: Ledger, index: int, point: Point, maps: int, seed: int) -> Measured:
    correct = ledger.correctness(index, maps)
    outcomes = [ledger.outcomes[index, k] for k in range(maps)]
    low, high = two_way(correct, np.random.SeedSequence(seed, spawn_key=(index,)))
    of_maps = correct.mean(axis=1)
    return Measured(
        point=point,
        accuracy=float(correct.mean()),
        low=low,
        high=high,
        worst=float(of_maps.min()),
        best=float(of_maps.max()),
        maps=maps,
        images=correct.shape[1],
        flips_mean=float(np.mean([each.flips for each in outcomes])),
        read_flips_mean=float(np.mean([each.read_flips for each in outcomes]) / correct.shape[1]),
    )
