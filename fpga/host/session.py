# SPDX-License-Identifier: BSD-2-Clause
"""A session with a board: registers read and written exactly once over a line that may lose bytes.

Requests are numbered, and a board carries them out in that order, each once; see
:mod:`~twincell.fpga.frames`. Several writes may be on their way; a read is waited for. Whatever has
not been answered in time is sent again, from the oldest on.
"""

import secrets
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from .. import frames
from ..frames import Answer, FrameError, Opcode, Request, Status
from .transport import Stalled, Transport

WINDOW = 8  # writes on their way; a board never falls behind them, as answers are shorter
TIMEOUT = 0.25  # seconds, besides the bytes' own time: USB adapters hold bytes back for up to 16 ms
ATTEMPTS = 8
_BITS = 10  # of a byte on the line


class LinkError(RuntimeError):
    """There is no talking to the board, or what it says makes no sense."""


class LinkLost(LinkError):
    """The board does not answer any more, or takes no more bytes."""


class BoardReset(LinkLost):
    """The board has forgotten the session: it was reset, configured anew or without power."""


class ProtocolError(LinkError):
    """The board speaks another version of the protocol."""


class BusError(LinkError):
    """The board refused a word of a request; the words before it were taken."""


@dataclass
class Statistics:
    """What went over the line since the session was made."""

    requests: int = 0
    repeats: int = 0
    timeouts: int = 0
    damaged: int = 0  # answers that were no frames
    sent: int = 0  # bytes
    received: int = 0


