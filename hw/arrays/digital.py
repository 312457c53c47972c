# SPDX-License-Identifier: BSD-2-Clause
"""An array of ordinary memory and XNOR gates."""

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory

from .contents import packed
from .signature import ArraySignature


class DigitalArray(wiring.Component):
    """Block RAM and XNOR gates behind :class:`ArraySignature`.

    A read is accepted every cycle and leaves one cycle later; while the sink stalls it is held. A
    word line is programmed every cycle, in which no read is accepted: so synthesis need not add
    what a block RAM does not have, a port that reads what another port is writing. Binary weights
    are shown beside the result, ``stored``.

    Parameters
    ----------
    sign : uint8 (rows, columns), the stored signs
    active : uint8 of the same shape for ternary weights, ``None`` for binary ones
    """

    cycles_per_read = 1
    latency = 1

    def __init__(self, sign: np.ndarray, active: np.ndarray | None = None):
        self.contents = packed(sign, active)
        self.ternary = active is not None
        super().__init__(ArraySignature(*np.shape(sign), stored=not self.ternary))

    def elaborate(self, platform):
        m = Module()
        rows, columns = self.signature.rows, self.signature.columns
        width = self.contents.shape[1]
        words = [int.from_bytes(row, "little") for row in _octets(self.contents)]
        words += [0] * (max(rows, 2) - rows)
        m.submodules.memory = memory = Memory(shape=width, depth=len(words), init=words)

        write = memory.write_port()
        m.d.comb += [
            self.i_program.ready.eq(1),
            write.en.eq(self.i_program.valid),
            write.addr.eq(self.i_program.payload.row),
            write.data[:columns].eq(self.i_program.payload.sign),
        ]
        if self.ternary:
            m.d.comb += write.data[columns:].eq(self.i_program.payload.active)

        # The read port and the registered inputs move together, and hold while the sink stalls.
        read = memory.read_port()
        accept = Signal()
        inputs = Signal(columns)
        enable = Signal(columns, init=-1)  # so that synthesis drops what is always enabled
        m.d.comb += [
            self.i.ready.eq((~self.o.valid | self.o.ready) & ~write.en),
            accept.eq(self.i.valid & self.i.ready),
            read.en.eq(accept),
            read.addr.eq(self.i.payload.row),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(accept):
            m.d.sync += [
                self.o.valid.eq(1),
                inputs.eq(self.i.payload.inputs),
                enable.eq(self.i.payload.enable),
            ]

        active = read.data[columns:] & enable if self.ternary else enable
        m.d.comb += [
            self.o.payload.active.eq(active),
            self.o.payload.agree.eq(~(inputs ^ read.data[:columns]) & active),
        ]
        if not self.ternary:
            # A column that is not enabled stores 0 and sees 1.
            m.d.comb += [
                self.stored.sign.eq(read.data & enable),
                self.stored.inputs.eq(inputs | ~enable),
            ]
        return m


def _octets(bits: np.ndarray) -> list[bytes]:
    return [row.tobytes() for row in np.packbits(bits, axis=1, bitorder="little")]
