# SPDX-License-Identifier: BSD-2-Clause
"""The simulated twin of a board: pins, simulated time, and its pseudo-terminal."""

import os

import pytest
import serial

from tests.support.link import BUILD, UartBoard
from twincell.fpga.host.session import Session
from twincell.fpga.host.transport import PipeTransport, SerialTransport, TransportError
from twincell.hw.verilog import emit
from twincell.sim.ports import PortsError
from twincell.sim.results import SimulationError
from twincell.sim.twin import Twin
from twincell.sim.twin_pty import TwinPty

CLOCKS_PER_BIT = 4


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    emit(UartBoard(CLOCKS_PER_BIT), folder, name="board")
    return folder


def test_time_passes_only_while_somebody_waits(build):
    with Twin(build, clocks_per_bit=CLOCKS_PER_BIT, clock=12e6, short=True) as twin:
        assert (twin.baud, twin.cycles) == (3e6, 0)
        twin.write(b"\0" * 10)
        assert twin.cycles == 0
        assert twin.read(1e-5) == b"" and twin.cycles == 120
        assert twin.unsent == 7  # three bytes have begun
        assert twin.read(0) == b"" and twin.cycles == 120
        assert Session(PipeTransport(twin)).begin(0, 4)[3] == BUILD
        # A request of 12 bytes and an answer of 26, at 40 cycles each, and a few hundred inside.
        assert 120 + 38 * 40 < twin.cycles < 120 + 70 * 40


def test_equal_runs_take_equal_time(build):
    cycles = []
    for _ in range(2):
        with Twin(build, clocks_per_bit=CLOCKS_PER_BIT, short=True) as twin:
            twin.write(b"\0\x01\0\xff\xfe" * 30)
            twin.run(5000)
            twin.write(bytes.fromhex("0b13000000040121b1ecab00"))
            twin.run(100_000)
            cycles.append(twin.cycles)
    assert cycles[0] == cycles[1]


def test_a_pseudo_terminal(build):
    """pyserial talks to it like to any port, twice, and another program may follow."""
    twin = Twin(build, clocks_per_bit=CLOCKS_PER_BIT, short=True)
    with TwinPty(twin) as pty:
        for value in (0x12345678, 0x9ABCDEF0):
            with SerialTransport(pty.path, 115200) as port:
                session = Session(port, timeout=5)
                assert session.begin(0, 4)[3] == BUILD
                session.write(0x100, [value, 1])
                assert session.read(0x100, 2) == (value, 1)
        with serial.Serial(pty.path, timeout=5) as plain:
            plain.write(bytes.fromhex("00"))
        path = pty.path
    assert not os.path.exists(path)  # noqa: PTH110
    pty.close()
    with pytest.raises(TransportError, match=rf"^The port {path} cannot be opened at 115200 baud"):
        SerialTransport(path, 115200)


def test_what_has_ended_says_so(build):
    twin = Twin(build, clocks_per_bit=CLOCKS_PER_BIT, short=True)
    twin.close()
    twin.close()
    with pytest.raises(SimulationError, match=r"^The simulated board has ended"):
        twin.run(1)


def test_a_terminal_says_why_the_simulation_ended(build, monkeypatch):
    def fails(self, cycles):
        raise SimulationError("It has crashed")

    with TwinPty(Twin(build, clocks_per_bit=CLOCKS_PER_BIT, short=True)) as pty:
        monkeypatch.setattr(Twin, "run", fails)
        with serial.Serial(pty.path, timeout=5) as plain:
            plain.write(b"wake")
        with pytest.raises(SimulationError, match=r"^It has crashed$"):
            pty.wait()


def test_a_top_without_these_pins(build, tmp_path):
    for name in ("board.v", "ports.json"):
        text = (build / name).read_text().replace('"tx"', '"txd"')
        (tmp_path / name).write_text(text)
    message = r"^board is no board's top: it has no pin tx \(out\)$"
    with pytest.raises(PortsError, match=message):
        Twin(tmp_path, clocks_per_bit=CLOCKS_PER_BIT, short=True)
