# SPDX-License-Identifier: BSD-2-Clause
"""The loading window: words become lines, and lines are written to their memory."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..loading import WORD, Target, load_stream


class Loader(wiring.Component):
    """Collects the words of a line and passes the whole line on.

    A word is taken in a cycle with ``put`` and ``ready``, unless it is refused. The line is offered
    from the cycle after its last word until it is taken, with the ``target`` and ``row`` of its
    last word; in between no word is taken. ``target`` and ``row`` must not change within a line:
    ``restart`` forgets the words of a line begun.

    Parameters
    ----------
    targets : the memories, in the order of their indices

    Members
    -------
    target, row : In(32), where the words belong
    allowed : In(1)
    restart : In(1)
    put, word : In, a word
    ready : Out(1)
    not_allowed, no_place : Out(1), why a word offered in this cycle is refused, if it is
    collected : Out(1), a line's last word is taken in this cycle
    o : Out(stream of lines)
    """

    def __init__(self, targets: list[Target]):
        self.targets = targets
        super().__init__(
            {
                "target": In(32),
                "row": In(32),
                "allowed": In(1),
                "restart": In(1),
                "put": In(1),
                "word": In(WORD),
                "ready": Out(1),
                "not_allowed": Out(1),
                "no_place": Out(1),
                "collected": Out(1),
                "o": Out(load_stream(targets)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        rows = Signal(range(max(target.rows for target in self.targets) + 1))
        words = Signal(range(max(target.words for target in self.targets) + 1))
        with m.Switch(self.target):
            for index, target in enumerate(self.targets):
                with m.Case(index):
                    m.d.comb += [rows.eq(target.rows), words.eq(target.words)]

        count = Signal.like(words)
        taken = Signal()
        last = Signal()
        m.d.comb += [
            self.ready.eq(~self.o.valid),
            self.not_allowed.eq(~self.allowed & self.ready),
            self.no_place.eq(self.allowed & (self.row >= rows)),
            taken.eq(self.put & self.ready & self.allowed & ~self.no_place),
            last.eq(count == words - 1),
            self.collected.eq(taken & last),
        ]
        offered = self.o.payload
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(taken):
            m.d.sync += [
                offered.target.eq(self.target),
                offered.row.eq(self.row),
                offered.line.eq(Cat(offered.line, self.word)[WORD:]),
                count.eq(Mux(last, 0, count + 1)),
                self.o.valid.eq(last),
            ]
        with m.Elif(self.restart):
            m.d.sync += count.eq(0)
        return m
