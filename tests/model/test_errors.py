# SPDX-License-Identifier: BSD-2-Clause
"""Errors of the memory: drawn as specified, and the same bits in every executor."""

import re
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binomtest

from tests.support.graphs import mlp, random_graph, random_images, random_planes, random_weights
from tests.support.reads import misread_scores, random_order
from twincell.model.draws import transitions
from twincell.model.errors import ErrorMap, LayerErrors
from twincell.model.graph import Graph
from twincell.model.integer import Interpreter, scores
from twincell.model.nodes import Dense, Head, Input, Weights
from twincell.model.planes import Binary, FixedPoint, Stochastic
from twincell.model.reads import ReadOrder, plane_order

RATES = (0.0, 2.0**-24, 1e-6, 1e-4, 1e-2, 0.1, 0.5)


def random_case(seed: int, images: int) -> tuple[Graph, np.ndarray, ErrorMap, ReadOrder]:
    rng = np.random.default_rng(seed)
    sizes = [int(n) for n in rng.integers(1, 90, int(rng.integers(2, 5)))]
    graph = mlp(rng, sizes, random_planes(rng), bool(rng.random() < 0.4))
    persistent, transient = rng.choice(RATES, 2)
    errors = ErrorMap.draw(
        graph, int(rng.integers(1 << 62)), persistent=persistent, transient=transient
    )
    return graph, random_images(rng, graph, images), errors, random_order(rng, graph)


@pytest.mark.parametrize("seed", range(60))
def test_equals_the_obvious_executor(seed):
    graph, images, errors, order = random_case(seed, 3)
    for presentations in getattr(graph.input.planes, "presentations", [None]):
        options = {"presentations": presentations}
        found = scores(graph, images, errors=errors, order=order, first_image=seed, **options)
        for k, image in enumerate(images):
            wanted = misread_scores(graph, image, errors, order, index=seed + k, **options)
            assert found[k].tolist() == wanted


@pytest.mark.parametrize("block", range(5))
def test_equals_the_torch_reference(block):
    reference = pytest.importorskip("twincell.model.reference")
    for seed in range(1000 + 40 * block, 1040 + 40 * block):
        graph, images, errors, order = random_case(seed, 6)
        options = {"errors": errors, "order": order, "first_image": seed}
        wanted = reference.scores(graph, images, **options).numpy()
        assert np.array_equal(scores(graph, images, **options), wanted), f"seed {seed}"


@pytest.mark.parametrize("seed", range(30))
def test_any_graph_with_errors_in_its_dense_layers(seed):
    reference = pytest.importorskip("twincell.model.reference")
    rng = np.random.default_rng(3000 + seed)
    graph = random_graph(rng)
    order = random_order(rng, graph)
    transient = {each.node: 0.02 for each in order.arrays}
    errors = ErrorMap.draw(graph, seed, persistent=0.05, transient=transient)
    images = random_images(rng, graph, 5)
    options = {"errors": errors, "order": order, "first_image": 11}
    wanted = reference.scores(graph, images, **options).numpy()
    assert np.array_equal(scores(graph, images, **options), wanted)


@pytest.mark.parametrize(
    "planes",
    [
        Binary(),
        FixedPoint(3),
        Stochastic(4, (2, 5), seed=3),
        Stochastic(4, (2, 5), seed=3, accumulate="output"),
    ],
)
def test_threads_and_splits_change_nothing(planes):
    rng = np.random.default_rng(5)
    graph = mlp(rng, [130, 70, 9], planes)
    images = random_images(rng, graph, 500)
    errors = ErrorMap.draw(graph, 5, persistent=0.01, transient=0.01)
    whole = Interpreter(graph, errors=errors, threads=1).scores(images)
    assert np.array_equal(Interpreter(graph, errors=errors, threads=3).scores(images), whole)
    parts = [
        scores(graph, images[k : k + 90], errors=errors, first_image=k) for k in range(0, 500, 90)
    ]
    assert np.array_equal(np.concatenate(parts), whole)
    assert not np.array_equal(scores(graph, images), whole)


