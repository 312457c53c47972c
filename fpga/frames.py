# SPDX-License-Identifier: BSD-2-Clause
"""Frames of the host link: what a host and a board say to each other, byte by byte.

A frame is COBS-encoded (Cheshire and Baker, 1999) and ends with a 0, which appears nowhere else.
Its last four bytes are the CRC-32 of those before, as ``zlib.crc32``; all numbers are
little-endian::

    request   version << 4 | opcode, sequence, address (2), count, flags, words (4 each), crc (4)
    answer    version << 4 | opcode | 8, sequence, words (4 each), status, count, crc (4)

This module imports nothing of the hardware, so that a host can.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from cobs import cobs

VERSION = 1
DELIMITER = b"\0"
MAX_WORDS = 60  # of a frame: with all else 252 bytes on the line
MAX_ADDRESS = 0xFFC
STEP = 1  # flag: the address goes up by 4 after each word
ANSWER = 8  # bit of an answer's first byte
REQUEST_BYTES = 10  # of a request, and
ANSWER_BYTES = 8  # of an answer, without its words; before COBS
LONGEST = 254  # bytes before COBS that a board looks at; longer frames get no answer
SEQUENCES = 256


class Opcode(IntEnum):
    """What a request asks for.

    ``BEGIN`` is a read that begins a session: the next request in order is the one after it. It is
    carried out each time it arrives, so it is for registers that do not change when they are read.
    """

    READ = 1
    WRITE = 2
    BEGIN = 3


class Status(IntEnum):
    """What became of a request; all but ``OK`` and ``REFUSED`` say that nothing was carried out."""

    OK = 0  # all words; count of them
    REFUSED = 1  # the bus refused word number `count`, and the words before it were carried out
    VERSION = 2  # another version of the protocol; the answer's first byte has the board's own
    MALFORMED = 3  # the CRC is right, but not opcode, address, count, flags or length
    ORDER = 4  # not the next in order; count is the sequence number of the last one carried out
    HALTED = 5  # request number `count` was refused: nothing more until BEGIN
    NOT_BEGUN = 6  # no BEGIN since power-up or reset


class FrameError(ValueError):
    """Bytes that are no frame; they arrived damaged, or are not from a board."""


@dataclass(frozen=True)
class Request:
    """Reads or writes ``count`` words from ``address``, or all at ``address`` without ``step``.

    Raises ``ValueError`` when a field does not fit.
    """

    opcode: Opcode
    sequence: int
    address: int
    count: int
    step: bool = True
    words: tuple[int, ...] = ()
    version: int = VERSION

    def __post_init__(self):
        if self.address % 4 or not 0 <= self.address <= MAX_ADDRESS:
            raise ValueError(f"An address is a multiple of 4 up to 0xffc, not {self.address:#x}")
        if not 1 <= self.count <= MAX_WORDS:
            raise ValueError(f"A frame has 1 to {MAX_WORDS} words, not {self.count}")
        if len(self.words) != (self.count if self.opcode is Opcode.WRITE else 0):
            raise ValueError(f"{len(self.words)} words for a {self.opcode.name} of {self.count}")

    def encode(self) -> bytes:
        """Its bytes on the line, with the delimiter."""
        first = self.version << 4 | self.opcode
        address = self.address.to_bytes(2, "little")
        header = bytes((first, self.sequence, *address, self.count, STEP * self.step))
        return pack(header + words_to_bytes(self.words))


@dataclass(frozen=True)
class Answer:
    """What a board says to a request; ``words`` are those that were read."""

    opcode: int
    sequence: int
    status: int
    count: int
    words: tuple[int, ...] = ()
    version: int = VERSION

    def encode(self) -> bytes:
        """Its bytes on the line, with the delimiter."""
        head = bytes((self.version << 4 | ANSWER | self.opcode, self.sequence))
        return pack(head + words_to_bytes(self.words) + bytes((self.status, self.count)))

    @classmethod
    def decode(cls, frame: bytes) -> "Answer":
        """From the bytes between two delimiters; raises :class:`FrameError`."""
        body = unpack(frame)
        if len(body) < ANSWER_BYTES - 4 or len(body) % 4 or not body[0] & ANSWER:
            raise FrameError(f"{len(body) + 4} bytes are not an answer")
        return cls(
            version=body[0] >> 4,
            opcode=body[0] & 7,
            sequence=body[1],
            words=bytes_to_words(body[2:-2]),
            status=body[-2],
            count=body[-1],
        )


def pack(body: bytes) -> bytes:
    """A frame's content with CRC, COBS and delimiter."""
    return cobs.encode(body + zlib.crc32(body).to_bytes(4, "little")) + DELIMITER


def unpack(frame: bytes) -> bytes:
    """The content of a frame, given without its delimiter; raises :class:`FrameError`."""
    try:
        content = cobs.decode(frame)
    except cobs.DecodeError as error:
        raise FrameError(f"Not COBS: {error}") from None
    body, found = content[:-4], int.from_bytes(content[-4:], "little")
    if len(content) < 4 or zlib.crc32(body) != found:
        raise FrameError(f"The CRC of {len(content)} bytes is wrong")
    return body


def words_to_bytes(words: Iterable[int]) -> bytes:
    """32-bit words, lowest byte first."""
    return b"".join(word.to_bytes(4, "little") for word in words)


def bytes_to_words(content: bytes) -> tuple[int, ...]:
    """The reverse; whole words only."""
    return tuple(int.from_bytes(content[at : at + 4], "little") for at in range(0, len(content), 4))
