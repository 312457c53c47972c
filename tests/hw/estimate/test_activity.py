# SPDX-License-Identifier: BSD-2-Clause
"""Activity of images: what layers see, and how much of it toggles."""

import numpy as np
import pytest

from tests.support.graphs import mlp, random_images
from twincell.hw.estimate import activity
from twincell.hw.estimate.activity import LayerActivity, flows, measure
from twincell.hw.estimate.features import total_bits
from twincell.hw.plan import Budget, plan
from twincell.model import integer
from twincell.model.graph import Graph
from twincell.model.nodes import Head, Input, Weights
from twincell.model.planes import Binary, FixedPoint, Stochastic

PLANES = [Binary(), FixedPoint(4), Stochastic(4, (3,), seed=5)]


@pytest.mark.parametrize("planes", PLANES, ids=str)
@pytest.mark.parametrize("ternary", [False, True])
def test_layers_see_what_the_reference_computes(planes, ternary):
    rng = np.random.default_rng(3)
    graph = mlp(rng, [21, 13, 9, 5], planes, ternary)
    images = random_images(rng, graph, 20)
    seen = list(flows(graph, images))
    assert [each.shape[2] for each in seen] == [21, 13, 9]
    signed = graph.nodes[-1].weights.signed().astype(int)
    scores = (2 * seen[-1][:, 0] - 1) @ signed.T + graph.nodes[-1].offsets[0]
    assert np.array_equal(scores, integer.scores(graph, images))


def _head(sign: list[int], bits: int = 1) -> Graph:
    planes = Binary() if bits == 1 else FixedPoint(bits)
    weights = Weights(np.array(sign).reshape(-1, 4))
    return Graph((Input((4,), planes), Head(weights, np.zeros((1, len(weights.sign)), int))))


def test_toggles_are_counted_bit_by_bit():
    # Two neurons of opposite weights: all four lanes agree, then none.
    graph = _head([1, 1, 1, 1, 0, 0, 0, 0])
    planned = plan(graph, Budget(lanes=4))
    found = measure(graph, planned, np.ones((1, 4), int)).layers[0]
    # Pairs go from 2 to 0, a bit of two each, and their sum from 4 to 0, a bit of three.
    assert found.popcount == pytest.approx((2 * 1 + 1) / (2 * 2 + 3), abs=1e-4)
    # The total goes from 4 to 0 as well.
    assert found.accumulate == pytest.approx(1 / total_bits(planned.layers[0]), abs=1e-4)
    still = measure(_head([1] * 8), planned, np.ones((1, 4), int)).layers[0]
    assert still == LayerActivity(0, 0)


def test_whole_pixels_are_added_as_numbers():
    graph = _head([1, 1, 1, 1, 1, 1, 1, 0], bits=2)
    planned = plan(graph, Budget(lanes=4, first_layer="parallel"))
    found = measure(graph, planned, np.array([[0, 0, 0, 3]])).layers[0]
    # One stored sign of four differs. The last pair goes from 3 to 0: two bits of two pairs of
    # two bits, and as many of the sum's.
    assert found.popcount == pytest.approx((2 + 2) / (2 * 2 + 2), abs=1e-4)


def test_measured_activity_repeats_and_depends_on_images():
    rng = np.random.default_rng(4)
    graph = mlp(rng, [64, 32, 10], FixedPoint(8))
    planned = plan(graph, Budget(lanes=128))
    dark = np.zeros((2, 64), int)
    mixed = random_images(rng, graph, 4)
    assert measure(graph, planned, mixed) == measure(graph, planned, mixed)
    assert measure(graph, planned, mixed) != measure(graph, planned, dark)
    for layer in measure(graph, planned, mixed).layers:
        assert 0 < layer.popcount < 1 and 0 < layer.accumulate < 1


def test_no_images():
    graph = _head([1] * 4)
    with pytest.raises(ValueError, match=r"^Activity is measured on one image at least$"):
        measure(graph, plan(graph), np.zeros((0, 4), int))


def test_the_sample_covers_the_read(monkeypatch):
    """With all neurons sampled the shares hardly change."""
    rng = np.random.default_rng(5)
    graph = mlp(rng, [48, 32, 10], FixedPoint(4))
    planned = plan(graph, Budget(lanes=256))
    images = random_images(rng, graph, 6)[2:]
    sampled = measure(graph, planned, images).layers[0]
    monkeypatch.setattr(activity, "NEURONS", 64)
    monkeypatch.setattr(activity, "GROUPS", 64)
    whole = measure(graph, planned, images).layers[0]
    assert sampled.popcount == pytest.approx(whole.popcount, rel=0.1)
