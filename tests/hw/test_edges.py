# SPDX-License-Identifier: BSD-2-Clause
"""Edges: the register map and its files, packets in Amaranth's simulator, what is refused, and
whether other tools take the files."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from amaranth.hdl import Cat, ClockSignal, Module, ResetSignal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from tests.support import edges as support
from twincell import api
from twincell.hw import verilog
from twincell.hw.arrays.emulated import EmulatedArrays
from twincell.hw.edges import companions
from twincell.hw.edges.bank import Bank
from twincell.hw.edges.build import build
from twincell.hw.edges.identity import Identity
from twincell.hw.edges.network_map import network_registers
from twincell.hw.edges.packets import ImageIn, PacketLayout, ScoresOut
from twincell.hw.edges.registers import (
    MAGIC,
    Access,
    Field,
    Register,
    RegisterMap,
)
from twincell.hw.edges.wrapper import Edge, Wrapper
from twincell.hw.head import beat_layout
from twincell.hw.loading import Target
from twincell.hw.network import Network
from twincell.hw.plan import Budget, PlanError, plan
from twincell.sim import toolchain


def layout(**changes):
    sizes = {
        "pixels": 5, "pixel_bits": 3, "pixel_bytes": 1, "pixels_per_beat": 2, "input_beats": 3,
        "classes": 5, "score_bits": 9, "score_bytes": 2, "scores_per_beat": 2, "output_beats": 3,
        "label_bytes": 1,
    }  # fmt: skip
    return PacketLayout(**{**sizes, **changes})


def images_in(beats, *, ready=lambda cycle: True, hold=lambda cycle: False, cycles=60):
    """What leaves ImageIn for (bytes, last) beats, and how many packets were short and long."""
    component, left, counted = ImageIn(layout()), [], {"short": 0, "long": 0, "begun": 0}

    async def bench(ctx):
        queue = list(beats)
        for cycle in range(cycles):
            ctx.set(component.o.ready, ready(cycle))
            ctx.set(component.hold, hold(cycle))
            ctx.set(component.i.valid, bool(queue))
            if queue:
                ctx.set(component.i.payload.bytes, queue[0][0])
                ctx.set(component.i.payload.last, queue[0][1])
            for name in counted:
                counted[name] += ctx.get(getattr(component, name))
            if ctx.get(component.o.valid) and ready(cycle):
                left.append((cycle, [ctx.get(component.o.payload[k]) for k in range(2)]))
            if queue and ctx.get(component.i.ready):
                queue.pop(0)
            await ctx.tick()

    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return left, counted


GOOD = [(0x0201, 0), (0x0403, 0), (0xFF05, 1)]


@pytest.mark.parametrize("ready", [lambda cycle: True, lambda cycle: cycle % 3 == 0])
def test_one_image_leaves_for_each_tlast(ready):
    short, long = [(0x0706, 1)], [*GOOD[:2], (0x0005, 0), (0x1111, 0), (0x2222, 1)]
    left, counted = images_in([*GOOD, *short, *long, *GOOD], ready=ready)
    # Bits above a pixel's mean nothing: 0xff is 7.
    right = [[1, 2], [3, 4], [5, 7]]
    cut = [[1, 2], [3, 4], [5, 0]]
    assert [pixels for _, pixels in left] == [*right, [6, 7], [0, 0], [0, 0], *cut, *right]
    assert counted == {"short": 1, "long": 1, "begun": 4}


def test_images_follow_each_other_without_a_gap():
    """The wrapper adds no cycle to the network's own."""
    left, _ = images_in([*GOOD, *GOOD, *GOOD])
    assert [cycle for cycle, _ in left] == list(range(9))


def test_hold_lets_no_further_image_begin():
    left, counted = images_in([*GOOD, *GOOD], hold=lambda cycle: 1 <= cycle < 20)
    assert [cycle for cycle, _ in left] == [0, 1, 2, 20, 21, 22]
    assert counted["begun"] == 2


