# SPDX-License-Identifier: BSD-2-Clause
"""Names in the Verilog: every signal says where it belongs, and none is numbered by Amaranth."""

import re

import numpy as np
import pytest
from amaranth.hdl import Cat, Elaboratable, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect, flipped

from tests.support.graphs import lenet, mlp
from tests.support.naming import numbered_signals
from twincell import api
from twincell.hardware import arrays_of
from twincell.hw.network import Network
from twincell.hw.plan import Budget, plan
from twincell.hw.verilog import emit
from twincell.model.nodes import Fill
from twincell.model.planes import FixedPoint, Stochastic

PORTS = re.compile(r"^module (?:\\(\S+) |(\w+))\((.*?)\);", re.MULTILINE | re.DOTALL)


def modules(text: str) -> dict[str, list[str]]:
    """Ports by module."""
    return {
        escaped or plain: [port.strip().removeprefix("\\") for port in ports.split(",")]
        for escaped, plain, ports in PORTS.findall(text.replace(" (", " ("))
    }


def numbered(text: str) -> set[str]:
    """Identifiers with a dollar sign; system tasks have none before their name."""
    return set(re.findall(r"\\\S*\$\S*|\b\w+\$[\w$]*", text))


@pytest.fixture(scope="module", params=["stream", "axi", "wishbone"])
def digits(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("digits")
    return api.build(api.load("digits-mlp"), directory, edge=request.param).verilog.read_text()


def test_no_identifier_is_numbered(digits):
    assert numbered("\\cut$38 \\port$36$0  _00_$1 $readmemb") == {
        "\\cut$38", "\\port$36$0", "_00_$1",
    }  # fmt: skip
    assert numbered(digits) == set()


def test_streams_between_layers_are_named_by_their_ends(digits):
    wires = set(re.findall(r"^  wire (?:\[\d+:0\] )?(\w+);$", digits, re.MULTILINE))
    for source, sink in (("layer1", "layer2_words"), ("layer2_words", "layer2")):
        for signal in ("payload", "valid", "ready"):
            assert wires & {f"{source}__o__{signal}", f"{sink}__i__{signal}"}


def test_ports_of_a_layer_are_its_own(digits):
    found = modules(digits)
    array = next(ports for name, ports in found.items() if name.endswith("layer1.sums.array"))
    for port in ("i__valid", "i__payload__row", "i__payload__inputs", "stored", "o__valid"):
        assert port in array
    queue = next(ports for name, ports in found.items() if name.endswith("layer1.outbox.queue"))
    ports = {f"{end}__{part}" for end in "io" for part in ("payload", "valid", "ready")}
    assert ports >= set(queue) - {"clk", "rst", "soft_reset"}


def test_ternary_weights_change_nothing(tmp_path):
    graph = mlp(np.random.default_rng(4), [21, 6, 5, 3], FixedPoint(3), ternary=True)
    text = api.build(graph, tmp_path, api.Budget(lanes=30)).verilog.read_text()
    assert numbered(text) == set() and "layer1__o__payload" in text


@pytest.mark.parametrize(
    ("kind", "budget"),
    [
        ("digital", {}),
        ("digital", {"arrangement": "rows", "first_layer": "parallel"}),
        ("emulated", {}),
        ("macro", {"cycles_per_read": 4}),
    ],
)
def test_no_signal_is_without_a_name(kind, budget):
    """Of windows, poolings, random numbers and arrays, whatever array, arrangement and weights."""
    rng = np.random.default_rng(5)
    noisy = Stochastic(3, (3, 1), generator="low-discrepancy")
    for graph in (
        lenet(rng, FixedPoint(3), Fill.ABSENT),
        mlp(rng, [12, 6, 3], noisy, ternary=True),
    ):
        if graph.input.planes == noisy:
            budget = budget | {"first_layer": "serial"}
        network = Network(
            graph, plan(graph, Budget(lanes=60, **budget)), arrays=arrays_of(kind, None)
        )
        assert numbered_signals(network) == set()


class Nameless(wiring.Component):
    """Signals that are made in one statement."""

    o: Out(2)

    def elaborate(self, platform):
        m = Module()
        one, two = Signal(), Signal()
        m.d.sync += [one.eq(~one), two.eq(one ^ two)]
        m.d.comb += self.o.eq(Cat(one, two))
        return m


def test_signals_without_a_name_are_found():
    assert "\\$signal" in numbered_signals(Nameless())


class Half(wiring.Component):
    """Takes what is no signal of its own: two fields, and one that repeats another's bits."""

    pair: In(data.StructLayout({"low": 3, "high": 4}))
    twice: In(4)
    some: In(2)
    o: Out(11)

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(Cat(self.pair.low, self.pair.high + self.some, self.twice))
        return m


class Halves(wiring.Component):
    """Two parts of one class, one of them without a name."""

    i: In(10)
    o: Out(12)
    valid: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.half = one = Half()
        m.submodules += (other := Half())
        here = Signal(7)
        m.d.sync += [here.eq(self.i + 1), self.valid.eq(one.o[0])]
        for part in (one, other):
            m.d.comb += [
                part.pair.eq(Cat(self.i[6:9], here[2:6])),
                part.twice.eq(here[:2].replicate(2)),
                part.some.eq(Cat(self.i[1], self.i[0])),
            ]
        m.d.comb += self.o.eq(one.o ^ other.o)
        return m


def test_ports_are_fields_and_bits_of_signals(tmp_path):
    text = emit(Halves(), tmp_path, name="halves").verilog.read_text()
    found = modules(text)
    assert set(found["halves"]) == {"i", "o", "valid", "clk", "rst"}
    for part in ("halves.half", "halves.U_1"):
        assert set(found[part]) >= {"pair__low", "o", "clk", "rst"}
    assert "half__o" in text and "U_1__o" in text and numbered(text) == set()


class Queue(wiring.Component):
    """A part that is no component; locals of one name; a part that is named like a port."""

    i: In(stream.Signature(8))
    o: Out(stream.Signature(8))

    def elaborate(self, platform):
        m = Module()
        m.submodules.i__valid = queue = SyncFIFOBuffered(width=8, depth=3)
        first, second = (Signal(8, name="level") for _ in range(2))
        m.d.sync += [first.eq(self.i.payload + 1), second.eq(first + 1)]
        m.d.comb += [
            self.o.payload.eq(queue.r_data ^ second),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
            queue.w_data.eq(self.i.payload),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
        ]
        return m


def test_what_meets_is_numbered(tmp_path):
    text = emit(Queue(), tmp_path, name="queue").verilog.read_text()
    assert set(modules(text)["queue"]) >= {"i__payload", "i__valid", "o__ready"}
    assert re.search(r"^  \\queue.i__valid_2  i__valid_2 \($", text, re.MULTILINE)
    assert {"level", "level_2"} <= set(re.findall(r"reg \[7:0\] (\w+) =", text))
    assert "i__valid_2__r_data" in text and numbered(text) == set()


class Deep(Elaboratable):
    """Reaches two levels down, past a part that does not use the stream itself."""

    def __init__(self, inner):
        self.inner = inner

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = self.inner
        return m


class Reaching(wiring.Component):
    i: In(stream.Signature(8))
    o: Out(stream.Signature(8))

    def elaborate(self, platform):
        m = Module()
        queue = Queue()
        m.submodules.deep = Deep(queue)
        connect(m, flipped(self.i), queue.i)
        connect(m, queue.o, flipped(self.o))
        return m


def test_a_part_further_down_is_named_by_its_path(tmp_path):
    text = emit(Reaching(), tmp_path, name="reaching").verilog.read_text()
    found = modules(text)
    assert set(found["reaching.deep"]) == {
        "clk", "rst",
        *(f"inner__{s}__{p}" for s in "io" for p in ("payload", "valid", "ready")),
    }  # fmt: skip
    assert set(found["reaching.deep.inner"]) == set(found["reaching"])
