# SPDX-License-Identifier: BSD-2-Clause
"""Learning in the memory: the signed pulse counts of a word line become weak RESET pulses."""

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

MAX_COUNT_BITS = 16


def update_stream(rows: int, columns: int, bits: int) -> stream.Signature:
    """A stream of updates: ``row`` and, for each column, ``counts`` of pulses. Positive ones push
    the weight to +1, negative ones to -1."""
    counts = data.ArrayLayout(signed(bits), columns)
    return stream.Signature(data.StructLayout({"row": range(max(rows, 2)), "counts": counts}))


def weak_stream(rows: int, columns: int) -> stream.Signature:
    """A stream of weak RESET pulses: ``row``, and the devices that one pulse goes to."""
    devices = {"bl": columns, "blb": columns}
    return stream.Signature(data.StructLayout({"row": range(max(rows, 2)), **devices}))


def most_pulses(bits: int, limit: int | None) -> int:
    """The most pulses of an update: ``limit``, or without one the greatest count of so many bits.

    Raises ``ValueError`` for bits that counts cannot have, and for a limit beyond them.
    """
    if type(bits) is not int or not 2 <= bits <= MAX_COUNT_BITS:
        raise ValueError(f"Counts of pulses have 2 to {MAX_COUNT_BITS} bits, not {bits!r}")
    most = (1 << (bits - 1)) - 1
    if limit is not None and (type(limit) is not int or not 0 <= limit <= most):
        raise ValueError(f"An update has 0 to {most} pulses, not {limit!r}")
    return most if limit is None else limit


class PulseTrains(wiring.Component):
    """Turns updates of word lines into pulses, one after the other.

    Of a column with a count of n, at most ``limit`` in size, the first abs(n) pulses go to one
    device: BLb for n > 0 and BL for n < 0, for a weak RESET raises the resistance, and +1 is the
    higher resistance on BLb. Columns are pulsed together, so a word line takes as many pulses as
    its greatest count.

    The first pulse is offered a cycle after the update was taken, each further one in the cycle
    after the last was taken, and the next update is taken in the cycle after that. An update
    without pulses takes a cycle.

    Parameters
    ----------
    rows, columns : of the array
    bits : of a count, signed, 2 to 16
    limit : of the pulses of an update, where nothing is connected; by default the greatest count

    Members
    -------
    i : In(:func:`update_stream`)
    o : Out(:func:`weak_stream`)
    limit : In(bits - 1); it may change between updates
    """

    def __init__(self, rows: int, columns: int, bits: int, *, limit: int | None = None):
        most = most_pulses(bits, limit)
        super().__init__(
            {
                "i": In(update_stream(rows, columns, bits)),
                "o": Out(weak_stream(rows, columns)),
                "limit": In(bits - 1, init=most),
            }
        )

    @staticmethod
    def model(counts: np.ndarray, limit: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """The pulses of an update: for each, which BL and which BLb devices it goes to.

        Parameters
        ----------
        counts : int (columns,)
        limit : of the pulses of a column
        """
        counts = np.asarray(counts, dtype=np.int64)  # where -128 has an absolute value
        most = min(limit, int(np.abs(counts).max(initial=0)))
        return [(-counts > k, counts > k) for k in range(most)]

    def elaborate(self, platform):
        m = Module()
        i, o = self.i, self.o
        left = [Signal(len(self.limit), name=f"left{k}") for k in range(len(o.payload.bl))]
        down = Signal(len(left))  # columns with a negative count
        due = Signal(len(left))
        m.d.comb += [
            due.eq(Cat(count.any() for count in left)),
            i.ready.eq(~o.valid),
            o.valid.eq(due.any()),
            o.payload.bl.eq(due & down),
            o.payload.blb.eq(due & ~down),
        ]
        with m.If(i.valid & i.ready):
            m.d.sync += o.payload.row.eq(i.payload.row)
        for column, count in enumerate(left):
            given = i.payload.counts[column]
            size = abs(given)
            with m.If(i.valid & i.ready):
                m.d.sync += [
                    down[column].eq(given < 0),
                    count.eq(Mux(size > self.limit, self.limit, size)),
                ]
            with m.Elif(o.ready & due[column]):
                m.d.sync += count.eq(count - 1)
        return m
