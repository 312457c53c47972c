# SPDX-License-Identifier: BSD-2-Clause
"""The native runner: the generated Verilog compiled by Verilator, for whole test sets.

Images are cut into slices, which depend only on how many images there are; each slice is one run of
the player, and as many run at once as there are workers. So no result depends on the workers.
"""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import pairwise
from pathlib import Path

import numpy as np

from .images import codec
from .player import Player, compile_player
from .ports import Ports
from .results import BuildError, Hang, Pauses, Played, Prologue, Result, SimulationError

DRAIN = 256  # cycles in which surplus beats are looked for
MAX_SLICES, MIN_SLICE = 64, 32
SHORT = 10_000_000  # planned cycles of a run below which the compiler may take longer than it saves

Progress = Callable[[int, int], None]


def run(
    build: Path,
    images: np.ndarray,
    *,
    prologue: Prologue | None = None,
    workers: int | None = None,
    pauses: Pauses | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    hang_after: int | None = None,
) -> Result:
    """Simulates a generated network on images.

    Parameters
    ----------
    build : directory of the Verilog and its ``ports.json``
    images : unsigned integers (N, ...), N > 0, of the network's number of pixels
    prologue : payloads that are played into stream ``load`` before an image of this index comes as
        the first after a reset; images are cut into slices that each begin so
    workers : processes at once; all cores by default
    pauses, seed : random pauses on both sides; none by default
    progress : called with the images done and their total, in the caller's thread
    hang_after : cycles without a transfer that count as a hang; generous by default

    Raises
    ------
    ToolMissing, BuildError
        When there is no Verilator, or the Verilog does not compile.
    SimulationError
        When the hardware hangs, breaks the stream contract or sends surplus beats.
    """
    network, pauses = codec(build), pauses or Pauses()
    total = len(images)
    if total == 0:
        raise ValueError("There are no images to simulate")
    beats = network.encode(images)
    planned = network.planned_cycles
    player = compile_player(build, short=planned is not None and total * planned < SHORT)
    bounds = slices(total)
    start = time.perf_counter()
    jobs = [
        _Job(
            player=player,
            beats=beats[a * network.input_beats : b * network.input_beats],
            expect=(b - a) * network.output_beats,
            image=(network.input_beats, network.output_beats),
            pauses=pauses,
            seed=_seed(seed, index),
            hang_after=hang_after or default_hang_after(network.planned_cycles),
            what=f"images {a} to {b - 1}, {pauses}, seed {seed}",
            load=_loaded(network.ports, prologue, a),
            extra=(f"+first_image={a}",),
        )
        for index, (a, b) in enumerate(bounds)
    ]
    played = _play_all(jobs, workers or os.cpu_count() or 1, progress, total)
    scores, labels = network.decode(np.concatenate([each.beats for each in played]))
    last = slice(network.output_beats - 1, None, network.output_beats)
    return Result(
        simulator="native",
        scores=scores,
        labels=labels,
        finished=np.concatenate([each.stamps[last] for each in played]),
        slices=bounds,
        cycles=sum(each.cycles for each in played),
        seconds=time.perf_counter() - start,
        compile_seconds=player.seconds,
        pauses=pauses,
        seed=seed,
    )


def trace(
    build: Path,
    images: np.ndarray,
    index: int,
    vcd: Path,
    *,
    prologue: Prologue | None = None,
    pauses: Pauses | None = None,
    seed: int = 0,
    hang_after: int | None = None,
) -> Path:
    """Repeats the slice of :func:`run` that holds image ``index`` and writes a waveform of it.

    The waveform lasts from the image's first beat in to its last beat out. A hang within it is not
    an error, since it may be what there is to see.
    """
    network, vcd = codec(build), Path(vcd).absolute()
    if not 0 <= index < len(images):
        raise ValueError(f"There are {len(images)} images, from 0 on; there is no image {index}")
    bounds = slices(len(images))
    number, (a, b) = next((n, s) for n, s in enumerate(bounds) if s[0] <= index < s[1])
    vcd.parent.mkdir(parents=True, exist_ok=True)
    job = _Job(
        player=compile_player(build, trace=True, short=True),
        beats=network.encode(images[a:b]),
        expect=(index - a + 1) * network.output_beats,
        image=(network.input_beats, network.output_beats),
        pauses=pauses or Pauses(),
        seed=_seed(seed, number),
        hang_after=hang_after or default_hang_after(network.planned_cycles),
        what=f"image {index}, seed {seed}",
        load=_loaded(network.ports, prologue, a),
        extra=(f"+first_image={a}", f"vcd={vcd}", f"image={index - a}"),
    )
    job.execute()
    return vcd


def play(
    build: Path,
    beats: np.ndarray,
    expect: int,
    *,
    pauses: Pauses | None = None,
    seed: int = 0,
    hang_after: int = 1_000_000,
) -> Played:
    """Plays beats, uint8 (beats, bytes), through any component with streams ``i`` and ``o``.

    Ends when ``expect`` beats have left; raises :class:`Hang` when they do not.
    """
    what = f"{len(beats)} beats, {pauses or Pauses()}, seed {seed}"
    job = _Job(
        compile_player(build, short=True),
        beats,
        expect,
        (1, 1),
        pauses or Pauses(),
        seed,
        hang_after,
        what,
    )
    return _play_all([job], 1, None, expect)[0]


