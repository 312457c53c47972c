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
from fractions import Fraction

import numpy as np

from .checks import frozen
from .generators import LEAST_RATE, error_positions, gap_table, random_words, start
from .graph import Graph
from .nodes import Dense, Head, Weights

LEAST_READ_RATE = 2.0**-24  # of the generator in hardware: five digits
MOST_RATE = 0.5

# The streams of random numbers of one seed.
_PERSISTENT, _CHOICE, _READ, _STUCK, _STUCK_STATE = range(1, 6)

Rate = float | np.ndarray


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
            layer = _drawn(weights, persistent[node], seed, node)
            if stuck[node]:
                layer = layer.merged(_stuck(weights, _checked(stuck[node], 1.0), seed, node))
            rate = _checked(transient[node], MOST_RATE, LEAST_READ_RATE)
            layers[node] = replace(layer, rate=rate, start=start(seed, _READ, node))
        return cls(layers, {node: (w.sign.shape, w.ternary) for node, w in found.items()})

    def __or__(self, later: "ErrorMap") -> "ErrorMap":
        """These errors and ``later``'s, whose states and read errors win where both have some."""
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
                have = "no weights" if node not in found else f"weights {found[node][0]}"
                raise ValueError(
                    f"The errors are of node {node} with {self.shapes.get(node, ('no',))[0]}, "
                    f"but {graph.name} has {have} there"
                )
        for node, layer in self.layers.items():
            size = math.prod(found[node][0])
            if len(layer.synapses) and not 0 <= layer.synapses[0] <= layer.synapses[-1] < size:
                raise ValueError(f"Errors of node {node} leave its {size} synapses")

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


