# SPDX-License-Identifier: BSD-2-Clause
"""Generated hardware against the integer reference, in Amaranth's simulator."""

import re

import numpy as np
import pytest

from tests.support.graphs import mlp, random_head, random_images
from tests.support.networks import run
from tests.support.simulate import PAUSES
from twincell.hw.network import Network
from twincell.hw.plan import Budget, plan
from twincell.model import integer
from twincell.model.graph import Graph
from twincell.model.nodes import Conv, Dense, Fill, Flatten, Head, Input, MaxPool, Weights
from twincell.model.planes import Binary, FixedPoint, Stochastic

# Sizes (inputs, hidden widths, classes), bits of a pixel, lanes of the budget: width 1, primes,
# powers of two and their neighbours, partial folds and partial groups.
EDGES = [
    ([1, 1], 1, 1), ([1, 2], 1, 2), ([1, 1, 1], 1, 3), ([2, 1, 2], 1, 3), ([1, 1, 1, 1], 4, 4),
    ([3, 5, 7], 1, 3), ([3, 5, 7], 3, 9), ([5, 3, 2], 2, 64), ([7, 11, 13], 1, 20),
    ([7, 11, 13], 4, 40), ([13, 17, 3], 1, 30), ([17, 13, 5], 3, 100), ([31, 2, 10], 1, 16),
    ([31, 32, 10], 1, 64), ([32, 31, 10], 1, 64), ([33, 33, 33], 1, 64), ([32, 32, 32], 1, 512),
    ([63, 8, 4], 1, 32), ([64, 8, 4], 1, 32), ([65, 8, 4], 1, 32), ([64, 8, 4], 5, 32),
    ([63, 64, 65], 1, 300), ([127, 3, 2], 1, 130), ([128, 4, 2], 2, 600), ([129, 3, 2], 1, 50),
    ([97, 1, 3], 1, 10), ([97, 1, 3], 8, 10), ([1, 97, 3], 1, 100), ([1, 64, 1], 8, 66),
    ([2, 53, 2], 1, 7), ([19, 23, 29, 31], 1, 80), ([19, 23, 29, 31], 2, 200), ([6, 6, 6, 6], 1, 4),
    ([16, 16, 16, 16], 1, 48), ([16, 16, 16], 8, 17), ([24, 12, 6], 6, 24), ([49, 7, 3], 7, 49),
    ([40, 9], 1, 5), ([40, 9], 4, 5), ([41, 1], 1, 41), ([43, 2], 9, 86), ([1, 3], 12, 2),
]  # fmt: skip


def _planes(bits: int):
    return Binary() if bits == 1 else FixedPoint(bits)


@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("case", range(len(EDGES)))
def test_edge_shapes(case, ternary):
    sizes, bits, lanes = EDGES[case]
    rng = np.random.default_rng(case)
    graph = mlp(rng, sizes, _planes(bits), ternary)
    network = Network(graph, plan(graph, Budget(lanes=lanes)))
    images = random_images(rng, graph, 7)
    pauses = list(PAUSES)[case % len(PAUSES)]
    observed = run(network, images, pauses=pauses, seed=case)
    wanted = integer.scores(graph, images)
    assert np.array_equal(observed.scores, wanted)
    assert np.array_equal(observed.labels, integer.labels(wanted))


@pytest.mark.parametrize("bits", [1, 3])
def test_constant_neurons_and_ties(bits):
    """T at both ends, all bits agreeing and none, and classes that are all equal."""
    n, weight = 9, (1 << bits) - 1
    sign = np.array([[1] * n, [0] * n] * 3)
    thresholds = [0, 0, 1, n * weight, n * weight + 1, n * weight + 1]
    layer = Dense(Weights(sign), np.array(thresholds).reshape(1, 1, -1))
    head = Head(Weights(np.ones((5, 6), int)), np.array([[1, 3, 3, 2, 3]]))
    graph = Graph((Input((n,), _planes(bits)), layer, head))
    images = np.array([[0] * n, [weight] * n, [1] + [0] * (n - 1)])
    for lanes in (2, 20, 200):
        network = Network(graph, plan(graph, Budget(lanes=lanes)))
        observed = run(network, images)
        assert np.array_equal(observed.scores, integer.scores(graph, images))
        assert observed.labels.tolist() == [1, 1, 1]


@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("bits", [3, 8])
def test_constants_of_fewer_bits_than_a_pixel(bits, ternary):
    """All thresholds of a first layer next to the least sum, and scores from pixels next to 0."""
    rng = np.random.default_rng(bits)
    n, most = 4, (1 << bits) - 1
    ones = np.ones((8, n), int) if ternary else None
    layer = Dense(
        Weights(rng.integers(0, 2, (8, n)), ones),
        np.arange(8).reshape(1, 1, -1) % 4 - ternary * n * most,
    )
    head = Head(Weights(np.array([[1] * 8, [0] * 8])), np.array([[1, 0]]))
    graph = Graph((Input((n,), FixedPoint(bits)), layer, head))
    alone = Graph((graph.input, Head(layer.weights, np.arange(8).reshape(1, -1) + n * most)))
    images = rng.integers(0, min(most, 12), (40, n))
    images[:20] = most - images[:20]
    for each in (graph, alone):
        for lanes in (2, 32):
            network = Network(each, plan(each, Budget(lanes=lanes)))
            observed = run(network, images)
            assert np.array_equal(observed.scores, integer.scores(each, images))


