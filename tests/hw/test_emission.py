# SPDX-License-Identifier: BSD-2-Clause
"""Whole networks as files: the same bytes everywhere, the same scores from either kind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.builds import needs_icarus
from tests.support.graphs import mlp, random_images
from twincell import api
from twincell.model import integer, store
from twincell.model.planes import FixedPoint
from twincell.sim import harness, native

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def graph():
    return mlp(np.random.default_rng(4), [21, 6, 5, 3], FixedPoint(3))


def _built_elsewhere(directory: Path, hash_seed: str) -> dict[str, bytes]:
    """The files of ``digits-mlp``, by a process of another directory and hash seed."""
    directory.mkdir(parents=True)
    code = "from twincell import api; api.build(api.load('digits-mlp'), 'out')"
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    subprocess.run([sys.executable, "-c", code], cwd=directory, env=env, check=True)
    return {path.name: path.read_bytes() for path in (directory / "out").iterdir()}


def test_a_network_is_the_same_bytes_everywhere(tmp_path):
    first = _built_elsewhere(tmp_path / "one", "1")
    assert len(first) > 5 and first == _built_elsewhere(tmp_path / "far" / "two", "22")


def test_the_hashes_are_those_of_the_network(graph, tmp_path):
    one = api.build(graph, tmp_path / "one", api.Budget(lanes=20))
    other = api.build(graph, tmp_path / "other", api.Budget(lanes=60))
    hashes = [json.loads(made.ports.read_text())["hashes"] for made in (one, other)]
    assert hashes[0]["Weights"] == hashes[1]["Weights"] == store.digest(graph)
    assert hashes[0]["Configuration"] != hashes[1]["Configuration"]
    text = one.verilog.read_text()
    assert all(f"// {what} SHA-256 {value}\n" in text for what, value in hashes[0].items())


@pytest.mark.parametrize(
    "simulator",
    [
        pytest.param("native", marks=pytest.mark.slow),
        pytest.param("icarus", marks=needs_icarus),
    ],
)
def test_weights_inline_compute_the_same(graph, tmp_path, simulator):
    images = random_images(np.random.default_rng(1), graph, 6)
    wanted = integer.scores(graph, images)
    built = api.build(graph, tmp_path, api.Budget(lanes=30), weights="inline")
    assert not built.memories
    if simulator == "native":
        result = native.run(tmp_path, images)
    else:
        result = harness.run(tmp_path, images, wanted, simulator=simulator)
    assert not result.mismatches(wanted).any()
