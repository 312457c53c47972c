# SPDX-License-Identifier: BSD-2-Clause
"""The macro's controller against a model at its pins: reads."""

import re

import numpy as np
import pytest

from tests.support.graphs import mlp
from tests.support.simulate import PAUSES, play
from twincell.hw.arrays.digital import DigitalArray
from twincell.hw.arrays.macro import MacroArray, ReadErrors, macro_arrays
from twincell.hw.arrays.macro_model import MacroModel
from twincell.hw.arrays.macro_socket import Socket, in_socket
from twincell.hw.arrays.macro_timing import Timing
from twincell.hw.network import Network
from twincell.hw.plan import Budget, plan
from twincell.model.errors import ErrorMap
from twincell.model.generators import error_positions, gap_table, start, start_of_image
from twincell.model.planes import Accumulate, Stochastic

READS = 24


def _bits(rng: np.random.Generator, count: int) -> int:
    return sum(int(bit) << k for k, bit in enumerate(rng.integers(0, 2, count)))


def _beats(rng: np.random.Generator, rows: int, columns: int) -> list[int]:
    address_bits = (max(rows, 2) - 1).bit_length()
    return [int(rng.integers(rows)) | _bits(rng, 2 * columns) << address_bits for _ in range(READS)]


def _contents(rows: int, columns: int, ternary: bool):
    rng = np.random.default_rng(rows * columns)
    sign = rng.integers(0, 2, (rows, columns))
    return rng, sign, rng.integers(0, 2, sign.shape) if ternary else None


def _played(array: MacroArray, beats: list[int], **options):
    model = MacroModel(array)
    found, cycles = play(array, beats, len(beats), beside=(in_socket(model),), **options)
    assert model.violations == []
    return found, cycles


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (5, 9), (13, 67)])
def test_reads_equal_the_digital_array(rows, columns, ternary, pauses):
    rng, sign, active = _contents(rows, columns, ternary)
    beats = _beats(rng, rows, columns)
    wanted, _ = play(DigitalArray(sign, active), beats, READS)
    found, cycles = _played(MacroArray(sign, active, macro=Socket), beats, pauses=pauses)
    assert found == wanted
    if pauses == "none":
        assert set(np.diff(cycles)) == {4}


@pytest.mark.parametrize("accumulate", list(Accumulate))
def test_read_errors_are_those_of_the_first_presentations(accumulate):
    planes = Stochastic(4, (3, 8, 1), seed=1, accumulate=accumulate)
    graph = mlp(np.random.default_rng(1), [9, 6, 4, 3], planes)
    errors = ErrorMap.draw(graph, 1, transient=0.01)
    whole = plan(graph, Budget(cycles_per_read=Timing().cycles_per_read))
    for planned, presentations in ((whole, 3), (whole.shown(8), 8)):
        network = Network(graph, planned, arrays=macro_arrays(errors))
        found = [each.read_errors.reads for each in network.arrays]
        assert found == [each.reads for each in whole.shown(presentations).layers]


@pytest.mark.parametrize("timing", [Timing(1, 2, 3, 4), Timing(5, 1, 1, 1), Timing(2, 3, 9, 1)])
def test_phases_last_as_long_as_they_are_set(timing):
    rng, sign, _ = _contents(5, 9, False)
    array = MacroArray(sign, timing=timing, macro=Socket)
    model, trace = MacroModel(array), []
    beats = _beats(rng, 5, 9)
    _, cycles = play(array, beats, READS, beside=(in_socket(model, trace),))
    assert model.violations == []
    # The first read is offered in cycle 0.
    assert cycles[0] == array.latency
    assert set(np.diff(cycles)) == {array.cycles_per_read} == {timing.cycles_per_read}
    phases = [(pins["pre"], pins["wl"] != 0, pins["sen"]) for pins in trace]
    first = phases.index((1, False, 0))
    one = [(1, False, 0)] * timing.precharge + [(1, True, 0)] * timing.word_line
    one += [(0, True, 1)] * timing.sense + [(0, False, 1)] * timing.latch
    assert phases[first : first + READS * len(one)] == one * READS
    assert set(phases[first + READS * len(one) :]) == {(0, False, 0)}


@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("rate", [0.03, 0.1, 0.5])
def test_read_errors_are_positions_in_the_row_of_latched_bits(rate, ternary):
    columns, per_image = 11, 12
    rng, sign, active = _contents(6, columns, ternary)
    beats = _beats(rng, 6, columns)
    first = start(7, 3, 1)
    errors = ReadErrors(rate, first, per_image)
    found, _ = _played(
        MacroArray(sign, active, read_errors=errors, macro=Socket), beats, pauses="both"
    )
    clean, _ = play(DigitalArray(sign, active), beats, READS)
    mask = (1 << columns) - 1
    bits = columns * (1 + ternary)
    wanted = []
    for image in range(READS // per_image):
        positions = error_positions(start_of_image(first, image), gap_table(rate), per_image * bits)
        flips = [0] * per_image
        for position in positions:
            flips[position // bits] |= 1 << position % bits
        for read, flip in enumerate(flips):
            beat = image * per_image + read
            enable = beats[beat] >> 3 + columns
            agree, shown = clean[beat] & mask, clean[beat] >> columns
            if ternary:
                plus, minus = agree ^ flip & mask, (shown & ~agree) ^ flip >> columns
                agree, shown = plus & ~minus & enable, (plus ^ minus) & enable
            else:
                agree = (agree ^ flip) & enable
            wanted.append(agree | shown << columns)
    assert found == wanted and found != clean


def test_bad_parameters():
    message = "Timing: sense is 1 to 65535 cycles, not 0"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Timing(sense=0)
    message = "A programming is retried 0 to 15 times, not 16"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        MacroArray(np.zeros((2, 2)), retries=16)
    message = "Contents must be bits (rows, columns), not [(2, 3), (3, 2)]"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        MacroArray(np.zeros((2, 3)), np.zeros((3, 2)))
