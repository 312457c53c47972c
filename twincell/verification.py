# SPDX-License-Identifier: BSD-2-Clause
"""The generated Verilog against both references, every score of every image."""

import shlex
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from . import hardware
from .hw.plan import Arrangement, Budget
from .hw.verilog import emit
from .injection import Injection
from .model import error_store, integer
from .model.errors import ErrorMap
from .model.graph import Graph
from .model.planes import Stochastic
from .model.reads import ReadOrder
from .networks import RANDOM, UsageError, load, random_images, test_set
from .progress import Progress
from .sim import harness, native
from .sim.results import SWEEP, Pauses, Prologue, Result, SimulationError

SIMULATORS = ("verilator", "icarus", "native")
PAUSES = dict(zip(("none", "source", "sink", "both"), SWEEP, strict=True))

STEADY_IMAGES = 16  # fewer may not show the steady state


@dataclass(frozen=True)
class Difference:
    """The first image whose scores are not all the same, and how to see it again.

    ``verilog`` is the directory in which the failing Verilog is kept, with ``waves`` if there are.
    """

    image: int
    hardware: list[int]
    integer: list[int]
    torch: list[int]
    replay: str
    verilog: str
    waves: str | None


@dataclass(frozen=True)
class Injected:
    """The errors of a run.

    Parameters
    ----------
    ber, transient, device, stuck, file : what was asked for, see :class:`~.injection.Injection`
    digest : SHA-256 of the errors
    synapses : sensed wrong, by the node's index
    reads : bits that read errors flipped in columns in use, by the node's index
    """

    ber: float | None
    transient: float | None
    device: str | None
    stuck: float | None
    file: str | None
    digest: str
    synapses: dict[int, int]
    reads: dict[int, int]


@dataclass(frozen=True)
class Verification:
    """What a simulation of the generated Verilog showed.

    ``mismatches`` counts the scores that differ from either reference, a wrong label counting as
    one. ``cycles_per_image`` is measured in steady state, ``None`` where two images do not show it;
    ``expected_cycles_per_image`` is the plan's, or where read errors are emulated the mean of the
    slowest layer with the cycles that they take.
    """

    network: str
    simulator: str
    array: str
    data: str
    images: int
    presentations: int | None
    scores: int
    mismatches: int
    accuracy: float | None
    cycles_per_image: float | None
    planned_cycles_per_image: int
    expected_cycles_per_image: float
    lanes: int
    memory_bits: int
    images_per_second: float
    clock_cycles_per_second: float
    emit_seconds: float
    compile_seconds: float
    simulation_seconds: float
    pauses: str
    seed: int
    errors: Injected | None
    first_difference: Difference | None

    @property
    def as_planned(self) -> bool | None:
        """Whether the measured cycles equal the plan; ``None`` with pauses, with few images, or
        where read errors are emulated, which takes cycles of its own."""
        measured = self.cycles_per_image
        if self.array == "emulated" and self.errors is not None and self.errors.reads:
            return None
        if self.pauses != "none" or measured is None or self.images < STEADY_IMAGES:
            return None
        return measured == self.planned_cycles_per_image

    @property
    def passed(self) -> bool:
        """Whether every score is right and, where it was measured, the pace is the plan's."""
        return self.mismatches == 0 and self.as_planned is not False

    def as_dict(self) -> dict:
        """The same as plain data, for JSON."""
        return asdict(self) | {"as_planned": self.as_planned}


