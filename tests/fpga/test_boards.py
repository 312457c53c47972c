# SPDX-License-Identifier: BSD-2-Clause
"""Boards: what fits, the commands of their builds, the cache, and which board is meant."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from amaranth.hdl import Fragment
from typer.testing import CliRunner

from tests.support import instrument as support
from tests.support.naming import numbered_signals
from twincell import api, cli
from twincell.fpga import flow, placed, program, tools
from twincell.fpga.clocks import PlatformClock, Ratio
from twincell.fpga.description import FILE, Description, DescriptionError, describe
from twincell.fpga.host.ports import uart_port
from twincell.fpga.instrument import Instrument
from twincell.fpga.memory import BlockRam, memories
from twincell.fpga.targets import BOARDS, BoardError, board
from twincell.fpga.tools import FlowError, Step
from twincell.fpga.uart import clocks_per_bit
from twincell.hw.tools import ToolMissing
from twincell.model import store

RESULTS = Path(__file__).parents[2] / "docs" / "results"
FAMILIES = {"ice40", "ecp5", "gowin", "xilinx"}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    # Not by XDG_CACHE_HOME, where the tools keep themselves compiled.
    monkeypatch.setattr(tools, "cache_directory", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "fpga"


def port(device, serial, *, vid=0x0403, pid=0x6010, product="iCEBreaker V1.0", location=None):
    fields = {"vid": vid, "pid": pid, "serial_number": serial, "product": product}
    fields["location"] = location
    return SimpleNamespace(device=device, manufacturer="1BitSquared", **fields)


def contents(directory):
    found = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}


# --- Boards and what fits ----------------------------------------------------------------------


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_has_pins_a_divider_and_a_network(name):
    found = board(name)
    assert found.name == name and found.device.family in FAMILIES
    assert found.network in api.zoo()
    platform = found.make_platform()
    assert ("uart", 0) in platform.resources
    assert clocks_per_bit(found.clock, found.baud) >= 4
    if found.clock != platform.default_clk_frequency:
        assert found.device.family == "ecp5"  # whose PLL there is
        assert Ratio.of(platform.default_clk_frequency, found.clock)


def test_no_signal_of_an_emulator_is_without_a_name():
    sized = placed.size(board("icebreaker"), api.load("digits-small"))
    assert numbered_signals(sized.emulator) == set()


@pytest.mark.parametrize(
    ("source", "wanted", "ratio"),
    [(25e6, 50e6, Ratio(2, 1, 8)), (25e6, 37.5e6, Ratio(3, 2, 11)), (25e6, 75e6, Ratio(3, 1, 6))],
)
def test_ratios_of_a_pll(source, wanted, ratio):
    assert Ratio.of(source, wanted) == ratio
    assert source * ratio.multiply / ratio.divide == wanted
    assert 400e6 <= wanted * ratio.output <= 800e6
    assert 10e6 <= source / ratio.divide <= 400e6


@pytest.mark.parametrize(
    ("source", "wanted", "nearest"),
    [
        (25e6, 31.4159e6, "are 25 MHz and 37.5 MHz"),
        # By a phase detector at less than 10 MHz there would be these.
        (25e6, 20e6, "are 12.5 MHz and 25 MHz"),
        (25e6, 40e6, "are 37.5 MHz and 50 MHz"),
        (12e6, 50e6, "are 48 MHz and 60 MHz"),
        (25e6, 500e6, "are 400 MHz"),
    ],
)
def test_a_ratio_that_no_pll_has(source, wanted, nearest):
    message = f"No PLL makes {wanted / 1e6:g} MHz of {source / 1e6:g} MHz; the nearest that it "
    with pytest.raises(BoardError, match=f"^{re.escape(message)}makes {re.escape(nearest)}$"):
        Ratio.of(source, wanted)


def test_only_an_ecp5_has_another_clock_than_its_oscillator():
    """Neither a plan nor a size is made of what would need a PLL that is not there."""
    for name, oscillator in (("icebreaker", 12), ("tang-nano-9k", 27), ("arty-a7-35", 100)):
        slower = replace(board(name), clock=6e6)
        message = f"6 MHz is not the oscillator's {oscillator} MHz, and only on ECP5 is there a PLL"
        with pytest.raises(BoardError, match=f"^{re.escape(message)}; run at the oscillator's, "):
            placed.size(slower, support.case().graph, 60)
        with pytest.raises(BoardError, match=f"^{re.escape(message)}"):
            Fragment.get(PlatformClock(slower.clock), slower.make_platform())


def test_a_clock_that_does_not_divide_to_the_uarts_rate(monkeypatch):
    slower = replace(board("colorlight-5a75b"), clock=12.5e6)
    monkeypatch.setitem(BOARDS, slower.name, slower)
    shown = CliRunner().invoke(cli.app, ["board", "build", slower.name, "--dry-run"])
    assert shown.exit_code == 2 and shown.stderr == (
        "twincell: colorlight-5a75b: A clock of 12.5 MHz does not divide to 1,000,000 baud within "
        "2 %; it does to 500,000, 460,800, 230,400, 115,200, and multiples of 1 MHz from 4 MHz on "
        "do to that\n"
    )


def test_memories_are_those_of_the_design():
    """Every memory is counted, in the shape of blocks that needs the fewest."""
    case = support.case()
    found = memories(Instrument(case.network(), slots=7))
    by_name = {".".join(each.path): (each.rows, each.width) for each in found}
    assert by_name["store.memory"] == (7 * 6, 32)
    network = "controlled.network"
    for layer in case.plan.layers:
        cells = f"{network}.{layer.name}.sums.array.cells.memory"
        assert by_name[cells] == (max(layer.rows, 2), layer.columns)
        assert by_name[f"{network}.{layer.name}.sums.array.gaps.digits.table"] == (320, 32)
    ram = BlockRam(30, ((256, 16), (512, 8), (1024, 4), (2048, 2)), False)
    sizes = [(256, 16), (257, 16), (1280, 1), (2, 1), (320, 32), (2048, 5)]
    assert [ram.blocks(*size) for size in sizes] == [1, 2, 1, 1, 4, 3]
    assert BlockRam(1, ((512, 36),)).blocks(32, 500) == 0
    assert [ram.words(blocks) for blocks in (0, 1, 2, 7)] == [0, 0, 256, 768]


def test_what_does_not_fit_is_refused_before_synthesis():
    graph = support.case().graph

    def with_blocks(count):
        ram = replace(board("icebreaker").device.ram, count=count)
        device = replace(board("icebreaker").device, ram=ram)
        return replace(board("icebreaker"), device=device)

    sized = placed.size(with_blocks(60), graph, 60)
    assert sized.fit.total == sized.fit.network <= sized.fit.available == 60
    assert sized.fit.slots == (1 << 15) // 6  # words of single-port memory
    needed = sized.fit.network
    fewer = placed.size(with_blocks(60), graph, 30).fit.network
    assert fewer < needed
    message = (
        f"random with 60 lanes takes {needed} block RAMs; icebreaker has {needed - 1}. 30 lanes fit"
    )
    with pytest.raises(BoardError, match=f"^{re.escape(message)}$"):
        placed.size(with_blocks(needed - 1), graph, 60)
    with pytest.raises(BoardError, match=r"has 3\. digits-small fits here, and a larger board "):
        placed.size(with_blocks(3), graph, 60)
    logic = placed.LEAST_LOGIC + placed.LEAST_LOGIC_OF_COLUMN * 2112
    message = (
        f"digits-small with 4096 lanes takes at least {logic} logic cells; tang-nano-9k has 86"
    )
    with pytest.raises(BoardError, match=rf"^{message}40\. 1024 lanes fit$"):
        placed.size(board("tang-nano-9k"), api.load("digits-small"), 4096)
    with pytest.raises(BoardError, match=r"^There is no board 'ice'; there are icebreaker, "):
        board("ice")


def test_blocks_of_a_buffer_are_estimated_too():
    """The total is that of the routed build, or little more: small memories may become logic."""
    built = json.loads((RESULTS / "boards.json").read_text())["boards"]["colorlight-5a75b"]
    fit = placed.size(board("colorlight-5a75b"), api.load(built["network"])).fit
    assert (fit.network, fit.buffer, fit.total) == (11, 44, 55) and fit.slots == built[
        "image_slots"
    ]
    assert built["memory_blocks"] <= fit.total <= fit.available == built["memory_blocks_available"]


def test_no_build_takes_less_logic_than_the_least():
    built = json.loads((RESULTS / "boards.json").read_text())["boards"].values()
    assert len(built) > 3
    for report in built:
        least = placed.LEAST_LOGIC + placed.LEAST_LOGIC_OF_COLUMN * report["lanes"]
        assert least < report["luts"]


# --- Descriptions ------------------------------------------------------------------------------


def test_a_description_is_what_was_described(tmp_path):
    case = support.case()
    instrument = Instrument(case.network(), slots=3)
    about = describe(instrument, board="test", clock=12e6, clocks_per_bit=12)
    about.write(tmp_path / FILE)
    assert Description.read(tmp_path / FILE) == about
    assert about.baud == 1e6 and about.read_order == case.plan.read_order
    assert [each.name for each in about.emulated] == [each.name for each in case.plan.layers]
    for each in about.emulated:
        assert about.targets[each.read_errors].kind == "read errors"
        assert about.targets[each.word_lines].kind == "word lines"
    with pytest.raises(ValueError, match=r"^An image has 23 pixels, not 22$"):
        about.encode(case.images[:, :22])
    with pytest.raises(ValueError, match=r"^Pixels are 0 to 7, not 8 to 8$"):
        about.encode(case.images[:1] * 0 + 8)
    with pytest.raises(ValueError, match=r"^Pixels must be integers, not float64$"):
        about.encode(case.images[:1] / 2)
    text = (tmp_path / FILE).read_text()
    for change, message in (
        (("twincell-board", "another"), "format: Input should be 'twincell-board'"),
        (('"clock": 12000000.0', '"clock": -1'), "clock: Input should be greater than 0"),
        (("{", "["), "the file: Invalid JSON"),
    ):
        (tmp_path / FILE).write_text(text.replace(*change, 1))
        with pytest.raises(DescriptionError, match=re.escape(message)):
            Description.read(tmp_path / FILE)
    whole = json.loads(text)
    for name, value, message in (
        ("registers", [], "registers lack MAGIC"),
        ("emulated", [{**whole["emulated"][0], "word_lines": 99}], "names a target that is not "),
        ("emulated", whole["emulated"][:1], "paces have not a number of reads for each emulated "),
        ("image", {}, "image.pixels: Field required"),
        ("reads", [], "layer1 is of node 1, which has no reads"),
    ):
        (tmp_path / FILE).write_text(json.dumps(whole | {name: value}))
        with pytest.raises(DescriptionError, match=re.escape(message)):
            Description.read(tmp_path / FILE)
    (tmp_path / flow.REPORT).write_text("[]")
    (tmp_path / "icebreaker.bin").write_bytes(b"")
    with pytest.raises(FlowError, match=r"holds no build of the icebreaker; build it again$"):
        flow.bitstream_of(board("icebreaker"), tmp_path)
    with pytest.raises(
        DescriptionError,
        match=r"nowhere.json cannot be read: No such .* makes a build there$",
    ):
        Description.read(tmp_path / "nowhere.json")


# --- The flow ----------------------------------------------------------------------------------


def test_the_pll_of_an_ecp5_makes_the_boards_clock():
    """With feedback from its output the source, divided, is the output, divided."""
    case, found = support.case(), board("ulx3s-85f")
    plan = flow.plan_of(placed.Sized(found, case.graph, case.plan, placed.Fit(1, 0, 208, 2)))
    source = plan.files["top.il"]
    (cell,) = re.findall(r"(?ms)^  cell \\EHXPLLL .*?^  end$", source)
    numbers = dict(
        re.findall(r"parameter \\(\w+_DIV) (?:signed )?(?:32')?([01]+|\d+)$", cell, re.M)
    )
    divide, multiply, output = (
        int(numbers[name], 2 if len(numbers[name]) == 32 else 10)
        for name in ("CLKI_DIV", "CLKFB_DIV", "CLKOP_DIV")
    )
    oscillator = found.make_platform().default_clk_frequency
    assert oscillator * multiply / divide == found.clock == 50e6 != oscillator
    assert 400e6 <= found.clock * output <= 800e6
    nets = dict(re.findall(r"connect \\(CLKFB|CLKOP) (\\\w+)", cell))
    assert len(nets) == 2 and nets["CLKFB"] == nets["CLKOP"]


@pytest.mark.parametrize("name", ["icebreaker", "tang-nano-9k", "ulx3s-85f"])
def test_steps_are_those_of_the_build_plan(name, monkeypatch):
    """Each reads what was written before, and the last writes the bitstream."""
    case = support.case()
    found = board(name)
    sized = placed.Sized(found, case.graph, case.plan, placed.Fit(1, 0, 30, 2))
    plan = flow.plan_of(sized)
    made = flow.steps(plan, found)
    assert next(step.tool for step in made) == "yosys" and len(made) == 3
    written = set(plan.files)
    for step in made:
        assert set(step.inputs) <= written and step.tool in tools.TOOLS
        written |= set(step.outputs)
    assert flow.BITSTREAM[found.device.family] in made[-1].outputs
    again = flow.plan_of(sized)
    assert again.files == plan.files


def test_a_plan_for_the_vendors_tools_is_whole(tmp_path):
    """Its scripts read files that it has, whose modules exist, and whose pins have their places."""
    case, out = support.case(), tmp_path / "plan"
    store.save(case.graph, tmp_path / "net.safetensors")
    net = ["arty-a7-35", str(tmp_path / "net.safetensors"), "--lanes", "60"]
    shown = CliRunner().invoke(cli.app, ["board", "build", *net, "--out", str(out), "--json"])
    report = json.loads(shown.stdout)
    files = {path.name for path in out.iterdir()}
    assert {Path(each).name for each in report["files"]} == files and report["bitstream"] is None
    assert "-source top.tcl" in (out / "build_top.sh").read_text()
    script, pins = (out / "top.tcl").read_text(), (out / "top.xdc").read_text()
    assert re.findall(r"(?m)^(?:add_files|read_\w+) (.*)$", script) == ["top.v", "top.xdc"]
    assert "write_bitstream -force -bin_file top.bit" in script
    source = (out / "top.v").read_text()
    modules = set(re.findall(r"(?m)^module (\\?[\w.$]+)", source))
    used = set(re.findall(r"(?m)^  (\\?[\w.$]+) +(?:#\(|\\?\S+ +\($)", source))
    assert modules - used == {"top"}
    assert used - modules == {"BUFGCTRL", "FDPE", "IBUF", "OBUFT", "STARTUPE2"}  # the vendor's
    (ports,) = re.findall(r"(?m)^module top\((.*)\);$", source)
    assert set(re.findall(r'set_property LOC \w+ \[get_ports "(\w+)"\]', pins)) == set(
        ports.split(", ")
    )
    assert "create_clock -name clk100_0__io -period 10.0" in pins
    about = Description.read(out / FILE)
    kept = store.load(out / f"{about.network}.safetensors")
    assert about.board == "arty-a7-35" and store.digest(kept) == store.digest(case.graph)
    with pytest.raises(
        FlowError, match=r"plan is a build plan: build_top\.sh makes the bitstream "
    ):
        flow.bitstream_of(board("arty-a7-35"), out)
    bitstream = out / "top.bit"
    bitstream.write_bytes(b"by the vendor")
    assert flow.bitstream_of(board("arty-a7-35"), out) == bitstream
    older = (out / FILE).stat().st_mtime_ns - 1
    os.utime(bitstream, ns=(older, older))
    with pytest.raises(
        FlowError, match=r"top\.bit is older than its plan; run build_top\.sh again$"
    ):
        flow.bitstream_of(board("arty-a7-35"), out)
    bitstream.write_bytes(b"")
    shown = CliRunner().invoke(cli.app, ["board", "load", str(out), "--dry-run"])
    assert shown.exit_code == 2 and shown.stderr.endswith(
        "top.bit is empty; run build_top.sh again\n"
    )
    # A plan of another network is not programmed with what was made of this one.
    assert CliRunner().invoke(cli.app, ["board", "build", *net, "--out", str(out)]).exit_code == 0
    assert not bitstream.exists()


def test_the_vendors_tools_write_no_bitstream_that_is_too_slow(tmp_path):
    """The plan's script in a Tcl that only knows what Vivado would say of slack."""
    tclsh = shutil.which("tclsh")
    if tclsh is None:
        pytest.skip("no tclsh")
    case, found = support.case(), board("arty-a7-35")
    sized = placed.Sized(found, case.graph, case.plan, placed.Fit(1, 0, 30, 2))
    script = flow.plan_of(sized).files["top.tcl"]
    for setup, hold, late in (
        ("0.000", "0.021", None),
        ("-0.001", "0.1", "-setup -0.001"),
        ("1", "-0.2", "-hold -0.2"),
    ):
        vivado = f"""
            proc unknown args {{}}
            proc get_timing_paths check {{dict get {{-setup {setup} -hold {hold}}} $check}}
            proc get_property {{name path}} {{set path}}
            proc write_bitstream args {{puts written}}
        """
        (tmp_path / "top.tcl").write_text(vivado + script)
        done = subprocess.run([tclsh, tmp_path / "top.tcl"], capture_output=True, text=True)
        if late is None:
            assert (done.returncode, done.stdout) == (0, "written\n"), done.stderr
        else:
            message = f"The clock is not met: slack of {late} ns; fewer lanes are faster\n"
            assert (done.returncode, done.stdout) == (1, "") and done.stderr.startswith(message)


