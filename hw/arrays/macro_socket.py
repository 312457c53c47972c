# SPDX-License-Identifier: BSD-2-Clause
"""A macro array in Amaranth's simulator: a testbench plays the macro at its pins."""

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from .macro_model import MacroModel
from .pins import PINS, pins_signature

INPUTS = tuple(pin.name for pin in PINS if pin.direction == "input")


class Socket(wiring.Component):
    """The pins of a macro with nothing behind them: ``MacroArray(..., macro=Socket)``."""

    def __init__(self, rows: int, columns: int, parameters: dict):
        super().__init__({"pins": In(pins_signature(rows, columns))})

    def elaborate(self, platform):
        return Module()


def in_socket(model: MacroModel, trace: list[dict[str, int]] | None = None):
    """The testbench that lets a model play the macro of its array; undefined outputs are random.

    To a ``trace`` are appended the pins at each edge, and the outputs before it, -1 when undefined.
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
