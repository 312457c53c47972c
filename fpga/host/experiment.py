# SPDX-License-Identifier: BSD-2-Clause
"""Measurements on a board, each predicted by the integer reference under the same errors."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...model.errors import ErrorMap
from ...model.integer import Interpreter, Shown, labels
from .board import Board, WrongBoard
from .session import BusError, LinkError, ProtocolError
from .transport import TransportError

RECOVERIES = 3  # of one measurement, before its error is passed on
WAIT = 10.0  # seconds for an unplugged board to come back
_COUNTER = (1 << 32) - 1

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Measured:
    """What a board showed for some images under one error map, and what it should have.

    Parameters
    ----------
    scores : int64 (images, classes), the board's
    labels : int64 (images,), the board's
    mismatches : images of which a score or the label is not the reference's
    flips, reads, cycles : by the board's counters: bits that read errors flipped, reads of all
        arrays, and cycles with an image inside
    expected_flips, expected_reads : of the reference, each array's modulo 2^32 as its counter
    """

    scores: np.ndarray
    labels: np.ndarray
    mismatches: int
    flips: int
    reads: int
    cycles: int
    expected_flips: int
    expected_reads: int

    @property
    def exact(self) -> bool:
        """Whether everything is as predicted, the counters included."""
        counted = (self.flips, self.reads) == (self.expected_flips, self.expected_reads)
        return self.mismatches == 0 and counted

    def __add__(self, later: "Measured") -> "Measured":
        """Both, of images one after the other."""
        numbers = {
            name: value + getattr(later, name)
            for name, value in vars(self).items()
            if name not in ("scores", "labels")
        }
        return Measured(
            np.concatenate([self.scores, later.scores]),
            np.concatenate([self.labels, later.labels]),
            **numbers,
        )


class Experiment:
    """Measures a network on a board, and begins again where the link or the board was lost.

    Parameters
    ----------
    board : not yet connected
    presentations : of an image whose pixels become random bits, by default the network's first
        number
    recoveries : of a measurement
    wait : seconds for a port to come back
    """

    def __init__(
        self,
        board: Board,
        *,
        presentations: int | None = None,
        recoveries: int = RECOVERIES,
        wait: float = WAIT,
    ):
        self.board, self.presentations = board, presentations
        self.recoveries, self.wait = recoveries, wait
        self.recovered = 0
        self._reference = Interpreter(board.graph)
        self._connected = False

    def measure(
        self,
        images: np.ndarray,
        errors: Sequence[ErrorMap | None],
        *,
        progress: Progress | None = None,
    ) -> Iterator[Measured]:
        """Each error map's measurement of the same images, in order.

        Images are sent once where the board holds all of them; otherwise part by part, each part
        under every map. Raises what :meth:`Board.connect` and the session raise, when recovering
        does not help.
        """
        size = min(self.board.slots, len(images))
        parts = [slice(at, at + size) for at in range(0, len(images), size)]
        networks = [self._network(each) for each in errors]
        found: list[Measured | None] = [None] * len(errors)
        for number, part in enumerate(parts):
            shown = self._reference.shown(
                images[part], presentations=self.presentations, first_image=part.start
            )
            for index, each in enumerate(errors):
                one = self._recovering(images[part], each, networks[index], shown)
                before = found[index]
                found[index] = one if before is None else before + one
                if progress is not None:
                    progress(number * len(errors) + index + 1, len(parts) * len(errors))
                done = found[index]
                if number == len(parts) - 1 and done is not None:
                    yield done

    def _network(self, errors: ErrorMap | None) -> Interpreter:
        if errors is None:
            return self._reference
        return self._reference.with_errors(errors, self.board.about.read_order)

    def _recovering(
        self, images: np.ndarray, errors: ErrorMap | None, network: Interpreter, shown: Shown
    ) -> Measured:
        """One part under one map; a measurement repeats nothing that a first try left behind."""
        for attempt in range(self.recoveries + 1):
            try:
                if not self._connected:
                    self.board.connect()
                    self._connected = True
                return self._once(images, errors, network, shown)
            except (LinkError, TransportError) as error:
                self._connected = False
                hopeless = isinstance(error, WrongBoard | ProtocolError | BusError)
                if hopeless or attempt == self.recoveries:
                    raise
                self.recovered += 1
                if isinstance(error, TransportError):
                    self._reopen()
        raise AssertionError("the last attempt returns or raises")

    def _once(
        self, images: np.ndarray, errors: ErrorMap | None, network: Interpreter, shown: Shown
    ) -> Measured:
        board, graph = self.board, self.board.graph
        board.upload(images)
        board.program(graph if errors is None else errors.sensed(graph))
        board.show(self.presentations, shown.first_image)
        board.draw(errors, shown.first_image)
        board.clear()
        scores, classes = board.run(len(images))
        counters = board.counters()
        before = network.read_flips()
        wanted = network.scores(shown)
        after = network.read_flips()
        flips = [after[node] - before.get(node, 0) for node in after]
        reads = [each * len(images) for each in board.about.pace(self.presentations).reads]
        wrong = (scores != wanted).any(axis=1) | (classes != labels(wanted))
        return Measured(
            scores,
            classes,
            int(wrong.sum()),
            counters["flips"],
            counters["reads"],
            counters["cycles"],
            sum(each & _COUNTER for each in flips),
            sum(each & _COUNTER for each in reads),
        )

    def _reopen(self) -> None:
        """Waits for the port to come back."""
        end = time.monotonic() + self.wait
        while True:
            try:
                self.board.session.transport.reopen()
                return
            except TransportError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)
