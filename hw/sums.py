# SPDX-License-Identifier: BSD-2-Clause
"""The heart of a layer: reads of an array become sums of neurons."""

from dataclasses import replace
from typing import Any

import numpy as np
from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, ValueLike
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..model.nodes import Fill
from .accumulator import Accumulator, range_shape
from .counts import counts_for
from .gearbox import vector_stream
from .layer_plan import LayerPlan
from .loading import Loadable, Target
from .parallel import Held, ParallelCounts
from .planes import PlaneBuffer
from .stochastic import chosen
from .window import Borders, WindowBuffer


class Reads(wiring.Component):
    """Walks through the reads of an image: folds within planes within groups of neurons.

    Planes go from the most significant to plane 0, and those of equal weight from the first to the
    last. A cycle with ``step`` moves to the next read, and from the last to the first of the next
    vector.

    Members
    -------
    step : In(1)
    top : In, of planes of equal weight: the last one; it stays while there are reads to be done
    fold, plane, group : Out, of this read
    word : Out, of planes of equal weight: which of the words of all planes this read takes
    row : Out, the word line of this read
    first_fold, last_fold, first, last : Out(1), of a plane; of a group
    done : Out(1), this read is the vector's last
    """

    def __init__(self, layer: LayerPlan):
        self.layer = layer
        self.first_plane = 0 if layer.equal else layer.plane_reads - 1
        members = {
            "step": In(1),
            "fold": Out(range(layer.folds)),
            "plane": Out(range(layer.plane_reads), init=self.first_plane),
            "group": Out(range(layer.groups)),
            "row": Out(range(max(layer.rows, 2))),
            "first_fold": Out(1),
            "last_fold": Out(1),
            "first": Out(1),
            "last": Out(1),
            "done": Out(1),
        }
        if layer.equal:
            members |= {
                "top": In(range(layer.planes)),
                "word": Out(range(layer.planes * layer.folds)),
            }
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        layer = self.layer
        last_plane = self.top if layer.equal else 0
        m.d.comb += [
            self.first_fold.eq(self.fold == 0),
            self.last_fold.eq(self.fold == layer.folds - 1),
            self.first.eq(self.first_fold & (self.plane == self.first_plane)),
            self.last.eq(self.last_fold & (self.plane == last_plane)),
            self.done.eq(self.last & (self.group == layer.groups - 1)),
        ]
        with m.If(self.step):
            m.d.sync += [self.fold.eq(self.fold + 1), self.row.eq(self.row + 1)]
            with m.If(self.last_fold):
                following = self.plane + 1 if layer.equal else self.plane - 1
                m.d.sync += [self.fold.eq(0), self.plane.eq(following)]
                with m.If(~self.last):  # the next plane reads the same word lines again
                    m.d.sync += self.row.eq(self.row - (layer.folds - 1))
            with m.If(self.last):
                m.d.sync += [self.plane.eq(self.first_plane), self.group.eq(self.group + 1)]
            with m.If(self.done):
                m.d.sync += [self.row.eq(0), self.group.eq(0)]
            if layer.equal:
                m.d.sync += self.word.eq(Mux(self.last, 0, self.word + 1))
        return m


