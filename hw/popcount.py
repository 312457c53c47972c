# SPDX-License-Identifier: BSD-2-Clause
"""Counting the ones of a word, and the lanes in which two words agree, pipelined."""

from collections.abc import Iterable

from amaranth.hdl import C, Cat, Const, Module, Signal, Value
from amaranth.lib import data, wiring
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
        _positive(Width=width, Levels=levels)
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
        m = Module()
        adders = 3 * self._leaves
        counts = [
            _sum(m, *lanes, name=f"count1_{index}")
            for index, lanes in enumerate(_chunks(list(self.i[:adders]), 3))
        ]
        m.d.comb += self.o.eq(add_up(m, counts, list(self.i[adders:]), self.levels))
        return m


class XnorPopcount(wiring.Component):
    """Counts, for neurons that share their inputs, the lanes whose stored sign equals the input.

    The XNOR costs next to nothing. A slice adds seven lanes in three full adders, one behind the
    other. A sum ``s ^ XNOR(w, x) ^ XNOR(w', x')`` needs of the inputs only their parity ``x ^ x'``,
    which all neurons share, and the carry is rebuilt from the sum: where that equals ``s``, the two
    lanes are equal and either is the carry; elsewhere ``s`` is. So seven lanes take 9 LUT4
    (``make bench-area`` measures them), as long as a register behind each full adder keeps
    synthesis from restructuring them. A tree of adders joins the slices. The lanes left over enter
    it as carries, and are compared there: a full adder of two bits and a raw lane is still one of
    four inputs.

    Every cycle takes a word; its counts leave ``delay`` cycles later. There is no valid and no
    stall: whoever needs them delays a valid bit by ``delay``.

    Parameters
    ----------
    lanes : of a neuron, at least 1
    neurons : at least 1
    levels : levels of adders between registers; the slices and the output are always registered

    Members
    -------
    signs : In, the stored signs of each neuron
    inputs : In(lanes), of all neurons
    o : Out, the count of each neuron
    """

    def __init__(self, lanes: int, neurons: int, *, levels: int = 1):
        _positive(Lanes=lanes, Neurons=neurons, Levels=levels)
        self.lanes = lanes
        self.neurons = neurons
        self.levels = levels
        # m slices take 7 m lanes, and the m - 1 adders that join them a carry each.
        self.slices = -(-(lanes + 1) // 8)
        self._sliced = lanes - (self.slices - 1)
        super().__init__(
            {
                "signs": In(data.ArrayLayout(lanes, neurons)),
                "inputs": In(lanes),
                "o": Out(data.ArrayLayout(range(lanes + 1), neurons)),
            }
        )

    @property
    def steps(self) -> int:
        """Full adders of a slice, a cycle each."""
        return -(-self._sliced // self.slices) // 2

    @property
    def delay(self) -> int:
        """Cycles from a word to its counts."""
        return self.steps + 1 + -(-(self.slices - 1).bit_length() // self.levels)

    @staticmethod
    def model(signs, inputs):
        """Lanes that agree: bits (..., neurons, lanes) and (..., lanes) to int64 (..., neurons)."""
        return packing.popcount(packing.pack(signs == inputs[..., None, :]))

    def elaborate(self, platform):
        # A word holds one lane of each slice; the words of all neurons stand side by side.
        m = Module()
        starts = range(0, self._sliced, self.slices)
        words = [slice(start, min(start + self.slices, self._sliced)) for start in starts]
        inputs = [self.inputs[word] for word in words]
        signs = [self._side_by_side(word) for word in words]
        if len(words) % 2 == 0:  # the last full adder has one lane to add
            inputs.append(C(0, 0))
            signs.append(C(0, self.slices * self.neurons))
        late = [Cat(sign[self._sliced :] for sign in self.signs), self.inputs[self._sliced :]]

        total = self._agree(signs.pop(0), inputs.pop(0))
        carries: list[Value] = []
        for step in range(1, self.steps + 1):
            total, carry = self._full_adder(m, step, total, signs, inputs)
            signs, inputs = _cut(m, signs[2:]), _cut(m, inputs[2:])
            carries, late = [*_cut(m, carries), carry], _cut(m, late)
        digits = _cut(m, [total, *self._digits(m, carries)])
        late = _cut(m, late)
        left = ~(late[0] ^ late[1].replicate(self.neurons))
        for neuron in range(self.neurons):
            first = neuron * self.slices
            counts = [Cat(digit[first + k] for digit in digits) for k in range(self.slices)]
            lanes = list(left.word_select(neuron, self.slices - 1)) if self.slices > 1 else []
            total = add_up(
                m, counts, lanes, self.levels, level=0, ripple=3, name=f"neuron{neuron}_count"
            )
            m.d.comb += self.o[neuron].eq(total)
        return m

    def _side_by_side(self, word: slice) -> Value:
        """A word of each neuron's signs. A lane that a slice lacks stores 0 ..."""
        lacking = self.slices - len(self.inputs[word])
        return Value.cast(Cat(Cat(sign[word], C(0, lacking)) for sign in self.signs))

    def _filled(self, word: Value) -> Value:
        """A word of the inputs. ... and is shown 1, so that it never agrees."""
        lacking = self.slices - len(word)
        return Value.cast(Cat(word, C((1 << lacking) - 1, lacking)))

    def _agree(self, signs: Value, inputs: Value) -> Value:
        return ~(signs ^ self._filled(inputs).replicate(self.neurons))

    def _full_adder(
        self, m: Module, step: int, total: Value, signs: list[Value], inputs: list[Value]
    ) -> tuple[Value, Value]:
        """Adds the next two lanes of each slice: sum and carry, both of the next cycle."""
        result = Signal(len(total), name=f"sum{step}")
        carry = Signal.like(result, name=f"carry{step}")
        if step == 1:
            # The first lane is raw as well, so the sum is taken from the parity of two lanes.
            parity = Signal.like(result, name="parity1")
            m.d.comb += [
                parity.eq(total ^ self._agree(signs[0], inputs[0])),
                result.eq(parity ^ self._agree(signs[1], inputs[1])),
            ]
            differ = _registered(m, parity)
            # Of two lanes the parity is the sum: a register for both.
            after = differ if isinstance(signs[1], Const) else _registered(m, result)
            sign, given = _cut(m, [signs[0], inputs[0]])
            kept = ~after
        else:
            parity = Signal(self.slices, name=f"parity{step}")
            m.d.comb += [
                parity.eq(self._filled(inputs[0]) ^ self._filled(inputs[1])),
                result.eq(total ^ signs[0] ^ signs[1] ^ parity.replicate(self.neurons)),
            ]
            kept, after, sign, given = _cut(m, [total, result, signs[1], inputs[1]])
            differ = kept ^ after
        m.d.comb += carry.eq((differ & kept) | (~differ & self._agree(sign, given)))
        return after, carry

    def _digits(self, m: Module, carries: list[Value]) -> list[Value]:
        """Binary digits of how many of up to three carries are set."""
        if len(carries) < 2:
            return carries
        a, b, *rest = carries
        twos, fours = Signal.like(a, name="twos"), Signal.like(a, name="fours")
        c = rest[0] if rest else C(0, len(a))
        m.d.comb += [twos.eq(a ^ b ^ c), fours.eq((a & b) | (c & (a ^ b)))]
        return [twos, fours]


def _positive(**parameters: int) -> None:
    for name, value in parameters.items():
        if not isinstance(value, int) or value < 1:
            raise TypeError(f"{name} must be a positive integer, not {value!r}")


def _chunks(items: list, size: int) -> list[list]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def add_up(
    m: Module,
    counts: list[Value],
    late: list[Value],
    levels: int,
    *,
    level: int = 1,
    ripple: int = 0,
    name: str = "count",
) -> Value:
    """The registered sum of ``counts`` and of the ``late`` lanes, of which each adder takes one.

    The counts are the first ``level`` of the tree, or 0, from registers. A register after every
    ``levels`` of them, and after the last, takes counts and late lanes together. Adders of up to
    ``ripple`` bits are made of full adders, the others are left to the family's carry chains.
    """
    while True:
        if level and (level % levels == 0 or len(counts) == 1):
            counts, late = _cut(m, counts), _cut(m, late)
        if len(counts) == 1:
            return counts[0]
        level += 1
        pairs = _chunks(counts, 2)
        counts = []
        for index, pair in enumerate(pairs):
            carry = [late.pop(0)] if len(pair) == 2 and late else []
            add = _ripple if len(pair) == 2 and len(pair[0]) <= ripple else _sum
            counts.append(add(m, *pair, *carry, name=f"{name}{level}_{index}"))


def _sum(m: Module, *terms: Value, name: str) -> Value:
    """The sum of up to three terms, the third a single bit."""
    if len(terms) == 1:
        return terms[0]
    a, b, *carry = terms
    # 1 + carry in an extra column below is the carry in: one adder, not two.
    narrow = not carry or len(a) == 1
    total = sum(terms[1:], a) if narrow else (Cat(1, a) + Cat(carry[0], b))[1:]
    result = Signal(_most(terms), name=name)
    m.d.comb += result.eq(total)
    return result


def _ripple(m: Module, a: Value, b: Value, *carry: Value, name: str) -> Value:
    """The same for narrow terms, by full adders: a carry chain would cost its way in and out."""
    result = Signal(_most((a, b, *carry)), name=name)
    c = carry[0] if carry else C(0, 1)
    for k in range(max(len(a), len(b))):
        p, q = (term[k] if k < len(term) else C(0, 1) for term in (a, b))
        out = Signal(name=f"{name}_carry{k}")
        m.d.comb += [result[k].eq(p ^ q ^ c), out.eq((p & q) | (c & (p ^ q)))]
        c = out
    m.d.comb += result[max(len(a), len(b)) :].eq(c)
    return result


def _most(terms: Iterable[Value]) -> range:
    return range(sum((1 << len(term)) - 1 for term in terms) + 1)


def _cut(m: Module, values: list[Value]) -> list[Value]:
    """The values a cycle later; constants stay what they are."""
    return [value if isinstance(value, Const) else _registered(m, value) for value in values]


def _registered(m: Module, value: Value) -> Signal:
    register = Signal.like(value, name="cut", reset_less=True)
    m.d.sync += register.eq(value)
    return register
