# SPDX-License-Identifier: BSD-2-Clause
"""The boards: what each has, and the network that is built for it when none is named.

A board is an entry of :data:`BOARDS`; its pins and tools are those of ``amaranth-boards``.
"""

from dataclasses import dataclass
from importlib import import_module

from amaranth.build import Platform

from .memory import BlockRam


class BoardError(ValueError):
    """A board that is not known, or a network that does not fit; the message says what would."""


@dataclass(frozen=True)
class Device:
    """An FPGA.

    Parameters
    ----------
    family : ``ice40``, ``ecp5``, ``gowin`` or ``xilinx``: which tools build for it
    logic : logic cells, in the family's own unit
    ram : its block RAM
    single_port : 32-bit words of memory beside the block RAM that cannot be initialised, of which
        the image buffer is made
    """

    family: str
    logic: int
    ram: BlockRam
    single_port: int = 0


_ICE40 = ((256, 16), (512, 8), (1024, 4), (2048, 2))
_ECP5 = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
_GOWIN = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
_XILINX = ((512, 72), (1024, 36), (2048, 18), (4096, 9), (8192, 4), (16384, 2), (32768, 1))

UP5K = Device("ice40", 5280, BlockRam(30, _ICE40, False), single_port=1 << 15)
HX8K = Device("ice40", 7680, BlockRam(32, _ICE40, False))
LFE5U_25F = Device("ecp5", 24288, BlockRam(56, _ECP5))
LFE5U_85F = Device("ecp5", 83640, BlockRam(208, _ECP5))
GW1NR_9C = Device("gowin", 8640, BlockRam(26, _GOWIN))
XC7A35T = Device("xilinx", 20800, BlockRam(50, _XILINX))


@dataclass(frozen=True)
class Board:
    """One board.

    Parameters
    ----------
    name : on the command line
    title : what it is
    platform : module and class in ``amaranth_boards``
    device : its FPGA
    network, lanes : what is built when nothing else is asked for
    clock : of the emulator, in hertz: the oscillator's own, or one that a PLL makes of it
    baud : of its UART
    loader : its name for openFPGALoader; ``None`` when that does not know it
    usb : vendor and product of its USB bridge, and a word of the bridge's description: how it is
        recognised. ``None`` when it has none
    programmings : whether the programmings of word lines are counted, which takes block RAM
    flash_only : it starts from its flash and cannot be loaded until it is switched off
    by_hand : what to do with a bitstream when ``loader`` is ``None``
    """

    name: str
    title: str
    platform: str
    device: Device
    network: str
    lanes: int
    clock: float
    baud: float = 1e6
    loader: str | None = None
    usb: tuple[int, int, str] | None = None
    programmings: bool = True
    flash_only: bool = False
    by_hand: str = ""

    def make_platform(self) -> Platform:
        """The platform of amaranth-boards."""
        module, _, name = self.platform.partition(".")
        return getattr(import_module(f"amaranth_boards.{module}"), name)()

    @property
    def buildable(self) -> bool:
        """Whether open tools make its bitstream; else there is a plan for the vendor's."""
        return self.device.family != "xilinx"


_FTDI2 = (0x0403, 0x6010)  # an FT2232H, which many boards have

BOARDS = {
    board.name: board
    for board in (
        Board(
            "icebreaker",
            "iCEBreaker, iCE40 UP5K",
            "icebreaker.ICEBreakerPlatform",
            UP5K,
            *("digits-small", 9, 12e6),
            loader="ice40_generic",
            usb=(*_FTDI2, "iCEBreaker"),
            programmings=False,
            flash_only=True,
        ),
        Board(
            "icesugar",
            "iCESugar, iCE40 UP5K",
            "icesugar.ICESugarPlatform",
            UP5K,
            *("digits-small", 9, 12e6),
            usb=(0x1D50, 0x602B, "iCELink"),
            programmings=False,
            by_hand="copy the bitstream to the drive iCELink that it shows",
        ),
        Board(
            "hx8k-evn",
            "iCE40-HX8K breakout board",
            "ice40_hx8k_b_evn.ICE40HX8KBEVNPlatform",
            HX8K,
            *("digits-small", 33, 12e6),
            loader="ice40_generic",
            usb=(*_FTDI2, "Lattice"),
            programmings=False,
            flash_only=True,
        ),
        Board(
            "colorlight-5a75b",
            "Colorlight 5A-75B V7.0, ECP5 25F",
            "colorlight_5a75b_r7_0.Colorlight_5A75B_R70Platform",
            LFE5U_25F,
            *("digits-small", 33, 25e6),
            loader="colorlight",
        ),
        Board(
            "ulx3s-85f",
            "ULX3S, ECP5 85F",
            "ulx3s.ULX3S_85F_Platform",
            LFE5U_85F,
            *("mnist-mlp", 500, 50e6),
            loader="ulx3s",
            usb=(0x0403, 0x6015, "ULX3S"),
        ),
        Board(
            "tang-nano-9k",
            "Tang Nano 9K, GW1NR-9C",
            "tang_nano_9k.TangNano9kPlatform",
            GW1NR_9C,
            *("digits-small", 33, 27e6),
            loader="tangnano9k",
            usb=(*_FTDI2, "JTAG Debugger"),
        ),
        Board(
            "arty-a7-35",
            "Arty A7-35T, by Vivado",
            "arty_a7.ArtyA7_35Platform",
            XC7A35T,
            *("digits-mlp", 392, 100e6),
            loader="arty_a7_35t",
            usb=(*_FTDI2, "Digilent"),
        ),
    )
}


def board(name: str) -> Board:
    """A board by its name; raises :class:`BoardError` with those that there are."""
    if name not in BOARDS:
        raise BoardError(f"There is no board {name!r}; there are {', '.join(BOARDS)}")
    return BOARDS[name]
