# SPDX-License-Identifier: BSD-2-Clause
"""One device and one seed flip the same bits in PyTorch, in NumPy and in the generated Verilog."""

import contextlib
import os

import numpy as np
import pytest

from tests.support.builds import needs_icarus
from tests.support.graphs import mlp, random_graph, random_images
from twincell import api
from twincell.hw.arrays.emulated import EmulatedArrays
from twincell.hw.network import Network
from twincell.hw.plan import DEFAULT_LANES, Budget, PlanError, plan
from twincell.hw.verilog import emit
from twincell.injection import Injection, device_rates
from twincell.model import integer, reference
from twincell.model.errors import ErrorMap
from twincell.model.graph import Graph
from twincell.model.nodes import Conv
from twincell.model.planes import Binary, FixedPoint
from twincell.sim import harness

NETWORKS = 20
SETTINGS = 10
IMAGES = 6

# (persistent, transient): rates, or the preset of a device with the states of the weights.
RATES = [
    (0.0, 1e-3),
    (1e-2, 0.0),
    (1e-2, 1e-2),
    (0.1, 2.0**-24),
    (0.0, 0.5),
    (0.5, 0.1),
    (1e-3, 0.05),
]
BINARY_DEVICES = ("rram-weak", "rram-1t1r-weak", "stt-mram-weak")
TERNARY_DEVICES = ("rram-near-threshold",) * 3


def network_of(index: int) -> tuple[Graph, Budget]:
    """A small network of any kind that has hardware, and how it is to be computed."""
    rng = np.random.default_rng(500 + index)
    while index % 4 == 3:
        graph, budget = random_graph(rng), Budget(lanes=int(rng.integers(20, 200)))
        weights = [node.weights for node in graph.nodes if hasattr(node, "weights")]
        alike = len({each.ternary for each in weights}) == 1  # as a device has one kind of cell
        if alike and any(isinstance(node, Conv) for node in graph.nodes):
            with contextlib.suppress(PlanError):  # of some stochastic inputs
                if plan(graph, budget).cycles_per_image < 2000:
                    return graph, budget
    sizes = [int(n) for n in rng.integers(2, 40, int(rng.integers(2, 5)))]
    bits = int(rng.integers(1, 5))
    graph = mlp(rng, sizes, Binary() if bits == 1 else FixedPoint(bits), index % 3 == 2)
    arrangement = ("columns", "rows")[index % 2]
    return graph, Budget(lanes=int(rng.integers(len(sizes), 200)), arrangement=arrangement)


def errors_of(graph: Graph, index: int, setting: int) -> ErrorMap:
    """The errors of a setting: a rate or a device, and a seed."""
    seed = 1000 * index + setting
    if setting < len(RATES):
        persistent, transient = RATES[setting]
    else:
        devices = TERNARY_DEVICES if graph.head.weights.ternary else BINARY_DEVICES
        persistent, transient = device_rates(devices[setting - len(RATES)], graph)
    return ErrorMap.draw(graph, seed, persistent=persistent, transient=transient)


def _pairs():
    """All pairs of network and setting; one setting of three networks in five is not slow."""
    for index in range(NETWORKS):
        for setting in range(SETTINGS):
            quick = index % 5 < 3 and setting == (3 * index + index // SETTINGS) % SETTINGS
            yield pytest.param(index, setting, marks=() if quick else pytest.mark.slow)


@needs_icarus
@pytest.mark.parametrize(("index", "setting"), list(_pairs()))
def test_verilog_numpy_and_torch_agree(index, setting, tmp_path):
    graph, budget = network_of(index)
    errors = errors_of(graph, index, setting)
    planned = plan(graph, budget)
    images = random_images(np.random.default_rng(index), graph, IMAGES)
    options = {"errors": errors, "order": planned.read_order}
    golden = integer.scores(graph, images, **options)
    assert np.array_equal(reference.scores(graph, images, **options).numpy(), golden)

    network = Network(errors.sensed(graph), planned, arrays=EmulatedArrays(errors))
    emit(network, tmp_path / "net", name="net", about={"network": network.about()})
    result = harness.run(
        tmp_path / "net", images, golden, simulator="icarus", work=tmp_path / "work"
    )
    assert not result.mismatches(golden).any()


def test_settings_flip_bits():
    """The comparison above means something: the errors change scores, and seeds change errors."""
    changed = 0
    for index in range(NETWORKS):
        graph, budget = network_of(index)
        images = random_images(np.random.default_rng(index), graph, IMAGES)
        order = plan(graph, budget).read_order
        clean = integer.scores(graph, images)
        found = [
            integer.scores(graph, images, errors=errors_of(graph, index, setting), order=order)
            for setting in (2, 4)
        ]
        changed += sum(not np.array_equal(each, clean) for each in found)
    assert changed >= 1.5 * NETWORKS


ZOO_RATES = (0.0, 1e-6, 1e-4, 1e-2, 0.1, 0.5)
KINDS = {"persistent": (1, 0), "transient": (0, 1), "both": (1, 1)}


@pytest.mark.parametrize(
    "rate",
    [pytest.param(r, marks=() if r == 1e-2 else pytest.mark.slow) for r in ZOO_RATES],
)
@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=() if k == "both" else pytest.mark.slow) for k in KINDS]
)
def test_digits(kind, rate):
    ber, transient = (rate * factor for factor in KINDS[kind])
    result = api.verify(
        "digits-mlp",
        simulator="native",
        budget=Budget(lanes=60),  # compiles in a fraction of the time of the default's
        array="emulated",
        injection=Injection(ber, transient, seed=7),
    )
    assert result.images == 360 and result.mismatches == 0


@pytest.mark.slow
@pytest.mark.skipif("TWINCELL_DATA" not in os.environ, reason="TWINCELL_DATA is not set")
@pytest.mark.parametrize("rate", ZOO_RATES)
@pytest.mark.parametrize("kind", KINDS)
def test_mnist(kind, rate):
    """Each read error takes cycles, whatever the lanes: at 0.5 an image takes 3.2 million, so fewer
    are shown."""
    ber, transient = (rate * factor for factor in KINDS[kind])
    result = api.verify(
        "mnist-mlp",
        100 if transient == 0.5 else 1000,
        simulator="native",
        budget=Budget(lanes=64 if transient >= 0.1 else DEFAULT_LANES),
        array="emulated",
        injection=Injection(ber, transient, seed=7),
    )
    assert result.mismatches == 0
