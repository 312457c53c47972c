# SPDX-License-Identifier: BSD-2-Clause
"""The border of a memory chip: arrays whose sense amplifiers do the XNOR, seen from the logic."""

from amaranth.hdl import Module, Value
from amaranth.hdl._ir import PortDirection  # not exported; the version is pinned
from amaranth.lib import wiring

from ...model.nodes import Conv, Dense, Head
from ..arrays.signature import ArraySignature
from ..layer_plan import LayerPlan
from ..verilog import Ports


class Sensed(wiring.Component):
    """An array that is outside: what it takes and gives are pins, and no logic belongs to it.

    It stands for a macro with a read a cycle. Its cells, sense amplifiers and drivers are counted
    from a table; what programs it is not counted.

    Parameters
    ----------
    rows, columns : of the array
    """

    cycles_per_read = 1
    latency = 1

    def __init__(self, rows: int, columns: int):
        self._outside = ArraySignature(rows, columns).create()
        super().__init__(ArraySignature(rows, columns))

    def pins(self) -> Ports:
        """Further ports of the top that the array is in."""
        given, taken = self._outside.o, self._outside.i
        return {
            "i__payload": (taken.payload.as_value(), PortDirection.Output),
            "i__valid": (taken.valid, PortDirection.Output),
            "o__payload": (given.payload.as_value(), PortDirection.Input),
            "o__valid": (given.valid, PortDirection.Input),
        }

    def elaborate(self, platform):
        m = Module()
        given, taken = self._outside.o, self._outside.i
        m.d.comb += [
            Value.cast(taken.payload).eq(Value.cast(self.i.payload)),
            taken.valid.eq(self.i.valid),
            self.i.ready.eq(1),
            Value.cast(self.o.payload).eq(Value.cast(given.payload)),
            self.o.valid.eq(given.valid),
        ]
        return m


def sensed_array(node: Dense | Conv | Head, layer: LayerPlan) -> Sensed:
    """The array of a layer, outside."""
    return Sensed(layer.rows, layer.columns)
