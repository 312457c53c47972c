# SPDX-License-Identifier: BSD-2-Clause
"""The UART: bytes through its own wire, other clocks, disturbances."""

import itertools
import re

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.sim import Simulator

from tests.support import simulate
from twincell.fpga.uart import Receiver, Transmitter, Uart, clocks_per_bit

BYTES = [0x00, 0xFF, 0x55, 0xAA, 0x01, 0x80, 0x7E]


class Loop(wiring.Component):
    """Everything that is sent is received."""

    def __init__(self, divider: int):
        self.uart = Uart(divider)
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.uart = uart = self.uart
        connect(m, flipped(self.i), uart.i)
        connect(m, uart.o, flipped(self.o))
        m.d.comb += uart.rx.eq(uart.tx)
        return m


@pytest.mark.parametrize("divider", [4, 5, 12])
def test_what_is_sent_is_received(divider):
    found, cycles = simulate.play(Loop(divider), BYTES, len(BYTES))
    assert found == BYTES
    # No pause between bytes: start bit, eight bits, stop bit.
    assert {b - a for a, b in itertools.pairwise(cycles)} == {10 * divider}


def received(divider: int, levels: list[tuple[int, int]]) -> list[int]:
    """Bytes that a receiver takes from a line of (level, cycles)."""
    receiver, found = Receiver(divider), []

    async def line(ctx):
        for level, cycles in levels:
            ctx.set(receiver.rx, level)
            await ctx.tick().repeat(cycles)

    async def sink(ctx):
        ctx.set(receiver.o.ready, 1)
        async for _, _, valid, byte in ctx.tick().sample(receiver.o.valid, receiver.o.payload):
            if valid:
                found.append(byte)

    simulator = Simulator(receiver)
    simulator.add_clock(1e-6)
    simulator.add_testbench(line)
    simulator.add_testbench(sink, background=True)
    simulator.run()
    return found


def frame(byte: int, cycles: int, stop: int = 1) -> list[tuple[int, int]]:
    return [(0, cycles), *((byte >> k & 1, cycles) for k in range(8)), (stop, cycles)]


@pytest.mark.parametrize("cycles", [96, 97, 100, 103, 104])
def test_another_clock(cycles):
    """Bits that are up to 4 % shorter or longer than they should be, without a pause."""
    levels = [(1, 300)] + [each for byte in BYTES for each in frame(byte, cycles)]
    assert received(100, [*levels, (1, 300)]) == BYTES


def test_disturbances():
    good = frame(0xA5, 16)
    glitches = [(0, 1), (1, 20), (0, 7), (1, 5), (0, 6), (1, 40)]
    unfinished = frame(0x3C, 16, stop=0)
    broken = [(0, 1000), (1, 40)]
    levels = [(1, 40), *glitches, *good, (1, 1), *unfinished, (1, 16), *good, *broken, *good]
    assert received(16, [*levels, (1, 40)]) == [0xA5] * 3


def test_a_byte_too_many_is_lost():
    """Nothing takes the first one, and it stays as it is."""
    receiver = Receiver(4)

    async def line(ctx):
        for level, cycles in [(1, 8), *frame(0x12, 4), *frame(0x34, 4), (1, 8)]:
            ctx.set(receiver.rx, level)
            await ctx.tick().repeat(cycles)
        assert ctx.get(receiver.o.valid) and ctx.get(receiver.o.payload) == 0x12

    simulator = Simulator(receiver)
    simulator.add_clock(1e-6)
    simulator.add_testbench(line)
    simulator.run()


def test_dividers():
    assert clocks_per_bit(12e6, 1e6) == 12
    assert clocks_per_bit(100e6, 115200) == 868
    assert clocks_per_bit(12e6, 921600) == 13
    message = (
        "A clock of 12 MHz does not divide to 2,200,000 baud within 2 %; it does to 2,000,000, "
        "1,000,000, 921,600, 500,000, 460,800, 230,400, 115,200, and multiples of 2.2 MHz from "
        "8.8 MHz on do to that"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        clocks_per_bit(12e6, 2.2e6)
    for wrong in (3, 4.0, None):
        with pytest.raises(TypeError, match=r"^Clocks per bit must be an integer of at least 4"):
            Transmitter(wrong)
