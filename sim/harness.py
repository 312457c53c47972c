# SPDX-License-Identifier: BSD-2-Clause
"""One harness for cocotb on Icarus and on Verilator.

Golden vectors are computed outside and handed over in a file, so that the simulator's process
imports little. A compiled simulation is cached by the content of its Verilog. A run that fails is
repeated with a waveform; a run that passes leaves nothing behind that was not there before.
"""

import json
import shlex
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from . import jobs, toolchain
from .images import codec
from .jobs import Simulator
from .native import default_hang_after
from .ports import Ports, read
from .results import BuildError, Hang, Pauses, Played, Prologue, Result, SimulationError


def run(
    build: Path,
    images: np.ndarray,
    expected_scores: np.ndarray,
    *,
    simulator: Simulator = "icarus",
    expected_labels: np.ndarray | None = None,
    prologue: Prologue | None = None,
    pauses: Pauses | None = None,
    seed: int = 0,
    waves: bool | None = None,
    work: Path | None = None,
    hang_after: int | None = None,
    timeout: float = 3600.0,
) -> Result:
    """Simulates a generated network on images in cocotb, and compares every score there.

    Parameters
    ----------
    build : directory of the Verilog and its ``ports.json``
    images : unsigned integers (N, ...), N > 0
    expected_scores : (N, classes); labels default to the lowest index of the greatest score
    prologue : payloads that are played into stream ``load`` before the first image
    pauses, seed : random pauses on both sides; none by default
    waves : ``None`` keeps a waveform of a run that failed, ``True`` of any, ``False`` of none
    work : directory for vectors, logs and waveforms; ``<build>/sim-<simulator>`` by default. Runs
        at the same time need directories of their own.
    hang_after : cycles without a transfer that count as a hang; generous by default
    timeout : seconds after which the simulator is ended

    A wrong score does not raise: the result holds the scores as observed, and the waveform and the
    replay command of the first difference.

    Raises
    ------
    ToolMissing, BuildError, TimedOut
        When a tool is missing, does not do its work, or not in the time that it has.
    SimulationError
        When the hardware hangs, breaks the stream contract, sends surplus beats, or answers rightly
        what it was not asked.
    """
    network, pauses = codec(build), pauses or Pauses()
    expected = np.asarray(expected_scores, dtype=np.int64)
    labels = expected.argmax(axis=1) if expected_labels is None else expected_labels
    total = len(images)
    if total == 0 or expected.shape != (total, network.classes):
        raise ValueError(f"Expected scores ({total}, {network.classes}), not {expected.shape}")
    vectors = {"beats": network.encode(images), "scores": expected, "labels": labels}
    if prologue is not None:
        vectors["load"] = network.ports.stream("load").from_integers(prologue(0))
    job = _Job(
        ports=network.ports,
        simulator=simulator,
        bench="network",
        vectors=vectors,
        beats_per_answer=network.output_beats,
        expect=total * network.output_beats,
        pauses=pauses,
        seed=seed,
        hang_after=hang_after or default_hang_after(network.planned_cycles),
        work=_work(build, simulator, work),
        timeout=timeout,
    )
    done = job.run(waves)
    scores, found = network.decode(done.beats)
    other = network.decode(done.beats | done.unknown)
    result = Result(
        simulator=simulator,
        scores=np.where(scores == other[0], scores, ~expected),  # an X is never right
        labels=np.where(found == other[1], found, -1),
        finished=done.stamps[network.output_beats - 1 :: network.output_beats],
        slices=((0, total),),
        cycles=int(done.stamps[-1]) + 1,
        seconds=done.seconds,
        compile_seconds=done.compile_seconds,
        pauses=pauses,
        seed=seed,
        waves=done.waves,
        replay=done.replay,
    )
    if done.answers and not result.mismatches(expected, labels).any():
        raise job.misbehaved(done.answers, done.waves)
    return result


def play(
    build: Path,
    beats: np.ndarray,
    expect: int,
    *,
    simulator: Simulator = "icarus",
    pauses: Pauses | None = None,
    seed: int = 0,
    waves: bool | None = None,
    work: Path | None = None,
    hang_after: int = 1_000_000,
    timeout: float = 3600.0,
) -> Played:
    """Plays beats, uint8 (beats, bytes), through any component with streams ``i`` and ``o``.

    Ends when ``expect`` beats have left. Bits that are X or Z are read as 0. Raises as :func:`run`.
    """
    done = _Job(
        ports=read(build),
        simulator=simulator,
        bench="stream",
        vectors={"beats": beats},
        beats_per_answer=1,
        expect=expect,
        pauses=pauses or Pauses(),
        seed=seed,
        hang_after=hang_after,
        work=_work(build, simulator, work),
        timeout=timeout,
    ).run(waves)
    return Played(done.beats, done.stamps, int(done.stamps[-1]) + 1)


