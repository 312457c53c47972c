# SPDX-License-Identifier: BSD-2-Clause
"""Max-pooling of bits as they come, position by position."""

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..model.nodes import MaxPool
from .gearbox import vector_stream
from .window import Window, WindowBuffer


class Pool(wiring.Component):
    """Computes a :class:`~twincell.model.nodes.MaxPool` node: the OR of a window's bits, and the
    AND on channels that batch-norm inverted.

    A word takes a cycle for each tap of the window. A stall of the sink stops it.

    Parameters
    ----------
    node : kernel, stride, and which channels take the AND
    window : of the node
    size : channels of a word; divides the channels

    Members
    -------
    i, o : In, Out(stream of words of ``size`` bits), position by position
    """

    latency = WindowBuffer.latency + 1  # from the read of a window's last tap to its word

    def __init__(self, node: MaxPool, window: Window, size: int):
        self.window = window
        self.size = size
        self.conjunction = np.asarray(node.conjunction).reshape(-1, size)
        self.buffer = WindowBuffer(window, 1, size, by_word=True)
        super().__init__({"i": In(vector_stream(1, size)), "o": Out(vector_stream(1, size))})

    def elaborate(self, platform):
        # A read is issued, shown a cycle later, and then joins the bits of its word.
        m = Module()
        m.submodules.buffer = buffer = self.buffer
        connect(m, flipped(self.i), buffer.i)
        shown = Signal()
        first = Signal()
        last = Signal()
        advance = Signal()
        bits = self.o.payload.as_value()
        joined = Signal.like(bits)
        conjunction = self._conjunction(m, buffer)
        m.d.comb += [
            advance.eq(~(shown & last & self.o.valid & ~self.o.ready)),
            buffer.en.eq(buffer.present & advance),
            buffer.release.eq(buffer.en & buffer.done),
        ]
        with m.If(advance):
            m.d.sync += [shown.eq(buffer.en), first.eq(buffer.first), last.eq(buffer.last)]
        either, both = joined | buffer.shown, joined & buffer.shown
        result = Mux(first, buffer.shown, (either & ~conjunction) | (both & conjunction))
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(shown & advance):
            m.d.sync += joined.eq(result)
            with m.If(last):
                m.d.sync += [self.o.valid.eq(1), bits.eq(result)]
        return m

    def _conjunction(self, m: Module, buffer: WindowBuffer) -> Signal:
        """Which bits of the word that is shown take the AND."""
        chosen = Signal(self.size)
        word = Signal.like(buffer.word)
        with m.If(buffer.en):
            m.d.sync += word.eq(buffer.word)
        with m.Switch(word):
            for index, bits in enumerate(self.conjunction.tolist()):
                with m.Case(index):
                    m.d.comb += chosen.eq(Cat(bits))
        return chosen
