# SPDX-License-Identifier: BSD-2-Clause
"""Which serial port a board's UART is at."""

from collections.abc import Iterable

from ..program import Port, bridge, choose
from ..targets import Board, BoardError


def uart_port(board: Board, ports: Iterable[Port], serial: str | None = None) -> str:
    """The port of the one connected board of this kind.

    Of a bridge with several ports it is the last: the others program the board.

    Parameters
    ----------
    ports : all of this machine
    serial : number of the board's USB bridge, when there are several

    Raises :class:`BoardError` when there is no such board, or more than one.
    """
    ports = list(ports)
    if board.usb is None:
        found = ", ".join(port.device for port in ports) or "none"
        raise BoardError(
            f"The {board.title} has no USB bridge: name the port of yours by --port; there are "
            f"{found}"
        )
    chosen = choose(board, ports, serial)
    same = [port for port in ports if bridge(port) == bridge(chosen)]
    return max(same, key=_place).device


def _place(port: Port) -> tuple[str, int, str]:
    """The interface of the bridge, where it is known: ports have the numbers that were free."""
    _, _, interface = (port.location or "").partition(":")
    return interface, len(port.device), port.device
