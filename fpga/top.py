# SPDX-License-Identifier: BSD-2-Clause
"""The emulator on a board: two wires of a UART, a clock, and a light that shows it runs."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from ..hw.network import Network
from .instrument import Instrument
from .link import Link
from .uart import Uart

HEARTBEAT_BITS = 25  # of its counter: at 50 MHz the light changes every third of a second


class Emulator(wiring.Component):
    """An :class:`~.instrument.Instrument` behind the host link and a UART.

    Parameters
    ----------
    network, slots, results, store : see :class:`~.instrument.Instrument`
    clocks_per_bit : of the UART

    Members
    -------
    rx, tx : In(1), Out(1)
    led : Out(1), blinks as long as there is a clock
    """

    def __init__(self, network: Network, *, clocks_per_bit: int, slots: int, **options):
        self.instrument = Instrument(network, slots=slots, **options)
        self.arrays = self.instrument.arrays
        self.uart = Uart(clocks_per_bit)
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "led": Out(1)})

    def elaborate(self, platform):
        # rx -> uart -> link -> uart -> tx, and link -> instrument
        m = Module()
        m.submodules.uart = uart = self.uart
        m.submodules.link = link = Link()
        m.submodules.instrument = instrument = self.instrument
        connect(m, uart.o, link.i)
        connect(m, link.o, uart.i)
        connect(m, link.bus, instrument.bus)
        beat = Signal(HEARTBEAT_BITS)
        m.d.sync += beat.eq(beat + 1)
        m.d.comb += [
            uart.rx.eq(self.rx),
            self.tx.eq(uart.tx),
            self.led.eq(beat[-1]),
        ]
        return m
