# SPDX-License-Identifier: BSD-2-Clause
"""Stochastic inputs in hardware: the numbers, the planes, and networks of either accumulation."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.graphs import mlp, random_images, random_stochastic
from tests.support.networks import run
from tests.support.simulate import PAUSES, play
from twincell.hw.network import Network
from twincell.hw.plan import Budget, PlanError, plan
from twincell.hw.stochastic import Presenter
from twincell.model import integer
from twincell.model.graph import Graph
from twincell.model.planes import Accumulate, Generator, Stochastic

# Bits of a pixel, pixels, pixels of a beat, presentations: single beats and pixels, partial last
# beats, more fresh bits in a cycle than the register holds, and several times as many.
SHAPES = [
    (8, 1, 1, 1), (8, 1, 1, 4), (8, 5, 1, 3), (8, 7, 3, 5), (8, 12, 4, 3), (8, 9, 9, 2),
    (2, 33, 32, 5), (3, 10, 4, 9), (16, 11, 5, 3), (8, 30, 29, 2), (16, 20, 20, 3),
]  # fmt: skip


def near_images(planes: Stochastic, pixels: int, most: int) -> np.ndarray:
    """Pixels that lie on their number of some presentation, or just below it."""
    drawn = [planes.numbers(k, most, pixels)[(k + 1) % most].astype(int) for k in range(6)]
    return np.array(drawn) - np.arange(6)[:, None] % 2


def presented(presenter: Presenter, images: np.ndarray, count: int, **options):
    """Bits (images, presentations, pixels) that leave, and the cycles in which beats do."""
    bits, size = presenter.planes.bits, presenter.size
    padded = np.pad(images, [(0, 0), (0, presenter.beats * size - presenter.pixels)])
    beats = [
        sum(int(pixel) << bits * k for k, pixel in enumerate(beat))
        for beat in padded.reshape(-1, size)
    ]

    async def settings(ctx):
        ctx.set(presenter.end, count - 1)

    wanted = len(images) * count * presenter.beats
    found, cycles = play(presenter, beats, wanted, beside=(settings,), **options)
    shown = np.array([[beat >> k & 1 for k in range(size)] for beat in found])
    return shown.reshape(len(images), count, -1)[..., : presenter.pixels], np.array(cycles)


@pytest.mark.parametrize("generator", list(Generator))
@pytest.mark.parametrize("case", range(len(SHAPES)))
def test_planes_are_those_of_the_model(case, generator):
    bits, pixels, size, most = SHAPES[case]
    planes = Stochastic(bits, (most,), seed=case, generator=generator)
    images = near_images(planes, pixels, most)
    images[0], images[1] = 0, (1 << bits) - 1
    count = most if case % 2 else max(most - 1, 1)
    presenter = Presenter(planes, pixels, size, most)
    pauses = list(PAUSES)[case % len(PAUSES)]
    shown, cycles = presented(presenter, images, count, pauses=pauses, seed=case)
    assert np.array_equal(shown, presenter.model(images, count))
    if pauses == "none":
        assert set(np.diff(cycles)) <= {1}


def shown_scores(network: Network, images: np.ndarray, count: int, first: int = 0, **options):
    return run(network, images, lines=network.presentation_lines(count, first), **options)


# Sizes and lanes: groups and folds of all kinds, partial ones, single neurons, a head alone.
NETWORKS = [
    ([1, 1], 1), ([1, 1, 1], 2), ([5, 3], 4), ([9, 2], 18), ([7, 11, 13], 20), ([31, 2, 10], 16),
    ([13, 17, 3], 30), ([33, 33, 33], 400), ([11, 7, 5, 3], 30), ([12, 10, 4], 3000),
]  # fmt: skip


@pytest.mark.parametrize("accumulate", list(Accumulate))
@pytest.mark.parametrize("case", range(len(NETWORKS)))
def test_edge_shapes(case, accumulate):
    sizes, lanes = NETWORKS[case]
    rng = np.random.default_rng(case)
    planes = random_stochastic(rng, accumulate=accumulate)
    graph = mlp(rng, sizes, planes, ternary=case % 3 == 1)
    arrangement = "rows" if case % 4 == 2 else "columns"
    planned = plan(graph, Budget(lanes=lanes, arrangement=arrangement))
    images = random_images(rng, graph, 5)
    count = planes.presentations[case % 2]
    pauses = list(PAUSES)[case % len(PAUSES)]
    observed = shown_scores(Network(graph, planned), images, count, 3, pauses=pauses, seed=case)
    wanted = integer.scores(graph, images, presentations=count, first_image=3)
    assert np.array_equal(observed.scores, wanted)
    assert np.array_equal(observed.labels, integer.labels(wanted))


@pytest.mark.parametrize("accumulate", list(Accumulate))
@pytest.mark.parametrize("lanes", [3, 40, 700])
def test_steady_cycles_equal_the_plan(accumulate, lanes):
    rng = np.random.default_rng(lanes)
    planes = Stochastic(8, (1, 4), accumulate=accumulate)
    graph = mlp(rng, [14, 10, 6, 5], planes)
    planned = plan(graph, Budget(lanes=lanes))
    images = random_images(rng, graph, 9)
    network = Network(graph, planned)
    about = network.about()["presentations"]
    for count in planes.presentations:
        observed = shown_scores(Network(graph, planned), images, count)
        assert set(np.diff(observed.finished)[4:]) == {about[str(count)]}
    assert planned.cycles_per_image == about["4"]


def test_any_threshold_of_any_presentations_can_be_loaded():
    """Where ternary synapses are counted twice, and the last fold has lanes without an input."""
    graph = mlp(np.random.default_rng(1), [23, 7, 3], Stochastic(8, (2, 8)), ternary=True)
    planned = plan(graph, Budget(lanes=20))
    assert planned.layers[0].inputs % planned.layers[0].lanes
    _, layer, *others = graph.nodes
    extremes = [np.stack([np.full((1, 7), sign * 23 * n) for n in (2, 8)]) for sign in (-1, 1)]
    targets = [each.target for each in Network(graph, planned, loadable=True).loadables]
    (constants,) = (target for target in targets if target.name == "layer1 constants")
    for thresholds in (extremes[0], extremes[1] + 1):
        other = Graph((graph.nodes[0], replace(layer, thresholds=thresholds), *others), "random")
        loadables = Network(other, planned, loadable=True).loadables
        (contents,) = (e.contents for e in loadables if e.target.name == "layer1 constants")
        assert constants.lines(contents).shape == (constants.rows, constants.words)


@pytest.mark.parametrize("accumulate", list(Accumulate))
def test_hardware_for_one_number_of_presentations(accumulate):
    """A plan that was narrowed down makes a network without a choice, of the same scores."""
    rng = np.random.default_rng(5)
    graph = mlp(rng, [24, 16, 5], Stochastic(8, (4, 1, 3), accumulate=accumulate))
    planned = plan(graph, Budget(lanes=40)).shown(3)
    network = Network(graph, planned)
    images = random_images(rng, graph, 6)
    wanted = integer.scores(graph, images, presentations=3)
    assert np.array_equal(run(network, images).scores, wanted)
    with pytest.raises(PlanError, match=r"^random supports 3 presentations, not 4$"):
        network.presentation_lines(4)


def test_few_presentations_are_as_fast_as_planned_beside_many():
    """Queues are deep enough for the shortest time between groups."""
    rng = np.random.default_rng(6)
    graph = mlp(rng, [60, 4, 2], Stochastic(8, (32, 1)))
    first, head = plan(graph).layers
    layers = replace(first, lanes=60, neurons=4), replace(head, lanes=4, neurons=2)
    planned = replace(plan(graph), layers=layers, pixels_per_beat=60)
    assert planned.cycles_by_presentations == {32: 32, 1: 1}
    images = random_images(rng, graph, 40)
    observed = shown_scores(Network(graph, planned), images, 1)
    assert np.array_equal(observed.scores, integer.scores(graph, images, presentations=1))
    assert set(np.diff(observed.finished)[8:]) == {1}
