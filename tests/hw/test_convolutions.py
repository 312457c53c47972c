# SPDX-License-Identifier: BSD-2-Clause
"""Networks with convolutions and poolings against the integer reference, in Amaranth's
simulator."""

import contextlib

import numpy as np
import pytest

from tests.support.graphs import bordered_conv, lenet, random_graph, random_head, random_images
from tests.support.networks import run
from tests.support.simulate import PAUSES
from twincell.hw.arrays.emulated import EmulatedArrays
from twincell.hw.equivalence import prove
from twincell.hw.network import Network
from twincell.hw.plan import Budget, Plan, PlanError, plan
from twincell.hw.verilog import emit
from twincell.model import integer, reference
from twincell.model.errors import ErrorMap
from twincell.model.graph import Graph
from twincell.model.nodes import Conv, Fill, Flatten, Input, MaxPool
from twincell.model.planes import Accumulate, Binary, FixedPoint, Stochastic


def _check(graph, planned, images, **options):
    observed = run(Network(graph, planned), images, **options)
    wanted = integer.scores(graph, images)
    assert np.array_equal(observed.scores, wanted)
    assert np.array_equal(observed.labels, integer.labels(wanted))
    return observed


@pytest.mark.parametrize(
    "seed", [*range(12), *(pytest.param(s, marks=pytest.mark.slow) for s in range(12, 60))]
)
def test_random_networks(seed):
    """One and two axes, strides, paddings and fills of all kinds, binary and ternary."""
    rng = np.random.default_rng(seed)
    while True:
        graph = random_graph(rng)
        try:
            planned = plan(graph, Budget(lanes=int(2 ** rng.uniform(4, 9))))
        except PlanError as refused:
            assert "presentations" in str(refused) or "stochastic" in str(refused)
            continue
        if planned.cycles_per_image < 3000 and any(isinstance(n, Conv) for n in graph.nodes):
            break
    images = random_images(rng, graph, 3)
    _check(graph, planned, images, pauses=list(PAUSES)[seed % len(PAUSES)], seed=seed)


@pytest.mark.parametrize("fill", Fill)
@pytest.mark.parametrize(
    ("bits", "ternary", "arrangement"),
    [(1, False, "columns"), (3, True, "columns"), (3, False, "rows"), (1, True, "rows")],
)
def test_a_small_lenet(fill, bits, ternary, arrangement):
    rng = np.random.default_rng(bits)
    graph = lenet(rng, FixedPoint(bits) if bits > 1 else Binary(), fill, ternary)
    planned = plan(graph, Budget(lanes=120, arrangement=arrangement))
    _check(graph, planned, random_images(rng, graph, 2), pauses="both")


@pytest.mark.parametrize("lanes", [6, 20, 60, 200, 600])
def test_steady_cycles_equal_the_plan(lanes):
    rng = np.random.default_rng(lanes)
    graph = lenet(rng, Binary())
    planned = plan(graph, Budget(lanes=lanes))
    observed = _check(graph, planned, random_images(rng, graph, 7))
    assert set(np.diff(observed.finished)[3:]) == {planned.cycles_per_image}


def _quick(rng) -> tuple[Graph, Plan]:
    """A random network with convolutions, of one pace and of few cycles."""
    while True:
        graph, planned = random_graph(rng), None
        with contextlib.suppress(PlanError):
            planned = plan(graph, Budget(lanes=int(2 ** rng.uniform(3, 8))))
        convolves = any(isinstance(node, Conv) for node in graph.nodes)
        if planned and convolves and not planned.presentations and planned.cycles_per_image <= 150:
            return graph, planned


def test_stages_of_equal_pace_take_the_planned_cycles():
    rng = np.random.default_rng(105)
    graph = random_graph(rng)
    planned = plan(graph, Budget(images_per_second=100e6 / 12))
    assert [stage.cycles for stage in planned.stages] == [12, 12, 12, 6, 12, 12]
    observed = _check(graph, planned, random_images(rng, graph, 10))
    assert set(np.diff(observed.finished)[5:]) == {12}


@pytest.mark.parametrize(
    "seed", [200, *(pytest.param(s, marks=pytest.mark.slow) for s in range(201, 240))]
)
def test_random_networks_take_the_planned_cycles(seed):
    rng = np.random.default_rng(seed)
    graph, planned = _quick(rng)
    observed = _check(graph, planned, random_images(rng, graph, 10))
    assert set(np.diff(observed.finished)[5:]) == {planned.cycles_per_image}


@pytest.mark.parametrize("lanes", [8, 80, 512])
@pytest.mark.parametrize(("kernel", "stride"), [((2, 2), (2, 2)), ((11, 11), (1, 1))])
def test_a_pooling_may_come_first(kernel, stride, lanes):
    """Nothing behind it is as slow."""
    rng = np.random.default_rng(4)
    pool = MaxPool(kernel, stride, rng.integers(0, 2, 3))
    head = random_head(rng, 3 * int(np.prod(pool.output_size((12, 12)))), 4)
    graph = Graph((Input((3, 12, 12)), pool, Flatten(), head))
    planned = plan(graph, Budget(lanes=lanes))
    observed = _check(graph, planned, random_images(rng, graph, 7))
    assert set(np.diff(observed.finished)[4:]) == {planned.cycles_per_image}


