# SPDX-License-Identifier: BSD-2-Clause
"""Counters of programmings under traffic."""

import numpy as np
import pytest
from amaranth.hdl import ClockDomain, Module
from amaranth.sim import Simulator

from twincell.hw.arrays.programmings import COUNT_BITS, Programmings


def _run(component: Programmings, bench) -> None:
    top = Module()
    top.domains += component.clock
    top.submodules.component = component
    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def _component(rows: int) -> Programmings:
    component = Programmings(rows)
    component.clock = ClockDomain("sync")
    return component


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_answers_have_all_programmings_before_the_question(rows):
    """Few word lines, so that the same one is often programmed in successive cycles; resets."""
    component = _component(rows)
    rng = np.random.default_rng(rows)
    answers = 0

    async def bench(ctx):
        nonlocal answers
        counts, expected, question = [0] * rows, [], None
        for cycle in range(3000):
            reset = rng.random() < 0.01
            busy = cycle % 400 < 300
            programmed = not reset and busy and rng.random() < 0.7
            row = int(rng.integers(rows))
            if question is None and not reset and rng.random() < 0.6:
                question = int(rng.integers(rows))
            if reset:
                question, expected = None, []
            ready = rng.random() < 0.6
            ctx.set(component.clock.rst, reset)
            ctx.set(component.programmed, programmed)
            ctx.set(component.row, row)
            ctx.set(component.i.valid, question is not None)
            ctx.set(component.i.payload, question or 0)
            ctx.set(component.o.ready, ready)
            i, o = component.i, component.o
            *_, taken, valid, count = await ctx.tick().sample(i.ready, o.valid, o.payload)
            if reset:
                counts[row] += programmed
                continue
            if valid:
                assert count == expected[0], f"cycle {cycle}"
            if valid and ready:
                expected.pop(0)
                answers += 1
            if question is not None and taken:
                assert not programmed
                expected.append(counts[question])
                question = None
            counts[row] += programmed
        assert max(counts) > 100

    _run(component, bench)
    assert answers > 200


def test_a_count_stays_at_its_greatest():
    component = _component(2)
    greatest = (1 << COUNT_BITS) - 1

    async def bench(ctx):
        ctx.set(component.programmed, 1)
        ctx.set(component.row, 1)
        await ctx.tick().repeat(greatest - 1)
        for programmings in (0, 1, 3):
            ctx.set(component.programmed, 1)
            for _ in range(programmings):
                await ctx.tick()
            ctx.set(component.programmed, 0)
            ctx.set(component.i.payload, 1)
            ctx.set(component.i.valid, 1)
            await ctx.tick().until(component.i.ready)
            ctx.set(component.i.valid, 0)
            ctx.set(component.o.ready, 1)
            (count,) = await ctx.tick().sample(component.o.payload).until(component.o.valid)
            assert count == greatest - (programmings == 0)

    _run(component, bench)
