# SPDX-License-Identifier: BSD-2-Clause
"""Fits the fast model of area to syntheses, and measures its error on points that it has not seen.

    python benchmarks/estimate_calibration.py [--write] [--fresh]

Each point is a layer or a pooling by itself, see ``estimate_points.py``; a few are synthesized at a
time. What is synthesized is kept in ``build/estimate`` and not repeated; an interrupted run
continues.
``--write`` replaces the coefficients that the package has, and the points and errors in
``docs/results/estimate-calibration.json``.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from estimate_kept import TOOLS, kept
from estimate_points import (
    CONVOLVED,
    CONVOLVED_HELD_BACK,
    DRAWN,
    DRAWN_HELD_BACK,
    GRID,
    HELD_BACK,
    Convolved,
    Drawn,
    Point,
    Pooled,
)
from results import RESULTS, hardware_versions
from scipy.optimize import nnls

from twincell.hw.estimate import fast
from twincell.hw.estimate.designs import Presenters, Units
from twincell.hw.estimate.synthesis import Part
from twincell.model.files import write_bytes

AT_ONCE = 4000  # lanes times bits of the points of one synthesis, about


Design = Point | Convolved | Pooled | Drawn


def key(point: Design) -> str:
    """What a point's synthesis is known by."""
    return json.dumps(asdict(point), sort_keys=True)


def batches(points: Sequence[Design]) -> list[list[Design]]:
    """Points that are synthesized together."""
    found: list[list[Design]] = [[]]
    load = 0
    for point in points:
        load += point.load
        if load > AT_ONCE and found[-1]:
            found, load = [*found, []], 0
        found[-1].append(point)
    return found


def measured(points: Sequence[Design], *, fresh: bool = False) -> dict[str, dict]:
    """Transistors and registers of each part of each point."""
    found: dict[str, dict] = {}
    for batch in batches(points):
        found |= synthesized(batch, fresh=fresh)
        print(f"{len(found)} of {len(points)} points", file=sys.stderr)
    return found


def synthesized(batch: Sequence[Design], *, fresh: bool = False) -> dict[str, dict]:
    """The same by one synthesis, of points of one kind."""
    units: dict[str, Any] = {f"d{index}": point.unit for index, point in enumerate(batch)}
    drawn = isinstance(batch[0], Drawn)
    made: dict[str, dict] = defaultdict(dict)
    for (layer, part), each in kept((Presenters if drawn else Units)(units), fresh=fresh).items():
        kind = Part.RANDOM if drawn else part
        made[key(batch[int(layer[1:])])][kind] = [each.transistors, each.registers]
    return made


def fitted(results: dict[str, dict]) -> dict[str, dict[str, list[float]]]:
    """Transistors and register bits of each term of each formula: not negative, and of least
    relative error."""
    rows = defaultdict(list)
    for point in (*GRID, *CONVOLVED, *DRAWN):
        for (part, formula), found in point.terms.items():
            rows[f"{part}: {formula}"].append((found, results[key(point)].get(part, [0, 0])))
    made = {}
    for name, each in sorted(rows.items()):
        names = list(each[0][0])
        columns = []
        for which in (0, 1):
            wanted = np.array([max(value[which], 1) for _, value in each], dtype=float)
            matrix = [[found[term] for term in names] for found, _ in each] / wanted[:, None]
            columns.append(nnls(matrix, np.ones(len(each)))[0])
        made[name] = {
            term: [round(float(value), 4) for value in pair]
            for term, pair in zip(names, np.transpose(columns), strict=True)
        }
    return made


def errors(points: Sequence[Design], results: dict, coefficients: dict) -> list[dict]:
    """Each point with what was synthesized and what the model says."""
    found = []
    for point in points:
        wanted = {part: value[0] for part, value in results[key(point)].items()}
        made = {part: each.transistors for part, each in point.cells(coefficients).items()}
        total, guess = sum(wanted.values()), sum(made.values())
        found.append(
            {
                "point": asdict(point),
                "synthesized": wanted,
                "estimated": {part: round(value) for part, value in made.items()},
                "error": round(guess / total - 1, 4),
            }
        )
    return found


def summary(found: list[dict]) -> dict:
    """Greatest and mean error of whole layers, and mean error of each part."""
    each = np.abs([point["error"] for point in found])
    parts = {}
    for part in Part:
        pairs = [
            (point["estimated"].get(part, 0), point["synthesized"][part])
            for point in found
            if point["synthesized"].get(part, 0) > 0
        ]
        if pairs:
            parts[str(part)] = round(float(np.mean([abs(a / b - 1) for a, b in pairs])), 4)
    return {
        "points": len(found),
        "mean": round(float(each.mean()), 4),
        "greatest": round(float(each.max()), 4),
        "parts": parts,
    }


def main() -> int:
    """Synthesizes what is missing, fits, and prints the errors."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="to the package and docs/results")
    parser.add_argument("--fresh", action="store_true", help="synthesize everything again")
    options = parser.parse_args()
    sets = (GRID, CONVOLVED, DRAWN, HELD_BACK, CONVOLVED_HELD_BACK, DRAWN_HELD_BACK)
    results: dict[str, dict] = {}
    for points in sets:
        results |= measured(points, fresh=options.fresh)
    coefficients = fitted(results)
    grid = errors([*GRID, *CONVOLVED, *DRAWN], results, coefficients)
    held = errors([*HELD_BACK, *CONVOLVED_HELD_BACK, *DRAWN_HELD_BACK], results, coefficients)
    made = {
        "unit": "transistors",
        "versions": hardware_versions(TOOLS),
        "grid": summary(grid),
        "held_back": summary(held),
        "coefficients": coefficients,
    }
    text = json.dumps(made, indent=2) + "\n"
    if options.write:
        write_bytes(fast.COEFFICIENTS, text.encode())
        points = {"grid": grid, "held_back": held}
        page = json.dumps(made | {"points": points}, indent=1) + "\n"
        write_bytes(RESULTS / "estimate-calibration.json", page.encode())
    print(text, end="")
    for point in sorted(held, key=lambda point: -abs(point["error"])):
        print(f"{point['error']:+.1%}  {point['point']}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
