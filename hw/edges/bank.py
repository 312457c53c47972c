# SPDX-License-Identifier: BSD-2-Clause
"""The register bank, behind one small bus that every front end speaks."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .registers import ADDRESS_BITS, Access, Register, RegisterMap


class BusSignature(wiring.Signature):
    """One access at a time, seen from the front end.

    ``stb`` starts an access and stays, with ``we``, ``address``, ``data`` and ``select``, until the
    cycle in which ``ack`` is high; the cycle after may start the next. ``read`` and ``error`` are
    valid with ``ack``. There may be any number of cycles in between.

    Members
    -------
    stb, we : Out(1)
    address : Out, of a 32-bit word
    data : Out(32)
    select : Out(4), bytes to write
    ack, error : In(1)
    read : In(32)
    """

    def __init__(self):
        super().__init__(
            {
                "stb": Out(1),
                "we": Out(1),
                "address": Out(ADDRESS_BITS - 2),
                "data": Out(32),
                "select": Out(4),
                "ack": In(1),
                "error": In(1),
                "read": In(32),
            }
        )


class Bank(wiring.Component):
    """The registers of a map.

    An access takes effect in the first cycle of ``stb`` (a window's word in the first cycle in
    which the window is ready) and is acknowledged in the next. An error is acknowledged where there
    is no such register, where a constant or a status is written or a window read, and where the
    hardware refuses a word; such an access changes nothing.

    Parameters
    ----------
    registers : the map

    Members
    -------
    bus : In(:class:`BusSignature`)
    X : In(32) for a status; Out(32) for a stored register
    X_seen : Out(1), a status is being read in this cycle
    X_written : Out(1), a stored register was written in the cycle before
    X_step : In(1), adds 1 to a stored register
    X_set : In(32), bits that a sticky register takes on
    X_put, X_data : Out, a word for a window
    X_ready, X_refused : In(1), the window takes the word; it will do nothing with it

    X stands for the register's name in lower case.
    """

    def __init__(self, registers: RegisterMap):
        self.registers = registers
        members = {"bus": In(BusSignature())}
        for register in registers.registers:
            members |= members_of(register)
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        bus = self.bus
        done = Signal()
        m.d.sync += [bus.ack.eq(done), bus.error.eq(0), bus.read.eq(0)]
        start = Signal()
        m.d.comb += [start.eq(bus.stb & ~bus.ack), done.eq(start)]
        for register in self.registers.registers:
            chosen = Signal(name=f"{register.name.lower()}_chosen")
            m.d.comb += chosen.eq(start & (bus.address == register.offset // 4))
            _build(m, self, register, chosen, done)
        known = [register.offset // 4 for register in self.registers.registers]
        with m.If(start), m.Switch(bus.address):
            with m.Case(*known):
                pass
            with m.Default():
                m.d.sync += bus.error.eq(1)
        return m


def members_of(register: Register) -> dict:
    """The members that a register gives the bank, beside the bus."""
    name = register.name.lower()
    match register.access:
        case Access.STATUS:
            return {name: In(32), f"{name}_seen": Out(1)}
        case Access.STORED:
            return {name: Out(32), f"{name}_written": Out(1), f"{name}_step": In(1)}
        case Access.STICKY:
            return {f"{name}_set": In(32)}
        case Access.WINDOW:
            pins = {f"{name}_put": Out(1), f"{name}_data": Out(32)}
            return pins | {f"{name}_ready": In(1), f"{name}_refused": In(1)}
        case _:
            return {}


def _build(m: Module, bank: Bank, register: Register, chosen: Signal, done: Signal) -> None:
    """One register: its storage, and its part of the answer."""
    bus, name = bank.bus, register.name.lower()
    strobes = Cat(bit.replicate(8) for bit in bus.select)
    match register.access:
        case Access.CONSTANT:
            _answer(m, bus, chosen, register.value)
        case Access.STATUS:
            _answer(m, bus, chosen, getattr(bank, name))
            m.d.comb += getattr(bank, f"{name}_seen").eq(chosen & ~bus.we)
        case Access.STORED:
            stored = Signal(register.mask.bit_length(), name=f"{name}_bits")
            m.d.comb += getattr(bank, name).eq(stored)
            m.d.sync += [
                getattr(bank, f"{name}_written").eq(chosen & bus.we),
                stored.eq((stored & ~register.pulses) + getattr(bank, f"{name}_step")),
            ]
            with m.If(chosen & bus.we):
                new = (stored & ~strobes) | (bus.data & strobes)
                m.d.sync += stored.eq(new & register.mask)
            with m.If(chosen & ~bus.we):
                m.d.sync += bus.read.eq(stored)
        case Access.STICKY:
            bits = Signal(register.mask.bit_length(), name=name)
            cleared = Signal.like(bits, name=f"{name}_cleared")
            with m.If(chosen & bus.we):
                m.d.comb += cleared.eq(bus.data & strobes)
            m.d.sync += bits.eq((bits & ~cleared) | (getattr(bank, f"{name}_set") & register.mask))
            with m.If(chosen & ~bus.we):
                m.d.sync += bus.read.eq(bits)
        case Access.WINDOW:
            ready, refused = getattr(bank, f"{name}_ready"), getattr(bank, f"{name}_refused")
            whole = bus.select.all()
            m.d.comb += [
                getattr(bank, f"{name}_put").eq(chosen & bus.we & whole),
                getattr(bank, f"{name}_data").eq(bus.data),
            ]
            with m.If(chosen):
                m.d.comb += done.eq(ready | refused | ~bus.we | ~whole)
                m.d.sync += bus.error.eq(refused | ~bus.we | ~whole)


def _answer(m: Module, bus, chosen: Signal, value) -> None:
    """A register that is only read."""
    with m.If(chosen):
        m.d.sync += [bus.error.eq(bus.we), bus.read.eq(value)]
