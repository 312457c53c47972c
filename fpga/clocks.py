# SPDX-License-Identifier: BSD-2-Clause
"""The emulator's clock: a board's oscillator, or what a PLL makes of it."""

from dataclasses import dataclass

from amaranth.build import Platform
from amaranth.hdl import (
    ClockDomain,
    ClockSignal,
    Elaboratable,
    Instance,
    Module,
    Signal,
)
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

from .targets import BoardError

# The VCO of an ECP5's PLL in hertz [Lattice FPGA-DS-02012, sysCLOCK PLL timing].
_VCO = 400e6, 800e6


@dataclass(frozen=True)
class Ratio:
    """``multiply / divide`` of an ECP5's PLL, and the divider of its VCO."""

    multiply: int
    divide: int
    output: int

    @classmethod
    def of(cls, source: float, wanted: float) -> "Ratio":
        """The smallest ratio that gives exactly ``wanted`` hertz; raises :class:`BoardError`."""
        for divide in range(1, 9):
            multiply = round(wanted * divide / source)
            if not 1 <= multiply <= 80 or source * multiply != wanted * divide:
                continue
            for output in range(1, 129):
                if _VCO[0] <= wanted * output <= _VCO[1]:
                    return cls(multiply, divide, output)
        raise BoardError(f"No PLL makes {wanted / 1e6:g} MHz of {source / 1e6:g} MHz")


class PlatformClock(Elaboratable):
    """Domain ``sync`` from the platform's default clock, by an ECP5's PLL.

    The domain is in reset until the PLL has locked.

    Parameters
    ----------
    clock : in hertz
    """

    def __init__(self, clock: float):
        self.clock = clock

    def elaborate(self, platform: Platform):
        m = Module()
        source = platform.default_clk_frequency
        ratio = Ratio.of(source, self.clock)
        pin = platform.request(platform.default_clk, dir="-")
        m.submodules.pin = buffer = io.Buffer("i", pin)
        m.domains.sync = ClockDomain()
        made, locked = Signal(), Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            a_FREQUENCY_PIN_CLKI=f"{source / 1e6:g}",
            a_FREQUENCY_PIN_CLKOP=f"{self.clock / 1e6:g}",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_FEEDBK_PATH="CLKOP",
            p_CLKOP_ENABLE="ENABLED",
            p_CLKI_DIV=ratio.divide,
            p_CLKFB_DIV=ratio.multiply,
            p_CLKOP_DIV=ratio.output,
            p_CLKOP_CPHASE=ratio.output // 2 - 1 if ratio.output > 1 else 0,
            p_CLKOP_FPHASE=0,
            i_CLKI=buffer.i,
            i_CLKFB=made,
            i_RST=0,
            i_STDBY=0,
            i_PHASESEL0=0,
            i_PHASESEL1=0,
            i_PHASEDIR=0,
            i_PHASESTEP=0,
            i_PHASELOADREG=0,
            i_PLLWAKESYNC=0,
            i_ENCLKOP=0,
            o_CLKOP=made,
            o_LOCK=locked,
        )
        m.d.comb += ClockSignal().eq(made)
        m.submodules.reset = ResetSynchronizer(~locked)
        platform.add_clock_constraint(made, self.clock)
        return m
