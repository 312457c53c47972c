# SPDX-License-Identifier: BSD-2-Clause
"""The image buffer: words written by the host, read one image after the other by runs.

Images lie behind each other without gaps, so both sides walk through the addresses and only begin
at a slot.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

WORD = 32


class StoreSignature(wiring.Signature):
    """A memory of words with one port, seen from its user.

    In a cycle with ``en`` the word at ``address`` is written, with ``we``, or read: it is ``read``
    in the next cycle, and in that one alone.

    Members
    -------
    en, we : Out(1)
    address : Out
    data : Out(32)
    read : In(32)
    """

    def __init__(self, depth: int):
        address = range(max(depth, 2))
        super().__init__(
            {
                "en": Out(1),
                "we": Out(1),
                "address": Out(address),
                "data": Out(WORD),
                "read": In(WORD),
            }
        )


class BlockStore(wiring.Component):
    """A store in block RAM.

    Parameters
    ----------
    depth : words

    Members
    -------
    port : In(:class:`StoreSignature`)
    """

    def __init__(self, depth: int):
        self.depth = depth
        super().__init__({"port": In(StoreSignature(depth))})

    def elaborate(self, platform):
        m = Module()
        port = self.port
        m.submodules.memory = memory = Memory(shape=WORD, depth=max(self.depth, 2), init=[])
        write = memory.write_port()
        read = memory.read_port()
        m.d.comb += [
            write.en.eq(port.en & port.we),
            write.addr.eq(port.address),
            write.data.eq(port.data),
            read.en.eq(port.en & ~port.we),
            read.addr.eq(port.address),
            port.read.eq(read.data),
        ]
        return m


class ImageWriter(wiring.Component):
    """Words of the host to addresses.

    Parameters
    ----------
    slots, words : images, and words of each

    Members
    -------
    slot : In, where the next image lies; ``slots`` or more is nowhere
    restart : In(1), the slot was set: the next word is its first
    put, data : In, a word
    ready : Out(1), a word is taken
    refused : Out(1), there is no place for it
    written : Out(1), the word taken is the last of its image
    free : In(1), the store takes a word
    address : Out
    write : Out(1)
    """

    def __init__(self, slots: int, words: int):
        self.slots = slots
        self.words = words
        super().__init__(
            {
                "slot": In(range(slots + 1)),
                "restart": In(1),
                "put": In(1),
                "data": In(WORD),
                "ready": Out(1),
                "refused": Out(1),
                "written": Out(1),
                "free": In(1),
                "address": Out(range(max(slots * words, 2))),
                "write": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        word = Signal(range(self.words))
        last = word == self.words - 1
        m.d.comb += [
            self.refused.eq(self.slot >= self.slots),
            self.ready.eq(self.free),
            self.write.eq(self.put & self.free & ~self.refused),
            self.written.eq(self.write & last),
        ]
        with m.If(self.restart):
            m.d.sync += [word.eq(0), self.address.eq(self.slot * self.words)]
        with m.Elif(self.write):
            m.d.sync += [word.eq(Mux(last, 0, word + 1)), self.address.eq(self.address + 1)]
        return m


class ImageReader(wiring.Component):
    """Images to words: begins one when it is asked to, and gives its words in order.

    A word leaves every second cycle, and an image follows the one before without a pause.

    Parameters
    ----------
    slots, words : images, and words of each

    Members
    -------
    first : In, a slot
    start : In(1), the next image is that of ``first``, which has not changed for a cycle. None is
        being read.
    go : In(1), an image may begin
    begun : Out(1), one begins
    busy : Out(1), words of an image are still to be read
    o : Out(stream of words)
    ask : Out(1), the store is read in this cycle
    address : Out
    data : In(32), the word asked for in the cycle before
    """

    def __init__(self, slots: int, words: int):
        self.slots = slots
        self.words = words
        super().__init__(
            {
                "first": In(range(slots + 1)),
                "start": In(1),
                "go": In(1),
                "begun": Out(1),
                "busy": Out(1),
                "o": Out(stream.Signature(WORD)),
                "ask": Out(1),
                "address": Out(range(max(slots * self.words, 2))),
                "data": In(WORD),
            }
        )

    def elaborate(self, platform):
        # A word is asked for when its place, the register of `o`, is or becomes free.
        m = Module()
        left = Signal(range(self.words + 1))
        asked = Signal()
        first = Signal.like(self.address)
        m.d.comb += [
            self.busy.eq(left != 0),
            self.begun.eq(self.go & ~self.busy),
            self.ask.eq(self.busy & ~asked & (~self.o.valid | self.o.ready)),
        ]
        m.d.sync += [asked.eq(self.ask), first.eq(self.first * self.words)]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(asked):
            m.d.sync += [self.o.payload.eq(self.data), self.o.valid.eq(1)]
        with m.If(self.start):
            m.d.sync += self.address.eq(first)
        with m.Elif(self.ask):
            end = self.address == self.slots * self.words - 1
            m.d.sync += self.address.eq(Mux(end, 0, self.address + 1))
        with m.If(self.begun):
            m.d.sync += left.eq(self.words)
        with m.Elif(self.ask):
            m.d.sync += left.eq(left - 1)
        return m
