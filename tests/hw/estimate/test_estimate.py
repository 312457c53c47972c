# SPDX-License-Identifier: BSD-2-Clause
"""Estimates: counts that are exact, the fast model against syntheses, and what is added up."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Shape
from amaranth.lib.memory import Memory

from tests.support.graphs import lenet, mlp
from twincell.hw.estimate import fast
from twincell.hw.estimate.activity import Activity, LayerActivity
from twincell.hw.estimate.estimate import estimate
from twincell.hw.estimate.features import (
    ARRAYS,
    buffer_bits,
    buffers,
    constant_bits,
    gearbox_bits,
    score_bits,
    terms,
    tree,
)
from twincell.hw.estimate.sensed import sensed_array
from twincell.hw.estimate.synthesis import Cells, Part, synthesize
from twincell.hw.estimate.technology import Technology, default_table
from twincell.hw.layer_plan import LayerPlan
from twincell.hw.network import Network
from twincell.hw.plan import Budget, plan
from twincell.hw.pool_plan import PoolPlan
from twincell.hw.popcount import Popcount
from twincell.hw.window import Window, WindowBuffer
from twincell.model.nodes import Fill
from twincell.model.planes import Binary, FixedPoint, Stochastic

TECHNOLOGY = Technology(default_table(), 130, "rram-2t2r")
GUIDE = Path(__file__).parents[3] / "docs" / "estimate.md"
CALIBRATION = GUIDE.parent / "results" / "estimate-calibration.json"


def _plan(lanes: int = 64, **options):
    graph = mlp(np.random.default_rng(0), [32, 16, 10], FixedPoint(8))
    return plan(graph, Budget(lanes=lanes, **options))


def test_the_fast_model_keeps_its_promise():
    """At least 40 points to fit and 10 held back, whose area is right within 15 %."""
    made = fast.calibration()
    assert made["grid"]["points"] >= 40
    assert made["held_back"]["points"] >= 10
    assert made["held_back"]["greatest"] < 0.15


def test_the_errors_are_those_of_the_points_on_file():
    """Greatest and mean errors follow from what was synthesized and what was estimated."""
    kept, made = json.loads(CALIBRATION.read_text()), fast.calibration()
    for name, points in kept["points"].items():
        errors = [
            abs(sum(point["estimated"].values()) / sum(point["synthesized"].values()) - 1)
            for point in points
        ]
        for found in (kept[name], made[name]):
            assert found["points"] == len(errors)
            assert found["greatest"] == pytest.approx(max(errors), abs=1e-4)
            assert found["mean"] == pytest.approx(sum(errors) / len(errors), abs=1e-4)
    held_back, grid = ([p["point"] for p in kept["points"][name]] for name in ("held_back", "grid"))
    assert not [point for point in held_back if point in grid]


def test_the_guide_quotes_the_fit():
    guide, kept = GUIDE.read_text(), json.loads(CALIBRATION.read_text())
    for name, found in (("fitted", kept["grid"]), ("held back", kept["held_back"])):
        errors = [found["mean"], found["greatest"], *(found["parts"][part] for part in Part)]
        row = " | ".join([name, str(found["points"]), *(f"{error:.1%}" for error in errors)])
        assert f"| {row} |" in guide
    layers = [each["point"] for each in kept["points"]["grid"] if "neurons" in each["point"]]
    lanes, neurons = (max(layer[size] for layer in layers) for size in ("lanes", "neurons"))
    text = " ".join(guide.split())
    assert f"the points have up to {lanes} lanes a neuron and {neurons} neurons" in text
    assert f"syntheses of {len(kept['points']['grid'])} small layers and generators" in text


@pytest.mark.parametrize("name", ["grid", "held_back"])
def test_points_have_both_accumulations(name):
    points = [each["point"] for each in json.loads(CALIBRATION.read_text())["points"][name]]
    layers = [point for point in points if "folds" in point]
    assert sum(point["equal"] for point in layers) >= 3
    assert sum(point["head"] and point["passes"] > 1 for point in layers) >= 3


def test_the_fast_model_is_fitted_to_the_points_on_file():
    """The errors on file are those of the coefficients that are used."""
    kept = json.loads(CALIBRATION.read_text())
    assert kept["coefficients"] == fast.calibration()["coefficients"]
    checked = 0
    for point in (*kept["points"]["grid"], *kept["points"]["held_back"]):
        given = point["point"]
        if "generator" in given:
            planes = Stochastic(given["bits"], (given["most"],), generator=given["generator"])
            sizes = given["pixels"], given["size"], given["most"]
            made = {Part.RANDOM: fast.presenter_cells(planes, *sizes)}
        elif "shape" in given:
            pool = PoolPlan("pool", 0, _window_of(given, given["shape"]), given["size"])
            made = {Part.CONTROL: fast.pool_cells(pool, given["beat"] or pool.size)}
        else:
            layer = _convolution_of(given) if "kernel" in given else _layer_of(given)
            made = fast.cells(layer, given["array"], given["beat"] or layer.word)
        assert {str(part): cells.transistors for part, cells in made.items()} == point["estimated"]
        total = sum(point["synthesized"].values())
        error = sum(point["estimated"].values()) / total - 1
        assert point["error"] == pytest.approx(error, abs=1e-3)
        checked += 1
    assert checked == kept["grid"]["points"] + kept["held_back"]["points"]


def _window_of(given: dict, size: list[int]) -> Window:
    padding = given.get("padding", [0] * len(size))
    along = (tuple(each) for each in (size, given["kernel"], given["stride"], padding))
    return Window(given["channels"], *along, Fill(given.get("fill", "minus")))


def _convolution_of(given: dict) -> LayerPlan:
    window = _window_of(given, given["size"])
    sizes = given["channels"] * window.taps, given["groups"] * given["neurons"], given["planes"]
    return LayerPlan(
        "layer", 0, *sizes, given["ternary"], given["lanes"], given["neurons"],
        parallel=given["parallel"], channels=given["channels"], window=window,
    )  # fmt: skip


def _layer_of(given: dict) -> LayerPlan:
    lanes, neurons, passes = given["lanes"], given["neurons"], given["passes"]
    shown = (given["planes"],) if given["equal"] else (passes,) if passes > 1 else ()
    return LayerPlan(
        "head" if given["head"] else "layer",
        0,
        given["folds"] * lanes - given["short"],
        given["groups"] * neurons,
        given["planes"],
        given["ternary"],
        lanes,
        neurons,
        presentations=shown,
        equal=given["equal"],
        parallel=given["parallel"],
    )


def test_a_head_adds_up_passes_in_a_ring():
    """Ten classes of eight passes: a register for each bit of their scores, and an adder."""
    once = LayerPlan("head", 0, 24, 10, 1, False, 24, 1)
    often = replace(once, presentations=(8,))
    found = {layer.passes: fast.cells(layer, "sensed", 24) for layer in (once, often)}
    more = found[8][Part.ACCUMULATE].registers - found[1][Part.ACCUMULATE].registers
    ring = 10 * score_bits(often)
    assert score_bits(often) == score_bits(once) + 3
    assert more == pytest.approx(ring + 2 * (4 + 3), rel=0.1)
    more = found[8][Part.ACCUMULATE].transistors - found[1][Part.ACCUMULATE].transistors
    assert more > 16 * ring
    assert found[8][Part.CONTROL].transistors > found[1][Part.CONTROL].transistors  # wider scores
    assert found[8][Part.POPCOUNT] == found[1][Part.POPCOUNT]


@pytest.mark.parametrize("lanes", [1, 2, 3, 4, 7, 31, 64, 100])
def test_registers_of_a_popcount_follow_from_its_structure(lanes):
    """The terms walk the tree as the hardware does: its cycles are the hardware's delay."""
    layer = LayerPlan("layer", 0, lanes + 1, 1, 1, False, lanes + 1, 1)
    popcount = Popcount(lanes)
    widths = [min(3, 3 * popcount._leaves - k, lanes - k) for k in range(0, lanes, 3)]
    leaves = [max(width, 1).bit_length() for width in widths[: popcount._leaves]]
    assert tree(leaves, lanes - min(3 * popcount._leaves, lanes), 2)[2] == popcount.delay
    found = terms(layer, "sensed", 1)[Part.POPCOUNT, "agree"]
    assert found["register bits"] > found["neurons"]


