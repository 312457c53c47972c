# SPDX-License-Identifier: BSD-2-Clause
"""A UART: eight data bits, no parity, one stop bit."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out, connect, flipped

MIN_CLOCKS_PER_BIT = 4
TOLERANCE = 0.02  # of a bit time, by clock and divider; half of what ten bits can stand
USUAL = (2e6, 1e6, 921_600, 500_000, 460_800, 230_400, 115_200)  # bauds that adapters know


def clocks_per_bit(clock: float, baud: float) -> int:
    """The divider for a clock and a rate, both in Hz.

    Raises ``ValueError`` when the nearest one is off by more than 2 %, with what would do.
    """
    if not _divides(clock, baud):
        bauds = ", ".join(f"{each:,.0f}" for each in USUAL if _divides(clock, each))
        raise ValueError(
            f"A clock of {clock / 1e6:g} MHz does not divide to {baud:,.0f} baud within 2 %; it "
            f"does to {bauds or 'none that is usual'}, and multiples of {baud / 1e6:g} MHz from "
            f"{MIN_CLOCKS_PER_BIT * baud / 1e6:g} MHz on do to that"
        )
    return round(clock / baud)


def _divides(clock: float, baud: float) -> bool:
    """Whether some divider gives a rate, within the tolerance."""
    divider = round(clock / baud)
    return divider >= MIN_CLOCKS_PER_BIT and abs(clock / divider / baud - 1) <= TOLERANCE


class Uart(wiring.Component):
    """Bytes over two wires.

    Towards the line a byte takes ten bit times, and the next one follows at once. From the line a
    byte is offered in the middle of its stop bit. There is nothing to stop the other side: a byte
    that ends while the one before is still offered is lost.

    Parameters
    ----------
    clocks_per_bit : at least 4

    Members
    -------
    rx : In(1)
    tx : Out(1)
    i : In(stream of bytes), to the line
    o : Out(stream of bytes), from the line
    """

    def __init__(self, clocks_per_bit: int):
        self.receiver = Receiver(clocks_per_bit)
        self.transmitter = Transmitter(clocks_per_bit)
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                "i": In(stream.Signature(8)),
                "o": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = self.receiver
        m.submodules.transmitter = self.transmitter
        connect(m, flipped(self.i), self.transmitter.i)
        connect(m, self.receiver.o, flipped(self.o))
        m.d.comb += [self.receiver.rx.eq(self.rx), self.tx.eq(self.transmitter.tx)]
        return m


class Transmitter(wiring.Component):
    """The half of a :class:`Uart` that sends.

    Members
    -------
    i : In(stream of bytes)
    tx : Out(1)
    """

    def __init__(self, clocks_per_bit: int):
        self.clocks_per_bit = _checked(clocks_per_bit)
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        # A marker above the byte says when it is through: start bit, eight bits, marker.
        m = Module()
        shift = Signal(9)
        timer = Signal(range(self.clocks_per_bit))
        due = Signal()
        m.d.comb += [due.eq(timer == 0), self.i.ready.eq(due & (shift == 0))]
        m.d.sync += timer.eq(timer - 1)
        with m.If(due & (shift != 0)):
            # The marker leaves as the stop bit.
            m.d.sync += [self.tx.eq(shift[0]), shift.eq(shift >> 1)]
            m.d.sync += timer.eq(self.clocks_per_bit - 1)
        with m.Elif(self.i.valid & self.i.ready):
            m.d.sync += [self.tx.eq(0), shift.eq(Cat(self.i.payload, 1))]
            m.d.sync += timer.eq(self.clocks_per_bit - 1)
        with m.Elif(due):
            m.d.sync += timer.eq(0)
        return m


class Receiver(wiring.Component):
    """The half of a :class:`Uart` that receives.

    Bits are sampled in their middle. A start bit that is high again in its middle was a disturbance
    and counts for nothing; a byte whose stop bit is low is dropped, and the line must be high
    before the next start bit. So a line that is low for long gives no bytes.

    Members
    -------
    rx : In(1)
    o : Out(stream of bytes)
    """

    def __init__(self, clocks_per_bit: int):
        self.clocks_per_bit = _checked(clocks_per_bit)
        super().__init__({"rx": In(1, init=1), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1)
        shift = Signal(8)
        timer = Signal(range(self.clocks_per_bit))
        bit = Signal(range(8))
        due = Signal()
        m.d.comb += due.eq(timer == 0)
        m.d.sync += timer.eq(timer - 1)
        with m.If(due):
            m.d.sync += timer.eq(self.clocks_per_bit - 1)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                # One cycle of this bit is over when its low level is seen.
                m.d.sync += [timer.eq(self.clocks_per_bit // 2 - 1), bit.eq(0)]
                with m.If(~line):
                    m.next = "START"
            with m.State("START"), m.If(due):
                m.next = "IDLE"
                with m.If(~line):
                    m.next = "DATA"
            with m.State("DATA"), m.If(due):
                m.d.sync += [shift.eq(Cat(shift[1:], line)), bit.eq(bit + 1)]
                with m.If(bit == 7):
                    m.next = "STOP"
            with m.State("STOP"), m.If(due):
                m.next = "BREAK"
                with m.If(line):
                    m.next = "IDLE"
                    with m.If(~self.o.valid | self.o.ready):
                        m.d.sync += [self.o.payload.eq(shift), self.o.valid.eq(1)]
            with m.State("BREAK"), m.If(line):
                m.next = "IDLE"
        return m


def _checked(clocks_per_bit: int) -> int:
    if not isinstance(clocks_per_bit, int) or clocks_per_bit < MIN_CLOCKS_PER_BIT:
        raise TypeError(f"Clocks per bit must be an integer of at least 4, not {clocks_per_bit!r}")
    return clocks_per_bit