def test_the_cache_gives_only_what_was_made(tmp_path, cache):
    here = tmp_path / "work"
    here.mkdir()
    (here / "in.ys").write_text("read_verilog a.v; write_json out.json")
    (here / "a.v").write_text("module a(input b, output c); assign c = b; endmodule\n")
    step = Step("yosys", ("-q", "in.ys"), ("in.ys", "a.v"), ("out.json",))
    assert not tools.run(step, here)
    first = (here / "out.json").read_bytes()
    (here / "out.json").unlink()
    assert tools.run(step, here) and (here / "out.json").read_bytes() == first
    (entry,) = cache.iterdir()
    (entry / "out.json").write_bytes(first + b" ")
    assert not tools.run(step, here) and (here / "out.json").read_bytes() == first
    assert not tools.run(step, here, cache=False) and (here / "out.json").read_bytes() == first
    (here / "a.v").write_text("module a(input b, output c); assign c = ~b; endmodule\n")
    assert not tools.run(step, here) and (here / "out.json").read_bytes() != first
    (here / "a.v").write_text("module a(")
    with pytest.raises(FlowError, match=r"(?s)^yosys failed \(exit 1\):.*syntax error"):
        tools.run(step, here)


def test_the_logs_of_a_build_outlive_its_failure(tmp_path, cache, monkeypatch):
    """Of a tool that fails, of a clock that is not met, and of steps from the cache."""
    case, found = support.case(), board("icebreaker")
    sized = placed.Sized(found, case.graph, case.plan, placed.Fit(1, 0, 30, 2))
    logs = tmp_path / "out" / "logs"
    reached = None  # in MHz; the tool fails

    def call(tool, arguments, here):
        if tool == "yosys":
            (here / "top.json").write_text("{}")
            (here / "top.rpt").write_text("by yosys")
            return
        (here / "top.tim").write_text("critical path")
        if reached is None:
            (here / "printed.log").write_text("Aborted")
            raise FlowError("nextpnr-ice40 failed (exit 1)")
        (here / "top.asc").write_text("")
        report = {"utilization": {}, "fmax": {"clk": {"achieved": reached}}}
        (here / "report.json").write_text(json.dumps(report))

    monkeypatch.setattr(tools, "call", call)
    whole = flow.steps(flow.plan_of(sized), found)
    monkeypatch.setattr(flow, "steps", lambda *_: whole[:2])

    def failure():
        with pytest.raises(FlowError) as raised:
            flow.build(sized, tmp_path / "out")
        message, _, where = str(raised.value).partition("\nThe logs are in ")
        assert where == str(logs)
        said = {path.name: path.read_text() for path in logs.iterdir()}
        assert (said.pop("yosys.log"), said.pop("nextpnr.log")) == ("by yosys", "critical path")
        return message, said

    assert failure() == ("nextpnr-ice40 failed (exit 1)", {"printed.log": "Aborted"})
    reached = 11.0
    first = failure()
    assert first[0].startswith("random on icebreaker reaches 11.0 MHz, less than the clock of 12 ")
    assert list(first[1]) == ["nextpnr.json"]
    monkeypatch.setattr(tools, "call", None)
    assert failure() == first


