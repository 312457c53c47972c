# SPDX-License-Identifier: BSD-2-Clause
"""How long the phases of a macro last."""

from dataclasses import asdict, dataclass, fields

from amaranth.lib import data

DURATION_BITS = 16


@dataclass(frozen=True)
class Timing:
    """Durations in clock cycles, 1 to 65535 each.

    Parameters
    ----------
    precharge : both outputs are pulled up
    word_line : the word line rises, before sensing
    sense : the branches race; the window within which a ternary cell must have discharged
    latch : the word line is off, and the result is taken at the end
    form, set, reset, weak : the programming pulses, and the weak RESET of learning
    settle : between any two steps of raising and lowering the programming voltages
    """

    precharge: int = 1
    word_line: int = 1
    sense: int = 1
    latch: int = 1
    form: int = 32
    set: int = 8
    reset: int = 8
    weak: int = 4
    settle: int = 2

    def __post_init__(self):
        most = (1 << DURATION_BITS) - 1
        for each in fields(self):
            value = getattr(self, each.name)
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(f"Timing: {each.name} is 1 to {most} cycles, not {value!r}")

    @property
    def cycles_per_read(self) -> int:
        """Cycles from one read to the next."""
        return self.precharge + self.word_line + self.sense + self.latch

    @staticmethod
    def layout() -> data.StructLayout:
        """The durations as registers."""
        return data.StructLayout({each.name: DURATION_BITS for each in fields(Timing)})

    def as_dict(self) -> dict[str, int]:
        """Values of the registers."""
        return asdict(self)
