# SPDX-License-Identifier: BSD-2-Clause
"""The generated Verilog against both references, every score of every image."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from . import hardware
from .hw.network import Network
from .hw.plan import Budget
from .hw.verilog import emit
from .injection import Injection
from .model import error_store, integer
from .model.errors import ErrorMap
from .model.graph import Graph
from .model.reads import ReadOrder
from .networks import Images, chosen_presentations, first_images, load
from .progress import Progress
from .request import PAUSES, Request
from .sim import harness, native
from .sim.results import Prologue, Result, SimulationError
from .verified import Difference, Injected, Verification


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
    dataset, directory : which images, and where their files are; see
        :func:`.networks.first_images`
    array : one of :data:`.hardware.ARRAYS`; see :func:`.hardware.array_kind`
    injection : the errors of the memory
    presentations : of a stochastic input, by default the first number that it supports
    pauses : random pauses of the source, the sink or both
    seed : of the pauses, and of random images
    progress : called with images done and their number

    Raises ``UsageError``, ``PlanError``, ``DataError``, ``ToolMissing`` or ``SimulationError``, the
    last with notes that say where the Verilog is and how to repeat the run.
    """
    graph = load(net)
    presentations = chosen_presentations(graph, presentations)
    injection = injection or Injection()
    errors = injection.errors(graph)
    array = hardware.array_kind(array, errors)
    asked = Request(
        net, simulator, budget or Budget(), dataset, directory, array, injection, presentations,
        pauses, seed,
    )  # fmt: skip
    shown = first_images(net, graph, images, dataset=dataset, directory=directory, seed=seed)
    network, prologue = hardware.simulated(graph, budget, array, errors, presentations)
    order = network.plan.shown(presentations).read_order
    wanted = _references(graph, shown.pixels, errors, order, presentations)
    command = asked.command(len(shown.pixels), errors is not None)
    with _kept_on_failure(command) as folder:
        run = _Run(folder, graph, network, errors, shown, wanted, asked, prologue)
        emitted = run.emit()
        result = run.simulate(progress)
        wrong = wanted.wrong(result)
        first = run.difference(result, wrong, command)
        if first is None:
            shutil.rmtree(folder)
    return run.report(emitted, result, wrong, first)


@contextmanager
def _kept_on_failure(command: str) -> Iterator[Path]:
    """A temporary directory that outlives a failed simulation, and nothing else that goes wrong."""
    folder = Path(tempfile.mkdtemp(prefix="twincell-verify-"))
    try:
        yield folder
    except SimulationError as error:
        error.add_note(f"The Verilog is kept in {folder}; repeat with: {command}")
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


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


@dataclass(frozen=True, eq=False)
class _Run:
    """One simulation of a network's Verilog in the directory ``build``; where persistent errors are
    in the contents of arrays, ``network`` is not of ``graph``'s own weights."""

    build: Path
    graph: Graph
    network: Network
    errors: ErrorMap | None
    shown: Images
    wanted: _Wanted
    asked: Request
    prologue: Prologue | None

    def emit(self) -> float:
        """Writes the Verilog; the seconds that it took."""
        start = time.perf_counter()
        about = {"network": self.network.about()}
        emit(self.network, self.build, name=self.graph.name, about=about)
        return time.perf_counter() - start

    @cached_property
    def expected_cycles(self) -> float:
        """Of an image, with those of read errors."""
        return hardware.expected_cycles(self.network, self.errors, self.asked.presentations)

    def simulate(self, progress: Progress | None) -> Result:
        """Plays all images."""
        if self.asked.simulator == "native":
            return native.run(self.build, self.shown.pixels, progress=progress, **self._dice)
        golden, simulator = self.wanted.golden, self.asked.simulator
        return harness.run(self.build, self.shown.pixels, golden, simulator=simulator, **self._dice)

    @property
    def _dice(self) -> dict:
        return {
            "prologue": self.prologue,
            "pauses": PAUSES[self.asked.pauses],
            "seed": self.asked.seed,
            "hang_after": native.default_hang_after(round(self.expected_cycles)),
        }

    def difference(self, result: Result, wrong: np.ndarray, command: str) -> Difference | None:
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
            replay=command,
            verilog=str(self.build),
            waves=None if waves is None else str(waves),
        )

    def _waves(self, result: Result, image: int) -> Path | None:
        """A waveform of a wrong image: the harness has made one, the native runner is asked for
        it."""
        if self.asked.simulator != "native":
            return result.waves
        vcd = self.build / f"image{image}.vcd"
        return native.trace(self.build, self.shown.pixels, image, vcd, **self._dice)

    def report(
        self, emitted: float, result: Result, wrong: np.ndarray, first: Difference | None
    ) -> Verification:
        """All that was found."""
        plan, asked = self.network.plan, self.asked
        return Verification(
            network=self.graph.name,
            simulator=asked.simulator,
            array=asked.array,
            data=self.shown.source,
            images=len(self.shown.pixels),
            presentations=asked.presentations,
            scores=wrong.size,
            mismatches=int(wrong.sum()),
            accuracy=self.shown.accuracy(result.labels),
            cycles_per_image=result.steady_cycles_per_image,
            planned_cycles_per_image=plan.shown(asked.presentations).cycles_per_image,
            expected_cycles_per_image=self.expected_cycles,
            lanes=plan.lanes,
            memory_bits=plan.memory_bits,
            images_per_second=result.images_per_second,
            clock_cycles_per_second=result.clock_cycles_per_second,
            emit_seconds=emitted,
            compile_seconds=result.compile_seconds,
            simulation_seconds=result.seconds,
            pauses=asked.pauses,
            seed=asked.seed,
            errors=None if self.errors is None else self._injected(self.errors),
            first_difference=first,
        )

    def _injected(self, errors: ErrorMap) -> Injected:
        injection = self.asked.injection
        return Injected(
            ber=injection.ber,
            transient=injection.transient,
            device=injection.device,
            stuck=injection.stuck,
            file=None if injection.file is None else str(injection.file),
            digest=error_store.digest(errors),
            synapses=errors.flips(self.graph),
            reads=self.wanted.reads,
        )
