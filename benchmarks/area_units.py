# SPDX-License-Identifier: BSD-2-Clause
"""The units that are measured, with operands that come from registers or block RAM inside."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from twincell.hw.accumulator import Accumulator, range_shape
from twincell.hw.arrays.signature import ArraySignature
from twincell.hw.counts import StoredCounts
from twincell.hw.layer_plan import LayerPlan
from twincell.hw.popcount import Popcount
from twincell.hw.sums import Sums


class ShiftedArray(wiring.Component):
    """Stands for a weight memory: its bits are a register that is shifted in through one pin.

    A read takes a cycle, as in a real array.

    Parameters
    ----------
    layer : the plan
    stored : whether the bits are stored signs, to be compared with the inputs, or agree bits, as
        sense amplifiers latch them that did the XNOR
    """

    cycles_per_read = 1
    latency = 1

    def __init__(self, layer: LayerPlan, *, stored: bool):
        self.layer = layer
        self.shows = stored
        signature = ArraySignature(layer.rows, layer.columns, stored=stored)
        super().__init__({**signature.members, "serial": In(1)})

    def elaborate(self, platform):
        m = Module()
        bits = Signal(self.layer.columns)
        m.d.comb += self.i.ready.eq(1)
        m.d.sync += [bits.eq(Cat(self.serial, bits)), self.o.valid.eq(self.i.valid)]
        if self.shows:
            inputs = Signal(self.layer.columns)
            m.d.sync += inputs.eq(self.i.payload.inputs)
            m.d.comb += [self.stored.sign.eq(bits), self.stored.inputs.eq(inputs)]
        else:
            m.d.comb += self.o.payload.agree.eq(bits)
        return m


class Unbuffered(Sums):
    """Sums whose inputs come when they are needed: no input buffer, no counters that fill it."""

    def _issue(self, m):
        m.d.comb += [
            self.i.ready.eq(1),
            self.array.i.valid.eq(self.i.valid),
            self.array.i.payload.inputs.eq(self._spread(self.i.payload.as_value())),
        ]


class Unit(wiring.Component):
    """Counts, accumulators, thresholds and control of a layer: decisions of its neurons.

    Parameters
    ----------
    kind : Sums, with an input buffer, or Unbuffered
    layer : the plan
    stored : whether the unit does the XNOR, see :class:`ShiftedArray`
    """

    def __init__(self, kind: type[Sums], layer: LayerPlan, *, stored: bool = True):
        most = layer.inputs * ((1 << layer.planes) - 1)
        thresholds = np.random.default_rng(0).integers(most // 4, most * 3 // 4, layer.outputs)
        self.array = ShiftedArray(layer, stored=stored)
        self.sums = kind(layer, self.array, -thresholds, halve=False)
        super().__init__(
            {
                "serial": In(1),
                "word": In(layer.lanes * layer.planes),
                "given": In(1),
                "ready": Out(1),
                "room": In(1),
                "valid": Out(1),
                "fires": Out(layer.neurons),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.sums = sums = self.sums
        m.d.comb += [
            self.array.serial.eq(self.serial),
            sums.i.payload.eq(self.word),
            sums.i.valid.eq(self.given),
            self.ready.eq(sums.i.ready),
            sums.room.eq(self.room),
            self.valid.eq(sums.valid),
            self.fires.eq(Cat(total >= 0 for total in sums.totals)),
        ]
        return m


class Element(wiring.Component):
    """One neuron's counts and accumulator; control and constant come from registers."""

    def __init__(self, layer: LayerPlan):
        self.layer = layer
        self.counts = StoredCounts(layer)
        self.shape = range_shape(-layer.inputs - 1, layer.inputs)
        super().__init__(
            {
                "serial": In(1),
                "word": In(layer.lanes),
                "first": In(1),
                "valid": In(1),
                "constant": In(self.shape),
                "total": Out(self.shape),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.counts = counts = self.counts
        m.submodules.accumulator = accumulator = Accumulator(
            counts.width, 0, self.shape, self.shape, carry=counts.carried
        )
        bits, inputs = Signal(self.layer.lanes), Signal(self.layer.lanes)
        m.d.sync += [
            bits.eq(Cat(self.serial, bits)),
            inputs.eq(self.word),
            accumulator.first.eq(self.first),
            accumulator.valid.eq(self.valid),
            accumulator.constant.eq(self.constant),
        ]
        m.d.comb += [
            counts.i.sign.eq(bits),
            counts.i.inputs.eq(inputs),
            accumulator.count.eq(counts.counts[0]),
            accumulator.carry.eq(counts.carries),
            self.total.eq(accumulator.total),
        ]
        return m


class Counting(wiring.Component):
    """A popcount of a register that is shifted in through one pin."""

    def __init__(self, width: int):
        self.popcount = Popcount(width)
        super().__init__({"serial": In(1), "o": Out(range(width + 1))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.popcount = popcount = self.popcount
        bits = Signal(self.popcount.width)
        m.d.sync += bits.eq(Cat(self.serial, bits))
        m.d.comb += [popcount.i.eq(bits), self.o.eq(popcount.o)]
        return m


def _layer(neurons: int, outputs: int = 1024) -> LayerPlan:
    return LayerPlan("unit", 0, 1024, outputs, 1, False, 64, neurons)


@dataclass(frozen=True)
class Row:
    """A unit: what it is, operations of a cycle, and how it is made."""

    about: str
    ops: int
    make: Callable[[], wiring.Component]


ROWS = {
    "a": Row(
        "8 neurons x 64 lanes, n = 1024: XNOR-popcount, accumulators, thresholds, control",
        512,
        lambda: Unit(Unbuffered, _layer(8)),
    ),
    "a-buffer": Row(
        "the same, with input buffer and read control", 512, lambda: Unit(Sums, _layer(8))
    ),
    "a-agree": Row(
        "as a, the XNOR done by sense amplifiers",
        512,
        lambda: Unit(Unbuffered, _layer(8), stored=False),
    ),
    "b": Row(
        "one neuron x 64 lanes: XNOR-popcount, accumulator with threshold",
        64,
        lambda: Element(_layer(1)),
    ),
    "c": Row(
        "popcount alone, 63 lanes, the XNOR done by sense amplifiers", 63, lambda: Counting(63)
    ),
}
