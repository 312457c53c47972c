# SPDX-License-Identifier: BSD-2-Clause
"""The output layer: scores of the classes and the class of the greatest."""

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..model import nodes
from .gearbox import beats
from .layer_plan import LayerPlan
from .outbox import Outbox
from .passes import Passes
from .stochastic import chosen
from .sums import Sums


def beat_layout(score: Shape, neurons: int, classes: int) -> data.StructLayout:
    """A beat of scores: ``scores`` in class order, ``label`` (of the beat that is ``last``)."""
    return data.StructLayout(
        {
            "scores": data.ArrayLayout(score, neurons),
            "label": range(max(classes, 2)),
            "last": 1,
        }
    )


class Greatest(wiring.Component):
    """Scores of one image in groups: the index of the greatest, the lowest of equal ones.

    Takes a group every cycle; a tree of comparisons with a register after each level, then one
    comparison with the best of the groups before. The beat leaves ``delay`` cycles later.

    Parameters
    ----------
    score : shape of a score
    neurons : scores of a group
    classes : scores of an image; those beyond it in the last group are never the greatest

    Members
    -------
    valid, scores : In, a group
    o_valid, beat : Out
    """

    def __init__(self, score: Shape, neurons: int, classes: int):
        self.score = score
        self.neurons = neurons
        self.classes = classes
        self.groups = beats(classes, neurons)
        layout = beat_layout(score, neurons, classes)
        super().__init__(
            {
                "valid": In(1),
                "scores": In(data.ArrayLayout(score, neurons)),
                "o_valid": Out(1),
                "beat": Out(layout),
            }
        )

    @property
    def delay(self) -> int:
        """Cycles from a group to its beat."""
        return 1 + (self.neurons - 1).bit_length()

    def elaborate(self, platform):
        # Candidates are (score, index in the group); `valid` and `scores` travel beside them.
        m = Module()
        valid, scores = self.valid, self.scores.as_value()
        candidates = self._candidates(m)
        while len(candidates) > 1:
            pairs, rest = len(candidates) // 2, len(candidates) % 2
            candidates = [
                *(_greater(m, *candidates[2 * k : 2 * k + 2]) for k in range(pairs)),
                *(_register(m, last) for last in candidates[len(candidates) - rest :]),
            ]
            valid, scores = _register(m, (valid, scores))
        m.d.sync += [self.o_valid.eq(valid), self.beat.scores.eq(scores)]
        self._across_groups(m, valid, *candidates[0])
        return m

    def _candidates(self, m: Module) -> list[tuple[Value, ...]]:
        """The scores of the group; those beyond the last class are the least there is."""
        arriving = Signal(range(self.groups))
        last = arriving == self.groups - 1
        with m.If(self.valid):
            m.d.sync += arriving.eq(Mux(last, 0, arriving + 1))
        least = Const(-(1 << (self.score.width - 1)), self.score)
        in_last = self.classes - (self.groups - 1) * self.neurons
        return [
            (
                self.scores[neuron] if neuron < in_last else Mux(last, least, self.scores[neuron]),
                Const(neuron, range(max(self.neurons, 2))),
            )
            for neuron in range(self.neurons)
        ]

    def _across_groups(self, m: Module, valid: Value, best: Value, index: Value) -> None:
        """Compares the best of a group with the best of the groups before."""
        leaving = Signal(range(self.groups))
        base = Signal.like(self.beat.label)  # class of the group's first score
        running = Signal(self.score)
        last = leaving == self.groups - 1
        with m.If(valid):
            m.d.sync += [
                leaving.eq(Mux(last, 0, leaving + 1)),
                base.eq(Mux(last, 0, base + self.neurons)),
                self.beat.last.eq(last),
            ]
            with m.If((leaving == 0) | (best > running)):
                m.d.sync += [running.eq(best), self.beat.label.eq(base + index)]


def _register(m: Module, values: tuple[Value, ...]) -> tuple[Value, ...]:
    registers = tuple(Signal(value.shape(), name="level") for value in values)
    m.d.sync += [register.eq(value) for register, value in zip(registers, values, strict=True)]
    return registers


