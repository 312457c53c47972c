# SPDX-License-Identifier: BSD-2-Clause
"""The behaviour of a 2T2R macro at its pins, in Python: the twin of ``macro.v``, edge by edge."""

from collections.abc import Iterator, Mapping

import numpy as np

from ...model.generators import error_positions, gap_table, random_words, start_of_image
from .macro import MacroArray


def undefined_bit(row: int, column: int) -> int:
    """The sign that a cell of two equal devices reads as: fixed, and different from cell to cell.

    The same integers are in ``macro.v``.
    """
    return (row * 0x9E3779B1 + column * 0x85EBCA77) >> 15 & 1


class MacroModel:
    """What a macro does with the pins of one clock edge.

    A pulse that breaks a rule changes nothing, and leaves it to ``violations`` to say so.

    Parameters
    ----------
    array : whose contents, errors and failures it has
    least : cycles of a pulse below which it changes nothing

    Attributes
    ----------
    bl, blb : uint8 (rows, columns), devices in the LRS
    formed : uint8 (2, rows, columns), BL and BLb devices that were formed
    q, qn : int, the outputs; -1 while they are undefined
    violations : what was done to the pins that must not be
    pulses : (kind, row, width) of every pulse
    """

    def __init__(self, array: MacroArray, *, least: int = 1):
        self.array = array
        self.least = least
        self.rows, self.columns = array.control.rows, array.control.columns
        self.bl, self.blb = (bits.copy() for bits in array.devices())
        self.formed = np.full((2, self.rows, self.columns), array.formed, dtype=np.uint8)
        self.q = self.qn = -1
        self.violations: list[str] = []
        self.pulses: list[tuple[str, int, int]] = []
        self._before: Mapping[str, int] = {}
        self._width, self._spoiled = 0, False
        self._failing = _words(array.program_errors.start)
        self._image = self._read = 0

    def edge(self, pins: Mapping[str, int]) -> None:
        """A clock edge at which the pins have these values; ``q`` and ``qn`` are those after it."""
        before = self._before or dict.fromkeys(pins, 0)
        problem = self._problem(pins, before)
        if problem:
            self.violations.append(problem)
            self.q = self.qn = -1
        elif pins["pre"]:
            self.q = self.qn = (1 << self.columns) - 1
        elif pins["sen"] and not before["sen"]:
            self._sense(pins)
        elif not pins["sen"]:
            self.q = self.qn = -1
        if pins["pulse"]:
            self._width += 1
            self._spoiled |= bool(problem)
        elif self._width:
            if not self._spoiled:
                self._pulse(before)
            self._width, self._spoiled = 0, False
        self._before = dict(pins)

    def _problem(self, pins: Mapping[str, int], before: Mapping[str, int]) -> str:
        lines = pins["wl"].bit_count()
        modes = ("v_form", "v_set", "v_reset", "v_weak")
        held = (*modes, "sl", "wl", "bl", "blb")
        rising = pins["sen"] and not before["sen"]
        resetting = pins["v_reset"] | pins["v_weak"]
        rules = [
            (lines > 1, "two word lines at once"),
            (pins["hv"] and (pins["pre"] or pins["sen"]), "high voltage during a read"),
            (pins["pre"] and pins["sen"], "precharge while sensing"),
            (rising and not before["pre"], "sensing without precharge"),
            (rising and lines == 0, "sensing without a word line"),
            (pins["x"] & pins["xn"], "straight and crossed at once"),
            (pins["pulse"] and not pins["hv"], "a pulse without high voltage"),
            (pins["hv"] and sum(pins[mode] for mode in modes) != 1, "not one programming voltage"),
            (pins["hv"] and pins["sl"] != resetting, "the source line at the wrong end"),
            (
                pins["hv"] and before["hv"] and any(pins[pin] != before[pin] for pin in held),
                "a choice changed under high voltage",
            ),
            (pins["pulse"] and lines != 1, "a pulse without a word line"),
        ]
        return next((text for broken, text in rules if broken), "")

    def _sense(self, pins: Mapping[str, int]) -> None:
        row = pins["wl"].bit_length() - 1
        flips = set() if pins["verify"] else self._errors()
        self.q = self.qn = 0
        for column in range(self.columns):
            agree, disagree = self._resolve(row, column, pins)
            if (pins["x"] | pins["xn"]) >> column & 1:
                agree ^= column in flips
                if self.array.ternary:
                    disagree ^= self.columns + column in flips
                else:
                    disagree = not agree
            self.q |= int(not disagree) << column
            self.qn |= int(not agree) << column

    def _resolve(self, row: int, column: int, pins: Mapping[str, int]) -> tuple[bool, bool]:
        """Whether QN, which means agree, and Q are discharged."""
        straight, crossed = pins["x"] >> column & 1, pins["xn"] >> column & 1
        devices = int(self.bl[row, column]), int(self.blb[row, column])
        if not (straight or crossed) or (self.array.ternary and devices == (0, 0)):
            return False, False
        equal = devices[0] == devices[1]
        weight = undefined_bit(row, column) if equal else devices[0]
        return weight == straight, weight != straight

    def _errors(self) -> set[int]:
        """Bits of this read that are latched wrong; moves on to the next read."""
        given = self.array.read_errors
        if not given.rate:
            return set()
        bits = self.columns * (1 + self.array.ternary)
        if self._read == 0:
            registers = start_of_image(given.start, self._image)
            self._positions = error_positions(
                registers, gap_table(given.rate), given.reads * bits
            ).tolist()
        first = self._read * bits
        found = {at - first for at in self._positions if first <= at < first + bits}
        self._read += 1
        if self._read == given.reads:
            self._read, self._image = 0, self._image + 1
        return found

    def _pulse(self, pins: Mapping[str, int]) -> None:
        """The end of a pulse that was driven with these pins."""
        row = pins["wl"].bit_length() - 1
        kind = next(mode for mode in ("v_form", "v_set", "v_reset", "v_weak") if pins[mode])
        self.pulses.append((kind.removeprefix("v_"), row, self._width))
        if self._width < self.least or kind == "v_weak":  # devices have two states here
            return
        for column in range(self.columns):
            for side, (select, devices) in enumerate((("bl", self.bl), ("blb", self.blb))):
                if not pins[select] >> column & 1:
                    continue
                if kind == "v_form":
                    self.formed[side, row, column] = devices[row, column] = 1
                    continue
                failed = self._fails()
                if self.formed[side, row, column]:
                    devices[row, column] = (kind == "v_set") ^ failed

    def _fails(self) -> bool:
        errors = self.array.program_errors
        return bool(errors.rate) and next(self._failing) < errors.bound


def _words(registers: tuple[int, int, int]) -> Iterator[int]:
    """The words of taus88, without end."""
    taken, count = 0, 1024
    while True:
        yield from random_words(registers, count)[taken:].tolist()
        taken, count = count, 2 * count
