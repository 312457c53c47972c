# SPDX-License-Identifier: BSD-2-Clause
"""Networks of every kind that has hardware, as Verilog: both weights, both inputs, odd shapes."""

import shutil

import numpy as np
import pytest

from tests.support.graphs import mlp, random_images
from twincell.hw.network import Network
from twincell.hw.plan import Budget, plan
from twincell.hw.verilog import emit
from twincell.model import integer
from twincell.model.planes import Binary, FixedPoint
from twincell.sim import harness, native
from twincell.sim.results import SWEEP

# Sizes, bits of a pixel, ternary weights, lanes, arrangement.
KINDS = [
    ([64, 8, 10], 1, False, 60, "columns"),
    ([64, 8, 10], 1, True, 60, "rows"),
    ([13, 7, 5], 4, True, 30, "columns"),
    ([1, 3, 1], 8, True, 5, "columns"),
    ([1, 1], 1, False, 1, "rows"),
    ([31, 6, 7, 11], 3, False, 90, ("rows", "columns", "rows")),
]


@pytest.fixture(scope="module", params=range(len(KINDS)))
def built(request, tmp_path_factory):
    """(directory, images, scores) of a network."""
    sizes, bits, ternary, lanes, arrangement = KINDS[request.param]
    rng = np.random.default_rng(request.param)
    graph = mlp(rng, sizes, Binary() if bits == 1 else FixedPoint(bits), ternary)
    network = Network(graph, plan(graph, Budget(lanes=lanes, arrangement=arrangement)))
    directory = tmp_path_factory.mktemp("network")
    emit(network, directory, name="kind", about={"network": network.about()})
    images = random_images(rng, graph, 70)
    return directory, images, integer.scores(graph, images)


@pytest.mark.parametrize("pauses", SWEEP, ids=str)
def test_native(built, pauses):
    directory, images, scores = built
    result = native.run(directory, images, pauses=pauses, seed=5)
    assert not result.mismatches(scores).any()


@pytest.mark.parametrize("pauses", [SWEEP[0], SWEEP[3]], ids=str)
def test_icarus(built, pauses, tmp_path):
    if shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog is not on PATH")
    directory, images, scores = built
    result = harness.run(
        directory, images[:12], scores[:12], simulator="icarus", pauses=pauses, work=tmp_path
    )
    assert not result.mismatches(scores[:12]).any()
