# SPDX-License-Identifier: BSD-2-Clause
"""What the controller of a macro knows of its word lines."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .macro_members import line_layout


class LineRecords(wiring.Component):
    """A record for each word line, in a memory that a reset leaves alone.

    Parameters
    ----------
    rows : word lines
    formed : whether they are at power-up
    learns : whether weak pulses are counted

    Members
    -------
    line, line_state : In, Out, a word line, and a cycle later its record
    row, known : In, Out, the same once more
    write, own, note : In, the record of ``own`` becomes ``note``
    """

    def __init__(self, rows: int, *, formed: bool, learns: bool):
        self.rows = max(rows, 2)
        layout = line_layout(learns)
        self.layout = layout
        self.fresh = dict.fromkeys(layout.members, 0) | {"formed": int(formed)}
        row = range(self.rows)
        super().__init__(
            {
                "line": In(row),
                "line_state": Out(layout),
                "row": In(row),
                "known": Out(layout),
                "own": In(row),
                "write": In(1),
                "note": In(layout),
            }
        )

    def elaborate(self, platform):
        m = Module()
        memory = Memory(shape=self.layout, depth=self.rows, init=[self.fresh] * self.rows)
        m.submodules.memory = memory
        asked = memory.read_port()
        known = memory.read_port()
        write = memory.write_port()
        m.d.comb += [
            asked.addr.eq(self.line),
            self.line_state.eq(asked.data),
            known.addr.eq(self.row),
            self.known.eq(known.data),
            write.addr.eq(self.own),
            write.en.eq(self.write),
            write.data.eq(self.note),
        ]
        return m
