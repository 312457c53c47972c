# SPDX-License-Identifier: BSD-2-Clause
"""What lies beside the Verilog of a design with memory macros: a stub of the macro for synthesis, a
behavioural model for simulation, and the files that the model reads."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...model.generators import gap_table, jump_columns
from .macro import MacroArray, ProgramErrors, ReadErrors
from .pins import MODULE, verilog_header

STUB = f"{MODULE}.stub.v"
MODEL = f"{MODULE}.model.v"
SOCKET = f"{MODULE}.socket.v"

#: Parameters with their defaults; all but the first three are the model's own.
PARAMETERS = {
    "ROWS": "64",
    "COLUMNS": "64",
    "TERNARY": "0",
    "CONTENTS": '""',
    "FORMED": "1",
    "ERRORS": '""',
    "DIGITS": "1",
    "READS": "1",
    "FAILURES": '""',
    "LEAST_FORM": "1",
    "LEAST_SET": "1",
    "LEAST_RESET": "1",
}


@dataclass(frozen=True)
class Beside:
    """Files of the macros in a design, by their names; none when it has no macro.

    Parameters
    ----------
    stubs : Verilog for synthesis
    models : Verilog for simulation
    memories : what the models read
    """

    stubs: dict[str, str]
    models: dict[str, str]
    memories: dict[str, str]

    @property
    def files(self) -> dict[str, str]:
        """All of them."""
        return {**self.stubs, **self.models, **self.memories}


def beside(component: object) -> Beside:
    """What belongs beside the Verilog of an array, or of a component that names its ``arrays``."""
    found = [component, *getattr(component, "arrays", ())]
    arrays = [each for each in found if isinstance(each, MacroArray)]
    if not arrays:
        return Beside({}, {}, {})
    played = {getattr(each.macro, "played", False) for each in arrays}
    if len(played) > 1:
        raise ValueError("Either all macros of a design are played by a test bench, or none is")
    if played.pop():
        return Beside({STUB: stub()}, {SOCKET: socket()}, {})
    return Beside({STUB: stub()}, {MODEL: model()}, memories(arrays))


def stub() -> str:
    """A black box for synthesis: pins and parameters, and nothing inside."""
    return "\n".join(
        [
            "// SPDX-License-Identifier: BSD-2-Clause",
            "// A 2T2R memory macro. Replace it by a module of these pins around the real one; the",
            "// parameters behind TERNARY are those of the model for simulation.",
            "(* blackbox *)",
            verilog_header(PARAMETERS),
            "endmodule\n",
        ]
    )


def model() -> str:
    """The behavioural model, in Verilog."""
    text = Path(__file__).with_name("macro.v").read_text()
    # An output that a task assigns is a register behind it.
    return text.replace("@HEADER@", verilog_header(PARAMETERS))


def socket() -> str:
    """A macro without behaviour, for simulation: a test bench drives its outputs."""
    return "\n".join(
        [
            "// SPDX-License-Identifier: BSD-2-Clause",
            "// The pins of a 2T2R memory macro; a test bench drives q_reg and qn_reg.",
            verilog_header(PARAMETERS),
            "  reg [COLUMNS-1:0] q_reg /* verilator public_flat_rw */;",
            "  reg [COLUMNS-1:0] qn_reg /* verilator public_flat_rw */;",
            "  assign q = q_reg;",
            "  assign qn = qn_reg;",
            "endmodule\n",
        ]
    )


def contents_text(array: MacroArray) -> str:
    """A line for each word line: its BLb devices, then its BL devices, the last column first."""
    bl, blb = array.devices()
    rows = np.hstack([bl, blb])[:, ::-1]
    return "".join("".join(map(str, row)) + "\n" for row in rows)


def errors_text(errors: ReadErrors) -> str:
    """Start registers, the jump to the next image, and the table of gaps."""
    words = [*errors.start]
    words += [column for register in range(3) for column in jump_columns(register)]
    words += [int(entry) for entry in gap_table(errors.rate).reshape(-1)]
    return _words(words)


def failures_text(errors: ProgramErrors) -> str:
    """Start registers, and the bound below which a word is a failure."""
    return _words([*errors.start, errors.bound])


def _words(words: list[int]) -> str:
    return "".join(f"{word:08x}\n" for word in words)


def memories(arrays: Iterable[MacroArray]) -> dict[str, str]:
    """The files that the models of these arrays read, by their names.

    Raises ``ValueError`` when two arrays have the same name.
    """
    files: dict[str, str] = {}
    for array in arrays:
        if f"{array.name}.contents.mem" in files:
            raise ValueError(f"Two macros are called {array.name!r}; their files would be one")
        files[f"{array.name}.contents.mem"] = contents_text(array)
        if array.read_errors.rate:
            files[f"{array.name}.errors.mem"] = errors_text(array.read_errors)
        if array.program_errors.rate:
            files[f"{array.name}.failures.mem"] = failures_text(array.program_errors)
    return files