def test_flipped_bits_are_counted():
    graph = mlp(np.random.default_rng(1), [100, 50, 10], FixedPoint(2))
    errors = ErrorMap.draw(graph, 1, transient={1: 0.1, 2: 0.5})
    interpreter = Interpreter(graph, errors=errors)
    interpreter.scores(random_images(np.random.default_rng(2), graph, 400))
    found = interpreter.read_flips()
    assert _inside(found[1], 400 * 100 * 50 * 2, 0.1) and _inside(found[2], 400 * 50 * 10, 0.5)


def test_read_errors_differ_between_images_and_arrays():
    graph = mlp(np.random.default_rng(1), [64, 64, 64, 64], Binary())
    errors = ErrorMap.draw(graph, 1, transient=0.2)
    starts = {layer.start for layer in errors.layers.values()}
    assert len(starts) == len(errors.layers)
    same = np.repeat(random_images(np.random.default_rng(2), graph, 3)[2:], 40, axis=0)
    assert len(np.unique(scores(graph, same, errors=errors), axis=0)) > 30


# --- Persistent errors ----------------------------------------------------------------------------


def _head(rng: np.random.Generator, shape: tuple[int, int], ternary: bool) -> Graph:
    offsets = np.zeros((1, shape[0]), dtype=int)
    return Graph((Input((shape[1],)), Head(random_weights(rng, shape, ternary), offsets)))


def _inside(hits: int, trials: int, probability: float) -> bool:
    return binomtest(hits, trials, probability).pvalue > 1e-4


@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_states_are_sensed_with_the_probabilities_of_a_matrix(ternary, seed):
    rng = np.random.default_rng(seed)
    graph = _head(rng, (500, 400), ternary)
    states = 3 if ternary else 2
    matrix = rng.dirichlet(np.ones(states) * 0.5, states)
    if seed == 0:
        matrix = np.eye(states)[::-1].copy()  # always wrong, but for the middle one
    before = graph.head.weights.signed()
    after = ErrorMap.draw(graph, seed, persistent=matrix).sensed(graph).head.weights.signed()
    levels = (-1, 0, 1) if ternary else (-1, 1)
    for row, programmed in enumerate(levels):
        trials = int((before == programmed).sum())
        for column, sensed in enumerate(levels):
            hits = int(((before == programmed) & (after == sensed)).sum())
            assert _inside(hits, trials, min(matrix[row, column], 1.0))


@pytest.mark.parametrize("rate", [1e-4, 1e-2, 0.1, 0.5])
def test_a_rate_is_the_mean_error_rate(rate):
    for ternary in (False, True):
        graph = _head(np.random.default_rng(3), (1000, 700), ternary)
        found = ErrorMap.draw(graph, 3, persistent=rate).flips(graph)[1]
        assert _inside(found, graph.head.weights.sign.size, rate)


def test_ternary_weights_move_by_one_state():
    graph = _head(np.random.default_rng(4), (300, 300), True)
    before = graph.head.weights.signed()
    after = ErrorMap.draw(graph, 4, persistent=0.3).sensed(graph).head.weights.signed()
    assert not (before * after == -1).any()
    matrix = transitions(float((before == 0).mean()), 0.3)
    assert np.allclose(matrix.sum(axis=1), 1)
    assert matrix[1, 0] == matrix[1, 2] == pytest.approx(matrix[0, 1])
    assert matrix[0, 1] == matrix[2, 1] and matrix[0, 2] == matrix[2, 0] == 0
    zeros = before == 0
    for sensed in (-1, 1):
        assert _inside(int((after[zeros] == sensed).sum()), int(zeros.sum()), matrix[1, 0])


def test_equal_layers_have_errors_of_their_own():
    """Of two layers as many synapses err in both as chance has it, of both kinds of errors."""
    weights = Weights(np.zeros((200, 200), int))
    thresholds = np.full((1, 1, 200), 100)
    head = Head(Weights(np.zeros((2, 200), int)), np.zeros((1, 2), int))
    layers = (Dense(weights, thresholds), Dense(weights, thresholds))
    graph = Graph((Input((200,), Binary()), *layers, head), "equal")
    drawn = [ErrorMap.draw(graph, 3, persistent=0.2), ErrorMap.draw(graph, 3, stuck=0.2)]
    wrong = [errors.layers[node].synapses for errors in drawn for node in (1, 2)]
    for one, other in combinations(wrong, 2):
        assert len(one) > 3000
        assert _inside(int(np.isin(one, other).sum()), len(one), len(other) / 200**2)


