# SPDX-License-Identifier: BSD-2-Clause
"""The board's end of the link in Python: what :class:`~.link.Link` does, frame by frame."""

from typing import Protocol

from . import frames
from .frames import Answer, Opcode, Status

_SIZES = range(frames.REQUEST_BYTES, frames.LONGEST + 1)


class Bus(Protocol):
    """Registers; both raise ``KeyError`` where the hardware answers with an error."""

    def read(self, address: int) -> int:
        """One word."""
        ...

    def write(self, address: int, word: int) -> None:
        """One word."""
        ...


class Responder:
    """Takes bytes of the line and gives those of the answers.

    Parameters
    ----------
    bus : what the requests are carried out on
    version : of the protocol; another one for boards of the past and of the future
    """

    def __init__(self, bus: Bus, version: int = frames.VERSION):
        self.bus, self.version = bus, version
        self._line = bytearray()
        self._last: int | None = None
        self._kept = b""
        self._halted = False

    def feed(self, content: bytes) -> bytes:
        """The answers to the requests that end in ``content``."""
        self._line += content
        *packets, rest = self._line.split(frames.DELIMITER)
        self._line = bytearray(rest)
        return b"".join(self._answer(bytes(packet)) for packet in packets)

    def _answer(self, packet: bytes) -> bytes:
        try:
            body = frames.unpack(packet)
        except frames.FrameError:
            return b""
        if not _SIZES.start <= len(body) + 4 < _SIZES.stop:
            return b""
        opcode, sequence = body[0] & 15, body[1]
        status = self._judged(body)
        if status is not Status.OK:
            answer = Answer(opcode & 7, sequence, status, self._last or 0, (), self.version)
            return answer.encode()
        if opcode != Opcode.BEGIN and sequence == self._last:
            return self._kept
        self._last = sequence
        self._kept = self._carried_out(body).encode()
        return self._kept

    def _judged(self, body: bytes) -> Status:
        """Whether a request is carried out, or why not."""
        opcode, sequence = body[0] & 15, body[1]
        if body[0] >> 4 != self.version:
            return Status.VERSION
        if not _well_formed(body):
            return Status.MALFORMED
        if opcode == Opcode.BEGIN:
            self._halted = False
        elif self._last is None:
            return Status.NOT_BEGUN
        elif sequence == self._last:
            return Status.OK
        elif self._halted:
            return Status.HALTED
        elif sequence != (self._last + 1) % frames.SEQUENCES:
            return Status.ORDER
        return Status.OK

    def _carried_out(self, body: bytes) -> Answer:
        opcode, sequence, count = body[0] & 15, body[1], body[4]
        address = int.from_bytes(body[2:4], "little")
        words = frames.bytes_to_words(body[6:])
        read: list[int] = []
        for done in range(count):
            try:
                if address > frames.MAX_ADDRESS:
                    raise KeyError(address)
                if opcode == Opcode.WRITE:
                    self.bus.write(address, words[done])
                else:
                    read.append(self.bus.read(address))
            except KeyError:
                self._halted = True
                return Answer(opcode, sequence, Status.REFUSED, done, tuple(read), self.version)
            address += 4 * (body[5] & frames.STEP)
        return Answer(opcode, sequence, Status.OK, count, tuple(read), self.version)


def _well_formed(body: bytes) -> bool:
    opcode, count = body[0] & 15, body[4]
    address = int.from_bytes(body[2:4], "little")
    words = count if opcode == Opcode.WRITE else 0
    return (
        opcode in tuple(Opcode)
        and 1 <= count <= frames.MAX_WORDS
        and body[5] <= frames.STEP
        and address % 4 == 0
        and address <= frames.MAX_ADDRESS
        and len(body) == frames.REQUEST_BYTES - 4 + 4 * words
    )