@pytest.mark.parametrize("lanes", [3, 10, 40, 160, 700, 3000, 6000])
@pytest.mark.parametrize("bits", [1, 4])
def test_steady_cycles_equal_the_plan(bits, lanes):
    rng = np.random.default_rng(lanes)
    graph = mlp(rng, [24, 16, 12, 5], _planes(bits))
    planned = plan(graph, Budget(lanes=lanes))
    images = random_images(rng, graph, 9)
    observed = run(Network(graph, planned), images)
    assert np.array_equal(observed.scores, integer.scores(graph, images))
    assert set(np.diff(observed.finished)[4:]) == {planned.cycles_per_image}


@pytest.mark.parametrize("arrangement", ["rows", ("rows", "columns", "rows")])
@pytest.mark.parametrize("lanes", [3, 12, 30, 70, 200, 900, 3000])
def test_arrangements_differ_in_cost_and_in_no_bit(arrangement, lanes):
    rng = np.random.default_rng(lanes)
    graph = mlp(rng, [14, 11, 13, 5], FixedPoint(3), ternary=lanes == 70)
    planned = plan(graph, Budget(lanes=lanes, arrangement=arrangement))
    first = planned.layers[0]
    assert first.arrangement == "rows" and (first.lanes == 1 or first.neurons == first.outputs)
    images = random_images(rng, graph, 9)
    observed = run(Network(graph, planned), images)
    assert np.array_equal(observed.scores, integer.scores(graph, images))
    assert set(np.diff(observed.finished)[4:]) == {planned.cycles_per_image}


def test_images_a_cycle():
    """The widest plan takes an image every cycle, and so does the hardware."""
    rng = np.random.default_rng(1)
    graph = mlp(rng, [12, 10, 4], Binary())
    planned = plan(graph, Budget(images_per_second=100e6, clock=100e6))
    assert planned.cycles_per_image == 1
    images = random_images(rng, graph, 60)
    observed = run(Network(graph, planned), images)
    assert np.array_equal(observed.scores, integer.scores(graph, images))
    assert set(np.diff(observed.finished)[8:]) == {1}


def _convolved(stride: int, padding: int, fill: Fill, pool: tuple[int, int]) -> Graph:
    """5 x 5 pixels, 3 x 3 windows and 2 x 2 squares, whatever the strides."""
    rng, kernel, step = np.random.default_rng(3), *pool
    nodes = (
        Input((1, 5, 5), Binary()),
        Conv(
            Weights(rng.integers(0, 2, (2, 1, 3, 3))),
            np.zeros((1, 1, 2), int),
            (stride, stride),
            (padding, padding),
            fill,
        ),
        MaxPool((kernel, kernel), (step, step), np.zeros(2, int)),
        Flatten(),
        random_head(rng, 8, 3),
    )
    return Graph(nodes, "random")


def _of_graphs() -> dict[str, tuple[Graph, Graph]]:
    """A graph, and one whose plan does not suit it."""

    def make(sizes=(8, 4, 2), planes=None, **form):
        return mlp(np.random.default_rng(0), list(sizes), planes or Binary(), **form)

    bordered = _convolved(2, 1, Fill.MINUS, (2, 1))
    return {
        "stride": (bordered, _convolved(1, 0, Fill.MINUS, (2, 1))),
        "fill": (bordered, _convolved(2, 1, Fill.PLUS, (2, 1))),
        "pooling": (bordered, _convolved(2, 1, Fill.MINUS, (1, 2))),
        "width": (make(), make((8, 5, 2))),
        "inputs": (make(), make((9, 4, 2))),
        "bits of a pixel": (make(planes=FixedPoint(5)), make(planes=FixedPoint(4))),
        "ternary": (make(ternary=True), make()),
        "binary": (make(), make(ternary=True)),
        "another layer": (make(), make((8, 4, 4, 2))),
        "a layer less": (make((8, 4, 4, 2)), make()),
        "stochastic": (make(planes=Stochastic(5, (4,))), make(planes=FixedPoint(5))),
        "presentations": (make(planes=Stochastic(5, (2, 4))), make(planes=Stochastic(5, (2, 8)))),
        "accumulation": (
            make(planes=Stochastic(5, (2, 4))),
            make(planes=Stochastic(5, (2, 4), accumulate="output")),
        ),
    }


@pytest.mark.parametrize("what", _of_graphs())
def test_a_plan_of_another_graph_is_refused(what):
    one, other = _of_graphs()[what]
    Network(one, plan(one))
    with pytest.raises(ValueError, match=re.escape("'random' was not made for 'random'")):
        Network(one, plan(other))


def test_a_head_alone_is_a_network():
    rng = np.random.default_rng(2)
    graph = Graph((Input((20,), FixedPoint(5)), random_head(rng, 20, 7, FixedPoint(5))))
    images = random_images(rng, graph, 6)
    observed = run(Network(graph, plan(graph, Budget(lanes=16))), images, pauses="both")
    assert np.array_equal(observed.scores, integer.scores(graph, images))
