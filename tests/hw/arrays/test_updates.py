# SPDX-License-Identifier: BSD-2-Clause
"""Pulse trains, and the array that gives them to its macro."""

import itertools

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal

from tests.support.macro import program, read, simulate, simulate_around
from tests.support.simulate import PAUSES, play
from twincell.hw.arrays.macro import MacroArray
from twincell.hw.arrays.macro_model import MacroModel
from twincell.hw.arrays.macro_socket import INPUTS, Socket
from twincell.hw.arrays.macro_timing import Timing
from twincell.hw.arrays.updates import PulseTrains

SHAPES = [(1, 1, 2), (5, 9, 5), (3, 33, 8)]
QUICK = Timing(form=5, set=3, reset=2, weak=2, settle=1)


def _word(values, width: int) -> int:
    """Fields of a payload, the first lowest."""
    mask = (1 << width) - 1
    return sum((int(value) & mask) << k * width for k, value in enumerate(values))


def _updates(rng, rows: int, columns: int, bits: int, count: int):
    """Rows and counts: corners first, then sparse and dense random ones."""
    most = (1 << (bits - 1)) - 1
    counts = rng.integers(-most - 1, most + 1, (count, columns))
    counts[::3] *= rng.random((len(counts[::3]), columns)) < 0.1
    counts[0], counts[1], counts[2], counts[-1] = 0, most, -most - 1, 1
    return rng.integers(0, rows, count), counts


def _pulses(rows, counts, limit: int) -> list[tuple[int, int, int]]:
    return [
        (int(row), _word(bl, 1), _word(blb, 1))
        for row, line in zip(rows, counts, strict=True)
        for bl, blb in PulseTrains.model(line, limit)
    ]


@pytest.mark.parametrize("pauses", [each for each in PAUSES if each != "long"])
@pytest.mark.parametrize(("rows", "columns", "bits"), SHAPES)
def test_trains_equal_their_model(rows, columns, bits, pauses):
    rng = np.random.default_rng(columns)
    for limit in {1, (1 << (bits - 1)) - 1}:
        given, counts = _updates(rng, rows, columns, bits, 40)
        address = (max(rows, 2) - 1).bit_length()
        beats = [
            int(row) | _word(line, bits) << address for row, line in zip(given, counts, strict=True)
        ]
        wanted = [
            row | bl << address | blb << address + columns
            for row, bl, blb in _pulses(given, counts, limit)
        ]
        trains = PulseTrains(rows, columns, bits, limit=limit)
        found, cycles = play(trains, beats, len(wanted), pauses=pauses)
        assert found == wanted
        if pauses == "none":
            sizes = np.minimum(np.abs(counts).max(axis=1), limit)
            # An update is taken in a cycle, and its pulses leave in as many more.
            assert cycles[-1] == int((sizes + 1).sum()) - 1


def test_the_most_negative_count_of_a_type_is_cut_too():
    ((bl, blb),) = PulseTrains.model(np.array([-128, 0], dtype=np.int8), 1)
    assert bl.tolist() == [True, False] and not blb.any()


