# SPDX-License-Identifier: BSD-2-Clause
"""Counting the ones of a word, pipelined."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..model import packing


class Popcount(wiring.Component):
    """Counts the ones of ``i``: full adders on three lanes each, then a tree of adders in which
    the lanes left over enter as carries.

    Every cycle takes a word; its count leaves ``delay`` cycles later. There is no valid and no
    stall: whoever needs them delays a valid bit by ``delay``.

    Parameters
    ----------
    width : lanes, at least 1
    levels : levels of the tree between registers; the output is always registered

    Members
    -------
    i : In(width)
    o : Out(range(width + 1))
    """

    def __init__(self, width: int, *, levels: int = 2):
        for name, value in (("Width", width), ("Levels", levels)):
            if not isinstance(value, int) or value < 1:
                raise TypeError(f"{name} must be a positive integer, not {value!r}")
        self.width = width
        self.levels = levels
        super().__init__({"i": In(width), "o": Out(range(width + 1))})

    @property
    def depth(self) -> int:
        """Levels of the tree, the full adders included."""
        return 1 + (self._leaves - 1).bit_length()

    @property
    def delay(self) -> int:
        """Cycles from a word to its count."""
        return -(-self.depth // self.levels)

    @property
    def _leaves(self) -> int:
        # m full adders take 3 m lanes, and the m - 1 adders that join them a carry each.
        return -(-(self.width + 1) // 4)

    @staticmethod
    def model(bits):
        """Ones along the last axis: bits (..., width) to int64 (...)."""
        return packing.popcount(packing.pack(bits))

    def elaborate(self, platform):
        # `counts` and the `late` lanes move through the levels together; a register after every
        # `levels` of them, and after the last, keeps both aligned.
        m = Module()
        adders = 3 * self._leaves
        counts = [
            _sum(m, *lanes, name=f"count1_{index}")
            for index, lanes in enumerate(_chunks(list(self.i[:adders]), 3))
        ]
        late: list[Value] = list(self.i[adders:])
        level = 1
        while True:
            if level % self.levels == 0 or len(counts) == 1:
                counts = [_registered(m, count) for count in counts]
                late = [_registered(m, lane) for lane in late]
            if len(counts) == 1:
                break
            level += 1
            pairs = _chunks(counts, 2)
            counts = []
            for index, pair in enumerate(pairs):
                carry = [late.pop(0)] if len(pair) == 2 and late else []
                counts.append(_sum(m, *pair, *carry, name=f"count{level}_{index}"))
        m.d.comb += self.o.eq(counts[0])
        return m


def _chunks(items: list, size: int) -> list[list]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _sum(m: Module, *terms: Value, name: str) -> Value:
    """The sum of up to three terms, the third a single bit."""
    if len(terms) == 1:
        return terms[0]
    a, b, *carry = terms
    # 1 + carry in an extra column below is the carry in: one adder, not two.
    narrow = not carry or len(a) == 1
    total = sum(terms[1:], a) if narrow else (Cat(1, a) + Cat(carry[0], b))[1:]
    result = Signal(range(sum((1 << len(term)) - 1 for term in terms) + 1), name=name)
    m.d.comb += result.eq(total)
    return result


def _registered(m: Module, value: Value) -> Signal:
    register = Signal.like(value, name="cut", reset_less=True)
    m.d.sync += register.eq(value)
    return register
