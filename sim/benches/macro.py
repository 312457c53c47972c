# SPDX-License-Identifier: BSD-2-Clause
"""The bench of a memory macro's array: reads and programmings in the order that they are offered.

Vectors: ``programs`` (N,) says which of the ``payloads`` (N,) go to stream ``i_program`` and which
to ``i``; ``results`` and ``reports`` are what must leave. Options: ``timing`` and ``retries``, the
values of those ports, and ``pauses`` of source and sink.
"""

from random import Random

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from ..streams import StreamMonitor, StreamSink, StreamSource
from .job import Job, power_on

DRAIN = 2000  # cycles that the last programming may take, and that show surplus results


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def commands(dut):
    """Every read and every report is what was expected, and the pins were never misused."""
    job = Job()
    options, vectors, top = job.options, job.vectors, job.ports()
    idle, stall = options["pauses"]
    random = [Random(f"{job.seed} {each}") for each in ("reads", "programs", "sink")]
    reads = StreamSource(dut, dut.clk, top.stream("i"), random[0], idle)
    programs = StreamSource(dut, dut.clk, top.stream("i_program"), random[1], idle)
    sink = StreamSink(dut, dut.clk, top.stream("o"), random[2], stall)
    results: list[tuple[int, int]] = []
    breaches: list[str] = []
    watch = StreamMonitor(
        dut, dut.clk, top.stream("o"), lambda *beat: results.append(beat), breaches.append
    )
    dut.timing.value, dut.retries.value, dut.line.value = options["timing"], options["retries"], 0
    await power_on(dut.clk, dut.rst)
    reports: list[int] = []
    for task in (sink.run(), watch.run(), _reports(dut, reports)):
        cocotb.start_soon(task)
    for program, payload in zip(vectors["programs"], vectors["payloads"], strict=True):
        await (programs if program else reads).send([int(payload)])
    await ClockCycles(dut.clk, DRAIN, RisingEdge)
    assert not breaches, breaches
    assert results == [(int(each), 0) for each in vectors["results"]]
    assert reports == vectors["reports"].tolist()
    assert int(dut.macro.macro.violations.value) == 0
    job.record(results=len(results), reports=len(reports))


async def _reports(dut, reports: list[int]) -> None:
    """The report of every programming that ends."""
    while True:
        await RisingEdge(dut.done)
        await RisingEdge(dut.clk)  # the registers beside it have changed by then
        reports.append(int(dut.report.value))
