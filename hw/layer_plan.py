# SPDX-License-Identifier: BSD-2-Clause
"""How one layer is computed: which synapses a read covers, and in which order.

A read has two arrangements, which give the same bits. *Inputs on columns*: a word line belongs to
the neurons, a column to an input, and the agreeing columns of a neuron are counted by a tree of
adders. *Inputs on rows*: a word line belongs to an input, whose bit goes to every column, a column
belongs to a neuron, and each column has a counter.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from ..model.nodes import Weights
from ..model.reads import ArrayReads
from .gearbox import beats
from .window import Window


class Arrangement(StrEnum):
    """What the word lines and the columns of a layer's array belong to."""

    COLUMNS = "columns"  # inputs on columns: parallel to sequential
    ROWS = "rows"  # inputs on rows: sequential to parallel


@dataclass(frozen=True)
class LayerPlan:
    """How one dense layer, convolution or head is computed.

    A convolution is a dense layer of each of its windows, one after the other.

    Word line ``group * folds + fold`` holds the synapses of ``neurons`` neurons with ``lanes``
    inputs: with inputs on columns neuron by neuron, with inputs on rows input by input. The last
    group and the last fold may be partial.

    Parameters
    ----------
    name : of the component
    node : index in the graph
    inputs, outputs : n and m
    planes : bit-planes of an input that are added up, plane weights 2^k
    ternary : whether synapses can be zero
    lanes : inputs of one read
    neurons : neurons of one read
    arrangement : of the columns
    cycles_per_read : of its array
    presentations : of an image, the numbers that can be chosen; empty where there are none
    equal : whether presentations are its planes, all of weight 1; else it makes so many passes
    parallel : whether one read serves all planes, see :mod:`~.parallel`
    channels : where inputs come position by position, those of each; else 0
    window : of a convolution, whose inputs are those of a window
    """

    name: str
    node: int
    inputs: int
    outputs: int
    planes: int
    ternary: bool
    lanes: int
    neurons: int
    arrangement: Arrangement = Arrangement.COLUMNS
    cycles_per_read: int = 1
    presentations: tuple[int, ...] = ()
    equal: bool = False
    parallel: bool = False
    channels: int = 0
    window: Window | None = None

    @property
    def plane_reads(self) -> int:
        """Reads of a word line for a vector: one for each plane, or one for all."""
        return 1 if self.parallel else self.planes

    @property
    def passes(self) -> int:
        """How often the layer computes all its neurons for an image, at most."""
        return 1 if self.equal else max(self.presentations, default=1)

    @property
    def pixel_bits(self) -> int:
        """Bits of each input in the words that it takes; planes of equal weight come one by one."""
        return 1 if self.equal else self.planes

    @property
    def plane_weight(self) -> int:
        """Sum of the planes' weights, at most."""
        return self.planes if self.equal else (1 << self.planes) - 1

    @property
    def on_one_lane(self) -> "LayerPlan":
        """The same layer, one input of one neuron a cycle: what a plan starts from."""
        return replace(
            self,
            lanes=1,
            neurons=1,
            arrangement=Arrangement.COLUMNS,
            cycles_per_read=1,
            parallel=False,
        )

    def shown(self, presentations: int) -> "LayerPlan":
        """The layer as it works with a number of presentations."""
        if not self.presentations:
            return self
        planes = presentations if self.equal else self.planes
        return replace(self, presentations=(presentations,), planes=planes)

    @property
    def folds(self) -> int:
        """Reads that cover all inputs of a plane."""
        return beats(self.inputs, self.lanes)

    @property
    def groups(self) -> int:
        """Groups of neurons."""
        return beats(self.outputs, self.neurons)

    @property
    def rows(self) -> int:
        """Word lines of the array."""
        return self.groups * self.folds

    @property
    def columns(self) -> int:
        """Columns of the array: the XNORs of a cycle."""
        return self.lanes * self.neurons

    @property
    def reads_per_group(self) -> int:
        """Reads that give ``neurons`` sums."""
        return self.plane_reads * self.folds

    @property
    def cycles_per_group(self) -> int:
        """Cycles of these reads."""
        return self.reads_per_group * self.cycles_per_read

    @property
    def interval(self) -> int:
        """Cycles between two groups, at least: those of the fewest presentations."""
        fewest = self.shown(min(self.presentations)) if self.presentations else self
        return fewest.cycles_per_group

    @property
    def positions(self) -> int:
        """Vectors of an image: the windows of a convolution, else one."""
        return 1 if self.window is None else self.window.positions

    @property
    def tap_rows(self) -> int:
        """Rows of a window that a read covers: one, or all of them."""
        return 1 if self.window is None else max(self.lanes // self.channels, 1)

    @property
    def word(self) -> int:
        """Pixels of a word that comes in."""
        return self.lanes // self.tap_rows

    @property
    def beat(self) -> int:
        """Neurons of a beat that leaves."""
        return self.neurons

    @property
    def elements(self) -> int:
        """Elements that come in for an image."""
        return self.inputs if self.window is None else self.channels * self.window.pixels

    @property
    def reads(self) -> int:
        """Reads an image."""
        return self.passes * self.positions * self.groups * self.reads_per_group

    @property
    def cycles(self) -> int:
        """Cycles an image keeps the layer busy: those of its reads or, where windows skip much of
        it, of its words."""
        words = 0 if self.window is None else self.passes * self.elements // self.word
        return max(self.reads * self.cycles_per_read, words)

    @property
    def overhead(self) -> int:
        """Rough logic cells beside the lanes: an accumulator and a threshold for each neuron, and
        for each lane of a read the memory port and the choice of a plane. It decides between
        foldings of equal lanes and cycles, and nothing else."""
        return 30 * self.neurons + 3 * self.lanes * self.pixel_bits

    @property
    def memory_bits(self) -> int:
        """Bits of the array, the unused ones of partial tiles included."""
        return self.rows * self.bits_per_read

    @property
    def bits_per_read(self) -> int:
        """Bits of a word line."""
        return self.columns * (2 if self.ternary else 1)

    @property
    def counter_bits(self) -> int:
        """Bits of the sums that a read adds to: a counter or accumulator for each of its neurons,
        wide enough for any threshold."""
        most = self.inputs * self.plane_weight
        return self.neurons * (1 + (most + 1).bit_length())

    @property
    def array_reads(self) -> ArrayReads:
        """The order in which the array is read."""
        by_neuron = self.arrangement is Arrangement.COLUMNS
        size = (self.inputs, self.outputs, self.lanes, self.neurons)
        order = self.channels, self.tap_rows
        return ArrayReads(self.node, *size, by_neuron, self.parallel, *order)

    def column(self, neuron: int, lane: int) -> int:
        """The column on which a neuron of the group meets an input of the read."""
        if self.arrangement is Arrangement.COLUMNS:
            return neuron * self.lanes + lane
        return lane * self.neurons + neuron

    def word_lines(self, synapses: np.ndarray) -> np.ndarray:
        """Bits (outputs, *inputs) laid out as (rows, columns); unused cells are 0."""
        padded = np.zeros((self.groups * self.neurons, self.folds * self.lanes), dtype=np.uint8)
        flat = np.reshape(synapses, (self.outputs, self.inputs))
        padded[: self.outputs, : self.inputs] = flat[:, self.array_reads.sources]
        tiles = padded.reshape(self.groups, self.neurons, self.folds, self.lanes)
        by_column = self.arrangement is Arrangement.COLUMNS
        order = (0, 2, 1, 3) if by_column else (0, 2, 3, 1)
        return tiles.transpose(order).reshape(self.rows, self.columns)

    def contents(self, weights: Weights) -> tuple[np.ndarray, np.ndarray | None]:
        """Signs of the weights and, when ternary, which are active, as word lines."""
        active = None if weights.active is None else self.word_lines(weights.active)
        return self.word_lines(weights.sign), active
