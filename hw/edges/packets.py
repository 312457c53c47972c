# SPDX-License-Identifier: BSD-2-Clause
"""AXI-Stream packets: an image a packet in, the scores and the label of an image a packet out."""

from dataclasses import asdict, dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..gearbox import vector_stream
from ..network import Network


def whole_bytes(bits: int) -> int:
    """Bytes that hold ``bits`` bits."""
    return -(-bits // 8)


@dataclass(frozen=True)
class PacketLayout:
    """Where pixels, scores and the label lie in the bytes of the packets.

    A packet in is ``input_beats`` beats of ``pixels_per_beat`` pixels of ``pixel_bytes`` bytes,
    little-endian, in flatten order or, with ``channels``, position by position; bits above
    ``pixel_bits``, and pixels beyond the last, mean nothing. A packet out is every score in class
    order, signed, in ``score_bytes`` bytes, and directly behind the last the label in
    ``label_bytes`` bytes, little-endian all of them; tkeep marks the bytes that belong to it.
    """

    pixels: int
    pixel_bits: int
    pixel_bytes: int
    pixels_per_beat: int
    input_beats: int
    classes: int
    score_bits: int
    score_bytes: int
    scores_per_beat: int
    output_beats: int
    label_bytes: int
    channels: int = 0

    @classmethod
    def of(cls, network: Network) -> "PacketLayout":
        """The layout of a network's packets."""
        about, score = network.about(), network.head.score_shape.width
        classes = about["classes"]
        return cls(
            pixels=about["pixels"],
            pixel_bits=about["pixel_bits"],
            pixel_bytes=whole_bytes(about["pixel_bits"]),
            pixels_per_beat=about["pixels_per_beat"],
            input_beats=about["input_beats"],
            classes=classes,
            score_bits=score,
            score_bytes=whole_bytes(score),
            scores_per_beat=about["scores_per_beat"],
            output_beats=about["output_beats"],
            label_bytes=whole_bytes(max(classes - 1, 1).bit_length()),
            channels=about.get("channels", 0),
        )

    @property
    def input_bytes(self) -> int:
        """Bytes of a beat in."""
        return self.pixels_per_beat * self.pixel_bytes

    @property
    def last_scores(self) -> int:
        """Scores of a packet's last beat."""
        return self.classes - (self.output_beats - 1) * self.scores_per_beat

    @property
    def label_offset(self) -> int:
        """Byte of the last beat at which the label begins."""
        return self.last_scores * self.score_bytes

    @property
    def output_bytes(self) -> int:
        """Bytes of a beat out."""
        full = self.scores_per_beat * self.score_bytes if self.output_beats > 1 else 0
        return max(full, self.label_offset + self.label_bytes)

    @property
    def packet_bytes(self) -> int:
        """Bytes of a packet out."""
        return self.classes * self.score_bytes + self.label_bytes

    def as_dict(self) -> dict:
        """Plain data, for ports.json."""
        return {
            **asdict(self),
            "input_bytes": self.input_bytes,
            "output_bytes": self.output_bytes,
            "label_offset": self.label_offset,
            "packet_bytes": self.packet_bytes,
        }


class ImageIn(wiring.Component):
    """Packets to beats of pixels: one image leaves for each tlast, whatever the packet's length.

    Without stalls a beat passes in the cycle in which it comes. A packet that ends too early is
    completed with pixels of 0, a beat a cycle; of one that is too long the surplus is dropped, up
    to and with its tlast. Either is reported in the cycle of the beat that shows it: the early
    tlast, or the image's last beat without one.

    Parameters
    ----------
    layout : of the packets

    Members
    -------
    i : In(stream of bytes and last)
    o : Out(stream of pixels)
    hold : In(1), let no further image begin
    held : Out(1), none begins in this cycle because of ``hold``, and none is on its way
    begun : Out(1), the first beat of an image passes
    short, long : Out(1), a packet was too short, too long
    """

    def __init__(self, layout: PacketLayout):
        self.layout = layout
        beat = data.StructLayout({"bytes": layout.input_bytes * 8, "last": 1})
        super().__init__(
            {
                "i": In(stream.Signature(beat)),
                "o": Out(vector_stream(layout.pixel_bits, layout.pixels_per_beat)),
                "hold": In(1),
                "held": Out(1),
                "begun": Out(1),
                "short": Out(1),
                "long": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        layout, i, o = self.layout, self.i, self.o
        beat = Signal(range(layout.input_beats))
        padding = Signal()
        skipping = Signal()
        waiting = Signal()
        first, last = beat == 0, beat == layout.input_beats - 1
        width, bits = layout.pixel_bytes * 8, layout.pixel_bits
        pixels = [i.payload.bytes.word_select(k, width)[:bits] for k in range(len(o.payload))]

        # A beat that was offered stays offered, so `hold` waits for it.
        m.d.sync += waiting.eq(o.valid & ~o.ready)
        m.d.comb += self.held.eq(self.hold & first & ~waiting & ~skipping)
        with m.If(padding):
            m.d.comb += o.valid.eq(1)
        with m.Elif(skipping):
            m.d.comb += i.ready.eq(1)
            with m.If(i.valid & i.payload.last):
                m.d.sync += skipping.eq(0)
        with m.Elif(~self.held):
            m.d.comb += [
                o.valid.eq(i.valid),
                o.payload.as_value().eq(Cat(pixels)),
                i.ready.eq(o.ready),
                self.short.eq(i.valid & o.ready & i.payload.last & ~last),
                self.long.eq(i.valid & o.ready & ~i.payload.last & last),
            ]
        passed = Signal()
        m.d.comb += [passed.eq(o.valid & o.ready), self.begun.eq(passed & first)]
        with m.If(passed):
            m.d.sync += beat.eq(Mux(last, 0, beat + 1))
        with m.If(self.short):
            m.d.sync += padding.eq(1)
        with m.Elif(passed & last):
            m.d.sync += padding.eq(0)
        with m.If(self.long):
            m.d.sync += skipping.eq(1)
        return m


class ScoresOut(wiring.Component):
    """Beats of scores to packets: only wires, so a beat leaves in the cycle in which it comes.

    Parameters
    ----------
    layout : of the packets
    beat : shape of a beat of scores, see :func:`~..head.beat_layout`

    Members
    -------
    i : In(stream of ``beat``)
    o : Out(stream of bytes, keep and last)
    """

    def __init__(self, layout: PacketLayout, beat: data.StructLayout):
        self.layout = layout
        size = layout.output_bytes
        packed = data.StructLayout({"bytes": size * 8, "keep": size, "last": 1})
        super().__init__({"i": In(stream.Signature(beat)), "o": Out(stream.Signature(packed))})

    def elaborate(self, platform):
        m = Module()
        layout, beat = self.layout, self.i.payload
        width, size = layout.score_bytes * 8, layout.output_bytes
        scores = [_extended(beat.scores[k], width) for k in range(layout.scores_per_beat)]
        label = Signal(layout.label_bytes * 8)
        full = layout.scores_per_beat * layout.score_bytes
        m.d.comb += [
            label.eq(beat.label),
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready),
            self.o.payload.last.eq(beat.last),
            self.o.payload.bytes.eq(Cat(scores)),
            self.o.payload.keep.eq((1 << min(full, size)) - 1),
        ]
        with m.If(beat.last):
            m.d.comb += [
                self.o.payload.bytes.eq(Cat(*scores[: layout.last_scores], label)),
                self.o.payload.keep.eq((1 << (layout.label_offset + layout.label_bytes)) - 1),
            ]
        return m


def _extended(score: Value, width: int) -> Value:
    return Value.cast(Cat(score, score[-1].replicate(width - len(score))))
