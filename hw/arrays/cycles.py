# SPDX-License-Identifier: BSD-2-Clause
"""Cycles of an emulated memory: exact for given seeds, and expected for a rate.

The model follows :class:`~.gaps.Gaps`, the queue and :class:`~.mask.Masks` from step to step, so it
costs per error and not per cycle.
"""

from functools import cache

import numpy as np
from numba import njit

from ...model.generators import next_gap, start, starts_of_images
from .gaps import QUEUE_DEPTH, Gaps
from .settings import table_of

# Of an estimate: about so many errors, in no fewer and no more images.
_ERRORS, _LEAST_IMAGES, _MOST_IMAGES = 200_000, 16, 5_000


def cycles(
    registers: np.ndarray, table: np.ndarray | None, reads: int, bits: int, *, since: int = 0
) -> np.ndarray:
    """The cycle in which the last read of each image leaves, int64 (images,).

    The generator restarts in cycle 0, reads are offered in every cycle from ``since`` on, and the
    sink never stalls. A read that is offered in one cycle can leave in the next.

    Parameters
    ----------
    registers : uint64 (images, 3), the generator's at the start of each image
    table : of the gaps; ``None`` without errors
    reads, bits : reads of an image, and bits that a read latches
    """
    if table is None:
        return since + reads * np.arange(1, len(registers) + 1, dtype=np.int64)
    registers = np.array(registers, dtype=np.uint64)
    return _finished(
        registers, np.array(table), reads, bits, since, Gaps.first_latency, QUEUE_DEPTH - 1
    )


@cache
def expected_cycles(rate: float, reads: int, bits: int) -> float:
    """Cycles between images in steady state, reads being offered all the time.

    A mean over images of one seed, so it repeats exactly; its standard error is below 0.5 %.
    """
    table = table_of(rate)
    if table is None:
        return float(reads)
    wanted = round(_ERRORS / (rate * reads * bits))
    images = min(max(wanted, _LEAST_IMAGES), _MOST_IMAGES)
    finished = cycles(starts_of_images(start(0), 0, images + 1), table, reads, bits)
    return float(finished[-1] - finished[0]) / images


@njit(cache=True, nogil=True)
def _finished(registers, table, reads, bits, since, first_latency, places):
    images, digits = len(registers), len(table)
    finished = np.empty(images, dtype=np.int64)
    # Cycles in which: the next gap is whole, the mask wants a step, a read waits, the step before
    # was taken, and the steps before moved from the queue's memory to its output.
    whole, wanted, waits, taken = first_latency + digits, 0, since + 1, 0
    moved = np.full(places, -1, dtype=np.int64)
    number = 0
    for image in range(images):
        left, read, place = reads * bits, 0, 0
        while True:
            gap = next_gap(registers[image], table)
            end = gap >= left
            queued = max(whole, moved[number % places] + 1)
            moved[number % places] = max(queued + 1, taken)
            taken = max(moved[number % places] + 1, wanted)
            whole = queued + digits + (1 + first_latency if end else 0)
            number += 1
            now = max(taken + 1, waits)
            if end:
                finished[image] = wanted = now + reads - read - 1
                waits = wanted + 1
                break
            left -= gap + 1
            passed = (place + gap) // bits
            place += gap + 1 - passed * bits
            read += passed
            wanted = waits = now + passed
    return finished
