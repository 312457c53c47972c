# SPDX-License-Identifier: BSD-2-Clause
"""The macro's controller against a model at its pins: programming, and what interrupts it."""

import itertools

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal, Value
from amaranth.sim import Simulator

from tests.support.macro import program, read, simulate, simulate_around
from twincell.hw.arrays.macro import MacroArray, ProgramErrors
from twincell.hw.arrays.macro_model import MacroModel, undefined_bit
from twincell.hw.arrays.macro_socket import INPUTS, Socket, in_socket
from twincell.hw.arrays.macro_timing import Timing
from twincell.model.generators import start

QUICK = Timing(form=5, set=3, reset=2, settle=1)


def _array(rows: int = 4, columns: int = 3, *, ternary: bool = False, **options) -> MacroArray:
    zeros = np.zeros((rows, columns), dtype=np.uint8)
    return MacroArray(
        zeros, zeros if ternary else None, **{"macro": Socket, "timing": QUICK, **options}
    )


@pytest.mark.parametrize("ternary", [False, True])
def test_every_pattern_is_read_back(ternary):
    """All patterns of three columns, each over others, read with partial enables as well."""
    array = _array(ternary=ternary)
    patterns = [
        (sign, active)
        for sign, active in itertools.product(range(8), range(8) if ternary else [7])
        if sign & ~active == 0
    ]
    rng = np.random.default_rng(0)
    order = [patterns[k] for k in rng.permutation(np.repeat(np.arange(len(patterns)), 2))]

    async def bench(ctx):
        for step, (sign, active) in enumerate(order):
            report = await program(ctx, array, step % 4, sign, active)
            assert (report.row, report.failed, report.retries) == (step % 4, 0, 0)
            for inputs, enable in ((7, 7), (0, 7), (5, 6)):
                shown = active & enable
                wanted = (~(sign ^ inputs) & shown) | shown << 3
                assert await read(ctx, array, step % 4, inputs, enable) == wanted
            ctx.set(array.line, step % 4)
            await ctx.tick()
            assert ctx.get(array.line_state.programmings) == step // 4 + 1
            assert not ctx.get(array.line_state.incomplete)

    simulate(array, bench)


def test_pulses_have_their_widths_and_their_order():
    array = _array(formed=False)

    async def bench(ctx):
        ctx.set(array.line, 2)
        assert not ctx.get(array.line_state.formed)
        for _ in range(2):
            await program(ctx, array, 2, 0b101)
        await program(ctx, array, 0, 0b001)
        await ctx.tick()
        assert ctx.get(array.line_state.formed)

    model = simulate(array, bench)
    once = [("reset", 2, 2), ("set", 2, 3)]
    formings = [[("form", row, 5)] * 2 for row in (2, 0)]
    other = [("reset", 0, 2), ("set", 0, 3)]
    assert model.pulses == [*formings[0], *once, *once, *formings[1], *other]
    assert model.formed.sum(axis=(0, 2)).tolist() == [6, 0, 6, 0]
    assert model.bl[[0, 2]].tolist() == [[1, 0, 0], [1, 0, 1]]
    assert model.blb[[0, 2]].tolist() == [[0, 1, 1], [0, 1, 0]]


def test_a_macro_said_to_be_formed_that_is_not_fails_and_says_so():
    array = _array(retries=2)

    async def bench(ctx):
        report = await program(ctx, array, 1, 0b000)
        assert report.retries == 2 and report.failed != 0

    model = MacroModel(array)
    model.formed[:] = 0
    model.bl[1], model.blb[1] = 1, 0
    simulator = Simulator(array)
    simulator.add_clock(1e-6)
    simulator.add_testbench(in_socket(model), background=True)
    simulator.add_testbench(bench)
    simulator.run()
    assert model.bl[1].tolist() == [1, 1, 1]


