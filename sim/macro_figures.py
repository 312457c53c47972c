# SPDX-License-Identifier: BSD-2-Clause
"""The timing diagrams of docs/macro.md, drawn from simulations.

``python -m twincell.sim.macro_figures DIRECTORY`` writes them.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.sim import Simulator

from ..hw.arrays.macro import MacroArray, ProgramErrors
from ..hw.arrays.macro_model import MacroModel
from ..hw.arrays.macro_socket import Socket, in_socket
from ..hw.arrays.macro_timing import Timing
from ..hw.arrays.pins import PINS
from ..model.generators import start
from .timing_diagram import Value, svg

READ_PINS = ("pre", "wl", "x", "xn", "sen", "q", "qn")
PROGRAM_PINS = ("wl", "v_reset", "v_set", "sl", "bl", "blb", "hv", "pulse")
VERIFY_PINS = ("verify", "pre", "sen", "q")
ROWS, COLUMNS = 3, 4


@dataclass(frozen=True)
class Scene:
    """One figure: what is simulated, and which signals are shown.

    Parameters
    ----------
    title : of the figure
    array : in whose socket a model sits
    play : sets the array's inputs, at cycle 0
    over : the signal that ends the figure, two cycles later
    pins : of the macro
    around : of the array: shown names and signals
    """

    title: str
    array: MacroArray
    play: Callable[[Any, MacroArray], None]
    over: Any
    pins: tuple[str, ...]
    around: dict[str, Any]

    def samples(self) -> dict[str, list[Value]]:
        """What the signals are in each cycle."""
        model, trace = MacroModel(self.array), []
        control, states, seen = self.array.control, [], []

        async def bench(ctx):
            self.play(ctx, self.array)
            left = None
            while left is None or left:
                left = left - 1 if left else (2 if ctx.get(self.over) else None)
                states.append(control.states[ctx.get(control.state)].partition("/")[0])
                seen.append([ctx.get(signal) for signal in self.around.values()])
                await ctx.tick()
                ctx.set(self.array.i.valid, 0)
                ctx.set(self.array.i_program.valid, 0)

        simulator = Simulator(self.array)
        simulator.add_clock(1e-6)
        simulator.add_testbench(in_socket(model, trace), background=True)
        simulator.add_testbench(bench)
        simulator.run()
        if model.violations:
            raise RuntimeError(f"{self.title}: {model.violations}")
        found: dict[str, list[Value]] = {"state": list(states)}
        found |= {name: [row[k] for row in seen] for k, name in enumerate(self.around)}
        shown = trace[: len(states)]
        for pin in self.pins:
            found[pin] = [None if step[pin] < 0 else step[pin] for step in shown]
        return found

    def svg(self) -> str:
        """The figure."""
        widths = {pin.name: pin.bits(ROWS, COLUMNS) for pin in PINS}
        widths |= {name: len(signal) for name, signal in self.around.items()} | {"state": 0}
        return svg(self.title, self.samples(), widths)


def scenes() -> dict[str, Scene]:
    """The figures by the names of their files."""
    return {
        "macro-read.svg": _read(),
        "macro-program.svg": _program("A word line is programmed: 0101 over 0011", 0.0),
        "macro-retry.svg": _program("The same, and the verify finds a column that failed", 0.12),
    }


def _array(timing: Timing, failures: float) -> MacroArray:
    sign = np.zeros((ROWS, COLUMNS), dtype=np.uint8)
    sign[1] = [1, 1, 0, 0]  # column 0 first: 0011 as a number
    errors = ProgramErrors(failures, start(2))
    return MacroArray(sign, timing=timing, program_errors=errors, macro=Socket)


def _read() -> Scene:
    array = _array(Timing(), 0.0)

    def play(ctx, array):
        ctx.set(array.o.ready, 1)
        ctx.set(array.i.valid, 1)
        ctx.set(array.i.payload, {"row": 1, "inputs": 0b0110, "enable": 0b0111})

    around = {
        "i.valid": array.i.valid,
        "i.ready": array.i.ready,
        "o.valid": array.o.valid,
        "o.agree": array.o.payload.agree,
    }
    title = "A read: word line 1 holds 0011, the inputs are 0110, column 3 is not enabled"
    return Scene(title, array, play, array.o.valid, READ_PINS, around)


def _program(title: str, failures: float) -> Scene:
    array = _array(Timing(set=3, reset=2, settle=1), failures)

    def play(ctx, array):
        ctx.set(array.i_program.valid, 1)
        ctx.set(array.i_program.payload, {"row": 1, "sign": 0b0101})

    around = {
        "valid": array.i_program.valid,
        "ready": array.i_program.ready,
        "done": array.done,
    }
    return Scene(title, array, play, array.done, (*PROGRAM_PINS, *VERIFY_PINS), around)


def write(directory: Path) -> list[Path]:
    """Writes the figures."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, scene in scenes().items():
        (directory / name).write_text(scene.svg())
        written.append(directory / name)
    return written


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m twincell.sim.macro_figures DIRECTORY")
    print(*write(Path(sys.argv[1])), sep="\n")
