# SPDX-License-Identifier: BSD-2-Clause
"""Streams of vectors cut into beats: from beats of one size to beats of another."""

import math

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped


def beats(elements: int, size: int) -> int:
    """Beats of ``size`` elements that a vector of ``elements`` takes."""
    return -(-elements // size)


def factors(elements: int, i_size: int, o_size: int) -> tuple[int, int]:
    """Beats that a :class:`Gearbox` joins into one, and beats that it then makes of that one."""
    join = math.lcm(i_size, o_size)
    return min(join // i_size, beats(elements, i_size)), min(
        join // o_size, beats(elements, o_size)
    )


def vector_stream(bits: int, size: int) -> stream.Signature:
    """A stream whose beats are ``size`` elements of ``bits`` bits, element 0 lowest.

    A vector is a fixed number of elements in index order; what the last beat holds beyond the
    vector's end means nothing.
    """
    return stream.Signature(data.ArrayLayout(Shape(bits), size))


class Collect(wiring.Component):
    """Joins ``factor`` beats into one. A beat is taken every cycle while the sink takes them.

    Parameters
    ----------
    bits, size : bits of an element, and elements of a beat taken
    factor : beats joined
    beats : beats of one vector; its last, partial group leaves as soon as it is complete
    """

    def __init__(self, bits: int, size: int, *, factor: int, beats: int):
        self.factor = factor
        self.beats = beats
        super().__init__(
            {
                "i": In(vector_stream(bits, size)),
                "o": Out(vector_stream(bits, size * factor)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = len(self.i.payload.as_value())
        slots = Signal(self.factor * width)
        slot = Signal(range(self.factor))
        beat = Signal(range(self.beats))
        last_beat = beat == self.beats - 1
        m.d.comb += [
            self.i.ready.eq(~self.o.valid | self.o.ready),
            self.o.payload.as_value().eq(slots),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            last_slot = (slot == self.factor - 1) | last_beat
            m.d.sync += [
                slots.word_select(slot, width).eq(self.i.payload.as_value()),
                slot.eq(Mux(last_slot, 0, slot + 1)),
                beat.eq(Mux(last_beat, 0, beat + 1)),
                self.o.valid.eq(last_slot),
            ]
        return m


class Split(wiring.Component):
    """Cuts each beat into ``factor``. A beat leaves every cycle while there are any.

    Parameters
    ----------
    bits, size : bits of an element, and elements of a beat given
    factor : beats made of one
    beats : beats given for one vector; beats wholly beyond its end are left out
    """

    def __init__(self, bits: int, size: int, *, factor: int, beats: int):
        self.factor = factor
        self.beats = beats
        super().__init__(
            {
                "i": In(vector_stream(bits, size * factor)),
                "o": Out(vector_stream(bits, size)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = len(self.o.payload.as_value())
        rest = Signal(self.factor * width)
        index = Signal(range(self.factor))
        beat = Signal(range(self.beats))
        last_beat = beat == self.beats - 1
        done = (index == self.factor - 1) | last_beat
        m.d.comb += [
            self.o.payload.as_value().eq(rest[:width]),
            self.i.ready.eq(~self.o.valid | (self.o.ready & done)),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [
                rest.eq(rest >> width),
                index.eq(Mux(done, 0, index + 1)),
                beat.eq(Mux(last_beat, 0, beat + 1)),
            ]
            with m.If(done):
                m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [rest.eq(self.i.payload.as_value()), self.o.valid.eq(1)]
        return m


class Gearbox(wiring.Component):
    """Recuts vectors of ``elements`` elements from beats of ``i_size`` into beats of ``o_size``.

    The first beat of a vector starts with its first element on both sides. Without stalls neither
    side waits: a beat a cycle passes on the side that needs more beats.

    Between sizes of which neither divides the other, beats are joined up to their least common
    multiple, or to the whole vector if that is shorter: choose sizes for which that is small.

    Parameters
    ----------
    bits : bits of an element
    elements : elements of a vector
    i_size, o_size : elements of a beat taken and given
    """

    def __init__(self, bits: int, elements: int, i_size: int, o_size: int):
        for name, value in (("Bits", bits), ("Elements", elements)):
            if not isinstance(value, int) or value < 1:
                raise TypeError(f"{name} must be a positive integer, not {value!r}")
        for name, value in (("i_size", i_size), ("o_size", o_size)):
            if not isinstance(value, int) or not 1 <= value <= elements:
                raise ValueError(f"{name} must be from 1 to the {elements} elements, not {value!r}")
        self.bits = bits
        self.elements = elements
        self.i_size = i_size
        self.o_size = o_size
        super().__init__(
            {"i": In(vector_stream(bits, i_size)), "o": Out(vector_stream(bits, o_size))}
        )

    @property
    def delay(self) -> int:
        """Cycles from the beat that completes a beat given to that beat, without stalls."""
        stages = sum(factor > 1 for factor in factors(self.elements, self.i_size, self.o_size))
        return stages + (stages == 2)

    def elaborate(self, platform):
        m = Module()
        joined, made = factors(self.elements, self.i_size, self.o_size)
        source = flipped(self.i)
        if joined > 1:
            total = beats(self.elements, self.i_size)
            collect = Collect(self.bits, self.i_size, factor=joined, beats=total)
            m.submodules.collect = collect
            connect(m, source, collect.i)
            source = collect.o
        if joined > 1 and made > 1:
            # A short last group arrives while the one before is still being cut: it waits here.
            total = beats(self.elements, self.i_size)
            waiting = Collect(self.bits, self.i_size * joined, factor=1, beats=beats(total, joined))
            m.submodules.waiting = waiting
            connect(m, source, waiting.i)
            source = waiting.o
        if made > 1:
            total = beats(self.elements, self.o_size)
            m.submodules.split = split = Split(self.bits, self.o_size, factor=made, beats=total)
            _pass(m, source, split.i)
            source = split.o
        _pass(m, source, self.o)
        return m


def _pass(m: Module, source, sink) -> None:
    """Connects two streams whose payloads may differ by what lies beyond a vector's end."""
    m.d.comb += [
        sink.payload.as_value().eq(source.payload.as_value()),
        sink.valid.eq(source.valid),
        source.ready.eq(sink.ready),
    ]
