# SPDX-License-Identifier: BSD-2-Clause
"""The emulator's clock: a board's oscillator, or what a PLL makes of it."""

from dataclasses import dataclass
from itertools import product

from amaranth.build import Platform
from amaranth.hdl import (
    ClockSignal,
    Elaboratable,
    Instance,
    Module,
    Signal,
)
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

from .targets import BoardError

# Limits of an ECP5's PLL in hertz [Lattice FPGA-DS-02012, sysCLOCK PLL timing].
_DETECTOR = 10e6, 400e6
_VCO = 400e6, 800e6
_OUTPUT = 3.125e6, 400e6
_DIVIDERS, _MULTIPLIERS, _OUTPUT_DIVIDERS = range(1, 9), range(1, 81), range(1, 129)


@dataclass(frozen=True)
class Ratio:
    """``multiply / divide`` of an ECP5's PLL, and the divider of its VCO."""

    multiply: int
    divide: int
    output: int

    @classmethod
    def of(cls, source: float, wanted: float) -> "Ratio":
        """The smallest ratio that gives exactly ``wanted`` hertz within the PLL's limits; raises
        :class:`BoardError` with the nearest clocks that there are."""
        found = cls._all(source)
        if wanted in found:
            return found[wanted]
        below = [clock for clock in found if clock < wanted]
        above = [clock for clock in found if clock > wanted]
        nearest = [f"{clock / 1e6:g} MHz" for clock in (*below[-1:], *above[:1])]
        raise BoardError(
            f"No PLL makes {wanted / 1e6:g} MHz of {source / 1e6:g} MHz; the nearest that it makes "
            f"are {' and '.join(nearest) or 'none'}"
        )

    @classmethod
    def _all(cls, source: float) -> dict[float, "Ratio"]:
        """The smallest ratio for each clock of whole hertz that is made of ``source``, from the
        slowest on."""
        found = {}
        for divide, multiply in product(_DIVIDERS, _MULTIPLIERS):
            detector, clock = source / divide, source * multiply / divide
            if _within(detector, _DETECTOR) and _within(clock, _OUTPUT) and clock == int(clock):
                output = next(k for k in _OUTPUT_DIVIDERS if _within(clock * k, _VCO))
                found.setdefault(clock, cls(multiply, divide, output))
        return dict(sorted(found.items()))


def _within(frequency: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= frequency <= limits[1]


def check(platform: Platform, clock: float) -> None:
    """Raises :class:`BoardError` when an emulator on a platform cannot have a clock in hertz:
    another than the oscillator's is only made on ECP5."""
    if clock != platform.default_clk_frequency:
        _ratio(platform, clock)


def _ratio(platform: Platform, clock: float) -> Ratio:
    source = platform.default_clk_frequency
    if getattr(platform, "family", None) != "ecp5":
        raise BoardError(
            f"{clock / 1e6:g} MHz is not the oscillator's {source / 1e6:g} MHz, and only on ECP5 "
            "is there a PLL; run at the oscillator's, with fewer lanes if that is too fast"
        )
    return Ratio.of(source, clock)


class PlatformClock(Elaboratable):
    """Drives domain ``sync``, which is defined around it, from the platform's default clock, by an
    ECP5's PLL.

    The domain is in reset until the PLL has locked. Raises :class:`BoardError` for a clock
    that no PLL makes, when it is elaborated.

    Parameters
    ----------
    clock : in hertz
    """

    def __init__(self, clock: float):
        self.clock = clock

    def elaborate(self, platform: Platform):
        m = Module()
        source = platform.default_clk_frequency
        ratio = _ratio(platform, self.clock)
        pin = platform.request(platform.default_clk, dir="-")
        m.submodules.pin = buffer = io.Buffer("i", pin)
        made = Signal()
        locked = Signal()
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
