# SPDX-License-Identifier: BSD-2-Clause
"""What an array returns becomes a count for each neuron of the read.

Both forms take a read every cycle and give its counts ``delay`` cycles later. Of a neuron's lanes
the last is left uncounted: it enters the accumulator as a carry, where it costs no adder.
"""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .layer_plan import LayerPlan
from .popcount import Popcount, XnorPopcount


class Counts(wiring.Component):
    """The signature of both forms.

    Parameters
    ----------
    layer : the plan
    layout : of what the array returns for its columns
    most : greatest count of a neuron
    carried : whether one of it comes as a carry; a neuron of a single lane has none

    Members
    -------
    i : In(layout)
    counts : Out, of each neuron
    carries : Out, one more to add for each neuron; of no width when there is none
    """

    def __init__(self, layer: LayerPlan, layout: data.Layout, most: int, *, carried: bool = True):
        self.layer = layer
        self.carried = carried and most > 1
        self.width = most - self.carried
        super().__init__(
            {
                "i": In(layout),
                "counts": Out(data.ArrayLayout(range(self.width + 1), layer.neurons)),
                "carries": Out(layer.neurons if self.carried else 0),
            }
        )

    @property
    def most(self) -> int:
        """Greatest count, the carry included."""
        return self.width + self.carried

    def gather(self, columns: Value, neuron: int) -> Value:
        """The columns of one neuron of the group, in the order of their inputs."""
        lanes = range(self.layer.lanes)
        return Value.cast(Cat(columns[self.layer.column(neuron, lane)] for lane in lanes))

    def carry(self, m: Module, lanes: Value, delay: int) -> None:
        """The uncounted lane of each neuron, beside the counts."""
        for stage in range(delay):
            later = Signal(len(lanes), name=f"carry{stage}", reset_less=True)
            m.d.sync += later.eq(lanes)
            lanes = later
        m.d.comb += self.carries.eq(lanes)


class AgreeCounts(Counts):
    """Counts agree bits: for an array whose sense amplifiers did the XNOR.

    Ternary lanes count twice, as agree and as not disagree: agree - disagree is the ones of both
    less one for every lane.
    """

    def __init__(self, layer: LayerPlan):
        columns = {"agree": layer.columns, "active": layer.columns}
        super().__init__(layer, data.StructLayout(columns), layer.lanes * (1 + layer.ternary))
        self.popcounts = [Popcount(self.width) for _ in range(layer.neurons)]

    @staticmethod
    def of(array: wiring.Component) -> Value:
        """What it takes from an array."""
        return array.o.payload

    @property
    def delay(self) -> int:
        """Cycles from a result to its counts."""
        return self.popcounts[0].delay

    def elaborate(self, platform):
        m = Module()
        last = []
        for neuron, popcount in enumerate(self.popcounts):
            m.submodules[f"popcount{neuron}"] = popcount
            lanes = self.gather(self.i.agree, neuron)
            if self.layer.ternary:
                lanes = Cat(lanes, lanes | ~self.gather(self.i.active, neuron))
            m.d.comb += [popcount.i.eq(lanes[: self.width]), self.counts[neuron].eq(popcount.o)]
            last.append(lanes[self.width :])
        self.carry(m, Cat(last), self.delay)
        return m


class StoredCounts(Counts):
    """Counts stored signs that equal their inputs: for a memory of binary weights that shows both.

    The XNOR is part of the counting, see :class:`~.popcount.XnorPopcount`. All neurons of a read
    see the same inputs.
    """

    def __init__(self, layer: LayerPlan):
        columns = {"sign": layer.columns, "inputs": layer.columns}
        super().__init__(layer, data.StructLayout(columns), layer.lanes)
        self.popcount = XnorPopcount(self.width, layer.neurons)

    @staticmethod
    def of(array: wiring.Component) -> Value:
        """What it takes from an array."""
        return array.stored

    @property
    def delay(self) -> int:
        """Cycles from a result to its counts."""
        return self.popcount.delay

    def elaborate(self, platform):
        m = Module()
        m.submodules.popcount = popcount = self.popcount
        inputs = self.gather(self.i.inputs, 0)
        m.d.comb += [popcount.inputs.eq(inputs[: self.width]), self.counts.eq(popcount.o)]
        last = []
        for neuron in range(self.layer.neurons):
            signs = self.gather(self.i.sign, neuron)
            m.d.comb += popcount.signs[neuron].eq(signs[: self.width])
            last.append(~(signs ^ inputs)[self.width :])
        self.carry(m, Cat(last), self.delay)
        return m


def counts_for(array: wiring.Component, layer: LayerPlan) -> Counts:
    """The form that fits what the array shows."""
    return StoredCounts(layer) if "stored" in array.signature.members else AgreeCounts(layer)
