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
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from area_report import MEASURED, PEERS, markdown
from area_tools import FAMILIES, TOOLS, add_options, measured, report
from area_units import ROWS
from results import hardware_versions


def measure(names: list[str], seeds: list[int], workers: int) -> dict:
    """Every row on every family."""

    def one(job: tuple[str, str]) -> dict:
        name, family = job
        return measured(ROWS[name].make(), family, seeds)

    jobs = [(name, family) for name in names for family in FAMILIES]
    with ThreadPoolExecutor(workers) as pool:
        results = dict(zip(jobs, pool.map(one, jobs), strict=True))
    return {
        "seeds": seeds,
        "versions": hardware_versions(TOOLS),
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
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    add_options(parser)
    options = parser.parse_args()
    names = options.rows.split(",")
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"no row {unknown[0]!r}; there are {', '.join(ROWS)}")
    return report(
        "area", TOOLS, options, lambda seeds: measure(names, seeds, options.workers), markdown
    )


if __name__ == "__main__":
    sys.exit(main())
