# SPDX-License-Identifier: BSD-2-Clause
"""The image buffer in the single-port memories of an iCE40 UP5K."""

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from .buffer import StoreSignature

ROWS, WIDTH = 1 << 14, 16  # of an SB_SPRAM256KA [Lattice FPGA-TN-02022]
PAIRS = 2


class SpramStore(wiring.Component):
    """A store of up to 32,768 words, as :class:`~.buffer.BlockStore` without contents at power-up.

    Parameters
    ----------
    depth : words

    Members
    -------
    port : In(:class:`~.buffer.StoreSignature`)
    """

    def __init__(self, depth: int):
        if not 0 < depth <= PAIRS * ROWS:
            raise ValueError(f"An SPRAM store has 1 to {PAIRS * ROWS} words, not {depth}")
        self.depth = depth
        super().__init__({"port": In(StoreSignature(depth))})

    def elaborate(self, platform):
        # Two memories side by side are a word; the highest bit of the address chooses the pair.
        m = Module()
        port = self.port
        row = Signal(range(ROWS))
        pair = Signal()
        shown = Signal()
        m.d.comb += Cat(row, pair).eq(port.address)
        m.d.sync += shown.eq(pair)
        words = []
        for number in range(-(-self.depth // ROWS)):
            chosen = port.en & (pair == number)
            halves = [Signal(WIDTH, name=f"read{number}_{half}") for half in range(2)]
            for half, read in enumerate(halves):
                m.submodules[f"spram{number}_{half}"] = Instance(
                    "SB_SPRAM256KA",
                    i_CLOCK=ClockSignal(),
                    i_ADDRESS=row,
                    i_DATAIN=port.data.word_select(half, WIDTH),
                    i_MASKWREN=Const(-1, 4),
                    i_WREN=port.we,
                    i_CHIPSELECT=chosen,
                    i_STANDBY=0,
                    i_SLEEP=0,
                    i_POWEROFF=1,  # active low
                    o_DATAOUT=read,
                )
            words.append(Cat(halves))
        m.d.comb += port.read.eq(words[0])
        if len(words) > 1:
            with m.If(shown):
                m.d.comb += port.read.eq(words[1])
        return m
