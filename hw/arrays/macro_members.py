# SPDX-License-Identifier: BSD-2-Clause
"""What a macro's controller shows beside the signature of all arrays."""

from amaranth.lib import data, enum
from amaranth.lib.wiring import In, Out

from .macro_timing import Timing

RETRY_BITS = 4
WEAR_BITS = 16
TOTAL_BITS = 32


class Operation(enum.Enum, shape=2):
    """What a programming pulse does."""

    FORM_BL = 0
    FORM_BLB = 1
    RESET = 2
    SET = 3


#: What the controller knows of a word line.
LINE = data.StructLayout({"programmings": WEAR_BITS, "formed": 1, "incomplete": 1})


def control_members(rows: int, columns: int, timing: Timing, retries: int) -> dict:
    """Members of an array with a controller, beside those of ``ArraySignature``."""
    row = range(max(rows, 2))
    report = {"row": row, "failed": columns, "retries": RETRY_BITS}
    return {
        "timing": In(Timing.layout(), init=timing.as_dict()),
        "retries": In(RETRY_BITS, init=retries),
        "line": In(row),
        "line_state": Out(LINE),
        "programming": Out(1),
        "done": Out(1),
        "report": Out(data.StructLayout(report)),
        "retried": Out(TOTAL_BITS),
        "failures": Out(TOTAL_BITS),
    }
