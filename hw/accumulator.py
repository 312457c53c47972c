# SPDX-License-Identifier: BSD-2-Clause
"""Plane-weighted accumulation onto a constant: the sign of the total is the neuron's decision."""

from amaranth.hdl import C, Cat, Module, Mux, Shape, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Accumulator(wiring.Component):
    """Adds up counts, most significant plane first, and a constant: without a second adder.

    The total of ``k`` doublings is ``constant + 2^k c_0 + 2^(k-1) c_1 + ... + c_k``. The constant
    is loaded shifted right by ``k``, and each doubling shifts the next of its lower bits in, so
    that it joins the sum without an addition of its own. With the constant ``-T`` a neuron fires
    when the total is not negative, and no comparator is needed.

    A cycle with ``valid`` takes one count. The total is at ``total`` in the cycle after.

    Parameters
    ----------
    most : greatest count, without the carry
    doublings : how often the running total doubles
    constant : shape of the constant
    total : shape of the total, which every partial total fits as well
    carry : whether a count comes with a carry, which costs no adder of its own

    Members
    -------
    valid, count : In, a count to add
    carry : In(1 or 0), one more
    first : In(1), this count is the first of a total: the constant is loaded
    double : In(1), this count is the first of a further plane
    constant : In, read with ``first``
    total : Out
    rest : Out(doublings), lower bits of the constant that no doubling has taken yet, from the top
    """

    latency = 1

    def __init__(
        self, most: int, doublings: int, constant: Shape, total: Shape, *, carry: bool = False
    ):
        self.doublings = doublings
        super().__init__(
            {
                "valid": In(1),
                "count": In(range(most + 1)),
                "carry": In(1 if carry else 0),
                "first": In(1),
                "double": In(1),
                "constant": In(constant),
                "total": Out(total),
                "rest": Out(doublings),
            }
        )

    @staticmethod
    def model(constant: int, counts: list[list[int]], doublings: int) -> int:
        """Total of the counts of each plane, most significant first, in the width of Python."""
        planes = [sum(plane) << (len(counts) - 1 - k) for k, plane in enumerate(counts)]
        return (constant >> (doublings - len(counts) + 1)) + sum(planes)

    def elaborate(self, platform):
        m = Module()
        start = Signal.like(self.total)
        doubled = Cat(self.rest[-1:], self.total).as_signed()
        m.d.comb += start.eq(
            Mux(
                self.first,
                self.constant >> self.doublings,
                Mux(self.double, doubled, self.total) if self.doublings else self.total,
            )
        )
        # 1 + carry in a column below the others is the carry in of the one adder.
        below = len(self.carry)
        added = Cat(C(1, below), start) + Cat(self.carry, self.count)
        with m.If(self.valid):
            m.d.sync += self.total.eq(added[below:])
            with m.If(self.first):
                m.d.sync += self.rest.eq(self.constant)  # lower bits, or with its sign
            with m.Elif(self.double):
                m.d.sync += self.rest.eq(self.rest << 1)
        return m


def range_shape(low: int, high: int) -> Shape:
    """The signed shape that holds every integer from ``low`` to ``high``."""
    return signed(max(Shape.cast(range(min(low, 0), high + 1)).width + (low >= 0), 1))
