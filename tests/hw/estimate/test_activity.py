# SPDX-License-Identifier: BSD-2-Clause
"""Activity of images: what layers see, and how much of it toggles."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.graphs import lenet, mlp, obvious_scores, random_images
from twincell.hw.estimate import activity
from twincell.hw.estimate.activity import LayerActivity, measure
from twincell.hw.estimate.features import total_bits
from twincell.hw.plan import Budget, plan
from twincell.model import integer
from twincell.model.graph import Graph
from twincell.model.integer import Interpreter
from twincell.model.nodes import Conv, Fill, Flatten, Head, Input, Weights
from twincell.model.planes import Binary, FixedPoint, Stochastic

PLANES = [Binary(), FixedPoint(4), Stochastic(4, (3,), seed=5)]


@pytest.mark.parametrize("planes", PLANES, ids=str)
@pytest.mark.parametrize("ternary", [False, True])
def test_layers_see_what_the_reference_computes(planes, ternary):
    rng = np.random.default_rng(3)
    graph = mlp(rng, [21, 13, 9, 5], planes, ternary)
    images = random_images(rng, graph, 20)
    seen = _flows(graph, images)
    assert [each.shape[2] for each in seen] == [21, 13, 9]
    assert np.array_equal(_scores(graph, seen[-1]), integer.scores(graph, images))


def test_convolutions_see_images_and_what_comes_after_them_vectors():
    rng = np.random.default_rng(5)
    graph = lenet(rng, FixedPoint(3), Fill.PLUS)
    images = random_images(rng, graph, 3)
    seen = _flows(graph, images)
    assert [each.shape[1:] for each in seen] == [(3, 3, 8, 8), (1, 4, 4, 4), (1, 24), (1, 10)]
    planes = sum(seen[0][:, k].astype(int) << k for k in range(3))
    assert np.array_equal(planes, images)
    assert _scores(graph, seen[-1]).tolist() == [obvious_scores(graph, each) for each in images]


def test_of_passes_the_first_is_seen():
    rng = np.random.default_rng(6)
    graph = mlp(rng, [21, 13, 5], Stochastic(4, (1, 3), seed=5, accumulate="output"))
    images = random_images(rng, graph, 4)
    often = _flows(graph, images, 3)
    assert all(np.array_equal(*each) for each in zip(often, _flows(graph, images, 1), strict=True))


def _flows(graph: Graph, images: np.ndarray, presentations: int | None = None) -> list[np.ndarray]:
    interpreter = Interpreter(graph)
    return list(interpreter.flows(interpreter.shown(images, presentations=presentations)))


def _scores(graph: Graph, seen: np.ndarray) -> np.ndarray:
    signed = graph.nodes[-1].weights.signed().astype(int)
    return (2 * seen[:, 0].astype(int) - 1) @ signed.T + graph.nodes[-1].offsets[0]


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


def _line(sign: int, size: int, padding: int = 0, fill: Fill = Fill.MINUS) -> Graph:
    """A convolution of two taps of one sign, along a line of bits."""
    thresholds = np.ones((1, 1, 1), int)
    conv = Conv(Weights(np.full((1, 1, 2), sign)), thresholds, (1,), (padding,), fill)
    classes = conv.border_classes((size,))
    conv = replace(conv, thresholds=np.ones((1, classes, 1), int))
    inputs = conv.output_size((size,))[0]
    head = Head(Weights(np.ones((2, inputs), int)), np.zeros((1, 2), int))
    return Graph((Input((1, size)), conv, Flatten(), head))


def _windows(graph: Graph, bits: list[int]) -> LayerActivity:
    planned = plan(graph, Budget(lanes=200))
    assert (planned.layers[0].lanes, planned.layers[0].tap_rows) == (2, 2)
    return measure(graph, planned, np.array(bits).reshape(1, 1, -1)).layers[0]


def test_windows_follow_each_other():
    graph = _line(1, 4)
    found = _windows(graph, [1, 1, 0, 0])
    # Two taps agree, one, none: from 2 to 1 both bits toggle, from 1 to 0 one.
    assert found.popcount == pytest.approx(3 / 4, abs=1e-4)
    bits = total_bits(plan(graph, Budget(lanes=200)).layers[0])
    assert found.accumulate == pytest.approx(3 / (2 * bits), abs=1e-4)


def test_taps_that_are_absent_do_not_count():
    bits = [1, 1, 1]
    # Beside the image a tap reads what a weight of -1 agrees with, unless it is absent.
    assert _windows(_line(0, 3, 1), bits).popcount == pytest.approx(2 / 3, abs=1e-4)
    assert _windows(_line(0, 3, 1, Fill.ABSENT), bits) == LayerActivity(0, 0)
    assert _windows(_line(0, 3, 1, Fill.PLUS), bits) == LayerActivity(0, 0)


@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("first_layer", ["serial", "parallel"])
def test_the_sample_of_windows_is_like_the_whole(ternary, first_layer, monkeypatch):
    rng = np.random.default_rng(7)
    graph = lenet(rng, FixedPoint(3), Fill.ABSENT, ternary)
    planned = plan(graph, Budget(lanes=80, first_layer=first_layer))
    images = random_images(rng, graph, 8)[2:]
    sampled = measure(graph, planned, images).layers
    monkeypatch.setattr(activity, "NEURONS", 64)
    monkeypatch.setattr(activity, "PLACES", 64)
    for few, whole in zip(sampled, measure(graph, planned, images).layers, strict=True):
        assert few.popcount == pytest.approx(whole.popcount, rel=0.15)
        assert few.accumulate == pytest.approx(whole.accumulate, rel=0.2)


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
