# SPDX-License-Identifier: BSD-2-Clause
"""Cycles of an image alone: as estimated, and as simulated."""

import contextlib

import numpy as np
import pytest

from tests.support.graphs import lenet, mlp, random_graph, random_images
from tests.support.networks import run
from twincell.hw.estimate.latency import latency
from twincell.hw.gearbox import Gearbox
from twincell.hw.head import Greatest
from twincell.hw.network import Network
from twincell.hw.outbox import Outbox
from twincell.hw.passes import Passes
from twincell.hw.plan import Budget, PlanError, plan
from twincell.hw.pool import Pool
from twincell.model.nodes import Conv
from twincell.model.planes import Binary, FixedPoint, Stochastic

WIDE = [48, 24, 16, 10]
# Sizes, planes, lanes and arrangement.
CASES = {
    "bits": ([19, 23, 29, 31], Binary(), 200, "columns"),
    "fixed": (WIDE, FixedPoint(8), 40, "columns"),
    "fixed, odd": ([17, 13, 11, 7], FixedPoint(3), 30, "columns"),
    "first": (WIDE, Stochastic(8, (8,)), 40, "columns"),
    "output": (WIDE, Stochastic(8, (8,), accumulate="output"), 40, "columns"),
    "output, odd": ([19, 23, 29, 31], Stochastic(4, (3,), accumulate="output"), 90, "columns"),
    "output, input as slow": (
        [48, 2, 2, 2], Stochastic(8, (3,), accumulate="output"), 6, "columns",
    ),
    "output, once": (WIDE, Stochastic(8, (1,), accumulate="output"), 60, "columns"),
    # A beat of all neurons is cut into as many words.
    "rows": (WIDE, Binary(), 40, "rows"),
    "rows, output": (WIDE, Stochastic(4, (4,), accumulate="output"), 100, "rows"),
}  # fmt: skip


def _pipelines(network: Network) -> int:
    """Cycles that the estimate leaves out: those of the parts that an image passes."""
    head, size = network.head, network.plan.pixels_per_beat
    cycles = int(network.presenter is not None) + (Passes.delay if head.passes else 0)
    for stage in network.plan.stages:
        words = Gearbox(stage.pixel_bits, stage.elements, size, stage.word)
        part = network.parts[stage.name]
        pools = isinstance(part, Pool)
        cycles += words.delay + (Pool.latency if pools else part.sums.latency + Outbox.latency)
        size = stage.beat
    return cycles + Greatest(head.score_shape, size, head.layer.outputs).delay


def _check(graph, planned, rng):
    network = Network(graph, planned)
    finished = run(network, random_images(rng, graph, 3)[2:]).finished[0]
    # Its first beat came in cycle 0.
    assert finished + 1 == latency(planned.shown(None)) + _pipelines(network)


@pytest.mark.parametrize("case", CASES)
def test_an_image_takes_the_estimate_and_the_pipelines(case):
    sizes, planes, lanes, arrangement = CASES[case]
    rng = np.random.default_rng(1)
    graph = mlp(rng, sizes, planes)
    _check(graph, plan(graph, Budget(lanes=lanes, arrangement=arrangement)), rng)


@pytest.mark.parametrize("lanes", [20, 60, 200])
def test_a_lenet_takes_the_estimate_and_the_pipelines(lanes):
    rng = np.random.default_rng(lanes)
    graph = lenet(rng, Binary())
    _check(graph, plan(graph, Budget(lanes=lanes)), rng)


@pytest.mark.parametrize(
    "seed", [*range(6), *(pytest.param(s, marks=pytest.mark.slow) for s in range(6, 40))]
)
def test_random_convolutions_take_the_estimate_and_the_pipelines(seed):
    """One and two axes, windows that overlap and that skip, presentations added up at the output;
    and stages of any pace, so that one waits for the rows of another."""
    rng = np.random.default_rng(seed)
    while True:
        graph, planned = random_graph(rng), None
        with contextlib.suppress(PlanError):
            planned = plan(graph, Budget(lanes=int(2 ** rng.uniform(3, 8))))
        convolves = any(isinstance(node, Conv) for node in graph.nodes)
        if planned and convolves and planned.cycles_per_image < 1500:
            break
    _check(graph, planned, rng)


def test_presentations_differ_by_where_they_are_added_up():
    """All planes before the first layer starts, or passes that follow each other."""
    rng = np.random.default_rng(0)
    first, output = (
        plan(mlp(rng, WIDE, Stochastic(8, (1, 8), accumulate=where)), Budget(lanes=40))
        for where in ("first", "output")
    )
    more = latency(first.shown(8)) - latency(first.shown(1))
    assert more == 7 * (first.input_beats + first.shown(1).layers[0].cycles)
    more = latency(output.shown(8)) - latency(output.shown(1))
    assert more == 7 * output.shown(1).cycles_per_image
