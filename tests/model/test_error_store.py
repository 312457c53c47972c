# SPDX-License-Identifier: BSD-2-Clause
"""Errors on disk: equal bytes for equal errors, and nothing malformed gets in."""

import json
import re

import numpy as np
import pytest
from safetensors import numpy as tensors

from tests.support.graphs import mlp, random_images
from twincell.model import error_store
from twincell.model.checks import GraphError
from twincell.model.errors import ErrorMap, LayerErrors
from twincell.model.graph import Graph
from twincell.model.integer import scores
from twincell.model.nodes import Dense, Head, Input, Weights
from twincell.model.planes import Binary, FixedPoint


def _errors(ternary: bool = False) -> ErrorMap:
    graph = mlp(np.random.default_rng(1), [30, 20, 10], Binary(), ternary)
    return ErrorMap.draw(graph, 5, persistent=0.1, transient=0.01, stuck=0.02)


@pytest.mark.parametrize("ternary", [False, True])
def test_what_is_read_is_what_was_written(ternary, tmp_path):
    graph = mlp(np.random.default_rng(1), [30, 20, 10], FixedPoint(2), ternary)
    errors = ErrorMap.draw(graph, 5, persistent=0.1, transient=0.01, stuck=0.02)
    error_store.save(errors, tmp_path / "new" / "errors.safetensors")
    found = error_store.load(tmp_path / "new" / "errors.safetensors")
    assert error_store.digest(found) == error_store.digest(errors)
    images = random_images(np.random.default_rng(2), graph, 50)
    wanted = scores(graph, images, errors=errors)
    assert np.array_equal(scores(graph, images, errors=found), wanted)


def test_other_seeds_have_other_digests():
    graph = mlp(np.random.default_rng(1), [30, 20, 10], Binary())
    digests = {error_store.digest(ErrorMap.draw(graph, s, transient=0.5)) for s in range(5)}
    assert len(digests) == 5


def _changed(tmp_path, change) -> str:
    """The message with which a file is refused after ``change(header, arrays)``."""
    path = tmp_path / "errors.safetensors"
    error_store.save(_errors(), path)
    content = path.read_bytes()
    arrays = {name: values.copy() for name, values in tensors.load(content).items()}
    size = int.from_bytes(content[:8], "little")
    header = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["twincell-errors"])
    change(header, arrays)
    path.write_bytes(tensors.save(arrays, metadata={"twincell-errors": json.dumps(header)}))
    with pytest.raises(GraphError, match=f"^{re.escape(str(path))}: ") as caught:
        error_store.load(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, a: h.update(version=2), "version: Input should be 1"),
        (lambda h, a: h.update(extra=1), "extra: Extra inputs are not permitted"),
        (lambda h, a: h["layers"][0].update(rate=0.75), "layers.0.rate: Input should be less"),
        (lambda h, a: h["layers"][0].update(rate=1e-9), "node 1: the rate must be 0 or 5.96"),
        (lambda h, a: h["layers"][0].update(start=[1, 2]), "layers.0.start: List should have"),
        (lambda h, a: h["layers"][0].update(start=[1, 2, 1 << 32]), "layers.0.start.2: Input"),
        (lambda h, a: h["layers"].append(h["layers"][0]), "node 1 appears twice"),
        (lambda h, a: h["layers"].pop(), "unknown tensors"),
        (lambda h, a: h["layers"][0].update(shape=[2, 2]), "node 1: synapses must ascend from 0"),
        (lambda h, a: h["layers"][0].update(shape=[1 << 20] * 4), "synapses, most"),
        (lambda h, a: a["1.synapses"].__setitem__(0, -1), "node 1: synapses must ascend"),
        (lambda h, a: a["1.synapses"].__setitem__(1, 0), "node 1: synapses must ascend"),
        (lambda h, a: a["1.states"].__setitem__(0, 0), "node 1: states must be -1, 1"),
        (lambda h, a: a.update({"1.states": a["1.states"][1:]}), "tensor '1.states' is I8"),
        (lambda h, a: a.pop("1.states"), "tensor '1.states' is missing"),
    ],
)
def test_malformed_errors_are_refused(change, message, tmp_path):
    assert message in _changed(tmp_path, change)


def test_a_network_is_not_a_file_of_errors(tmp_path):
    from twincell.model import store

    path = tmp_path / "net.safetensors"
    store.save(mlp(np.random.default_rng(1), [30, 20, 10], Binary()), path)
    with pytest.raises(GraphError, match="no 'twincell-errors' entry in the header: not errors"):
        error_store.load(path)


def test_errors_without_the_shapes_of_their_weights_are_not_lost():
    errors = ErrorMap({1: LayerErrors([3, 5], [1, -1])})
    with pytest.raises(ValueError, match=r"^Errors of node 1 without its shape: give ErrorMap its"):
        error_store.to_bytes(errors)


def _pattern(*shape: int) -> np.ndarray:
    return (np.arange(np.prod(shape)) * 7919 % 5 < 2).astype(int).reshape(shape)


def test_a_seed_means_the_same_bits_for_ever():
    """Saved seeds, ledgers and published results mean these; who changes them needs a new version
    of both."""
    middle = _pattern(30, 30)
    graph = Graph(
        (
            Input((40,), Binary()),
            Dense(Weights(_pattern(30, 40)), np.full((1, 1, 30), 20)),
            Dense(Weights(middle, middle[::-1]), np.full((1, 1, 30), 5)),
            Head(Weights(_pattern(10, 30)), np.zeros((1, 10), int)),
        ),
        "pinned",
    )
    errors = ErrorMap.draw(graph, 5, persistent=0.1, transient=0.01, stuck=0.05)
    pinned = "67abc172be01ffa552758805d9d9e78ffb005959b9d1d071b5137dca4c80ad1c"
    assert error_store.digest(errors) == pinned
