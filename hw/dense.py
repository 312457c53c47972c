# SPDX-License-Identifier: BSD-2-Clause
"""A fully connected layer, or a convolution: words of pixels in, bits of neurons out."""

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect, flipped

from ..model import nodes
from .gearbox import vector_stream
from .layer_plan import LayerPlan
from .outbox import Outbox
from .sums import Sums


class Dense(wiring.Component):
    """Computes a :class:`~twincell.model.nodes.Dense` or a :class:`~twincell.model.nodes.Conv` node
    as its plan says: each window of a convolution is a vector like those of a dense layer.

    An image takes ``layer.cycles`` cycles, and images follow each other without a bubble. The
    neurons of a group leave as one beat. A stall at the output stops the layer at the start of a
    later group; a group that was started always completes.

    Parameters
    ----------
    node : weights and thresholds
    layer : the plan
    array : the memory, a component of ``ArraySignature(layer.rows, layer.columns)`` that holds
        ``layer.word_lines`` of the weights
    loadable : whether any threshold there is can be loaded at run time

    Members
    -------
    i : In(stream of words of ``layer.word`` pixels)
    o : Out(stream of ``layer.neurons`` bits)
    variant : In, see :class:`~.sums.Sums`
    """

    def __init__(
        self,
        node: nodes.Dense | nodes.Conv,
        layer: LayerPlan,
        array: wiring.Component,
        *,
        loadable: bool = False,
    ):
        self.layer = layer
        # The sign of sum - T is the decision; T is at most one above the greatest sum.
        most = layer.inputs * layer.plane_weight
        bounds = (-most - 1, most if layer.ternary else 0) if loadable else None
        thresholds = node.thresholds.reshape(-1, layer.outputs)  # of variants, or border classes
        self.sums = Sums(layer, array, -thresholds, halve=False, bounds=bounds)
        members = {"i": self.sums.signature.members["i"], "o": Out(vector_stream(1, layer.neurons))}
        if layer.equal:
            members["variant"] = self.sums.signature.members["variant"]
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        interval = self.layer.interval
        depth = Outbox.depth_for(interval + self.sums.latency, interval)
        m.submodules.sums = sums = self.sums
        m.submodules.outbox = outbox = Outbox(self.o.payload.shape(), depth)
        connect(m, flipped(self.i), sums.i)
        connect(m, outbox.o, flipped(self.o))
        if self.layer.equal:
            m.d.comb += sums.variant.eq(self.variant)
        m.d.comb += [
            sums.room.eq(outbox.room),
            outbox.reserve.eq(sums.started),
            outbox.put.eq(sums.valid),
            outbox.beat.eq(~Cat(total[-1] for total in sums.totals)),  # its sign
        ]
        return m
