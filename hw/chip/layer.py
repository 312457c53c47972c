# SPDX-License-Identifier: BSD-2-Clause
"""A layer of neurons on modules that hold weights and thresholds."""

from collections.abc import Callable

import numpy as np
from amaranth.hdl import C, Cat, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..arrays.digital import DigitalArray
from ..outbox import Outbox
from .design import Design, Mode
from .tile import Tile

#: Makes the array of a module from its name and its contents (rows, columns).
ModuleFactory = Callable[[str, np.ndarray], wiring.Component]


def digital_module(name: str, contents: np.ndarray) -> DigitalArray:
    """A module of ordinary memory."""
    return DigitalArray(contents)


class TileLayer(wiring.Component):
    """Neurons in ``blocks`` times ``groups`` modules, a word line of all of them at a time.

    A vector is read in ``cycles`` cycles, and vectors follow each other without a bubble. Word line
    ``k`` of every block leaves as one beat: neurons ``k``, ``rows + k``, and so on. A stall at the
    output stops the layer at a later word line.

    Parameters
    ----------
    design : sizes of the modules
    contents : uint8 (blocks, groups, rows, columns), see :meth:`.design.Design.contents`
    inputs, outputs : of the layer
    mode : how groups are joined
    modules : makes the arrays; all take the same number of cycles a read

    Members
    -------
    i : In(stream of ``inputs`` bits)
    o : Out(stream: fired, totals), for each block: whether the neuron fires, and the sum of its
        differences or its votes. What lies behind the last neuron means nothing.
    i_program : In(stream: tile, row, bits), programs a word line of module ``block * groups +
        group``; vectors inside then meet old and new contents
    """

    def __init__(
        self,
        design: Design,
        contents: np.ndarray,
        *,
        inputs: int,
        outputs: int,
        mode: Mode = Mode.PARTIAL_SUMS,
        modules: ModuleFactory = digital_module,
    ):
        self.design = design
        self.inputs = inputs
        self.outputs = outputs
        self.mode = Mode(mode)
        self.blocks, self.groups = design.blocks(outputs), design.groups(inputs)
        expected = (self.blocks, self.groups, design.rows, design.columns)
        if np.shape(contents) != expected:
            raise ValueError(f"The modules hold {expected}, not {np.shape(contents)}")
        self.contents = contents
        self.tiles = {
            (b, g): Tile(design, modules(f"tile{b}-{g}", contents[b, g]))
            for b, g in np.ndindex(self.blocks, self.groups)
        }
        self.arrays = [tile.array for tile in self.tiles.values()]
        fields = {"fired": self.blocks, "totals": data.ArrayLayout(self.total_shape, self.blocks)}
        program = {"tile": range(max(len(self.tiles), 2)), "row": range(max(design.rows, 2))}
        program["bits"] = design.columns
        super().__init__(
            {
                "i": In(stream.Signature(inputs)),
                "i_program": In(stream.Signature(data.StructLayout(program))),
                "o": Out(stream.Signature(data.StructLayout(fields))),
            }
        )

    @property
    def total_shape(self) -> Shape:
        """The shape of a total."""
        if self.mode is Mode.MAJORITY_VOTE:
            return Shape.cast(range(self.groups + 1))
        one = Tile.shape(self.design)
        return Shape(one.width + (self.groups - 1).bit_length(), signed=True)

    @property
    def reads(self) -> int:
        """Word lines that are read for a vector."""
        return min(self.design.rows, self.outputs)

    @property
    def cycles(self) -> int:
        """Cycles a vector keeps the layer busy."""
        return self.reads * self.arrays[0].cycles_per_read

    @property
    def latency(self) -> int:
        """Cycles from the issue of a read to its total."""
        return 1 + self.arrays[0].latency + self.tiles[0, 0].delay + 1

    def model(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Totals, and which neurons fire: bits (vectors, inputs) to (vectors, outputs) each."""
        differences = self.design.differences(self.contents, inputs)[:, : self.outputs]
        return self.design.decide(differences, self.mode)

    def elaborate(self, platform):
        m = Module()
        for (b, g), tile in self.tiles.items():
            m.submodules[f"tile{b}_{g}"] = tile
        self._program(m)
        interval = self.arrays[0].cycles_per_read
        depth = Outbox.depth_for(self.latency, interval)
        m.submodules.outbox = outbox = Outbox(self.o.payload.shape(), depth)
        connect(m, outbox.o, flipped(self.o))
        m.d.comb += outbox.reserve.eq(self._issue(m, outbox.room))
        totals = self._totals(m)
        valid = self._collect(m)
        m.d.comb += outbox.put.eq(valid)
        threshold = (self.groups + 1) // 2 if self.mode is Mode.MAJORITY_VOTE else 0
        for block, total in enumerate(totals):
            m.d.comb += [
                outbox.beat.totals[block].eq(total),
                outbox.beat.fired[block].eq(total >= threshold),
            ]
        return m

    def _issue(self, m: Module, room: Value) -> Value:
        """Holds a vector and shows it word line by word line; returns when a read is issued."""
        vector = Signal(self.inputs)
        held = Signal()
        row = Signal(range(max(self.design.rows, 2)))
        tiles = list(self.tiles.values())
        taken = Signal(len(tiles))  # tiles that have taken this read already
        offered = Signal()
        start = Signal()
        last = Signal()
        takes = Cat(tile.i.valid & tile.i.ready for tile in tiles)
        advance = offered & (taken | takes).all()
        m.d.comb += [
            last.eq(row == self.reads - 1),
            self.i.ready.eq(~held | (advance & last)),
            start.eq(held & ~offered & room),
        ]
        # A read is offered until every tile has it; the next may follow in the same cycle.
        more = Signal()
        m.d.comb += more.eq(advance & (~last | self.i.valid) & room)
        m.d.sync += [
            taken.eq(Mux(advance, 0, taken | takes)),
            offered.eq(Mux(offered, ~advance | more, start)),
        ]
        with m.If(advance):
            m.d.sync += row.eq(Mux(last, 0, row + 1))
        with m.If(self.i.ready):
            m.d.sync += [held.eq(self.i.valid), vector.eq(self.i.payload)]
        whole = self.groups * self.design.weights
        shown = Signal(whole)
        enable = C((1 << self.inputs) - 1, whole)
        m.d.comb += shown.eq(vector)
        for index, ((_, group), tile) in enumerate(self.tiles.items()):
            part = slice(group * self.design.weights, (group + 1) * self.design.weights)
            m.d.comb += [
                tile.i.valid.eq(offered & ~taken[index]),
                tile.i.payload.row.eq(row),
                tile.i.payload.inputs.eq(shown[part]),
                tile.i.payload.enable.eq(enable[part]),
            ]
        return start | more

    def _program(self, m: Module) -> None:
        line = self.i_program
        for index, array in enumerate(self.arrays):
            mine = line.payload.tile == index
            m.d.comb += [
                array.i_program.valid.eq(line.valid & mine),
                array.i_program.payload.row.eq(line.payload.row),
                array.i_program.payload.sign.eq(line.payload.bits),
            ]
            with m.If(mine):
                m.d.comb += line.ready.eq(array.i_program.ready)

    def _collect(self, m: Module) -> Value:
        """Takes a result when all tiles have theirs; returns when its totals are there."""
        take = Signal()
        m.d.comb += take.eq(Cat(tile.sensed for tile in self.tiles.values()).all())
        m.d.comb += [tile.take.eq(take) for tile in self.tiles.values()]
        valid = take
        for stage in range(self.tiles[0, 0].delay + 1):
            later = Signal(name=f"valid{stage}")
            m.d.sync += later.eq(valid)
            valid = later
        return valid

    def _totals(self, m: Module) -> list[Signal]:
        totals = []
        for block in range(self.blocks):
            terms = [self.tiles[block, group].difference for group in range(self.groups)]
            if self.mode is Mode.MAJORITY_VOTE:
                terms = [~term[-1] for term in terms]
            total = Signal(self.total_shape, name=f"total{block}")
            m.d.sync += total.eq(_sum(terms))
            totals.append(total)
        return totals


def _sum(terms: list[Value]) -> Value:
    """The sum of terms, as a balanced tree."""
    while len(terms) > 1:
        pairs = [terms[k : k + 2] for k in range(0, len(terms), 2)]
        terms = [pair[0] + pair[1] if len(pair) == 2 else pair[0] for pair in pairs]
    return terms[0]
