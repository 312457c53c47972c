# SPDX-License-Identifier: BSD-2-Clause
"""A queue that never refuses: room in it is reserved before the work begins."""

from amaranth.hdl import Module, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .queue import Queue


class Outbox(wiring.Component):
    """Lets a pipeline run freely towards a stream that may stall.

    ``reserve`` takes a place while there is ``room``; ``put`` may then fill it in any later cycle.
    A place is free again when its beat has left. So the pipeline in between needs no stall, and
    loses nothing.

    Parameters
    ----------
    shape : of a beat
    depth : places

    Members
    -------
    room : Out(1)
    reserve : In(1), takes a place; only while there is room
    put, beat : In, a beat into a reserved place
    o : Out(stream of beats)
    """

    latency = Queue.latency  # from put to valid

    def __init__(self, shape: ShapeLike, depth: int):
        if not isinstance(depth, int) or depth < 1:
            raise TypeError(f"Depth must be a positive integer, not {depth!r}")
        self.shape = shape
        self.depth = depth
        super().__init__(
            {
                "room": Out(1),
                "reserve": In(1),
                "put": In(1),
                "beat": In(shape),
                "o": Out(stream.Signature(shape)),
            }
        )

    @staticmethod
    def depth_for(latency: int, interval: int) -> int:
        """Places that keep a pipeline busy which starts a beat every ``interval`` cycles and puts
        it ``latency`` cycles later, with a few cycles for what lies behind it."""
        return 2 + -(-(latency + Outbox.latency + 6) // interval)

    def elaborate(self, platform):
        m = Module()
        # One place more: a queue refuses its last while a beat moves to its output.
        m.submodules.queue = queue = Queue(self.shape, depth=self.depth + 1)
        connect(m, queue.o, flipped(self.o))
        reserved = Signal(range(self.depth + 1))
        taken = Signal()
        m.d.comb += [
            self.room.eq(reserved != self.depth),
            queue.i.valid.eq(self.put),
            queue.i.payload.eq(self.beat),
            taken.eq(self.o.valid & self.o.ready),
        ]
        m.d.sync += reserved.eq(reserved + self.reserve - taken)
        return m