def test_cells_have_rates_of_their_own():
    rng = np.random.default_rng(6)
    graph = _head(rng, (200, 300), False)
    rates = np.zeros((200, 300))
    rates[:, 100:200], rates[:, 200:] = 0.25, 1.0
    errors = ErrorMap.draw(graph, 6, persistent=rates)
    wrong = errors.sensed(graph).head.weights.sign != graph.head.weights.sign
    assert not wrong[:, :100].any() and wrong[:, 200:].all()
    assert _inside(int(wrong[:, 100:200].sum()), 200 * 100, 0.25)
    each = np.stack([1 - rates, rates], axis=-1)  # +1 with that probability, whatever is stored
    sensed = ErrorMap.draw(graph, 6, persistent=each).sensed(graph).head.weights.sign
    assert sensed[:, 200:].all() and not sensed[:, :100].any()


@pytest.mark.parametrize("ternary", [False, True])
def test_stuck_cells_read_the_same_whatever_is_programmed(ternary):
    rng = np.random.default_rng(7)
    graphs = [_head(rng, (200, 200), ternary) for _ in range(2)]
    maps = [ErrorMap.draw(graph, 7, stuck=0.1) for graph in graphs]
    cells, states = maps[0].layers[1].synapses, maps[0].layers[1].states
    assert np.array_equal(cells, maps[1].layers[1].synapses)
    assert np.array_equal(states, maps[1].layers[1].states)
    assert _inside(len(cells), 200 * 200, 0.1)
    for state in np.unique(states):
        assert _inside(int((states == state).sum()), len(states), 1 / (3 if ternary else 2))


def test_errors_are_those_of_the_synapse_not_of_the_plan():
    graph, images, _, order = random_case(77, 20)
    still = ErrorMap.draw(graph, 9, persistent=0.1)
    other = random_order(np.random.default_rng(8), graph)
    with_one = scores(graph, images, errors=still, order=order)
    assert np.array_equal(scores(graph, images, errors=still, order=other), with_one)
    assert np.array_equal(scores(still.sensed(graph), images), with_one)


def test_later_errors_win():
    layer = LayerErrors([1, 5, 9], [1, 1, 1])
    merged = layer.merged(LayerErrors([5, 7], [-1, -1], rate=0.5))
    assert merged.synapses.tolist() == [1, 5, 7, 9]
    assert merged.states.tolist() == [1, -1, -1, 1]
    assert merged.rate == 0.0
    graph = mlp(np.random.default_rng(1), [20, 10, 5], Binary())
    one = ErrorMap.draw(graph, 1, persistent=0.2)
    both = one | ErrorMap.draw(graph, 2, stuck=0.2, transient={1: 0.25})
    assert both.layers[1].rate == 0.25 and both.layers[2].rate == 0.0
    assert len(both.layers[1].synapses) > len(one.layers[1].synapses)


def test_rates_by_node():
    graph = mlp(np.random.default_rng(1), [40, 40, 40], Binary())
    errors = ErrorMap.draw(graph, 1, persistent={2: 0.5}, transient={1: 0.125})
    assert errors.flips(graph)[1] == 0 and errors.flips(graph)[2] > 0
    assert [errors.layers[k].rate for k in (1, 2)] == [0.125, 0.0]
    assert errors.transient and not ErrorMap.draw(graph, 1, persistent=0.5).transient


def test_planes_are_read_from_the_heaviest():
    assert plane_order(FixedPoint(3).weights()) == (2, 1, 0)
    assert plane_order((1, 1, 1)) == (0, 1, 2)