def _greater(m: Module, low: tuple[Value, ...], high: tuple[Value, ...]) -> tuple[Value, ...]:
    """The greater of two candidates, the first if equal, registered."""
    take = high[0] > low[0]
    return _register(m, tuple(Mux(take, *pair) for pair in zip(high, low, strict=True)))


class Head(wiring.Component):
    """Computes a :class:`~twincell.model.nodes.Head` node as its plan says.

    An image takes ``layer.cycles`` cycles. Each group of classes leaves as one beat, the last of
    them with the label. Stalls at the output act as in :class:`~.dense.Dense`. Of an image that
    comes in several passes, the scores are added up, and leave in the last.

    Parameters
    ----------
    node : weights and offsets
    layer : the plan
    array : the memory, a component of ``ArraySignature(layer.rows, layer.columns)`` that holds
        ``layer.word_lines`` of the weights
    loadable : whether offsets can be loaded at run time, as far from 0 as a sum can be, or as the
        node's own are

    Members
    -------
    i : In(stream of words of ``layer.lanes`` pixels)
    o : Out(stream of :func:`beat_layout`)
    variant : In, which of ``layer.presentations`` an image has, if there are any; it stays while
        images are inside
    """

    def __init__(
        self,
        node: nodes.Head,
        layer: LayerPlan,
        array: wiring.Component,
        *,
        loadable: bool = False,
    ):
        self.layer = layer
        # Binary weights: score = 2 p - n + offset, whose lowest bit no popcount changes.
        binary = not layer.ternary
        most = layer.inputs * layer.plane_weight
        totals = np.array(
            [[layer.shown(each).plane_weight] for each in layer.presentations or (1,)]
        )
        constants = node.offsets - binary * layer.inputs * totals[: len(node.offsets)]
        bounds = (-most - binary * most, most - binary * most) if loadable else None
        self.sums = Sums(layer, array, constants, halve=binary, bounds=bounds)
        total = self.sums.total_shape
        self.score_shape = Shape(total.width + binary, signed=True)
        self.passes = None
        if layer.passes > 1:
            sizes = layer.neurons, layer.groups, layer.passes
            self.passes = Passes(self.score_shape, *sizes)
            self.score_shape = self.passes.total_shape
        beat = beat_layout(self.score_shape, layer.neurons, layer.outputs)
        members = {"i": self.sums.signature.members["i"], "o": Out(stream.Signature(beat))}
        if layer.presentations:
            members["variant"] = In(range(len(layer.presentations)))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        layer = self.layer
        m.submodules.sums = sums = self.sums
        m.submodules.greatest = greatest = Greatest(self.score_shape, layer.neurons, layer.outputs)
        interval = layer.interval
        delay = greatest.delay + (Passes.delay if self.passes else 0)
        depth = Outbox.depth_for(interval + sums.latency + delay, interval)
        m.submodules.outbox = outbox = Outbox(self.o.payload.shape(), depth)
        connect(m, flipped(self.i), sums.i)
        connect(m, outbox.o, flipped(self.o))
        if layer.equal:
            m.d.comb += sums.variant.eq(self.variant)
        sink = self.passes or greatest
        for neuron in range(layer.neurons):
            score = Cat(sums.rests[neuron : neuron + 1], sums.totals[neuron])
            m.d.comb += sink.scores[neuron].eq(score.as_signed())
        final = self._add_up(m, greatest) if self.passes else Const(1, 1)
        m.d.comb += [
            sink.valid.eq(sums.valid),
            # Of the passes before the last nothing leaves.
            sums.room.eq(outbox.room | ~final),
            outbox.reserve.eq(sums.started & final),
            outbox.put.eq(greatest.o_valid),
            outbox.beat.eq(greatest.beat),
        ]
        return m

    def _add_up(self, m: Module, greatest: Greatest) -> Value:
        """Passes between sums and comparisons; returns whether the next group is of the last."""
        m.submodules.passes = passes = self.passes
        m.d.comb += [
            passes.end.eq(chosen(self.variant, [count - 1 for count in self.layer.presentations])),
            passes.started.eq(self.sums.started),
            greatest.valid.eq(passes.o_valid),
            greatest.scores.eq(passes.totals),
        ]
        return passes.final
