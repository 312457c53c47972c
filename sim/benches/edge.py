# SPDX-License-Identifier: BSD-2-Clause
"""What the benches of wrapped networks share: clock, reset, packets and register access.

A register access is ``await bus.write(offset, value)`` or ``await bus.read(offset)`` whatever the
bus is; both return whether it was answered with an error.
"""

import itertools
import logging
from collections.abc import Iterator
from random import Random

from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiStreamBus,
    AxiStreamSink,
    AxiStreamSource,
)

from .. import packets
from .job import PERIOD_NS, RESET_CYCLES, Job


class Edge:
    """A wrapped top with agents on all its buses, in reset until :meth:`start`."""

    def __init__(self, dut):
        self.job, self.dut = Job(), dut
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)  # agents log every frame
        self.options, self.vectors = self.job.options, self.job.vectors
        self.random = Random(self.job.seed)
        self.about = packets.edge(self.job.build)
        self.registers = packets.registers(self.job.build)
        self.codec = packets.codec(self.job.build)
        self.clock = getattr(dut, self.about["clock"])
        self.reset = getattr(dut, self.about["reset"])
        self.active = int(self.about["reset_active"] == "high")
        self.reset.value = self.active
        how = {"reset": self.reset, "reset_active_level": bool(self.active)}
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), self.clock, **how)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), self.clock, **how)
        if self.about["bus"] == "axi":
            self.bus: AxiBus | WishboneBus = AxiBus(dut, self.clock, how)
        else:
            self.bus = WishboneBus(dut, self.clock)

    async def start(self) -> None:
        """Starts the clock and releases the reset."""
        Clock(self.clock, PERIOD_NS, "ns").start()
        await self.pulse_reset()

    async def pulse_reset(self) -> None:
        """A few cycles of reset, from right after a clock edge."""
        self.reset.value = self.active
        await ClockCycles(self.clock, RESET_CYCLES, RisingEdge)
        self.reset.value = 1 - self.active
        await RisingEdge(self.clock)

    def pause(self, source: float, sink: float) -> None:
        """Makes both sides of the stream pause in that part of all cycles."""
        self.source.set_pause_generator(self._dice(source))
        self.sink.set_pause_generator(self._dice(sink))

    def _dice(self, part: float) -> Iterator[bool]:
        random = Random(self.random.random())
        return (random.random() < part for _ in itertools.count())

    def offset(self, register: str) -> int:
        """Byte offset of a register."""
        return self.registers[register]["offset"]

    def bit(self, register: str, field: str) -> int:
        """Mask of a field."""
        fields = {each["name"]: each for each in self.registers[register]["fields"]}
        return ((1 << fields[field]["width"]) - 1) << fields[field]["bit"]

    async def read(self, register: str) -> int:
        """Reads a register that answers without an error."""
        value, error = await self.bus.read(self.offset(register))
        assert not error, f"{register} cannot be read"
        return value

    async def write(self, register: str, value: int) -> None:
        """Writes a register that answers without an error."""
        assert not await self.bus.write(self.offset(register), value), f"{register}: {value:#x}"

    async def receive(self) -> bytes:
        """The next packet, its null bytes left out."""
        frame = await self.sink.recv(compact=True)
        return bytes(frame.tdata)

    def close(self, **counted: int) -> None:
        """Writes what was counted."""
        self.job.record(**counted)


class AxiBus:
    """Registers through AXI4-Lite."""

    def __init__(self, dut, clock, how: dict):
        self.master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), clock, **how)
        write, read = self.master.write_if, self.master.read_if
        self.channels = [
            *(write.aw_channel, write.w_channel, write.b_channel),
            *(read.ar_channel, read.r_channel),
        ]

    def pause(self, dice) -> None:
        """Makes every channel pause."""
        for channel in self.channels:
            channel.set_pause_generator(dice())

    def abandon(self) -> None:
        """Gives up an access under way before a reset, to which the agents listen themselves."""

    async def write(self, offset: int, value: int) -> bool:
        """Writes a word."""
        done = await self.master.write(offset, value.to_bytes(4, "little"))
        return int(done.resp) != 0

    async def read(self, offset: int) -> tuple[int, bool]:
        """Reads a word."""
        done = await self.master.read(offset, 4)
        return int.from_bytes(done.data, "little"), int(done.resp) != 0


class WishboneBus:
    """Registers through Wishbone, classic single accesses."""

    def __init__(self, dut, clock):
        self.dut, self.clock = dut, clock
        self.idle = iter(itertools.repeat(False))
        for name in ("cyc", "stb", "we", "adr", "dat", "sel"):
            getattr(dut, f"wb_{name}_i").value = 0

    def pause(self, dice) -> None:
        """Waits at random before an access."""
        self.idle = dice()

    def abandon(self) -> None:
        """Gives up an access under way before a reset."""
        self.dut.wb_cyc_i.value = self.dut.wb_stb_i.value = 0

    async def write(self, offset: int, value: int) -> bool:
        """Writes a word."""
        self.dut.wb_dat_i.value = value
        return await self._access(offset, 1)

    async def read(self, offset: int) -> tuple[int, bool]:
        """Reads a word."""
        error = await self._access(offset, 0)
        return self.data, error

    async def _access(self, offset: int, we: int) -> bool:
        dut = self.dut
        while next(self.idle):
            await RisingEdge(self.clock)
        dut.wb_adr_i.value, dut.wb_we_i.value, dut.wb_sel_i.value = offset, we, 15
        dut.wb_cyc_i.value = dut.wb_stb_i.value = 1
        for _ in range(100):
            await RisingEdge(self.clock)
            ended = int(dut.wb_ack_o.value), int(dut.wb_err_o.value)
            if any(ended):
                assert sum(ended) == 1, "ack and err at once"
                self.data = int(dut.wb_dat_o.value)
                dut.wb_cyc_i.value = dut.wb_stb_i.value = 0
                return bool(ended[1])
        raise AssertionError(f"No answer at {offset:#x}")
