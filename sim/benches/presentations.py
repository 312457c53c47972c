# SPDX-License-Identifier: BSD-2-Clause
"""The bench of a network with a stochastic input: presentations loaded between images, and resets.

It compares nothing, but records in ``verdict.json`` what left in each episode: ``beats``, a list of
payloads for each.

Vectors: ``beats`` (N, bytes), the beats of all images. Options: ``input_beats`` of an image,
``output_beats``; and ``episodes``, each with ``lines`` to load, ``first`` and ``images`` to send,
the chances ``idle`` and ``stall`` of each cycle, and ``reset``: the cycle in which a reset ends it,
or none, for one that ends when all has left.
"""

from collections import deque
from collections.abc import Iterable
from random import Random

import cocotb
from cocotb.triggers import RisingEdge

from .job import Job, power_on

PATIENCE = 20_000  # cycles in which an episode ends
DRAIN = 64  # cycles in which surplus beats are looked for


class Pins:
    """The streams of the network, driven cycle by cycle."""

    def __init__(self, dut, random: Random):
        self.dut, self.random = dut, random
        self.offered: dict[str, int | None] = {}
        self.reset()

    def reset(self) -> None:
        """Nothing is offered."""
        self.offered = {"load": None, "i": None}
        self._drive()
        self.dut.o__ready.value = 0

    def _drive(self) -> None:
        for name, payload in self.offered.items():
            getattr(self.dut, f"{name}__valid").value = int(payload is not None)
            if payload is not None:
                getattr(self.dut, f"{name}__payload").value = payload

    async def cycle(self, name: str, source: deque[int], idle: float, stall: float) -> int | None:
        """Plays a source into a stream for a cycle; what left by ``o``, if anything did."""
        if self.offered[name] is None and source and self.random.random() >= idle:
            self.offered[name] = source.popleft()
        self._drive()
        ready = self.random.random() >= stall
        self.dut.o__ready.value = int(ready)
        await RisingEdge(self.dut.clk)
        if self.offered[name] is not None and int(getattr(self.dut, f"{name}__ready").value):
            self.offered[name] = None
        if ready and int(self.dut.o__valid.value):
            return int(self.dut.o__payload.value)
        return None

    async def play(self, name: str, payloads: Iterable[int], wanted: int, episode: dict) -> list:
        """Plays payloads into a stream until ``wanted`` beats have left, or a reset is due."""
        source, found = deque(payloads), []
        for cycle in range(PATIENCE):
            if cycle == episode.get("reset"):
                return found
            if not source and self.offered[name] is None and len(found) >= wanted:
                break
            left = await self.cycle(name, source, episode["idle"], episode["stall"])
            found += [] if left is None else [left]
        assert len(found) == wanted, f"{len(found)} beats left instead of {wanted}"
        for _ in range(DRAIN):
            assert await self.cycle(name, source, 1, 0) is None, "a beat that nobody asked for"
        return found


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def episodes(dut):
    """Every episode that no reset ends gives as many beats as were asked for."""
    job = Job()
    options, pins = job.options, Pins(dut, Random(job.seed))
    beats = job.ports().stream("i").integers(job.vectors["beats"])
    await power_on(dut.clk, dut.rst)
    record = []
    for episode in options["episodes"]:
        await pins.play("load", episode["lines"], 0, {"idle": 0.3, "stall": 0})
        first, last = episode["first"], episode["first"] + episode["images"]
        sent = beats[first * options["input_beats"] : last * options["input_beats"]]
        wanted = episode["images"] * options["output_beats"]
        record.append(await pins.play("i", sent, wanted, episode))
        if "reset" in episode:
            pins.reset()
            dut.rst.value = 1
            await RisingEdge(dut.clk)
            dut.rst.value = 0
    job.record(beats=record)
