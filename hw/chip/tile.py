# SPDX-License-Identifier: BSD-2-Clause
"""One memory module and the counting beside it."""

from amaranth.hdl import C, Cat, Module, Shape, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..accumulator import range_shape
from ..popcount import Popcount
from .design import Design


def tile_read(design: Design) -> data.StructLayout:
    """A read: the word line, and an input and an enable bit for each weight column."""
    columns = {"inputs": design.weights, "enable": design.weights}
    return data.StructLayout({"row": range(max(design.rows, 2)), **columns})


class Tile(wiring.Component):
    """Reads a word line of weights and threshold, and gives the difference.

    A result waits in the array while ``sensed`` until a cycle with ``take``; the difference is
    there ``delay`` cycles after that one.

    Parameters
    ----------
    design : sizes
    array : a component of ``ArraySignature(design.rows, design.columns)``

    Members
    -------
    i : In(stream of :func:`tile_read`)
    sensed : Out(1)
    take : In(1), only while ``sensed``
    difference : Out
    """

    def __init__(self, design: Design, array: wiring.Component):
        self.design = design
        self.array = array
        self.popcount = Popcount(design.weights)
        super().__init__(
            {
                "i": In(stream.Signature(tile_read(design))),
                "sensed": Out(1),
                "take": In(1),
                "difference": Out(self.shape(design)),
            }
        )

    @staticmethod
    def shape(design: Design) -> Shape:
        """The shape of a difference."""
        return range_shape(-design.most, design.weights)

    @property
    def delay(self) -> int:
        """Cycles from ``take`` to the difference."""
        return self.popcount.delay + 1

    def elaborate(self, platform):
        # The threshold's columns see a 1, so they agree where a 1 is stored.
        m = Module()
        array, design = self.array, self.design
        m.submodules.array = array
        m.submodules.popcount = popcount = self.popcount
        ones = C((1 << design.threshold_bits) - 1, design.threshold_bits)
        m.d.comb += [
            array.i.valid.eq(self.i.valid),
            self.i.ready.eq(array.i.ready),
            array.i.payload.row.eq(self.i.payload.row),
            array.i.payload.inputs.eq(Cat(self.i.payload.inputs, ones)),
            array.i.payload.enable.eq(Cat(self.i.payload.enable, ones)),
            self.sensed.eq(array.o.valid),
            array.o.ready.eq(self.take),
            popcount.i.eq(array.o.payload.agree[: design.weights]),
        ]
        threshold = array.o.payload.agree[design.weights :]
        for stage in range(popcount.delay):
            later = Signal(design.threshold_bits, name=f"threshold{stage}", reset_less=True)
            m.d.sync += later.eq(threshold)
            threshold = later
        m.d.sync += self.difference.eq(popcount.o - threshold)
        return m
