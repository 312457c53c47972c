# SPDX-License-Identifier: BSD-2-Clause
"""A component as a function: beats in, beats out, in Amaranth's simulator."""

import numpy as np
from amaranth.hdl import ClockDomain, Module, Value
from amaranth.lib import wiring
from amaranth.sim import Simulator

#: Probability that a source is idle and that a sink begins a stall, the cycles of a stall, and
#: whether the sink is only ready for what it has seen.
PAUSES = {
    "none": (0.0, 0.0, 1, False),
    "source": (0.5, 0.0, 1, False),
    "sink": (0.0, 0.5, 1, False),
    "both": (0.4, 0.4, 1, False),
    "long": (0.1, 0.1, 300, False),  # until every queue inside is full
    "seen": (0.2, 0.0, 1, True),  # valid must not wait for ready
}


class Stalled(AssertionError):
    """The component gave no beat for too long."""


def play(
    component: wiring.Component,
    beats: list[int],
    count: int,
    *,
    pauses: str = "none",
    seed: int = 0,
    patience: int = 20_000,
    beside: tuple = (),
    lines: list[int] | None = None,
) -> tuple[list[int], list[int]]:
    """Sends ``beats`` into stream ``i`` and takes ``count`` beats from stream ``o``.

    Returns the beats as integers and the cycle in which each left. Checks on the way that a beat
    offered stays, unchanged, until it is taken. Then waits a while for beats nobody asked for.
    Testbenches ``beside`` stand for what the component is connected to. ``lines`` go into stream
    ``load`` before all else.
    """
    idle, stall, stall_cycles, seen = PAUSES[pauses]
    rng = np.random.default_rng(seed)
    found: list[int] = []
    cycles: list[int] = []

    async def source(ctx):
        for line in lines or []:
            ctx.set(component.load.valid, 1)
            ctx.set(Value.cast(component.load.payload), line)
            await ctx.tick().until(component.load.ready)
            ctx.set(component.load.valid, 0)
        for beat in beats:
            while rng.random() < idle:
                await ctx.tick()
            ctx.set(component.i.valid, 1)
            ctx.set(Value.cast(component.i.payload), beat)
            await ctx.tick().until(component.i.ready)
            ctx.set(component.i.valid, 0)

    async def sink(ctx):
        cycle, waited, held, stalled = 0, 0, None, 0
        payload = Value.cast(component.o.payload)
        while len(found) < count or waited < 50:
            if not stalled and rng.random() < stall:
                stalled = stall_cycles
            ready = not stalled and (held is not None or not seen)
            stalled = max(stalled - 1, 0)
            ctx.set(component.o.ready, ready)
            _, _, valid, beat = await ctx.tick().sample(component.o.valid, payload)
            if held is not None:
                assert valid, f"cycle {cycle}: valid fell before the beat was taken"
                assert beat == held, f"cycle {cycle}: {beat:#x} replaced the beat {held:#x}"
            held = beat if valid and not ready else None
            if valid and ready:
                found.append(beat)
                cycles.append(cycle)
                assert len(found) <= count, f"cycle {cycle}: a beat nobody asked for"
            waited = 0 if valid else waited + 1
            if waited > patience:
                raise Stalled(f"{len(found)} of {count} beats after {cycle} cycles")
            cycle += 1

    top = Module()
    top.domains.sync = ClockDomain()  # also for a component that is only wires
    top.submodules.component = component
    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    for process in beside:
        simulator.add_testbench(process, background=True)
    simulator.add_testbench(source, background=True)
    simulator.add_testbench(sink)
    simulator.run()
    return found, cycles
