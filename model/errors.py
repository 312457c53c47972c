# SPDX-License-Identifier: BSD-2-Clause
"""Bit errors of the weight memory: which synapses are sensed wrong, and when.

*Persistent* errors belong to a programming. They are drawn once for each logical synapse (node,
neuron, input), so they are the same for every plan and every executor, and reach hardware as stored
contents.

*Transient* errors belong to a read: they flip what the sense amplifiers latch, anew each time, and
follow the order in which an array is read. The latched bits of all reads of an image form a row,
read by read, and the errors of the image are positions in that row, drawn by
:func:`~twincell.model.generators.error_positions`. A read latches one bit a column, *agree*; with
ternary weights two, first *agree* of all columns and then *disagree* of all columns, where both or
neither mean a product of zero. Errors also fall on columns that are not enabled, which show none.

Nothing here imports torch.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from . import draws
from .checks import frozen
from .draws import LEAST_READ_RATE, MOST_RATE, READ, Rate
from .generators import start
from .graph import Graph
from .nodes import Weights


@dataclass(frozen=True, eq=False)
class LayerErrors:
    """The errors of one node's array.

    Parameters
    ----------
    synapses : int64 (n,), ascending flat indices into the node's weights
    states : int8 (n,), what those synapses are sensed as: -1, 0 or +1
    rate : probability of a read error of a latched bit
    start : the generator's registers at image 0
    """

    synapses: np.ndarray
    states: np.ndarray
    rate: float = 0.0
    start: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self):
        object.__setattr__(self, "synapses", frozen(self.synapses, np.int64))
        object.__setattr__(self, "states", frozen(self.states, np.int8))

    def sensed(self, weights: Weights) -> Weights:
        """The weights as they are sensed."""
        signed = weights.signed().reshape(-1)
        signed[self.synapses] = self.states
        signed = signed.reshape(weights.sign.shape)
        return Weights(signed > 0, signed != 0 if weights.ternary else None)

    def merged(self, later: "LayerErrors") -> "LayerErrors":
        """These persistent errors, and ``later`` ones where a synapse has both."""
        kept = ~np.isin(self.synapses, later.synapses)
        synapses = np.concatenate([self.synapses[kept], later.synapses])
        states = np.concatenate([self.states[kept], later.states])
        order = np.argsort(synapses)
        return replace(self, synapses=synapses[order], states=states[order])


@dataclass(frozen=True, eq=False)
class ErrorMap:
    """The errors of every array of one network.

    Parameters
    ----------
    layers : by the node's index in the graph; nodes without errors may be left out
    shapes : of the weights, and whether they are ternary, by the node's index
    """

    layers: Mapping[int, LayerErrors]
    shapes: Mapping[int, tuple[tuple[int, ...], bool]] = field(default_factory=dict)

    @classmethod
    def draw(
        cls,
        graph: Graph,
        seed: int,
        *,
        persistent: Rate | Mapping[int, Rate] = 0.0,
        transient: float | Mapping[int, float] = 0.0,
        stuck: float | Mapping[int, float] = 0.0,
    ) -> "ErrorMap":
        """Draws the errors of one programming, and seeds those of its reads.

        Parameters
        ----------
        seed : 0 to ``2^64 - 1``
        persistent : for all arrays or by the node's index. A number is the mean error rate: of
            sign flips, and of ternary weights that move by one state [CODE, Quantized_VGG: a zero
            twice as often as another]. An array (states, states) is the probability of each sensed
            state given the programmed one, states being -1, +1 or -1, 0, +1; an array of the
            weights' shape is a rate for each cell; with one more axis, a distribution for each.
        transient : rate of the read errors, 0 or 2^-24 to 0.5
        stuck : share of cells that always read one and the same state, all states equally often

        Rates below 2^-40 draw nothing. Raises ``ValueError`` for rates out of range and for nodes
        that have no weights.
        """
        found = dict(_weighted(graph))
        persistent, transient, stuck = (
            _by_node(name, given, found)
            for name, given in (
                ("persistent", persistent),
                ("transient", transient),
                ("stuck", stuck),
            )
        )
        layers = {}
        for node, weights in found.items():
            layer = LayerErrors(*draws.persistent(weights, persistent[node], seed, node))
            if stuck[node]:
                share = draws.checked(stuck[node], 1.0)
                layer = layer.merged(LayerErrors(*draws.stuck(weights, share, seed, node)))
            rate = draws.checked(transient[node], MOST_RATE, LEAST_READ_RATE)
            layers[node] = replace(layer, rate=rate, start=start(seed, READ, node))
        return cls(layers, {node: (w.sign.shape, w.ternary) for node, w in found.items()})

    def __or__(self, later: "ErrorMap") -> "ErrorMap":
        """These errors and ``later``'s, whose states and read errors win where both have some.

        Raises ``ValueError`` for errors of different networks, where both say of which they are.
        """
        for node in sorted(self.shapes.keys() & later.shapes.keys()):
            if (one := self.shapes[node]) != (other := later.shapes[node]):
                raise ValueError(
                    f"Errors of node {node} with {_weights(one)} do not go with errors of "
                    f"{_weights(other)}"
                )
        layers = dict(self.layers)
        for node, errors in later.layers.items():
            merged = layers[node].merged(errors) if node in layers else errors
            if errors.rate:
                merged = replace(merged, rate=errors.rate, start=errors.start)
            layers[node] = merged
        return ErrorMap(layers, {**self.shapes, **later.shapes})

    def check(self, graph: Graph) -> None:
        """Raises ``ValueError`` when the errors are of other weights than the graph's."""
        found = {node: (w.sign.shape, w.ternary) for node, w in _weighted(graph)}
        for node in sorted({*self.layers, *self.shapes}):
            if node not in found or self.shapes.get(node, found[node]) != found[node]:
                said = _weights(self.shapes[node]) if node in self.shapes else "weights"
                have = _weights(found[node]) if node in found else "no weights"
                raise ValueError(
                    f"The errors are of node {node} with {said}, but {graph.name} has {have} there"
                )
        for node, layer in self.layers.items():
            size = math.prod(found[node][0])
            if len(layer.synapses) and not 0 <= layer.synapses[0] <= layer.synapses[-1] < size:
                raise ValueError(f"Errors of node {node} leave its {size} synapses")
            states = (-1, 0, 1) if found[node][1] else (-1, 1)
            if not np.isin(layer.states, states).all():
                raise ValueError(f"Errors of node {node} have other states than {states}")

    def sensed(self, graph: Graph) -> Graph:
        """The graph with its weights as they are sensed.

        Raises ``ValueError`` when the errors are of other weights.
        """
        self.check(graph)
        nodes = [
            replace(node, weights=self.layers[index].sensed(node.weights))
            if index in self.layers and len(self.layers[index].synapses)
            else node
            for index, node in enumerate(graph.nodes)
        ]
        return Graph(tuple(nodes), graph.name)

    def flips(self, graph: Graph) -> dict[int, int]:
        """How many synapses of each node are sensed as something else than they are."""
        weights = dict(_weighted(graph))
        return {
            node: int((weights[node].signed().reshape(-1)[each.synapses] != each.states).sum())
            for node, each in self.layers.items()
        }

    @property
    def transient(self) -> bool:
        """Whether any array has read errors."""
        return any(layer.rate > 0 for layer in self.layers.values())


def _weights(shape: tuple[tuple[int, ...], bool]) -> str:
    return f"{'ternary ' * shape[1]}weights {shape[0]}"


def _weighted(graph: Graph) -> Iterator[tuple[int, Weights]]:
    for index, node in enumerate(graph.nodes):
        weights = getattr(node, "weights", None)
        if weights is not None:
            yield index, weights


def _by_node(name: str, given, found: Mapping[int, Weights]) -> dict:
    if not isinstance(given, Mapping):
        return dict.fromkeys(found, given)
    for node in given:
        if node not in found:
            nodes = ", ".join(map(str, found))
            raise ValueError(f"{name} rates are of nodes {nodes}, not of node {node!r}")
    return {node: given.get(node, 0.0) for node in found}
