# SPDX-License-Identifier: BSD-2-Clause
"""What benches of streams ``i`` and ``o`` share: the agents, and the record in ``observed.npz``."""

from random import Random

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, Event, First, RisingEdge, Timer
from cocotb.utils import get_sim_time

from ..streams import StreamMonitor, StreamSink, StreamSource
from .job import PERIOD_NS, Job, power_on

DRAIN = 64  # cycles in which surplus beats are looked for


class Bench:
    """Plays the job's beats into ``i`` and records what leaves by ``o``.

    ``entered`` and ``left`` are called with each transfer's payload and mask of unknown bits.
    """

    def __init__(self, dut, entered=None, left=None):
        self.job = Job()
        self.settings, self.vectors = self.job.settings, self.job.vectors
        self.dut = dut
        self.ports = self.job.ports()
        self.entered = entered or (lambda payload, unknown: None)
        self.left = left or (lambda payload, unknown: None)
        self.beats: list[tuple[int, int]] = []
        self.stamps: list[int] = []
        self.breaches: list[str] = []
        self.hung = False
        self.done = Event()
        if self.ports.clock is None:
            raise ValueError(f"{self.ports.top} has no clock")
        self.clock = getattr(dut, self.ports.clock)

    async def run(self) -> list[str]:
        """The whole run; returns what the streams did wrong."""
        i, o = self.ports.stream("i"), self.ports.stream("o")
        seed, (idle, stall) = self.job.seed, self.settings["pauses"]
        source = StreamSource(self.dut, self.clock, i, Random(f"{seed} source"), idle)
        sink = StreamSink(self.dut, self.clock, o, Random(f"{seed} sink"), stall)
        watch_i = StreamMonitor(self.dut, self.clock, i, self.entered, self._breach, patient=True)
        watch_o = StreamMonitor(self.dut, self.clock, o, self._left, self._breach)
        await self._reset()
        await self._load()
        self.start = get_sim_time("ns")
        # The input monitor runs first: an image has entered before it can leave at the same edge.
        for task in (watch_i.run(), watch_o.run(), sink.run()):
            cocotb.start_soon(task)
        payloads = i.integers(self.vectors["beats"])
        cocotb.start_soon(source.send(payloads))
        await self._wait(lambda: watch_i.count + watch_o.count)
        found = list(self.breaches)
        moved = (
            f"{watch_i.count} of {len(payloads)} beats in, "
            f"{watch_o.count} of {self.settings['expect']} out"
        )
        if self.hung:
            found.append(f"nothing moved for {self.settings['hang_after']} cycles; {moved}")
        elif watch_o.count > self.settings["expect"]:
            found.append(f"too many beats: {moved}")
        elif watch_i.count < len(payloads) and not self.settings["partial"]:
            found.append(f"done without all its input: {moved}")
        return found

    async def _reset(self) -> None:
        idle = [name for name, port in self.ports.others.items() if port["direction"] == "in"]
        for name, each in self.ports.streams.items():
            if name not in ("i", "o", "load"):
                idle += [each.valid, each.payload] if each.direction == "in" else [each.ready]
        for name in filter(None, idle):
            getattr(self.dut, name).value = 0
        reset = getattr(self.dut, self.ports.reset) if self.ports.reset else None
        await power_on(self.clock, reset)

    async def _load(self) -> None:
        """Plays the job's prologue into stream ``load``."""
        if "load" not in self.ports.streams:
            return
        load = self.ports.stream("load")
        loader = StreamSource(self.dut, self.clock, load, Random(f"{self.job.seed} load"))
        if "load" in self.vectors:
            await loader.send(load.integers(self.vectors["load"]))

    async def _wait(self, moves) -> None:
        """Until all beats have left, something broke, or nothing moves any more."""
        while not self.done.is_set():
            before = moves()
            limit = Timer(self.settings["hang_after"] * PERIOD_NS, "ns")
            await First(self.done.wait(), limit)
            if not self.done.is_set() and moves() == before:
                self.hung = True
                return
        if not self.breaches:
            await ClockCycles(self.clock, DRAIN, RisingEdge)

    def _left(self, payload: int, unknown: int) -> None:
        # Cycle 0 is the first edge at which the source offers something.
        self.stamps.append(int(get_sim_time("ns") - self.start) // PERIOD_NS - 1)
        self.beats.append((payload, unknown))
        if len(self.beats) <= self.settings["expect"]:
            self.left(payload, unknown)
        if len(self.beats) == self.settings["expect"]:
            self.done.set()

    def _breach(self, what: str) -> None:
        cycle = int(get_sim_time("ns") - self.start) // PERIOD_NS - 1
        self.breaches.append(f"{what}, cycle {cycle}")
        self.done.set()

    def close(self, streams: list[str], answers: list[str]) -> None:
        """Writes the record, and fails the test when there were problems."""
        o, kept = self.ports.stream("o"), self.beats[: self.settings["expect"]]
        np.savez(
            self.job.work / "observed.npz",
            beats=o.from_integers([payload for payload, _ in kept]),
            unknown=o.from_integers([unknown for _, unknown in kept]),
            stamps=np.array(self.stamps[: len(kept)], dtype=np.int64),
        )
        self.job.record(hung=self.hung, streams=streams, answers=answers)
        assert not streams and not answers, "\n".join([*streams, *answers][:5])
