# SPDX-License-Identifier: BSD-2-Clause
"""A small board for tests of the link: registers behind it, and the same in Python."""

import os
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from twincell.fpga.host.transport import Transport, TransportError
from twincell.fpga.link import Link
from twincell.fpga.uart import Uart
from twincell.hw.edges.bank import Bank
from twincell.hw.edges.registers import MAGIC, Access, Register, RegisterMap
from twincell.sim.twin import Twin

BUILD = 0x600DCAFE
REGISTERS = RegisterMap(
    (
        Register("MAGIC", 0x000, Access.CONSTANT, "The bytes TWCL", value=MAGIC),
        Register("LAYOUT", 0x004, Access.CONSTANT, "Version of this map", value=1),
        Register("CONFIGURATION", 0x008, Access.CONSTANT, "Nothing", value=7),
        Register("BUILD", 0x00C, Access.CONSTANT, "Nothing", value=BUILD),
        Register("A", 0x100, Access.STORED, "A word"),
        Register("B", 0x104, Access.STORED, "Another"),
        Register("LOG", 0x108, Access.WINDOW, "Adds to SUM, which is turned left; refuses 13"),
        Register("SUM", 0x10C, Access.STATUS, "Tells the words and their order"),
        Register("QUEUE", 0x110, Access.STATUS, "Counts its own reads"),
        Register("LAST", 0xFFC, Access.STORED, "At the end of the map"),
    )
)
_MASK = (1 << 32) - 1


class Board(wiring.Component):
    """Link and registers, by bytes.

    LOG takes a word after three cycles, so that the bus has to wait.
    """

    def __init__(self):
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.link = link = Link()
        m.submodules.bank = bank = Bank(REGISTERS)
        connect(m, flipped(self.i), link.i)
        connect(m, link.o, flipped(self.o))
        connect(m, link.bus, bank.bus)
        total, queue, waited = Signal(32), Signal(32), Signal(2)
        m.d.comb += [
            bank.sum.eq(total),
            bank.queue.eq(queue),
            bank.log_refused.eq(bank.log_data == 13),
            bank.log_ready.eq(waited == 3),
        ]
        m.d.sync += queue.eq(queue + bank.queue_seen)
        with m.If(bank.log_put & ~bank.log_refused):
            m.d.sync += waited.eq(waited + 1)
            with m.If(bank.log_ready):
                m.d.sync += total.eq(Cat(total[-1], total[:-1]) + bank.log_data)
        return m


class UartBoard(wiring.Component):
    """The same by two wires."""

    def __init__(self, clocks_per_bit: int):
        self.clocks_per_bit = clocks_per_bit
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.uart = uart = Uart(self.clocks_per_bit)
        m.submodules.board = board = Board()
        connect(m, uart.o, board.i)
        connect(m, board.o, uart.i)
        m.d.comb += [uart.rx.eq(self.rx), self.tx.eq(uart.tx)]
        return m


class Registers:
    """What the registers of a :class:`Board` do; a bus of the responder."""

    def __init__(self):
        self.stored = {REGISTERS[name].offset: 0 for name in ("A", "B", "LAST")}
        self.total = self.queue = 0

    def read(self, address: int) -> int:
        for register in REGISTERS.registers:
            if register.offset == address and register.access is Access.CONSTANT:
                return register.value
        if address == REGISTERS["SUM"].offset:
            return self.total
        if address == REGISTERS["QUEUE"].offset:
            self.queue += 1
            return self.queue - 1
        return self.stored[address]

    def write(self, address: int, word: int) -> None:
        if address == REGISTERS["LOG"].offset and word != 13:
            turned = (self.total << 1 | self.total >> 31) & _MASK
            self.total = (turned + word) & _MASK
        elif address in self.stored:
            self.stored[address] = word
        else:
            raise KeyError(address)


class NoisyTransport(Transport):
    """A twin behind a bad cable: bytes are changed, dropped, doubled and invented in both
    directions, and some wait for the next ones.

    Parameters
    ----------
    rate : probability of a disturbance of a byte
    """

    KINDS = ("flipped", "dropped", "doubled", "inserted", "paused")

    def __init__(self, twin: Twin, rate: float, seed: int):
        self.twin, self.rate, self.baud = twin, rate, twin.baud
        self.rng = np.random.default_rng(seed)
        self.counts = dict.fromkeys(self.KINDS, 0)

    def now(self) -> float:
        return self.twin.cycles / self.twin.clock

    def read(self, timeout: float) -> bytes:
        return self._disturbed(self.twin.read(timeout), pause=False)

    def write(self, content: bytes) -> None:
        self.twin.write(self._disturbed(content, pause=True))

    def reopen(self) -> None:
        raise TransportError("There is no other twin")

    def close(self) -> None:
        self.twin.close()

    def _disturbed(self, content: bytes, *, pause: bool) -> bytes:
        found = bytearray()
        last = 0
        hits = np.flatnonzero(self.rng.random(len(content)) < self.rate)
        for at in hits.tolist():
            found += content[last:at]
            byte, last = content[at], at + 1
            kind = self.KINDS[int(self.rng.integers(0, len(self.KINDS) if pause else 4))]
            self.counts[kind] += 1
            match kind:
                case "flipped":
                    found.append(byte ^ 1 << int(self.rng.integers(0, 8)))
                case "doubled":
                    found += bytes([byte, byte])
                case "inserted":
                    found += bytes([int(self.rng.integers(0, 256)), byte])
                case "paused":
                    # What came out meanwhile was not listened to.
                    self.twin.write(bytes(found))
                    self.twin.run(int(self.rng.integers(0, 4000)))
                    found = bytearray([byte])
        return bytes(found + content[last:])


@contextmanager
def full_port() -> Iterator[str]:
    """A serial port behind which nobody reads, and that takes no byte any more."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.set_blocking(theirs, False)
    for _ in range(5):  # the system makes room for a while, as it moves the bytes on
        with suppress(BlockingIOError):
            while True:
                os.write(theirs, bytes(4096))
        time.sleep(0.02)
    yield os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)