@pytest.mark.parametrize(
    ("bits", "limit", "message"),
    [
        (1, None, "Counts of pulses have 2 to 16 bits, not 1"),
        (17, None, "Counts of pulses have 2 to 16 bits, not 17"),
        (5, 16, "An update has 0 to 15 pulses, not 16"),
        (5, -1, "An update has 0 to 15 pulses, not -1"),
    ],
)
def test_bad_widths_and_limits_are_refused(bits, limit, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        PulseTrains(2, 2, bits, limit=limit)


def _at_the_pins(trace) -> list[tuple[int, int, int, int]]:
    """(row, BL, BLb, width) of every weak pulse."""
    found, width = [], 0
    for step, after in itertools.pairwise(trace):
        width = (width + 1) * step["pulse"]
        if step["v_weak"] and step["pulse"] and not after["pulse"]:
            found.append((step["wl"].bit_length() - 1, step["bl"], step["blb"], width))
    return found


def _quick(rows: int, columns: int) -> MacroArray:
    """An array that learns, with four bits a count."""
    zeros = np.zeros((rows, columns), dtype=np.uint8)
    return MacroArray(zeros, timing=QUICK, update_bits=4, macro=Socket)


async def _update(ctx, array: MacroArray, row: int, counts: list[int]) -> None:
    ctx.set(array.i_update.payload, {"row": row, "counts": counts})
    ctx.set(array.i_update.valid, 1)
    await ctx.tick().until(array.i_update.ready)
    ctx.set(array.i_update.valid, 0)


async def _record(ctx, array: MacroArray, row: int):
    """Of a word line whose contents are whole."""
    ctx.set(array.line, row)
    await ctx.tick().repeat(2)
    state = ctx.get(array.line_state)
    assert state.formed and not state.incomplete
    return state


def test_an_array_pulses_between_reads_and_programmings():
    """Updates, reads and programmings in random order, with limits that change."""
    rows, columns = 4, 6
    rng = np.random.default_rng(2)
    array = _quick(rows, columns)
    held, wanted, trace = [0] * rows, [], []
    wear, programmings = [0] * rows, [0] * rows

    async def update(ctx, row: int, line) -> None:
        limit = int(rng.integers(0, 8))
        ctx.set(array.update_limit, limit)
        await _update(ctx, array, row, line.tolist())
        pulses = _pulses([row], [line], limit)
        wanted.extend((*each, 2) for each in pulses)
        wear[row] += len(pulses)

    async def bench(ctx):
        for _ in range(60):
            row, kind = int(rng.integers(rows)), rng.random()
            if kind < 0.5:
                await update(ctx, row, rng.integers(-8, 8, columns) * (rng.random(columns) < 0.5))
                if rng.random() < 0.5:
                    await ctx.tick().until(~array.updating)
            elif kind < 0.7:
                held[row] = int(rng.integers(1 << columns))
                report = await program(ctx, array, row, held[row])
                assert report.failed == 0
                programmings[row] += 1
            else:
                everything = (1 << columns) - 1
                found = await read(ctx, array, row, everything, everything)
                assert found == held[row] | everything << columns
        await ctx.tick().until(~array.updating)
        for row in range(rows):
            state = await _record(ctx, array, row)
            assert (state.weak, state.programmings) == (wear[row], programmings[row])

    simulate(array, bench, trace=trace)
    assert _at_the_pins(trace) == wanted
    assert len(wanted) > 60


def test_weak_pulses_wait_for_a_programming_and_reads_for_both():
    array = MacroArray(
        np.zeros((2, 3), dtype=np.uint8), timing=Timing(set=4), update_bits=3, macro=Socket
    )
    order = []

    async def bench(ctx):
        ctx.set(array.o.ready, 1)
        ctx.set(array.i_update.payload, {"row": 1, "counts": [3, 0, -2]})
        ctx.set(array.i_update.valid, 1)
        await ctx.tick()
        ctx.set(array.i_update.valid, 0)
        # All three are offered at once, and the pulses of the train are three.
        ctx.set(array.i_program.payload, {"row": 0, "sign": 5})
        ctx.set(array.i.payload, {"row": 0, "inputs": 7, "enable": 7})
        for stream in (array.i_program, array.i):
            ctx.set(stream.valid, 1)
        for _ in range(400):
            _, _, programs, reads, weak = await ctx.tick().sample(
                array.i_program.valid & array.i_program.ready,
                array.i.valid & array.i.ready,
                array.control.i_weak.valid & array.control.i_weak.ready,
            )
            for name, happened in (("program", programs), ("read", reads), ("weak", weak)):
                order.extend([name] * happened)
            if programs:
                ctx.set(array.i_program.valid, 0)
            if reads:
                ctx.set(array.i.valid, 0)

    simulate(array, bench)
    assert order == ["program", "weak", "weak", "weak", "read"]


def test_records_of_a_word_line_stop_at_their_greatest_number():
    array = _quick(2, 3)
    array.control.records.fresh |= {"programmings": 0xFFFE, "weak": 0xFFFF_FFFD}
    seen = []

    async def bench(ctx):
        for sign in (1, 2, 7):
            assert (await program(ctx, array, 1, sign)).failed == 0
            await _update(ctx, array, 1, [2, 0, -1])
            await ctx.tick().until(~array.updating)
            for row in (0, 1):
                state = await _record(ctx, array, row)
                seen.append((state.programmings, state.weak))

    simulate(array, bench)
    assert seen[::2] == [(0xFFFE, 0xFFFF_FFFD)] * 3
    assert seen[1::2] == [(0xFFFF, 0xFFFF_FFFF)] * 3


def test_a_reset_ends_weak_pulses_and_none_goes_uncounted():
    """A reset in every cycle of a train of three."""
    states = {_reset_at(moment) for moment in range(1, 31)}
    assert states == {"IDLE", "LOOK_UP", "SELECT", "RAISE", "PULSE", "LOWER", "RELEASE"}


def _reset_at(moment: int) -> str:
    """The controller's state in the cycle before the reset."""
    array, rst = _quick(2, 3), Signal()
    model, trace, seen = MacroModel(array), [], []

    async def bench(ctx):
        await _update(ctx, array, 1, [3, 0, -2])
        await ctx.tick().repeat(moment)
        seen.append(array.control.states[ctx.get(array.control.state)])
        ctx.set(rst, 1)
        await ctx.tick()
        ctx.set(rst, 0)
        assert not ctx.get(array.updating)
        assert not any(ctx.get(getattr(array.control.pins, name)) for name in INPUTS)
        levels = [step["pulse"] for step in trace]
        given = sum(after > before for before, after in itertools.pairwise(levels))
        assert given <= (await _record(ctx, array, 1)).weak <= given + 1
        # Nothing of the train is left, and the next one is whole.
        await _update(ctx, array, 0, [-1, 2, 0])
        await ctx.tick().until(~array.updating)
        assert (await _record(ctx, array, 0)).weak == 2

    simulate_around(model, ResetInserter(rst)(array), bench, trace=trace)
    assert _at_the_pins(trace)[-2:] == [(0, 0b001, 0b010, 2), (0, 0, 0b010, 2)]
    return seen[0]
