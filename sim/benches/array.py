# SPDX-License-Identifier: BSD-2-Clause
"""The bench of an emulated memory: random reads, programmings, settings and resets.

It compares nothing, but records in ``verdict.json`` what was taken and what left, in order, so that
the record can be replayed: ``events``, lists of a kind and its values; then the ``counters`` and
the ``programmings`` of every word line.

Vectors: ``words`` (N, 3), rows and words of the settings and the cycle in which each is offered at
the earliest. Options: ``phases``, a list of ``cycles`` and the chances ``read``, ``program``,
``ready`` and ``reset`` of each of these cycles; ``rows`` and ``columns`` of the array.
"""

from collections import deque
from random import Random

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from .job import Job, power_on

PATIENCE = 5000  # cycles in which the last reads leave


class Array:
    """The pins of the array, and what was seen on them."""

    def __init__(self, dut, job: Job):
        self.dut, self.random = dut, Random(job.seed)
        self.top = job.ports()
        self.rows, self.columns = job.options["rows"], job.options["columns"]
        self.offered: dict[str, tuple[int, ...] | None] = dict.fromkeys(("i", "i_program"))
        self.words: deque[tuple[int, int]] = deque()
        self.inside = 0
        self.events: list[list] = []
        for name in ("i", "i_program", "i_errors", "i_wear"):
            getattr(dut, f"{name}__valid").value = 0
            getattr(dut, f"{name}__payload").value = 0
        dut.o__ready.value = dut.o_wear__ready.value = dut.clear.value = 0

    def offer(self, name: str, values: tuple[int, ...] | None) -> None:
        """Drives a stream."""
        getattr(self.dut, f"{name}__valid").value = int(values is not None)
        if values is not None:
            fields = self.top.stream(name).fields
            payload = sum(v << f.offset for v, f in zip(values, fields, strict=True))
            getattr(self.dut, f"{name}__payload").value = payload

    def went(self, name: str) -> bool:
        """Whether a transfer took place at this edge."""
        valid, ready = (getattr(self.dut, f"{name}__{pin}") for pin in ("valid", "ready"))
        return int(valid.value) == int(ready.value) == 1

    def draw(self, name: str, chance: float) -> None:
        """A new transfer, unless one is still offered."""
        if self.offered[name] is None and self.random.random() < chance:
            bits = (self.random.getrandbits(self.columns) for _ in range(2))
            self.offered[name] = self.random.randrange(self.rows), *bits

    async def cycle(self, chances: dict) -> None:
        """Drives a cycle, and records what was transferred at its end."""
        dut = self.dut
        reset = self.random.random() < chances.get("reset", 0)
        if reset:
            self.offered = dict.fromkeys(self.offered)
            self.words.clear()
        else:
            self.draw("i", chances.get("read", 0))
            self.draw("i_program", chances.get("program", 0))
        dut.rst.value = int(reset)
        for name, values in self.offered.items():
            self.offer(name, values)
        self.offer("i_errors", self.words[0] if self.words else None)
        dut.o__ready.value = int(self.random.random() < chances["ready"])
        await RisingEdge(dut.clk)
        if reset:
            self.inside = 0
            self.events.append(["reset"])
            return
        if self.went("o"):
            self.events.append(["left", int(dut.o__payload.value)])
            self.inside -= 1
        for name, kind in (("i", "read"), ("i_program", "program")):
            if self.went(name):
                self.events.append([kind, *(self.offered[name] or ())])
                self.offered[name] = None
                self.inside += name == "i"
        if self.went("i_errors"):
            self.events.append(["word", *self.words.popleft()])

    async def count(self, row: int) -> int:
        """The programmings of a word line."""
        self.dut.i_wear__payload.value, self.dut.i_wear__valid.value = row, 1
        self.dut.o_wear__ready.value = 1
        await RisingEdge(self.dut.clk)
        while not self.went("i_wear"):
            await RisingEdge(self.dut.clk)
        self.dut.i_wear__valid.value = 0
        while not self.went("o_wear"):
            await RisingEdge(self.dut.clk)
        return int(self.dut.o_wear__payload.value)


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def traffic(dut):
    """Everything that was taken leaves again; the record is compared outside."""
    job = Job()
    waiting = deque(job.vectors["words"].tolist())
    array = Array(dut, job)
    await power_on(dut.clk, dut.rst)
    cycle = 0
    for phase in job.options["phases"]:
        for _ in range(phase["cycles"]):
            while waiting and waiting[0][2] <= cycle:
                array.words.append(tuple(waiting.popleft()[:2]))
            await array.cycle(phase)
            cycle += 1
    for _ in range(PATIENCE):
        await array.cycle({"ready": 1})
        if not (array.inside or array.words or any(array.offered.values())):
            break
    assert array.inside == 0, f"{array.inside} reads never left"
    await ClockCycles(dut.clk, 3, RisingEdge)
    assert int(dut.o__valid.value) == 0, "a result that nobody asked for"
    programmings = [await array.count(row) for row in range(array.rows)]
    job.record(events=array.events, counters=int(dut.counters.value), programmings=programmings)
