# SPDX-License-Identifier: BSD-2-Clause
"""An emulated resistive memory: sensed states, seeded read errors, and counters."""

import numpy as np
from amaranth.hdl import Cat, Const, Module, ResetInserter, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...model.errors import ErrorMap
from ...model.generators import Registers, error_positions, starts_of_images
from ...model.nodes import Conv, Dense, Head
from ..layer_plan import LayerPlan
from ..loading import Loadable, Target
from ..queue import Queue
from ..stochastic import chosen
from . import cycles, settings
from .digital import DigitalArray
from .gaps import QUEUE_DEPTH, Gaps
from .mask import Masks
from .programmings import Programmings
from .settings import Settings
from .signature import ArraySignature

COUNTERS = data.StructLayout({"cycles": 32, "reads": 32, "flips": 32})


class EmulatedArray(wiring.Component):
    """Block RAM behind :class:`ArraySignature` whose reads have errors, drawn anew for each image.

    Without errors it behaves as :class:`~.digital.DigitalArray` in every cycle. A read with ``k``
    errors leaves ``k`` cycles later, or more when the gaps between them are not drawn in time;
    see :mod:`~.cycles`. The errors are those of
    :func:`~twincell.model.generators.error_positions` for the row of all bits that an image's reads
    latch: with binary weights *agree* of each column, with ternary ones *agree* of each and then
    *disagree* of each, where both and neither read as zero. They fall on columns that are not
    enabled as well, which show none. The generator moves on with reads, never with time.

    Parameters
    ----------
    sign : uint8 (rows, columns), the signs as they are sensed
    active : uint8 of the same shape for ternary weights, ``None`` for binary ones
    reads : of an image; several when there is a choice of them
    rate, start : of read errors, 0 or 2^-24 to 1, and the generator's registers at the first image
        (see :func:`~twincell.model.generators.start`); reset returns to them
    wear : whether programmings are counted, in a block RAM

    Members
    -------
    i, o, i_program : see :class:`ArraySignature`
    i_errors : In(stream: row, word), see :mod:`~.settings`. A word is taken between two reads; it
        holds further reads back.
    i_wear, o_wear : In(stream of a word line), Out(stream of a count), with ``wear``; see
        :class:`~.programmings.Programmings`
    counters : Out(cycles, reads, flips), modulo 2^32: cycles in which a read was inside, reads that
        left, and bits of enabled columns that errors flipped in them
    clear : In(1), sets the counters to 0
    variant : In, with a choice of ``reads``: which an image has. It changes while no read is inside
        and ``i_errors`` is written after it, if there are read errors: those of the next images are
        drawn ahead.
    """

    cycles_per_read = 1  # at least
    latency = 1

    def __init__(
        self,
        sign: np.ndarray,
        active: np.ndarray | None = None,
        *,
        reads: int | tuple[int, ...],
        rate: float = 0.0,
        start: Registers = (1 << 31, 1 << 31, 1 << 31),
        wear: bool = True,
    ):
        self.choices = reads if isinstance(reads, tuple) else (reads,)
        if not self.choices or any(type(each) is not int or each < 1 for each in self.choices):
            raise TypeError(f"Reads must be a positive integer, not {reads!r}")
        self.table = settings.table_of(rate)
        self.cells = DigitalArray(sign, active)
        self.contents = self.cells.contents
        self.ternary = self.cells.ternary
        self.reads = max(self.choices)
        self.rate = rate
        self.start = start
        found = self.cells.signature
        self.columns = found.columns
        word = {"row": range(settings.ROWS), "word": 32}
        members = {
            **ArraySignature(found.rows, found.columns).members,
            "i_errors": In(stream.Signature(data.StructLayout(word))),
            "counters": Out(COUNTERS),
            "clear": In(1),
        }
        if len(self.choices) > 1:
            members["variant"] = In(range(len(self.choices)))
        self.wear = Programmings(found.rows) if wear else None
        if self.wear is not None:
            found = self.wear.signature.members
            members |= {"i_wear": found["i"], "o_wear": found["o"]}
        super().__init__(members)

    @property
    def bits_per_read(self) -> int:
        """Bits that a read latches."""
        return self.columns * (2 if self.ternary else 1)

    def model(
        self, rows: np.ndarray, inputs: np.ndarray, enable: np.ndarray, variant: int = 0
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """What reads return from the first image on, the contents being those of reset.

        Parameters
        ----------
        rows : (N,) word lines
        inputs, enable : bits (N, columns)
        variant : which choice of ``reads`` images have

        Returns *agree* and *active*, uint8 (N, columns), and how many bits of enabled columns were
        flipped.
        """
        reads = self.choices[variant]
        starts = starts_of_images(self.start, 0, -(-len(rows) // reads))
        mask = masks(starts, self.table, reads, self.bits_per_read)[: len(rows)]
        return read_with(mask, self.contents[rows], inputs, enable)

    def settings(self, name: str) -> Loadable:
        """The rate and the seed of the read errors as what a loader can write: ``name`` and what
        they are, and the rows of reset."""
        word = (1 << 32) - 1
        target = Target(f"{name} read errors", "read errors", settings.ROWS, 32, 0, word, 32)
        rows = settings.words(self.rate, self.start).reshape(-1, 1)
        return Loadable(target, rows, self.i_errors)

    def about(self) -> dict:
        """What a host needs to know of it, as plain data; rate and start are those of reset."""
        return {
            "reads": self.reads,
            "bits_per_read": self.bits_per_read,
            "rate": self.rate,
            "start": list(self.start),
            "programmings": self.wear is not None,
        }

    def model_cycles(self, images: int, *, since: int = 0) -> np.ndarray:
        """The cycle in which each image's last read leaves, see :func:`~.cycles.cycles`."""
        starts = starts_of_images(self.start, 0, images)
        return cycles.cycles(starts, self.table, self.reads, self.bits_per_read, since=since)

    def expected_cycles(self) -> float:
        """Mean cycles an image at its own rate, see :func:`~.cycles.expected_cycles`."""
        return cycles.expected_cycles(self.rate, self.reads, self.bits_per_read)

    def elaborate(self, platform):
        # reads -> cells -> [^ mask] -> o, with settings -> gaps -> queue -> masks
        m = Module()
        m.submodules.cells = cells = self.cells
        m.submodules.settings = control = Settings(0 if self.table is None else len(self.table))
        m.submodules.masks = masks = Masks(self.reads, self.bits_per_read)
        gaps = self._draw(m, control, masks)
        if len(self.choices) > 1:
            bits = [each * self.bits_per_read for each in self.choices]
            m.d.comb += [
                masks.end.eq(chosen(self.variant, [each - 1 for each in self.choices])),
                gaps.image.eq(chosen(self.variant, bits)),
            ]
        done = Signal()
        accept = Signal()
        leaves = Signal()
        m.d.comb += [
            # While a word waits no read comes in; it is taken when none is inside.
            cells.i.payload.row.eq(self.i.payload.row),
            cells.i.payload.inputs.eq(self.i.payload.inputs),
            cells.i.payload.enable.eq(-1),
            cells.i.valid.eq(self.i.valid & ~self.i_errors.valid),
            self.i.ready.eq(cells.i.ready & ~self.i_errors.valid),
            self.i_errors.ready.eq(~cells.o.valid),
            control.i.valid.eq(self.i_errors.valid & self.i_errors.ready),
            control.i.payload.eq(self.i_errors.payload),
            # A read is held until its mask is whole.
            done.eq(masks.done | ~control.running),
            self.o.valid.eq(cells.o.valid & done),
            cells.o.ready.eq(self.o.ready & done),
            masks.waiting.eq(cells.o.valid & control.running),
            masks.leaves.eq(leaves & control.running),
            accept.eq(self.i.valid & self.i.ready),
            leaves.eq(self.o.valid & self.o.ready),
        ]
        enable = Signal(self.columns, init=-1)  # of the read inside
        with m.If(accept):
            m.d.sync += enable.eq(self.i.payload.enable)
        self._flip(m, masks.mask, enable)
        self._count(m, masks, enable, leaves)
        program = cells.i_program
        connect(m, flipped(self.i_program), program)
        if self.wear is not None:
            m.submodules.wear = wear = self.wear
            connect(m, flipped(self.i_wear), wear.i)
            connect(m, wear.o, flipped(self.o_wear))
            m.d.comb += [
                wear.programmed.eq(program.valid & program.ready),
                wear.row.eq(program.payload.row),
            ]
        return m

    def _draw(self, m: Module, control: Settings, masks: Masks) -> Gaps:
        """Steps are drawn in the background, as far ahead as the queue is deep; by what returns."""
        bits = self.bits_per_read
        m.submodules.gaps = gaps = Gaps(self.reads * bits, bits, self.table, self.start)
        queue = Queue(gaps.o.payload.shape(), QUEUE_DEPTH)
        m.submodules.queue = ResetInserter(control.restart)(queue)
        connect(m, gaps.o, queue.i)
        connect(m, queue.o, masks.i)
        m.d.comb += [
            gaps.restart.eq(control.restart),
            gaps.running.eq(control.running),
            gaps.second.eq(control.second),
            gaps.count.eq(control.count),
            gaps.load.eq(control.load),
            gaps.value.eq(control.value),
            gaps.write.valid.eq(control.o.valid),
            gaps.write.payload.eq(control.o.payload),
            masks.restart.eq(control.restart),
        ]
        return gaps

    def _flip(self, m: Module, mask: Signal, enable: Signal) -> None:
        """What is latched, errors included."""
        latched, o = self.cells.o.payload, self.o.payload
        agree = latched.agree ^ mask[: self.columns]
        active = Const(-1, self.columns)
        if self.ternary:
            # Agree and disagree, of which never both are latched: one of them, not both or neither.
            active = latched.active ^ mask[: self.columns] ^ mask[self.columns :]
        m.d.comb += [o.active.eq(active & enable), o.agree.eq(agree & active & enable)]

    def _count(self, m: Module, masks: Masks, enable: Signal, leaves: Signal) -> None:
        """The counters."""
        flipped = Signal()
        lines = Cat(enable, enable) if self.ternary else enable
        m.d.sync += flipped.eq(masks.hit & lines.bit_select(masks.position, 1))
        events = {"cycles": self.cells.o.valid, "reads": leaves, "flips": flipped}
        for name, event in events.items():
            count = self.counters[name]
            with m.If(self.clear):
                m.d.sync += count.eq(0)
            with m.Elif(event):
                m.d.sync += count.eq(count + 1)


def masks(starts: np.ndarray, table: np.ndarray | None, reads: int, bits: int) -> np.ndarray:
    """Which latched bits of images fail, uint8 (images * reads, bits).

    Parameters
    ----------
    starts : (images, 3), the generator's registers at the start of each
    table : of the gaps; ``None`` without errors
    reads, bits : of an image, and of a read
    """
    found = np.zeros((len(starts), reads * bits), dtype=np.uint8)
    if table is not None:
        for image, (s1, s2, s3) in enumerate(starts.tolist()):
            found[image, error_positions((s1, s2, s3), table, reads * bits)] = 1
    return found.reshape(-1, bits)


def read_with(
    mask: np.ndarray, contents: np.ndarray, inputs: np.ndarray, enable: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """*agree*, *active* and the number of flips of reads, see :meth:`EmulatedArray.model`.

    Parameters
    ----------
    mask : bits that fail (N, bits of a read)
    contents : of the word lines read: signs, and behind them which are active, when ternary
    inputs, enable : bits (N, columns)
    """
    columns = inputs.shape[1]
    enable = np.asarray(enable, dtype=np.uint8)
    agree = (contents[:, :columns] == inputs).astype(np.uint8)
    if contents.shape[1] == columns:
        return (agree ^ mask) & enable, enable, int((mask & enable).sum())
    stored = contents[:, columns:]
    plus = (agree & stored) ^ mask[:, :columns]
    minus = (~agree & stored) ^ mask[:, columns:]
    active = (plus ^ minus) & enable
    return plus & active, active, int((mask & np.hstack([enable, enable])).sum())


class EmulatedArrays:
    """Makes the arrays of a network, for :class:`~twincell.hw.network.Network`.

    Parameters
    ----------
    errors : whose rates and seeds of read errors are each node's; the persistent errors are those
        of the graph, see :meth:`~twincell.model.errors.ErrorMap.sensed`. ``None`` for none.
    wear : whether programmings are counted
    """

    def __init__(self, errors: ErrorMap | None = None, *, wear: bool = False):
        self.errors = errors
        self.wear = wear

    def __call__(self, node: Dense | Conv | Head, layer: LayerPlan) -> EmulatedArray:
        """The array of a layer, holding its weights."""
        found = None if self.errors is None else self.errors.layers.get(layer.node)
        errors = {} if found is None else {"rate": found.rate, "start": found.start}
        contents = layer.contents(node.weights)
        reads = tuple(layer.shown(each).reads for each in layer.presentations) or layer.reads
        return EmulatedArray(*contents, reads=reads, wear=self.wear, **errors)
