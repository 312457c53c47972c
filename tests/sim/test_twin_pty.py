# SPDX-License-Identifier: BSD-2-Clause
"""The pseudo-terminal of a simulated board towards programs that take their time."""

import time

import serial

from twincell.sim import twin_pty
from twincell.sim.twin_pty import TwinPty


class Talker:
    """A twin that answers the first byte at once, with more than a terminal holds."""

    ANSWER = bytes(range(250)) * 80
    unsent = 0

    def __init__(self):
        self.answer, self.runs = b"", 0

    def write(self, content: bytes) -> None:
        self.answer = self.ANSWER

    def run(self, cycles: int) -> bytes:
        found, self.answer = self.answer, b""
        self.runs += 1
        return found

    def close(self) -> None:
        pass


def test_a_late_reader_gets_everything(monkeypatch):
    """The board sleeps by then, and wakes without another byte; until then it does sleep."""
    monkeypatch.setattr(twin_pty, "AWAKE", 0.1)
    talker = Talker()
    with TwinPty(talker) as pty, serial.Serial(pty.path, timeout=5) as port:
        port.write(b"?")
        runs = [0, -1]
        while runs[-1] != runs[-2] or not runs[-1]:  # until it sleeps
            time.sleep(0.5)
            runs.append(talker.runs)
        assert port.in_waiting < len(talker.ANSWER)
        assert port.read(len(talker.ANSWER)) == talker.ANSWER
