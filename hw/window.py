# SPDX-License-Identifier: BSD-2-Clause
"""The windows of a convolution or a pooling, read out of the rows of an image as it comes in.

An image comes position by position, row by row, all channels of a position together. Nothing is
copied: a window is read tap by tap where its rows lie, as often as planes and groups of neurons
need it.
"""

import math
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..model.nodes import Conv, Fill, MaxPool, present_taps, windows_along
from .gearbox import vector_stream


@dataclass(frozen=True)
class Window:
    """What a convolution or a pooling looks at, in an image of one or two axes.

    Parameters
    ----------
    channels : of each position
    size : positions along each axis
    kernel, stride, padding : along each axis; padding is the same at both ends
    fill : what taps outside the image read
    """

    channels: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    fill: Fill = Fill.MINUS

    @classmethod
    def of(cls, node: Conv | MaxPool, shape: tuple[int, ...]) -> "Window":
        """The window of a node that takes values of ``shape``, channels first."""
        channels, *size = shape
        if isinstance(node, MaxPool):
            return cls(channels, tuple(size), node.kernel, node.stride, (0,) * len(size))
        return cls(channels, tuple(size), node.kernel, node.stride, node.padding, node.fill)

    @property
    def outputs(self) -> tuple[int, ...]:
        """Windows along each axis."""
        return windows_along(self.size, self.kernel, self.stride, self.padding)

    @property
    def positions(self) -> int:
        """Windows of an image."""
        return math.prod(self.outputs)

    @property
    def taps(self) -> int:
        """Positions of a window."""
        return math.prod(self.kernel)

    @property
    def pixels(self) -> int:
        """Positions of an image."""
        return math.prod(self.size)

    @property
    def classes(self) -> np.ndarray:
        """The border class of each window, see :meth:`~twincell.model.nodes.Conv.present_taps`:
        int (rows, columns); 0 for all unless taps outside are absent."""
        axes = (self.size, self.kernel, self.stride, self.padding)
        _, classes = present_taps(*axes, self.fill)
        return classes.reshape(self.outputs[0], -1)

    @property
    def border_classes(self) -> int:
        """Sets of taps that lie inside the image."""
        return int(self.classes.max()) + 1

    def rows(self) -> "list[Row]":
        """What each row of windows needs of the rows of the image, see :class:`Row`."""
        n, k, s, p = (each[0] for each in (self.size, self.kernel, self.stride, self.padding))
        tops = [index * s - p for index in range(self.outputs[0])]
        firsts = [max(top, 0) for top in tops]
        lasts = [min(top + k, n) for top in tops[:-1]] + [n]
        return [
            Row(top, max(last, following) - first, following - first)
            for top, first, last, following in zip(
                tops, firsts, lasts, [*firsts[1:], n], strict=True
            )
        ]

    @property
    def slots(self) -> int:
        """Rows of the image that are kept, a power of two: those that a row of windows needs and
        those that come meanwhile, also where one image follows another, so that an image that comes
        steadily never waits."""
        rows = self.rows()
        meanwhile = -(-self.size[0] // len(rows))
        following = zip(rows, [*rows[1:], rows[0]], strict=True)
        needed = max(
            *(row.freed + after.needed for row, after in following),
            *(row.needed + meanwhile for row in rows),
        )
        return 1 << (needed - 1).bit_length()


@dataclass(frozen=True)
class Row:
    """A row of windows.

    Parameters
    ----------
    top : the image's row of its first taps, negative in the padding
    needed : rows of the image that must have come, of those not yet given up: those that it looks
        at, and those that it gives up
    freed : rows that are given up after it; after an image's last, all that are left
    """

    top: int
    needed: int
    freed: int


class WindowBuffer(wiring.Component):
    """Takes images in, row by row, and shows a tap of a window at a time, or a column of taps.

    Writing takes a word a cycle and stops while all rows that fit are needed. A read is a cycle
    with ``en`` high, and takes what comes next: what it reads is at ``shown`` from the next cycle
    until after the next read. After the last tap comes the first again, of the same window; the
    cycle in which ``release`` is high moves to the next window, and a read may go with it.

    Parameters
    ----------
    window : its channels come in words, which are the same number for every position
    bits : of a pixel; 1 for bits, which have only plane 0
    lanes : pixels of a word; divides the channels
    by_word : a window is read word by word, all taps of each; else tap by tap, all words of each
    rows : of taps that a read covers: one, or all of the window, whose positions are then one word

    Members
    -------
    i : In(stream of words of ``lanes`` pixels)
    present : Out(1), the whole window is there to be read
    en, plane : In, the read
    first, last : Out(1), the read is of the first tap, and of the last
    done : Out(1), it is the last of the window
    word : Out, of the read: which of the position's words
    shown : Out(rows * lanes), row by row
    inside : Out(rows), beside ``shown``: which of its rows lie in the image
    release : In(1)
    """

    latency = 1

    def __init__(
        self, window: Window, bits: int, lanes: int, *, by_word: bool = False, rows: int = 1
    ):
        if window.channels % lanes:
            raise ValueError(f"{lanes} lanes do not divide {window.channels} channels")
        if rows > 1 and (rows, lanes) != (window.kernel[0], window.channels):
            raise ValueError(
                f"A read of {rows} rows and {lanes} lanes is no column of a window of "
                f"{window.kernel[0]} rows and {window.channels} channels"
            )
        if len(window.size) == 1:  # a single column of rows
            window = Window(
                window.channels, (*window.size, 1), (*window.kernel, 1), (*window.stride, 1),
                (*window.padding, 0), window.fill,
            )  # fmt: skip
        self.window = window
        self.bits = bits
        self.lanes = lanes
        self.words = window.channels // lanes
        self.by_word = by_word
        self.rows = rows
        super().__init__(
            {
                "i": In(vector_stream(bits, lanes)),
                "present": Out(1),
                "en": In(1),
                "plane": In(range(bits)),
                "first": Out(1),
                "last": Out(1),
                "done": Out(1),
                "word": Out(range(self.words)),
                "shown": Out(rows * lanes),
                "inside": Out(rows),
                "release": In(1),
            }
        )

    def elaborate(self, platform):
        # A row's slot, a column and a word make the address, each with bits of its own. Slots go
        # round, so a window's rows are the slots from `origin` on; those above the image are
        # slots of other rows, which are not looked at. Rows that are read together have a memory
        # for each slot.
        m = Module()
        columns, words = self.window.size[1], self.words
        slots = self.window.slots
        sizes = words, columns, slots
        names = "word", "column", "slot"
        held = Signal(range(slots + 1))  # rows that are whole and not given up
        at = [
            Signal(range(size), name=f"at_{name}") for size, name in zip(sizes, names, strict=True)
        ]
        put = Signal()
        filled = Signal()
        m.d.comb += [
            self.i.ready.eq(held != slots),
            put.eq(self.i.valid & self.i.ready),
            filled.eq(put & (at[0] == words - 1) & (at[1] == columns - 1)),
        ]
        _walk(m, put, at, sizes)

        tap_word, tap_column, tap_row = self._taps(m)
        left, freed, origin, top = self._position(m, held)
        m.d.sync += held.eq(held + filled - freed)
        side = self.window.padding[1]
        column = Signal(range(-side, columns + side))
        slot = Signal(range(slots))
        m.d.comb += [column.eq(left + tap_column), slot.eq(origin + tap_row)]
        place = Cat(tap_word, column[: len(at[1])])
        if self.rows == 1:
            rows = [self._memory(m, "memory", put, Cat(at), Cat(place, slot))]
        else:
            banks = [
                self._memory(m, f"slot{k}", put & (at[2] == k), Cat(at[:2]), place)
                for k in range(slots)
            ]
            first = Signal.like(slot)
            with m.If(self.en):
                m.d.sync += first.eq(slot)
            rows = [self._of_row(m, banks, first + row, row) for row in range(self.rows)]
        self._show(m, rows, column, top + tap_row)
        return m

    def _memory(self, m: Module, name: str, put: Value, at: Value, place: Value) -> Value:
        """Words; returns what is read."""
        depth = max(1 << len(at), 2)
        word = data.ArrayLayout(self.bits, self.lanes)
        m.submodules[name] = memory = Memory(shape=word, depth=depth, init=[])
        write = memory.write_port()
        read = memory.read_port()
        m.d.comb += [
            write.en.eq(put),
            write.addr.eq(at),
            write.data.eq(self.i.payload),
            read.en.eq(self.en),
            read.addr.eq(place),
        ]
        return read.data.as_value()

    def _of_row(self, m: Module, banks: list[Value], slot: Value, row: int) -> Signal:
        """The word of the bank of a slot; slots go round."""
        chosen = Signal(len(banks[0]), name=f"row{row}")
        with m.Switch(slot[: (len(banks) - 1).bit_length()]):
            for index, bank in enumerate(banks):
                with m.Case(index):
                    m.d.comb += chosen.eq(bank)
        return chosen

    def _show(self, m: Module, rows: list[Value], column: Value, top: Value) -> None:
        """The plane of what was read, and what lies outside the image."""
        (size, columns), (padding, side) = self.window.size, self.window.padding
        plane = Signal.like(self.plane)
        fill = self.window.fill is Fill.PLUS
        with m.If(self.en):
            m.d.sync += plane.eq(self.plane)
        for index, pixels in enumerate(rows):
            row, inside = top + index, Value.cast(1)
            if padding:
                inside = inside & (row >= 0) & (row < size)
            if side:
                inside = inside & (column >= 0) & (column < columns)
            with m.If(self.en):
                m.d.sync += self.inside[index].eq(inside)
            for lane in range(self.lanes):
                bit = pixels.word_select(lane, self.bits).bit_select(plane, 1)
                shown = Mux(self.inside[index], bit, fill) if padding or side else bit
                m.d.comb += self.shown[index * self.lanes + lane].eq(shown)

    def _taps(self, m: Module) -> tuple[Signal, Signal, Signal]:
        """Walks through the taps of a window: word, column and row of this read."""
        rows, columns = self.window.kernel[0] // self.rows, self.window.kernel[1]
        sizes = {"word": self.words, "column": columns, "row": rows}
        names = ("column", "row", "word") if self.by_word else ("word", "column", "row")
        at = {name: Signal(range(sizes[name]), name=f"tap_{name}") for name in names}
        _walk(m, self.en, [at[name] for name in names], [sizes[name] for name in names])
        first = (at["column"] == 0) & (at["row"] == 0)
        last = (at["column"] == columns - 1) & (at["row"] == rows - 1)
        m.d.comb += [
            self.word.eq(at["word"]),
            self.first.eq(first),
            self.last.eq(last),
            self.done.eq(last & (at["word"] == self.words - 1)),
        ]
        return at["word"], at["column"], at["row"]

    def _position(self, m: Module, held: Signal) -> tuple[Signal, Signal, Signal, Signal]:
        """Walks through the windows of an image: the column of the first taps, rows given up in
        this cycle, the slot of the first taps, and their row."""
        window, rows = self.window, self.window.rows()
        (stride, step), (padding, side), size = window.stride, window.padding, window.size[0]
        outputs, across = window.outputs
        end = (across - 1) * step - side
        left = Signal(range(-side, end + 1), init=-side)
        row = Signal(range(outputs))
        top = Signal(range(-padding, rows[-1].top + 1), init=-padding)
        slots = window.slots
        origin = Signal(range(slots), init=-padding % slots)
        needed = Signal(range(slots + 1), init=rows[0].needed)
        freed = Signal(range(slots + 1))
        after = Signal(range(outputs))  # the next row of windows
        last_row = row == outputs - 1
        down = Signal()
        m.d.comb += [
            self.present.eq(held >= needed),
            down.eq(self.release & (left == end)),
            after.eq(Mux(last_row, 0, row + 1)),
        ]
        with m.If(self.release):
            m.d.sync += left.eq(Mux(left == end, -side, left + step))
        with m.If(down):
            again = size - rows[-1].top - padding  # slots from the last row's to the next image's
            m.d.sync += [
                row.eq(after),
                top.eq(Mux(last_row, -padding, top + stride)),
                origin.eq(origin + Mux(last_row, again % slots, stride % slots)),
            ]
            m.d.comb += freed.eq(_by_row(m, row, [each.freed for each in rows], "freed"))
            m.d.sync += needed.eq(_by_row(m, after, [each.needed for each in rows], "needed"))
        return left, freed, origin, top


class Borders(wiring.Component):
    """Walks through the windows of an image: where in a memory each one's constants begin.

    Parameters
    ----------
    window : whose border classes have constants of their own
    rows : of the memory, for each class

    Members
    -------
    step : In(1), to the next window, and from the last to the first of the next image
    base : Out, the first row of this window's class
    """

    def __init__(self, window: Window, rows: int):
        self.classes = window.classes
        self.rows = rows
        super().__init__({"step": In(1), "base": Out(range(int(self.classes.max()) * rows + 1))})

    def elaborate(self, platform):
        # A class is one of its row, which counts the more, and one of its column.
        m = Module()
        down, across = self.classes.shape
        row = Signal(range(down))
        column = Signal(range(across))
        after = [Signal.like(row, name="row_after"), Signal.like(column, name="column_after")]
        end = column == across - 1
        m.d.comb += [
            after[0].eq(Mux(end, Mux(row == down - 1, 0, row + 1), row)),
            after[1].eq(Mux(end, 0, column + 1)),
        ]
        rows = (self.classes[:, 0] * self.rows).tolist()
        columns = (self.classes[0] * self.rows).tolist()
        base = _by_row(m, after[0], rows, "row") + _by_row(m, after[1], columns, "column")
        with m.If(self.step):
            m.d.sync += [row.eq(after[0]), column.eq(after[1]), self.base.eq(base)]
        return m


def _walk(m: Module, step: Value, at: list[Signal], sizes) -> None:
    """Counters that count as one, the first fastest, each from 0 to its size."""
    carry = step
    for counter, size in zip(at, sizes, strict=True):
        last = counter == size - 1
        with m.If(carry):
            m.d.sync += counter.eq(Mux(last, 0, counter + 1))
        carry = carry & last


def _by_row(m: Module, row: Signal, values: list[int], name: str) -> Signal:
    """The value of a row; but a few rows have the same."""
    most = max(set(values), key=values.count)
    chosen = Signal(range(max(values) + 1), name=f"{name}_by_row")
    m.d.comb += chosen.eq(most)
    with m.Switch(row):
        for index, value in enumerate(values):
            if value != most:
                with m.Case(index):
                    m.d.comb += chosen.eq(value)
    return chosen