def verify(
    net: str | Path,
    images: int | None = None,
    *,
    simulator: str = "verilator",
    budget: Budget | None = None,
    dataset: str | None = None,
    directory: Path | None = None,
    array: str | None = None,
    injection: Injection | None = None,
    presentations: int | None = None,
    pauses: str = "none",
    seed: int = 0,
    progress: Progress | None = None,
) -> Verification:
    """Builds a network's Verilog, simulates it and compares every score with both references.

    The Verilog lies in a temporary directory, which is kept when a score differs or the simulation
    fails.

    Parameters
    ----------
    net : file, or name from the zoo
    images : how many of the test images, from the first; by default all, or 100 random ones
    simulator : ``verilator`` and ``icarus`` through cocotb, or ``native`` for whole test sets
    dataset, directory : which images, and where their files are; see :func:`.networks.test_set`
    array : one of :data:`.hardware.ARRAYS`; see :func:`.hardware.array_kind`
    injection : the errors of the memory
    presentations : of a stochastic input, by default the first number that it supports
    pauses : random pauses of the source, the sink or both
    seed : of the pauses, and of random images
    progress : called with images done and their number

    Raises ``UsageError``, ``PlanError``, ``DataError``, ``ToolMissing`` or ``SimulationError``, the
    last with notes that say where the Verilog is and how to repeat the run.
    """
    _choice("simulator", simulator, SIMULATORS)
    _choice("pauses", pauses, PAUSES)
    graph = load(net)
    presentations = _presentations(graph, presentations)
    injection = injection or Injection()
    errors = injection.errors(graph)
    array = hardware.array_kind(array, errors)
    case = _case(net, graph, images, dataset, directory, seed)
    network, prologue = hardware.simulated(graph, budget, array, errors, presentations)
    planned = network.plan.shown(presentations)
    wanted = _references(graph, case.images, errors, planned.read_order, presentations)
    asked = _Asked(
        net,
        simulator,
        budget or Budget(),
        dataset,
        directory,
        array,
        injection,
        presentations,
        pauses,
        seed,
    )
    replay = asked.replay(len(case.images), errors is not None)
    with _kept_on_failure(replay) as folder:
        start = time.perf_counter()
        emit(network, folder, name=graph.name, about={"network": network.about()})
        emitted = time.perf_counter() - start
        cycles = hardware.expected_cycles(network, errors, presentations)
        run = _Run(folder, case, wanted, simulator, prologue, cycles, PAUSES[pauses], seed)
        result = run.simulate(progress)
        wrong = wanted.wrong(result)
        first = run.difference(result, wrong, replay)
        if first is None:
            shutil.rmtree(folder)
    return Verification(
        network=graph.name,
        simulator=simulator,
        array=array,
        data=case.source,
        images=len(case.images),
        presentations=presentations,
        scores=wrong.size,
        mismatches=int(wrong.sum()),
        accuracy=case.accuracy(result.labels),
        planned_cycles_per_image=planned.cycles_per_image,
        expected_cycles_per_image=cycles,
        lanes=network.plan.lanes,
        memory_bits=network.plan.memory_bits,
        emit_seconds=emitted,
        pauses=pauses,
        seed=seed,
        errors=_injected(injection, errors, graph, wanted.reads),
        first_difference=first,
        **_measured(result),
    )


def _measured(result: Result) -> dict:
    """The fields of a :class:`Verification` that its simulation alone decides."""
    return {
        "cycles_per_image": result.steady_cycles_per_image,
        "images_per_second": result.images_per_second,
        "clock_cycles_per_second": result.clock_cycles_per_second,
        "compile_seconds": result.compile_seconds,
        "simulation_seconds": result.seconds,
    }


@contextmanager
def _kept_on_failure(replay: str) -> Iterator[Path]:
    """A temporary directory that outlives a failed simulation, and nothing else that goes wrong."""
    folder = Path(tempfile.mkdtemp(prefix="twincell-verify-"))
    try:
        yield folder
    except SimulationError as error:
        error.add_note(f"The Verilog is kept in {folder}; repeat with: {replay}")
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@dataclass(frozen=True, eq=False)
class _Case:
    """The images to simulate, their labels if there are any, and where they come from."""

    images: np.ndarray
    labels: np.ndarray | None
    source: str

    def accuracy(self, found: np.ndarray) -> float | None:
        """The share of images that were labelled rightly."""
        return None if self.labels is None else float((found == self.labels).mean())


def _case(
    net: str | Path,
    graph: Graph,
    count: int | None,
    dataset: str | None,
    directory: Path | None,
    seed: int,
) -> _Case:
    if count is not None and count < 1:
        raise UsageError(f"The number of images must be positive, not {count}")
    data = test_set(net, graph, dataset=dataset, directory=directory)
    if data is None:
        return _Case(random_images(graph, count or 100, seed), None, RANDOM)
    available = len(data.test_images)
    if count is not None and count > available:
        raise UsageError(f"{data.name} has {available} test images, fewer than {count}")
    return _Case(data.test_images[:count], data.test_labels[:count], data.name)


def _presentations(graph: Graph, asked: int | None) -> int | None:
    """The number of presentations, ``None`` when the input is not stochastic."""
    try:
        count = graph.presentations(asked)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return count if isinstance(graph.input.planes, Stochastic) else None


def _choice(name: str, value: str, allowed: Iterable[str]) -> None:
    if value not in allowed:
        raise UsageError(f"The {name} is one of {', '.join(allowed)}, not {value!r}")


