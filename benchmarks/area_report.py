# SPDX-License-Identifier: BSD-2-Clause
"""Results beside those of other designs, as tables."""

from area_tools import FAMILIES, heading

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


def markdown(results: dict) -> str:
    """Two tables: the units on each family, and ops per LUT per second beside peers."""
    lines = [
        *heading("Area and speed", "bench-area", results),
        "ECP5: LFE5U-25F speed 6 (`-nowidelut`, out of context); iCE40: HX8K. A LUT4 is a logic",
        "LUT or half a carry cell; *packed* is nextpnr's TRELLIS_COMB, with the ways into carry",
        "chains. Registers of the operands count as FF and as iCE40 cells. Weights come from",
        "registers, shifted in through one pin. Thresholds of rows a are in block RAM; on ECP5 its",
        "output registers are used, without which its 5.8 ns from clock to output bound the clock.",
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
