# SPDX-License-Identifier: BSD-2-Clause
"""Networks whose weights lie in memory macros, as Verilog with the macros' behavioural model."""

import shutil

import numpy as np
import pytest

from tests.support.graphs import mlp, random_images
from twincell.hw.arrays.macro import macro_arrays
from twincell.hw.arrays.macro_timing import Timing
from twincell.hw.network import Network
from twincell.hw.plan import Budget, plan
from twincell.hw.verilog import emit
from twincell.model import integer
from twincell.model.errors import ErrorMap
from twincell.model.generators import error_positions, gap_table, start_of_image
from twincell.model.planes import Binary, FixedPoint
from twincell.sim import harness, native
from twincell.sim.results import SWEEP

IMAGES = 70  # two runs of the native player: errors depend on the index of an image
TIMING = Timing(precharge=1, word_line=2, sense=1, latch=1)
# Sizes, bits of a pixel, ternary weights, lanes, arrangement.
KINDS = [
    ([20, 7, 5], 1, False, 24, "columns"),
    ([11, 6, 4], 3, True, 30, ("rows", "columns")),
]


def _case(kind: int, transient: float, persistent: float):
    """(graph, plan, errors, images) of a network on macros."""
    sizes, bits, ternary, lanes, arrangement = KINDS[kind]
    rng = np.random.default_rng(kind)
    graph = mlp(rng, sizes, Binary() if bits == 1 else FixedPoint(bits), ternary)
    budget = Budget(lanes, arrangement=arrangement, cycles_per_read=TIMING.cycles_per_read)
    errors = ErrorMap.draw(graph, 5, transient=transient, persistent=persistent)
    return graph, plan(graph, budget), errors, random_images(rng, graph, IMAGES)


def _build(directory, graph, planned, errors):
    network = Network(errors.sensed(graph), planned, arrays=macro_arrays(errors, timing=TIMING))
    return emit(network, directory, name="macros", about={"network": network.about()})


CASES = [(0, 0.0), (0, 0.02), (1, 0.0), (1, 0.02)]  # kind, rate of read errors


@pytest.fixture(scope="module", params=CASES, ids=str)
def built(request, tmp_path_factory):
    """(directory, plan, images, scores) with and without errors."""
    kind, rate = request.param
    graph, planned, errors, images = _case(kind, rate, 2 * rate)
    directory = tmp_path_factory.mktemp("macros")
    made = _build(directory, graph, planned, errors)
    scores = integer.scores(graph, images, errors=errors, order=planned.read_order)
    assert np.array_equal(scores, integer.scores(graph, images)) == (rate == 0)
    assert [path.name for path in made.models] == [
        "twincell_macro.stub.v",
        "twincell_macro.model.v",
    ]
    return directory, planned, images, scores


# Verilator compiles a macro's model for a quarter of a minute, Icarus for a second.
@pytest.mark.parametrize(
    ("built", "pauses"),
    [
        pytest.param(
            case,
            pauses,
            id=f"{case}-{pauses}",
            marks=() if case == (1, 0.02) else pytest.mark.slow,
        )
        for case in CASES
        for pauses in (SWEEP[0], SWEEP[3])
    ],
    indirect=["built"],
)
def test_native(built, pauses):
    directory, planned, images, scores = built
    result = native.run(directory, images, pauses=pauses, seed=5)
    assert len(result.slices) == 2
    assert not result.mismatches(scores).any()
    if pauses == SWEEP[0]:
        for part in result.slices:
            finished = result.finished[slice(*part)]
            assert set(np.diff(finished)[4:]) == {planned.cycles_per_image}


@pytest.mark.parametrize("pauses", [SWEEP[0], SWEEP[3]], ids=str)
def test_icarus(built, pauses, tmp_path):
    if shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog is not on PATH")
    directory, _, images, scores = built
    result = harness.run(
        directory, images[:6], scores[:6], simulator="icarus", pauses=pauses, work=tmp_path
    )
    assert not result.mismatches(scores[:6]).any()


@pytest.mark.parametrize("kind", [0, 1])
def test_the_reference_is_what_the_reads_say(kind):
    """Scores by the word: every read of every image, its errors by their positions."""
    graph, planned, errors, images = _case(kind, 0.02, 0.04)
    wanted = np.array([_image(graph, planned, errors, i, x) for i, x in enumerate(images)])
    found = integer.scores(graph, images, errors=errors, order=planned.read_order)
    assert np.array_equal(found, wanted)


def _image(graph, planned, errors, index, image):
    values = image.reshape(-1)
    for layer in planned.layers:
        node = graph.nodes[layer.node]
        totals = _sums(node, layer, errors.layers[layer.node], index, values)
        if layer is planned.layers[-1]:
            return totals + node.offsets[0]
        values = (totals >= node.thresholds[0, 0]).astype(int)
    raise AssertionError


def _sums(node, layer, errors, index, values):
    """Popcounts of a hidden layer, or signed sums where weights are ternary or of the head."""
    weights = errors.sensed(node.weights)
    lines = layer.word_lines(weights.sign)
    shown = layer.word_lines(weights.active if weights.ternary else np.ones_like(weights.sign))
    bits = layer.columns * (1 + weights.ternary)
    flips = np.zeros((layer.reads, bits), dtype=int)
    if errors.rate:
        first = start_of_image(errors.start, index)
        positions = error_positions(first, gap_table(errors.rate), flips.size)
        flips.reshape(-1)[positions] = 1
    agree, disagree = np.zeros((2, layer.groups * layer.neurons), dtype=int)
    read = 0
    for group in range(layer.groups):
        for plane in reversed(range(layer.planes)):
            for fold in range(layer.folds):
                row = group * layer.folds + fold
                for neuron, lane in np.ndindex(layer.neurons, layer.lanes):
                    pixel, column = fold * layer.lanes + lane, layer.column(neuron, lane)
                    if pixel >= layer.inputs:
                        continue
                    same = int(lines[row, column] == values[pixel] >> plane & 1)
                    a = same & shown[row, column] ^ flips[read, column]
                    d = 1 - a
                    if weights.ternary:
                        d = (1 - same) & shown[row, column] ^ flips[read, layer.columns + column]
                    if a != d:
                        agree[group * layer.neurons + neuron] += int(a) << plane
                        disagree[group * layer.neurons + neuron] += int(d) << plane
                read += 1
    signed = weights.ternary or type(node).__name__ == "Head"
    return (agree - disagree * signed)[: layer.outputs]
