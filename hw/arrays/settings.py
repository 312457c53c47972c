# SPDX-License-Identifier: BSD-2-Clause
"""Rate and seed of an emulated memory's read errors, as words that can be loaded at run time.

| row | word |
|---|---|
| 0 to 319 | entry ``row % 64`` of digit ``row // 64`` of the table of gaps |
| 320 | bits 2:0 digits of the table, 0 for the table that the hardware was built with; bit 3 on |
| 321, 322, 323 | the generator's three registers at the start of the next image |

From the first word written until the last row, 323, is, reads have no errors. That one restarts
the generator, and the next read is the first of an image. The three registers are always written
together; the others keep their values, those that were never written being the hardware's own.
"""

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...model.draws import LEAST_READ_RATE
from ...model.generators import Registers, gap_table
from .gaps import DIGITS, TABLE_WORDS

CONTROL = TABLE_WORDS
START = CONTROL + 1
ROWS = START + 3
_ON = 1 << DIGITS.bit_length()


def table_of(rate: float) -> np.ndarray | None:
    """The table of a rate, ``None`` for 0; raises ``ValueError`` when it is none of hardware's."""
    if not isinstance(rate, int | float):
        raise TypeError(f"The rate of read errors must be a number, not {rate!r}")
    if rate == 0:
        return None
    if not LEAST_READ_RATE <= rate <= 1:
        raise ValueError(f"The rate of read errors is 0 or {LEAST_READ_RATE:g} to 1, not {rate!r}")
    return gap_table(float(rate))


def words(rate: float, start: Registers) -> np.ndarray:
    """All rows, uint32 (ROWS,), to be written in order: errors of a rate from an image's start."""
    found = np.zeros(ROWS, dtype=np.uint32)
    table = table_of(rate)
    if table is not None:
        found[: table.size] = table.reshape(-1)
        found[CONTROL] = len(table) | _ON
    found[START:] = start
    return found


class Settings(wiring.Component):
    """The rows but those of the table, and what is to be done when one is written.

    Parameters
    ----------
    digits : of the table that the hardware was built with; 0 when there is none

    Members
    -------
    i : In(stream: row, word)
    o : Out(stream: row, word), the rows of the table
    second, count : Out, the table that the hardware was built with; the digits of a gap
    running : Out(1), reads have errors
    restart : Out(1), in the first cycle of all, and in the one after the last row was taken
    load, value : Out, registers to start with
    """

    def __init__(self, digits: int):
        self.digits = digits
        row = stream.Signature(
            data.StructLayout({"row": range(ROWS), "word": 32}), always_ready=True
        )
        table = stream.Signature(
            data.StructLayout({"row": range(TABLE_WORDS), "word": 32}), always_ready=True
        )
        super().__init__(
            {
                "i": In(row),
                "o": Out(table),
                "second": Out(1),
                "count": Out(range(DIGITS + 1), init=digits),
                "running": Out(1, init=digits > 0),
                "restart": Out(1, init=1),
                "load": Out(3),
                "value": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        row, word = self.i.payload.row, self.i.payload.word
        on = Signal(init=self.digits > 0)
        loaded = Signal()  # the table to use is the one that was written
        last = Signal()
        m.d.comb += [
            self.o.valid.eq(self.i.valid & (row < TABLE_WORDS)),
            self.o.payload.row.eq(row),
            self.o.payload.word.eq(word),
            self.second.eq(~loaded),
            self.value.eq(word),
            last.eq(self.load[-1]),
        ]
        for index in range(3):
            m.d.comb += self.load[index].eq(self.i.valid & (row == START + index))
        m.d.sync += self.restart.eq(last)
        with m.If(self.i.valid):
            m.d.sync += self.running.eq(last & on)
            with m.If(row == CONTROL):
                written = word[: len(self.count)]
                m.d.sync += [
                    loaded.eq(written != 0),
                    self.count.eq(written),
                    on.eq(word[len(self.count)]),
                ]
                with m.If(written == 0):
                    m.d.sync += self.count.eq(self.digits)
                    if not self.digits:
                        m.d.sync += on.eq(0)
        return m
