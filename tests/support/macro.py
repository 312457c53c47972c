# SPDX-License-Identifier: BSD-2-Clause
"""A macro array in Amaranth's simulator: its macro is a Python model at the pins."""

from amaranth.hdl import Value
from amaranth.sim import Simulator

from twincell.hw.arrays.macro import MacroArray
from twincell.hw.arrays.macro_model import MacroModel
from twincell.hw.arrays.macro_socket import in_socket


def simulate(array: MacroArray, bench, *, trace: list | None = None, **model) -> MacroModel:
    """Runs a testbench beside an array in whose socket a model sits; no rule may be broken."""
    played = MacroModel(array, **model)
    simulate_around(played, array, bench, trace=trace)
    return played


def simulate_around(model: MacroModel, top, bench, *, trace: list | None = None) -> None:
    """The same of a top around the model's array."""
    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    simulator.add_testbench(in_socket(model, trace), background=True)
    simulator.add_testbench(bench)
    simulator.run()
    assert model.violations == []


async def program(ctx, array: MacroArray, row: int, sign: int, active: int = 0, patience=100_000):
    """Programs a word line, waits until it is done, and returns the report."""
    ctx.set(array.i_program.payload, {"row": row, "sign": sign, "active": active})
    ctx.set(array.i_program.valid, 1)
    await ctx.tick().until(array.i_program.ready)
    ctx.set(array.i_program.valid, 0)
    for _ in range(patience):
        if ctx.get(array.done):
            return ctx.get(array.report)
        await ctx.tick()
    raise AssertionError("the programming never ended")


async def read(ctx, array: MacroArray, row: int, inputs: int, enable: int) -> int:
    """Reads a word line: the result as an integer, agree below active."""
    ctx.set(array.o.ready, 1)
    ctx.set(array.i.payload, {"row": row, "inputs": inputs, "enable": enable})
    ctx.set(array.i.valid, 1)
    await ctx.tick().until(array.i.ready)
    ctx.set(array.i.valid, 0)
    (found,) = await ctx.tick().sample(Value.cast(array.o.payload)).until(array.o.valid)
    return found
