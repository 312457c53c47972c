# SPDX-License-Identifier: BSD-2-Clause
"""How far long work is."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import Progress as Bars

EVERY = 180  # seconds between lines
Progress = Callable[[int, int], None]  # done, total


@contextmanager
def working(what: str) -> Iterator[Progress]:
    """Tells standard error: by a bar on a terminal, elsewhere by a line every few minutes."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(what)
        return
    with Bars(console=console, transient=True) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


class _Lines:
    """Progress in a log. The time left is reckoned from the first call with a total on: what was
    done by then may be of an earlier run."""

    def __init__(self, what: str):
        self.what, self.begun = what, monotonic()
        self.told = self.since = self.begun
        self.first = self.done = self.total = 0

    def __call__(self, done: int, total: int) -> None:
        now = monotonic()
        if total != self.total or done < self.done:  # another part of the work
            self.first, self.since = done, now
        self.done, self.total = done, total
        if now - self.told >= EVERY:
            self.told = now
            line = f"{self.what}: {done:,} of {total:,}, {_span(now - self.begun)} so far"
            print(line + self._left(now - self.since), file=sys.stderr, flush=True)

    def _left(self, seconds: float) -> str:
        if seconds < EVERY or not self.first < self.done < self.total:
            return ""
        left = seconds * (self.total - self.done) / (self.done - self.first)
        return f", about {_span(left)} left"


def _span(seconds: float) -> str:
    """A duration to the minute."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
