# SPDX-License-Identifier: BSD-2-Clause
"""``Graph``: a trained network as frozen, validated nodes over bits and integers.

Logic 1 means +1, logic 0 means -1, ``sign(0) = +1`` and a product is an XNOR. A neuron fires when
its sum reaches its threshold, ``sum >= T``:

* binary weights: the sum is the plane-weighted count of agreeing bits, ``sum_k w_k p_k``, and
  ``0 <= T <= n W + 1`` for ``n`` inputs and plane weights of total ``W``; the ends are the constant
  neurons;
* ternary weights: the sum is ``sum_k w_k (agree_k - disagree_k)`` over the synapses that are not
  zero, and ``-n W <= T <= n W + 1``.

Nothing here imports torch.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .checks import MAX_POSITIONS, MAX_SUM, MAX_SYNAPSES, GraphError, require
from .nodes import Conv, Dense, Flatten, Head, Input, MaxPool, Node, Weights
from .planes import BINARY, Binary, Planes, Stochastic


@dataclass(frozen=True)
class Value:
    """What flows between nodes: ``shape`` without the batch, and the planes that show it."""

    shape: tuple[int, ...]
    planes: Planes = BINARY

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class Graph:
    """A chain of nodes from one ``Input`` to one ``Head``, checked node by node.

    Raises :class:`GraphError` naming the first node that does not fit what flows into it.
    """

    nodes: tuple[Node, ...]
    name: str = "network"
    values: tuple[Value, ...] = field(init=False)

    def __post_init__(self):
        nodes = tuple(self.nodes)
        object.__setattr__(self, "nodes", nodes)
        require(
            len(nodes) >= 2 and isinstance(nodes[0], Input) and isinstance(nodes[-1], Head),
            "A graph starts with an Input and ends with a Head",
        )
        require(
            self.name.isascii() and self.name.replace("-", "_").isidentifier(),
            f"A network's name is letters, digits, '-' and '_', not {self.name!r}",
        )
        value = Value(nodes[0].shape, nodes[0].planes)
        values = [value]
        for index, node in enumerate(nodes[1:], start=1):
            try:
                value = _infer(node, value)
            except GraphError as error:
                where = f"node {index} ({type(node).__name__})"
                raise GraphError(f"{where}: {error}") from None
            values.append(value)
        object.__setattr__(self, "values", tuple(values))

    @property
    def input(self) -> Input:
        """The first node."""
        return self.nodes[0]  # type: ignore[return-value]

    @property
    def head(self) -> Head:
        """The last node."""
        return self.nodes[-1]  # type: ignore[return-value]

    @property
    def classes(self) -> int:
        """How many scores an image gets."""
        return self.head.weights.outputs

    @cached_property
    def synapses(self) -> int:
        """Weights of all layers."""
        return sum(node.weights.sign.size for node in self.nodes if hasattr(node, "weights"))

    def steps(self) -> Iterator[tuple[int, Node, Value, Value]]:
        """(index, node, what flows in, what flows out) of every node but the input."""
        for index, node in enumerate(self.nodes[1:], start=1):
            yield index, node, self.values[index - 1], self.values[index]

    @property
    def repeated(self) -> bool:
        """Whether the network runs once for each presentation, and scores are summed."""
        return isinstance(self.input.planes, Stochastic) and self.input.planes.repeated

    def presentations(self, asked: int | None = None) -> int:
        """How often an image is shown: the number asked for, by default the first supported one,
        and 1 for inputs that are not stochastic.

        Raises ``ValueError`` with the supported numbers when the one asked for is not among them.
        """
        planes = self.input.planes
        if not isinstance(planes, Stochastic):
            if asked is not None:
                raise ValueError(
                    f"{self.name} has no stochastic input, so no presentations to choose"
                )
            return 1
        if asked is None:
            return planes.presentations[0]
        if asked not in planes.presentations:
            allowed = ", ".join(map(str, planes.presentations))
            raise ValueError(f"{self.name} supports {allowed} presentations, not {asked}")
        return asked

    def variant(self, presentations: int | None) -> int:
        """Index of the threshold vectors for a number of presentations (``None``: the first).

        Raises ``ValueError`` as :meth:`presentations` does.
        """
        count, planes = self.presentations(presentations), self.input.planes
        return planes.presentations.index(count) if planes.variants > 1 else 0


def sum_range(weights: Weights, total: int) -> tuple[int, int]:
    """Least and greatest sum of a neuron whose plane weights add up to ``total``."""
    most = weights.fan_in * total
    return (-most if weights.ternary else 0), most


def _check_sums(
    weights: Weights, thresholds: np.ndarray | None, value: Value, variants: int
) -> None:
    """Checks that no sum overflows and that each variant's thresholds lie in its range."""
    require(
        variants == value.planes.variants,
        f"{variants} threshold vectors for {value.planes.variants} variants of the input",
    )
    for variant in range(variants):
        total = sum(value.planes.weights(variant))
        least, most = sum_range(weights, total)
        require(most <= MAX_SUM, f"sums up to {most} exceed {MAX_SUM}")
        if thresholds is not None:
            low, high = int(thresholds[variant].min()), int(thresholds[variant].max())
            require(
                least <= low and high <= most + 1,
                f"thresholds from {low} to {high} leave the range {least} to {most + 1}",
            )


