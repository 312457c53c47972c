# SPDX-License-Identifier: BSD-2-Clause
"""Jobs that take turns, and the ratios of their times.

Each round runs every job once and gives a ratio of its own, so what else runs on the machine
disturbs both sides of it; the median of the rounds is meant to be carried from one machine to
another, seconds are not.
"""

import statistics
import time
from collections.abc import Callable, Sequence

from results import versions


def seconds(
    rounds: int, *jobs: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> list[list[float]]:
    """Seconds of each job (jobs, rounds) by a clock."""
    found: list[list[float]] = [[] for _ in jobs]
    for _ in range(rounds):
        for job, times in zip(jobs, found, strict=True):
            start = clock()
            job()
            times.append(clock() - start)
    return found


def compared(rounds: int, **rows: list[dict]) -> dict:
    """What a comparison with torch leaves: its rows, and what they were measured with."""
    return {"rounds": rounds, "versions": versions(("twincell", "torch", "numba")), **rows}


def ratio(one: Sequence[float], other: Sequence[float], scale: float = 1.0) -> dict[str, float]:
    """``scale * one / other``, round by round: median, least and most."""
    rounds = [scale * a / b for a, b in zip(one, other, strict=True)]
    return {"median": statistics.median(rounds), "least": min(rounds), "most": max(rounds)}


def shown(ratio: dict[str, float], digits: int = 1) -> str:
    """A ratio in a cell of a table."""
    median, least, most = (f"{ratio[each]:.{digits}f}" for each in ("median", "least", "most"))
    return f"{median} ({least} to {most})"