def test_hold_waits_for_a_beat_that_was_offered():
    left, _ = images_in(GOOD, ready=lambda cycle: cycle >= 5, hold=lambda cycle: 2 <= cycle < 9)
    assert [cycle for cycle, _ in left] == [5, 6, 7]


@pytest.mark.parametrize(
    ("per_beat", "beats", "keeps", "size"),
    [(2, 3, [0b1111, 0b1111, 0b0111], 4), (5, 1, [0b11111111111], 11), (1, 5, [3, 3, 3, 3, 7], 3)],
)
def test_scores_lie_side_by_side_and_the_label_behind(per_beat, beats, keeps, size):
    packet = layout(scores_per_beat=per_beat, output_beats=beats)
    assert packet.output_bytes == size
    component = ScoresOut(packet, beat_layout(signed(packet.score_bits), per_beat, 5))
    found = bytearray()

    async def bench(ctx):
        scores = [-1, 100, -100, 0, 7]
        for beat, keep in enumerate(keeps):
            for k in range(per_beat):
                index = beat * per_beat + k
                value = scores[index] if index < 5 else 99
                ctx.set(component.i.payload.scores[k], value)
            ctx.set(component.i.payload.label, 3)
            ctx.set(component.i.payload.last, beat == beats - 1)
            assert ctx.get(component.o.payload.keep) == keep
            assert ctx.get(component.o.payload.last) == (beat == beats - 1)
            octets = ctx.get(component.o.payload.bytes).to_bytes(size, "little")
            found.extend(octets[: keep.bit_length()])

    simulator = Simulator(component)
    simulator.add_testbench(bench)
    simulator.run()
    assert np.frombuffer(found[:10], "<i2").tolist() == [-1, 100, -100, 0, 7]
    assert found[10:] == b"\x03"


def planned(lanes=60):
    graph = support.network(1, (23, 14, 5), 3, False)
    return graph, plan(graph, Budget(lanes=lanes))


# --- The register map ------------------------------------------------------------------------


def test_the_map_has_room_for_so_many_emulated_arrays():
    names = [f"layer{index}" for index in range(16)]
    network_registers(configuration=0, build=0, emulated=names[:15])
    message = r"^The map has room for the counters of 15 emulated arrays, not of 16; bare streams"
    with pytest.raises(PlanError, match=message):
        network_registers(configuration=0, build=0, emulated=names)


def test_the_map_is_one_description(tmp_path):
    registers = network_registers(configuration=0x11223344, build=0x55667788)
    assert registers["MAGIC"].offset == 0 and registers["MAGIC"].value == MAGIC
    assert MAGIC.to_bytes(4, "little") == b"TWCL"
    header = tmp_path / "registers.h"
    header.write_text(registers.c_header("net"))
    code = tmp_path / "main.c"
    code.write_text(
        '#include <stdio.h>\n#include "registers.h"\nint main(void) {\n'
        + "".join(f'printf("%u\\n", NET_{r.name});\n' for r in registers.registers)
        + 'printf("%u\\n", NET_BUILD_VALUE);\nprintf("%u\\n", NET_CONTROL_HOLD);\nreturn 0; }\n'
    )
    subprocess.run(["g++", "-Wall", "-Werror", code, "-o", tmp_path / "main"], check=True)
    said = subprocess.run([tmp_path / "main"], capture_output=True, text=True).stdout.split()
    offsets = [register.offset for register in registers.registers]
    assert [int(word) for word in said] == [*offsets, 0x55667788, 4]
    table = registers.markdown("Registers")
    for register in registers.registers:
        assert f"| 0x{register.offset:03x} | `{register.name}` |" in table
    stored = json.loads(json.dumps(registers.as_dict()))["registers"]
    assert [each["offset"] for each in stored] == offsets