def test_poolings_take_their_time_in_every_pass():
    rng, planes = np.random.default_rng(1), Stochastic(4, (3, 1), accumulate="output")
    layer = bordered_conv(rng, planes, (1, 6, 6), 2, (2, 2))
    pool, head = MaxPool((3, 3), (1, 1), np.array([0, 1])), random_head(rng, 18, 3)
    graph = Graph((Input((1, 6, 6), planes), layer, pool, Flatten(), head))
    planned = plan(graph, Budget(lanes=60))
    # Nine windows of nine taps; nothing else is as slow.
    assert planned.cycles_by_presentations == {3: 243, 1: 81}
    observed = _check(graph, planned, random_images(rng, graph, 8))
    assert set(np.diff(observed.finished)[3:]) == {243}
    budget = Budget(images_per_second=100e6 / 200)
    with pytest.raises(PlanError, match="leave 200 cycles an image, but pool2 takes at least 243"):
        plan(graph, budget)


@pytest.mark.parametrize("fill", Fill)
def test_whole_pixels(fill):
    rng, planes, shape = np.random.default_rng(3), FixedPoint(4), (3, 6, 6)
    layer = bordered_conv(rng, planes, shape, 4, (3, 3), padding=(1, 1), fill=fill)
    graph = Graph((Input(shape, planes), layer, Flatten(), random_head(rng, 144, 5)))
    planned = plan(graph, Budget(lanes=60, first_layer="parallel"))
    _check(graph, planned, random_images(rng, graph, 3))


def test_presentations_that_have_no_hardware():
    rng = np.random.default_rng(1)
    at_output = Stochastic(4, (2,), accumulate=Accumulate.OUTPUT)
    first = Stochastic(4, (2,))
    one = bordered_conv(rng, at_output, (1, 4, 4), 2, (2, 2))
    head = random_head(rng, 18, 3)
    graph = Graph((Input((1, 4, 4), at_output), one, Flatten(), head))
    _check(graph, plan(graph, Budget(lanes=20)), random_images(rng, graph, 3))
    two = bordered_conv(rng, first, (1, 4, 4), 2, (2, 2))
    with pytest.raises(PlanError, match=r"node 1 \(Conv\) has no hardware that adds up presentati"):
        plan(Graph((Input((1, 4, 4), first), two, Flatten(), head)))
    three = bordered_conv(rng, at_output, (2, 4, 4), 2, (2, 2))
    with pytest.raises(PlanError, match="a stochastic image of 2 channels has no hardware"):
        plan(Graph((Input((2, 4, 4), at_output), three, Flatten(), head)))


@pytest.mark.parametrize("fill", Fill)
@pytest.mark.parametrize(
    ("bits", "ternary", "arrangement", "first_layer"),
    [
        (1, False, "columns", "serial"),
        (3, True, "rows", "serial"),
        (3, False, "columns", "parallel"),
        (1, True, "columns", "serial"),
    ],
)
def test_scores_with_read_errors(fill, bits, ternary, arrangement, first_layer):
    """Emulated memories, the packed interpreter and torch; flips are counted."""
    rng = np.random.default_rng(bits)
    graph = lenet(rng, FixedPoint(bits) if bits > 1 else Binary(), fill, ternary)
    planned = plan(graph, Budget(lanes=120, arrangement=arrangement, first_layer=first_layer))
    errors = ErrorMap.draw(graph, 5, persistent=0.01, transient=0.02)
    network = Network(errors.sensed(graph), planned, arrays=EmulatedArrays(errors))
    images = random_images(rng, graph, 2)
    counters = []

    async def count(ctx):
        while True:
            counters[:] = [ctx.get(each.flips) for each in network.counters]
            await ctx.tick()

    observed = run(network, images, pauses="both", beside=(count,))
    interpreter = integer.Interpreter(graph, errors=errors, order=planned.read_order)
    wanted = interpreter.scores(images)
    assert np.array_equal(observed.scores, wanted)
    assert counters == [interpreter.read_flips()[layer.node] for layer in planned.layers]
    assert not np.array_equal(wanted, integer.scores(errors.sensed(graph), images))
    found = reference.scores(graph, images, errors=errors, order=planned.read_order)
    assert np.array_equal(found.numpy(), wanted)


@pytest.mark.parametrize("seed", range(30))
def test_read_errors_of_random_networks(seed):
    """The packed interpreter and torch, from any image on, in one call and in several."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    errors = ErrorMap.draw(graph, seed, persistent=0.02, transient=0.05)
    images = random_images(rng, graph, 5)
    order = None
    with contextlib.suppress(PlanError):
        order = plan(graph, Budget(lanes=100)).read_order
    wanted = integer.scores(graph, images, errors=errors, order=order, first_image=7)
    found = reference.scores(graph, images, errors=errors, order=order, first_image=7)
    assert np.array_equal(found.numpy(), wanted)
    parts = [
        integer.scores(graph, images[k : k + 1], errors=errors, order=order, first_image=7 + k)
        for k in range(5)
    ]
    assert np.array_equal(np.concatenate(parts), wanted)


@pytest.mark.parametrize(("lanes", "of_a_read"), [(20, 3), (60, 9)])
def test_the_verilog_is_proven_equal(tmp_path, lanes, of_a_read):
    """With words of three channels, of which two lanes are counted; and of columns of taps."""
    graph = lenet(np.random.default_rng(1), FixedPoint(2), Fill.ABSENT)
    planned = plan(graph, Budget(lanes=lanes))
    assert planned.layers[0].lanes == of_a_read
    assert prove(emit(Network(graph, planned), tmp_path, name="lenet")).bits > 1000
