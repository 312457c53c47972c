# SPDX-License-Identifier: BSD-2-Clause
"""The proof that Verilog equals its RTLIL: it is found, and any change to the files is."""

import re

import numpy as np
import pytest
from amaranth.hdl import Const, Instance, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from tests.support.graphs import mlp
from tests.support.tally import Tally
from twincell import api
from twincell.hw import equivalence
from twincell.hw.equivalence import EquivalenceError, prove
from twincell.hw.verilog import emit
from twincell.model.planes import FixedPoint


class Half(wiring.Component):
    """Two memories, one of them written, registers of every kind, a black box and a choice."""

    a: In(4)
    b: In(4)
    q: Out(4)
    r: Out(4)

    def elaborate(self, platform):
        m = Module()
        m.submodules.rom = rom = Memory(shape=4, depth=5, init=[1, 2, 3, 4, 5])
        m.submodules.ram = ram = Memory(shape=4, depth=4, init=[7, 8])
        seen, written = rom.read_port(), ram.write_port()
        read = ram.read_port()
        count = Signal(4, init=3)
        same = Signal(4, init=3)
        never = Signal(4, init=9, reset_less=True)
        m.d.sync += [count.eq(count + self.a), same.eq(same + self.a), never.eq(never)]
        boxed = Signal(4)
        m.submodules.macro = Instance("MACRO", p_ROWS=16, i_a=self.a ^ count, o_q=boxed)
        m.d.comb += [
            seen.addr.eq(self.a),
            written.addr.eq(self.a),
            written.data.eq(self.b ^ same),
            written.en.eq(self.a[0] & self.b[3]),
            read.addr.eq(self.b),
            self.q.eq(Mux(self.a > self.b, seen.data - never, Const(5) + count)),
            self.r.eq(read.data ^ boxed),
        ]
        return m


class Whole(wiring.Component):
    """Two halves."""

    a: In(4)
    b: In(4)
    q: Out(4)
    r: Out(4)

    def elaborate(self, platform):
        m = Module()
        m.submodules.left = left = Half()
        m.submodules.right = right = Half()
        m.d.comb += [
            left.a.eq(self.a), left.b.eq(self.b), right.a.eq(left.q), right.b.eq(self.b),
            self.q.eq(right.q), self.r.eq(left.r ^ right.r),
        ]  # fmt: skip
        return m


@pytest.mark.parametrize("weights", ["files", "inline"])
def test_any_component_is_proven(tmp_path, weights):
    proof = prove(emit(Whole(), tmp_path, name="whole", weights=weights))
    assert proof.modules == 3 and proof.words == 2 * (5 + 4)
    assert str(proof).startswith(f"3 modules, {proof.bits} bits, 18 memory words, ")


class Silent(wiring.Component):
    """A memory that never shows, because a register never changes: Yosys drops both."""

    a: In(1)
    q: Out(4)

    def elaborate(self, platform):
        m = Module()
        m.submodules.hidden = hidden = Memory(shape=4, depth=2, init=[9])
        unseen = hidden.read_port()
        never = Signal(reset_less=True)
        m.d.sync += never.eq(never)
        m.d.comb += [unseen.addr.eq(self.a), self.q.eq(Mux(never, unseen.data, 5))]
        return m


def test_what_only_the_rtlil_has_is_constant_or_free(tmp_path):
    made = emit(Silent(), tmp_path, name="silent")
    assert "hidden" not in made.verilog.read_text()
    assert prove(made).words == 0


def test_a_top_of_another_name_is_proven(tmp_path):
    made = emit(Tally(13, 5, 3, 5, 2), tmp_path, name="table")
    assert made.top == "table_" and prove(made).modules == 1


