# SPDX-License-Identifier: BSD-2-Clause
"""Energy of images, event by event: tables in which all but one cost nothing."""

import math
from collections.abc import Mapping

import numpy as np
import pytest

from tests.support.graphs import lenet, mlp
from twincell.hw.estimate.energy import SRAM_BITS
from twincell.hw.estimate.estimate import Estimate, estimate
from twincell.hw.estimate.features import (
    constant_bits,
    popcount_bits,
    random_bits,
    ring_bits,
    score_bits,
    total_bits,
)
from twincell.hw.estimate.synthesis import Part
from twincell.hw.estimate.technology import Technology, default_table
from twincell.hw.layer_plan import LayerPlan
from twincell.hw.plan import Budget, plan
from twincell.model.planes import FixedPoint, Generator, Stochastic

PIXELS, BITS = 32, 8
SHARE = 0.5  # of random bits that toggle


def _only(event: str) -> Technology:
    """At the node of the table's energies, of which one is 1 fJ and the others nothing."""
    table = default_table()
    energy = {
        name: {**entry, "value": float(name == event)} if isinstance(entry, Mapping) else entry
        for name, entry in table["energy"].items()
    }
    assert event in energy
    return Technology({**table, "energy": energy}, table["energy"]["node"], "rram-2t2r")


def _made(event: str, shown: int, generator: str = "lfsr", accumulate: str = "first") -> Estimate:
    """An estimate of so many presentations, by an event alone."""
    planes = Stochastic(BITS, (1, 4, 8), generator=generator, accumulate=accumulate)
    graph = mlp(np.random.default_rng(0), [PIXELS, 16, 10], planes)
    planned = plan(graph, Budget(lanes=64)).shown(shown)
    return estimate(planned, _only(event), planes=planes)


def _random(event: str, shown: int, generator: str) -> float:
    """Energy of drawing planes, fJ."""
    return _made(event, shown, generator).energy[Part.RANDOM] * 1e15


def test_thresholds_are_read_in_every_pass():
    """Memories behind the input work as often as there are passes."""
    one, eight = (_made("sram_bit", shown, accumulate="output") for shown in (1, 8))
    for once, often in zip(one.layers, eight.layers, strict=True):
        assert once.energy[Part.CONTROL] > 0
        assert often.energy[Part.CONTROL] == pytest.approx(8 * once.energy[Part.CONTROL])


@pytest.mark.parametrize("lanes", [20, 600])
def test_memories_of_windows(lanes):
    """A bit costs as the square root of its memory's size. A word comes for every tap; of a column
    of taps from the memories of all rows, whichever it needs; and thresholds for every window."""
    graph = lenet(np.random.default_rng(0), FixedPoint(2))
    planned = plan(graph, Budget(lanes=lanes))
    made = estimate(planned, _only("sram_bit"), planes=graph.input.planes)
    for found, stage in zip(made.layers, planned.stages, strict=True):
        if stage.window is None:
            continue
        window, bits = stage.window, stage.pixel_bits
        banks = 1
        moved = 0.0
        if isinstance(stage, LayerPlan):
            banks = window.slots if stage.lanes > window.channels else 1
            constants = window.positions * stage.groups * stage.neurons * total_bits(stage)
            moved = constants * (constant_bits(stage) / SRAM_BITS) ** 0.5
        words = window.channels // stage.word
        taps = window.positions * stage.groups * stage.cycles_per_group
        places = 1 << (window.size[1] - 1).bit_length() << (words - 1).bit_length()
        rows = window.slots // banks * places * stage.word * bits
        read, written = taps * banks * stage.word * bits, math.prod(window.size) * window.channels
        moved += (read + written * bits) * (rows / SRAM_BITS) ** 0.5
        assert found.energy[Part.CONTROL] * 1e15 == pytest.approx(moved), stage.name
    columns = [layer for layer in planned.layers if layer.tap_rows > 1]
    assert bool(columns) == (lanes == 600)


def test_random_bits_are_those_that_a_generator_makes():
    beats = _made("gate", 4).plan.input_beats
    size = PIXELS // beats
    # The last bit of a number lies 44 places behind the first, and the register holds 31.
    wanted = {
        "lfsr": PIXELS * BITS,
        "taps": PIXELS + beats * (44 - 31),
        "low-discrepancy": PIXELS * (BITS + 2),
        "shared": BITS,
    }
    assert size * beats == PIXELS
    for generator in Generator:
        drawn = _random("random_bit", 4, str(generator))
        assert drawn == pytest.approx(4 * wanted[str(generator)] * SHARE), generator


