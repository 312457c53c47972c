# SPDX-License-Identifier: BSD-2-Clause
"""Chips of modules with thresholds in their word lines, against the integer model."""

import re

import numpy as np
import pytest
from amaranth.sim import Simulator

from tests.support.builds import QUICK
from tests.support.simulate import play
from twincell.hw.arrays.macro import MacroArray
from twincell.hw.arrays.macro_model import MacroModel
from twincell.hw.arrays.macro_socket import Socket, in_socket
from twincell.hw.arrays.macro_timing import Timing
from twincell.hw.chip.design import REFERENCE, Design, DesignError, Mode
from twincell.hw.chip.layer import TileLayer, digital_module
from twincell.hw.verilog import emit
from twincell.sim import harness

SMALL = Design("small", rows=4, columns=9, threshold_bits=3)
ODD = Design("odd", rows=5, columns=7, threshold_bits=2)


def _macro_module(name: str, contents: np.ndarray) -> MacroArray:
    return MacroArray(contents, name=name, timing=Timing(sense=2), macro=Socket)


KINDS = {"digital": digital_module, "macro": _macro_module}


def _layer(design, rng, inputs, outputs, mode, modules, thresholds=None):
    groups = design.groups(inputs)
    if thresholds is None:
        thresholds = rng.integers(0, design.most + 1, (outputs, groups))
    contents = design.contents(rng.integers(0, 2, (outputs, inputs)), thresholds)
    return TileLayer(design, contents, inputs=inputs, outputs=outputs, mode=mode, modules=modules)