def test_a_tool_that_is_not_there(monkeypatch):
    monkeypatch.setattr(tools, "find_spec", lambda name: None)
    with pytest.raises(ToolMissing, match=r"^icepack is missing; .*pip install 'twincell\[fpga\]'"):
        tools.call("icepack", [], support)


def test_the_smallest_bitstream(tmp_path, cache, monkeypatch):
    """Built by the tools, from the cache to the byte, and ready for the board."""
    out, again = tmp_path / "one", tmp_path / "two"

    def built(directory):
        words = ["board", "build", "icebreaker", "--out", str(directory), "--json"]
        done = CliRunner().invoke(cli.app, words)
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    report = built(out)
    bitstream = (out / report["bitstream"]).read_bytes()
    assert bytes.fromhex("7eaa997e") in bitstream[:64] and len(bitstream) == 104_090
    assert hashlib.sha256(bitstream).hexdigest() == report["sha256"]
    assert report["fmax_mhz"] > report["clock_mhz"] == 12
    assert placed.LEAST_LOGIC < report["luts"] <= report["luts_available"] == 5280
    # What was counted without a tool does; small memories may become logic.
    sized = placed.size(board("icebreaker"), api.load("digits-small"))
    assert report["memory_blocks"] <= sized.fit.total <= report["memory_blocks_available"] == 30
    assert Description.read(out / FILE) == flow.description(sized)
    # Else `python benchmarks/boards.py --write` makes the page anew.
    published = json.loads((RESULTS / "boards.json").read_text())["boards"]["icebreaker"]
    assert published | report == published
    monkeypatch.setattr(tools, "call", None)
    assert built(again) == report
    assert contents(again) == contents(out)
    for name, word in (("yosys.log", "SB_LUT4"), ("nextpnr.log", "Max frequency")):
        assert word in (out / "logs" / name).read_text()
    assert sum(path.stat().st_size for path in (out / "logs").iterdir()) < 1 << 22
    shown = CliRunner().invoke(cli.app, ["board", "flash", str(out), "--dry-run"])
    assert shown.exit_code == 0 and shown.stdout.endswith(f" -f {out / report['bitstream']}\n")
    (found,) = cache.glob(f"*/{flow.REPORT}")
    faster = replace(sized, board=replace(sized.board, clock=100e6))
    message = f"digits-small on icebreaker reaches {report['fmax_mhz']} MHz, less than the clock of"
    with pytest.raises(FlowError, match=f"^{re.escape(message)} 100 MHz; fewer lanes are faster$"):
        flow._report(faster, found.parent)
    (out / report["bitstream"]).write_bytes(bitstream[:-1])
    shown = CliRunner().invoke(cli.app, ["board", "flash", str(out), "--dry-run"])
    assert shown.exit_code == 2 and "is not the bitstream that was built" in shown.stderr