def _work(build: Path, simulator: str, work: Path | None) -> Path:
    return Path(work or Path(build) / f"sim-{simulator}").absolute()


@dataclass(frozen=True, eq=False)
class _Done:
    """What a job's simulator left."""

    hung: bool
    streams: list[str]
    answers: list[str]
    beats: np.ndarray
    unknown: np.ndarray
    stamps: np.ndarray
    seconds: float
    compile_seconds: float
    waves: Path | None = None
    replay: str = ""

    @property
    def passed(self) -> bool:
        return not self.streams and not self.answers


@dataclass(eq=False)
class _Job:
    """A bench, its vectors and where it runs."""

    ports: Ports
    simulator: Simulator
    bench: str
    vectors: dict[str, np.ndarray]
    beats_per_answer: int
    expect: int
    pauses: Pauses
    seed: int
    hang_after: int
    work: Path
    timeout: float
    partial: bool = False

    @property
    def waves(self) -> Path:
        return self.work / ("waves.fst" if self.simulator == "icarus" else "waves.vcd")

    @property
    def replay(self) -> str:
        """The command that runs the job again, with a waveform."""
        return shlex.join(jobs.command(self.work, waves=True))

    def run(self, waves: bool | None) -> _Done:
        """Runs the bench, and after a failure once more with a waveform; cleans up otherwise."""
        new = not self.work.exists()
        done = self.execute(bool(waves))
        if done.passed:
            if waves:
                return replace(done, waves=self.waves)
            if new:
                shutil.rmtree(self.work)
            return done
        if waves is None:
            if done.answers and not done.streams:
                # What comes after the first wrong answer is of no interest.
                first = _first_wrong(done.answers)
                self.expect = min(self.expect, (first + 1) * self.beats_per_answer)
                self.partial = True
            self.execute(waves=True)
        kept = self.waves if waves is not False and self.waves.exists() else None
        if done.streams:
            raise self.misbehaved(done.streams, kept, hung=done.hung)
        return replace(done, waves=kept, replay=self.replay)

    def misbehaved(
        self, what: list[str], waves: Path | None, *, hung: bool = False
    ) -> SimulationError:
        """The error that says so, with how to see it again."""
        seen = f"; waveform: {waves}" if waves else ""
        where = f"{self.pauses}, seed {self.seed}{seen}; replay: {self.replay}"
        kind, verb = (Hang, "hangs") if hung else (SimulationError, "misbehaves")
        error = kind(f"The hardware {verb}: {'; '.join(what[:3])} ({where})")
        error.waves, error.replay = waves, self.replay
        return error

    def execute(self, waves: bool) -> _Done:
        """Runs the bench once, in a process of its own."""
        self._write()
        start = time.perf_counter()
        code = jobs.execute(self.work, self.timeout, waves=waves)
        seconds = time.perf_counter() - start
        if not (self.work / "verdict.json").exists():
            said = (self.work / jobs.LOG).read_text(errors="replace").splitlines()[-15:]
            raise BuildError("\n".join([f"{self.simulator} failed (exit {code}):", *said]))
        verdict = json.loads((self.work / "verdict.json").read_text())
        compiling = json.loads((self.work / "compiled.json").read_text())
        with np.load(self.work / "observed.npz") as seen:
            return _Done(**verdict, **seen, seconds=seconds - compiling, compile_seconds=compiling)

    def _write(self) -> None:
        toolchain.cocotb()
        self.work.mkdir(parents=True, exist_ok=True)
        for stale in ("verdict.json", "observed.npz", "compiled.json", self.waves.name):
            (self.work / stale).unlink(missing_ok=True)
        np.savez(self.work / "vectors.npz", allow_pickle=False, **self.vectors)
        job = {
            "simulator": self.simulator,
            "bench": f"twincell.sim.benches.{self.bench}",
            "build": str(self.ports.directory.absolute()),
            "cache": str(jobs.compiled_at(self.ports, self.simulator)),
            "waves": str(self.waves),
            "pauses": [self.pauses.source, self.pauses.sink],
            "seed": self.seed,
            "expect": self.expect,
            "hang_after": self.hang_after,
            "partial": self.partial,
        }
        (self.work / jobs.JOB).write_text(json.dumps(job, indent=2) + "\n")


def _first_wrong(answers: list[str]) -> int:
    """The image that the first problem names; the first image when it names none."""
    words = answers[0].split()
    return int(words[1].rstrip(":")) if words[0] == "image" else 0
