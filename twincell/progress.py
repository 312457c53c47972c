# SPDX-License-Identifier: BSD-2-Clause
"""How far long work is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress as Bars

Progress = Callable[[int, int], None]  # done, total


@contextmanager
def working(what: str) -> Iterator[Progress]:
    """A bar on a terminal's standard error, silent elsewhere."""
    console = Console(stderr=True)
    with Bars(console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
