# SPDX-License-Identifier: BSD-2-Clause
"""Compiled inner loop of read errors: what latched bits that flip change in the sums of the packed
interpreter. It releases the GIL."""

import numpy as np
from numba import njit

from .generators import fill_positions, next_gap

_AT_ONCE = 512  # errors: 20 kB of places, which stay in the first cache


@njit(cache=True, nogil=True, boundscheck=False)
def _decode(positions, count, order, bits, columns, steps, places):
    """Where in the array each of the first ``count`` positions lies: the step of ``steps`` through
    the planes, the neuron, the input and the bit of its read into ``places``, int64 (4, n).

    Divisions are products with reciprocals: ``(n + 0.5) / d`` is at least ``0.5 / d`` away from an
    integer, more than rounding can move it while n < 2^50.
    """
    inputs, _, lanes, neurons, by_neuron, _ = order
    folds = (inputs + lanes - 1) // lanes
    line = lanes if by_neuron else neurons
    per_read, per_line, per_sweep, per_group = 1 / bits, 1 / line, 1 / folds, 1 / steps
    for k in range(count):
        read = np.int64((positions[k] + 0.5) * per_read)
        bit = positions[k] - read * bits
        column = bit - columns if bit >= columns else bit
        major = np.int64((column + 0.5) * per_line)
        minor = column - major * line
        neuron, lane = (major, minor) if by_neuron else (minor, major)
        sweep = np.int64((read + 0.5) * per_sweep)
        group = np.int64((sweep + 0.5) * per_group)
        places[0, k] = sweep - group * steps
        places[1, k] = group * neurons + neuron
        places[2, k] = (read - sweep * folds) * lanes + lane
        places[3, k] = bit


@njit(cache=True, nogil=True, boundscheck=False)
def _correct(
    places, count, first, groups, rows, plane_weights, planes, sign, active, ternary, present,
    classes, reads, totals,
):  # fmt: skip
    """Adds to ``totals``, from row ``first`` on, what flipped bits change; returns how many are of
    columns in use. Neurons beyond those of all groups are of the next row."""
    inputs, outputs, lanes, neurons, _, whole = reads
    per_row = groups * neurons
    flips = 0
    for k in range(count):
        step, neuron, source, bit = places[0, k], places[1, k], places[2, k], places[3, k]
        row = first
        while neuron >= per_row:
            neuron -= per_row
            row += 1
        if source >= inputs or neuron >= outputs:
            continue
        # Unsigned, since numba would look for indices counted from the end.
        neuron, source = np.uint64(neuron), np.uint64(source)
        word, place = source >> np.uint64(6), source & np.uint64(63)
        border = np.uint64(classes[row % len(classes)])
        if not present[border, word] >> place & np.uint64(1):
            continue
        flips += 1
        tile, output = neuron >> np.uint64(6), neuron & np.uint64(63)
        stored = np.int64(sign[tile, word, output] >> place & np.uint64(1))
        lit = np.int64(active[tile, word, output] >> place & np.uint64(1))
        # A read of whole pixels is wrong for all planes.
        for late in range(0 if whole else step, len(planes) if whole else step + 1):
            plane = np.uint64(planes[late])
            shown = np.int64(rows[row, plane, word] >> place & np.uint64(1))
            differs = shown ^ stored
            # What flips counts the other way: one more disagreement where there was none.
            change = 1 - 2 * differs
            if ternary:
                # A line that was low rises, and the sum moves towards its side. Whole pixels latch
                # the states: the line of +1 is that of agreeing with a 1.
                agrees = (bit < lanes * neurons) == (not whole or shown == 1)
                change = 2 * (lit & (1 - differs)) - 1 if agrees else 1 - 2 * (lit & differs)
            totals[row, neuron] += plane_weights[plane] * change
    return flips


@njit(cache=True, nogil=True, boundscheck=False)
def read_errors(
    rows, plane_weights, planes, sign, active, ternary, present, classes, starts, table, reads,
    totals,
):  # fmt: skip
    """Adds to ``totals`` what the read errors of each image change; returns how many bits flip.

    Parameters
    ----------
    rows, plane_weights, sign, active, present, classes : as in :func:`~.kernels.fire`, inputs in
        the order in which they are read
    planes : int64 (planes,), in the order in which they are read
    ternary : whether a column latches two bits
    starts : uint64 (images, 3), the generator's registers for each image, which has as many rows as
        another and the bits of all its rows in one row
    table : uint32 (digits, 64), of the gaps
    reads : inputs, outputs, lanes, neurons of a read, whether its columns go neuron by neuron, and
        whether it serves all planes
    totals : int64 (n, outputs), weighted disagreements, twice as many when ternary; changed
    """
    inputs, outputs, lanes, neurons, _, whole = reads
    steps = 1 if whole else len(planes)
    columns = lanes * neurons
    bits = 2 * columns if ternary else columns
    folds, groups = (inputs + lanes - 1) // lanes, (outputs + neurons - 1) // neurons
    passes = len(rows) // max(len(starts), 1)
    last = passes * groups * folds * steps
    positions = np.empty(_AT_ONCE, dtype=np.int64)
    places = np.empty((4, _AT_ONCE), dtype=np.int64)
    registers = np.empty(3, dtype=np.uint64)
    flips = 0
    for image in range(len(starts)):
        registers[:] = starts[image]
        position = next_gap(registers, table)
        while position < last * bits:
            count, position = fill_positions(registers, table, last * bits, position, positions)
            _decode(positions, count, reads, bits, columns, steps, places)
            flips += _correct(
                places, count, image * passes, groups, rows, plane_weights, planes, sign, active,
                ternary, present, classes, reads, totals,
            )  # fmt: skip
    return flips
