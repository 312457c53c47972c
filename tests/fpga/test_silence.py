# SPDX-License-Identifier: BSD-2-Clause
"""Ports and boards that babble, listen to nothing or stand still: the host gives up in time."""

import numpy as np
import pytest

from tests.support import instrument as support
from tests.support.link import Registers, full_port
from twincell.fpga.description import describe
from twincell.fpga.frames import Answer, Opcode, Status
from twincell.fpga.host.board import STANDSTILL, Board
from twincell.fpga.host.session import LinkError, LinkLost, Session
from twincell.fpga.host.transport import SerialTransport, Stalled, Transport
from twincell.fpga.responder import Responder
from twincell.fpga.top import Emulator

MILLISECOND = 1e-3  # what every call takes at least
FOREVER = 1000.0  # seconds


class Babbler(Transport):
    """Says the same every ``period`` seconds, whatever it hears."""

    baud = 1e6

    def __init__(self, period: float, says: bytes):
        self.period, self.says = period, says
        self.time = 0.0

    def now(self):
        return self.time

    def read(self, timeout):
        assert self.time < FOREVER
        timeout = max(timeout, MILLISECOND)
        self.time += min(self.period, timeout)
        return self.says if self.period <= timeout else b""

    def write(self, content):
        pass

    def reopen(self):
        pass

    def close(self):
        pass


class Slow(Babbler):
    """A board that takes ``period`` seconds for each request."""

    def __init__(self, period: float, responder: Responder):
        super().__init__(period, b"")
        self.responder, self.heard = responder, bytearray()

    def write(self, content):
        self.heard += content

    def read(self, timeout):
        request, delimiter, later = self.heard.lstrip(b"\0").partition(b"\0")
        self.time += min(self.period, timeout)
        if self.period > timeout or not delimiter:
            return b""
        self.heard = later
        return self.responder.feed(bytes(request + delimiter))


BEHIND = Answer(Opcode.BEGIN, 7, Status.HALTED, count=7).encode()


@pytest.mark.parametrize("period", [0.2, 0.02, MILLISECOND])
@pytest.mark.parametrize("says", [b".", b"." * 100, b".\0", BEHIND])
def test_babble_is_silence(period, says, monkeypatch):
    """Slow and fast, of bytes and of an answer from which nothing follows."""
    monkeypatch.setattr("secrets.randbelow", lambda below: 7)
    port = Babbler(period, says)
    session = Session(port)
    with pytest.raises(LinkLost, match=r"^No answer to 8 attempts \(\d+ bytes so far\); is this "):
        session.begin(0, 4)
    # The attempts, one more for each of draining and repeating, and the bytes' own time.
    assert port.time < (session.attempts + 2) * (session.timeout + 0.01)


def test_each_answer_gives_the_next_one_its_time():
    """Eight writes on their way take longer than one may."""
    port = Slow(0.2, Responder(Registers()))
    session = Session(port)
    session.begin(0, 4)
    for word in range(8):
        session.write(0x100, [word])
    session.flush()
    assert port.time > 8 * 0.2 > session.timeout
    assert session.statistics.timeouts == session.statistics.repeats == 0


def test_a_port_that_takes_nothing(monkeypatch):
    monkeypatch.setattr("twincell.fpga.host.transport.WRITE_TIMEOUT", 0.05)
    with full_port() as path, SerialTransport(path, 1_000_000) as port:
        message = rf"^The port {path} takes no more bytes; does the board's USB bridge hang\?$"
        with pytest.raises(Stalled, match=message):
            port.write(bytes(100))
        session = Session(port)
        with pytest.raises(LinkLost, match=message):
            session.begin(0, 4)
        with pytest.raises(LinkError, match=r"^The session was not begun, or it broke; begin it"):
            session.read(0)


class Standing:
    """A session with a board that has a result every so many seconds, and whose registers are 0.

    It is its own transport; an adapter holds every answer back.
    """

    LATENCY = 0.016

    def __init__(self, about, period: float = FOREVER):
        self.about, self.period = about, period
        self.transport = self
        self.time = self.taken = 0.0

    def now(self):
        return self.time

    def write(self, address, words, *, step=True):
        pass

    def read(self, address, count=1, *, step=True):
        assert self.time < FOREVER
        self.time += self.LATENCY
        state = self.about.register("RUN_STATE")
        if address == self.about.register("RESULT_DATA").offset:
            self.taken = self.time
        elif address == state.offset and self.time >= self.taken + self.period:
            return (self.about.results.words << state["WORDS"].bit,)
        return (0,) * count


@pytest.fixture(scope="module")
def case():
    return support.case()


@pytest.fixture(scope="module")
def about(case):
    top = Emulator(case.network(), clocks_per_bit=6, slots=8)
    return describe(top.instrument, board="test", clock=12e6, clocks_per_bit=6)


def test_a_run_that_stands_still(case, about):
    session = Standing(about)
    with pytest.raises(LinkError, match=r"^The run stands still after 0 images$"):
        Board(session, about, case.graph).run(3)
    assert STANDSTILL < session.time < 1.1 * STANDSTILL


def test_a_slow_run_is_waited_for(case, about):
    session = Standing(about, period=0.9 * STANDSTILL)
    scores, labels = Board(session, about, case.graph).run(5)
    assert session.time > 5 * 0.9 * STANDSTILL
    assert not np.any(scores) and labels.tolist() == [0] * 5


def test_the_slowest_image_is_waited_for(case, about):
    """Of a board that takes half a minute for a read."""
    slow = about.model_copy(update={"clock": 1 / 30})
    session = Standing(slow, period=10 * STANDSTILL)
    assert len(Board(session, slow, case.graph).run(2)[1]) == 2


def test_a_hold_that_does_not_come(case, about):
    session = Standing(about)
    with (
        pytest.raises(LinkError, match=r"^STATUS.HELD does not become 1$"),
        Board(session, about, case.graph).held(),
    ):
        pytest.fail("It is not held")
    assert STANDSTILL < session.time < 1.1 * STANDSTILL