def test_gearbox_bits():
    layer = LayerPlan("layer", 0, 24, 4, 8, False, 8, 1)
    assert gearbox_bits(layer, 8) == 0
    assert gearbox_bits(layer, 4) == 2 * 4 * 8
    assert gearbox_bits(layer, 24) == 3 * 8 * 8


@pytest.mark.parametrize("array", ARRAYS)
def test_parts_add_up(array):
    found = estimate(_plan(), TECHNOLOGY, array=array)
    report = found.as_dict()
    json.dumps(report)  # plain data
    layers = report["layers"]
    for key, total in (("area_um2", "area_um2"), ("energy_j", "energy_per_image_j")):
        by_layer = sum(sum(layer[key].values()) for layer in layers)
        assert report[total] == pytest.approx(by_layer)
        assert report[total] == pytest.approx(sum(part[key] for part in report["parts"].values()))
    rate = report["images_per_second"]
    assert report["power_w"] == pytest.approx(report["energy_per_image_j"] * rate)
    logic = [layer["transistors"].get("arrays", 0) for layer in layers]
    assert (sum(logic) == 0) == (array == "sensed")
    assert all(layer["transistors"]["popcount"] > 0 for layer in layers)


def test_a_convolution_has_its_poolings_among_its_layers():
    graph = lenet(np.random.default_rng(2), Binary())
    planned = plan(graph, Budget(lanes=60))
    found = estimate(planned, TECHNOLOGY)
    assert [layer.name for layer in found.layers] == [stage.name for stage in planned.stages]
    pools = [layer for layer in found.layers if layer.name.startswith("pool")]
    assert len(pools) == 2
    for pool, stage in zip(pools, planned.pools, strict=True):
        assert set(pool.area) == set(pool.energy) == set(pool.logic) == {Part.CONTROL}
        assert (pool.synapses, pool.cell_area) == (0, 0)
        assert (pool.reads, pool.cycles) == (stage.reads, stage.cycles)
        assert pool.memory_bits == buffer_bits(stage)
        logic = pool.logic[Part.CONTROL].transistors / 4 * 3.7536
        rows = pool.memory_bits * 2 * 140 * 0.13**2
        assert pool.area[Part.CONTROL] == pytest.approx(logic + rows)
    synapses = sum(layer.rows * layer.columns for layer in planned.layers)
    assert sum(layer.synapses for layer in found.layers) == synapses