@pytest.mark.parametrize("limit", [0, 1, 7])
def test_columns_that_fail_to_the_end_are_reported(limit):
    """Every pulse fails: both devices end in the wrong state, and read as the opposite sign."""
    array = _array(retries=limit, program_errors=ProgramErrors(1.0, start(1, 2)))

    async def bench(ctx):
        report = await program(ctx, array, 3, 0b110)
        assert (report.row, report.failed, report.retries) == (3, 0b111, limit)
        assert (ctx.get(array.retried), ctx.get(array.failures)) == (limit, 1)
        # Nothing hangs: it reads, and it programs again.
        assert await read(ctx, array, 3, 0b111, 0b111) == 0b001 | 0b111 << 3
        await program(ctx, array, 3, 0b110)
        assert ctx.get(array.failures) == 2

    model = simulate(array, bench)
    assert len(model.pulses) == 2 * 2 * (limit + 1)


def test_only_failing_columns_are_programmed_again():
    array = _array(2, 8, ternary=True, retries=15, program_errors=ProgramErrors(0.3, start(5)))
    reports, trace = [], []

    async def bench(ctx):
        for sign, active in ((0xA5, 0xF7), (0x5A, 0x7E), (0xFF, 0xFF), (0, 0)):
            reports.append(await program(ctx, array, 1, sign, active))
            wanted = sign & active | active << 8
            assert await read(ctx, array, 1, 0xFF, 0xFF) == wanted

    simulate(array, bench, trace=trace)
    assert all(report.failed == 0 for report in reports)
    retries = [report.retries for report in reports]
    assert max(retries) > 1 and sum(retries) < 40
    pulses = [
        p for p, before in zip(trace[1:], trace, strict=False) if p["pulse"] > before["pulse"]
    ]
    steps = [p["bl"] | p["blb"] for p in pulses]
    assert len(pulses) == 2 * (4 + sum(retries))
    at = 0
    for count in retries:
        attempts = [steps[at + 2 * k] | steps[at + 2 * k + 1] for k in range(count + 1)]
        assert attempts[0] == 0xFF and all(attempt < 0xFF for attempt in attempts[1:])
        for earlier, later in itertools.pairwise(attempts):
            assert later & ~earlier == 0  # a column that verified is left alone
        at += 2 * (count + 1)


def test_reads_wait_for_a_programming_and_a_programming_for_the_read_in_flight():
    array = _array(timing=Timing(sense=6, set=9, reset=9))
    found, accepted, done = [], [], []

    async def bench(ctx):
        ctx.set(array.o.ready, 1)
        ctx.set(array.i.valid, 1)
        ctx.set(array.i.payload, {"row": 1, "inputs": 0b111, "enable": 0b111})
        for cycle in range(400):
            if cycle == 3:  # within the first read
                ctx.set(array.i_program.payload, {"row": 1, "sign": 0b010})
                ctx.set(array.i_program.valid, 1)
            _, _, taken, starts, valid, beat, ends = await ctx.tick().sample(
                array.i.ready,
                array.i_program.valid & array.i_program.ready,
                array.o.valid,
                Value.cast(array.o.payload),
                array.done,
            )
            accepted.extend([cycle] * taken)
            if starts:
                ctx.set(array.i_program.valid, 0)
                done.append(cycle)
            if ends:
                done.append(cycle)
            if valid:
                found.append((cycle, beat & 7))

    simulate(array, bench)
    assert accepted[0] == 0 and done[0] == array.cycles_per_read
    assert accepted[1] == done[1], "the first read after it begins at once"
    assert found[0] == (array.latency, 0b000)
    assert {beat for _, beat in found[1:]} == {0b010}
    assert set(np.diff([cycle for cycle, _ in found[1:]])) == {array.cycles_per_read}


def test_a_new_macro_programmed_at_run_time_with_other_durations():
    array = _array(formed=False)

    async def bench(ctx):
        ctx.set(array.timing, Timing(2, 3, 4, 5, form=11, set=7, reset=6, settle=3).as_dict())
        ctx.set(array.retries, 0)
        await program(ctx, array, 0, 0b011)
        assert await read(ctx, array, 0, 0b111, 0b111) == 0b011 | 0b111 << 3

    model = simulate(array, bench, least=6)
    assert model.pulses == [("form", 0, 11)] * 2 + [("reset", 0, 6), ("set", 0, 7)]