@dataclass(frozen=True, eq=False)
class _Wanted:
    """Scores (images, classes) by both references, and the flips of read errors by node."""

    golden: np.ndarray
    torch: np.ndarray
    reads: dict[int, int]

    def wrong(self, result: Result) -> np.ndarray:
        """Which scores differ from either, bool (images, classes); see :class:`Verification`."""
        return result.mismatches(self.golden) | (self.golden != self.torch)


def _references(
    graph: Graph,
    images: np.ndarray,
    errors: ErrorMap | None,
    order: ReadOrder,
    presentations: int | None,
) -> _Wanted:
    """Runs the packed interpreter and torch."""
    from .model import reference  # torch takes seconds to import

    interpreter = integer.Interpreter(graph, errors=errors, order=order)
    golden = interpreter.scores(images, presentations=presentations)
    torch_scores = reference.scores(
        graph, images, presentations=presentations, errors=errors, order=order
    )
    return _Wanted(golden, torch_scores.numpy(), interpreter.read_flips())


def _injected(
    injection: Injection, errors: ErrorMap | None, graph: Graph, reads: dict[int, int]
) -> Injected | None:
    if errors is None:
        return None
    return Injected(
        ber=injection.ber,
        transient=injection.transient,
        device=injection.device,
        stuck=injection.stuck,
        file=None if injection.file is None else str(injection.file),
        digest=error_store.digest(errors),
        synapses=errors.flips(graph),
        reads=reads,
    )


@dataclass(frozen=True, eq=False)
class _Run:
    """One simulation of the Verilog in a directory."""

    build: Path
    case: _Case
    wanted: _Wanted
    simulator: str
    prologue: Prologue | None
    expected_cycles: float
    pauses: Pauses
    seed: int

    def simulate(self, progress: Progress | None) -> Result:
        """Plays all images."""
        images = self.case.images
        if self.simulator == "native":
            return native.run(self.build, images, progress=progress, **self._dice)
        golden = self.wanted.golden
        return harness.run(self.build, images, golden, simulator=self.simulator, **self._dice)

    @property
    def _dice(self) -> dict:
        return {
            "prologue": self.prologue,
            "pauses": self.pauses,
            "seed": self.seed,
            "hang_after": native.default_hang_after(round(self.expected_cycles)),
        }

    def difference(self, result: Result, wrong: np.ndarray, replay: str) -> Difference | None:
        """The first of the ``wrong`` scores, bool (images, classes), if there is one."""
        if not wrong.any():
            return None
        image = int(np.flatnonzero(wrong.any(axis=1))[0])
        waves = self._waves(result, image)
        return Difference(
            image=image,
            hardware=result.scores[image].tolist(),
            integer=self.wanted.golden[image].tolist(),
            torch=self.wanted.torch[image].tolist(),
            replay=replay,
            verilog=str(self.build),
            waves=None if waves is None else str(waves),
        )

    def _waves(self, result: Result, image: int) -> Path | None:
        """A waveform of a wrong image: the harness has made one, the native runner is asked for
        it."""
        if self.simulator != "native":
            return result.waves
        vcd = self.build / f"image{image}.vcd"
        images = self.case.images
        return native.trace(self.build, images, image, vcd, **self._dice)


@dataclass(frozen=True, eq=False)
class _Asked:
    """What a verification was asked for, all but the images."""

    net: str | Path
    simulator: str
    budget: Budget
    dataset: str | None
    directory: Path | None
    array: str
    injection: Injection
    presentations: int | None
    pauses: str
    seed: int

    def replay(self, images: int, errors: bool) -> str:
        """The command line that repeats the verification, with or without ``errors``."""
        words: list[object] = ["twincell", "verify", self.net, "--images", images]
        words += ["--simulator", self.simulator, *self._planned]
        if self.dataset is not None:
            words += ["--dataset", self.dataset]
        if self.directory is not None:
            words += ["--data", self.directory]
        if self.presentations is not None:
            words += ["--presentations", self.presentations]
        if errors or self.array != "digital":
            words += ["--array", self.array, *self.injection.options]
        return shlex.join(map(str, [*words, "--pauses", self.pauses, "--seed", self.seed]))

    @property
    def _planned(self) -> list[object]:
        """The options of the budget."""
        budget, words = self.budget, []
        if budget.lanes is not None:
            words += ["--lanes", budget.lanes]
        if budget.images_per_second is not None:
            words += ["--rate", budget.images_per_second, "--clock", budget.clock / 1e6]
        if budget.arrangement != Arrangement.COLUMNS:
            given = budget.arrangement
            words += ["--arrangement", given if isinstance(given, str) else ",".join(given)]
        return words