@pytest.mark.parametrize("lanes", [4, 12])
@pytest.mark.parametrize(
    "window",
    [
        Window(4, (9, 9), (3, 3), (1, 1), (1, 1)),
        Window(4, (12,), (3,), (1,), (0,)),
        Window(4, (8, 1), (3, 1), (2, 1), (1, 0)),
    ],
)
def test_buffers_hold_rows_of_an_image(window, lanes):
    """As the hardware's memories: of all rows of a column's taps one for each row."""
    inputs = 4 * window.taps
    layer = LayerPlan("layer", 0, inputs, 4, 2, False, lanes, 2, channels=4, window=window)
    buffer = WindowBuffer(window, 2, layer.word, rows=layer.tap_rows)
    assert buffers(layer) == (window.slots if lanes == 12 else 1)
    assert buffer_bits(layer) == sum(_memory_bits(buffer))
    assert len(_memory_bits(buffer)) == buffers(layer)


def _memory_bits(buffer: WindowBuffer) -> list[int]:
    parts = [part for part, _ in buffer.elaborate(None)._named_submodules.values()]
    memories = [part for part in parts if isinstance(part, Memory)]
    return [Shape.cast(memory.shape).width * memory.depth for memory in memories]


def test_border_classes_have_thresholds_of_their_own():
    window = Window(4, (9, 9), (3, 3), (1, 1), (1, 1))
    bits = {}
    for fill in Fill:
        bordered = replace(window, fill=fill)
        layer = LayerPlan("layer", 0, 36, 4, 1, False, 4, 2, channels=4, window=bordered)
        bits[fill] = constant_bits(layer)
    assert bits[Fill.ABSENT] == 9 * bits[Fill.PLUS] == 9 * bits[Fill.MINUS]


