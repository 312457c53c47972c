# SPDX-License-Identifier: BSD-2-Clause
"""How much toggles when images are computed: measured by the integer model, a layer at a time.

For a sample of neurons, the reads of an image are walked in the order in which the plan makes them.
What the array returns is exact for each read; it is added up in a binary tree, whose sums, and the
running totals, are exact as well. A toggle is a bit that differs from the read before. The trees of
the hardware take their lanes in other groups and start with full adders of three, and a total
starts at the neuron's constant; so the shares are those of adders that see the same bits, not of
each wire. Glitches are not seen.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...model.graph import Graph
from ...model.integer import Interpreter
from ...model.nodes import Conv, Weights
from ...model.packed_layer import vectors
from ..layer_plan import LayerPlan
from ..plan import Plan
from .features import total_bits

NEURONS = 4  # of a read that are sampled
GROUPS = 16  # successive groups of an image
PLACES = 4  # of an image where successive windows of a convolution are taken from


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
    """The activity of a network on images. Where a network runs once for each presentation, that of
    the first is measured.

    Parameters
    ----------
    graph, plan : the network; weights as they are sensed
    images : integers (images, *graph.input.shape)
    presentations : of a stochastic input; by default its first number
    """
    if not len(images):
        raise ValueError("Activity is measured on one image at least")
    interpreter = Interpreter(graph)
    flows = interpreter.flows(interpreter.shown(images, presentations=presentations))
    found = []
    for layer, bits in zip(plan.layers, flows, strict=True):
        node = graph.nodes[layer.node]
        if isinstance(node, Conv):
            taps, classes = node.present_inputs(bits.shape[3:])
            seen, present = vectors(node, bits), taps[classes]
        else:
            seen, present = bits[:, None], np.ones((1, layer.inputs), dtype=bool)
        found.append(_layer(layer, node.weights, seen, present))
    return Activity(tuple(found), len(images))


def _layer(
    layer: LayerPlan, weights: Weights, seen: np.ndarray, present: np.ndarray
) -> LayerActivity:
    """Of what a layer sees, bits (images, positions, planes, inputs), and of which of these count,
    bool (positions, inputs)."""
    order = layer.array_reads.sources
    toggles = np.zeros((2, 2))  # toggled and all bits of what LayerActivity has
    groups = min(layer.groups, GROUPS)
    run = min(-(-GROUPS // groups), layer.positions)
    starts = np.unique(np.linspace(0, layer.positions - run, PLACES).astype(int))
    slots = np.unique(np.linspace(0, layer.neurons - 1, NEURONS).astype(int))
    for image, start, slot in itertools.product(seen, starts, slots):
        neurons = np.arange(groups) * layer.neurons + slot
        neurons = neurons[neurons < layer.outputs]
        if len(neurons):
            places = slice(start, start + run)
            shown = image[places][..., order].astype(np.int32), present[places][:, order]
            toggles += _walk(layer, weights, *shown, neurons)
    shares = toggles[:, 0] / np.maximum(toggles[:, 1], 1)
    return LayerActivity(*(round(float(share), 4) for share in shares))


def _folded(layer: LayerPlan, bits: np.ndarray) -> np.ndarray:
    """Bits (..., inputs) in the order in which they are read as (..., folds, lanes)."""
    unused = layer.folds * layer.lanes - layer.inputs
    padded = np.pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, unused)])
    return padded.reshape(*bits.shape[:-1], layer.folds, layer.lanes)


def _walk(
    layer: LayerPlan, weights: Weights, shown: np.ndarray, present: np.ndarray, neurons: np.ndarray
) -> np.ndarray:
    """Toggled and all bits of successive reads of neurons that share their adders, for bits
    (vectors, planes, inputs) of which those that are ``present`` (vectors, inputs) count."""
    order = layer.array_reads.sources

    def read(synapses: np.ndarray) -> np.ndarray:
        return _folded(layer, synapses.reshape(weights.outputs, -1)[neurons][:, order])

    # Reads go through folds within planes, the heaviest first, within neurons, within vectors.
    lanes = _folded(layer, shown)[:, None]  # (vectors, 1, planes, folds, lanes)
    sign = read(weights.sign)[:, None]  # (neurons, 1, folds, lanes)
    used = _folded(layer, present)[:, None]  # (vectors, 1 or neurons, folds, lanes)
    if weights.active is not None:
        used = used & (read(weights.active) == 1)
    used = used[:, :, None]
    if layer.parallel:
        planes = lanes.shape[2]
        weighted = lanes * (1 << np.arange(planes))[:, None, None]
        pixels, most = weighted.sum(axis=2, keepdims=True), (1 << planes) - 1
        terms = np.where(sign == 1, pixels, most - pixels) * used
    else:
        terms = ((sign == lanes[:, :, ::-1]) & used).astype(np.int64)
    terms = terms.reshape(-1, layer.lanes)
    levels = list(_tree(terms))
    counted = np.zeros(2)
    for values in levels[1:] or levels:
        counted += _toggled(values, int(values.max(initial=1)).bit_length())
    totals = _totals(layer, levels[-1][:, 0], len(shown) * len(neurons))
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
