# SPDX-License-Identifier: BSD-2-Clause
"""In cocotb, a device model in Python plays a memory macro at its pins."""

from typing import Any, Protocol

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge


class Cells(Protocol):
    """What a macro's cells do; columns are bits of the integers, the lowest is column 0."""

    def sense(self, row: int, straight: int, crossed: int) -> tuple[int, int]:
        """Q and QN of a read of a word line with these paths closed, see ``hw.arrays.pins``."""
        ...

    def pulse(self, mode: str, row: int, bl: int, blb: int) -> None:
        """A pulse, ``form``, ``set``, ``reset`` or ``weak``, on devices of a word line."""
        ...


class MacroPlayer:
    """Plays a macro of ``hw.arrays.pins.PlayedMacro``.

    Parameters
    ----------
    macro : its handle
    cells : what it holds
    """

    MODES = ("form", "set", "reset", "weak")

    def __init__(self, macro: Any, cells: Cells):
        self.macro = macro
        self.cells = cells

    def start(self) -> None:
        """Plays until the end of the simulation."""
        self.macro.q_reg.value = self.macro.qn_reg.value = 0
        for task in (self._read(), self._program()):
            cocotb.start_soon(task)

    async def _read(self) -> None:
        macro = self.macro
        while True:
            await RisingEdge(macro.sen)
            seen = self.cells.sense(self._line(), int(macro.x.value), int(macro.xn.value))
            macro.q_reg.value, macro.qn_reg.value = seen

    async def _program(self) -> None:
        macro = self.macro
        while True:
            await RisingEdge(macro.pulse)
            chosen = self._choice()
            await FallingEdge(macro.pulse)
            assert self._choice() == chosen, "The choice changed during a pulse"
            self.cells.pulse(*chosen)

    def _choice(self) -> tuple[str, int, int, int]:
        """Mode, word line and devices of a pulse."""
        macro = self.macro
        modes = [mode for mode in self.MODES if getattr(macro, f"v_{mode}").value == 1]
        assert len(modes) == 1 and macro.hv.value == 1, f"A pulse of {modes or 'no mode'}"
        return modes[0], self._line(), int(macro.bl.value), int(macro.blb.value)

    def _line(self) -> int:
        lines = int(self.macro.wl.value)
        assert lines.bit_count() == 1, f"{lines.bit_count()} word lines at once"
        return lines.bit_length() - 1
