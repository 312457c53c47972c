# SPDX-License-Identifier: BSD-2-Clause
"""Measurements on boards: one run of images, and sweeps over rates and error maps."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from . import board_link
from .board_link import Machine, Way
from .fpga.description import Description
from .fpga.host.experiment import Experiment, Measured
from .injection import Injection
from .model.errors import ErrorMap
from .networks import Images, Mismatch, UsageError, chosen_presentations, first_images
from .progress import Progress
from .sweeps.sweep import Sweep, sweep
from .sweeps.tasks import Job, Outcome, Task, map_seed

AT_ONCE = 128  # maps of a sweep for which images are sent once, when a board does not hold all
BITS = 10  # of a byte on the line
WRITING, READING = 0.95, 0.75  # of the line's bytes are words; docs/link.md


@dataclass(frozen=True)
class Asked:
    """A run that is asked for.

    Parameters
    ----------
    images : the first of the test images, or random ones where the network has none
    injection : the errors of the memory
    presentations : of a stochastic input, by default its first number
    dataset, data : which images, and where their files are; see :func:`.networks.first_images`
    wear : whether to report how often the word lines were programmed since the board started
    """

    images: int
    injection: Injection
    presentations: int | None = None
    dataset: str | None = None
    data: Path | None = None
    wear: bool = False

    def of(self, machine: Machine) -> tuple[ErrorMap | None, Images]:
        """Its errors and its images for a build; raises ``UsageError`` for what does not go
        together."""
        if self.wear and not machine.board.programmings:
            raise UsageError(f"{machine.board.name} does not count programmings; leave out --wear")
        chosen_presentations(machine.graph, self.presentations)
        errors = self.injection.errors(machine.graph)
        return errors, first_images(
            machine.net,
            machine.graph,
            self.images,
            dataset=self.dataset,
            directory=self.data,
            seed=self.injection.seed,
        )


def run(
    machine: Machine, way: Way, asked: Asked, *, progress: Progress | None = None
) -> tuple[dict, bool]:
    """Runs test images under one error map; the report, and whether all was as predicted.

    Raises ``UsageError`` for what does not go together, and for a board that does not answer.
    """
    errors, shown = asked.of(machine)
    start = time.perf_counter()
    with board_link.measuring(machine, way, asked.presentations) as bench:
        (found,) = bench.measure(shown.pixels, [errors], progress=progress)
        worn = {"programmings": _worn(bench)} if asked.wear else {}
    seconds = time.perf_counter() - start
    report = _report(machine, way, asked.injection, errors, found, bench, shown, seconds)
    return report | worn, found.exact


def _worn(bench: Experiment) -> dict[str, dict[str, float]]:
    """Programmings of the word lines of each emulated array."""
    found = {}
    for array, counts in zip(bench.board.about.emulated, bench.programmings(), strict=True):
        least, mean, most = int(counts.min()), float(counts.mean()), int(counts.max())
        found[array.name] = {"word_lines": len(counts), "least": least, "mean": mean, "most": most}
    return found


def planned(machine: Machine, way: Way, asked: Asked) -> dict:
    """What :func:`run` would do, without a board: what is sent, and where; it raises the same."""
    _, shown = asked.of(machine)
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
        "data": shown.source,
        "images": asked.images,
        "presentations": chosen_presentations(machine.graph, asked.presentations),
        "image_slots": about.capacity.slots,
        "image_bytes": asked.images * about.image_words * 4,
        "word_line_bytes": sum(each.rows * each.words * 4 for each in lines),
        "result_bytes": asked.images * about.results.words * 4,
        "seed": asked.injection.seed,
    }


def projected_sweep(
    machine: Machine,
    images: int,
    maps: int,
    programmed: int,
    *,
    presentations: int | None = None,
) -> dict:
    """What a sweep would send and take, without a board.

    It is a projection from cycles and from the line's rate: every word line is sent for each of the
    ``programmed`` maps, which have persistent errors, and tables of read errors for all ``maps``.
    Results are read while a run computes, so that of both only the slower counts; what is sent is
    sent between runs. Neither repetitions, adapters, a run's first and last image nor the cycles of
    read errors count. Times are in seconds.
    """
    about = machine.about
    parts, sent = _parts(about, images), 0
    image_bytes = images * about.image_words * 4
    for count, persistent in ((maps - programmed, False), (programmed, True)):
        group = _at_once(about, images, persistent)
        rounds = -(-count // group)
        sent += image_bytes * (rounds if parts > 1 else 0)
        sent += _bytes(about, "word_lines") * persistent * (count if group == 1 else count * parts)
    sent += image_bytes if parts == 1 else 0
    sent += maps * parts * _bytes(about, "read_errors")
    received = maps * images * about.results.words * 4
    writing = sent / WRITING * BITS / about.baud
    reading = received / READING * BITS / about.baud
    cycles = about.pace(chosen_presentations(machine.graph, presentations)).cycles_per_image
    computing = maps * images * cycles / about.clock
    return {
        "board": machine.board.name,
        "network": machine.graph.name,
        "images": images,
        "error_maps": maps,
        "image_slots": about.capacity.slots,
        "bytes_to_board": sent,
        "bytes_from_board": received,
        "seconds_writing": writing,
        "seconds_reading": reading,
        "seconds_computing": computing,
        "projected_seconds": writing + max(reading, computing),
    }


def answers_per_second(about: Description) -> float:
    """Results of images that the link carries, a **projection** from its rate."""
    return about.baud / BITS * READING / (about.results.words * 4)


def _parts(about: Description, images: int) -> int:
    """In how many parts a board holds images."""
    return -(-images // about.capacity.slots)


def _bytes(about: Description, kind: str) -> int:
    """Of all word lines, or of all tables of read errors."""
    targets = [about.targets[getattr(each, kind)] for each in about.emulated]
    return sum(each.rows * each.words * 4 for each in targets)


def _at_once(about: Description, images: int, persistent: bool) -> int:
    """Maps under which each part of the images runs before the next part is sent.

    Where every map has its own word lines it may be cheaper to send the images again.
    """
    lines = _parts(about, images) * _bytes(about, "word_lines")
    return 1 if persistent and lines > images * about.image_words * 4 else AT_ONCE


def measured_sweep(
    machine: Machine,
    way: Way,
    directory: Path,
    *,
    presentations: int | None = None,
    progress: Progress | None = None,
    **options,
) -> tuple[Sweep, Experiment]:
    """A sweep on a board; the options are those of :func:`~.sweeps.sweep.sweep`.

    Its table is that of the same sweep in software. Raises :class:`Mismatch` at the first map of
    which anything is not as predicted.
    """
    with board_link.measuring(machine, way, presentations) as bench:
        found = sweep(
            machine.net,
            directory,
            crew=_crew(bench),
            instrument=f"{'simulated ' * way.simulate}board of build {machine.about.build}",
            order=machine.about.read_order,
            presentations=presentations,
            progress=progress,
            **options,
        )
    return found, bench


def _crew(bench: Experiment) -> Callable[[Job, Sequence[Task]], Generator[Outcome, None, None]]:
    def outcomes(job: Job, tasks: Sequence[Task]) -> Generator[Outcome, None, None]:
        for group in _groups(bench.board.about, job, tasks):
            maps = [_drawn(job, task) for task in group]
            measured = bench.measure(job.images, maps)
            for (point, number), errors, found in zip(group, maps, measured, strict=True):
                if not found.exact:
                    raise Mismatch(f"Point {point}, map {number}: {difference(found)}")
                correct = np.packbits(found.labels == job.labels, bitorder="little").tobytes()
                wrong = sum(errors.flips(job.graph).values())
                yield Outcome(point, number, correct, wrong, found.flips)

    return outcomes


def _groups(about: Description, job: Job, tasks: Sequence[Task]) -> Iterator[list[Task]]:
    """Tasks that share the sending of images."""
    for persistent in (False, True):
        kind = [t for t in tasks if np.any(job.rates[t[0]].persistent) == persistent]
        size = _at_once(about, len(job.images), persistent)
        for first in range(0, len(kind), size):
            yield kind[first : first + size]


def _drawn(job: Job, task: Task) -> ErrorMap:
    point, number = task
    rates = job.rates[point]
    seed = map_seed(job.seed, point, number)
    return ErrorMap.draw(job.graph, seed, persistent=rates.persistent, transient=rates.transient)


def difference(found: Measured) -> str:
    """What was not as predicted."""
    counted = f"; not as predicted: {', '.join(found.miscounted)}" if found.miscounted else ""
    return f"{found.mismatches} of {len(found.labels)} images differ{counted}"


def _report(
    machine: Machine,
    way: Way,
    injection: Injection,
    errors: ErrorMap | None,
    found: Measured,
    bench: Experiment,
    shown: Images,
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
        "data": shown.source,
        "images": count,
        "presentations": bench.presentations,
        "mismatches": found.mismatches,
        "accuracy": shown.accuracy(found.labels),
        "flips": found.flips,
        "expected_flips": found.expected_flips,
        "reads": found.reads,
        "expected_reads": found.expected_reads,
        "miscounted": list(found.miscounted),
        "wrong_synapses": 0 if errors is None else sum(errors.flips(machine.graph).values()),
        "cycles": found.cycles,
        "images_per_second": count * machine.about.clock / found.cycles,
        "recovered": bench.recovered,
        "link": asdict(session.statistics),
        "seconds": seconds,
    }
