# SPDX-License-Identifier: BSD-2-Clause
"""How often each word line was programmed."""

from collections.abc import Sequence

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

COUNT_BITS = 16


class Programmings(wiring.Component):
    """A counter for each word line, which stays at its greatest value.

    Takes a programming every cycle. A question is answered three cycles later, with the
    programmings taken before it; it waits while there are some, and until the answer before it has
    left. The counters keep their values in a reset.

    Parameters
    ----------
    rows : word lines

    Members
    -------
    programmed, row : In, a programming
    i : In(stream of a word line), a question
    o : Out(stream of a count), its answer
    """

    def __init__(self, rows: int):
        self.rows = max(rows, 2)
        row = range(self.rows)
        super().__init__(
            {
                "programmed": In(1),
                "row": In(row),
                "i": In(stream.Signature(row)),
                "o": Out(stream.Signature(COUNT_BITS)),
            }
        )

    def elaborate(self, platform):
        # A count is read, registered and written one cycle after the other. So the last two
        # programmings of the same word line may not have been in the memory when it was read.
        m = Module()
        m.submodules.counts = memory = Memory(shape=COUNT_BITS, depth=self.rows, init=[])
        write = memory.write_port()
        read = memory.read_port()
        # No reset: a programming that was taken is counted.
        rows = [read.addr, *(_register(range(self.rows), f"row{k}") for k in (1, 2))]
        taken = [self.programmed, *(_register(1, f"taken{k}") for k in (1, 2))]
        ahead = [_register(1, f"ahead{k}") for k in (1, 2)]
        for stage in (1, 2):
            same = _register(1, f"same{stage}")
            m.d.sync += [
                rows[stage].eq(rows[stage - 1]),
                taken[stage].eq(taken[stage - 1]),
                same.eq(taken[stage] & (rows[stage] == rows[0])),
                ahead[stage - 1].eq(same),
            ]
        count, written, before = (
            _register(COUNT_BITS, name) for name in ("count", "written", "before")
        )
        now = Mux(ahead[0], written, Mux(ahead[1], before, count))
        after = now + ~now.all()
        m.d.sync += [count.eq(read.data), written.eq(after), before.eq(written)]
        m.d.comb += [
            write.en.eq(taken[2]),
            write.addr.eq(rows[2]),
            write.data.eq(after),
        ]

        asked = [Signal(name=f"asked{k}") for k in range(3)]
        m.d.comb += [
            self.i.ready.eq(~self.programmed & ~asked[1] & ~asked[2] & ~self.o.valid),
            asked[0].eq(self.i.valid & self.i.ready),
            read.addr.eq(Mux(self.programmed, self.row, self.i.payload)),
        ]
        m.d.sync += [asked[1].eq(asked[0]), asked[2].eq(asked[1])]
        with m.If(asked[2]):
            m.d.sync += [self.o.payload.eq(now), self.o.valid.eq(1)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m


class AllProgrammings(wiring.Component):
    """Asks the counters of several arrays, one question at a time.

    Parameters
    ----------
    rows : word lines of each

    Members
    -------
    i : In(stream: array, row), a question
    o : Out(stream of a count), its answer
    askN, answerN : Out(stream of a word line), In(stream of a count), of array N
    """

    def __init__(self, rows: Sequence[int]):
        self.rows = tuple(rows)
        question = {"array": range(max(len(rows), 2)), "row": range(max(2, *rows))}
        members = {
            "i": In(stream.Signature(data.StructLayout(question))),
            "o": Out(stream.Signature(COUNT_BITS)),
        }
        for index, count in enumerate(rows):
            members[f"ask{index}"] = Out(stream.Signature(range(max(count, 2))))
            members[f"answer{index}"] = In(stream.Signature(COUNT_BITS))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        owed = Signal()
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += owed.eq(1)
        with m.Elif(self.o.valid & self.o.ready):
            m.d.sync += owed.eq(0)
        for index in range(len(self.rows)):
            ask, answer = getattr(self, f"ask{index}"), getattr(self, f"answer{index}")
            m.d.comb += [ask.payload.eq(self.i.payload.row), answer.ready.eq(self.o.ready)]
            with m.If((self.i.payload.array == index) & ~owed):
                m.d.comb += [ask.valid.eq(self.i.valid), self.i.ready.eq(ask.ready)]
            with m.If(answer.valid):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(answer.payload)]
        return m


def _register(shape, name: str) -> Signal:
    return Signal(shape, name=name, reset_less=True)
