# SPDX-License-Identifier: BSD-2-Clause
"""A generator of gaps that is set anew while it draws."""

from itertools import pairwise

from amaranth.sim import Simulator

from twincell.hw.arrays.gaps import Gaps
from twincell.model.generators import error_positions, gap_table, start, start_of_image

BITS, TABLE, START = 60, gap_table(0.05), start(5, 3)
DELAYS = range(1, 60)


def steps(image: int) -> list[int]:
    """What leads to the errors of an image."""
    places = error_positions(start_of_image(START, image), TABLE, BITS).tolist()
    return [b - a - 1 for a, b in pairwise([-1, *places])]


def test_a_restart_is_one_restart_whenever_it_comes():
    """Also in the cycle in which the step to the end of an image is taken."""
    gaps, found = Gaps(BITS, 20, TABLE, START), []

    async def restart(ctx, running):
        ctx.set(gaps.restart, 1)
        ctx.set(gaps.running, running)
        await ctx.tick()
        ctx.set(gaps.restart, 0)

    async def process(ctx):
        ctx.set(gaps.second, 1)
        ctx.set(gaps.count, len(TABLE))
        ctx.set(gaps.o.ready, 1)
        for delay in DELAYS:
            await restart(ctx, 0)
            await ctx.tick().repeat(delay)
            await restart(ctx, 1)
            found.append([])
            while True:
                _, _, valid, step = await ctx.tick().sample(gaps.o.valid, gaps.o.payload)
                if valid and step.end:
                    break
                if valid:
                    found[-1].append(step.gap)

    simulator = Simulator(gaps)
    simulator.add_clock(1e-6)
    simulator.add_testbench(process)
    simulator.run()
    # Of each pair of restarts the first goes to an image whose steps are not looked at.
    assert found == [steps(2 * k + 1) for k in range(len(DELAYS))]
