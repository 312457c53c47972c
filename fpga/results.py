# SPDX-License-Identifier: BSD-2-Clause
"""Results of images as 32-bit words, in a queue that the host empties."""

from dataclasses import asdict, dataclass

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..hw.edges.packets import PacketLayout
from ..hw.queue import Queue

WORD_BYTES = 4


@dataclass(frozen=True)
class ResultLayout:
    """Where the scores and the label of an image lie in the words of its result.

    All scores in class order, signed, then the label, each in ``unit_bytes`` bytes, little-endian
    and without gaps; zeros fill the last word.
    """

    classes: int
    unit_bytes: int

    @classmethod
    def of(cls, packets: PacketLayout) -> "ResultLayout":
        """The smallest units that hold a score and the label."""
        needed = max(packets.score_bytes, packets.label_bytes)
        return cls(packets.classes, next(size for size in (1, 2, 4) if size >= needed))

    @property
    def units_per_word(self) -> int:
        """Units of a word."""
        return WORD_BYTES // self.unit_bytes

    @property
    def words(self) -> int:
        """Words of a result."""
        return -(-(self.classes + 1) // self.units_per_word)

    def as_dict(self) -> dict:
        """Plain data, for the description."""
        return {**asdict(self), "words": self.words}


class Results(wiring.Component):
    """Beats of scores to words, a score a cycle, and a queue of words.

    While the queue is full no beat is taken, so nothing is lost.

    Parameters
    ----------
    layout : of a result
    beat : shape of a beat of scores, see :func:`~twincell.hw.head.beat_layout`
    depth : results that the queue holds

    Members
    -------
    i : In(stream of ``beat``)
    finished : Out(1), the last word of a result is put into the queue
    word : Out(32), the word that was put first, 0 when there is none
    take : In(1), drops it
    waiting : Out, words in the queue
    """

    def __init__(self, layout: ResultLayout, beat, depth: int):
        self.layout = layout
        self.words = max(layout.words * depth, 2)  # of the queue
        super().__init__(
            {
                "i": In(stream.Signature(beat)),
                "finished": Out(1),
                "word": Out(WORD_BYTES * 8),
                "take": In(1),
                "waiting": Out(range(self.words + 1)),
            }
        )

    def elaborate(self, platform):
        # beat -> a unit a cycle -> shift register of a word -> queue
        m = Module()
        layout, beat = self.layout, self.i.payload
        bits, per_word = layout.unit_bytes * 8, layout.units_per_word
        units = layout.words * per_word
        m.submodules.queue = queue = Queue(32, self.words)

        index = Signal(range(max(len(beat.scores), 2)))  # of the score in its beat
        unit = Signal(range(units))
        score = Signal(beat.scores[0].shape())
        value = Signal(bits)
        m.d.comb += [score.eq(beat.scores[index]), value.eq(score)]
        with m.If(unit == layout.classes):
            m.d.comb += value.eq(beat.label)
        with m.Elif(unit > layout.classes):
            m.d.comb += value.eq(0)

        collected = Signal(32 - bits if per_word > 1 else 0)
        whole = (unit % per_word) == per_word - 1
        step = Signal()
        done = unit == units - 1
        beat_ends = Mux(beat.last, done, index == len(beat.scores) - 1)
        m.d.comb += [
            step.eq(self.i.valid & (~whole | queue.i.ready)),
            queue.i.payload.eq(Cat(collected, value)),
            queue.i.valid.eq(self.i.valid & whole),
            self.i.ready.eq(step & beat_ends),
            self.finished.eq(step & done),
        ]
        with m.If(step):
            m.d.sync += [
                collected.eq(Cat(collected, value)[bits:]),
                unit.eq(Mux(done, 0, unit + 1)),
                index.eq(Mux(beat_ends, 0, index + 1)),
            ]
        m.d.comb += [
            self.word.eq(Mux(queue.o.valid, queue.o.payload, 0)),
            queue.o.ready.eq(self.take),
            self.waiting.eq(queue.level),
        ]
        return m
