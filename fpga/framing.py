# SPDX-License-Identifier: BSD-2-Clause
"""Frames in hardware: COBS and CRC-32 between bytes of a line and a memory of bytes."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .frames import LONGEST, REQUEST_BYTES

_POLYNOMIAL = 0xEDB88320  # CRC-32 of zlib, lowest bit first
_RESIDUE = 0xDEBB20E3  # left in the register by any content that ends with its own CRC
PLACES = 256  # bytes of a frame in memory


class Checksum(wiring.Component):
    """A CRC-32 that takes a byte in eight cycles, or gives one of its own.

    A byte is taken in a cycle with ``put`` and not ``busy``. With ``give`` instead, the next byte
    of the CRC stands in ``byte`` when ``busy`` falls; four of them are all.

    Members
    -------
    start : In(1), begins anew; only while not busy
    put, give : In(1)
    data : In(8)
    busy : Out(1)
    byte : Out(8), of the CRC
    right : Out(1), the bytes so far end with their CRC
    """

    def __init__(self):
        super().__init__(
            {
                "start": In(1),
                "put": In(1),
                "give": In(1),
                "data": In(8),
                "busy": Out(1),
                "byte": Out(8),
                "right": Out(1),
            }
        )

    def elaborate(self, platform):
        # Fed with its own lowest bit, the register only shifts, and so gives itself away.
        m = Module()
        crc = Signal(32, init=(1 << 32) - 1)
        shift = Signal(8)
        left = Signal(range(9))
        giving = Signal()
        low = Signal()
        m.d.comb += [
            self.busy.eq(left != 0),
            self.byte.eq(shift),
            self.right.eq(crc == _RESIDUE),
            low.eq(crc[0] ^ Mux(giving, crc[0], shift[0])),
        ]
        with m.If(self.busy):
            m.d.sync += [
                left.eq(left - 1),
                crc.eq((crc >> 1) ^ Mux(low, _POLYNOMIAL, 0)),
                shift.eq(shift >> 1),
                shift[7].eq(giving & ~crc[0]),
            ]
        with m.Elif(self.put | self.give):
            m.d.sync += [left.eq(8), giving.eq(self.give), shift.eq(self.data)]
        with m.If(self.start):
            m.d.sync += crc.eq(crc.init)
        return m


class Deframer(wiring.Component):
    """Bytes of the line to the content of frames.

    Each byte is taken in a cycle and checked in eight more. After the delimiter of a frame whose
    CRC is right, ``frame`` is high, with its ``length``, and nothing is taken until ``done``. All
    else is dropped, and the byte after the next delimiter begins a frame.

    Members
    -------
    i : In(stream of bytes)
    put : Out(1), ``data`` is byte number ``length`` of a frame, which may turn out wrong
    data, length : Out(8)
    frame : Out(1)
    done : In(1)
    """

    def __init__(self):
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "put": Out(1),
                "data": Out(8),
                "length": Out(8),
                "frame": Out(1),
                "done": In(1),
            }
        )

    def elaborate(self, platform):
        # A code byte counts down the bytes before the next one, and stands for a 0 itself, but not
        # at the beginning.
        m = Module()
        m.submodules.checksum = checksum = Checksum()
        left = Signal(8)
        inside = Signal()
        long = Signal()
        taken = Signal()
        end = Signal()
        code = Signal()
        whole = Signal()
        byte = self.i.payload
        m.d.comb += [
            self.i.ready.eq(~checksum.busy & ~self.frame),
            taken.eq(self.i.valid & self.i.ready),
            end.eq(taken & (byte == 0)),
            code.eq(left == 0),
            self.data.eq(Mux(code, 0, byte)),
            self.put.eq(taken & ~end & inside & ~long),
            checksum.put.eq(self.put),
            checksum.data.eq(self.data),
            checksum.start.eq(end),
            whole.eq(inside & code & ~long & checksum.right & (self.length >= REQUEST_BYTES)),
        ]
        with m.If(taken & ~end):
            m.d.sync += [inside.eq(1), left.eq(Mux(code, byte, left) - 1)]
        with m.If(self.put):
            m.d.sync += [self.length.eq(self.length + 1), long.eq(self.length == LONGEST)]
        with m.If(end):
            m.d.sync += [inside.eq(0), left.eq(0), long.eq(0), self.frame.eq(whole)]
        with m.If((end & ~whole) | self.done):
            m.d.sync += [self.length.eq(0), self.frame.eq(0)]
        return m


class Framer(wiring.Component):
    """The content of a frame in a memory to bytes of the line, delimiter included.

    Members
    -------
    start : In(1), sends bytes ``first`` up to the one before ``end``, which may wrap to 0
    first, end : In(8), steady until ``done``
    done : Out(1), the last byte is being taken
    address : Out(8), of a byte that ``data`` holds in the next cycle
    data : In(8)
    o : Out(stream of bytes)
    """

    def __init__(self):
        super().__init__(
            {
                "start": In(1),
                "first": In(8),
                "end": In(8),
                "done": Out(1),
                "address": Out(8),
                "data": In(8),
                "o": Out(stream.Signature(8)),
            }
        )

    def elaborate(self, platform):
        # Looks for the next 0 or the end, says how far that is, and sends what lies before it.
        m = Module()
        begin = Signal(8)
        at = Signal(8)
        ended = Signal()
        m.d.comb += [self.address.eq(at), ended.eq(at == self.end)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [begin.eq(self.first), at.eq(self.first)]
                with m.If(self.start):
                    m.next = "LOOK"
            with m.State("LOOK"):  # the memory reads byte `at`
                m.next = "SEE"
            with m.State("SEE"):
                m.next = "LOOK"
                with m.If(ended | (self.data == 0)):
                    m.next = "CODE"
                with m.Else():
                    m.d.sync += at.eq(at + 1)
            with m.State("CODE"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(at - begin + 1)]
                with m.If(self.o.ready):
                    # Sent bytes make way: `begin` goes up to `at`, the 0 or the end.
                    m.next = "FETCH"
            with m.State("FETCH"):
                m.d.comb += self.address.eq(begin)
                with m.If(begin != at):
                    m.next = "BYTE"
                with m.Elif(ended):
                    m.next = "END"
                with m.Else():
                    m.d.sync += [begin.eq(at + 1), at.eq(at + 1)]
                    m.next = "LOOK"
            with m.State("BYTE"):
                m.d.comb += [
                    self.address.eq(begin),
                    self.o.valid.eq(1),
                    self.o.payload.eq(self.data),
                ]
                with m.If(self.o.ready):
                    m.d.sync += begin.eq(begin + 1)
                    m.next = "FETCH"
            with m.State("END"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(0), self.done.eq(self.o.ready)]
                with m.If(self.o.ready):
                    m.next = "IDLE"
        return m
