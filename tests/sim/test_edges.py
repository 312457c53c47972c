# SPDX-License-Identifier: BSD-2-Clause
"""Wrapped networks in cocotb, against the agents of cocotbext-axi: random traffic with pauses on
every channel, resets at random moments, and other weights loaded at run time."""

import numpy as np
import pytest

from tests.support import edges as support
from tests.support.builds import QUICK, needs_icarus
from tests.support.edges import Wrapped
from tests.support.graphs import lenet
from twincell import api, networks
from twincell.hw.arrays.emulated import EmulatedArrays
from twincell.hw.edges.build import build as written
from twincell.hw.edges.wrapper import Edge
from twincell.hw.plan import Budget, plan
from twincell.model.errors import ErrorMap
from twincell.model.integer import Interpreter
from twincell.model.nodes import Fill
from twincell.model.planes import FixedPoint
from twincell.sim import edges, packets
from twincell.sim.ports import PortsError
from twincell.sim.results import SimulationError

BUSES = ["axi", "wishbone"]
SIMULATOR = {"axi": "verilator", "wishbone": QUICK}


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Small wrapped networks by their bus; the Wishbone one has the other reset."""
    made = {}

    def get(bus):
        if bus not in made:
            edge = Edge(bus, "low" if bus == "axi" else "high")
            made[bus] = support.wrapped(tmp_path_factory.mktemp("edges") / bus, edge)
        return made[bus]

    return get


def _traffic(network, count, seed):
    """Packets, of which some have a wrong length, and what they are answered with."""
    rng = np.random.default_rng(seed)
    about = packets.edge(network.directory)["packets"]
    images = support.images(network.graph, count, seed)
    beats, per_beat = about["input_beats"], about["pixels_per_beat"]
    lengths = np.full(count, beats)
    wrong = rng.random(count) < 0.2
    lengths[wrong] = rng.integers(1, 2 * beats, wrong.sum())
    shown = images.copy()
    for image, length in zip(shown, lengths, strict=True):
        image[length * per_beat :] = 0  # a short packet is completed with 0
    return {
        "packets": network.codec.encode(images),
        "lengths": lengths,
        "answers": network.answers(network.graph, shown),
    }


@pytest.mark.parametrize(
    ("bus", "simulator"),
    [
        ("axi", "verilator"),
        pytest.param("axi", "icarus", marks=needs_icarus),
        ("wishbone", QUICK),
    ],
)
def test_random_traffic_with_pauses_everywhere(build, tmp_path, bus, simulator):
    network = build(bus)
    counted = edges.play(
        network.directory,
        "edge_traffic",
        _traffic(network, 120, seed=7),
        tmp_path,
        simulator=simulator,
        seed=7,
        options={
            "accesses": 1000,
            "beside": 300 if bus == "axi" else 0,
            "pause": 0.4,
            "bus_pause": 0.4,
        },
    )
    assert counted["packets"] == 120 and counted["beats"] >= 1000
    assert counted["accesses"] == 1000 and counted["refused"] > 100


@pytest.mark.parametrize("bus", BUSES)
def test_counters_of_cycles_are_exact_and_pass_32_bits(build, tmp_path, bus):
    network = build(bus)
    counted = edges.play(
        network.directory,
        "edge_cycles",
        {"packets": network.codec.encode(support.images(network.graph, 20, seed=4))},
        tmp_path,
        simulator=SIMULATOR[bus],
        options={"pause": 0.5},
    )
    assert 100 < counted["busy"] < counted["cycles"]


@needs_icarus
def test_digits_have_the_scores_of_the_reference(tmp_path):
    """The network of the zoo, several beats of scores an image."""
    graph = api.load("digits-mlp")
    digits = Wrapped(graph, api.plan(graph), tmp_path)
    api.build(graph, tmp_path, edge="axi")
    images = networks.first_images("digits-mlp", graph, 40).pixels
    vectors = {
        "packets": digits.codec.encode(images),
        "lengths": np.full(40, 64),
        "answers": digits.answers(graph, images),
    }
    options = {"accesses": 20, "beside": 20, "pause": 0.1, "bus_pause": 0.1}
    work = tmp_path / "work"
    counted = edges.play(
        tmp_path, "edge_traffic", vectors, work, simulator="icarus", options=options
    )
    assert counted["packets"] == 40


def _reset(network, tmp_path, simulator, resets, within):
    images = support.images(network.graph, 20, seed=2)
    counted = edges.play(
        network.directory,
        "edge_reset",
        {
            "packets": network.codec.encode(images),
            "answers": network.answers(network.graph, images),
        },
        tmp_path,
        simulator=simulator,
        seed=3,
        options={"resets": resets, "within": within},
    )
    assert counted["images"] == 2 * resets
    assert 0 < counted["soft"] < resets / 2  # a quarter of them, by chance


@pytest.mark.parametrize("bus", BUSES)
def test_resets_at_random_moments(build, tmp_path, bus):
    _reset(build(bus), tmp_path, SIMULATOR[bus], 300 if bus == "axi" else 60, within=120)


def test_resets_of_windows_borders_and_poolings(tmp_path):
    graph = lenet(np.random.default_rng(4), FixedPoint(2), Fill.ABSENT)
    planned = plan(graph, Budget(lanes=100))
    written(graph, planned, tmp_path / "lenet", edge=Edge("axi"), clock=100e6)
    network = Wrapped(graph, planned, tmp_path / "lenet")
    _reset(network, tmp_path / "work", QUICK, 40, within=3 * planned.cycles_per_image)


def _reload(network, other, tmp_path, seed, simulator):
    images = support.images(network.graph, 40, seed)
    before, after = (network.answers(graph, images) for graph in (network.graph, other))
    assert (before != after).any(axis=1).all()
    vectors = {"packets": network.codec.encode(images), "before": before, "after": after}
    vectors |= network.lines(other)
    return edges.play(
        network.directory, "edge_load", vectors, tmp_path, simulator=simulator, seed=seed
    )


@pytest.mark.parametrize("bus", BUSES)
def test_another_network_is_loaded_at_run_time(build, tmp_path, bus):
    network = build(bus)
    other = support.network(99, (23, 14, 5), 3, False)
    counted = _reload(network, other, tmp_path, 5, SIMULATOR[bus])
    assert counted["before"] > 0 and counted["after"] > 0
    rows = sum(len(each) for each in network.lines(other).values())
    assert counted["lines"] == rows


def test_a_ternary_network_with_inputs_on_rows_is_loaded_at_run_time(tmp_path):
    network = support.wrapped(
        tmp_path / "build", Edge(), ternary=True, lanes=200, arrangement=("rows", "columns")
    )
    other = support.network(98, (23, 14, 5), 3, True)
    counted = _reload(network, other, tmp_path / "work", 6, QUICK)
    assert counted["before"] > 0 and counted["after"] > 0


def test_counters_of_emulated_arrays(tmp_path):
    graph = support.network(4, (23, 14, 5), 3, True)
    planned = plan(graph, Budget(lanes=60))
    errors = ErrorMap.draw(graph, 5, transient=0.05)
    emulated = EmulatedArrays(errors, wear=True)
    edge = Edge("wishbone")
    written(graph, planned, tmp_path / "build", edge=edge, clock=1e8, arrays=emulated)
    network = Wrapped(graph, planned, tmp_path / "build")
    images = support.images(graph, 6, 4)
    reference = Interpreter(graph, errors=errors, order=planned.read_order)
    scores = reference.scores(images)
    rows = [layer.rows for layer in planned.layers]
    programmings = np.full((len(rows), max(rows)), -1)
    rng = np.random.default_rng(4)
    for index, count in enumerate(rows):
        programmings[index, :count] = rng.integers(0, 2, count)
    vectors = {
        "packets": network.codec.encode(images),
        "answers": network.packets(scores),
        "reads": np.array([6 * layer.reads for layer in planned.layers]),
        "flips": np.array([reference.read_flips()[layer.node] for layer in planned.layers]),
        "programmings": programmings,
    }
    counted = edges.play(
        network.directory, "edge_counters", vectors, tmp_path / "work", simulator=QUICK
    )
    assert counted == {"images": 0, "flips": vectors["flips"].sum()}
    assert (vectors["flips"] > 0).all()


def test_a_wrong_answer_is_seen(build, tmp_path):
    network = build("axi")
    vectors = _traffic(network, 3, seed=1)
    vectors["answers"][1, 0] ^= 1
    options = {"accesses": 1, "beside": 0, "pause": 0.0, "bus_pause": 0.0}
    with pytest.raises(
        SimulationError, match=r"(?s)^edge_traffic on verilator failed .*packet 1: "
    ):
        edges.play(network.directory, "edge_traffic", vectors, tmp_path, options=options)


def test_bare_streams_have_no_packets(tmp_path):
    network = support.wrapped(tmp_path, None)
    with pytest.raises(PortsError, match=r"has bare streams, no packets; build it with an edge$"):
        packets.codec(network.directory)


def test_the_packet_codec_refuses_what_does_not_fit():
    codec = packets.PacketCodec(
        pixels=3, pixel_bits=4, pixel_bytes=1, pixels_per_beat=2, input_beats=2, classes=5,
        score_bits=16, score_bytes=2, scores_per_beat=5, output_beats=1, label_bytes=1,
    )  # fmt: skip
    assert codec.encode(np.array([[1, 2, 15]])).tolist() == [[1, 2, 15, 0]]
    scores, labels = codec.decode(np.array([[1, 0, 255, 255, 0, 128, 2, 1, 0, 0, 3]], np.uint8))
    assert scores.tolist() == [[1, -1, -32768, 258, 0]] and labels.tolist() == [3]
    with pytest.raises(ValueError, match=r"^Pixels are 0 to 15, not 1 to 16$"):
        codec.encode(np.array([[1, 2, 16]]))
    with pytest.raises(ValueError, match=r"^An image has 3 pixels, not 2$"):
        codec.encode(np.array([[1, 2]]))
    with pytest.raises(ValueError, match=r"^Pixels must be integers, not float64$"):
        codec.encode(np.array([[0.9, 1.5, 14.99]]))
    assert codec.encode(np.zeros((0, 3), int)).shape == (0, 4)
    with pytest.raises(ValueError, match=r"^A packet has 11 bytes, not \(1, 10\)$"):
        codec.decode(np.zeros((1, 10)))
