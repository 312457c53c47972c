# SPDX-License-Identifier: BSD-2-Clause
"""The batched torch reference against the definitions, one synapse at a time."""

import re

import numpy as np
import pytest
import torch

from tests.support.graphs import mlp, obvious_scores, random_graph, random_images
from twincell.model import reference
from twincell.model.graph import Graph
from twincell.model.nodes import Dense, Head, Input, Weights
from twincell.model.planes import Binary, FixedPoint, Stochastic
from twincell.model.reference import Reference


def _presentations(graph: Graph) -> list[int | None]:
    planes = graph.input.planes
    return list(planes.presentations) if isinstance(planes, Stochastic) else [None]


@pytest.mark.parametrize("seed", range(5000, 5040))
def test_equals_the_obvious_executor(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    images = random_images(rng, graph, 3)
    for presentations in _presentations(graph):
        options = {"presentations": presentations, "first_image": 5}
        found = reference.scores(graph, torch.tensor(images), **options)
        assert found.dtype == torch.int64
        for index, image in enumerate(images):
            wanted = obvious_scores(graph, image, presentations=presentations, index=5 + index)
            assert found[index].tolist() == wanted


@pytest.mark.parametrize(
    "planes",
    [
        Binary(),
        FixedPoint(5),
        Stochastic(6, (3,), seed=8),
        Stochastic(6, (3,), seed=8, accumulate="output"),
    ],
)
def test_chunks_change_nothing(planes, monkeypatch):
    rng = np.random.default_rng(2)
    graph = mlp(rng, [40, 20, 5], planes)
    images = random_images(rng, graph, 50)
    whole = reference.scores(graph, images)
    monkeypatch.setattr(reference, "_CHUNK", 7 * 40)
    assert torch.equal(reference.scores(graph, images), whole)


def _wide(inputs: int, bits: int) -> tuple[Graph, np.ndarray]:
    """A network whose sums differ by little at the far end of their range."""
    most = inputs * ((1 << bits) - 1)
    thresholds = np.array([[[most - 1, most, most + 1]]])
    layer = Dense(Weights(np.ones((3, inputs), int)), thresholds)
    head = Head(Weights(np.eye(3, dtype=int), np.eye(3, dtype=int)), np.zeros((1, 3), int))
    images = np.full((3, inputs), (1 << bits) - 1)
    images[1, 0] -= 1
    images[2, :2] -= 1
    return Graph((Input((inputs,), FixedPoint(bits)), layer, head)), images


@pytest.mark.parametrize("inputs, bits", [(256, 15), (257, 16), (4000, 16)])
def test_sums_past_float32_are_exact(inputs, bits):
    graph, images = _wide(inputs, bits)
    assert reference.scores(graph, images).tolist() == [[1, 1, -1], [1, -1, -1], [-1, -1, -1]]


def test_a_lower_matmul_precision_changes_nothing():
    graph, images = _wide(200, 12)
    wanted = reference.scores(graph, images)
    torch.set_float32_matmul_precision("medium")
    try:
        assert torch.equal(reference.scores(graph, images), wanted)
    finally:
        torch.set_float32_matmul_precision("highest")


def test_read_only_and_reversed_arrays_are_taken():
    graph = mlp(np.random.default_rng(1), [4, 3], FixedPoint(2))
    images = np.arange(12, dtype=np.uint8).reshape(3, 4) % 4
    wanted = reference.scores(graph, images)
    images.setflags(write=False)
    assert torch.equal(reference.scores(graph, images), wanted)
    assert torch.equal(reference.scores(graph, images[::-1]), wanted.flip(0))


def test_no_images_give_no_scores():
    graph = mlp(np.random.default_rng(1), [4, 3], FixedPoint(2))
    assert reference.scores(graph, np.zeros((0, 4), int)).shape == (0, 3)


@pytest.mark.parametrize(
    "images, message",
    [
        (np.zeros((2, 4)), "Images must be integers, not torch.float64"),
        (np.zeros((2, 5), int), "Images must be (batch, *(4,)), not (2, 5)"),
        (np.zeros(4, int), "Images must be (batch, *(4,)), not (4,)"),
        (np.array(3), "Images must be (batch, *(4,)), not ()"),
        (np.array([[0, 1, 4, 0]]), "Pixels must be 0 to 3, not 0 to 4"),
        (np.array([[0, 1, -1, 0]]), "Pixels must be 0 to 3, not -1 to 1"),
    ],
)
def test_other_images_are_refused(images, message):
    graph = mlp(np.random.default_rng(1), [4, 3], FixedPoint(2))
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Reference(graph).scores(images)


def test_unsupported_presentations_are_refused():
    graph = mlp(np.random.default_rng(1), [4, 3], Stochastic(4, (2, 5)))
    with pytest.raises(ValueError, match="supports 2, 5 presentations, not 3"):
        reference.scores(graph, np.zeros((1, 4), int), presentations=3)