class Session:
    """Reads and writes registers.

    Parameters
    ----------
    transport : to the board
    timeout : seconds without an answer, besides the bytes' own time, until requests are repeated,
        by the transport's clock; bytes that are no answer do not prolong it
    attempts : how often, until the board counts as lost
    window : writes on their way, at most

    Every method raises :class:`LinkLost` when the board does not answer or takes no more bytes,
    :class:`BoardReset`, :class:`ProtocolError` and :class:`LinkError` for what it answers,
    :class:`BusError` when it refuses a word, of this request or of a write before it, and
    ``TransportError``. After any of these only :meth:`begin` makes the session whole again.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        timeout: float = TIMEOUT,
        attempts: int = ATTEMPTS,
        window: int = WINDOW,
    ):
        self.transport = transport
        self.timeout, self.attempts, self.window = timeout, attempts, window
        self.statistics = Statistics()
        self._begun = False
        self._next = 0
        self._open: deque[tuple[Request, bytes]] = deque()  # sent and not yet answered
        self._line = bytearray()
        self._answer: Answer | None = None
        self._repeated = -1  # the oldest open request when a gap was last mended

    def begin(self, address: int, count: int) -> tuple[int, ...]:
        """Begins a session, whatever was before, and reads registers that reading does not change.

        A board that is in the middle of a frame drops it.
        """
        end = self.transport.now() + self.timeout
        while self.transport.read(0) and self.transport.now() < end:
            pass  # of a session before this one
        self._open.clear()
        self._line.clear()
        self._begun = True
        self._next = secrets.randbelow(frames.SEQUENCES)
        self._put(frames.DELIMITER)
        return self._read(Opcode.BEGIN, address, count, True)

    def read(self, address: int, count: int = 1, *, step: bool = True) -> tuple[int, ...]:
        """Words from ``address`` on, or with ``step=False`` all from ``address``."""
        found: list[int] = []
        while len(found) < count:
            size = min(count - len(found), frames.MAX_WORDS)
            at = address + 4 * len(found) * step
            found += self._read(Opcode.READ, at, size, step)
        return tuple(found)

    def write(self, address: int, words: Sequence[int], *, step: bool = True) -> None:
        """Words to ``address`` on, or with ``step=False`` all to ``address``.

        They are on their way when this returns; see :meth:`flush`.
        """
        for first in range(0, len(words), frames.MAX_WORDS):
            part = tuple(int(word) for word in words[first : first + frames.MAX_WORDS])
            self._send(Opcode.WRITE, address + 4 * first * step, len(part), step, part)

    def flush(self) -> None:
        """Waits until all writes are carried out."""
        self._settle(0)

    def _read(self, opcode: Opcode, address: int, count: int, step: bool) -> tuple[int, ...]:
        self._send(opcode, address, count, step)
        self._settle(0)
        answer = self._answer
        if answer is None or len(answer.words) != count:
            raise self._broken(LinkError(f"The board answered {answer}, not {count} words"))
        return answer.words

    def _send(
        self, opcode: Opcode, address: int, count: int, step: bool, words: tuple[int, ...] = ()
    ) -> None:
        if not self._begun:
            raise LinkError("The session was not begun, or it broke; begin it again")
        self._settle(self.window - 1)
        request = Request(opcode, self._next, address, count, step, words)
        self._next = (self._next + 1) % frames.SEQUENCES
        encoded = request.encode()
        self._open.append((request, encoded))
        self._answer = None
        self._repeated = -1 if len(self._open) == 1 else self._repeated
        self.statistics.requests += 1
        self._put(encoded)

    def _put(self, content: bytes) -> None:
        self.statistics.sent += len(content)
        try:
            self.transport.write(content)
        except Stalled as error:
            raise self._broken(LinkLost(str(error))) from None

    def _settle(self, most: int) -> None:
        """Waits until no more than ``most`` requests are open; repeats them when need be."""
        failures = 0
        while len(self._open) > most:
            before = len(self._open)
            if self._listen(self._patience()):
                failures = 0 if len(self._open) < before else failures
                continue
            failures += 1
            self.statistics.timeouts += 1
            if failures == self.attempts:
                raise self._broken(LinkLost(self._silence(failures)))
            self._repeat()

    def _patience(self) -> float:
        """Seconds after which the oldest open request should have been answered."""
        line = sum(len(encoded) for _, encoded in self._open) + 4 * frames.MAX_WORDS
        return self.timeout + line * _BITS / self.transport.baud

    def _silence(self, failures: int) -> str:
        heard = self.statistics.received
        return (
            f"No answer to {failures} attempts ({heard} bytes so far); is this the board's port, "
            "is the board configured with this build, does another program use the port?"
        )

    def _repeat(self) -> None:
        """Sends what is open again, behind a delimiter that ends what the line has invented."""
        self.statistics.repeats += len(self._open)
        self._put(frames.DELIMITER + b"".join(encoded for _, encoded in self._open))

    def _listen(self, timeout: float) -> bool:
        """Takes answers until one is of use; false when none was within ``timeout`` seconds,
        whatever else has come."""
        end = self.transport.now() + timeout
        while (left := end - self.transport.now()) > 0:
            heard = self.transport.read(left)
            if not heard:
                break
            self.statistics.received += len(heard)
            self._line += heard
            *packets, rest = self._line.split(frames.DELIMITER)
            self._line = bytearray(rest)
            if sum(self._take(bytes(packet)) for packet in packets if packet):
                return True
        return False

    def _take(self, packet: bytes) -> bool:
        """One answer; whether it was of use: it closed a request, or had the open ones repeated."""
        try:
            answer = Answer.decode(packet)
        except FrameError:
            self.statistics.damaged += 1
            return False
        if answer.version != frames.VERSION or answer.status == Status.VERSION:
            raise self._broken(
                ProtocolError(
                    f"The board speaks version {answer.version} of the protocol, this host version "
                    f"{frames.VERSION}; build the board's bitstream with this twincell"
                )
            )
        beginning = self._open and self._open[0][0].opcode is Opcode.BEGIN
        if not self._open or (beginning and answer.opcode != Opcode.BEGIN):
            return False  # of a session before this one, or said twice
        match answer.status:
            case Status.OK | Status.REFUSED:
                return self._carried_out(answer)
            case Status.ORDER | Status.HALTED:
                return self._behind(answer)
            case Status.NOT_BEGUN:
                raise self._broken(BoardReset("The board was reset since the session began"))
            case _:
                raise self._broken(LinkError(f"The board calls a request malformed: {answer}"))

    def _carried_out(self, answer: Answer) -> bool:
        """Closes the request that is answered and all before it."""
        place = self._place(answer.sequence)
        if place is None or self._open[place][0].opcode != answer.opcode:
            return False
        request = self._open[place][0]
        self._drop(place + 1)
        if answer.status == Status.REFUSED:
            at = request.address + 4 * answer.count * request.step
            what = f"word {answer.count} of {request.count}, a {request.opcode.name} at {at:#05x}"
            raise self._broken(BusError(f"The board refused {what}"))
        self._answer = answer
        return True

    def _behind(self, answer: Answer) -> bool:
        """The board carried requests out up to one whose answer was lost, and not those behind it.

        What was read, or why it was refused, is answered again when it is repeated; what follows
        has to be repeated, but once: those on their way will all be answered so.
        """
        before, place = len(self._open), self._place(answer.count)
        if place is not None:
            known = answer.status == Status.ORDER and self._open[place][0].opcode == Opcode.WRITE
            self._drop(place + known)
        mends = bool(self._open) and self._open[0][0].sequence != self._repeated
        if mends:
            self._repeated = self._open[0][0].sequence
            self._repeat()
        return mends or len(self._open) < before

    def _place(self, sequence: int) -> int | None:
        for place, (request, _) in enumerate(self._open):
            if request.sequence == sequence:
                return place
        return None

    def _drop(self, count: int) -> None:
        for _ in range(count):
            self._open.popleft()

    def _broken(self, error: LinkError) -> LinkError:
        self._begun = False
        self._open.clear()
        return error
