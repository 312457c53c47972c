# SPDX-License-Identifier: BSD-2-Clause
"""The signature that every memory array has, whatever lies behind it."""

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out


class ArraySignature(wiring.Signature):
    """Reads and programs an array of ``rows`` word lines of ``columns`` synapses.

    A read takes a word line, one input bit a column and one enable bit a column; it returns, for
    each column, *agree* (the XNOR of input and stored sign) and *active* (the stored weight is not
    zero). Both are 0 where a column is not enabled, and agree is 0 where active is. Reads leave in
    the order in which they were accepted.

    Parameters
    ----------
    rows, columns : word lines and synapses on each
    stored : whether what is compared is shown as well, for an XNOR as part of the counting

    Members
    -------
    i : In(stream: row, inputs, enable)
    o : Out(stream: agree, active)
    i_program : In(stream: row, sign, active); a word line is written whole
    stored : Out(sign, inputs), when shown: beside ``o``, bits whose XNOR is agree
    """

    def __init__(self, rows: int, columns: int, *, stored: bool = False):
        for name, value in (("Rows", rows), ("Columns", columns)):
            if not isinstance(value, int) or value < 1:
                raise TypeError(f"{name} must be a positive integer, not {value!r}")
        self.rows = rows
        self.columns = columns
        row = range(max(rows, 2))  # an address has at least one bit
        read = {"row": row, "inputs": columns, "enable": columns}
        result = {"agree": columns, "active": columns}
        program = {"row": row, "sign": columns, "active": columns}
        members = {
            "i": In(stream.Signature(data.StructLayout(read))),
            "o": Out(stream.Signature(data.StructLayout(result))),
            "i_program": In(stream.Signature(data.StructLayout(program))),
        }
        if stored:
            members["stored"] = Out(data.StructLayout({"sign": columns, "inputs": columns}))
        super().__init__(members)
