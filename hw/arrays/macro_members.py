# SPDX-License-Identifier: BSD-2-Clause
"""What a macro's controller shows beside the signature of all arrays."""

from amaranth.lib import data, enum
from amaranth.lib.wiring import In, Out

from .macro_timing import Timing

RETRY_BITS = 4
WEAR_BITS = 16
TOTAL_BITS = 32


class Operation(enum.Enum, shape=3):
    """What a pulse does."""

    FORM_BL = 0
    FORM_BLB = 1
    RESET = 2
    SET = 3
    WEAK = 4


def line_layout(learns: bool) -> data.StructLayout:
    """What the controller knows of a word line; where the memory learns, its weak pulses too."""
    known = {"programmings": WEAR_BITS, "formed": 1, "incomplete": 1}
    return data.StructLayout(known | ({"weak": TOTAL_BITS} if learns else {}))


def control_members(
    rows: int, columns: int, timing: Timing, retries: int, *, learns: bool = False
) -> dict:
    """Members of an array with a controller, beside those of ``ArraySignature``."""
    row = range(max(rows, 2))
    report = {"row": row, "failed": columns, "retries": RETRY_BITS}
    return {
        "timing": In(Timing.layout(), init=timing.as_dict()),
        "retries": In(RETRY_BITS, init=retries),
        "line": In(row),
        "line_state": Out(line_layout(learns)),
        "programming": Out(1),
        "done": Out(1),
        "report": Out(data.StructLayout(report)),
        "retried": Out(TOTAL_BITS),
        "failures": Out(TOTAL_BITS),
    }
