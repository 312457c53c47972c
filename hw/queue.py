# SPDX-License-Identifier: BSD-2-Clause
"""A first-in first-out queue in block RAM."""

from amaranth.hdl import Module, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out


class Queue(wiring.Component):
    """Keeps items in order: one comes in and one leaves each cycle.

    An item leaves two cycles after it came or later. The oldest one stands at the output, and the
    others are in a memory, which refuses the last of ``depth`` items until one has moved to the
    output. In every cycle this is Amaranth's ``SyncFIFOBuffered``; but both addresses come from one
    register, so that synthesis can see that a row is never read while it is written. It would else
    add logic to a block RAM that does not say what is read then.

    Parameters
    ----------
    shape : of an item
    depth : items, 2 or more

    Members
    -------
    i, o : In, Out(stream of items)
    level : Out, items inside
    """

    latency = 2  # from an item that comes in to the same item at the output

    def __init__(self, shape: ShapeLike, depth: int):
        if type(depth) is not int or depth < 2:
            raise TypeError(f"A queue holds 2 items or more, not {depth!r}")
        self.shape = shape
        self.depth = depth
        items = stream.Signature(shape)
        super().__init__({"i": In(items), "o": Out(items), "level": Out(range(depth + 1))})

    def elaborate(self, platform):
        # An item moves from the memory to the output as soon as that is free.
        m = Module()
        most = self.depth - 1
        rows = 1 << max((most - 1).bit_length(), 1)  # addresses turn over by themselves
        m.submodules.memory = memory = Memory(shape=self.shape, depth=rows, init=[])
        write = memory.write_port()
        read = memory.read_port()
        stored = Signal(range(self.depth))  # in the memory
        m.d.comb += [
            self.i.ready.eq(stored != most),
            write.en.eq(self.i.valid & self.i.ready),
            write.data.eq(self.i.payload),
            read.en.eq((stored != 0) & (~self.o.valid | self.o.ready)),
            read.addr.eq(write.addr - stored),
            self.o.payload.eq(read.data),
            self.level.eq(stored + self.o.valid),
        ]
        m.d.sync += [write.addr.eq(write.addr + write.en), stored.eq(stored + write.en - read.en)]
        with m.If(read.en):
            m.d.sync += self.o.valid.eq(1)
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m
