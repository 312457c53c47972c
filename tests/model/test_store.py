# SPDX-License-Identifier: BSD-2-Clause
"""Network files: what is written is read back, and what is broken is refused."""

import json
import re

import numpy as np
import pytest
from safetensors import numpy as tensors

from tests.support.graphs import mlp, random_graph, random_images
from twincell.model import integer, store, tensorfile
from twincell.model.checks import GraphError
from twincell.model.planes import Binary, FixedPoint


def _small():
    return mlp(np.random.default_rng(0), [5, 3, 2], FixedPoint(3))


def _parts(graph) -> tuple[dict, dict]:
    """The JSON and the tensors of a network file."""
    content = store.to_bytes(graph)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return json.loads(header["__metadata__"]["twincell"]), tensors.load(content)


def _written(path, network, arrays):
    path.write_bytes(tensors.save(arrays, metadata={"twincell": json.dumps(network)}))
    return path


@pytest.mark.parametrize("seed", range(40))
def test_written_and_read_back(seed, tmp_path):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    path = tmp_path / "network.safetensors"
    store.save(graph, path)
    read = store.load(path)
    assert path.read_bytes() == store.to_bytes(graph) == store.to_bytes(read)
    images = random_images(rng, graph, 3)
    assert np.array_equal(integer.scores(read, images), integer.scores(graph, images))


def test_the_digest_tells_networks_apart():
    rng = np.random.default_rng(0)
    digests = {store.digest(mlp(rng, [5, 3, 2], Binary())) for _ in range(10)}
    assert len(digests) == 10


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "network.safetensors"
    store.save(_small(), path)
    before = path.read_bytes()
    monkeypatch.setattr(store, "to_bytes", lambda graph: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.save(_small(), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def _set(*where, to):
    """A change to the JSON: ``_set("nodes", 0, "bits", to=99)``."""

    def change(network, arrays):
        target = network
        for key in where[:-1]:
            target = target[key]
        target[where[-1]] = to

    return change


def _tensor(name, values):
    def change(network, arrays):
        arrays[name] = np.array(values)

    return change


def _drop(name):
    return lambda network, arrays: arrays.pop(name)


BROKEN = [
    (_set("version", to=2), "version: Input should be 1"),
    (_set("name", to=7), "name: Input should be a valid string"),
    (_set("extra", to=1), "extra: Extra inputs are not permitted"),
    (_set("nodes", to=[]), "nodes: List should have at least 2 items after validation, not 0"),
    (
        _set("nodes", 0, "bits", to=99),
        "node 0 (input): Fixed-point pixels have 2 to 16 bits, not 99",
    ),
    (_set("nodes", 0, "bits", to=2.5), "nodes.0.input.bits: Input should be a valid integer"),
    (_set("nodes", 0, "shape", to=[-5]), "nodes.0.input.shape.0: Input should be greater than or"),
    (
        _set("nodes", 1, "kind", to="magic"),
        "nodes.1: Input tag 'magic' found using 'kind' does not",
    ),
    (
        _set("nodes", 1, "shape", to=[3, 1 << 40]),
        "nodes.1.dense.shape.1: Input should be less than",
    ),
    (
        _set("nodes", 1, "shape", to=[1 << 20, 1 << 20]),
        "node 1 (dense): tensor '1.thresholds' is I32 (1, 1, 3), not I32 (None, 1, 1048576)",
    ),
    (_set("nodes", 1, "ternary", to=True), "node 1 (dense): tensor '1.active' is missing"),
    (_drop("1.sign"), "node 1 (dense): tensor '1.sign' is missing"),
    (_tensor("9.sign", [[1]]), "unknown tensors ['9.sign']"),
    (
        _tensor("1.sign", np.ones((3, 1), np.int8)),
        "node 1 (dense): tensor '1.sign' is I8 (3, 1), not U8 (3, 1)",
    ),
    (
        _tensor("1.thresholds", np.full((1, 1, 3), np.nan, np.float32)),
        "node 1 (dense): tensor '1.thresholds' is F32 (1, 1, 3), not I32 (None, 1, 3)",
    ),
    (
        _tensor("1.sign", np.full((3, 1), 255, np.uint8)),
        "node 1 (dense): pad bits of 'sign' are not zero",
    ),
    (
        _tensor("1.thresholds", np.full((1, 1, 3), 1000, np.int32)),
        "node 1 (Dense): thresholds from 1000 to 1000 leave the range 0 to 36",
    ),
]


@pytest.mark.parametrize("case", range(len(BROKEN)))
def test_a_broken_file_is_refused(case, tmp_path):
    change, message = BROKEN[case]
    network, arrays = _parts(_small())
    change(network, arrays)
    path = _written(tmp_path / "broken.safetensors", network, arrays)
    with pytest.raises(GraphError, match=f"^{re.escape(f'{path}: {message}')}"):
        store.load(path)


@pytest.mark.parametrize("length", [0, 4, 8, 100, 400, -1])
def test_a_truncated_file_is_refused(length, tmp_path):
    path = tmp_path / "short.safetensors"
    path.write_bytes(store.to_bytes(_small())[:length])
    with pytest.raises(GraphError, match=f"^{re.escape(str(path))}: not a whole safetensors file"):
        store.load(path)


def test_other_safetensors_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    path.write_bytes(tensors.save({"weight": np.zeros(3)}))
    with pytest.raises(GraphError, match=r"not a network of this project$"):
        store.load(path)


def test_a_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.truncate(tensorfile.MAX_FILE + 1)
    with pytest.raises(GraphError, match=r"bytes, more than the \d+ allowed$"):
        store.load(path)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        store.load(tmp_path / "nowhere.safetensors")


def test_a_directory_is_no_network(tmp_path):
    message = f"^{re.escape(str(tmp_path))} is no file, but should be a network of this project$"
    with pytest.raises(GraphError, match=message):
        store.load(tmp_path)
