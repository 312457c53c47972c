# SPDX-License-Identifier: BSD-2-Clause
"""Run control: which images enter the network, and whether all their results have come."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .registers import COUNT_BITS


class Run(wiring.Component):
    """Counts the images of a run into the network and out of it.

    Parameters
    ----------
    slots : of the image buffer

    Members
    -------
    start, abort : In(1)
    first : In, slot of the first image
    count : In, images
    begun, finished : In(1), an image enters; its result is in the queue
    more : Out(1), an image is to enter
    restart : Out(1), the run begins
    running : Out(1), a result is still to come
    refused : Out(1), the last start was refused: there is no such slot, or a run was on its way
    """

    def __init__(self, slots: int):
        self.slots = slots
        super().__init__(
            {
                "start": In(1),
                "abort": In(1),
                "first": In(range(slots + 1)),
                "count": In(COUNT_BITS),
                "begun": In(1),
                "finished": In(1),
                "more": Out(1),
                "restart": Out(1),
                "running": Out(1),
                "refused": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        left = Signal(COUNT_BITS)  # to enter
        inside = Signal(16)
        m.d.comb += [
            self.more.eq(left != 0),
            self.running.eq(self.more | (inside != 0)),
            self.restart.eq(self.start & ~self.running & (self.first < self.slots)),
        ]
        m.d.sync += inside.eq(inside + self.begun - self.finished)
        with m.If(self.start):
            m.d.sync += self.refused.eq(~self.restart)
        with m.If(self.abort):
            m.d.sync += left.eq(0)
        with m.Elif(self.restart):
            m.d.sync += left.eq(self.count)
        with m.Elif(self.begun):
            m.d.sync += left.eq(left - 1)
        return m
