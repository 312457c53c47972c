# SPDX-License-Identifier: BSD-2-Clause
"""The packed interpreter against the obvious executor and the batched PyTorch reference."""

import re

import numpy as np
import pytest

from tests.support.graphs import mlp, obvious_scores, random_graph, random_images
from twincell.model.graph import Graph
from twincell.model.integer import Interpreter, labels, scores
from twincell.model.nodes import Head, Input, Weights
from twincell.model.planes import Binary, FixedPoint, Stochastic


def _presentations(graph: Graph) -> list[int | None]:
    planes = graph.input.planes
    return list(planes.presentations) if isinstance(planes, Stochastic) else [None]


@pytest.mark.parametrize("seed", range(60))
def test_equals_the_obvious_executor(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    images = random_images(rng, graph, 4)
    for presentations in _presentations(graph):
        found = scores(graph, images, presentations=presentations, first_image=7)
        for index, image in enumerate(images):
            wanted = obvious_scores(graph, image, presentations=presentations, index=7 + index)
            assert found[index].tolist() == wanted


@pytest.mark.parametrize("block", range(10))
def test_equals_the_torch_reference_on_600_random_graphs(block):
    reference = pytest.importorskip("twincell.model.reference")
    for seed in range(60 * block, 60 * block + 60):
        rng = np.random.default_rng(1000 + seed)
        graph = random_graph(rng)
        images = random_images(rng, graph, 9)
        for presentations in _presentations(graph):
            options = {"presentations": presentations, "first_image": seed}
            wanted = reference.scores(graph, images, **options).numpy()
            found = scores(graph, images, **options)
            assert np.array_equal(found, wanted), f"seed {seed}"


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
    images = random_images(rng, graph, 700)
    whole = Interpreter(graph, threads=1).scores(images)
    assert np.array_equal(Interpreter(graph, threads=3).scores(images), whole)
    parts = [scores(graph, images[k : k + 100], first_image=k) for k in range(0, 700, 100)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_all_agreeing_bits_count_all():
    for n in (1, 63, 64, 65, 128, 784):
        graph = Graph((Input((n,)), Head(Weights(np.ones((2, n), int)), np.zeros((1, 2), int))))
        assert scores(graph, np.ones((1, n), int)).tolist() == [[n, n]]
        assert scores(graph, np.zeros((1, n), int)).tolist() == [[-n, -n]]


def test_no_images_give_no_scores():
    graph = mlp(np.random.default_rng(0), [5, 3, 2], Binary())
    assert scores(graph, np.zeros((0, 5), int)).shape == (0, 2)


def test_the_lowest_index_wins_a_tie():
    assert labels(np.array([[3, 7, 7], [1, 1, 1]])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 4), int), "random takes images of shape (5,), not (4,)"),
        (np.zeros((2, 5)), "Pixels must be integers, not float64"),
        (np.full((2, 5), 8), "random takes pixels from 0 to 7, not 8 to 8"),
        (np.full((2, 5), -1), "random takes pixels from 0 to 7, not -1 to -1"),
    ],
)
def test_images_that_do_not_fit_are_refused(images, message):
    graph = mlp(np.random.default_rng(0), [5, 3, 2], FixedPoint(3))
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        scores(graph, images)


def test_unknown_presentations_are_refused():
    graph = mlp(np.random.default_rng(0), [5, 3, 2], Stochastic(4, (1, 3)))
    with pytest.raises(ValueError, match=r"^random supports 1, 3 presentations, not 2$"):
        scores(graph, np.zeros((1, 5), int), presentations=2)
