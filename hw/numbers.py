# SPDX-License-Identifier: BSD-2-Clause
"""The random numbers of stochastic pixels: :mod:`~twincell.model.stochastic` as hardware.

A number costs a gate or three for each fresh bit, and registers only once for all pixels of a beat:
the bits of a sequence behind those in the register are sums of two bits before them. Because
``s[n + 31 k] = s[n + 3 k] ^ s[n]`` for every power of two ``k``, they need no long chain of gates.
"""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..model.planes import Stochastic
from ..model.stochastic import (
    FEEDBACK,
    MARKS,
    START_FEEDBACK,
    WIDTH,
    Generator,
    lfsr_draw,
    start_register,
)
from .gearbox import beats


class Numbers(wiring.Component):
    """Random numbers for the pixels of a beat, of every beat of every presentation.

    In the cycle after ``step`` they are those of the beat that ``first_beat``, ``number`` and
    ``last`` spoke of, until the next ``step``. Reset returns to the first image.

    Parameters
    ----------
    planes : bits, seed and generator
    pixels, size : of an image, and of a beat
    most : presentations of an image, at most

    Members
    -------
    step : In(1), a beat is taken
    first_beat : In(1), it is the first of a presentation
    number : In, of its presentation
    last : In(1), it is the last of its image
    load, start : In(1), In(31), what the next image starts with
    values : Out, a number for each pixel, without the 1 that those below the middle are raised by
    """

    def __init__(self, planes: Stochastic, pixels: int, size: int, most: int):
        self.planes = planes
        self.pixels = pixels
        self.size = size
        self.most = most
        self.tail = pixels - (beats(pixels, size) - 1) * size  # pixels of the last beat
        super().__init__(
            {
                "step": In(1),
                "first_beat": In(1),
                "number": In(range(most)),
                "last": In(1),
                "load": In(1),
                "start": In(WIDTH),
                "values": Out(data.ArrayLayout(planes.bits, size)),
            }
        )

    def compare(self, pixels: Value | data.View) -> Value:
        """Whether each pixel of the beat reaches its number."""
        shown = []
        for lane in range(self.size):
            pixel, value = pixels[lane], self.values[lane]
            if self.planes.generator is Generator.SHARED:
                shown.append(pixel >= value)
            else:
                # pixel - value - 1 + top is not negative: the top bit is the adder's carry in.
                top = value[-1]
                shown.append((Cat(top, pixel) + Cat(top, ~value))[-1])
        return Value.cast(Cat(shown))

    def elaborate(self, platform):
        m = Module()
        start = Signal(WIDTH, init=start_register(self.planes.seed))
        with m.If(self.load):
            m.d.sync += start.eq(self.start)
        with m.Elif(self.step & self.last):
            m.d.sync += start.eq(_next_start(start))
        begins = self.step & self.first_beat & (self.number == 0)
        match self.planes.generator:
            case Generator.SHARED:
                self._shared(m, start, begins)
            case Generator.LOW_DISCREPANCY:
                self._spread(m, start)
            case _:
                self._sequence(m, start, begins)
        return m

    def _sequence(self, m: Module, start: Signal, begins: Value) -> None:
        """Fresh bits for every pixel of every presentation."""
        state = Signal(WIDTH, reset_less=True)
        places, fresh = _places(self.planes)
        ahead = _extended(m, state, sequence_bits(self.planes, self.size))
        with m.If(self.step):
            m.d.sync += state.eq(ahead[self.size * fresh :][:WIDTH])
            with m.If(self.first_beat):  # behind the last beat, which may be a shorter one
                m.d.sync += state.eq(ahead[self.tail * fresh :][:WIDTH])
        with m.If(begins):
            m.d.sync += state.eq(start)
        for lane in range(self.size):
            bits = Cat(ahead[lane * fresh + place] for place in places)
            m.d.comb += self.values[lane].eq(bits)

    def _spread(self, m: Module, start: Signal) -> None:
        """The same bits for every presentation, and a counter of presentations, reversed."""
        bits = self.planes.bits
        state = Signal(WIDTH, reset_less=True)
        reverse = Signal(bits)
        ahead = _extended(m, state, sequence_bits(self.planes, self.size))
        with m.If(self.step):
            m.d.sync += state.eq(Mux(self.first_beat, start, ahead[self.size * bits :][:WIDTH]))
            counter = self.number[:bits]
            m.d.sync += reverse.eq(Cat(C(0, bits - len(counter)), *reversed(list(counter))))
        for lane in range(self.size):
            m.d.comb += self.values[lane].eq(ahead.word_select(lane, bits) ^ reverse)

    def _shared(self, m: Module, start: Signal, begins: Value) -> None:
        """One state for all pixels."""
        bits = self.planes.bits
        state = Signal(bits, reset_less=True)
        columns = [lfsr_draw(bits, 1 << bit) for bit in range(bits)]
        drawn = [
            Cat(state[bit] for bit, column in enumerate(columns) if column >> row & 1).xor()
            for row in range(bits)
        ]
        with m.If(self.step & self.first_beat):
            m.d.sync += state.eq(Cat(drawn))
        with m.If(begins):
            first = start[:bits]
            m.d.sync += state.eq(Cat(first[0] | ~first.any(), first[1:]))
        for lane in range(self.size):
            m.d.comb += self.values[lane].eq(state)


def sequence_bits(planes: Stochastic, size: int) -> int:
    """Bits of the sequence that are made in a cycle, for the numbers of a beat of ``size`` pixels
    and for the state after it; none of one number for all pixels."""
    if planes.generator is Generator.SHARED:
        return 0
    places, fresh = _places(planes)
    return max(size * fresh, (size - 1) * fresh + places[-1] + 1 - WIDTH)


def _places(planes: Stochastic) -> tuple[tuple[int, ...], int]:
    """Where a number's bits lie in the sequence, and how far the next one's are."""
    bits = planes.bits
    if planes.generator is Generator.TAPS:
        return MARKS[:bits], 1
    return tuple(range(bits)), bits


def _extended(m: Module, state: Signal, bits: int) -> Value:
    """The bits of the state, and those of the sequence behind them."""
    fresh = Signal(bits, name="fresh")
    every = Value.cast(Cat(state, fresh))
    for place in range(WIDTH, WIDTH + bits):
        reach = 1 << ((place // WIDTH).bit_length() - 1)
        far, near = place - WIDTH * reach, place - (WIDTH - FEEDBACK) * reach
        m.d.comb += fresh[place - WIDTH].eq(every[far] ^ every[near])
    return every


def _next_start(register: Signal) -> Value:
    """:func:`~twincell.model.stochastic.start_step` of a register."""
    bits = list(register)
    for place in range(WIDTH):
        bits.append(bits[place + START_FEEDBACK] ^ bits[place])
    return Value.cast(Cat(bits[WIDTH:]))
