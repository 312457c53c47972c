# SPDX-License-Identifier: BSD-2-Clause
"""Gaps between bit errors, drawn in the background: :mod:`~twincell.model.generators` as hardware.

Words of taus88 become digits by a table in block RAM, digits become gaps, and gaps become the
*steps* of an image: from error to error, and behind the last one to the end of the image. The
generator then goes on with the next image, so that its first errors are known before it is read.
"""

from functools import reduce
from operator import xor

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...model.generators import (
    FRACTION_BITS,
    RADIX,
    RADIX_BITS,
    Registers,
    jump_columns,
    step_register,
)

DIGITS = 5  # gaps below 2^30: rates from 2^-24
TABLE_WORDS = DIGITS * RADIX
GAP_BITS = DIGITS * RADIX_BITS
QUEUE_DEPTH = 16  # steps that are drawn ahead of reads


class Taus88(wiring.Component):
    """Words of taus88, and the place where the next image's begin.

    Parameters
    ----------
    start : the registers with which the first image starts

    Members
    -------
    restart : In(1), the word of the next cycle is the first of the next image
    en : In(1), the next cycle has the next word
    word : Out(32)
    load, value : In(3), In(32), registers to replace in what the next image starts with
    """

    def __init__(self, start: Registers):
        self.start = start
        members = {"restart": In(1), "en": In(1), "word": Out(32), "load": In(3), "value": In(32)}
        super().__init__(members)

    def elaborate(self, platform):
        # `upcoming` is one step ahead of an image's start, where its first word lies. Steps and
        # jumps are linear, so they commute, and a jump leads to the same place of the next image.
        m = Module()
        words = []
        for index, first in enumerate(self.start):
            step, jump = jump_columns(index, 0), jump_columns(index)
            register = Signal(32, name=f"register{index}", reset_less=True)
            upcoming = Signal(32, name=f"upcoming{index}", init=step_register(index, first))
            with m.If(self.restart):
                m.d.sync += [register.eq(upcoming), upcoming.eq(_product(jump, upcoming))]
            with m.Elif(self.en):
                m.d.sync += register.eq(_product(step, register))
            with m.If(self.load[index]):
                m.d.sync += upcoming.eq(_product(step, self.value))
            words.append(register)
        m.d.comb += self.word.eq(reduce(xor, words))
        return m


def _product(columns: tuple[int, ...], value: Value) -> Value:
    """A matrix over GF(2), given by its columns, times the bits of a value."""
    rows = [
        [value[bit] for bit, column in enumerate(columns) if column >> row & 1] for row in range(32)
    ]
    return Value.cast(Cat(reduce(xor, row, Const(0, 1)) for row in rows))


class Digits(wiring.Component):
    """Digits of gaps: one a cycle, four cycles after the word that it is drawn with.

    Two tables share a memory: one that can be written, and behind it one that cannot. What is under
    way while it is written is not to be used: ``restart`` comes behind the last word.

    Parameters
    ----------
    table : uint32 (digits, 64), the second; ``None`` when there is none

    Members
    -------
    restart, en : In(1), drop what is under way and begin with a first digit; move on
    word : In(32), of this cycle
    second : In(1), which table
    count : In, digits of a gap
    write : In(stream: row, word), the first table
    valid : Out(1), of what follows
    digit, number, last : Out, its value, its place in the gap, and whether it is the gap's last
    """

    def __init__(self, table: np.ndarray | None):
        self.table = np.zeros((0, RADIX), np.uint32) if table is None else table
        row = {"row": range(TABLE_WORDS), "word": 32}
        super().__init__(
            {
                "restart": In(1),
                "en": In(1),
                "word": In(32),
                "second": In(1),
                "count": In(range(DIGITS + 1)),
                "write": In(stream.Signature(data.StructLayout(row), always_ready=True)),
                "valid": Out(1),
                "digit": Out(RADIX_BITS),
                "number": Out(range(DIGITS)),
                "last": Out(1),
            }
        )

    def elaborate(self, platform):
        # word, number -> [memory] -> entry -> [register] -> comparison -> [register] -> digit
        m = Module()
        init = [0] * TABLE_WORDS + [int(word) for word in self.table.reshape(-1)]
        m.submodules.table = memory = Memory(shape=32, depth=len(init), init=init)
        write = memory.write_port()
        read = memory.read_port()
        number = Signal(range(DIGITS))
        last = number == self.count - 1
        second = number + DIGITS
        m.d.comb += [
            write.en.eq(self.write.valid),
            write.addr.eq(self.write.payload.row),
            write.data.eq(self.write.payload.word),
            read.en.eq(self.en & ~write.en),
            read.addr.eq(Cat(self.word[FRACTION_BITS:], Mux(self.second, second, number))),
        ]
        drawn = Signal()
        with m.If(self.restart):
            m.d.sync += [number.eq(0), drawn.eq(1)]
        with m.Elif(self.en):
            m.d.sync += number.eq(Mux(last, 0, number + 1))

        beside = Cat(self.word, number, last)
        there = drawn
        for stage in ("looked_up", "registered"):
            later = Signal.like(beside, name=f"{stage}_beside", reset_less=True)
            valid = Signal(name=f"{stage}_valid")
            with m.If(self.en):
                m.d.sync += [later.eq(beside), valid.eq(there)]
            beside, there = later, valid
            with m.If(self.restart):
                m.d.sync += valid.eq(0)
        entry = Signal(32, reset_less=True)
        fraction, index = beside[:FRACTION_BITS], beside[FRACTION_BITS:32]
        own = fraction < entry[RADIX_BITS:]
        with m.If(self.en):
            m.d.sync += [
                entry.eq(read.data),
                self.digit.eq(Mux(own, index, entry[:RADIX_BITS])),
                Cat(self.number, self.last).eq(beside[32:]),
                self.valid.eq(there),
            ]
        with m.If(self.restart):
            m.d.sync += self.valid.eq(0)
        return m


