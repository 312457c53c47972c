# SPDX-License-Identifier: BSD-2-Clause
"""Stochastic inputs: images become random bits, presentation by presentation.

The bits of a presentation are the same for every neuron, whatever the order in which a layer reads
them. So they are drawn once, in front of the first layer, where few pixels pass in a cycle: a
comparator and a random number for each pixel of an input beat, and not for each lane of the array.
The image waits in a memory until its last presentation.
"""

from typing import Any

import numpy as np
from amaranth.hdl import Array, C, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..model.planes import Stochastic
from ..model.stochastic import WIDTH
from .gearbox import beats, vector_stream
from .loading import Loadable, Target
from .numbers import Numbers


class Presenter(wiring.Component):
    """Shows each image as P planes of random bits, one after the other.

    A beat leaves every cycle without stalls, so an image takes ``P * beats`` cycles, of which it
    comes in during the first ``beats``. A beat that comes in leaves, as bits of the first
    presentation, a cycle later.

    Parameters
    ----------
    planes : bits of a pixel, seed and generator
    pixels : of an image
    size : pixels of a beat
    most : presentations of an image, at most

    Members
    -------
    i : In(stream of pixels)
    o : Out(stream of bits), beats of the same size
    end : In, presentations less one; it stays while images are inside
    load, start : In(1), In(31), the state with which the numbers of the next image start; while no
        image is inside
    """

    def __init__(self, planes: Stochastic, pixels: int, size: int, most: int):
        self.planes = planes
        self.pixels = pixels
        self.size = size
        self.most = most
        self.beats = beats(pixels, size)
        self.numbers = Numbers(planes, pixels, size, most)
        super().__init__(
            {
                "i": In(vector_stream(planes.bits, size)),
                "o": Out(vector_stream(1, size)),
                "end": In(range(most)),
                "load": In(1),
                "start": In(WIDTH),
            }
        )

    def model(self, images: np.ndarray, presentations: int, first_image: int = 0) -> np.ndarray:
        """Bits (images, presentations, pixels) of images (images, pixels)."""
        drawn = [
            self.planes.numbers(first_image + index, presentations, self.pixels)
            for index in range(len(images))
        ]
        return images[:, None] >= np.array(drawn)

    def elaborate(self, platform):
        # i or memory -> [pixels of the beat] -> comparison with [numbers] -> o
        m = Module()
        m.submodules.numbers = numbers = self.numbers
        beat = Signal(range(self.beats))
        number = Signal(range(self.most))
        coming = Signal()  # the first presentation passes while the image comes in
        last_beat = beat == self.beats - 1
        last = last_beat & (number == self.end)
        advance = Signal()
        go = Signal()
        m.d.comb += [
            coming.eq(number == 0),
            advance.eq(~self.o.valid | self.o.ready),
            self.i.ready.eq(advance & coming),
            go.eq(advance & (self.i.valid | ~coming)),
            numbers.step.eq(go),
            numbers.first_beat.eq(beat == 0),
            numbers.number.eq(number),
            numbers.last.eq(last),
            numbers.load.eq(self.load),
            numbers.start.eq(self.start),
        ]
        with m.If(advance):
            m.d.sync += self.o.valid.eq(go)
        with m.If(go):
            m.d.sync += beat.eq(Mux(last_beat, 0, beat + 1))
            with m.If(last_beat):
                m.d.sync += number.eq(Mux(last, 0, number + 1))
        shown = self._pixels(m, beat, coming, go)
        m.d.comb += self.o.payload.as_value().eq(numbers.compare(shown))
        return m

    def _pixels(self, m: Module, beat: Signal, coming: Signal, go: Signal) -> Any:
        """The pixels of the beat that was taken, from the stream or from the memory."""
        layout = self.i.payload.shape()
        fresh = Signal(layout, reset_less=True)
        with m.If(go & coming):
            m.d.sync += fresh.eq(self.i.payload)
        if self.most == 1:
            return fresh
        m.submodules.image = memory = Memory(shape=layout, depth=max(self.beats, 2), init=[])
        write = memory.write_port()
        read = memory.read_port()
        was_fresh = Signal()
        with m.If(go):
            m.d.sync += was_fresh.eq(coming)
        shown = Signal(layout)
        m.d.comb += [
            write.en.eq(go & coming),
            write.addr.eq(beat),
            write.data.eq(self.i.payload),
            read.en.eq(go),
            read.addr.eq(beat),
            shown.eq(Mux(was_fresh, fresh.as_value(), read.data.as_value())),
        ]
        return shown


class Chosen(wiring.Component):
    """How images are shown, as it was loaded at run time.

    | row | word |
    |---|---|
    | 0 | presentations of an image, one of ``presentations``; other numbers change nothing |
    | 1 | start register of the next image, see :func:`~twincell.model.stochastic.start_register` |

    A word is taken in the cycle in which it comes. It is for a network without images inside.

    Parameters
    ----------
    presentations : to choose from; reset chooses the first
    start : start register of the first image

    Members
    -------
    i : In(stream: row, word)
    variant : Out, which of ``presentations`` was chosen
    end : Out, presentations less one
    load, start : Out, see :class:`Presenter`
    """

    def __init__(self, presentations: tuple[int, ...], start: int):
        self.presentations = presentations
        self.first = start
        row = data.StructLayout({"row": range(2), "word": 32})
        super().__init__(
            {
                "i": In(stream.Signature(row)),
                "variant": Out(range(len(presentations))),
                "end": Out(range(max(presentations))),
                "load": Out(1),
                "start": Out(WIDTH),
            }
        )

    def loadable(self) -> Loadable:
        """What a loader can write, and the words of reset."""
        target = Target("presentations", "presentations", 2, 32, 0, (1 << 32) - 1, 32)
        return Loadable(target, np.array([[self.presentations[0]], [self.first]]), self.i)

    def elaborate(self, platform):
        m = Module()
        row, word = self.i.payload.row, self.i.payload.word
        m.d.comb += [
            self.i.ready.eq(1),
            self.load.eq(self.i.valid & (row == 1)),
            self.start.eq(word[:WIDTH]),
            self.end.eq(chosen(self.variant, [count - 1 for count in self.presentations])),
        ]
        for variant, count in enumerate(self.presentations):
            with m.If(self.i.valid & (row == 0) & (word == count)):
                m.d.sync += self.variant.eq(variant)
        return m


def chosen(index: Value, values: list[int]) -> Value:
    """One of several constants."""
    constants = [C(value, range(max(values) + 1)) for value in values]
    return Value.cast(Array(constants)[index])
