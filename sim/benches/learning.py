# SPDX-License-Identifier: BSD-2-Clause
"""The bench of a memory that learns: a learning memory of PyTorch stands at the macro's pins.

Vectors: ``updates`` (N, bytes) go to stream ``i_update``, ``reads`` (N, bytes) then to ``i``.
Options: ``device``, a preset, with ``shape`` and ``seed`` of the memory, whose state ``before.pt``
holds; ``ports``, values of the top's inputs; ``idle``, the chance of a pause before a beat. Left
behind are the memory's state ``after.pt`` and, in ``observed.npz``, what the reads gave and the
record of each word line.
"""

from random import Random

import cocotb
import numpy as np
import torch
from cocotb.triggers import ClockCycles, RisingEdge

from ...model.learning.devices.memory import BL, BLB, Memory
from ...model.learning.devices.presets import preset
from ..macro_player import MacroPlayer
from ..streams import StreamMonitor, StreamSink, StreamSource
from .job import Job, power_on


class LearningCells:
    """The pairs of a learning memory (rows, columns) as cells of a macro.

    A weight is +1 when the learning memory's BL has the higher resistance and when the macro's BLb
    has, so these are the same device. Pulses are gathered until ``learn``, for a device draws its
    noise once for each update, and not once for each pulse.
    """

    def __init__(self, memory: Memory):
        self.memory = memory
        self.pulses = torch.zeros(2, *memory.shape, dtype=torch.int64)

    def sense(self, row: int, straight: int, crossed: int) -> tuple[int, int]:
        """See :class:`~..macro_player.Cells`."""
        bits = (self.memory.weights()[row] > 0).numpy()
        sign = int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")
        agree, disagree = sign & straight | ~sign & crossed, ~sign & straight | sign & crossed
        full = (1 << len(bits)) - 1
        return full & ~disagree, full & ~agree

    def pulse(self, mode: str, row: int, bl: int, blb: int) -> None:
        """See :class:`~..macro_player.Cells`."""
        assert mode == "weak", f"a pulse of {mode}"
        for axis, devices in ((BLB, bl), (BL, blb)):
            columns = [k for k in range(self.memory.shape[1]) if devices >> k & 1]
            self.pulses[axis, row, columns] += 1

    def learn(self) -> None:
        """Gives the gathered pulses to the devices."""
        assert not (self.pulses[BL].bool() & self.pulses[BLB].bool()).any(), "both of a pair"
        self.memory.pulse(self.pulses[BL] - self.pulses[BLB])
        self.pulses.zero_()


@cocotb.test(timeout_time=2, timeout_unit="sec")
async def step(dut):
    """Updates go in, their pulses reach the devices, and every word line is read."""
    job = Job()
    work, options, vectors, top = job.work, job.options, job.vectors, job.ports()
    memory = preset(options["device"]).device.memory(tuple(options["shape"]), options["seed"])
    memory.load_state_dict(torch.load(work / "before.pt", weights_only=True))
    cells = LearningCells(memory)
    random, idle = Random(job.seed), options["idle"]
    updates = StreamSource(dut, dut.clk, top.stream("i_update"), random, idle)
    programs = StreamSource(dut, dut.clk, top.stream("i_program"), random)
    reads = StreamSource(dut, dut.clk, top.stream("i"), random, idle)
    sink = StreamSink(dut, dut.clk, top.stream("o"), random)
    seen: list[tuple[int, int]] = []
    breaches: list[str] = []
    results = StreamMonitor(
        dut, dut.clk, top.stream("o"), lambda *beat: seen.append(beat), breaches.append
    )
    for port, value in options["ports"].items():
        getattr(dut, port).value = value
    MacroPlayer(dut.macro.macro, cells).start()
    await power_on(dut.clk, dut.rst)
    for task in (sink.run(), results.run()):
        cocotb.start_soon(task)
    await programs.send([])
    await updates.send(top.stream("i_update").integers(vectors["updates"]))
    await RisingEdge(dut.clk)
    while dut.updating.value == 1:
        await RisingEdge(dut.clk)
    cells.learn()
    wear = [await _wear(dut, row) for row in range(len(vectors["reads"]))]
    await reads.send(top.stream("i").integers(vectors["reads"]))
    await ClockCycles(dut.clk, 64, RisingEdge)
    assert not breaches, breaches
    assert len(seen) == len(vectors["reads"]), f"{len(seen)} results of {len(vectors['reads'])}"
    assert not any(unknown for _, unknown in seen), "results with unknown bits"
    torch.save(memory.state_dict(), work / "after.pt")
    beats = top.stream("o").from_integers([beat for beat, _ in seen])
    np.savez(work / "observed.npz", beats=beats, wear=wear)
    job.record(reads=len(seen))


async def _wear(dut, row: int) -> int:
    """The record of a word line."""
    dut.line.value = row
    await ClockCycles(dut.clk, 3, RisingEdge)
    return int(dut.line_state.value)