# --- Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"persistent": 0.6}, "An error rate is 0 to 0.5, not 0.6"),
        ({"persistent": float("nan")}, "An error rate is 0 to 0.5, not nan"),
        ({"transient": 1e-9}, "An error rate is 0 or 5.96046e-08 to 0.5, not 1e-09"),
        ({"transient": -0.1}, "An error rate is 0 or 5.96046e-08 to 0.5, not -0.1"),
        ({"stuck": 1.5}, "An error rate is 0 to 1, not 1.5"),
        ({"transient": {3: 0.1}}, "transient rates are of nodes 1, 2, not of node 3"),
        ({"persistent": np.ones((2, 2))}, "sensed states of each row must add up to 1"),
        ({"persistent": np.ones((10, 20)) * 2}, "Rates of cells are 0 to 1, not 2.0 to 2.0"),
        ({"persistent": {2: np.ones(3)}}, "Persistent rates of node 2 are a number or (2, 2)"),
    ],
)
def test_rates_out_of_range_are_refused(rates, message):
    graph = mlp(np.random.default_rng(1), [20, 10, 5], Binary())
    with pytest.raises(ValueError, match=re.escape(message)):
        ErrorMap.draw(graph, 1, **rates)


def test_errors_of_other_weights_are_refused():
    rng = np.random.default_rng(1)
    one, other = (mlp(rng, [20, width, 5], Binary()) for width in (10, 11))
    errors = ErrorMap.draw(one, 1, persistent=0.1)
    with pytest.raises(ValueError, match=r"errors are of node 1 with weights \(10, 20\), but"):
        errors.sensed(other)
    said = "Errors of node 1 with weights (10, 20) do not go with errors of weights (11, 20)"
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        _ = errors | ErrorMap.draw(other, 1, persistent=0.1)


@pytest.mark.parametrize(("ternary", "state"), [(False, 0), (False, 2), (True, 2)])
def test_states_that_weights_do_not_have_are_refused(ternary, state):
    graph = mlp(np.random.default_rng(1), [20, 10, 5], Binary(), ternary)
    with pytest.raises(ValueError, match=r"^Errors of node 1 have other states than \(-1, "):
        ErrorMap({1: LayerErrors([3], [state])}).check(graph)


@pytest.mark.parametrize("synapses", [[200], [-1, 3]])
def test_errors_of_no_synapse_are_refused(synapses):
    graph = mlp(np.random.default_rng(1), [20, 10, 5], Binary())
    errors = ErrorMap({1: LayerErrors(synapses, [1] * len(synapses))})
    with pytest.raises(ValueError, match="Errors of node 1 leave its 200 synapses"):
        scores(graph, np.zeros((1, 20), int), errors=errors)


@pytest.mark.parametrize("seed", range(25))
def test_errors_of_a_packed_network_are_those_of_the_network(seed):
    """Errors that are applied to packed weights, again and again, and those packed with them."""
    rng = np.random.default_rng(4000 + seed)
    graph = random_graph(rng)
    order = random_order(rng, graph)
    images = random_images(rng, graph, 9)
    packed = Interpreter(graph, threads=1)
    shown = packed.shown(images, first_image=5)
    clean = packed.scores(images, first_image=5)
    for trial in range(4):
        transient = {each.node: 0.01 for each in order.arrays if rng.integers(2)}
        errors = ErrorMap.draw(
            graph, trial, persistent=float(rng.choice(RATES)), stuck=0.02, transient=transient
        )
        still = ErrorMap(
            {
                node: LayerErrors([], [], each.rate, each.start)
                for node, each in errors.layers.items()
            }
        )
        wanted = scores(errors.sensed(graph), images, errors=still, order=order, first_image=5)
        found = packed.with_errors(errors, order).scores(shown)
        assert np.array_equal(found, wanted)
        assert np.array_equal(
            packed.with_errors(errors, order).scores(images, first_image=5), wanted
        )
    assert np.array_equal(packed.scores(shown), clean)


def test_read_errors_need_an_order():
    graph = mlp(np.random.default_rng(1), [20, 10, 5], Binary())
    errors = ErrorMap.draw(graph, 1, transient=0.1)
    order = ReadOrder(ReadOrder.logical(graph).arrays[:1])
    with pytest.raises(ValueError, match="Node 2 has read errors, but no order of reads"):
        Interpreter(graph, errors=errors, order=order)


def test_ternary_weights_keep_one_spelling_of_zero():
    weights = Weights(np.array([[1, 0, 1]]), np.array([[1, 1, 1]]))
    sensed = LayerErrors([0, 2], [0, -1]).sensed(weights)
    assert sensed.signed().tolist() == [[0, -1, -1]]
    assert sensed.sign.tolist() == [[0, 0, 0]]
