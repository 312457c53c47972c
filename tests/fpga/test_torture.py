# SPDX-License-Identifier: BSD-2-Clause
"""Host and board over a line that damages what it carries: nothing wrong is accepted, no write is
lost or done twice, none behind a refused one is done, and no queue is read twice."""

import numpy as np
import pytest

from tests.support.link import BUILD, REGISTERS, NoisyTransport, Registers, UartBoard
from twincell.fpga.host.session import BusError, Session
from twincell.hw.verilog import emit
from twincell.sim.twin import Twin

CLOCKS_PER_BIT = 4
CLOCK = 12e6
TIMEOUT = 0.0005  # besides the bytes' own time; a simulated line has no adapter


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    emit(UartBoard(CLOCKS_PER_BIT), folder, name="board")
    return folder


@pytest.fixture
def twin(build):
    with Twin(build, clocks_per_bit=CLOCKS_PER_BIT, clock=CLOCK, short=True) as running:
        yield running


class Host:
    """Does the same to the board and to a model of it, at random, and compares."""

    def __init__(self, session: Session, seed: int):
        self.session, self.model = session, Registers()
        self.rng = np.random.default_rng(seed)
        self.refused = 0

    def step(self) -> None:
        rng, address = self.rng, {r.name: r.offset for r in REGISTERS.registers}
        match int(rng.integers(0, 5)) if rng.random() < 0.98 else 5:
            case 0 | 1:
                words = [int(w) for w in rng.integers(14, 1 << 32, int(rng.integers(1, 8)))]
                self.session.write(address["LOG"], words, step=False)
                for word in words:
                    self.model.write(address["LOG"], word)
            case 2:
                words = [int(w) for w in rng.integers(0, 1 << 32, 2)]
                self.session.write(address["A"], words)
                self.model.write(address["A"], words[0])
                self.model.write(address["B"], words[1])
            case 3:
                count = int(rng.integers(1, 8))
                found = self.session.read(address["QUEUE"], count, step=False)
                assert found == tuple(self.model.read(address["QUEUE"]) for _ in range(count))
            case 5:
                first, last = (int(w) for w in rng.integers(14, 1 << 32, 2))
                self.session.flush()
                with pytest.raises(BusError, match=r"^The board refused word 1 of 3, a WRITE at "):
                    self.session.write(address["LOG"], [first, 13, last], step=False)
                    for word in (first, last):  # in good faith, and not carried out
                        self.session.write(address["A"], [word, word])
                    self.session.flush()
                self.model.write(address["LOG"], first)
                self.refused += 1
                assert self.session.begin(0, 4)[3] == BUILD
            case _:
                found = self.session.read(address["A"], 2)
                assert found == tuple(self.model.stored[address[n]] for n in "AB")
                assert self.session.read(address["SUM"]) == (self.model.total,)


def torture(twin: Twin, requests: int, rate: float, seed: int) -> NoisyTransport:
    line = NoisyTransport(twin, rate, seed)
    session = Session(line, timeout=TIMEOUT, attempts=60)
    assert session.begin(0, 4)[3] == BUILD
    host = Host(session, seed)
    longest = 0
    while session.statistics.requests < requests:
        before = twin.cycles
        host.step()
        longest = max(longest, twin.cycles - before)
    session.flush()
    assert session.statistics.repeats > requests * rate
    assert min(line.counts.values()) > 0 and host.refused > 2
    # No step, whatever hit it, took as long as a simulated second.
    assert longest < CLOCK, longest
    return line


def test_a_bad_line(twin):
    torture(twin, 2000, 0.01, 1)


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "requests"), [(0.002, 50_000), (0.01, 40_000), (0.03, 20_000)])
def test_hundred_thousand_frames(twin, rate, requests):
    torture(twin, requests, rate, 7)
