# SPDX-License-Identifier: BSD-2-Clause
"""The generated Verilog against both references, every score of every image."""

import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .hw.network import Network
from .hw.plan import Arrangement, Budget
from .hw.plan import plan as make_plan
from .hw.verilog import emit
from .model import integer
from .model.graph import Graph
from .networks import RANDOM, UsageError, load, random_images, test_set
from .sim import harness, native
from .sim.results import SWEEP, Pauses, Result, SimulationError

SIMULATORS = ("verilator", "icarus", "native")
PAUSES = dict(zip(("none", "source", "sink", "both"), SWEEP, strict=True))

STEADY_IMAGES = 16  # fewer may not show the steady state

Progress = Callable[[int, int], None]


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
class Verification:
    """What a simulation of the generated Verilog showed.

    ``mismatches`` counts the scores that differ from either reference, a wrong label counting as
    one. ``cycles_per_image`` is measured in steady state, ``None`` where two images do not show it.
    """

    network: str
    simulator: str
    data: str
    images: int
    scores: int
    mismatches: int
    accuracy: float | None
    cycles_per_image: float | None
    planned_cycles_per_image: int
    lanes: int
    memory_bits: int
    images_per_second: float
    clock_cycles_per_second: float
    emit_seconds: float
    compile_seconds: float
    simulation_seconds: float
    pauses: str
    seed: int
    first_difference: Difference | None

    @property
    def as_planned(self) -> bool | None:
        """Whether the measured cycles equal the plan; ``None`` with pauses or few images."""
        measured = self.cycles_per_image
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
    pauses : random pauses of the source, the sink or both
    seed : of the pauses, and of random images
    progress : called with images done and their number

    Raises ``UsageError``, ``PlanError``, ``DataError``, ``ToolMissing`` or ``SimulationError``, the
    last with notes that say where the Verilog is and how to repeat the run.
    """
    _choice("simulator", simulator, SIMULATORS)
    _choice("pauses", pauses, PAUSES)
    graph = load(net)
    case = _case(net, graph, images, dataset, directory, seed)
    network = Network(graph, make_plan(graph, budget))
    golden, torch_scores = _references(graph, case.images)
    replay = _replay_command(net, case, simulator, budget, dataset, directory, pauses, seed)
    with _kept_on_failure(replay) as folder:
        start = time.perf_counter()
        emit(network, folder, name=graph.name, about={"network": network.about()})
        emitted = time.perf_counter() - start
        result = _simulate(folder, case, golden, simulator, PAUSES[pauses], seed, progress)
        wrong = result.mismatches(golden) | (golden != torch_scores)
        first = None
        if wrong.any():
            image = int(np.flatnonzero(wrong.any(axis=1))[0])
            waves = _waves(folder, result, case, image)
            first = Difference(
                image=image,
                hardware=result.scores[image].tolist(),
                integer=golden[image].tolist(),
                torch=torch_scores[image].tolist(),
                replay=replay,
                verilog=str(folder),
                waves=None if waves is None else str(waves),
            )
        else:
            shutil.rmtree(folder)
    return Verification(
        network=graph.name,
        simulator=simulator,
        data=case.source,
        images=len(case.images),
        scores=golden.size,
        mismatches=int(wrong.sum()),
        accuracy=None if case.labels is None else float((result.labels == case.labels).mean()),
        cycles_per_image=result.steady_cycles_per_image,
        planned_cycles_per_image=network.plan.cycles_per_image,
        lanes=network.plan.lanes,
        memory_bits=network.plan.memory_bits,
        images_per_second=result.images_per_second,
        clock_cycles_per_second=result.clock_cycles_per_second,
        emit_seconds=emitted,
        compile_seconds=result.compile_seconds,
        simulation_seconds=result.seconds,
        pauses=pauses,
        seed=seed,
        first_difference=first,
    )


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
    bits = graph.input.planes.bits
    if data.bits > bits:
        raise UsageError(f"{data.name} has pixels of {data.bits} bits, {graph.name} of {bits}")
    available = len(data.test_images)
    if count is not None and count > available:
        raise UsageError(f"{data.name} has {available} test images, fewer than {count}")
    return _Case(data.test_images[:count], data.test_labels[:count], data.name)


def _choice(name: str, value: str, allowed: Iterable[str]) -> None:
    if value not in allowed:
        raise UsageError(f"The {name} is one of {', '.join(allowed)}, not {value!r}")


def _references(graph: Graph, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores by the packed interpreter and by torch."""
    from .model import reference  # torch takes seconds to import

    return integer.scores(graph, images), reference.scores(graph, images).numpy()


def _simulate(
    build: Path,
    case: _Case,
    golden: np.ndarray,
    simulator: str,
    pauses: Pauses,
    seed: int,
    progress: Progress | None,
) -> Result:
    if simulator == "native":
        return native.run(build, case.images, pauses=pauses, seed=seed, progress=progress)
    return harness.run(build, case.images, golden, simulator=simulator, pauses=pauses, seed=seed)


def _waves(folder: Path, result: Result, case: _Case, image: int) -> Path | None:
    """A waveform of a wrong image: the harness has made one, the native runner is asked for it."""
    if result.simulator != "native":
        return result.waves
    vcd = folder / f"image{image}.vcd"
    return native.trace(folder, case.images, image, vcd, pauses=result.pauses, seed=result.seed)


def _replay_command(
    net: str | Path,
    case: _Case,
    simulator: str,
    budget: Budget | None,
    dataset: str | None,
    directory: Path | None,
    pauses: str,
    seed: int,
) -> str:
    """The command line that repeats a verification."""
    words: list[object] = ["twincell", "verify", net, "--images", len(case.images)]
    words += ["--simulator", simulator]
    budget = budget or Budget()
    if budget.lanes is not None:
        words += ["--lanes", budget.lanes]
    if budget.images_per_second is not None:
        words += ["--rate", budget.images_per_second, "--clock", budget.clock / 1e6]
    if budget.arrangement != Arrangement.COLUMNS:
        given = budget.arrangement
        words += ["--arrangement", given if isinstance(given, str) else ",".join(given)]
    if dataset is not None:
        words += ["--dataset", dataset]
    if directory is not None:
        words += ["--data", directory]
    return shlex.join(str(word) for word in [*words, "--pauses", pauses, "--seed", seed])
