# SPDX-License-Identifier: BSD-2-Clause
"""Area and speed of the counting hardware on three FPGA families, beside published designs.

    python benchmarks/area.py [--rows a,b,...] [--seeds 1,2,3] [--json] [--write]

Each unit goes component -> RTLIL -> Yosys -> nextpnr. Its operands come from registers or block RAM
inside the unit, so that the first stage is timed as well; stored signs are shifted in through one
pin, as a device has too few for all of them. Fmax is the median of the seeds.

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
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from amaranth.back import rtlil
from area_report import MEASURED, PEERS, markdown
from area_tools import FAMILIES, TOOLS, ToolError
from area_units import ROWS

RESULTS = Path(__file__).parent.parent / "docs" / "results"
BUILD = Path(__file__).parent.parent / "build" / "area"


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
