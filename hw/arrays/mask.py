# SPDX-License-Identifier: BSD-2-Clause
"""Steps from error to error become the mask of each read."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .gaps import step_layout


class Masks(wiring.Component):
    """Walks through the errors of an image, read by read.

    While a read is ``waiting``, each of its errors takes a cycle, as soon as the step behind it is
    there. Then ``done`` is high with the whole mask until the read ``leaves``. The read behind it
    may wait in the next cycle.

    Parameters
    ----------
    reads : of an image, at most
    bits : of a read

    Members
    -------
    end : In, an image's reads less one; by default as many as there can be
    restart : In(1), the next read is the first of an image, whose steps are to come
    i : In(stream of steps, see :func:`~.gaps.step_layout`)
    waiting, leaves : In(1)
    done : Out(1)
    mask : Out(bits), 0 where no read waits
    hit, position : Out, an error of the read that waits, in the cycle before ``mask`` shows it
    """

    def __init__(self, reads: int, bits: int):
        self.reads = reads
        self.bits = bits
        super().__init__(
            {
                "end": In(range(reads), init=reads - 1),
                "restart": In(1),
                "i": In(stream.Signature(step_layout(reads * bits))),
                "waiting": In(1),
                "leaves": In(1),
                "done": Out(1),
                "mask": Out(bits),
                "hit": Out(1),
                "position": Out(range(bits)),
            }
        )

    def elaborate(self, platform):
        # Either no step is held, or it leads into this read, or beyond it, or to the image's end.
        m = Module()
        held = Signal()
        inside = Signal()
        ended = Signal()
        distance = Signal(range(self.reads * self.bits + 1))  # from this read's first bit
        read = Signal(range(self.reads))
        last = read == self.end
        wanted = Signal()
        m.d.comb += [
            self.done.eq(held & ~inside),
            self.hit.eq(inside & self.waiting),
            self.position.eq(distance),
            wanted.eq(~held | self.hit | (self.leaves & ended & last)),
            self.i.ready.eq(wanted),
        ]
        self._walk(m, held, inside, ended, distance, wanted)
        with m.If(self.leaves):
            m.d.sync += read.eq(Mux(last, 0, read + 1))
        with m.If(self.restart):
            m.d.sync += [held.eq(0), inside.eq(0), ended.eq(0), distance.eq(0), read.eq(0)]

        with m.If(self.hit):
            m.d.sync += self.mask.eq(self.mask | _one_hot(self.position, self.bits))
        with m.Elif(self.leaves):
            m.d.sync += self.mask.eq(0)
        return m

    def _walk(
        self,
        m: Module,
        held: Signal,
        inside: Signal,
        ended: Signal,
        distance: Signal,
        wanted: Signal,
    ) -> None:
        step, bits = self.i.payload, self.bits
        with m.If(wanted):
            # Without a step the place behind the error is kept, from which the step counts.
            gap = Mux(self.i.valid, step.gap, 0)
            # Comparing the few bits that a place in a read has is enough for a step that is near.
            low = len(self.position) + 1
            behind = distance[:low] + self.hit
            m.d.sync += [
                held.eq(self.i.valid),
                ended.eq(self.i.valid & step.end),
                inside.eq(self.i.valid & ~step.end & ~step.far & (behind + step.gap[:low] < bits)),
                distance.eq(Mux(self.i.valid & step.end, 0, distance + gap + self.hit)),
            ]
        with m.Elif(self.leaves & ~ended):
            m.d.sync += [distance.eq(distance - bits), inside.eq(distance < 2 * bits)]


def _one_hot(position: Value, bits: int) -> Value:
    """Bit ``position`` of ``bits``, decoded in two halves."""
    half = -(-len(position) // 2)
    halves = position[:half], position[half:]
    decoded = [[each == k for k in range(1 << len(each))] for each in halves]
    low = (1 << half) - 1
    return Value.cast(Cat(decoded[0][k & low] & decoded[1][k >> half] for k in range(bits)))
