# SPDX-License-Identifier: BSD-2-Clause
"""A queue that never refuses: room in it is reserved before the work begins."""

from amaranth.hdl import Module, Shape, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out


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

    latency = 2  # from put to valid

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
        width = Shape.cast(self.shape).width
        # One place more: a buffered queue refuses its last while a beat moves to its output.
        m.submodules.queue = queue = SyncFIFOBuffered(width=width, depth=self.depth + 1)
        reserved = Signal(range(self.depth + 1))
        taken = Signal()
        m.d.comb += [
            self.room.eq(reserved != self.depth),
            queue.w_en.eq(self.put),
            queue.w_data.eq(self.beat),
            self.o.valid.eq(queue.r_rdy),
            self.o.payload.eq(queue.r_data),
            queue.r_en.eq(self.o.ready),
            taken.eq(self.o.valid & self.o.ready),
        ]
        m.d.sync += reserved.eq(reserved + self.reserve - taken)
        return m