# --- Which board is meant ----------------------------------------------------------------------


def test_a_board_is_never_guessed():
    ice, hx8k = board("icebreaker"), board("hx8k-evn")
    one = [port("/dev/ttyUSB0", "A1"), port("/dev/ttyUSB1", "A1")]
    other = port("/dev/ttyUSB2", "B2")
    strangers = [
        port("/dev/ttyUSB3", "C3", product="Dual RS232-HS"),
        port("/dev/ttyS0", None, vid=None),
    ]
    assert program.choose(ice, [*one, *strangers]).device == "/dev/ttyUSB0"
    assert program.choose(ice, [*one, other], "B2") is other
    for ports, serial, message in (
        (
            strangers,
            None,
            "No iCEBreaker, iCE40 UP5K is connected by USB; there are C3 (/dev/ttyUSB3), "
            "/dev/ttyS0",
        ),
        ([], None, "No iCEBreaker, iCE40 UP5K is connected by USB; there are no serial ports"),
        (
            [*one, *strangers],
            "B2",
            "No iCEBreaker, iCE40 UP5K with serial number B2 is connected by USB; there are "
            "A1 (/dev/ttyUSB0)",
        ),
        (
            [*one, other],
            None,
            "2 boards can be the icebreaker: A1 (/dev/ttyUSB0), B2 (/dev/ttyUSB2); "
            "choose by --serial",
        ),
    ):
        with pytest.raises(BoardError, match=f"^{re.escape(message)}$"):
            program.choose(ice, ports, serial)
    assert program.connected(hx8k, one) == []


