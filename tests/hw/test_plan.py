# SPDX-License-Identifier: BSD-2-Clause
import itertools
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.support.graphs import mlp, random_graph
from twincell.hw.layer_plan import Arrangement, LayerPlan
from twincell.hw.plan import DEFAULT_LANES, Budget, PlanError, _wanted, plan
from twincell.model.graph import Graph
from twincell.model.nodes import Conv, Flatten, Head, Input, MaxPool, Weights
from twincell.model.planes import Binary, FixedPoint, Stochastic


def _mnist_like() -> Graph:
    return mlp(np.random.default_rng(0), [784, 1024, 1024, 10], FixedPoint(8))


def test_reads_follow_the_formula():
    for layer in plan(_mnist_like()).layers:
        folds, groups = -(-layer.inputs // layer.lanes), -(-layer.outputs // layer.neurons)
        assert layer.reads == layer.cycles == layer.planes * folds * groups
        assert (layer.rows, layer.columns) == (folds * groups, layer.lanes * layer.neurons)


@pytest.mark.parametrize("lanes", [3, 4, 7, 50, 512, 5000, 100_000])
def test_the_budget_of_lanes_is_kept_and_used(lanes):
    graph = _mnist_like()
    planned = plan(graph, Budget(lanes=lanes))
    assert planned.lanes <= lanes
    work = sum(layer.planes * layer.inputs * layer.outputs for layer in planned.layers)
    assert planned.cycles_per_image * planned.lanes >= work  # nobody computes for free
    faster = Budget(images_per_second=1.0, clock=float(planned.cycles_per_image - 1))
    try:
        assert plan(graph, faster).lanes > lanes
    except PlanError:
        assert lanes == 100_000  # the fastest there is


def test_more_lanes_are_never_slower():
    graph = _mnist_like()
    cycles = [plan(graph, Budget(lanes=lanes)).cycles_per_image for lanes in range(3, 400)]
    assert all(a >= b for a, b in itertools.pairwise(cycles))


@pytest.mark.parametrize("rate", [10, 1000, 6000, 50_000])
def test_a_rate_is_reached(rate):
    planned = plan(_mnist_like(), Budget(images_per_second=rate, clock=100e6))
    assert planned.images_per_second(100e6) >= rate


@pytest.mark.parametrize("clock", [12e6, 27e6, 33e6, 100e6, 125e6])
def test_the_rate_of_a_plan_is_its_budget(clock):
    """Whatever rounding makes of clock / (clock / n)."""
    for cycles in range(1, 3000):
        budget = Budget(images_per_second=clock / cycles, clock=clock)
        assert _wanted(budget)[0] == cycles
    network = mlp(np.random.default_rng(1), [22, 22, 11], FixedPoint(2))
    for lanes in range(2, 200, 7):
        planned = plan(network, Budget(lanes=lanes))
        rate = planned.images_per_second(clock)
        assert plan(network, Budget(images_per_second=rate, clock=clock)).lanes <= planned.lanes


def test_without_a_budget_the_default_lanes_apply():
    assert plan(_mnist_like()) == plan(_mnist_like(), Budget(lanes=DEFAULT_LANES))
    assert plan(_mnist_like(), Budget(clock=5e6)) == plan(_mnist_like())


def test_beats_of_pixels_keep_up_and_divide_the_words():
    for lanes in (3, 64, 4096, 60_000):
        planned = plan(_mnist_like(), Budget(lanes=lanes))
        assert planned.input_beats <= planned.cycles_per_image
        assert planned.layers[0].lanes % planned.pixels_per_beat == 0


def test_word_lines_hold_each_synapse_once():
    layer = LayerPlan("layer1", 1, inputs=7, outputs=5, planes=1, ternary=False, lanes=3, neurons=2)
    synapses = np.arange(35).reshape(5, 7) + 1
    lines = layer.word_lines(synapses)
    assert lines.shape == (9, 6)
    assert sorted(lines[lines > 0].tolist()) == list(range(1, 36))
    for neuron, fold in itertools.product(range(5), range(3)):
        line = lines[neuron // 2 * 3 + fold, neuron % 2 * 3 :][:3]
        wanted = synapses[neuron, 3 * fold : 3 * fold + 3].tolist()
        assert line[: len(wanted)].tolist() == wanted


def test_with_inputs_on_rows_a_word_line_belongs_to_an_input():
    layer = LayerPlan("layer1", 1, 7, 5, 1, False, lanes=1, neurons=5, arrangement=Arrangement.ROWS)
    synapses = np.arange(35).reshape(5, 7)
    assert np.array_equal(layer.word_lines(synapses), synapses.T)
    tiled = replace(layer, lanes=2)
    columns = [tiled.column(neuron, lane) for lane in range(2) for neuron in range(5)]
    assert columns == list(range(10))
    assert tiled.word_lines(synapses)[1].tolist() == [*synapses[:, 2], *synapses[:, 3]]


def test_slower_arrays_take_that_many_cycles_a_read():
    fast, slow = (plan(_mnist_like(), Budget(512, cycles_per_read=cycles)) for cycles in (1, 5))
    assert [layer.reads for layer in slow.layers] == [layer.reads for layer in fast.layers]
    assert slow.cycles_per_image == 5 * fast.cycles_per_image
    assert slow.layers[0].cycles_per_group == 5 * slow.layers[0].reads_per_group


def test_random_graphs_are_planned_or_refused_with_a_reason():
    refused = 0
    for seed in range(200):
        graph = random_graph(np.random.default_rng(seed))
        try:
            assert plan(graph).lanes <= DEFAULT_LANES
        except PlanError as error:
            refused += 1
            assert "no hardware" in str(error)
    assert 0 < refused < 200


def _refusals():
    rng = np.random.default_rng(0)
    graph = _mnist_like()
    conv = Conv(Weights(rng.integers(0, 2, (2, 1, 1, 1))), np.zeros((1, 1, 2), int))
    pool = MaxPool((3, 3), (1, 1), np.zeros(2, int))
    head = Head(Weights(rng.integers(0, 2, (3, 8))), np.zeros((1, 3), int))
    image = Graph((Input((1, 4, 4)), conv, pool, Flatten(), head), "image")
    noisy = mlp(rng, [8, 4, 2], Stochastic(4, (3,)))
    return [
        (lambda: Budget(lanes=0), "Lanes must be a positive integer, not 0"),
        (lambda: Budget(lanes=1.5), "Lanes must be a positive integer, not 1.5"),
        (
            lambda: Budget(images_per_second=-1.0),
            "Images per second must be a positive number, not -1.0",
        ),
        (
            lambda: Budget(images_per_second=float("nan")),
            "Images per second must be a positive number, not nan",
        ),
        (
            lambda: Budget(cycles_per_read=0),
            "Cycles per read must be a positive integer, not 0",
        ),
        (lambda: Budget(clock=0.0), "The clock must be a positive number of hertz, not 0.0"),
        (
            lambda: Budget(arrangement="diagonal"),
            "The arrangement is one of columns, rows, not 'diagonal'",
        ),
        (
            lambda: plan(graph, Budget(arrangement=("rows", "columns"))),
            "2 arrangements for 3 layers",
        ),
        (lambda: plan(graph, Budget(lanes=2)), "2 lanes are not enough: 3 layers need one each"),
        (
            lambda: plan(graph, Budget(images_per_second=1e6)),
            "1e+06 images per second at 100 MHz leave 100 cycles an image, but layer1 takes at"
            " least 104, with 65536 lanes",
        ),
        (
            lambda: plan(graph, Budget(512, 1e5)),
            "100000 images per second at 100 MHz leave 1000 cycles an image and so take 9232"
            " lanes, more than the 512 allowed",
        ),
        (
            lambda: plan(image, Budget(images_per_second=1e6, clock=20e6)),
            "1e+06 images per second at 20 MHz leave 20 cycles an image, but pool2 takes at least"
            " 36",
        ),
        (lambda: plan(noisy).shown(2), "random supports 3 presentations, not 2"),
        (lambda: plan(graph).shown(1), "random supports no presentations, not 1"),
    ]


@pytest.mark.parametrize("case", range(len(_refusals())))
def test_what_does_not_fit_is_named(case):
    attempt, message = _refusals()[case]
    with pytest.raises(PlanError, match=f"^{re.escape(message)}$"):
        attempt()


def test_binary_inputs_are_one_plane():
    assert plan(mlp(np.random.default_rng(0), [9, 3, 2], Binary())).layers[0].planes == 1


@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("arrangement", ["columns", "rows"])
def test_memory_bits_are_those_of_the_contents(ternary, arrangement):
    """Of partial tiles too: 23 inputs and 7 neurons are whole tiles of nothing."""
    graph = mlp(np.random.default_rng(0), [23, 7, 5], FixedPoint(3), ternary=ternary)
    planned = plan(graph, Budget(lanes=40, arrangement=arrangement))
    bits = 0
    for layer, node in zip(planned.layers, graph.nodes[1:], strict=True):
        sign, active = layer.contents(node.weights)
        found = sign.size + (0 if active is None else active.size)
        assert (active is not None) == ternary and layer.memory_bits == found >= node.weights.bits
        bits += found
    assert planned.memory_bits == bits