# What changes in the Verilog, and what the message must say.
CHANGES = [
    (r" \+ ", " - ", r"in module whole\.left, count"),
    (r" > b\b", " >= b", r"in module whole\.left, q\["),
    (r"count = 4'h3;", "count = 4'h2;", r"in module whole\.left, count\[0\] starts as 0, not 1"),
    (r"posedge clk", "negedge clk", "WR_CLK_POLARITY of the memory ram is 0, not 1"),
    (r"posedge clk(\)\n[^@]* count <)", r"negedge clk\1", r"count\[\d\] takes the other edge"),
    (r"posedge clk(\)\n[^@]* count <)", r"posedge rst\1", r"left, clock of count\["),
    (r"\.a\(a\)", ".a(b)", r"in module whole, left\.a\[0\]"),
    (r"d16\)", "d17)", r"in module whole\.left, macro is another instance than one of MACRO"),
    (r"\.q\(boxed\)", ".p(boxed)", r"in module whole\.left, port of macro q is missing"),
    (r"\n  assign r = [^;]*;", "", r"in module whole, r\[0\]"),
    (r"(\n  assign r = )[^;]*;", r"\g<1>4'hx;", r"in module whole, r\[0\]"),
    (r"(\n  assign r = )([^;]*;)", r"\g<1>\g<2>\g<1>b;", "in module whole, b = r has two drivers"),
    (r"(\n  assign r = )([^;]*;)", r"\g<1>r ^ \g<2>", "Yosys failed .*"),
    (r"\n  \\whole\.left  left \(.*?\);", "", "in module whole, instance left is missing"),
    (r"\nendmodule", "\nendmodule\nmodule more; endmodule", "module more is one too many"),
    (r"\[3:0\] ram \[3:0\]", "[3:0] ram [7:0]", "SIZE of the memory ram is 8, not 4"),
]


@pytest.mark.parametrize("change", range(len(CHANGES)))
def test_a_change_to_the_verilog_is_seen(tmp_path, change):
    old, new, said = CHANGES[change]
    made = emit(Whole(), tmp_path, name="whole")
    text, count = re.subn(old, new, made.verilog.read_text(), count=1, flags=re.DOTALL)
    assert count
    made.verilog.write_text(text)
    with pytest.raises(EquivalenceError, match=said):
        prove(made)


@pytest.mark.parametrize("weights", ["files", "inline"])
def test_a_bit_of_a_memory_is_seen(tmp_path, weights):
    made = emit(Whole(), tmp_path, name="whole", weights=weights)
    if weights == "files":
        path = tmp_path / "whole.right.rom.mem"
        path.write_text(path.read_text().replace("0100", "0110"))
    else:
        before, after = made.verilog.read_text().split("\nmodule \\whole.right ")
        changed = after.replace("rom[3] = 4'h4", "rom[3] = 4'h6")
        assert changed != after
        made.verilog.write_text(f"{before}\nmodule \\whole.right {changed}")
    with pytest.raises(
        EquivalenceError, match=r"in module whole.right, rom\[3\] is 0110, not 0100"
    ):
        prove(made)


def test_bits_that_nobody_looked_at_are_no_proof(tmp_path, monkeypatch):
    monkeypatch.setattr(equivalence, "PROVE", "read_json joined.json\ndelete m1\n"
                        "tee -q -o status.txt equiv_status\n")  # fmt: skip
    with pytest.raises(EquivalenceError, match=r"Yosys compared \d+ bits of \d+$"):
        prove(emit(Whole(), tmp_path, name="whole"))


# --- Networks ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def graph():
    return mlp(np.random.default_rng(4), [21, 6, 5, 3], FixedPoint(3))


@pytest.mark.parametrize("edge", api.EDGES)
def test_a_network_is_proven_with_every_edge(graph, tmp_path, edge):
    built = api.build(graph, tmp_path, edge=edge, proven=True)
    text = built.verilog.read_text()
    assert built.proof.modules == text.count("\nendmodule")
    lines = [path.read_text().split() for path in built.memories]
    cleared = map(int, re.findall(r"cleared < (\d+);", text))  # memories without contents
    assert built.proof.words == sum(map(len, lines)) + sum(cleared)


@pytest.mark.slow
@pytest.mark.parametrize("net", ["digits-mlp", "mnist-mlp"])
@pytest.mark.parametrize("edge", api.EDGES)
def test_the_zoo_is_proven_with_every_edge(tmp_path, net, edge):
    proof = api.build(api.load(net), tmp_path, edge=edge, proven=True).proof
    assert proof.bits > 5000