def _victim(ternary: bool) -> MacroArray:
    sign = np.random.default_rng(3).integers(0, 2, (3, 5), dtype=np.uint8)
    return MacroArray(
        sign,
        np.ones_like(sign) if ternary else None,
        timing=QUICK,
        retries=15,
        macro=Socket,
        formed=False,
        program_errors=ProgramErrors(0.2, start(2)),
    )


SIGNS = (0b10011, 0b01101)
BUSY = 150


async def _keep_busy(ctx, array: MacroArray, cycles: int, watch=None) -> None:
    """Reads all the time, and two programmings with reads between them."""
    ctx.set(array.i.payload, {"row": 0, "inputs": 0b10110, "enable": 0b11111})
    ctx.set(array.i.valid, 1)
    waiting, signs = 0, list(SIGNS)
    for cycle in range(cycles):
        ctx.set(array.o.ready, cycle % 40 >= 8)  # a result has to wait now and then
        if watch:
            watch()
        if signs and not waiting and not ctx.get(array.programming):
            ctx.set(array.i_program.payload, {"row": 1, "sign": signs.pop(0), "active": 0b11111})
            ctx.set(array.i_program.valid, 1)
            waiting = 12
        _, _, taken = await ctx.tick().sample(array.i_program.valid & array.i_program.ready)
        if taken:
            ctx.set(array.i_program.valid, 0)
        waiting = max(waiting - (not ctx.get(array.programming)), 0)


def _holds(model: MacroModel, row: int, sign: int) -> bool:
    """Whether a word line reads as these signs, which two equal devices may do by chance."""
    for column in range(model.columns):
        devices = int(model.bl[row, column]), int(model.blb[row, column])
        if devices == (0, 0) and model.array.ternary:
            return False
        equal = devices[0] == devices[1]
        if (undefined_bit(row, column) if equal else devices[0]) != sign >> column & 1:
            return False
    return True


@pytest.mark.parametrize("ternary", [False, True])
def test_a_reset_in_any_state_leaves_safe_pins_and_whole_or_marked_contents(ternary):
    """A reset in each state that formings, programmings with retries, and reads go through: in the
    first and the last cycle in which they do, and in some between."""
    states = _states(ternary)
    moments = {states.index(state) for state in states}
    moments |= {BUSY - 1 - states[::-1].index(state) for state in states}
    seen = {_reset_at(moment, ternary) for moment in moments | set(range(0, BUSY, 15))}
    assert len(seen) == 14, seen


def _states(ternary: bool) -> list[int]:
    """The controller's state in each cycle of a run without a reset."""
    array, states = _victim(ternary), []

    async def bench(ctx):
        await _keep_busy(ctx, array, BUSY, lambda: states.append(ctx.get(array.control.state)))

    simulate(array, bench)
    return states


def _reset_at(moment: int, ternary: bool) -> int:
    array, rst = _victim(ternary), Signal()
    model = MacroModel(array, least=2)
    seen = []

    async def bench(ctx):
        await _keep_busy(ctx, array, moment)
        seen.append(ctx.get(array.control.state))
        ctx.set(rst, 1)
        await ctx.tick()
        ctx.set(rst, 0)
        ctx.set(array.i.valid, 0)
        ctx.set(array.i_program.valid, 0)
        for name in INPUTS:
            assert ctx.get(getattr(array.control.pins, name)) == 0, (moment, name)
        assert not ctx.get(array.programming) and not ctx.get(array.o.valid)
        ctx.set(array.line, 1)
        await ctx.tick()
        known = ctx.get(array.line_state)
        untouched = not known.programmings and not model.pulses
        whole = any(_holds(model, 1, sign) for sign in SIGNS)
        assert untouched or whole or known.incomplete, moment
        # It works again, and the mark goes.
        report = await program(ctx, array, 1, 0b11010, 0b11111)
        assert report.failed == 0 and _holds(model, 1, 0b11010)
        assert await read(ctx, array, 1, 0b11111, 0b11111) & 31 == 0b11010
        await ctx.tick()
        assert not ctx.get(array.line_state.incomplete)

    simulate_around(model, ResetInserter(rst)(array), bench)
    return seen[0]
