# SPDX-License-Identifier: BSD-2-Clause
"""Measurements on a board, each predicted by the integer reference under the same errors."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np

from ...model.errors import ErrorMap
from ...model.integer import Interpreter, Shown, labels
from .board import Board, Counters, WrongBoard
from .session import BusError, LinkError, ProtocolError
from .transport import TransportError

RECOVERIES = 3  # of one measurement, before its error is passed on
WAIT = 10.0  # seconds for an unplugged board to come back
_COUNTER = (1 << 32) - 1

Progress = Callable[[int, int], None]
Found = TypeVar("Found")


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
    miscounted : the counters that are not the reference's, with what they say and should: of the
        images, and of each array its reads and its flips
    """

    scores: np.ndarray
    labels: np.ndarray
    mismatches: int
    flips: int
    reads: int
    cycles: int
    expected_flips: int
    expected_reads: int
    miscounted: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether everything is as predicted, the counters included."""
        return self.mismatches == 0 and not self.miscounted

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
                once = partial(self._once, images[part], each, networks[index], shown)
                one = self._recovering(once)
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

    def programmings(self) -> list[np.ndarray]:
        """How often the word lines of each emulated array were programmed, see
        :meth:`Board.programmings`; after a reset of the board, since then."""
        arrays = range(len(self.board.about.emulated))
        return self._recovering(lambda: [self.board.programmings(k) for k in arrays])

    def _recovering(self, once: Callable[[], Found]) -> Found:
        """What ``once`` gives, which repeats nothing that a first try left behind."""
        for attempt in range(self.recoveries + 1):
            try:
                if not self._connected:
                    self.board.connect()
                    self._connected = True
                return once()
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
        arrays = board.about.emulated
        flips = [after.get(each.node, 0) - before.get(each.node, 0) for each in arrays]
        reads = [each * len(images) for each in board.about.pace(self.presentations).reads]
        expected = replace(
            counters,
            images=len(images),
            reads=tuple(each & _COUNTER for each in reads),
            flips=tuple(each & _COUNTER for each in flips),
        )
        wrong = (scores != wanted).any(axis=1) | (classes != labels(wanted))
        return Measured(
            scores,
            classes,
            int(wrong.sum()),
            sum(counters.flips),
            sum(counters.reads),
            counters.cycles,
            sum(expected.flips),
            sum(expected.reads),
            tuple(_miscounted(counters, expected, [each.name for each in arrays])),
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


def _miscounted(found: Counters, expected: Counters, arrays: Sequence[str]) -> Iterator[str]:
    """The counters that differ."""
    if found.images != expected.images:
        yield f"images {found.images} of {expected.images}"
    for kind in ("reads", "flips"):
        pairs = zip(arrays, getattr(found, kind), getattr(expected, kind), strict=True)
        for array, one, other in pairs:
            if one != other:
                yield f"{kind} of {array} {one} of {other}"