def _infer(node: Node, value: Value) -> Value:
    """What ``node`` makes of ``value``; raises GraphError when it does not fit."""
    match node:
        case Input():
            raise GraphError("only the first node is an Input")
        case Flatten():
            return Value((value.size,), value.planes)
        case MaxPool():
            return _infer_pool(node, value)
        case Conv():
            return _infer_conv(node, value)
        case Dense() | Head():
            shape = (node.weights.fan_in,)
            require(node.weights.sign.ndim == 2, "weights must be (outputs, inputs)")
            require(value.shape == shape, f"takes shape {shape}, not {value.shape}")
            outputs = node.weights.outputs
            thresholds = node.thresholds if isinstance(node, Dense) else None
            table = node.thresholds if isinstance(node, Dense) else node.offsets
            require(table.shape[-1] == outputs, f"{table.shape[-1]} constants, {outputs} outputs")
            if thresholds is not None:
                require(thresholds.shape[1] == 1, "a dense layer has one threshold class")
            _check_sums(node.weights, thresholds, value, len(table))
            return Value((outputs,))


def _infer_pool(node: MaxPool, value: Value) -> Value:
    require(isinstance(value.planes, Binary), "pools bits, not multi-bit pixels")
    require(
        len(value.shape) == 1 + len(node.kernel),
        f"{len(node.kernel)} spatial axes, but the input has shape {value.shape}",
    )
    require(
        len(node.conjunction) == value.shape[0],
        f"{len(node.conjunction)} mode bits for {value.shape[0]} channels",
    )
    size = node.output_size(value.shape[1:])
    require(min(size) > 0, f"kernel {node.kernel} is larger than the input {value.shape}")
    return Value((value.shape[0], *size))


def _infer_conv(node: Conv, value: Value) -> Value:
    weights = node.weights
    require(
        len(value.shape) == weights.sign.ndim - 1 and value.shape[0] == weights.sign.shape[1],
        f"weights {weights.sign.shape} do not fit an input of shape {value.shape}",
    )
    size = node.output_size(value.shape[1:])
    require(min(size) > 0, f"kernel {node.kernel} is larger than the padded input {value.shape}")
    positions = math.prod(size)
    require(positions <= MAX_POSITIONS, f"{positions} positions, more than {MAX_POSITIONS}")
    classes = node.border_classes(value.shape[1:])
    expected = (classes, weights.outputs)
    require(
        node.thresholds.shape[1:] == expected,
        f"thresholds (classes, outputs) must be {expected}, not {node.thresholds.shape[1:]}",
    )
    inputs = classes * weights.fan_in
    require(
        inputs <= MAX_SYNAPSES,
        f"{classes} border classes of {weights.fan_in} inputs, more than {MAX_SYNAPSES} together",
    )
    _check_sums(weights, node.thresholds, value, len(node.thresholds))
    return Value((weights.outputs, *size))
