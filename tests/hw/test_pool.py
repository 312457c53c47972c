# SPDX-License-Identifier: BSD-2-Clause
"""Max-pooling of bits against PyTorch."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.support.networks import image_words
from tests.support.simulate import play
from twincell.hw.pool import Pool
from twincell.hw.window import Window
from twincell.model.nodes import MaxPool

SHAPES = {
    "halved": ((4, 6, 6), (2, 2), (2, 2)),
    "rows left": ((2, 7, 5), (2, 2), (2, 2)),
    "overlapping": ((2, 5, 5), (3, 3), (1, 1)),
    "gaps": ((1, 7, 8), (2, 2), (3, 3)),
    "flat": ((6, 9), (3,), (2,)),
    "nothing": ((2, 3, 3), (1, 1), (1, 1)),
    "whole": ((3, 4, 4), (4, 4), (4, 4)),
}


def _pooled(node: MaxPool, images: np.ndarray) -> np.ndarray:
    """The maximum, of the complement where a channel is inverted."""
    pool = functional.max_pool2d if images.ndim == 4 else functional.max_pool1d
    inverted = node.conjunction.reshape(-1, *(1,) * (images.ndim - 2))
    return pool(torch.tensor(images ^ inverted).float(), node.kernel, node.stride).numpy() \
        .astype(int) ^ inverted  # fmt: skip


@pytest.mark.parametrize("pauses", ["none", "both", "sink"])
@pytest.mark.parametrize("name", SHAPES)
def test_pools_as_pytorch_does(name, pauses):
    shape, kernel, stride = SHAPES[name]
    rng = np.random.default_rng(len(name))
    node = MaxPool(kernel, stride, rng.integers(0, 2, shape[0]).astype(np.uint8))
    images = rng.integers(0, 2, (4, *shape))
    for size in {1, shape[0]}:
        expected = image_words(_pooled(node, images), 1, size)
        pool = Pool(node, Window.of(node, shape), size)
        found, _ = play(pool, image_words(images, 1, size), len(expected), pauses=pauses)
        assert found == expected


@pytest.mark.parametrize("name", SHAPES)
def test_a_tap_a_cycle(name):
    shape, kernel, stride = SHAPES[name]
    node = MaxPool(kernel, stride, np.zeros(shape[0], dtype=np.uint8))
    window = Window.of(node, shape)
    count = 6 * window.positions
    given = image_words(np.zeros((6, *shape), dtype=int), 1, shape[0])
    _, cycles = play(Pool(node, window, shape[0]), given, count)
    longest = max(window.positions * window.taps, len(given) // 6)
    assert set(np.diff(cycles[window.positions - 1 :: window.positions])[2:]) == {longest}
