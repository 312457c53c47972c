# SPDX-License-Identifier: BSD-2-Clause
import re

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.sim import Simulator

from twincell.hw.queue import Queue


@pytest.mark.parametrize("depth", [2, 3, 4, 5, 16, 17])
def test_it_is_amaranths_buffered_queue_in_every_cycle(depth):
    """And never reads the row that it is writing, which a block RAM would not answer."""
    queue, other = Queue(8, depth), SyncFIFOBuffered(width=8, depth=depth)
    m = Module()
    m.submodules.queue, m.submodules.other = queue, other
    m.d.comb += [
        other.w_en.eq(queue.i.valid),
        other.w_data.eq(queue.i.payload),
        other.r_en.eq(queue.o.ready),
    ]
    rng = np.random.default_rng(depth)
    passed, fullest = 0, 0

    async def bench(ctx):
        nonlocal passed, fullest
        for cycle in range(1500):
            busy = (0.2, 0.5, 0.9, 1.0)[cycle // 100 % 4]
            ctx.set(queue.i.valid, int(rng.random() < busy))
            ctx.set(queue.i.payload, int(rng.integers(256)))
            ctx.set(queue.o.ready, int(rng.random() < rng.choice([0.3, 0.9])))
            assert ctx.get(queue.i.ready) == ctx.get(other.w_rdy), cycle
            assert ctx.get(queue.o.valid) == ctx.get(other.r_rdy), cycle
            assert ctx.get(queue.level) == ctx.get(other.level), cycle
            if ctx.get(queue.o.valid):
                assert ctx.get(queue.o.payload) == ctx.get(other.r_data), cycle
                passed += ctx.get(queue.o.ready)
            fullest = max(fullest, ctx.get(queue.level))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert passed > 300 and fullest == depth


@pytest.mark.parametrize("depth", [1, 2.5])
def test_a_queue_of_one_item_is_none(depth):
    with pytest.raises(
        TypeError, match=f"^A queue holds 2 items or more, not {re.escape(repr(depth))}$"
    ):
        Queue(8, depth)
