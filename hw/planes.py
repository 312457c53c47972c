# SPDX-License-Identifier: BSD-2-Clause
"""The input buffer of a layer: two vectors, one being filled while the other is shown plane by
plane."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .gearbox import vector_stream


class PlaneBuffer(wiring.Component):
    """Holds vectors as ``folds`` words of ``lanes`` pixels and shows one bit-plane of a word.

    While one vector is read any number of times, the next is taken in. Writing takes a word a
    cycle and stops while both vectors are held. A read is a cycle with ``en`` high: the plane of
    the word it asks for is at ``shown`` from the next cycle until after the next read. The cycle in
    which ``release`` is high ends the use of the oldest vector; a read may go with it.

    Parameters
    ----------
    bits : bits of a pixel; 1 for bits, which have only plane 0
    lanes, folds : pixels of a word, and words of a vector
    variable : whether vectors can be shorter, see ``end``

    Members
    -------
    i : In(stream of words)
    present : Out(1), a whole vector is there to be read
    en, fold, plane : In, the read
    shown : Out(lanes)
    release : In(1)
    end : In, with ``variable``: the last word of a vector; it stays while vectors are inside
    """

    latency = 1

    def __init__(self, bits: int, lanes: int, folds: int, *, variable: bool = False):
        self.bits = bits
        self.lanes = lanes
        self.folds = folds
        self.variable = variable
        members = {
            "i": In(vector_stream(bits, lanes)),
            "present": Out(1),
            "en": In(1),
            "fold": In(range(folds)),
            "plane": In(range(bits)),
            "shown": Out(lanes),
            "release": In(1),
        }
        super().__init__(members | ({"end": In(range(folds))} if variable else {}))

    def elaborate(self, platform):
        m = Module()
        # The bank is the address's top bit, so that a bank takes a power of two of words.
        address_bits = (self.folds - 1).bit_length()
        word = data.ArrayLayout(self.bits, self.lanes)
        m.submodules.memory = memory = Memory(shape=word, depth=2 << address_bits, init=[])
        write = memory.write_port()
        read = memory.read_port()

        filling = Signal()  # bank being written
        fold = Signal(range(self.folds))  # being written
        held = Signal(range(3))  # whole vectors
        showing = filling ^ held[0]  # bank being read, which is never the one being written
        last = fold == (self.end if self.variable else self.folds - 1)
        filled = Signal()
        m.d.comb += [
            self.i.ready.eq(held != 2),
            write.en.eq(self.i.valid & self.i.ready),
            write.addr.eq(Cat(fold[:address_bits], filling)),
            write.data.eq(self.i.payload),
            filled.eq(write.en & last),
        ]
        with m.If(write.en):
            m.d.sync += fold.eq(Mux(last, 0, fold + 1))
        m.d.sync += [
            filling.eq(filling ^ filled),
            held.eq(held + filled - self.release),
        ]

        plane = Signal.like(self.plane)
        m.d.comb += [
            self.present.eq(held != 0),
            read.en.eq(self.en),
            read.addr.eq(Cat(self.fold[:address_bits], showing)),
        ]
        with m.If(self.en):
            m.d.sync += plane.eq(self.plane)
        for lane in range(self.lanes):
            pixel = read.data[lane]
            m.d.comb += self.shown[lane].eq(pixel.bit_select(plane, 1) if self.bits > 1 else pixel)
        return m
