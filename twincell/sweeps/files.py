# SPDX-License-Identifier: BSD-2-Clause
"""The files of a sweep: JSON, CSV and an SVG plot. Equal sweeps give equal bytes."""

import csv
import io
import json
from pathlib import Path

from matplotlib.figure import Figure

from ..model.files import write_bytes
from ..plots import svg
from .sweep import Measured, Sweep


def write(sweep: Sweep, folder: Path) -> None:
    """Writes ``sweep.json``, ``sweep.csv`` and ``sweep.svg``."""
    write_bytes(folder / "sweep.json", (json.dumps(sweep.as_dict(), indent=2) + "\n").encode())
    write_bytes(folder / "sweep.csv", table(sweep).encode())
    write_bytes(folder / "sweep.svg", svg(plot(sweep)))


def table(sweep: Sweep) -> str:
    """The points as CSV, a column for each field."""
    rows = [point.as_dict() for point in sweep.points]
    names = list(dict.fromkeys(name for row in rows[::-1] for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def plot(sweep: Sweep) -> Figure:
    """Accuracy with its intervals: against the rate, the knob's value, or by device.

    Rates are on a logarithmic axis, and the accuracy without errors is a line across.
    """
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot(title=f"{sweep.network} on {sweep.dataset}", ylabel="accuracy")
    clean, *others = sweep.points
    axes.axhline(clean.accuracy, color="0.5", linestyle="--", label="without errors")
    axes.grid(True, alpha=0.3)
    if sweep.knob is None and others and others[0].point.device:
        _line(axes, [str(each.point.device) for each in others], others, "devices", "none")
        axes.tick_params(axis="x", rotation=20)
    elif sweep.knob is not None:
        values = [each.point.knob for each in others]
        axes.set(xlabel=sweep.knob)
        if min(values) > 0 and max(values) >= 10 * min(values):
            axes.set_xscale("log")
        _line(axes, values, others, str(others[0].point.device))
    else:
        _rates(axes, others)
    axes.legend()
    return figure


def _rates(axes, others: list[Measured]) -> None:
    """One line for each rate of the other kind."""
    along, beside = "ber", "transient"
    if not any(each.point.ber for each in others):
        along, beside = beside, along
    names = {"ber": "rate of persistent errors", "transient": "rate of read errors"}
    axes.set(xlabel=names[along])
    if len({rate for each in others if (rate := getattr(each.point, along))}) > 1:
        axes.set_xscale("log")
    for value in sorted({getattr(each.point, beside) for each in others}):
        line = [each for each in others if getattr(each.point, beside) == value]
        level = [each for each in line if getattr(each.point, along) == 0]
        line = sorted((e for e in line if e not in level), key=lambda e: getattr(e.point, along))
        label = f"{names[beside]} {value:g}" if value else "with errors"
        for each in level:
            axes.axhline(each.accuracy, color="0.7", linestyle=":", label=f"only {label}")
        _line(axes, [getattr(each.point, along) for each in line], line, label)


def _line(axes, x: list, line: list[Measured], label: str, style: str = "-") -> None:
    below = [max(each.accuracy - each.low, 0) for each in line]
    above = [max(each.high - each.accuracy, 0) for each in line]
    y = [each.accuracy for each in line]
    axes.errorbar(
        x, y, yerr=[below, above], marker="o", markersize=4, capsize=3, linestyle=style, label=label
    )
