# SPDX-License-Identifier: BSD-2-Clause
"""Scores of an image that the whole network computes several times."""

import itertools

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out


class Passes(wiring.Component):
    """Adds up the scores of an image's passes, group by group.

    Takes a group every cycle. The total of a group of the last pass leaves a cycle later; of the
    passes before, nothing does.

    Parameters
    ----------
    score : shape of a score of one pass
    neurons, groups : scores of a group, and groups of a pass
    passes : of an image, at most

    Members
    -------
    end : In, passes less one; it stays while images are inside
    started : In(1), a group was started
    final : Out(1), the next group to be started is of an image's last pass
    valid, scores : In, a group
    o_valid, totals : Out
    """

    delay = 1  # from a group to its total

    def __init__(self, score: Shape, neurons: int, groups: int, passes: int):
        self.neurons = neurons
        self.groups = groups
        self.passes = passes
        self.total_shape = Shape(score.width + (passes - 1).bit_length(), signed=True)
        super().__init__(
            {
                "end": In(range(passes)),
                "started": In(1),
                "final": Out(1),
                "valid": In(1),
                "scores": In(data.ArrayLayout(score, neurons)),
                "o_valid": Out(1),
                "totals": Out(data.ArrayLayout(self.total_shape, neurons)),
            }
        )

    @staticmethod
    def model(scores: list[list[int]]) -> list[int]:
        """Totals of the scores of each pass."""
        return [sum(each) for each in zip(*scores, strict=True)]

    def elaborate(self, platform):
        # The totals so far go round in a ring, of which the newest are shown.
        m = Module()
        _, starting = self._walk(m, self.started, "starting")
        first, arriving = self._walk(m, self.valid, "arriving")
        ring = [Signal.like(self.totals, name=f"ring{k}") for k in range(self.groups - 1)]
        stages = [self.totals, *ring]
        m.d.comb += self.final.eq(starting)
        m.d.sync += self.o_valid.eq(self.valid & arriving)
        with m.If(self.valid):
            for neuron in range(self.neurons):
                before = Mux(first, 0, stages[-1][neuron])
                m.d.sync += self.totals[neuron].eq(before + self.scores[neuron])
            for newer, older in itertools.pairwise(stages):
                m.d.sync += older.eq(newer)
        return m

    def _walk(self, m: Module, step: Signal, name: str) -> tuple[Signal, Signal]:
        """Counts groups within passes: whether the next is of the first pass, and of the last."""
        group = Signal(range(self.groups), name=f"{name}_group")
        number = Signal(range(self.passes), name=f"{name}_pass")
        first, last = Signal(name=f"{name}_first"), Signal(name=f"{name}_last")
        m.d.comb += [first.eq(number == 0), last.eq(number == self.end)]
        with m.If(step):
            m.d.sync += group.eq(group + 1)
            with m.If(group == self.groups - 1):
                m.d.sync += [group.eq(0), number.eq(Mux(last, 0, number + 1))]
        return first, last
