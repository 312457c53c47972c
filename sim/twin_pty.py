# SPDX-License-Identifier: BSD-2-Clause
"""A simulated board as a pseudo-terminal: any program for serial ports can talk to it."""

import os
import select
import threading
import time
import tty
from contextlib import suppress

from .results import SimulationError
from .twin import Twin

CHUNK = 20_000  # cycles between two looks at the terminal
AWAKE = 1.0  # seconds after the last byte in which the board's clock runs
_READ = 4096


class TwinPty:
    """Serves a twin at a pseudo-terminal, ``path``, in a thread, until it is closed.

    The clock runs while bytes travel and for a second afterwards; then the board sleeps until the
    next byte comes. Nothing is lost by that, as a board says nothing unasked; and what a program
    has not yet read is handed over whenever it reads.

    Parameters
    ----------
    twin : ends with this
    """

    def __init__(self, twin: Twin):
        self.twin = twin
        self._ours, self._theirs = os.openpty()  # theirs stays open when a program leaves
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self.path = os.ttyname(self._theirs)
        self._ended, self._end = os.pipe()
        self._failure: SimulationError | None = None
        self._thread = threading.Thread(target=self._serve, name=self.path, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the terminal and the simulation; does nothing the second time."""
        if self._end >= 0:
            os.close(self._end)
            self._thread.join()
            for each in (self._ours, self._theirs, self._ended):
                os.close(each)
            self._end = -1
            self.twin.close()

    def wait(self) -> None:
        """Until the simulation fails; raises its ``SimulationError``."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _serve(self) -> None:
        waiting, until = b"", 0.0
        while True:
            awake = time.monotonic() < until
            unread = [self._ours] if waiting else []  # wakes when the program has made room
            watched = [self._ours, self._ended]
            ready, _, _ = select.select(watched, unread, [], 0 if awake else None)
            if self._ended in ready:
                return
            if self._ours in ready:
                self.twin.write(os.read(self._ours, _READ))
                until = time.monotonic() + AWAKE
            try:
                found = self.twin.run(CHUNK)
            except SimulationError as error:
                self._failure = error
                return
            if found or self.twin.unsent:
                until = time.monotonic() + AWAKE
            waiting += found
            # A program that does not read finds what fits; the rest waits, as in an adapter.
            with suppress(BlockingIOError):
                waiting = waiting[os.write(self._ours, waiting) :] if waiting else waiting
