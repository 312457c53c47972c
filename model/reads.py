# SPDX-License-Identifier: BSD-2-Clause
"""In which order arrays are read: plain data that a plan decides and every executor follows."""

import math
from dataclasses import dataclass

import numpy as np

from .graph import Graph
from .nodes import Conv, Dense, Head


def by_position(values: np.ndarray, channels: int, rows: int = 1) -> np.ndarray:
    """Values (..., elements) in PyTorch's order, channel by channel, as hardware takes them:
    position by position, all channels of each; or, of a window of so many rows, column by column.
    Without channels they stay as they are."""
    if not channels:
        return values
    shape = values.shape
    return values.reshape(*shape[:-1], channels, rows, -1).swapaxes(-1, -3).reshape(shape)


def flat_pixels(images: np.ndarray, pixels: int, bits: int) -> np.ndarray:
    """Images (N, ...) as rows of pixels (N, pixels), unsigned integers of so many bits.

    Raises ``ValueError`` when an image has another size, or for a pixel that is no such integer.
    """
    images = np.asarray(images)
    rows = images.reshape(len(images), math.prod(images.shape[1:]))
    if rows.shape[1] != pixels:
        raise ValueError(f"An image has {pixels} pixels, not {rows.shape[1]}")
    if not np.issubdtype(rows.dtype, np.integer) and rows.dtype != np.bool_:
        raise ValueError(f"Pixels must be integers, not {rows.dtype}")
    most = (1 << bits) - 1
    if rows.size and (rows.min() < 0 or rows.max() > most):
        raise ValueError(f"Pixels are 0 to {most}, not {rows.min()} to {rows.max()}")
    return rows


@dataclass(frozen=True)
class ArrayReads:
    """In which order the array of one layer is read for a vector: an image, or, of a convolution,
    each window of it, one after the other.

    A read covers ``lanes`` inputs of ``neurons`` neurons. Reads go through the folds of the inputs
    within the planes, the heaviest first, within the groups of neurons; :attr:`whole` pixels take
    one read for all planes, in which every column is shown a 1.

    Parameters
    ----------
    node : index in the graph
    inputs, outputs : of the node
    lanes, neurons : of a read
    by_neuron : a read's columns go neuron by neuron (inputs on columns), else input by input
    whole : a read serves all planes, as it latches what is stored; else a plane, as it latches
        whether that agrees
    channels : inputs come position by position, so many of each; 0 where they come in order
    tap_rows : rows of a window, where it comes column by column; else 1
    """

    node: int
    inputs: int
    outputs: int
    lanes: int
    neurons: int
    by_neuron: bool = True
    whole: bool = False
    channels: int = 0
    tap_rows: int = 1

    @property
    def folds(self) -> int:
        """Reads that cover all inputs of a plane."""
        return -(-self.inputs // self.lanes)

    @property
    def sources(self) -> np.ndarray:
        """The node's inputs in the order in which they are read, int (inputs,)."""
        return by_position(np.arange(self.inputs), self.channels, self.tap_rows)

    @property
    def groups(self) -> int:
        """Groups of neurons."""
        return -(-self.outputs // self.neurons)

    def steps(self, planes: int) -> int:
        """Reads of a word line for a vector of so many planes."""
        return 1 if self.whole else planes

    def bits(self, planes: int, ternary: bool) -> int:
        """Latched bits of a vector."""
        lines = 2 if ternary else 1
        reads = self.groups * self.steps(planes) * self.folds
        return reads * self.lanes * self.neurons * lines


@dataclass(frozen=True)
class ReadOrder:
    """The order of all arrays of a network: what a plan decides and every executor follows."""

    arrays: tuple[ArrayReads, ...]

    @classmethod
    def logical(cls, graph: Graph) -> "ReadOrder":
        """The order without a plan: a read covers all inputs of one neuron."""
        return cls(
            tuple(
                ArrayReads(index, node.weights.fan_in, node.weights.outputs, node.weights.fan_in, 1)
                for index, node in enumerate(graph.nodes)
                if isinstance(node, Dense | Conv | Head)
            )
        )

    def array(self, node: int) -> ArrayReads:
        """The order of one node's array; raises ``ValueError`` when there is none."""
        for each in self.arrays:
            if each.node == node:
                return each
        raise ValueError(f"Node {node} has read errors, but no order of reads")


def plane_order(weights: tuple[int, ...]) -> tuple[int, ...]:
    """Indices of the planes in the order in which they are read: the heaviest first."""
    return tuple(sorted(range(len(weights)), key=lambda k: -weights[k]))
