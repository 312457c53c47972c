# SPDX-License-Identifier: BSD-2-Clause
"""The obvious executor of arrays with read errors: latch by latch, in the order of the reads."""

import itertools

import numpy as np

from tests.support.graphs import shown_planes
from twincell.model.errors import ErrorMap, LayerErrors
from twincell.model.generators import error_positions, gap_table, start_of_image
from twincell.model.graph import Graph
from twincell.model.nodes import Dense, Head, Weights
from twincell.model.planes import FixedPoint
from twincell.model.reads import ArrayReads, ReadOrder


def random_order(rng: np.random.Generator, graph: Graph) -> ReadOrder:
    """Any folding of each dense layer, either arrangement, pixels by planes or whole."""
    arrays = []
    pixels = isinstance(graph.input.planes, FixedPoint)
    for index, node in enumerate(graph.nodes):
        if isinstance(node, Dense | Head):
            n, m = node.weights.fan_in, node.weights.outputs
            lanes, neurons = int(rng.integers(1, n + 1)), int(rng.integers(1, m + 1))
            by_neuron, whole = bool(rng.integers(2)), pixels and not arrays and rng.integers(2) == 1
            arrays.append(ArrayReads(index, n, m, lanes, neurons, by_neuron, whole))
    return ReadOrder(tuple(arrays))


def misread_scores(
    graph: Graph,
    image: np.ndarray,
    errors: ErrorMap,
    order: ReadOrder,
    *,
    presentations: int | None = None,
    index: int = 0,
) -> list[int]:
    """Scores of one image of a network of dense layers, one latched bit at a time."""
    graph = errors.sensed(graph)
    planes, variant = graph.input.planes, graph.variant(presentations)
    shown = [np.asarray(plane, int) for plane in shown_planes(graph, image, presentations, index)]
    passes = [[plane] for plane in shown] if graph.repeated else [shown]
    wrong = {
        number: _wrong(errors.layers[number], order.array(number), graph, passes, index)
        for number in range(1, len(graph.nodes))
    }
    total = np.zeros(graph.classes, dtype=int)
    for number, planes_of_pass in enumerate(passes):
        weights = planes.weights(variant)
        total += _pass(graph, planes_of_pass, weights, variant, order, wrong, number)
    return total.tolist()


def _wrong(
    errors: LayerErrors, reads: ArrayReads, graph: Graph, passes: list, index: int
) -> list[set[int]]:
    """Latched bits that fail in each pass through the array of a node, counted within it."""
    planes = len(passes[0]) if reads.node == 1 else 1
    bits = reads.bits(planes, graph.nodes[reads.node].weights.ternary)
    found: list[set[int]] = [set() for _ in passes]
    if errors.rate:
        registers, table = start_of_image(errors.start, index), gap_table(errors.rate)
        for position in error_positions(registers, table, bits * len(passes)).tolist():
            found[position // bits].add(position % bits)
    return found


def _pass(
    graph: Graph,
    shown: list,
    plane_weights: tuple,
    variant: int,
    order: ReadOrder,
    wrong: dict,
    number_of_pass: int,
) -> np.ndarray:
    """Scores of planes that the network sees once."""
    for number, node in enumerate(graph.nodes[1:], start=1):
        reads = order.array(number)
        failing = wrong[number][number_of_pass]
        agree, disagree, latched = _count(node.weights, shown, plane_weights, reads, failing)
        assert latched == reads.bits(len(shown), node.weights.ternary)
        if isinstance(node, Head):
            return agree - disagree + node.offsets[variant]
        sums = agree - disagree if node.weights.ternary else agree
        shown = [(sums >= node.thresholds[variant, 0]).astype(int)]
        plane_weights, variant = (1,), 0
    raise AssertionError


def _count(
    weights: Weights, shown: list, plane_weights: tuple, reads: ArrayReads, wrong: set
) -> tuple[np.ndarray, np.ndarray, int]:
    """Plane-weighted agreeing and disagreeing synapses of each neuron, and the bits latched."""
    agree, disagree = (np.zeros(reads.outputs, dtype=int) for _ in range(2))
    heaviest_first = sorted(range(len(shown)), key=lambda k: -plane_weights[k])
    steps = [heaviest_first] if reads.whole else [[k] for k in heaviest_first]
    latched = 0
    for group, step, fold in itertools.product(range(reads.groups), steps, range(reads.folds)):
        inside, outside = range(reads.neurons), range(reads.lanes)
        if not reads.by_neuron:
            inside, outside = outside, inside
        cells = [(a, b) if reads.by_neuron else (b, a) for a in inside for b in outside]
        cells = [(group * reads.neurons + a, fold * reads.lanes + b) for a, b in cells]
        columns = len(cells)
        for column, (neuron, source) in enumerate(cells):
            if neuron >= reads.outputs or source >= reads.inputs:
                continue
            x = 1 if reads.whole else shown[step[0]][source]
            same = int(weights.sign[neuron, source] == x)
            if weights.active is None:
                lines = [same, 1 - same]
                if latched + column in wrong:
                    lines = lines[::-1]
            else:
                on = int(weights.active[neuron, source])
                lines = [on & same, on & (1 - same)]
                lines = [
                    line ^ (latched + column + columns * which in wrong)
                    for which, line in enumerate(lines)
                ]
            for k in step if lines[0] != lines[1] else ():
                other = int(reads.whole and not shown[k][source])
                agree[neuron] += plane_weights[k] * lines[other]
                disagree[neuron] += plane_weights[k] * lines[1 - other]
        latched += columns * (2 if weights.ternary else 1)
    return agree, disagree, latched
