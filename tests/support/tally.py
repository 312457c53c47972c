# SPDX-License-Identifier: BSD-2-Clause
"""A small network-like component for the tests of emission and simulation."""

import numpy as np
from amaranth.hdl import Array, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out


class Tally(wiring.Component):
    """Adds or subtracts each pixel for each class, as a ROM of signs says.

    It keeps the contract of generated networks: an image is ``input_beats`` beats of pixels, and
    ``output_beats`` beats of scores with a label. One input beat a cycle enters; an image waits in
    front of the scores of its predecessor.

    Members
    -------
    i : pixels, ``pixels_per_beat`` of ``pixel_bits`` bits a beat
    o : scores, ``scores_per_beat`` a beat, with ``label`` and ``last``
    """

    def __init__(self, pixels, pixel_bits, pixels_per_beat, classes, scores_per_beat, seed=0):
        self.pixels, self.pixel_bits, self.pixels_per_beat = pixels, pixel_bits, pixels_per_beat
        self.classes, self.scores_per_beat = classes, scores_per_beat
        self.input_beats = -(-pixels // pixels_per_beat)
        self.output_beats = -(-classes // scores_per_beat)
        self.width = (pixels << pixel_bits).bit_length() + 1
        self.signs = np.random.default_rng(seed).integers(0, 2, (classes, pixels))
        super().__init__(
            {
                "i": In(stream.Signature(data.ArrayLayout(unsigned(pixel_bits), pixels_per_beat))),
                "o": Out(
                    stream.Signature(
                        data.StructLayout(
                            {
                                "scores": data.ArrayLayout(signed(self.width), scores_per_beat),
                                "label": max(1, (classes - 1).bit_length()),
                                "last": 1,
                            }
                        )
                    )
                ),
            }
        )

    def model(self, images):
        """Scores (N, classes) of pixels (N, pixels)."""
        return np.asarray(images, dtype=np.int64) @ (2 * self.signs.T - 1)

    @property
    def about(self):
        """What ports.json says of it."""
        keys = "pixels pixel_bits pixels_per_beat input_beats classes scores_per_beat output_beats"
        planned = {"name": "tally", "planned_cycles_per_image": self.input_beats}
        return {"network": {**planned, **{key: getattr(self, key) for key in keys.split()}}}

    def _rows(self):
        """ROM words: bit ``c * pixels_per_beat + j`` is the sign of pixel ``j`` for class ``c``."""
        signs = np.zeros((self.classes, self.input_beats * self.pixels_per_beat), dtype=int)
        signs[:, : self.pixels] = self.signs
        beats = signs.reshape(self.classes, self.input_beats, -1).transpose(1, 0, 2)
        return [sum(int(b) << i for i, b in enumerate(beat.reshape(-1))) for beat in beats]

    def elaborate(self, platform):
        # The ROM is read while a beat enters; one cycle later its pixels are added. The last beat
        # moves the sums to a bank of scores, from which they leave.
        m = Module()
        lanes, classes = self.pixels_per_beat, self.classes
        m.submodules.signs = rom = Memory(
            shape=classes * lanes, depth=self.input_beats, init=self._rows()
        )
        read = rom.read_port()

        beat = Signal(range(self.input_beats))
        pixels = Signal.like(self.i.payload)
        full, first, last = Signal(), Signal(), Signal()
        bank_full, go = Signal(), Signal()
        m.d.comb += [
            go.eq(full & ~(last & bank_full)),
            self.i.ready.eq(~full | go),
            read.addr.eq(beat),
            read.en.eq(self.i.valid & self.i.ready),
        ]
        with m.If(go):
            m.d.sync += full.eq(0)
        with m.If(self.i.valid & self.i.ready):
            final = beat == self.input_beats - 1
            m.d.sync += [full.eq(1), pixels.eq(self.i.payload), first.eq(beat == 0)]
            m.d.sync += [last.eq(final), beat.eq(Mux(final, 0, beat + 1))]

        scores = [Signal(signed(self.width), name=f"score{c}") for c in range(classes)]
        for c in range(classes):
            total = Signal(signed(self.width), name=f"sum{c}")
            terms = [
                Mux(read.data[c * lanes + j], pixels[j], -pixels[j]).as_signed()
                for j in range(lanes)
            ]
            new = Signal(signed(self.width), name=f"new{c}")
            m.d.comb += new.eq(sum(terms, Mux(first, 0, total)))
            with m.If(go):
                m.d.sync += total.eq(new)
                with m.If(last):
                    m.d.sync += [scores[c].eq(new), bank_full.eq(1)]
        self._send(m, scores, bank_full)
        return m

    def _send(self, m, scores, bank_full):
        index = Signal(range(self.output_beats))
        table = Array([*scores, *[0] * (self.output_beats * self.scores_per_beat - self.classes)])
        best, label = scores[0], 0
        for c in range(1, self.classes):
            best, label = (
                Mux(scores[c] > best, scores[c], best),
                Mux(scores[c] > best, c, label),
            )
        m.d.comb += [
            self.o.valid.eq(bank_full),
            self.o.p.label.eq(label),
            self.o.p.last.eq(index == self.output_beats - 1),
        ]
        for j in range(self.scores_per_beat):
            m.d.comb += self.o.p.scores[j].eq(table[index * self.scores_per_beat + j])
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += index.eq(Mux(self.o.p.last, 0, index + 1))
            with m.If(self.o.p.last):
                m.d.sync += bank_full.eq(0)
