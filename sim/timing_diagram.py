# SPDX-License-Identifier: BSD-2-Clause
"""Timing diagrams as SVG: a row for each signal, a column for each clock cycle."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby

CELL, ROW, HIGH = 42, 26, 14  # width of a cycle, distance of rows, height of a level, in pixels
LABEL, HEAD = 74, 30
STYLE = """\
<style>
text { font-family: monospace; font-size: 11px; fill: #222 }
.title { font-size: 12px; font-weight: bold }
.value { font-size: 7.5px; text-anchor: middle }
.grid { stroke: #ddd; stroke-width: 1 }
.wave { stroke: #1f4e79; stroke-width: 1.5; fill: none }
.bus { stroke: #1f4e79; stroke-width: 1; fill: #eaf1f8 }
.none { stroke: #999; stroke-width: 1; fill: #ccc }
</style>"""

Value = int | str | None


def svg(title: str, signals: Mapping[str, Sequence[Value]], widths: Mapping[str, int]) -> str:
    """A diagram; its bytes depend on the arguments alone.

    Parameters
    ----------
    title : above the rows
    signals : in order of their rows, a value for each cycle; ``None`` where it is undefined, text
        as it is
    widths : of each signal in bits; those of one bit are drawn as a level
    """
    cycles = max(map(len, signals.values()))
    width, bottom = LABEL + CELL * cycles + 10, HEAD + ROW * len(signals)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + 6}"'
        f' width="{width}" height="{bottom + 6}">',
        STYLE,
        f'<rect width="{width}" height="{bottom + 6}" fill="white"/>',
        f'<text class="title" x="6" y="15">{escape(title)}</text>',
    ]
    for cycle in range(cycles + 1):
        x = LABEL + CELL * cycle
        lines.append(f'<line class="grid" x1="{x}" y1="{HEAD - 6}" x2="{x}" y2="{bottom}"/>')
    for index, (name, values) in enumerate(signals.items()):
        low = HEAD + ROW * index + HIGH + 2
        lines.append(f'<text x="6" y="{low - 2}">{escape(name)}</text>')
        lines += _level(values, low) if widths[name] == 1 else _bus(values, low, widths[name])
    return "\n".join([*lines, "</svg>\n"])


def _level(values: Sequence[Value], low: int) -> list[str]:
    """A line that is up where the value is 1."""
    points = []
    for cycle, value in enumerate(values):
        y = low - HIGH if value else low
        points += [(LABEL + CELL * cycle, y), (LABEL + CELL * (cycle + 1), y)]
    path = " ".join(f"{x},{y}" for x, y in points)
    return [f'<polyline class="wave" points="{path}"/>']


def _bus(values: Sequence[Value], low: int, bits: int) -> list[str]:
    """A box for each run of equal values."""
    lines, cycle = [], 0
    for value, run in groupby(values):
        length = len(list(run))
        x, span = LABEL + CELL * cycle, CELL * length
        kind = "none" if value is None else "bus"
        lines.append(
            f'<rect class="{kind}" x="{x + 1}" y="{low - HIGH}" width="{span - 2}"'
            f' height="{HIGH}" rx="3"/>'
        )
        if value is not None:
            text = value if isinstance(value, str) else f"{value:0{bits}b}"
            middle = x + span / 2
            lines.append(f'<text class="value" x="{middle:g}" y="{low - 4}">{escape(text)}</text>')
        cycle += length
    return lines
