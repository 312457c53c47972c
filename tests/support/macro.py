# SPDX-License-Identifier: BSD-2-Clause
"""A macro array in Amaranth's simulator: its macro is a Python model at the pins."""

import numpy as np
from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from amaranth.sim import Simulator

from twincell.hw.arrays.macro import MacroArray
from twincell.hw.arrays.macro_model import MacroModel
from twincell.hw.arrays.pins import PINS, pins_signature

INPUTS = [pin.name for pin in PINS if pin.direction == "input"]


class Socket(wiring.Component):
    """The pins of a macro, with nothing behind them: a testbench drives its outputs."""

    def __init__(self, rows: int, columns: int, parameters: dict):
        super().__init__({"pins": In(pins_signature(rows, columns))})

    def elaborate(self, platform):
        return Module()


def in_socket(model: MacroModel, trace: list | None = None):
    """The testbench that lets a model play the macro of its array; undefined outputs are random.

    With ``trace``, the pins at each edge and the outputs before it are appended to that list.
    """
    pins = model.array.macro.pins
    rng = np.random.default_rng(1)

    async def process(ctx):
        while True:
            values = await ctx.tick().sample(*(getattr(pins, name) for name in INPUTS))
            sampled = dict(zip(INPUTS, values[2:], strict=True))
            if trace is not None:
                trace.append({**sampled, "q": model.q, "qn": model.qn})
            model.edge(sampled)
            for name, value in (("q", model.q), ("qn", model.qn)):
                noise = int.from_bytes(rng.bytes(-(-model.columns // 8)), "little")
                noise &= (1 << model.columns) - 1
                ctx.set(getattr(pins, name), noise if value < 0 else value)

    return process


def simulate(array: MacroArray, bench, *, trace: list | None = None, **model) -> MacroModel:
    """Runs a testbench beside an array in whose socket a model sits; no rule may be broken."""
    played = MacroModel(array, **model)
    simulator = Simulator(array)
    simulator.add_clock(1e-6)
    simulator.add_testbench(in_socket(played, trace), background=True)
    simulator.add_testbench(bench)
    simulator.run()
    assert played.violations == []
    return played


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
