# SPDX-License-Identifier: BSD-2-Clause
"""The generated Verilog against both references, every score of every image."""

import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
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
from .sim.results import SWEEP, Pauses, Result

SIMULATORS = ("verilator", "icarus", "native")
PAUSES = dict(zip(("none", "source", "sink", "both"), SWEEP, strict=True))

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Difference:
    """The first image whose scores are not all the same, and how to see it again."""

    image: int
    hardware: list[int]
    integer: list[int]
    torch: list[int]
    replay: str
    waves: str | None


@dataclass(frozen=True)
class Verification:
    """What a simulation of the generated Verilog showed.

    ``mismatches`` counts the scores that differ from either reference, a wrong label counting as
    one; ``cycles_per_image`` is measured in steady state, ``None`` where two images do not show it.
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

    def as_dict(self) -> dict:
        """The same as plain data, for JSON."""
        return asdict(self)


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
    failures: Path = Path("build"),
    progress: Progress | None = None,
) -> Verification:
    """Builds a network's Verilog, simulates it and compares every score with both references.

    Parameters
    ----------
    net : file, or name from the zoo
    images : how many of the test images, from the first; by default all, or 100 random ones
    simulator : ``verilator`` and ``icarus`` through cocotb, or ``native`` for whole test sets
    dataset, directory : which images, and where their files are; see :func:`.networks.test_set`
    pauses : random pauses of the source, the sink or both
    seed : of the pauses, and of random images
    failures : where the Verilog and the waveform are kept when a score differs
    progress : called with images done and their number

    Raises ``UsageError``, ``PlanError``, ``DataError``, ``ToolMissing`` or ``SimulationError``.
    """
    _choice("simulator", simulator, SIMULATORS)
    _choice("pauses", pauses, PAUSES)
    graph = load(net)
    case = _Case.of(net, graph, images, dataset, directory, seed)
    network = Network(graph, make_plan(graph, budget))
    golden, torch_scores = _references(graph, case.images)
    with tempfile.TemporaryDirectory(prefix="twincell-") as scratch:
        build = Path(scratch)
        start = time.perf_counter()
        emit(network, build, name=graph.name, about={"network": network.about()})
        emitted = time.perf_counter() - start
        result = _simulate(build, case, golden, simulator, PAUSES[pauses], seed, progress)
        wrong = result.mismatches(golden) | (golden != torch_scores)
        first = None
        if wrong.any():
            index = int(np.flatnonzero(wrong.any(axis=1))[0])
            waves = _keep(build, failures / f"{graph.name}-failure", result, case, index)
            first = Difference(
                image=index,
                hardware=result.scores[index].tolist(),
                integer=golden[index].tolist(),
                torch=torch_scores[index].tolist(),
                replay=_replay_command(
                    net, len(case.images), simulator, budget, dataset, directory, pauses, seed
                ),
                waves=waves,
            )
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


@dataclass(frozen=True, eq=False)
class _Case:
    """The images to simulate, their labels if there are any, and where they come from."""

    images: np.ndarray
    labels: np.ndarray | None
    source: str

    @staticmethod
    def of(
        net: str | Path,
        graph: Graph,
        count: int | None,
        dataset: str | None,
        directory: Path | None,
        seed: int,
    ) -> "_Case":
        if count is not None and count < 1:
            raise UsageError(f"The number of images must be positive, not {count}")
        data = test_set(net, graph, dataset=dataset, directory=directory)
        if data is None:
            return _Case(random_images(graph, count or 100, seed), None, RANDOM)
        available = len(data.test_images)
        if count is not None and count > available:
            raise UsageError(f"{data.name} has {available} test images, fewer than {count}")
        chosen = slice(0, count)
        return _Case(data.test_images[chosen], data.test_labels[chosen], data.name)


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


def _keep(build: Path, folder: Path, result: Result, case: _Case, image: int) -> str | None:
    """Copies the failing Verilog to ``folder``, and a waveform of the image where there is one."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(build, folder)
    waves = result.waves
    if result.simulator == "native":
        vcd = folder / f"image{image}.vcd"
        waves = native.trace(
            folder, case.images, image, vcd, pauses=result.pauses, seed=result.seed
        )
    elif waves is not None:
        waves = Path(shutil.copy(waves, folder))
    return None if waves is None else str(waves)


def _replay_command(
    net: str | Path,
    images: int,
    simulator: str,
    budget: Budget | None,
    dataset: str | None,
    directory: Path | None,
    pauses: str,
    seed: int,
) -> str:
    """The command line that repeats a verification."""
    words: list[object] = ["twincell", "verify", net, "--images", images, "--simulator", simulator]
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
