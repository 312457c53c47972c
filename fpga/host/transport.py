# SPDX-License-Identifier: BSD-2-Clause
"""Bytes to a board and back: a serial port, or anything else that can."""

import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Protocol

import serial

# What pyserial raises when a port breaks: TypeError when another thread has closed it.
_BROKEN: tuple[type[Exception], ...] = (OSError, serial.SerialException, TypeError)
with suppress(ImportError):  # not on Windows
    import termios

    _BROKEN += (termios.error,)
# Seconds for one write. The most that is written at once, with the 4 KiB that a system may hold
# before it, takes half a second at 115,200 baud.
WRITE_TIMEOUT = 5.0


class TransportError(ConnectionError):
    """The way to the board is gone: unplugged, switched off or taken by another program."""


class Stalled(TransportError):
    """The way is there, but nothing is taken at its end."""


class Transport(ABC):
    """A byte stream in both directions; it may lose, invent and change bytes.

    Raises :class:`TransportError` from every method when it is broken.
    """

    #: Bits a second, with which time-outs reckon.
    baud: float

    @abstractmethod
    def now(self) -> float:
        """Seconds of the clock by which :meth:`read` waits; it never goes back."""

    @abstractmethod
    def read(self, timeout: float) -> bytes:
        """What has arrived, at once if there is something; ``b""`` after ``timeout`` seconds."""

    @abstractmethod
    def write(self, content: bytes) -> None:
        """Sends all of it; raises :class:`Stalled` when it is not taken."""

    @abstractmethod
    def reopen(self) -> None:
        """Opens the way again after it broke; what was on it is lost."""

    @abstractmethod
    def close(self) -> None:
        """Ends it; does nothing the second time."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Pipe(Protocol):
    """A byte stream that a simulator offers; times are simulated seconds."""

    @property
    def clock(self) -> float:
        """Cycles a second."""
        ...

    @property
    def cycles(self) -> int:
        """Since it began."""
        ...

    @property
    def baud(self) -> float:
        """Bits a second."""
        ...

    def read(self, timeout: float) -> bytes:
        """As of :class:`Transport`."""
        ...

    def write(self, content: bytes) -> None:
        """As of :class:`Transport`."""
        ...

    def close(self) -> None:
        """As of :class:`Transport`."""
        ...


class PipeTransport(Transport):
    """A simulated board in this process. It cannot be unplugged."""

    def __init__(self, pipe: Pipe):
        self.pipe = pipe
        self.baud = pipe.baud

    def now(self) -> float:
        """As of :class:`Transport`, in simulated time."""
        return self.pipe.cycles / self.pipe.clock

    def read(self, timeout: float) -> bytes:
        """As of :class:`Transport`, in simulated time."""
        return self.pipe.read(timeout)

    def write(self, content: bytes) -> None:
        """As of :class:`Transport`."""
        self.pipe.write(content)

    def reopen(self) -> None:
        """A simulation that has ended does not come back."""
        raise TransportError("The simulated board has ended")

    def close(self) -> None:
        """Ends the simulation."""
        self.pipe.close()


class SerialTransport(Transport):
    """A serial port, with eight data bits, no parity and one stop bit.

    Raises :class:`TransportError` when it cannot be opened, with what the system says.
    """

    def __init__(self, port: str, baud: int):
        self.port, self.baud = port, baud
        self._serial = serial.Serial()
        self.reopen()

    def now(self) -> float:
        """As of :class:`Transport`."""
        return time.monotonic()

    def read(self, timeout: float) -> bytes:
        """As of :class:`Transport`."""
        try:
            self._serial.timeout = timeout
            found = self._serial.read(1)
            return found + self._serial.read(self._serial.in_waiting) if found else found
        except _BROKEN as error:
            raise self._lost(error) from None

    def write(self, content: bytes) -> None:
        """As of :class:`Transport`."""
        try:
            self._serial.write(content)
        except serial.SerialTimeoutException:
            raise Stalled(
                f"The port {self.port} takes no more bytes; does the board's USB bridge hang?"
            ) from None
        except _BROKEN as error:
            raise self._lost(error) from None

    def reopen(self) -> None:
        """Opens the port, and drops what had arrived."""
        self.close()
        try:
            self._serial = serial.Serial(
                self.port, int(self.baud), exclusive=True, write_timeout=WRITE_TIMEOUT
            )
            self._serial.reset_input_buffer()
        except (*_BROKEN, ValueError) as error:
            raise TransportError(
                f"The port {self.port} cannot be opened at {self.baud:g} baud: {error}"
            ) from None

    def close(self) -> None:
        """Closes the port."""
        self._serial.close()

    def _lost(self, error: Exception) -> TransportError:
        return TransportError(f"The port {self.port} is gone: {error}")
