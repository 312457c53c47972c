# SPDX-License-Identifier: BSD-2-Clause
"""How far long work is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

Report = Callable[[int, int], None]  # done, total


@contextmanager
def working(what: str) -> Iterator[Report]:
    """A bar on a terminal's standard error, silent elsewhere."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