def test_array_area_is_cells_and_periphery():
    planned = _plan()
    layer, found = planned.layers[0], estimate(planned, TECHNOLOGY).layers[0]
    assert found.synapses == layer.rows * layer.columns
    assert found.cell_area == pytest.approx(found.synapses * 60 * 0.13**2)
    transistors = 11 * layer.columns * -(-layer.rows // 64) + 16 * layer.rows
    periphery = transistors / 4 * 3.7536
    assert found.area[Part.ARRAYS] == pytest.approx(found.cell_area + periphery)


def test_energy_follows_activity_and_reads():
    planned = _plan()
    still = Activity(tuple(LayerActivity(0, 0) for _ in planned.layers), 1)
    busy = Activity(tuple(LayerActivity(1, 1) for _ in planned.layers), 1)
    low, high = (estimate(planned, TECHNOLOGY, activity=each) for each in (still, busy))
    assert low.energy[Part.POPCOUNT] < high.energy[Part.POPCOUNT]
    assert low.energy[Part.ACCUMULATE] < high.energy[Part.ACCUMULATE]
    assert low.energy[Part.ARRAYS] == high.energy[Part.ARRAYS]
    # A sense amplifier resolves either way: reads alone count.
    layer = planned.layers[0]
    sense = TECHNOLOGY.energy("sense_latch") + TECHNOLOGY.charge(
        "bit_line_cell", min(layer.rows, 64)
    )
    line = TECHNOLOGY.charge("word_line_cell", 2 * layer.columns)
    wanted = layer.reads * (layer.columns * sense + line)
    assert low.layers[0].energy[Part.ARRAYS] == pytest.approx(wanted)


def test_whole_pixels_read_less_and_add_more():
    serial, parallel = (
        estimate(_plan(images_per_second=100e6 / 128, first_layer=kind, lanes=None), TECHNOLOGY)
        for kind in ("serial", "parallel")
    )
    assert serial.plan.cycles_per_image == parallel.plan.cycles_per_image
    senses = [each.layers[0].reads * each.plan.layers[0].columns for each in (serial, parallel)]
    assert senses[0] == 8 * senses[1]
    arrays = [each.layers[0].energy[Part.ARRAYS] for each in (serial, parallel)]
    assert arrays[1] < arrays[0] / 4


def test_random_planes_are_a_part():
    graph = mlp(np.random.default_rng(0), [32, 16, 10], Stochastic(8, (1, 4), seed=1))
    one, four = (
        estimate(plan(graph).shown(count), TECHNOLOGY, planes=graph.input.planes)
        for count in (1, 4)
    )
    assert 0 < one.area[Part.RANDOM] < four.area[Part.RANDOM]
    assert one.energy[Part.RANDOM] < four.energy[Part.RANDOM]
    assert all(Part.RANDOM not in layer.energy for layer in one.layers[1:])


def test_a_synthesis_replaces_the_model():
    planned = _plan()
    cells = {
        ("layer1", Part.POPCOUNT): Cells(4000, 10),
        ("layer1", Part.CONTROL): Cells(0, 0, 70.0),
    }
    cells |= {("head", Part.CONTROL): Cells(40, 1)}
    cells |= {(name, Part.ACCUMULATE): Cells(8, 1) for name in ("layer1", "head")}
    cells |= {("head", Part.POPCOUNT): Cells(8, 1)}
    found = estimate(planned, TECHNOLOGY, synthesis=cells)
    first = found.layers[0]
    assert first.area[Part.POPCOUNT] == pytest.approx(1000 * 3.7536)
    memories = first.memory_bits * 2 * 140 * 0.13**2
    assert first.area[Part.CONTROL] == pytest.approx(70.0 + memories)
    assert found.as_dict()["model"]["kind"] == "synthesis"
    # Gates of a Liberty file toggle as well: as many as its area makes.
    cells["layer1", Part.CONTROL] = Cells(0, 0, 700.0)
    larger = estimate(planned, TECHNOLOGY, synthesis=cells).energy[Part.CONTROL]
    toggled = 630 / 3.7536 * 0.1 * planned.cycles_per_image * TECHNOLOGY.energy("gate")
    assert larger - found.energy[Part.CONTROL] == pytest.approx(toggled)


@pytest.mark.slow
@pytest.mark.parametrize("fill", [Fill.PLUS, Fill.ABSENT])
def test_whole_convolutions_are_held_back_as_well(fill):
    planes = FixedPoint(4)
    graph = lenet(np.random.default_rng(1), planes, fill)
    planned = plan(graph, Budget(lanes=80))
    cells = synthesize(Network(graph, planned, arrays=sensed_array))
    real, modelled = (
        estimate(planned, TECHNOLOGY, planes=planes, synthesis=each) for each in (cells, None)
    )
    assert real.transistors == sum(each.transistors for each in cells.values())
    assert modelled.transistors == pytest.approx(real.transistors, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("planes", "first_layer"),
    [
        (FixedPoint(8), "serial"),
        (FixedPoint(8), "parallel"),
        (Stochastic(8, (4,)), "serial"),
        (Stochastic(8, (8,), accumulate="output"), "serial"),
    ],
    ids=["serial", "parallel", "first", "output"],
)
def test_whole_networks_are_held_back_as_well(planes, first_layer):
    graph = mlp(np.random.default_rng(1), [40, 24, 10], planes)
    planned = plan(graph, Budget(lanes=96, first_layer=first_layer))
    cells = synthesize(Network(graph, planned, arrays=sensed_array))
    real = sum(each.transistors for each in cells.values())
    guess = estimate(planned, TECHNOLOGY, planes=planes).transistors
    assert guess == pytest.approx(real, rel=0.15)