def test_a_bank_answers_as_its_map_says():
    """Bytes, pulses, sticky bits, steps and errors, an access at a time."""
    fields = (Field("A", 0, 12, ""), Field("P", 16, 1, "", pulse=True))
    registers = RegisterMap(
        (
            Register("ID", 0, Access.CONSTANT, "", value=0xCAFE),
            Register("NOW", 4, Access.STATUS, ""),
            Register("MODE", 8, Access.STORED, "", fields),
            Register("BAD", 12, Access.STICKY, "", (Field("E", 0, 2, ""),)),
            Register("WORD", 16, Access.WINDOW, ""),
        )
    )  # fmt: skip
    bank = Bank(registers)
    log = []

    async def access(ctx, offset, data=None, select=15):
        ctx.set(bank.bus.stb, 1)
        ctx.set(bank.bus.we, data is not None)
        ctx.set(bank.bus.address, offset // 4)
        ctx.set(bank.bus.data, data or 0)
        ctx.set(bank.bus.select, select)
        cycles = 0
        while not ctx.get(bank.bus.ack):
            await ctx.tick()
            cycles += 1
        answer = ctx.get(bank.bus.read), ctx.get(bank.bus.error), cycles
        ctx.set(bank.bus.stb, 0)
        await ctx.tick()
        return answer

    async def bench(ctx):
        ctx.set(bank.now, 77)
        assert await access(ctx, 0) == (0xCAFE, 0, 1)
        assert await access(ctx, 4) == (77, 0, 1)
        for offset in (0, 4, 20):
            assert (await access(ctx, offset, 1))[1] == 1
        assert await access(ctx, 20) == (0, 1, 1)
        await access(ctx, 8, 0x1FFFF)
        assert await access(ctx, 8) == (0xFFF, 0, 1)  # the pulse is over, other bits do not exist
        await access(ctx, 8, 0, select=0b0001)
        assert (await access(ctx, 8))[0] == 0xF00
        ctx.set(bank.mode_step, 1)
        await ctx.tick()
        ctx.set(bank.mode_step, 0)
        assert (await access(ctx, 8))[0] == 0xF01
        ctx.set(bank.bad_set, 7)
        await ctx.tick()
        ctx.set(bank.bad_set, 0)
        assert (await access(ctx, 12))[0] == 3
        await access(ctx, 12, 1)
        assert (await access(ctx, 12))[0] == 2
        assert (await access(ctx, 16))[1] == 1  # a window is only written
        assert (await access(ctx, 16, 5, select=0b0111))[1] == 1  # in whole words
        ctx.set(bank.word_refused, 1)
        assert (await access(ctx, 16, 5))[1:] == (1, 1)
        ctx.set(bank.word_refused, 0)
        log.append(await access(ctx, 16, 9))

    async def window(ctx):
        """Takes its word five cycles after it was first offered."""
        while not (ctx.get(bank.word_put) and not ctx.get(bank.word_refused)):
            await ctx.tick()
        for _ in range(5):
            await ctx.tick()
        assert ctx.get(bank.word_data) == 9
        ctx.set(bank.word_ready, 1)
        await ctx.tick()
        ctx.set(bank.word_ready, 0)

    simulator = Simulator(bank)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.add_testbench(window, background=True)
    simulator.run()
    assert log[0][1:] == (0, 6)


REFUSALS = [
    (lambda: Register("A", 2, Access.STORED, ""), ValueError,
     "A must lie at a multiple of 4 below 0x1000, not 0x2"),
    (lambda: Register("A", 0x1000, Access.STORED, ""), ValueError,
     "A must lie at a multiple of 4 below 0x1000, not 0x1000"),
    (lambda: Register("A", 0, Access.CONSTANT, "", value=1 << 32), ValueError,
     "A holds 32 bits, not 0x100000000"),
    (lambda: Register("A", 0, Access.STORED, "", (Field("B", 0, 2, ""), Field("C", 1, 1, ""))),
     ValueError, "A.C overlaps or leaves the 32 bits"),
    (lambda: RegisterMap(tuple(Register("A", at, Access.STORED, "") for at in (0, 4))), ValueError,
     "Two registers have the same name: ['A', 'A']"),
    (lambda: Edge("pci"), ValueError, "The bus is one of axi, wishbone, not 'pci'"),
    (lambda: Edge("axi", "rising"), ValueError, "The reset is one of low, high, not 'rising'"),
    (lambda: Edge(3), TypeError, "The bus must be a string, not 3"),
    (lambda: Wrapper(Network(*planned()), Edge()), ValueError,
     "The network 'random' must be loadable"),
    (lambda: Wrapper(None, Edge()), TypeError,
     f"A wrapper takes a Network and an Edge, not None and {Edge()!r}"),
    (lambda: Target("T", "constants", 2, 8, -8, 7, 4).lines([[0, 8], [0, 0]]), ValueError,
     "T takes -8 to 7, not 0 to 8"),
    (lambda: Target("T", "constants", 2, 8, -8, 7, 4).lines([[0], [0]]), ValueError,
     "T takes (2, 2), not (2, 1)"),
    (lambda: companions.constraints(0.0, "clk"), ValueError,
     "The clock must be a positive number of hertz, not 0.0"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "message"), REFUSALS)
def test_refusals(make, kind, message):
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        make()


def test_identity_tells_networks_apart():
    def identity(seed=1, lanes=60, edge=None):
        graph = support.network(seed, (23, 14, 5), 3, False)
        network = Network(graph, plan(graph, Budget(lanes=lanes)), loadable=True)
        return Identity.of(network, edge or Edge())

    same = identity()
    assert same == identity()
    assert identity(seed=2).configuration == same.configuration
    for other in (identity(seed=2), identity(lanes=90), identity(edge=Edge("wishbone"))):
        assert other.build != same.build
    assert identity(lanes=90).configuration != same.configuration


def test_identity_tells_what_is_counted():
    """Without a count of programmings there are no registers for it."""
    graph = support.network(1, (23, 14, 5), 3, False)
    networks = [
        Network(graph, plan(graph), loadable=True, arrays=EmulatedArrays(wear=wear))
        for wear in (False, True)
    ]
    first, second = (Identity.of(network, Edge()) for network in networks)
    assert first.configuration != second.configuration and first.weights == second.weights


def test_lines_hold_elements_from_the_lowest_bit_on():
    target = Target("T", "constants", 1, 40, -128, 127, 8)
    assert target.lines([[1, -1, 2, -128, 5]]).tolist() == [[0x8002FF01, 5]]


# --- What is written beside the Verilog --------------------------------------------------------


@pytest.fixture(scope="module", params=["stream", "axi", "wishbone"])
def digits(request, tmp_path_factory):
    """digits-mlp with each edge."""
    directory = tmp_path_factory.mktemp("digits") / request.param
    return request.param, api.build(
        api.load("digits-mlp"), directory, api.Budget(clock=125e6), edge=request.param
    )


def test_lint_prints_nothing_with_the_waiver(digits):
    _, built = digits
    tool = toolchain.verilator()
    command = [tool.binary, "--lint-only", "-Wall", "--quiet", "digits-mlp.vlt", "digits-mlp.v"]
    run = subprocess.run(
        [*command, "--top-module", built.top],
        cwd=built.directory,
        env=tool.environment(),
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stdout + run.stderr) == (0, "")
    waiver = (built.directory / "digits-mlp.vlt").read_text()
    rules = re.findall(r'^lint_off -rule (\w+) -file "\*digits-mlp\.v"$', waiver, re.MULTILINE)
    assert rules == list(companions.WAIVERS)
    assert waiver.count("\n") == 1 + 2 * len(rules)  # each rule with its reason, and nothing else


def test_fusesoc_takes_the_core(digits, tmp_path):
    _, built = digits
    pytest.importorskip("fusesoc")
    shutil.copytree(built.directory, tmp_path / "cores")
    tool = toolchain.verilator()
    name = f"twincell:networks:{built.top}"
    for command, expected in (
        (["core", "show", name], "lint    :"),
        (["run", "--target=lint", name], ""),
    ):
        run = subprocess.run(
            [sys.executable, "-m", "fusesoc.main", "--cores-root", "cores", *command],
            cwd=tmp_path,
            env={**tool.environment(), "XDG_CONFIG_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0 and expected in run.stdout, run.stdout + run.stderr


def test_the_files_say_the_same(digits):
    edge, built = digits
    files = {path.name for path in built.files}
    assert files == {path.name for path in built.directory.iterdir()}
    sdc = (built.directory / "digits-mlp.sdc").read_text()
    port = "clk" if edge == "stream" else "aclk"
    assert f"create_clock -name {port} -period 8.000 [get_ports {port}]" in sdc
    ports = json.loads(built.ports.read_text())
    about = ports["about"]["edge"]
    assert about["bus"] == edge and about["clock"] == ports["clock"] == port
    assert about["reset"] == ports["reset"]
    core = (built.directory / "digits-mlp.core").read_text()
    for path in (built.verilog, *built.memories):
        assert f"- {path.name} : " in core
    if edge == "stream":
        assert "digits-mlp.tcl" not in files
        return
    assert {about["reset"], "s_axis_tdata", "m_axis_tkeep"} <= ports["ports"].keys()
    tcl = (built.directory / "digits-mlp.tcl").read_text()
    for path in (built.verilog, *built.memories):
        assert f"{{{path.name}}}" in tcl
    assert "set_property value ACTIVE_LOW $polarity" in tcl
    assert ("-busif s_axil" in tcl) == (edge == "axi")
    assert tcl.count("{") == tcl.count("}") and tcl.count("[") == tcl.count("]")
    registers = json.loads((built.directory / about["registers"]).read_text())
    values = {each["name"]: each["value"] for each in registers["registers"]}
    assert values["BUILD"] == int(about["identity"]["build"][:8], 16)
    assert [each["name"] for each in about["targets"]][:2] == [
        "layer1 word lines",
        "layer1 constants",
    ]


def test_bytes_depend_on_nothing_else(tmp_path):
    graph, made = planned()
    for where in ("one", "two"):
        build(graph, made, tmp_path / where, edge=Edge("axi", "high"), clock=1e8)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(names) > 8
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert "ACTIVE_HIGH" in (tmp_path / "one" / "random.tcl").read_text()


def test_a_wrapper_is_a_part_like_any_other(tmp_path):
    """Its clock domain is its own: a design around it has one of the same name."""

    class Design(wiring.Component):
        ask: In(1)
        answers: Out(2)
        count: Out(8)

        def elaborate(self, platform):
            m = Module()
            for name, answer in zip(("left", "right"), self.answers, strict=True):
                graph, made = planned()
                m.submodules[name] = wrapper = Wrapper(
                    Network(graph, made, loadable=True), Edge("wishbone", "high")
                )
                m.d.comb += [
                    wrapper.aclk.eq(ClockSignal()),
                    wrapper.areset.eq(ResetSignal()),
                    Cat(wrapper.wb_cyc_i, wrapper.wb_stb_i).eq(self.ask.replicate(2)),
                    answer.eq(wrapper.wb_ack_o),
                ]
            m.d.sync += self.count.eq(self.count + 1)
            return m

    emitted = verilog.emit(Design(), tmp_path, name="design")
    ports = json.loads(emitted.ports.read_text())
    assert (ports["clock"], ports["reset"]) == ("clk", "rst")
    top = emitted.verilog.read_text().partition("endmodule")[0]
    assert "always @(posedge clk)" in top and top.count(".aclk(clk)") == 2


def test_unknown_edges_are_refused(tmp_path):
    graph = api.load("digits-mlp")
    for options, message in (
        ({"edge": "pci"}, "The edge is one of stream, axi, wishbone, not 'pci'"),
        ({"edge": "axi", "reset": "up"}, "The reset is one of low, high, not 'up'"),
        ({"reset": "low"}, "The reset of bare streams is active high; 'low' needs another edge"),
    ):
        with pytest.raises(api.UsageError, match=f"^{re.escape(message)}$"):
            api.build(graph, tmp_path, **options)
