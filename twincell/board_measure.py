# SPDX-License-Identifier: BSD-2-Clause
"""Measurements on boards: one run of images, and sweeps over rates and error maps."""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from . import board_link
from .board_link import Machine, Mismatch
from .fpga.host.experiment import Experiment, Measured
from .injection import Injection
from .model.data import Dataset
from .model.errors import ErrorMap
from .networks import UsageError, random_images, test_set
from .sweeps.sweep import Sweep, sweep
from .sweeps.tasks import Job, Outcome, Task, map_seed

AT_ONCE = 16  # maps of a sweep for which images are sent once, when a board does not hold all
BITS = 10  # of a byte on the line
WRITING, READING = 0.95, 0.75  # of the line's bytes are words; docs/link.md
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Way:
    """How a board is reached: a port, a USB bridge's serial number, or in simulation."""

    port: str | None = None
    serial: str | None = None
    simulate: bool = False


def run(
    machine: Machine,
    way: Way,
    images: int,
    injection: Injection,
    *,
    dataset: str | None = None,
    data: Path | None = None,
    progress: Progress | None = None,
) -> tuple[dict, bool]:
    """Runs test images under one error map; the report, and whether all was as predicted.

    ``images`` are the first of the test images, or random ones where the network has none. Raises
    ``UsageError`` for what does not go together, and for a board that does not answer.
    """
    errors = injection.errors(machine.graph)
    shown, labels = _images(machine, images, injection.seed, dataset, data)
    start = time.perf_counter()
    with board_link.opened(
        machine, port=way.port, serial=way.serial, simulate=way.simulate
    ) as transport:
        bench = board_link.experiment(machine, transport, simulate=way.simulate)
        (found,) = bench.measure(shown, [errors], progress=progress)
    seconds = time.perf_counter() - start
    accuracy = None if labels is None else float((found.labels == labels).mean())
    return _report(machine, way, injection, errors, found, bench, accuracy, seconds), found.exact


def planned(machine: Machine, way: Way, images: int, injection: Injection) -> dict:
    """What :func:`run` would do, without a board: what is sent, and where."""
    injection.errors(machine.graph)
    about = machine.about
    lines = [about.targets[each.word_lines] for each in about.emulated]
    port = way.port
    if port is None and not way.simulate:
        port = board_link.found_port(machine, way.serial)
    return {
        "board": machine.board.name,
        "network": machine.graph.name,
        "build": about.build,
        "port": "simulated" if way.simulate else port,
        "baud": about.baud,
        "images": images,
        "image_slots": about.capacity.slots,
        "image_bytes": images * about.image_words * 4,
        "word_line_bytes": sum(each.rows * each.words * 4 for each in lines),
        "result_bytes": images * about.results.words * 4,
        "seed": injection.seed,
    }


def projected_sweep(machine: Machine, images: int, tasks: int) -> dict:
    """What a sweep of so many error maps would send and take at the least, without a board.

    It is a projection from cycles and from the line's rate: every word line and table is sent for
    each map, results are read after a run, and neither repetitions, adapters nor the cycles of read
    errors are counted.
    """
    about = machine.about
    parts = -(-images // about.capacity.slots)
    sent = 1 if parts == 1 else -(-tasks // AT_ONCE)
    targets = [about.targets[k] for e in about.emulated for k in (e.word_lines, e.read_errors)]
    to_board = sent * images * about.image_words * 4
    to_board += tasks * parts * sum(each.rows * each.words * 4 for each in targets)
    from_board = tasks * images * about.results.words * 4
    line = (to_board / WRITING + from_board / READING) * BITS / about.baud
    computing = tasks * images * about.cycles_per_image / about.clock
    return {
        "board": machine.board.name,
        "network": machine.graph.name,
        "images": images,
        "error_maps": tasks,
        "image_slots": about.capacity.slots,
        "bytes_to_board": to_board,
        "bytes_from_board": from_board,
        "seconds_on_the_line": line,
        "seconds_computing": computing,
        "projected_seconds": line + computing,
    }


def measured_sweep(
    machine: Machine, way: Way, directory: Path, *, progress: Progress | None = None, **options
) -> tuple[Sweep, Experiment]:
    """A sweep on a board; the options are those of :func:`~.sweeps.sweep.sweep`.

    Its table is that of the same sweep in software. Raises :class:`Mismatch` at the first map of
    which anything is not as predicted.
    """
    with board_link.opened(
        machine, port=way.port, serial=way.serial, simulate=way.simulate
    ) as transport:
        bench = board_link.experiment(machine, transport, simulate=way.simulate)
        found = sweep(
            machine.net,
            directory,
            crew=_crew(bench),
            order=machine.about.read_order,
            progress=progress,
            **options,
        )
    return found, bench


def _crew(bench: Experiment) -> Callable[[Job, Sequence[Task]], Generator[Outcome, None, None]]:
    def outcomes(job: Job, tasks: Sequence[Task]) -> Generator[Outcome, None, None]:
        for first in range(0, len(tasks), AT_ONCE):
            group = tasks[first : first + AT_ONCE]
            maps = [_drawn(job, task) for task in group]
            measured = bench.measure(job.images, maps)
            for (point, number), errors, found in zip(group, maps, measured, strict=True):
                if not found.exact:
                    raise Mismatch(f"Point {point}, map {number}: {difference(found)}")
                correct = np.packbits(found.labels == job.labels, bitorder="little").tobytes()
                wrong = sum(errors.flips(job.graph).values())
                yield Outcome(point, number, correct, wrong, found.flips)

    return outcomes


def _drawn(job: Job, task: Task) -> ErrorMap:
    point, number = task
    rates = job.rates[point]
    seed = map_seed(job.seed, point, number)
    return ErrorMap.draw(job.graph, seed, persistent=rates.persistent, transient=rates.transient)


def difference(found: Measured) -> str:
    """What was not as predicted."""
    return (
        f"{found.mismatches} of {len(found.labels)} images differ; flips {found.flips} of "
        f"{found.expected_flips}, reads {found.reads} of {found.expected_reads} predicted"
    )


def _images(
    machine: Machine, count: int, seed: int, dataset: str | None, data: Path | None
) -> tuple[np.ndarray, np.ndarray | None]:
    found: Dataset | None = test_set(machine.net, machine.graph, dataset=dataset, directory=data)
    if found is None:
        return random_images(machine.graph, count, seed), None
    available = len(found.test_images)
    if count > available:
        raise UsageError(f"{found.name} has 1 to {available} test images, not {count}")
    return found.test_images[:count], found.test_labels[:count]


def _report(
    machine: Machine,
    way: Way,
    injection: Injection,
    errors: ErrorMap | None,
    found: Measured,
    bench: Experiment,
    accuracy: float | None,
    seconds: float,
) -> dict:
    session = bench.board.session
    count = len(found.labels)
    return {
        "board": machine.board.name,
        "network": machine.graph.name,
        "build": machine.about.build,
        "simulated": way.simulate,
        "seed": injection.seed,
        "images": count,
        "mismatches": found.mismatches,
        "accuracy": accuracy,
        "flips": found.flips,
        "expected_flips": found.expected_flips,
        "reads": found.reads,
        "expected_reads": found.expected_reads,
        "wrong_synapses": 0 if errors is None else sum(errors.flips(machine.graph).values()),
        "cycles": found.cycles,
        "images_per_second": count * machine.about.clock / found.cycles,
        "recovered": bench.recovered,
        "link": asdict(session.statistics),
        "seconds": seconds,
    }