def slices(images: int) -> tuple[tuple[int, int], ...]:
    """(start, stop) of the runs that images are cut into, whatever the number of workers."""
    count = min(max(images // MIN_SLICE, 1), MAX_SLICES)
    edges = [images * each // count for each in range(count + 1)]
    return tuple(pairwise(edges))


def default_hang_after(planned_cycles: int | None) -> int:
    """Cycles without a transfer that no pipeline of the planned pace comes near."""
    return 10_000 + 64 * (planned_cycles or 100_000)


def _loaded(ports: Ports, prologue: Prologue | None, image: int) -> np.ndarray | None:
    """Beats of ``load``, uint8 (beats, bytes)."""
    return None if prologue is None else ports.stream("load").from_integers(prologue(image))


def _seed(seed: int, index: int) -> int:
    state = np.random.SeedSequence(seed, spawn_key=(index,)).generate_state(1, np.uint64)
    return int(state[0])


class _Job:
    """One run of the player: a slice of the images, from reset to its last beat."""

    def __init__(
        self,
        player: Player,
        beats: np.ndarray,
        expect: int,
        image: tuple[int, int],
        pauses: Pauses,
        seed: int,
        hang_after: int,
        what: str,
        load: np.ndarray | None = None,
        extra: tuple[str, ...] = (),
    ):
        self.player, self.beats, self.expect, self.image = player, beats, expect, image
        self.pauses, self.seed, self.hang_after = pauses, seed, hang_after
        self.what, self.load, self.extra = what, load, extra
        self.done = 0  # images so far, for the progress report
        self._child: subprocess.Popen | None = None
        self._stopped = False
        self._lock = threading.Lock()

    def arguments(self, source: Path, sink: Path, load: Path) -> list[str]:
        """The player's command line."""
        scaled = {k: int(getattr(self.pauses, k) * 2**32) for k in ("source", "sink")}
        return [
            str(self.player.binary),
            f"in={source}",
            f"out={sink}",
            f"load={load if self.load is not None else ''}",
            f"expect={self.expect}",
            f"image_in={self.image[0]}",
            f"image_out={self.image[1]}",
            f"idle={scaled['source']}",
            f"stall={scaled['sink']}",
            f"seed={self.seed}",
            f"quiet={self.hang_after}",
            f"drain={DRAIN}",
            *self.extra,
        ]

    def execute(self) -> tuple[dict[str, int], bytes]:
        """Runs the player; its closing figures and the beats that it wrote."""
        with tempfile.TemporaryDirectory(prefix="twincell-") as scratch:
            source, sink, load = (Path(scratch) / name for name in ("in", "out", "load"))
            self.beats.tofile(source)
            if self.load is not None:
                self.load.tofile(load)
            with self._lock:
                if self._stopped:
                    raise SimulationError("The run was stopped")
                self._child = subprocess.Popen(
                    self.arguments(source, sink, load),
                    cwd=self.player.ports.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    start_new_session=True,  # an interrupt reaches us, and we end the child
                )
            lines = []
            assert self._child.stdout is not None
            for line in self._child.stdout:
                if line.startswith("image "):
                    self.done = int(line.split()[1])
                else:
                    lines.append(line.strip())
            self._child.stdout.close()
            code = self._child.wait()
            # Verilator's run time only warns of memory files that it cannot read.
            if code or len(lines) != 1 or not lines[0].startswith("end "):
                raise BuildError("\n".join([f"The player failed (exit {code}):", *lines[-10:]]))
            end = dict(word.split("=") for word in lines[0].split()[1:])
            return {key: int(value) for key, value in end.items()}, sink.read_bytes()

    def stop(self) -> None:
        """Ends the child, from another thread."""
        with self._lock:
            self._stopped = True
            if self._child is not None and self._child.poll() is None:
                self._child.kill()

    def play(self) -> Played:
        """Runs the player and checks that the hardware kept the stream contract."""
        end, content = self.execute()
        moved = (
            f"{end['sent']} of {len(self.beats)} beats in, {end['received']} of {self.expect} out"
        )
        if end["broken"]:
            cycle = end["broken"] - 1
            raise SimulationError(f"Stream o changed while it waited, cycle {cycle} ({self.what})")
        if end["hung"]:
            quiet = f"nothing moved for {self.hang_after} cycles up to cycle {end['cycles']}"
            raise Hang(f"The hardware hangs: {quiet}; {moved} ({self.what})")
        if end["sent"] != len(self.beats) or end["received"] != self.expect:
            raise SimulationError(f"Beats were lost or invented: {moved} ({self.what})")
        size = self.player.ports.stream("o").bytes
        records = np.frombuffer(content, dtype=np.dtype([("at", "<i8"), ("beat", "u1", size)]))
        beats = np.ascontiguousarray(records["beat"]).reshape(self.expect, size)
        self.done = self.expect // self.image[1]
        return Played(beats, records["at"].astype(np.int64), end["cycles"])


def _play_all(
    jobs: list[_Job], workers: int, progress: Progress | None, total: int
) -> list[Played]:
    """Plays jobs, ``workers`` at once; kills what still runs when one fails or the user does."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(job.play) for job in jobs]
        try:
            waiting = set(futures)
            while waiting:
                finished, waiting = wait(waiting, timeout=0.2, return_when=FIRST_EXCEPTION)
                for future in finished:
                    future.result()
                if progress is not None:
                    progress(sum(job.done for job in jobs), total)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for job in jobs:
                job.stop()
            raise
    return [future.result() for future in futures]
