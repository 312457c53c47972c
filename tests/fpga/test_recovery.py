# SPDX-License-Identifier: BSD-2-Clause
"""A measurement begins again when the link or the board was lost: so often, and not for ever."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.graphs import mlp
from twincell.fpga.host.board import WrongBoard
from twincell.fpga.host.experiment import Experiment, Measured
from twincell.fpga.host.session import BoardReset, BusError, LinkLost, ProtocolError
from twincell.fpga.host.transport import TransportError
from twincell.model.planes import Binary

IMAGES = np.zeros((3, 12), int)


class Losing:
    """A board whose connection fails as it is told, behind a port that takes a while to be back."""

    slots = 3

    def __init__(self, failures: list[Exception], reopens: int = 0):
        self.graph = mlp(np.random.default_rng(0), [12, 6, 3], Binary())
        self.failures, self.reopens, self.tried = failures, reopens, 0
        self.session = SimpleNamespace(transport=self)

    def connect(self) -> None:
        if self.failures:
            raise self.failures.pop(0)

    def reopen(self) -> None:
        self.tried += 1
        if self.tried <= self.reopens:
            raise TransportError("The port is not there")


def measured(board: Losing, **options) -> Experiment:
    experiment = Experiment(board, **options)  # type: ignore[arg-type]
    found = Measured(np.zeros((3, 3), int), np.zeros(3, int), *[0] * 6)
    experiment._once = lambda *_: found  # type: ignore[method-assign]
    (done,) = experiment.measure(IMAGES, [None])
    assert done is found
    return experiment


@pytest.mark.parametrize("lost", [1, 3])
def test_as_often_as_it_may(lost):
    board = Losing([LinkLost("silent"), BoardReset("reset"), TransportError("gone")][:lost])
    assert measured(board).recovered == lost and board.tried == (lost == 3)


def test_not_once_more():
    board = Losing([LinkLost(f"silent {number}") for number in range(9)])
    with pytest.raises(LinkLost, match=r"^silent 3$"):
        measured(board)


@pytest.mark.parametrize("hopeless", [WrongBoard, ProtocolError, BusError])
def test_what_begins_again_in_vain_is_not_begun_again(hopeless):
    board = Losing([hopeless("no"), LinkLost("never reached")])
    with pytest.raises(hopeless, match=r"^no$"):
        measured(board)
    assert len(board.failures) == 1


def test_a_port_that_comes_back_late(monkeypatch):
    waited = []
    monkeypatch.setattr("twincell.fpga.host.experiment.time.sleep", waited.append)
    board = Losing([TransportError("gone")], reopens=4)
    assert measured(board).recovered == 1
    assert board.tried == 5 and len(waited) == 4


def test_a_port_that_never_comes_back(monkeypatch):
    monkeypatch.setattr("twincell.fpga.host.experiment.time.sleep", lambda seconds: None)
    board = Losing([TransportError("gone")], reopens=10**9)
    with pytest.raises(TransportError, match=r"^The port is not there$"):
        measured(board, wait=0.05)
    assert board.tried > 1