@pytest.mark.parametrize("generator", Generator)
def test_every_pixel_is_compared_whatever_its_number(generator):
    assert _random("compared_bit", 4, generator) == pytest.approx(4 * PIXELS * BITS * SHARE)


@pytest.mark.parametrize("generator", Generator)
def test_registers_of_random_planes_are_clocked_once(generator):
    made = _made("register_clock", 4, generator)
    registers = made.layers[0].logic[Part.RANDOM].registers
    clocked = registers * made.plan.cycles_per_image
    assert made.energy[Part.RANDOM] * 1e15 == pytest.approx(clocked)


def test_random_states_toggle_with_every_beat_or_presentation():
    for generator, state in (("lfsr", 31), ("shared", BITS)):
        made = _made("register_toggle", 4, generator)
        moves = 4 * (1 if generator == "shared" else made.plan.input_beats)
        others = made.layers[0].logic[Part.RANDOM].registers - state
        toggled = state * moves * SHARE + others * 0.1 * made.plan.cycles_per_image
        assert made.energy[Part.RANDOM] * 1e15 == pytest.approx(toggled)


def test_in_wide_beats_taps_make_about_a_bit_for_a_pixel():
    made = {
        str(each): random_bits(Stochastic(BITS, (1,), generator=each), 1024, 256, 1) / 1024
        for each in Generator
    }
    assert made == {"lfsr": 8, "taps": (256 + 13) / 256, "low-discrepancy": 8, "shared": 8 / 1024}


def test_scores_are_added_up_once_a_group_and_pass():
    one, eight = (_made("adder_bit", shown, accumulate="output") for shown in (1, 8))
    share = default_table()["activity"]["accumulate"]["value"]
    for made, shown in ((one, 1), (eight, 8)):
        head = made.plan.layers[-1]
        totals = head.neurons * total_bits(head) * head.reads
        scores = head.neurons * score_bits(head) * head.groups * shown * (shown > 1)
        found = made.layers[-1].energy[Part.ACCUMULATE] * 1e15
        assert found == pytest.approx((totals + scores) * share)
    assert ring_bits(one.plan.layers[-1]) == 0
    # Ten scores of as many bits as a sum of eight.
    head = eight.plan.layers[-1]
    assert ring_bits(head) == 10 * (score_bits(one.plan.layers[-1]) + 3)


def _binary(event: str, array: str = "sensed", **budget) -> Estimate:
    """An estimate of a network of two layers of binary inputs, by an event alone."""
    graph = mlp(np.random.default_rng(0), [40, 16, 10], FixedPoint(3))
    planned = plan(graph, Budget(**{"lanes": 64} | budget))
    return estimate(planned, _only(event), array=array, planes=graph.input.planes)


def test_registers_are_clocked_in_every_cycle():
    made = _binary("register_clock")
    for layer in made.layers:
        for part, cells in layer.logic.items():
            expected = cells.registers * made.plan.cycles_per_image
            assert layer.energy[part] * 1e15 == pytest.approx(expected), (layer.name, part)


def test_adders_toggle_with_the_reads():
    """Of the tree by half, of the accumulators by a quarter of their bits in a read."""
    made = _binary("adder_bit")
    for found, layer in zip(made.layers, made.plan.layers, strict=True):
        counted = 0.5 * layer.reads * popcount_bits(layer)
        assert found.energy[Part.POPCOUNT] * 1e15 == pytest.approx(counted)
        totals = 0.25 * layer.reads * layer.neurons * total_bits(layer)
        assert found.energy[Part.ACCUMULATE] * 1e15 >= totals
    hidden = made.layers[0].energy[Part.ACCUMULATE] * 1e15
    first = made.plan.layers[0]
    assert hidden == pytest.approx(0.25 * first.reads * first.neurons * total_bits(first))


def test_a_digital_array_is_read_as_a_memory():
    made = _binary("sram_bit", array="digital")
    for found, layer in zip(made.layers, made.plan.layers, strict=True):
        read = layer.reads * layer.columns * (layer.memory_bits / SRAM_BITS) ** 0.5
        assert found.energy[Part.ARRAYS] * 1e15 == pytest.approx(read)


def test_every_device_gets_a_pulse():
    made = _binary("pulse")
    assert made.programming * 1e15 == pytest.approx(2 * (40 * 16 + 16 * 10))
    assert sum(made.energy.values()) == 0