def test_bridges_are_told_apart_by_where_they_are_plugged_in():
    """Two boards of one serial number, of two ports each; and one bridge without a number."""
    ice = board("icebreaker")
    twins = [
        port(f"/dev/ttyUSB{index}", "same", location=f"1-{1 + index // 2}:1.{index % 2}")
        for index in range(4)
    ]
    message = "2 boards can be the icebreaker: same (/dev/ttyUSB0), same (/dev/ttyUSB2); connect "
    for serial in (None, "same"):
        with pytest.raises(BoardError, match=f"^{re.escape(message)}one alone, or name the --port"):
            program.choose(ice, twins, serial)
    for pair in (twins[:2], twins[2:]):
        assert program.choose(ice, pair).device == pair[0].device
        assert uart_port(ice, pair) == pair[1].device
    nameless = [
        port("/dev/ttyUSB0", None, location="2-1.4:1.0"),
        port("/dev/ttyUSB1", None, location="2-1.4:1.1"),
    ]
    assert uart_port(ice, nameless) == "/dev/ttyUSB1"
    turned = [port("/dev/ttyUSB2", None, location="2-1.4:1.0"), nameless[1]]
    assert uart_port(ice, turned) == "/dev/ttyUSB1"  # the first interface was bound again


def test_commands_that_program(tmp_path):
    def arguments(name, **options):
        found = program.command(board(name), tmp_path / "x.bit", **{"serial": None, **options})
        return " ".join(found[2:])

    file = tmp_path / "x.bit"
    assert arguments("ulx3s-85f", flash=False) == f"openfpgaloader -b ulx3s -m {file}"
    assert (
        arguments("icebreaker", flash=True, serial="A1")
        == f"openfpgaloader -b ice40_generic --ftdi-serial A1 -f {file}"
    )
    cable = arguments("colorlight-5a75b", flash=False, cable="ft232")
    assert cable == f"openfpgaloader -b colorlight --cable ft232 -m {file}"
    one = arguments("colorlight-5a75b", flash=False, cable="ft232", serial="B2")
    assert one == f"openfpgaloader -b colorlight --cable ft232 --ftdi-serial B2 -m {file}"
    for name, flash, message in (
        ("icebreaker", False, "The iCEBreaker, iCE40 UP5K only starts from its flash: use `flash`"),
        ("icesugar", True, "openFPGALoader does not know the iCESugar, iCE40 UP5K; copy the "),
        ("colorlight-5a75b", True, "The Colorlight 5A-75B V7.0, ECP5 25F has no USB bridge: name "),
    ):
        with pytest.raises(BoardError, match=f"^{re.escape(message)}"):
            arguments(name, flash=flash)


def test_the_command_line():
    runner = CliRunner()
    shown = runner.invoke(cli.app, ["board", "list", "--json"])
    listed = json.loads(shown.stdout)["boards"]
    assert [each["board"] for each in listed] == list(BOARDS)
    shown = runner.invoke(cli.app, ["board", "build", "icebreaker", "--dry-run", "--json"])
    report = json.loads(shown.stdout)
    assert report["board"] == "icebreaker" and report["image_slots"] == 2048
    pace = report["clock_mhz"] * 1e6 / report["cycles_per_image"]
    assert report["images_per_second"] == round(pace, 1)
    blocks = {name: number for name, number in report.items() if "blocks" in name}
    assert blocks == {
        "network_blocks_estimate": 26,
        "image_buffer_blocks_estimate": 0,  # it lies in the single-port memory
        "memory_blocks_estimate": 26,
        "memory_blocks_available": 30,
    }
    for arguments, message in (
        (["build", "ice"], "There is no board 'ice'"),
        (["load", "/nowhere"], "/nowhere/board.json cannot be read: No such file or directory"),
    ):
        shown = runner.invoke(cli.app, ["board", *arguments])
        assert shown.exit_code == 2 and message in shown.stderr