def step_layout(bits: int) -> data.StructLayout:
    """A step of an image of ``bits`` bits: ``gap``, whether it leads beyond the rest of any read,
    ``far``, and whether it leads to the ``end`` of the image; then the others say nothing."""
    return data.StructLayout({"gap": range(bits + 1), "far": 1, "end": 1})


class Gaps(wiring.Component):
    """Steps of one image after the other: an error's distance from the bit after the one before.

    A gap of ``d`` digits takes ``d`` cycles while the sink takes steps, and the first of an image
    ``first_latency + d`` cycles from the restart, or from the step to the end of the image before.

    Parameters
    ----------
    bits : of an image, at most
    bits_per_read : gaps of as many and more are ``far``
    table, start : see :class:`Digits`, :class:`Taus88`

    Members
    -------
    restart : In(1), forget everything and go to the image that is next
    running : In(1), go to further images at their time
    image : In, bits of an image; by default as many as there can be
    second, count, write, load, value : In, see :class:`Digits`, :class:`Taus88`
    o : Out(stream of steps)
    """

    first_latency = 4

    def __init__(self, bits: int, bits_per_read: int, table: np.ndarray | None, start: Registers):
        self.bits = bits
        self.bits_per_read = bits_per_read
        self.words = Taus88(start)
        self.digits = Digits(table)
        own = {
            "restart": In(1),
            "running": In(1),
            "image": In(range(bits + 1), init=bits),
            "o": Out(stream.Signature(step_layout(bits))),
        }
        names = {"load": self.words, "value": self.words}
        names |= dict.fromkeys(("second", "count", "write"), self.digits)
        passed = {name: part.signature.members[name] for name, part in names.items()}
        super().__init__(own | passed)

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = self.words
        m.submodules.digits = digits = self.digits
        ended = Signal()  # the step to the end was just taken
        restart = Signal()
        en = Signal()
        m.d.comb += [
            restart.eq(self.restart | (ended & self.running)),
            en.eq(~self.o.valid | self.o.ready),
            words.restart.eq(restart),
            words.en.eq(en),
            words.load.eq(self.load),
            words.value.eq(self.value),
            digits.restart.eq(restart),
            digits.en.eq(en),
            digits.word.eq(words.word),
            digits.second.eq(self.second),
            digits.count.eq(self.count),
            digits.write.valid.eq(self.write.valid),
            digits.write.payload.eq(self.write.payload),
        ]
        gap = Signal(GAP_BITS)
        whole = Signal()
        with m.If(en):
            m.d.sync += whole.eq(digits.valid & digits.last)
            for number in range(DIGITS):
                place = gap.word_select(number, RADIX_BITS)
                with m.If(digits.number == number):
                    m.d.sync += place.eq(digits.digit)
                with m.Elif(digits.number == 0):
                    m.d.sync += place.eq(0)
        with m.If(restart):
            m.d.sync += whole.eq(0)
        self._cut(m, gap, whole, restart, ended)
        return m

    def _cut(self, m: Module, gap: Signal, whole: Signal, restart: Signal, ended: Signal) -> None:
        """Gaps become steps: the first that leads out of the image leads to its end."""
        left = Signal(range(self.bits + 1), init=self.bits)  # bits from the next one on
        rest = Signal(len(left) + 1)  # after the error, or below 0
        near = gap[: len(left)]
        end = rest[-1] | gap[len(left) :].any()
        taken = Signal()
        m.d.comb += [
            rest.eq(left - near - 1),
            self.o.valid.eq(whole & ~ended),
            self.o.payload.gap.eq(near),
            self.o.payload.far.eq(near >= self.bits_per_read),
            self.o.payload.end.eq(end),
            taken.eq(self.o.valid & self.o.ready),
        ]
        m.d.sync += ended.eq(taken & end & ~restart)
        with m.If(restart | (taken & end)):
            m.d.sync += left.eq(self.image)
        with m.Elif(taken):
            m.d.sync += left.eq(rest)