@dataclass(frozen=True)
class ArrayReads:
    """In which order the array of one dense layer or head is read for an image.

    A read covers ``lanes`` inputs of ``neurons`` neurons. Reads go through the folds of the inputs
    within the planes, the heaviest first, within the groups of neurons.

    Parameters
    ----------
    node : index in the graph
    inputs, outputs : of the node
    lanes, neurons : of a read
    by_neuron : a read's columns go neuron by neuron (inputs on columns), else input by input
    """

    node: int
    inputs: int
    outputs: int
    lanes: int
    neurons: int
    by_neuron: bool = True

    @property
    def folds(self) -> int:
        """Reads that cover all inputs of a plane."""
        return -(-self.inputs // self.lanes)

    @property
    def groups(self) -> int:
        """Groups of neurons."""
        return -(-self.outputs // self.neurons)

    def bits(self, planes: int, ternary: bool) -> int:
        """Latched bits of an image."""
        lines = 2 if ternary else 1
        return self.groups * planes * self.folds * self.lanes * self.neurons * lines


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
                if isinstance(node, Dense | Head)
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


def transitions(weights: Weights, rate: float) -> np.ndarray:
    """Probability of each sensed state given the programmed one, for a mean error rate.

    Binary weights flip. Ternary ones move by one state: a zero to each side with ``q / 2``, others
    to zero with ``q / 2``, where ``q = 2 rate / (1 + share of zeros)``.
    """
    return _transitions(_zeros(weights.active) if weights.ternary else None, rate)


def draw_persistent(
    signed: np.ndarray, rate: float, seed: int, node: int, *, ternary: bool = False
) -> LayerErrors:
    """The persistent errors that :meth:`ErrorMap.draw` draws for a node with the weights
    ``signed``, any array of -1, (0) and +1, at a mean error rate."""
    matrix = _transitions(_zeros(signed) if ternary else None, _checked(rate, MOST_RATE))
    return _thinned(signed.reshape(-1), matrix, seed, node)


def _zeros(values: np.ndarray) -> float:
    return float((values == 0).mean())


def _transitions(zeros: float | None, rate: float) -> np.ndarray:
    """See :func:`transitions`; ``zeros`` is the share of zeros of ternary weights."""
    if zeros is None:
        return np.array([[1 - rate, rate], [rate, 1 - rate]])
    half = rate / (1 + zeros)
    return np.array([[1 - half, half, 0], [half, 1 - 2 * half, half], [0, half, 1 - half]])


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


def _checked(rate: float, most: float, least: float = 0.0) -> float:
    if not 0 <= rate <= most or 0 < rate < least:
        low = f"0 or {least:g}" if least else "0"
        raise ValueError(f"An error rate is {low} to {most:g}, not {rate!r}")
    return float(rate)


def _drawn(weights: Weights, rate: Rate, seed: int, node: int) -> LayerErrors:
    states = 3 if weights.ternary else 2
    if np.ndim(rate) == 0:
        signed = weights.signed()
        return draw_persistent(signed, float(rate), seed, node, ternary=weights.ternary)
    rate = np.asarray(rate, dtype=np.float64)
    shape = weights.sign.shape
    if rate.shape == (states, states):
        return _thinned(weights.signed().reshape(-1), _distributions(rate), seed, node)
    if rate.shape == shape and not weights.ternary:
        if not ((rate >= 0) & (rate <= 1)).all():
            raise ValueError(f"Rates of cells are 0 to 1, not {rate.min()} to {rate.max()}")
        stored = weights.sign[..., None] == np.arange(2)
        rate = np.where(stored, 1 - rate[..., None], rate[..., None])
    if rate.shape == (*shape, states):
        return _each(weights, _distributions(rate), seed, node)
    forms = f"({states}, {states}), {shape if not weights.ternary else ''} or {(*shape, states)}"
    raise ValueError(f"Persistent rates of node {node} are a number or {forms}, not {rate.shape}")


def _distributions(rows: np.ndarray) -> np.ndarray:
    """``rows`` if each is a distribution over sensed states; raises ``ValueError`` otherwise."""
    if not ((rows >= 0).all() and np.allclose(rows.sum(axis=-1), 1, rtol=0, atol=1e-9)):
        raise ValueError("The probabilities of the sensed states of each row must add up to 1")
    return rows


def _levels(states: int) -> np.ndarray:
    """The weights of the states in order."""
    return np.array([-1, 0, 1] if states == 3 else [-1, 1], dtype=np.int8)


def _thinned(signed: np.ndarray, matrix: np.ndarray, seed: int, node: int) -> LayerErrors:
    """Errors of weights -1, (0) and +1 in a row, drawn by their gaps at the rate of the worst
    state, and accepted at their own."""
    levels = _levels(len(matrix))
    exact = [[Fraction(float(p)) for p in row] for row in matrix]
    wrong = [sum(row) - row[state] for state, row in enumerate(exact)]
    worst = min(max(wrong), Fraction(1))
    if worst < LEAST_RATE:
        return LayerErrors([], [])
    hits = error_positions(start(seed, _PERSISTENT, node), gap_table(float(worst)), signed.size)
    bounds = np.zeros((len(levels), len(levels)), dtype=np.uint64)
    for state, row in enumerate(exact):
        shares = [0 if other == state else p for other, p in enumerate(row)]
        for other in range(len(levels)):
            bounds[state, other] = min(sum(shares[: other + 1]) / worst, 1) * (1 << 32) // 1
    words = random_words(start(seed, _CHOICE, node), len(hits))
    programmed = np.searchsorted(levels, signed[hits])
    sensed = (words[:, None] >= bounds[programmed]).sum(axis=1)
    accepted = sensed < len(levels)
    return LayerErrors(hits[accepted], levels[sensed[accepted]])


def _each(weights: Weights, rows: np.ndarray, seed: int, node: int) -> LayerErrors:
    """Errors of cells that each have a distribution of their own (cells, states)."""
    levels = _levels(3 if weights.ternary else 2)
    bounds = np.rint(rows.reshape(-1, len(levels)).cumsum(axis=1) * 2.0**32).astype(np.uint64)
    bounds[:, -1] = 1 << 32
    words = random_words(start(seed, _CHOICE, node), len(bounds))
    sensed = levels[(words[:, None] >= bounds).sum(axis=1)]
    wrong = np.flatnonzero(sensed != weights.signed().reshape(-1))
    return LayerErrors(wrong, sensed[wrong])


def _stuck(weights: Weights, rate: float, seed: int, node: int) -> LayerErrors:
    """Cells that are stuck, those stuck where they are programmed to be included."""
    if rate < LEAST_RATE:
        return LayerErrors([], [])
    levels = _levels(3 if weights.ternary else 2)
    cells = error_positions(start(seed, _STUCK, node), gap_table(rate), weights.sign.size)
    words = random_words(start(seed, _STUCK_STATE, node), len(cells)).astype(np.uint64)
    return LayerErrors(cells, levels[words * np.uint64(len(levels)) >> np.uint64(32)])