def _run(layer: TileLayer, vectors: np.ndarray, pauses: str = "none"):
    """(totals, fired) of vectors, as the model gives them, and the cycles of the beats."""
    beats = [sum(int(bit) << k for k, bit in enumerate(vector)) for vector in vectors]
    models = [MacroModel(array) for array in layer.arrays if isinstance(array, MacroArray)]
    sockets = tuple(in_socket(model) for model in models)
    found, cycles = play(layer, beats, len(beats) * layer.reads, pauses=pauses, beside=sockets)
    assert all(model.violations == [] for model in models)
    width = layer.total_shape.width
    lines = np.array([_beat(layer, beat, width) for beat in found])
    lines = lines.reshape(len(vectors), layer.reads, 2, layer.blocks)
    neurons = np.arange(layer.outputs)
    chosen = lines[:, neurons % layer.design.rows, :, neurons // layer.design.rows]
    return chosen[..., 1].T, chosen[..., 0].T.astype(bool), cycles


def _beat(layer: TileLayer, beat: int, width: int):
    fired = [beat >> block & 1 for block in range(layer.blocks)]
    totals = [
        beat >> layer.blocks + width * block & (1 << width) - 1 for block in range(layer.blocks)
    ]
    if layer.total_shape.signed:
        totals = [total - (total >> width - 1 << width) for total in totals]
    return fired, totals


def _vectors(rng, count, inputs):
    vectors = rng.integers(0, 2, (count, inputs))
    vectors[0], vectors[1] = 0, 1
    return vectors


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(
    ("design", "inputs", "outputs"),
    [(SMALL, 6, 4), (SMALL, 17, 7), (SMALL, 1, 1), (ODD, 13, 5), (ODD, 20, 11), (SMALL, 12, 3)],
)
def test_layers_equal_their_model(design, inputs, outputs, mode, kind):
    rng = np.random.default_rng(inputs)
    layer = _layer(design, rng, inputs, outputs, mode, KINDS[kind])
    vectors = _vectors(rng, 5, inputs)
    for pauses in ("none", "both"):
        totals, fired, cycles = _run(layer, vectors, pauses)
        assert np.array_equal(totals, layer.model(vectors)[0])
        assert np.array_equal(fired, layer.model(vectors)[1])
        if pauses == "none":
            assert set(np.diff(cycles)) <= {layer.arrays[0].cycles_per_read}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", list(Mode))
def test_the_reference_chip(mode, kind):
    """116 inputs and 64 neurons on two of its modules; thresholds at both ends among others."""
    rng = np.random.default_rng(4)
    thresholds = rng.integers(20, 40, (64, 2))
    thresholds[0], thresholds[1], thresholds[2], thresholds[3] = 0, 63, 58, 59
    layer = _layer(REFERENCE, rng, 116, 64, mode, KINDS[kind], thresholds)
    vectors = _vectors(rng, 2, 116)
    totals, fired, cycles = _run(layer, vectors)
    assert np.array_equal(totals, layer.model(vectors)[0])
    assert np.array_equal(fired, layer.model(vectors)[1])
    assert cycles[-1] - cycles[0] == (2 * layer.reads - 1) * layer.arrays[0].cycles_per_read
    assert layer.cycles == 64 * layer.arrays[0].cycles_per_read


def test_partial_sums_are_the_ordinary_neuron_for_every_threshold():
    rng = np.random.default_rng(1)
    inputs, outputs = 70, 72
    sign, vectors = rng.integers(0, 2, (outputs, inputs)), _vectors(rng, 50, inputs)
    thresholds = np.arange(outputs)  # 0 to n + 1
    contents = REFERENCE.contents(sign, REFERENCE.split(thresholds, inputs))
    differences = REFERENCE.differences(contents, vectors)[:, :outputs]
    _, fired = REFERENCE.decide(differences, Mode.PARTIAL_SUMS)
    counts = (vectors[:, None] == sign).sum(axis=2)
    assert np.array_equal(fired, counts >= thresholds)


def test_a_majority_is_another_function():
    """One group far above its threshold outweighs two below in the sum, not in the vote."""
    contents = SMALL.contents(np.ones((1, 18), int), np.full((1, 3), 4))
    vector = np.array([[1] * 6 + [1, 1, 1, 0, 0, 0] * 2])
    differences = SMALL.differences(contents, vector)[:, :1]
    assert differences[0, 0].tolist() == [2, -1, -1]
    assert SMALL.decide(differences, Mode.PARTIAL_SUMS)[1].all()
    assert not SMALL.decide(differences, Mode.MAJORITY_VOTE)[1].any()
    # At least half: one of two fires.
    assert SMALL.decide(np.array([[2, -1]]), Mode.MAJORITY_VOTE)[1].all()


@pytest.mark.parametrize("mode", list(Mode))
def test_a_wrong_threshold_bit_moves_the_decision_by_its_weight(mode):
    rng = np.random.default_rng(2)
    layer = _layer(SMALL, rng, 12, 4, mode, digital_module, np.full((4, 2), 3))
    vectors = _vectors(rng, 6, 12)
    wrong = layer.contents.copy()
    wrong[0, 1, 2, SMALL.weights + 2] ^= 1  # 3 becomes 7
    broken = TileLayer(SMALL, wrong, inputs=12, outputs=4, mode=mode)
    totals, fired, _ = _run(broken, vectors)
    assert np.array_equal(totals, broken.model(vectors)[0])
    if mode is Mode.PARTIAL_SUMS:
        assert (layer.model(vectors)[0] - totals)[:, 2].tolist() == [4] * 6
    assert np.array_equal(fired, broken.model(vectors)[1])


def test_thresholds_that_do_not_fit_are_refused():
    message = (
        "The threshold 15 of neuron 1 does not fit: 2 word lines of 3 threshold bits hold 0 to 14;"
        " 4 bits would do"
    )
    with pytest.raises(DesignError, match=f"^{re.escape(message)}$"):
        SMALL.split(np.array([14, 15]), 12)
    with pytest.raises(DesignError, match=r"threshold -1 of neuron 0 .*; none is negative$"):
        SMALL.split(np.array([-1]), 12)
    assert SMALL.split(np.array([14, 13, 0, 1]), 12).tolist() == [[7, 7], [7, 6], [0, 0], [1, 0]]
    with pytest.raises(DesignError, match=r"^The threshold 8 of a word line does not fit: 3 bits"):
        SMALL.contents(np.zeros((1, 6), int), np.array([[8]]))
    with pytest.raises(DesignError, match=r"have thresholds \(1, 1\), not \(1, 2\)$"):
        SMALL.contents(np.zeros((1, 6), int), np.array([[1, 1]]))
    # The reference chip holds every threshold of a neuron of whole groups.
    assert REFERENCE.split(np.array([117]), 116).tolist() == [[59, 58]]


def test_bad_designs():
    with pytest.raises(TypeError, match=r"^rows must be a positive integer, not 0$"):
        Design("none", rows=0)
    with pytest.raises(ValueError, match=r"^6 threshold bits leave none of 6 columns"):
        Design("full", columns=6)
    with pytest.raises(ValueError, match=re.escape("The modules hold (1, 1, 4, 9), not (4, 9)")):
        TileLayer(SMALL, np.zeros((4, 9)), inputs=6, outputs=4)


@pytest.mark.parametrize("kind", KINDS)
def test_word_lines_are_programmed_with_weights_and_threshold(kind):
    """All word lines of one module, between vectors; the others keep theirs."""
    rng = np.random.default_rng(6)
    layer = _layer(SMALL, rng, 12, 4, Mode.PARTIAL_SUMS, KINDS[kind])
    lines = rng.integers(0, 2, (4, 9))
    wanted = layer.contents.copy()
    wanted[0, 1] = lines
    vectors = _vectors(rng, 3, 12)
    expected = TileLayer(SMALL, wanted, inputs=12, outputs=4).model(vectors)[0]
    beats = [sum(int(bit) << k for k, bit in enumerate(vector)) for vector in vectors]
    models = [MacroModel(array) for array in layer.arrays if isinstance(array, MacroArray)]
    found = []

    async def bench(ctx):
        for row, line in enumerate(lines):
            bits = sum(int(bit) << k for k, bit in enumerate(line))
            ctx.set(layer.i_program.payload, {"tile": 1, "row": row, "bits": bits})
            ctx.set(layer.i_program.valid, 1)
            await ctx.tick().until(layer.i_program.ready)
        ctx.set(layer.i_program.valid, 0)
        ctx.set(layer.o.ready, 1)
        for beat in beats:  # offered while the last word line is still being programmed
            ctx.set(layer.i.payload, beat)
            ctx.set(layer.i.valid, 1)
            await ctx.tick().until(layer.i.ready)
        ctx.set(layer.i.valid, 0)

    async def watch(ctx):
        while len(found) < len(beats) * 4:
            _, _, valid, total = await ctx.tick().sample(layer.o.valid, layer.o.payload.totals[0])
            found.extend([total] * valid)

    simulator = Simulator(layer)
    simulator.add_clock(1e-6)
    for model in models:
        simulator.add_testbench(in_socket(model), background=True)
    simulator.add_testbench(bench)
    simulator.add_testbench(watch)
    simulator.run()
    assert np.array_equal(np.array(found).reshape(3, 4), expected)


def test_the_chip_as_verilog(tmp_path):
    rng = np.random.default_rng(7)
    layer = _layer(
        SMALL,
        rng,
        17,
        6,
        Mode.MAJORITY_VOTE,
        lambda name, contents: MacroArray(contents, name=name),
    )
    made = emit(layer, tmp_path, name="chip")
    contents = [path.name for path in made.memories if ".contents." in path.name]
    assert len(contents) == layer.blocks * layer.groups == 6
    vectors = _vectors(rng, 30, 17)
    packed = np.packbits(vectors.astype(np.uint8), axis=1, bitorder="little")
    count = len(vectors) * layer.reads
    beats = harness.play(tmp_path, packed, count, simulator=QUICK, work=tmp_path / "work").beats
    width = layer.total_shape.width
    lines = [_beat(layer, int.from_bytes(beat.tobytes(), "little"), width)[1] for beat in beats]
    totals = np.array(lines).reshape(30, 4, 2).swapaxes(1, 2).reshape(30, 8)[:, :6]
    assert np.array_equal(totals, layer.model(vectors)[0])
