# SPDX-License-Identifier: BSD-2-Clause
"""Planted bugs in the edges: each must be seen by the tests that the edges go through."""

import pytest
from amaranth.hdl import C

from tests.hw import test_edges, test_fronts
from tests.support.planted import planted
from twincell.hw.edges import bank, packets
from twincell.hw.edges.bank import Bank
from twincell.hw.edges.fronts import AxiLite, Wishbone
from twincell.hw.edges.loader import Loader
from twincell.hw.edges.packets import ImageIn, ScoresOut


def _images() -> None:
    test_edges.test_one_image_leaves_for_each_tlast(lambda cycle: cycle % 3 == 0)
    test_edges.test_hold_lets_no_further_image_begin()
    test_edges.test_hold_waits_for_a_beat_that_was_offered()


def _scores() -> None:
    keeps = [0b1111, 0b1111, 0b0111]
    test_edges.test_scores_lie_side_by_side_and_the_label_behind(2, 3, keeps, 4)


def _bank() -> None:
    test_edges.test_a_bank_answers_as_its_map_says()


def _axi() -> None:
    test_fronts.random_accesses(AxiLite())


def _wishbone() -> None:
    test_fronts.random_accesses(Wishbone())


def _lines() -> None:
    test_fronts.load_lines()


# What is wrong; the test that must fail; where; the text and what stands there instead.
MUTANTS = {
    "strobes ignored": (_bank, bank, "_build",
        "bit.replicate(8) for bit in", "C(255, 8) for bit in"),
    "strobes reversed": (_axi, bank, "_build",
        "in bus.select)", "in reversed(bus.select))"),
    "pulse that stays": (_bank, bank, "_build",
        "(stored & ~register.pulses)", "stored"),
    "bits that do not exist": (_bank, bank, "_build",
        "new & register.mask", "new"),
    "sticky bits cleared by 0": (_bank, bank, "_build",
        "bits & ~cleared", "bits & cleared"),
    "window takes parts of words": (_bank, bank, "_build",
        "bus.we & whole)", "bus.we)"),
    "window without its error": (_bank, bank, "_build",
        "bus.error.eq(refused |", "bus.error.eq("),
    "constant written without error": (_bank, bank, "_answer",
        "bus.error.eq(bus.we)", "bus.error.eq(0)"),
    "address above 64 bytes ignored": (_axi, Bank, "elaborate",
        "bus.address == register.offset // 4", "bus.address[:4] == (register.offset // 4) % 16"),
    "no error where there is no register": (_wishbone, Bank, "elaborate",
        "bus.error.eq(1)", "bus.error.eq(0)"),
    "acknowledged twice": (_wishbone, Bank, "elaborate",
        "bus.stb & ~bus.ack", "bus.stb"),
    "byte address taken for a word": (_axi, AxiLite, "elaborate",
        "self.awaddr[2:]", "self.awaddr[:10]"),
    "wstrb ignored": (_axi, AxiLite, "elaborate",
        "bus.select.eq(self.wstrb)", "bus.select.eq(15)"),
    "data of the address": (_axi, AxiLite, "elaborate",
        "with m.If(bus.we):\n        m.d.comb", "with m.If(~bus.we):\n        m.d.comb"),
    "error never answered": (_axi, AxiLite, "elaborate",
        "self.bresp.eq(bus.error << 1)", "self.bresp.eq(0)"),
    "written before the data is there": (_axi, AxiLite, "elaborate",
        "started & ~self.awready & ~self.wready", "started & ~self.awready"),
    "answer withdrawn": (_axi, AxiLite, "elaborate",
        "with m.If(self.bready):", "with m.If(1):"),
    "cyc ignored by the end of an access": (_wishbone, Wishbone, "elaborate",
        "self.ack.eq(bus.stb & bus.ack & ~bus.error)", "self.ack.eq(bus.ack)"),
    "err and ack at once": (_wishbone, Wishbone, "elaborate",
        "bus.ack & ~bus.error)", "bus.ack)"),
    "we ignored": (_wishbone, Wishbone, "elaborate",
        "bus.we.eq(self.we)", "bus.we.eq(0)"),
    "sel ignored": (_wishbone, Wishbone, "elaborate",
        "bus.select.eq(self.sel)", "bus.select.eq(15)"),
    "bytes of an image swapped": (_images, ImageIn, "elaborate",
        "Cat(pixels)", "Cat(reversed(pixels))"),
    "beat not counted from 0 again": (_images, ImageIn, "elaborate",
        "Mux(last, 0, beat + 1)", "beat + 1"),
    "image ends a beat early": (_images, ImageIn, "elaborate",
        "beat == layout.input_beats - 1", "beat == layout.input_beats - 2"),
    "surplus not dropped": (_images, ImageIn, "elaborate",
        "skipping.eq(1)", "skipping.eq(0)"),
    "short image not completed": (_images, ImageIn, "elaborate",
        "padding.eq(1)", "padding.eq(0)"),
    "tlast of the surplus missed": (_images, ImageIn, "elaborate",
        "i.valid & i.payload.last):", "i.valid):"),
    "hold in the middle of an image": (_images, ImageIn, "elaborate",
        "self.hold & first &", "self.hold &"),
    "offered beat withdrawn by hold": (_images, ImageIn, "elaborate",
        "first & ~waiting &", "first &"),
    "scores in reverse": (_scores, ScoresOut, "elaborate",
        "Cat(scores))", "Cat(reversed(scores)))"),
    "bytes of a score swapped": (_scores, packets, "_extended",
        "Cat(score, score[-1].replicate(width - len(score)))",
        "Cat(score[8:], score[-1].replicate(width - len(score)), score[:8])"),
    "scores without sign": (_scores, packets, "_extended",
        "score[-1].replicate", "C(0, 1).replicate"),
    "label a byte late": (_scores, ScoresOut, "elaborate",
        "[: layout.last_scores], label)", "[: layout.last_scores], C(0, 8), label)"),
    "tkeep without the label": (_scores, ScoresOut, "elaborate",
        "layout.label_offset + layout.label_bytes", "layout.label_offset"),
    "tlast never": (_scores, ScoresOut, "elaborate",
        "last.eq(beat.last)", "last.eq(0)"),
    "line a word short": (_lines, Loader, "elaborate",
        "count == words - 1", "count == words - 2"),
    "words of a line in reverse": (_lines, Loader, "elaborate",
        "Cat(offered.line, self.word)[WORD:]", "Cat(self.word, offered.line)"),
    "count not reset by restart": (_lines, Loader, "elaborate",
        "with m.Elif(self.restart):", "with m.Elif(0):"),
    "count not reset by a line": (_lines, Loader, "elaborate",
        "Mux(last, 0, count + 1)", "count + 1"),
    "row behind the last taken": (_lines, Loader, "elaborate",
        "self.row >= rows", "self.row > rows"),
    "word taken when not allowed": (_lines, Loader, "elaborate",
        "self.ready & self.allowed &", "self.ready &"),
    "line offered forever": (_lines, Loader, "elaborate",
        "m.d.sync += self.o.valid.eq(0)", "m.d.sync += self.o.valid.eq(1)"),
    "line dropped before it is taken": (_lines, Loader, "elaborate",
        "with m.If(self.o.valid & self.o.ready):", "with m.If(self.o.valid):"),
    "line waits at the row of the next": (_lines, Loader, "elaborate",
        "offered.row.eq(self.row),\n", "\n"),
    "line waits at the target of the next": (_lines, Loader, "elaborate",
        "offered.target.eq(self.target),\n", "\n"),
    "row steps before its last word": (_lines, Loader, "elaborate",
        "self.collected.eq(taken & last)", "self.collected.eq(taken)"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_bug_is_seen(name, monkeypatch):
    test, place, attribute, old, new = MUTANTS[name]
    changed = planted(getattr(place, attribute), old, new)
    monkeypatch.setattr(place, attribute, changed)
    monkeypatch.setitem(changed.__globals__, "C", C)
    with pytest.raises(AssertionError):
        test()


@pytest.mark.parametrize("test", [_images, _scores, _bank, _axi, _wishbone, _lines])
def test_the_design_passes(test):
    test()
