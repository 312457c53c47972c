# SPDX-License-Identifier: BSD-2-Clause
"""The network: layers joined by streams, working on successive images at the same time."""

from collections.abc import Callable
from dataclasses import replace

from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..model.errors import ErrorMap
from ..model.generators import start_of_image
from ..model.graph import Graph
from ..model.nodes import Conv, Dense, Head, MaxPool
from ..model.planes import Stochastic
from ..model.stochastic import start_register
from .arrays import settings
from .arrays.digital import DigitalArray
from .arrays.programmings import AllProgrammings
from .dense import Dense as DenseLayer
from .gearbox import Gearbox, vector_stream
from .head import Head as HeadLayer
from .head import beat_layout
from .layer_plan import LayerPlan
from .loading import WORD, Loadable, load_stream
from .plan import Plan
from .pool import Pool
from .pool_plan import PoolPlan
from .stochastic import Chosen, Presenter

ArrayFactory = Callable[[Dense | Conv | Head, LayerPlan], wiring.Component]


class Network(wiring.Component):
    """A graph as hardware, as its plan says.

    An image is ``plan.input_beats`` beats of pixels, in PyTorch's order or, with ``plan.channels``,
    position by position; it becomes the beats of scores of its head.
    In steady state an image takes ``plan.cycles_per_image`` cycles; stalls on either side lose
    nothing. A stochastic image is shown in as many presentations as were loaded, of those that the
    plan can choose from; from reset on, in the first number of these.

    Parameters
    ----------
    graph : what is computed
    plan : how; made for this graph
    arrays : makes the array of a layer from its node and its plan; by default digital memories. It
        reads as fast as ``layer.cycles_per_read`` says.
    loadable : whether weights and thresholds can be loaded at run time

    Members
    -------
    i : In(stream of ``plan.pixels_per_beat`` pixels)
    o : Out(stream of scores, label and last, see :func:`~.head.beat_layout`)
    load : In(stream of lines, see :func:`~.loading.load_stream`), when loadable, when there are
        emulated arrays, for their read errors, or with a stochastic input, for its presentations. A
        line is written in the cycle in which it is taken; the scores of images inside are then
        undefined.
    counters : Out, of each emulated array, when there are some: see
        :class:`~.arrays.emulated.EmulatedArray`
    clear : In(1), sets them to 0
    i_wear, o_wear : when these arrays count programmings, see
        :class:`~.arrays.programmings.AllProgrammings`; arrays in the order of the counters
    """

    def __init__(
        self,
        graph: Graph,
        plan: Plan,
        *,
        arrays: ArrayFactory | None = None,
        loadable: bool = False,
    ):
        if not plan.suits(graph):
            raise ValueError(f"The plan of {plan.network!r} was not made for {graph.name!r}")
        nodes = [_of_variants(graph, plan, layer) for layer in plan.layers]
        self.graph = graph
        self.plan = plan
        make = arrays or digital_array
        self.arrays = [make(node, layer) for node, layer in zip(nodes, plan.layers, strict=True)]
        for array, layer in zip(self.arrays, plan.layers, strict=True):
            if array.cycles_per_read != layer.cycles_per_read:
                raise ValueError(
                    f"The array of {layer.name} takes {array.cycles_per_read} cycles a read, but "
                    f"{layer.cycles_per_read} were planned"
                )
        *hidden, head = zip(nodes, plan.layers, self.arrays, strict=True)
        self.layers = [DenseLayer(*each, loadable=loadable) for each in hidden]
        self.head = HeadLayer(*head, loadable=loadable)
        self.loadable = loadable
        layers = list(zip(plan.layers, [*self.layers, self.head], strict=True))
        self.loadables: list[Loadable] = [
            each for layer, part in layers for each in part.sums.loadables(layer.name)
        ]
        self.parts = {layer.name: part for layer, part in layers}
        self.parts |= {pool.name: _pool(graph, pool) for pool in plan.pools}
        self.presenter = self.chosen = None
        if isinstance(planes := graph.input.planes, Stochastic):
            counts = plan.presentations
            self.presenter = Presenter(planes, plan.pixels, plan.pixels_per_beat, max(counts))
            self.chosen = Chosen(counts, start_register(planes.seed))
            self.loadables.append(self.chosen.loadable())
        last = plan.layers[-1]
        scores = beat_layout(self.head.score_shape, last.neurons, last.outputs)
        members = {
            "i": In(vector_stream(plan.pixel_bits, plan.pixels_per_beat)),
            "o": Out(stream.Signature(scores)),
        }
        if self.loadables:
            members["load"] = In(load_stream([each.target for each in self.loadables]))
        self.counting = [each for each in self.arrays if "counters" in each.signature.members]
        if self.counting:
            counters = self.counting[0].signature.members["counters"].shape
            members["counters"] = Out(data.ArrayLayout(counters, len(self.counting)))
            members["clear"] = In(1)
        self.wear = None
        if self.counting and all("i_wear" in each.signature.members for each in self.counting):
            self.wear = AllProgrammings([len(each.contents) for each in self.counting])
            members["i_wear"] = self.wear.signature.members["i"]
            members["o_wear"] = self.wear.signature.members["o"]
        super().__init__(members)

    def elaborate(self, platform):
        # pixels -> [presenter] -> [gearbox -> layer or pool] ... -> [gearbox -> head] -> scores
        m = Module()
        source, size = flipped(self.i), self.plan.pixels_per_beat
        if self.presenter is not None:
            source = self._present(m, source)
        for stage in self.plan.stages:
            component = self.parts[stage.name]
            gearbox = Gearbox(stage.pixel_bits, stage.elements, size, stage.word)
            m.submodules[f"{stage.name}_words"] = gearbox
            m.submodules[stage.name] = component
            connect(m, source, gearbox.i)
            connect(m, gearbox.o, component.i)
            source, size = component.o, stage.beat
        connect(m, source, flipped(self.o))
        if self.loadables:
            readies = [each.connect(m, self.load, k) for k, each in enumerate(self.loadables)]
            with m.Switch(self.load.payload.target):
                for index, ready in enumerate(readies):
                    with m.Case(index):
                        m.d.comb += self.load.ready.eq(ready)
        for index, array in enumerate(self.counting):
            m.d.comb += [
                self.counters[index].eq(array.counters),
                array.clear.eq(self.clear),
            ]
        if self.wear is not None:
            m.submodules.wear = self.wear
            connect(m, flipped(self.i_wear), self.wear.i)
            connect(m, self.wear.o, flipped(self.o_wear))
            for index, array in enumerate(self.counting):
                connect(m, getattr(self.wear, f"ask{index}"), array.i_wear)
                connect(m, array.o_wear, getattr(self.wear, f"answer{index}"))
        return m

    def _present(self, m: Module, source):
        """What the first layer is shown; all that depends on presentations sees their number."""
        presenter, chosen = self.presenter, self.chosen
        assert presenter is not None and chosen is not None
        m.submodules.presenter = presenter
        m.submodules.chosen = chosen
        connect(m, source, presenter.i)
        m.d.comb += [
            presenter.end.eq(chosen.end),
            presenter.load.eq(chosen.load),
            presenter.start.eq(chosen.start),
        ]
        for part in [*self.layers, self.head, *self.arrays]:
            if "variant" in part.signature.members:
                m.d.comb += part.variant.eq(chosen.variant)
        return presenter.o

    def presentation_lines(self, presentations: int | None = None, image: int = 0) -> list[int]:
        """Payloads of ``load`` for a number of presentations, by default the plan's first, such
        that the next image is number ``image``. They are for a network without images inside.

        Emulated arrays with read errors are loaded after it, see :meth:`read_error_lines`. Raises
        :class:`~.plan.PlanError` for a number that the plan cannot choose, and returns nothing when
        there is none to choose.
        """
        planes = self.graph.input.planes
        shown = self.plan.shown(presentations)
        if self.chosen is None or not isinstance(planes, Stochastic):
            return []
        words = [shown.presentations[0], start_register(planes.seed, image)]
        return self._lines(self.chosen.i, words)

    def _lines(self, program, words: list[int]) -> list[int]:
        """Payloads of ``load`` that write words to the rows of a target."""
        layout = self.load.payload.shape()
        target = next(k for k, each in enumerate(self.loadables) if each.program is program)
        lines = []
        for row, word in enumerate(words):
            fields = {"target": target, "row": row, "line": word << layout["line"].width - WORD}
            lines.append(sum(value << layout[name].offset for name, value in fields.items()))
        return lines

    def read_error_lines(self, errors: ErrorMap, image: int = 0) -> list[int]:
        """Payloads of ``load`` that give the emulated arrays their read errors, such that the next
        image is number ``image``. They are for a network without images inside."""
        found = []
        for layer, array in zip(self.plan.layers, self.arrays, strict=True):
            errors_here = errors.layers.get(layer.node)
            if errors_here is None or "i_errors" not in array.signature.members:
                continue
            start = start_of_image(errors_here.start, image)
            words = settings.words(errors_here.rate, start).tolist()
            found += self._lines(array.i_errors, words)
        return found

    def about(self) -> dict:
        """What a bench or host needs to know of the streams, as plain data."""
        plan, head = self.plan, self.plan.layers[-1]
        about = {
            "name": self.graph.name,
            "pixels": plan.pixels,
            "pixel_bits": plan.pixel_bits,
            "pixels_per_beat": plan.pixels_per_beat,
            "input_beats": plan.input_beats,
            "classes": head.outputs,
            "scores_per_beat": head.neurons,
            "output_beats": head.groups,
            "planned_cycles_per_image": plan.cycles_per_image,
        }
        if plan.channels:
            about["channels"] = plan.channels
        if plan.presentations:
            about["presentations"] = {
                str(count): cycles for count, cycles in plan.cycles_by_presentations.items()
            }
        if self.counting:  # in the order of `counters`
            about["emulated"] = [
                {"name": layer.name, **array.about()}
                for layer, array in zip(plan.layers, self.arrays, strict=True)
                if array in self.counting
            ]
        return about


def _of_variants(graph: Graph, plan: Plan, layer: LayerPlan):
    """A layer's node with the constants of those presentations that the plan can choose."""
    node = graph.nodes[layer.node]
    if not layer.equal:
        return node
    variants = [graph.variant(count) for count in plan.presentations]
    if isinstance(node, Head):
        return replace(node, offsets=node.offsets[variants])
    return replace(node, thresholds=node.thresholds[variants])


def _pool(graph: Graph, plan: PoolPlan) -> Pool:
    node = graph.nodes[plan.node]
    assert isinstance(node, MaxPool)
    return Pool(node, plan.window, plan.size)


def digital_array(node: Dense | Conv | Head, layer: LayerPlan) -> DigitalArray:
    """A digital memory that holds the weights of a layer."""
    return DigitalArray(*layer.contents(node.weights))
