# SPDX-License-Identifier: BSD-2-Clause
"""The emulator behind the bus of its registers: network, image buffer, run control and results."""

from collections.abc import Callable
from dataclasses import dataclass

from amaranth.hdl import Module, ResetInserter
from amaranth.lib import wiring
from amaranth.lib.wiring import In, connect, flipped

from ..hw.edges.bank import BusSignature
from ..hw.edges.controlled import Controlled
from ..hw.edges.identity import Identity
from ..hw.edges.packets import PacketLayout
from ..hw.gearbox import Gearbox, beats
from ..hw.network import Network
from .buffer import WORD, BlockStore, ImageReader, ImageWriter
from .registers import WAITING_BITS, instrument_registers
from .results import ResultLayout, Results
from .run import Run

# Words of the queue of results: one block RAM is no smaller on any family.
RESULT_QUEUE = 256

StoreFactory = Callable[[int], wiring.Component]


@dataclass(frozen=True)
class Capacity:
    """What an emulator holds beside its network, as it enters the identity of a build.

    Parameters
    ----------
    slots : images of the buffer
    results : images of the queue of results
    """

    slots: int
    results: int

    def __post_init__(self):
        for name in ("slots", "results"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise TypeError(f"{name} must be a positive integer, not {value!r}")


class Instrument(wiring.Component):
    """Runs images that it holds through a network, whose arrays the host can change in between.

    An image is written as the bytes of :class:`~twincell.hw.edges.packets.PacketLayout`, filled up
    to whole words. A run takes ``RUN_COUNT`` images from slot ``RUN_FIRST`` on, in order, and puts
    a result of each into the queue; a full queue stalls the network. Images stay, so that they can
    be run again. While a run is on its way others may be written. ``HOLD`` keeps its further images
    out, as loading needs it. ``SOFT_RESET`` ends it and drops images inside and results.

    Parameters
    ----------
    network : loadable
    slots : images that the buffer holds
    results : images whose results the queue holds; by default as many as a block RAM has room for
    store : makes the buffer's memory from its number of words

    Members
    -------
    bus : In(:class:`~twincell.hw.edges.bank.BusSignature`)
    """

    def __init__(
        self,
        network: Network,
        *,
        slots: int,
        results: int | None = None,
        store: StoreFactory = BlockStore,
    ):
        self.network = network
        self.arrays = network.arrays
        self.packets = PacketLayout.of(network)
        self.layout = ResultLayout.of(self.packets)
        if results is None:
            results = max(RESULT_QUEUE // self.layout.words, 1)
        most = ((1 << WAITING_BITS) - 1) // self.layout.words
        if results > most:
            raise ValueError(f"The queue holds up to {most:,} results, not {results:,}")
        self.capacity = Capacity(slots, results)
        bits = self.packets.pixels * self.packets.pixel_bytes * 8
        self.image_words = beats(bits, WORD)
        self.store = store(slots * self.image_words)
        self.identity = Identity.of(network, self.capacity)
        more = instrument_registers(
            slots=slots,
            image_words=self.image_words,
            results=results,
            result_words=self.layout.words,
        )
        self.controlled = Controlled(network, self.identity, more=more)
        self.registers = self.controlled.registers
        super().__init__({"bus": In(BusSignature())})

    def elaborate(self, platform):
        # bus -> bank; writer -> store -> reader -> gearbox -> network -> results -> bank
        m = Module()
        m.submodules.controlled = controlled = self.controlled
        soft, slots, words = controlled.soft_reset, self.capacity.slots, self.image_words
        self.writer = ImageWriter(slots, words)
        self.reader = ImageReader(slots, words)
        self.results = Results(self.layout, controlled.o.payload.shape(), self.capacity.results)
        self.run = Run(slots)
        m.submodules.store = self.store
        m.submodules.writer = self.writer
        m.submodules.reader = ResetInserter(soft)(self.reader)
        m.submodules.results = ResetInserter(soft)(self.results)
        m.submodules.run = ResetInserter(soft)(self.run)
        connect(m, flipped(self.bus), controlled.bus)
        connect(m, controlled.o, self.results.i)
        self._pixels(m)
        self._store(m)
        self._run(m)
        return m

    def _pixels(self, m: Module) -> None:
        """Words to beats of pixels."""
        packets, reader = self.packets, self.reader
        width, bits = packets.pixel_bytes * 8, packets.pixel_bits
        per_word = min(WORD // width, packets.pixels)
        recut = Gearbox(bits, packets.pixels, per_word, packets.pixels_per_beat)
        m.submodules.recut = ResetInserter(self.controlled.soft_reset)(recut)
        for pixel in range(per_word):
            m.d.comb += recut.i.payload[pixel].eq(reader.o.payload.word_select(pixel, width)[:bits])
        m.d.comb += [recut.i.valid.eq(reader.o.valid), reader.o.ready.eq(recut.i.ready)]
        connect(m, recut.o, self.controlled.i)

    def _store(self, m: Module) -> None:
        """One port: reading goes first, and leaves every second cycle to writing."""
        bank, port, writer, reader = self.controlled, self.store.port, self.writer, self.reader
        m.d.comb += [
            port.en.eq(reader.ask | writer.write),
            port.we.eq(~reader.ask),
            port.address.eq(writer.address),
            port.data.eq(bank.image_data_data),
            reader.data.eq(port.read),
            writer.free.eq(~reader.ask),
            writer.slot.eq(bank.image_slot),
            writer.restart.eq(bank.image_slot_written),
            writer.put.eq(bank.image_data_put),
            bank.image_data_ready.eq(writer.ready),
            bank.image_data_refused.eq(writer.refused),
            bank.image_slot_step.eq(writer.written),
        ]
        with m.If(reader.ask):
            m.d.comb += port.address.eq(reader.address)

    def _run(self, m: Module) -> None:
        """Images enter while the run has some and nothing holds them; results go to the bank."""
        bank, run, reader, results = self.controlled, self.run, self.reader, self.results
        m.d.comb += [
            run.start.eq(bank.run[0]),
            run.abort.eq(bank.run[1]),
            run.first.eq(bank.run_first),
            run.count.eq(bank.run_count),
            run.begun.eq(reader.begun),
            run.finished.eq(results.finished),
            reader.first.eq(bank.run_first),
            reader.start.eq(run.restart),
            reader.go.eq(run.more & ~bank.hold),
            bank.begun.eq(reader.begun),
            bank.held.eq(bank.hold),
            bank.run_state[0].eq(run.running),
            bank.run_state[1].eq(run.refused),
            bank.run_state[16:].eq(results.waiting),
            bank.result_data.eq(results.word),
            results.take.eq(bank.result_data_seen),
        ]

    def about(self) -> dict:
        """What a host needs to know, as plain data for the description."""
        return {
            "image": {
                "pixels": self.packets.pixels,
                "pixel_bits": self.packets.pixel_bits,
                "pixel_bytes": self.packets.pixel_bytes,
                "channels": self.packets.channels,
            },
            "results": self.layout.as_dict(),
            "capacity": {"slots": self.capacity.slots, "results": self.capacity.results},
        }