class Sums(wiring.Component):
    """Reads vectors plane by plane and adds up each group of neurons.

    One read is issued every cycle while a vector is present, the array takes it, and, at the start
    of a group, ``room`` is high. From then on nothing stalls: the sums of a group leave together
    in one cycle with ``valid``, ``latency`` cycles after its last read was issued.

    Parameters
    ----------
    layer : the plan
    array : a component of ``ArraySignature(layer.rows, layer.columns)``
    constants : int (variants, outputs), added to each neuron's sum: a vector for each of
        ``layer.presentations`` when they are planes, or for each border class of a window, else one
    halve : leave out the last doubling, as :class:`~.accumulator.Accumulator` does, so that
        ``rest`` holds the lowest bit of twice the sum plus the constant
    bounds : least and greatest constant that may be loaded at run time; ``None`` for fixed ones

    Members
    -------
    i : In(stream of words of ``layer.word`` pixels); planes of equal weight come one by one
    variant : In, which of ``layer.presentations`` an image has, where they are planes; it stays
        while images are inside
    room : In(1), the sink can take one more group
    started : Out(1), a group was started
    valid : Out(1), the sums of a group
    totals : Out, its sums
    rests : Out, with ``halve``, the bit below each
    i_constants : In(stream: row, values), with ``bounds``: the constants of a group, written in the
        cycle in which they come; for the vectors whose first count comes four cycles later or more
    """

    def __init__(
        self,
        layer: LayerPlan,
        array: wiring.Component,
        constants: np.ndarray,
        *,
        halve: bool,
        bounds: tuple[int, int] | None = None,
    ):
        self.layer = layer
        self.array = array
        self.buffer = input_buffer(layer)
        self.counts = ParallelCounts(layer) if layer.parallel else counts_for(array, layer)
        self.doublings = (0 if layer.equal else layer.plane_reads - 1) + halve
        variants = layer.presentations if layer.equal else (1,)
        self.constants = np.zeros((len(constants), layer.groups * layer.neurons), dtype=np.int64)
        self.constants[:, : layer.outputs] = constants
        weight = layer.plane_weight
        most = layer.inputs * weight
        offsets = [0]  # of each variant
        if layer.ternary:
            # agree - disagree = ones of (agree, not disagree) less one for every lane of a read.
            lanes = layer.folds * layer.lanes
            weights = variants if layer.equal else (weight,)
            offsets = [lanes * each << halve for each in weights]
            self.constants -= np.array(offsets)[:, None]
            most += lanes * weight
        low, high = int(self.constants.min()), int(self.constants.max())
        if bounds is not None:
            low, high = min(low, bounds[0] - max(offsets)), max(high, bounds[1] - min(offsets))
        self.constant_range = low, high
        self.loadable = bounds is not None
        self.constant_shape = range_shape(low, high)
        self.total_shape = range_shape(low >> halve, (high >> halve) + most)
        members = {
            "i": In(vector_stream(layer.pixel_bits, layer.word)),
            "room": In(1),
            "started": Out(1),
            "valid": Out(1),
            "totals": Out(data.ArrayLayout(self.total_shape, layer.neurons)),
            "rests": Out(layer.neurons if halve else 0),
        }
        if layer.equal:
            members["variant"] = In(range(len(variants)))
        if self.loadable:
            group = {
                "row": range(max(self.groups, 2)),
                "values": data.ArrayLayout(self.constant_shape, layer.neurons),
            }
            members["i_constants"] = In(stream.Signature(data.StructLayout(group)))
        super().__init__(members)

    @property
    def groups(self) -> int:
        """Groups of constants: those of all variants and border classes."""
        return len(self.constants) * self.layer.groups

    @property
    def latency(self) -> int:
        """Cycles from the issue of a read to the sums it completes."""
        return self.buffer.latency + self.array.latency + self.counts.delay + Accumulator.latency

    def loadables(self, name: str) -> list[Loadable]:
        """What can be loaded: with ``bounds`` the word lines and the constants, and of an emulated
        array the settings of the read errors."""
        settings = [self.array.settings(name)] if "i_errors" in self.array.signature.members else []
        if not self.loadable:
            return settings
        layer, width = self.layer, self.constant_shape.width
        bits = self.array.contents.shape[1]
        lines = Target(f"{name} word lines", "word lines", layer.rows, bits, 0, 1, 1)
        group = layer.neurons * width
        low, high = self.constant_range
        constants = Target(f"{name} constants", "constants", self.groups, group, low, high, width)
        values = self.constants.reshape(self.groups, layer.neurons)
        return [
            Loadable(lines, self.array.contents, self.array.i_program),
            Loadable(constants, values, self.i_constants),
            *settings,
        ]

    def elaborate(self, platform):
        m = Module()
        m.submodules.array = self.array
        if self.layer.equal:
            self.top = Signal(range(self.layer.planes))
            m.d.comb += self.top.eq(chosen(self.variant, [p - 1 for p in self.layer.presentations]))
        self._issue(m)
        self._accumulate(m, self._count(m))
        return m

    def _issue(self, m: Module) -> None:
        """Buffer and counters: one read a cycle to the array."""
        layer, array, buffer = self.layer, self.array, self.buffer
        m.submodules.buffer = buffer
        m.submodules.reads = reads = Reads(layer)
        m.d.comb += [
            buffer.i.valid.eq(self.i.valid),
            buffer.i.payload.as_value().eq(self.i.payload.as_value()),
            self.i.ready.eq(buffer.i.ready),
        ]
        if layer.equal:
            ends = [planes * layer.folds - 1 for planes in layer.presentations]
            m.d.comb += [
                reads.top.eq(self.top),
                buffer.end.eq(chosen(self.variant, ends)),
                buffer.fold.eq(reads.word),
            ]
        else:
            m.d.comb += buffer.plane.eq(reads.plane)
            if layer.window is None:  # else the taps come in their order
                m.d.comb += buffer.fold.eq(reads.fold)

        advance = Signal()
        issue = Signal()
        m.d.comb += [
            advance.eq(~array.i.valid | array.i.ready),
            issue.eq(advance & buffer.present & (self.room | ~reads.first)),
            self.started.eq(issue & reads.first),
            reads.step.eq(issue),
            buffer.en.eq(issue),
            buffer.release.eq(issue & reads.done),
        ]
        tail = Signal()
        with m.If(advance):
            m.d.sync += array.i.valid.eq(issue)
        with m.If(issue):
            m.d.sync += [array.i.payload.row.eq(reads.row), tail.eq(reads.last_fold)]

        unused = layer.folds * layer.lanes - layer.inputs
        whole = C((1 << layer.lanes) - 1, layer.lanes)
        enable = Signal(layer.lanes)
        m.d.comb += [
            enable.eq(self._enable(Mux(tail, whole >> unused, whole) if unused else whole)),
            array.i.payload.inputs.eq(self._spread(whole if layer.parallel else buffer.shown)),
            array.i.payload.enable.eq(self._spread(enable)),
            array.o.ready.eq(1),
        ]
        if layer.parallel:  # the array is shown ones, and the pixels wait beside it
            places = Held.places_for(array.latency, array.cycles_per_read)
            m.submodules.held = held = Held(len(buffer.shown), places)
            m.d.comb += [
                held.i.eq(buffer.shown),
                held.take.eq(array.i.valid & array.i.ready),
                held.give.eq(array.o.valid),
                self.counts.i.pixels.eq(held.o),
            ]

    def _enable(self, lanes: Value) -> Value:
        """The lanes that count: none of a tap that is absent."""
        if self.layer.window is None or self.layer.window.fill is not Fill.ABSENT:
            return lanes
        return lanes & Cat(row.replicate(self.layer.word) for row in self.buffer.inside)

    def _spread(self, lanes: Value) -> Value:
        """A bit for each input of a read, laid out on the columns."""
        columns: list = [lanes] * self.layer.columns
        for neuron, lane in np.ndindex(self.layer.neurons, self.layer.lanes):
            columns[self.layer.column(neuron, lane)] = lanes[lane]
        return Value.cast(Cat(columns))

    def _count(self, m: Module) -> list[Signal]:
        """Counts of each neuron's columns; returns when they are valid, before it when they will be
        in the next cycle, and so on."""
        m.submodules.counting = counts = self.counts
        given = counts.of(self.array)
        m.d.comb += [counts.i[name].eq(given[name]) for name in given.shape().members]
        stages = [self.array.o.valid]
        for stage in range(counts.delay):
            stages.append(Signal(name=f"valid{stage}"))
            m.d.sync += stages[-1].eq(stages[-2])
        return stages

    def _constants(self, m: Module, group: Value, done: Value) -> data.View:
        """The memory of the constants: those of a group, in the cycle after it is asked for.
        ``done`` is high with the last read of a vector."""
        layer = self.layer
        m.submodules.constants = memory = Memory(
            shape=data.ArrayLayout(self.constant_shape, layer.neurons),
            depth=max(self.groups, 2),
            init=[
                [int(value) for value in values]
                for values in self.constants.reshape(self.groups, layer.neurons)
            ],
        )
        read = memory.read_port()
        m.d.comb += read.addr.eq(group)
        if self.loadable:
            write = memory.write_port()
            line = self.i_constants
            m.d.comb += [
                line.ready.eq(1),
                write.en.eq(line.valid),
                read.en.eq(~line.valid),  # a block RAM does not read what it is writing
                write.addr.eq(line.payload.row),
                write.data.eq(line.payload.values),
            ]
        if layer.equal:
            firsts = [variant * layer.groups for variant in range(len(layer.presentations))]
            m.d.comb += read.addr.eq(group + chosen(self.variant, firsts))
        elif self.groups > layer.groups:
            m.submodules.borders = borders = Borders(layer.window, layer.groups)
            m.d.comb += [borders.step.eq(done), read.addr.eq(group + borders.base)]
        return read.data

    @property
    def _ahead(self) -> int:
        """Cycles by which constants are read before their counts: three, for the RAM, the register
        that it may have at its output, which alone takes most of a cycle, and one outside."""
        return min(self.counts.delay, 3)

    def _accumulate(self, m: Module, stages: list[Signal]) -> None:
        """Accumulators, and a walk of their own through the reads that return in order: ahead of
        the counts, so that its decisions and the constants come from registers."""
        layer, valid = self.layer, stages[-1]
        m.submodules.returns = returns = Reads(layer)
        m.d.comb += returns.step.eq(stages[-1 - self._ahead])
        first, double, last = returns.first, returns.first_fold, returns.last
        if layer.equal:
            m.d.comb += returns.top.eq(self.top)
            double = C(0, 1)
        constant = self._constants(m, returns.group, returns.step & returns.done)
        for stage in range(self._ahead):
            first, double = _later(m, first, "first"), _later(m, double, "double")
            last = _later(m, last, "last")
            if stage:  # the memory itself is the first
                constant = _later(m, constant, "constant")
        m.d.sync += self.valid.eq(valid & last)
        counts = self.counts
        for neuron in range(layer.neurons):
            accumulator = Accumulator(
                counts.width,
                self.doublings,
                self.constant_shape,
                self.total_shape,
                carry=counts.carried,
            )
            m.submodules[f"accumulator{neuron}"] = accumulator
            m.d.comb += [
                accumulator.valid.eq(valid),
                accumulator.count.eq(counts.counts[neuron]),
                accumulator.carry.eq(counts.carries[neuron : neuron + 1]),
                accumulator.first.eq(first),
                accumulator.double.eq(double),
                accumulator.constant.eq(constant[neuron]),
                self.totals[neuron].eq(accumulator.total),
            ]
            if len(self.rests):
                m.d.comb += self.rests[neuron].eq(accumulator.rest[-1])


def input_buffer(layer: LayerPlan) -> PlaneBuffer | WindowBuffer:
    """The buffer of a layer's input."""
    if layer.window is not None:
        if layer.parallel:  # the bits of a pixel are all shown, as so many channels
            window = replace(layer.window, channels=layer.channels * layer.planes)
            return WindowBuffer(window, 1, layer.word * layer.planes, rows=layer.tap_rows)
        return WindowBuffer(layer.window, layer.planes, layer.word, rows=layer.tap_rows)
    if layer.equal:
        words = layer.planes * layer.folds
        return PlaneBuffer(1, layer.lanes, words, variable=True)
    if layer.parallel:  # a word of bits that are all shown
        return PlaneBuffer(1, layer.lanes * layer.planes, layer.folds)
    return PlaneBuffer(layer.planes, layer.lanes, layer.folds)


def _later(m: Module, value: ValueLike, name: str) -> Any:
    """The value a cycle later."""
    register = Signal.like(value, name=name, reset_less=True)
    m.d.sync += register.eq(value)
    return register
