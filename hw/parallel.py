# SPDX-License-Identifier: BSD-2-Clause
"""The conventional first layer: whole pixels times binary weights into a tree of adders.

One read serves all bits of a pixel, where bit-serial planes take one each. The array is read as a
plain memory: every column is shown a 1, so *agree* is the stored sign. A pixel then counts
``sum_k 2^k XNOR(sign, bit k)``, which is the pixel for a stored 1 and its complement for a 0: the
same sum that the planes accumulate, to the bit, without a correction and without a sign.
"""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..model.nodes import Fill
from .counts import Counts
from .layer_plan import LayerPlan
from .popcount import add_up


class AdderTree(wiring.Component):
    """Adds up ``terms`` numbers of ``bits`` bits in a balanced tree.

    Every cycle takes its numbers; their sum leaves ``delay`` cycles later. There is no valid and no
    stall: whoever needs them delays a valid bit by ``delay``.

    Parameters
    ----------
    terms, bits : numbers, and bits of each, at least 1
    levels : levels of the tree between registers, that of the terms being the first; the output is
        always registered

    Members
    -------
    i : In, the numbers
    o : Out, their sum
    """

    def __init__(self, terms: int, bits: int, *, levels: int = 2):
        for name, value in (("Terms", terms), ("Bits", bits), ("Levels", levels)):
            if not isinstance(value, int) or value < 1:
                raise TypeError(f"{name} must be a positive integer, not {value!r}")
        self.terms = terms
        self.bits = bits
        self.levels = levels
        most = terms * ((1 << bits) - 1)
        super().__init__({"i": In(data.ArrayLayout(bits, terms)), "o": Out(range(most + 1))})

    @property
    def delay(self) -> int:
        """Cycles from numbers to their sum."""
        depth = 1 + (self.terms - 1).bit_length()
        return -(-depth // self.levels)

    @staticmethod
    def model(values):
        """Sums along the last axis."""
        return values.sum(axis=-1)

    def elaborate(self, platform):
        m = Module()
        terms = [self.i[index] for index in range(self.terms)]
        m.d.comb += self.o.eq(add_up(m, terms, [], self.levels))
        return m


class Held(wiring.Component):
    """Keeps what belongs to the reads inside an array, until they return.

    Parameters
    ----------
    width : bits of a read
    places : reads that can be inside, at least 1

    Members
    -------
    take, i : In, a read is accepted, and what belongs to it
    give : In(1), the oldest returns
    o : Out(width), what belongs to the oldest, in the cycle in which it returns
    """

    def __init__(self, width: int, places: int):
        self.width = width
        self.places = places
        super().__init__({"take": In(1), "i": In(width), "give": In(1), "o": Out(width)})

    @staticmethod
    def places_for(latency: int, cycles_per_read: int) -> int:
        """Reads inside an array that takes one every ``cycles_per_read`` cycles and returns it
        ``latency`` cycles later."""
        return 1 + (latency - 1) // cycles_per_read

    def elaborate(self, platform):
        m = Module()
        slots = [Signal(self.width, name=f"slot{k}", reset_less=True) for k in range(self.places)]
        taken, given = (self._turn(m, step) for step in (self.take, self.give))
        with m.Switch(taken):
            for index, slot in enumerate(slots):
                with m.Case(index), m.If(self.take):
                    m.d.sync += slot.eq(self.i)
        with m.Switch(given):
            for index, slot in enumerate(slots):
                with m.Case(index):
                    m.d.comb += self.o.eq(slot)
        return m

    def _turn(self, m: Module, step: Value) -> Signal:
        """A counter over the places."""
        turn = Signal(range(self.places))
        with m.If(step):
            m.d.sync += turn.eq(Mux(turn == self.places - 1, 0, turn + 1))
        return turn


class ParallelCounts(Counts):
    """Weighted counts of whole pixels, for an array to whose columns a 1 is shown.

    Ternary lanes enter twice, as in :class:`~.counts.AgreeCounts`: for an active weight both are
    the pixel or its complement, for a zero one is nothing and the other all ones.

    Members
    -------
    i : In(agree, active, pixels): what the array returns, and beside it the read's pixels
    """

    def __init__(self, layer: LayerPlan):
        columns = {"agree": layer.columns, "active": layer.columns}
        layout = columns | {"pixels": data.ArrayLayout(layer.planes, layer.lanes)}
        terms = layer.lanes * (1 + layer.ternary)
        most = terms * ((1 << layer.planes) - 1)
        super().__init__(layer, data.StructLayout(layout), most, carried=False)
        self.trees = [AdderTree(terms, layer.planes) for _ in range(layer.neurons)]

    @staticmethod
    def model(sign, active, pixels, bits: int):
        """Counts: signs and activities (..., neurons, lanes) and pixels (..., lanes) to int64
        (..., neurons). ``active`` is ``None`` for binary weights; an inactive lane of ternary
        weights counts ``2^bits - 1``, an active one twice its pixel or the complement."""
        most = (1 << bits) - 1
        shown = pixels[..., None, :]
        products = sign * shown + (1 - sign) * (most - shown)
        if active is not None:
            products = active * 2 * products + (1 - active) * most
        return products.sum(axis=-1)

    @staticmethod
    def of(array: wiring.Component) -> data.View:
        """What it takes from an array."""
        return array.o.payload

    @property
    def delay(self) -> int:
        """Cycles from a result to its counts."""
        return self.trees[0].delay

    def elaborate(self, platform):
        m = Module()
        for neuron, tree in enumerate(self.trees):
            m.submodules[f"tree{neuron}"] = tree
            m.d.comb += [
                Cat(tree.i).eq(Cat(self._terms(m, neuron))),
                self.counts[neuron].eq(tree.o),
            ]
        return m

    def _terms(self, m: Module, neuron: int) -> list[Value]:
        layer = self.layer
        agree, active = (
            Signal(layer.lanes, name=f"{name}{neuron}") for name in ("agree", "active")
        )
        m.d.comb += [
            agree.eq(self.gather(self.i.agree, neuron)),
            active.eq(self.gather(self.i.active, neuron)),
        ]
        # A column that is not enabled is not active either. Lanes always enabled need no gate.
        padded = layer.folds * layer.lanes - layer.inputs
        absent = layer.window is not None and layer.window.fill is Fill.ABSENT
        terms, doubled = [], []
        for lane in range(layer.lanes):
            product = ~(self.i.pixels[lane] ^ agree[lane].replicate(layer.planes))
            mask = active[lane].replicate(layer.planes)
            gated = layer.ternary or absent or lane >= layer.lanes - padded
            terms.append(product & mask if gated else product)
            doubled.append(product | ~mask)
        return terms + doubled * layer.ternary
