# SPDX-License-Identifier: BSD-2-Clause
"""How much toggles when images are computed: measured by the integer model, a layer at a time.

For a sample of neurons, the reads of an image are walked in the order in which the plan makes them.
What the array returns is exact for each read; it is added up in a binary tree, whose sums, and the
running totals, are exact as well. A toggle is a bit that differs from the read before. The trees of
the hardware take their lanes in other groups and start with full adders of three, and a total
starts at the neuron's constant; so the shares are those of adders that see the same bits, not of
each wire. Glitches are not seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...model.graph import Graph
from ...model.integer import Interpreter
from ...model.nodes import Dense, Flatten, Head, Weights
from ...model.packing import unpack
from ..layer_plan import LayerPlan
from ..plan import Plan
from .features import total_bits

NEURONS = 4  # of a read that are sampled
GROUPS = 16  # successive groups of an image


@dataclass(frozen=True)
class LayerActivity:
    """Shares of bits that toggle from a read to the next.

    Parameters
    ----------
    popcount : of the bits of the adders that count
    accumulate : of the bits of running totals
    """

    popcount: float
    accumulate: float


@dataclass(frozen=True)
class Activity:
    """What images make toggle: of each layer in order, and on how many images it was measured."""

    layers: tuple[LayerActivity, ...]
    images: int


def measure(
    graph: Graph, plan: Plan, images: np.ndarray, presentations: int | None = None
) -> Activity:
    """The activity of a network of dense layers on images. Where a network runs once for each
    presentation, that of the first is measured.

    Parameters
    ----------
    graph, plan : the network; weights as they are sensed
    images : integers (images, *graph.input.shape)
    presentations : of a stochastic input; by default its first number
    """
    if not len(images):
        raise ValueError("Activity is measured on one image at least")
    nodes = [graph.nodes[layer.node] for layer in plan.layers]
    found = []
    for layer, weights, planes in zip(
        plan.layers,
        (node.weights for node in nodes),
        flows(graph, images, presentations),
        strict=True,
    ):
        found.append(_layer(layer, weights, planes))
    return Activity(tuple(found), len(images))


def flows(
    graph: Graph, images: np.ndarray, presentations: int | None = None
) -> Iterator[np.ndarray]:
    """What each dense layer and the head see: bits (images, planes, inputs)."""
    shown = Interpreter(graph).shown(images, presentations=presentations)
    planes, weights = shown.flow, graph.input.planes.weights(shown.variant)
    variant = shown.variant
    if planes.dtype == np.uint64:
        planes = unpack(planes, graph.values[0].size)
    planes = planes.reshape(*planes.shape[:2], -1).astype(np.int32)
    for node in graph.nodes[1:]:
        if isinstance(node, Flatten):
            continue
        yield planes[:, : len(weights)]
        if isinstance(node, Head):
            return
        assert isinstance(node, Dense)  # nothing else has hardware
        sums = sum(weight * _sums(node.weights, planes[:, k]) for k, weight in enumerate(weights))
        planes = (sums >= node.thresholds[variant, 0]).astype(np.int32)[:, None]
        weights, variant = (1,), 0


def _sums(weights: Weights, bits: np.ndarray) -> np.ndarray:
    """What is compared with a threshold: agreeing inputs, less the disagreeing when ternary."""
    # Float products of so few bits are exact, and as fast as they come.
    signed = np.asarray(weights.signed(), dtype=np.float32)
    products = np.rint((2 * bits - 1).astype(np.float32) @ signed.T).astype(np.int64)
    return products if weights.ternary else (products + weights.fan_in) // 2


def _layer(layer: LayerPlan, weights: Weights, planes: np.ndarray) -> LayerActivity:
    toggles = np.zeros((2, 2))  # toggled and all bits of what LayerActivity has
    groups = min(layer.groups, GROUPS)
    slots = np.unique(np.linspace(0, layer.neurons - 1, NEURONS).astype(int))
    for image in planes:
        lanes = _folded(layer, image)  # (planes, folds, lanes)
        for slot in slots:
            neurons = np.arange(groups) * layer.neurons + slot
            neurons = neurons[neurons < layer.outputs]
            if len(neurons):
                toggles += _walk(layer, weights, lanes, neurons)
    shares = toggles[:, 0] / np.maximum(toggles[:, 1], 1)
    return LayerActivity(*(round(float(share), 4) for share in shares))


def _folded(layer: LayerPlan, bits: np.ndarray) -> np.ndarray:
    padded = np.zeros((len(bits), layer.folds * layer.lanes), dtype=np.int32)
    padded[:, : layer.inputs] = bits
    return padded.reshape(len(bits), layer.folds, layer.lanes)


def _walk(layer: LayerPlan, weights: Weights, lanes: np.ndarray, neurons: np.ndarray) -> np.ndarray:
    """Toggled and all bits of successive reads of neurons that share their adders."""
    sign = _folded(layer, weights.sign[neurons])  # (neurons, folds, lanes)
    used = _folded(layer, np.ones_like(weights.sign[neurons]))
    if weights.active is not None:
        used = used * _folded(layer, weights.active[neurons])
    # Reads go through folds within planes, the heaviest first, within neurons.
    if layer.parallel:
        order = 1 << np.arange(len(lanes))[:, None, None]
        pixels, most = (lanes * order).sum(axis=0), (1 << len(lanes)) - 1
        terms = np.where(sign == 1, pixels, most - pixels) * used
        terms = terms.reshape(-1, layer.lanes)
    else:
        shown = lanes[::-1][None]
        agree = (sign[:, None] == shown) & (used[:, None] == 1)
        terms = agree.reshape(-1, layer.lanes).astype(np.int64)
    levels = list(_tree(terms))
    counted = np.zeros(2)
    for values in levels[1:] or levels:
        counted += _toggled(values, int(values.max(initial=1)).bit_length())
    totals = _totals(layer, levels[-1][:, 0], len(neurons))
    return np.array([counted, totals], dtype=float)


def _tree(terms: np.ndarray) -> Iterator[np.ndarray]:
    """The sums of each level of a binary tree over the last axis."""
    yield terms
    while terms.shape[1] > 1:
        if terms.shape[1] % 2:
            terms = np.pad(terms, [(0, 0), (0, 1)])
        terms = terms[:, ::2] + terms[:, 1::2]
        yield terms


def _toggled(values: np.ndarray, bits: int) -> tuple[int, int]:
    """Toggled and all bits of numbers (reads, places) of so many bits, from read to read."""
    changed = values[1:] ^ values[:-1]
    return int(np.bitwise_count(changed).sum()), changed.size * bits


def _totals(layer: LayerPlan, counts: np.ndarray, neurons: int) -> tuple[int, int]:
    """The same of the running totals of successive neurons."""
    doubling = layer.plane_reads > 1 and not layer.equal
    per_neuron = counts.reshape(neurons, -1, layer.folds)
    totals = []
    for neuron in per_neuron:
        total = 0
        for plane in neuron:
            total = 2 * total if doubling else total
            for count in plane:
                total += int(count)
                totals.append(total)
    return _toggled(np.array(totals, dtype=np.int64)[:, None], total_bits(layer))
