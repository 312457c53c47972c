# SPDX-License-Identifier: BSD-2-Clause
"""Front ends of the register bank: AXI4-Lite and Wishbone."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .bank import BusSignature
from .registers import ADDRESS_BITS

OKAY, SLVERR = 0b00, 0b10


class AxiLite(wiring.Component):
    """AXI4-Lite to the bank's bus; an error becomes SLVERR.

    Each of the five channels has a register, so every output comes from a flip-flop and address and
    data may arrive in any order. One write and one read can wait, and they take turns. A write is
    answered three cycles after its later half, a read three cycles after its address, when the bank
    needs no cycles of its own.

    Members
    -------
    awaddr, awvalid, awready, wdata, wstrb, wvalid, wready, bresp, bvalid, bready, araddr, arvalid,
    arready, rdata, rresp, rvalid, rready : as AXI4-Lite names them; byte addresses, whose lowest
        two bits count for nothing
    bus : Out(:class:`~.bank.BusSignature`)
    """

    def __init__(self):
        super().__init__(
            {
                "awaddr": In(ADDRESS_BITS),
                "awvalid": In(1),
                "awready": Out(1),
                "wdata": In(32),
                "wstrb": In(4),
                "wvalid": In(1),
                "wready": Out(1),
                "bresp": Out(2),
                "bvalid": Out(1),
                "bready": In(1),
                "araddr": In(ADDRESS_BITS),
                "arvalid": In(1),
                "arready": Out(1),
                "rdata": Out(32),
                "rresp": Out(2),
                "rvalid": Out(1),
                "rready": In(1),
                "bus": Out(BusSignature()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bus = self.bus
        write = Signal.like(bus.address, name="write_address")
        read = Signal.like(bus.address, name="read_address")
        # A channel is ready while its register is empty.
        for valid, ready, loads in (
            (self.awvalid, self.awready, [write.eq(self.awaddr[2:])]),
            (self.wvalid, self.wready, [bus.data.eq(self.wdata), bus.select.eq(self.wstrb)]),
            (self.arvalid, self.arready, [read.eq(self.araddr[2:])]),
        ):
            with m.If(valid & ready):
                m.d.sync += [ready.eq(0), *loads]
        # The ready of an empty register: 0 in reset, 1 from the cycle after.
        started = Signal()
        m.d.sync += started.eq(1)
        with m.If(~started):
            m.d.sync += [self.awready.eq(1), self.wready.eq(1), self.arready.eq(1)]

        m.d.comb += bus.address.eq(read)
        with m.If(bus.we):
            m.d.comb += bus.address.eq(write)
        can_write = Signal()
        can_read = Signal()
        m.d.comb += [
            can_write.eq(started & ~self.awready & ~self.wready & ~self.bvalid),
            can_read.eq(started & ~self.arready & ~self.rvalid),
        ]
        with m.If(self.bready):
            m.d.sync += self.bvalid.eq(0)
        with m.If(self.rready):
            m.d.sync += self.rvalid.eq(0)
        # `we` still tells what came last: the other goes first.
        with m.If(~bus.stb & (can_write | can_read)):
            m.d.sync += [bus.stb.eq(1), bus.we.eq(can_write & ~(can_read & bus.we))]
        with m.Elif(bus.ack):
            m.d.sync += bus.stb.eq(0)
            with m.If(bus.we):
                m.d.sync += [self.awready.eq(1), self.wready.eq(1), self.bvalid.eq(1)]
                m.d.sync += self.bresp.eq(bus.error << 1)
            with m.Else():
                m.d.sync += [self.arready.eq(1), self.rvalid.eq(1), self.rdata.eq(bus.read)]
                m.d.sync += self.rresp.eq(bus.error << 1)
        return m


class Wishbone(wiring.Component):
    """Wishbone B4 classic (single accesses) to the bank's bus; an error ends with ``err``.

    An access ends in its second cycle when the bank needs no cycles of its own.

    Members
    -------
    cyc, stb, we, adr, dat_w, sel : In, as Wishbone names them; byte addresses, whose lowest two
        bits count for nothing
    dat_r, ack, err : Out
    bus : Out(:class:`~.bank.BusSignature`)
    """

    def __init__(self):
        super().__init__(
            {
                "cyc": In(1),
                "stb": In(1),
                "we": In(1),
                "adr": In(ADDRESS_BITS),
                "dat_w": In(32),
                "sel": In(4),
                "dat_r": Out(32),
                "ack": Out(1),
                "err": Out(1),
                "bus": Out(BusSignature()),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bus = self.bus
        m.d.comb += [
            bus.stb.eq(self.cyc & self.stb),
            bus.we.eq(self.we),
            bus.address.eq(self.adr[2:]),
            bus.data.eq(self.dat_w),
            bus.select.eq(self.sel),
            self.dat_r.eq(bus.read),
            self.ack.eq(bus.stb & bus.ack & ~bus.error),
            self.err.eq(bus.stb & bus.ack & bus.error),
        ]
        return m
