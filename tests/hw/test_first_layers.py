# SPDX-License-Identifier: BSD-2-Clause
"""First layers of fixed-point pixels: bit-serial planes and whole pixels give the same scores."""

import re

import numpy as np
import pytest

from tests.support import networks
from tests.support.graphs import mlp, random_head, random_images
from tests.support.simulate import PAUSES, play
from twincell.hw.arrays.emulated import EmulatedArrays
from twincell.hw.arrays.macro import macro_arrays
from twincell.hw.arrays.macro_model import MacroModel
from twincell.hw.arrays.macro_socket import Socket, in_socket
from twincell.hw.arrays.macro_timing import Timing
from twincell.hw.network import Network
from twincell.hw.plan import Budget, FirstLayer, PlanError, plan
from twincell.model import integer
from twincell.model.graph import Graph
from twincell.model.nodes import Input
from twincell.model.planes import Binary, FixedPoint

# Sizes, bits of a pixel, lanes: one lane, partial folds and groups, one read a vector, all ternary
# or binary in turn.
SHAPES = [
    ([7, 11, 3], 4, 40), ([31, 8, 10], 3, 30), ([24, 5, 6], 8, 7), ([1, 6, 3], 8, 12),
    ([13, 3], 5, 4), ([43, 2], 9, 86), ([17, 4, 3], 2, 5), ([16, 4, 2], 8, 72),
]  # fmt: skip


# Bit-serial layers run in test_network.py as well.
LAYERS = [pytest.param(FirstLayer.SERIAL, marks=pytest.mark.slow), FirstLayer.PARALLEL]


@pytest.mark.parametrize("first_layer", LAYERS)
@pytest.mark.parametrize("case", range(len(SHAPES)))
def test_scores_and_cycles(case, first_layer):
    sizes, bits, lanes = SHAPES[case]
    rng = np.random.default_rng(case)
    graph = mlp(rng, sizes, FixedPoint(bits), ternary=case % 2 == 1)
    arrangement = ["columns", "rows"][case % 3 == 2]
    budget = Budget(lanes=lanes, arrangement=arrangement, first_layer=first_layer)
    planned = plan(graph, budget)
    first = planned.layers[0]
    serial = first_layer is FirstLayer.SERIAL
    assert first.reads == first.groups * first.folds * (bits if serial else 1)
    images = random_images(rng, graph, 7)
    wanted = integer.scores(graph, images)
    steady = networks.run(Network(graph, planned), images)
    assert np.array_equal(steady.scores, wanted)
    assert set(np.diff(steady.finished)[4:]) == {planned.cycles_per_image}
    pauses = [name for name in PAUSES if name != "none"][case % (len(PAUSES) - 1)]
    paused = networks.run(Network(graph, planned), images[:4], pauses=pauses, seed=case)
    assert np.array_equal(paused.scores, wanted[:4])


@pytest.mark.parametrize("ternary", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("first_layer", LAYERS)
def test_on_macros(first_layer, ternary, monkeypatch):
    """Two reads are inside a macro at a time, so the pixels of two wait."""
    rng = np.random.default_rng(5)
    graph = mlp(rng, [9, 4, 3], FixedPoint(3), ternary)
    cycles = Timing().cycles_per_read
    planned = plan(graph, Budget(lanes=14, cycles_per_read=cycles, first_layer=first_layer))
    network = Network(graph, planned, arrays=macro_arrays(macro=Socket))
    sockets = tuple(in_socket(MacroModel(array)) for array in network.arrays)
    monkeypatch.setattr(
        networks, "play", lambda *args, **options: play(*args, beside=sockets, **options)
    )
    images = random_images(rng, graph, 6)
    observed = networks.run(network, images)
    assert np.array_equal(observed.scores, integer.scores(graph, images))
    assert set(np.diff(observed.finished)[3:]) == {planned.cycles_per_image}


def test_on_emulated_arrays():
    rng = np.random.default_rng(6)
    graph = mlp(rng, [12, 5, 3], FixedPoint(4))
    planned = plan(graph, Budget(lanes=12, first_layer="parallel"))
    images = random_images(rng, graph, 6)
    observed = networks.run(Network(graph, planned, arrays=EmulatedArrays(None)), images)
    assert np.array_equal(observed.scores, integer.scores(graph, images))


def test_a_head_of_whole_pixels():
    rng = np.random.default_rng(2)
    graph = Graph((Input((20,), FixedPoint(5)), random_head(rng, 20, 7, FixedPoint(5))))
    images = random_images(rng, graph, 6)
    planned = plan(graph, Budget(lanes=16, first_layer="parallel"))
    observed = networks.run(Network(graph, planned), images, pauses="both")
    assert np.array_equal(observed.scores, integer.scores(graph, images))


def test_bits_have_no_parallel_layer():
    graph = mlp(np.random.default_rng(0), [8, 4, 2], Binary())
    said = "A parallel first layer takes pixels of 2 bits or more, layer1 bits"
    with pytest.raises(PlanError, match=re.escape(said)):
        plan(graph, Budget(first_layer="parallel"))
    said = "The first layer is serial or parallel, not 'wide'"
    with pytest.raises(PlanError, match=re.escape(said)):
        Budget(first_layer="wide")
