# SPDX-License-Identifier: BSD-2-Clause
"""What an experiment is given and what it reports: JSON, a Markdown page and SVG plots.

Equal runs write equal bytes: no date, no path, fixed identifiers in the plots.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binomtest

from ..model.files import write_bytes
from ..plots import svg

CONFIDENCE = 0.99
TAGS = {
    "R": "read in an abstract, a first page or a caption of the paper",
    "CODE": "read in source code that the authors published",
    "3P": "read in a third party's text about the paper",
    "D": "derived, and checked numerically",
    "-": "nothing published that could be read",
}
_PACKAGES = ("twincell", "numba", "numpy", "scipy", "torch")
Cell = str | int | float | None


@dataclass(frozen=True)
class Job:
    """What a run is given: ``quick`` asks for a minute at most, ``data`` is the directory of data
    sets (else TWINCELL_DATA), ``progress`` takes what is done of how much. In ``folder`` is kept
    what a later run continues from; without one nothing is kept. ``cost`` is a file that says what
    a pulse costs, and ``device`` a preset or a file of pulse trains in place of the published
    device, for reports about pulses."""

    quick: bool = False
    data: Path | None = None
    progress: Callable[[int, int], None] = lambda done, total: None
    folder: Path | None = None
    cost: Path | None = None
    device: str | None = None


@dataclass(frozen=True)
class Finding:
    """One published figure beside ours.

    ``tag`` is one of TAGS and says how the published figure is known. ``interval`` holds the true
    value with the report's confidence, from ``n`` trials; both are ``None`` for closed forms.
    ``verdict`` says in a word what follows for the published figure.
    """

    quantity: str
    published: str
    tag: str
    source: str
    ours: float | str
    interval: tuple[float, float] | None = None
    n: int | None = None
    note: str = ""
    verdict: str = ""

    def __post_init__(self):
        if self.tag not in TAGS:
            raise ValueError(f"The tag is one of {', '.join(TAGS)}, not {self.tag!r}")


@dataclass(frozen=True)
class Table:
    """Further numbers; a cell is text, a number or nothing."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def __post_init__(self):
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(
                f"Table {self.title!r} has rows of other than {len(self.columns)} cells"
            )


@dataclass(frozen=True)
class Report:
    """What a run found. ``text`` are paragraphs in Markdown: what was done and what to conclude.
    ``seed`` is that of all draws, or the seeds of the trainings. ``plots`` are figures by file name
    without suffix, ``values`` further entries of the JSON, ``confidence`` is that of intervals."""

    title: str
    text: Sequence[str]
    seed: int | Sequence[int]
    findings: Sequence[Finding]
    tables: Sequence[Table] = ()
    plots: dict[str, Figure] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    confidence: float = CONFIDENCE

    @property
    def seeds(self) -> str:
        """The seed or the seeds, in words."""
        if isinstance(self.seed, int):
            return f"seed {self.seed}"
        return f"seeds {', '.join(map(str, self.seed))}"


def interval(count: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Exact binomial (Clopper-Pearson) interval of the probability behind ``count`` of ``n``."""
    found = binomtest(int(count), int(n)).proportion_ci(confidence, method="exact")
    return float(found.low), float(found.high)


def plot(title: str, x: str, y: str, **scales: str) -> tuple[Figure, Axes]:
    """An empty plot with labelled axes; ``scales`` are ``xscale`` and ``yscale``."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel=x, ylabel=y, **scales)
    axes.grid(True, alpha=0.3)
    return figure, axes


def record(name: str, report: Report, quick: bool) -> dict:
    """The report as plain data; verdicts where there are any."""
    kept = {each.name for each in fields(Finding)}
    if not any(finding.verdict for finding in report.findings):
        kept.remove("verdict")
    return {
        "experiment": name,
        "title": report.title,
        "quick": quick,
        "seed": report.seed if isinstance(report.seed, int) else [*report.seed],
        "confidence": report.confidence,
        "versions": {package: version(package) for package in _PACKAGES},
        "findings": [
            {name: value for name, value in vars(finding).items() if name in kept}
            for finding in report.findings
        ],
        "tables": [vars(table) for table in report.tables],
        "plots": [f"{plot}.svg" for plot in report.plots],
        **report.values,
    }


def write(name: str, report: Report, quick: bool, folder: Path) -> list[Path]:
    """Writes ``report.json``, ``report.md`` and the plots to a folder; returns the files."""
    made = record(name, report, quick)
    pages = {
        folder / "report.json": json.dumps(made, indent=2) + "\n",
        folder / "report.md": _PAGE.render(
            made,
            text=report.text,
            seeds=report.seeds,
            tags=TAGS,
            judged=any(f.verdict for f in report.findings),
        ),
    }
    for path, content in pages.items():
        write_bytes(path, content.encode())
    plots = [folder / f"{plot}.svg" for plot in report.plots]
    for path, figure in zip(plots, report.plots.values(), strict=True):
        write_bytes(path, svg(figure))
    return [*pages, *plots]


def shown(value: object) -> str:
    """A cell of a table: numbers to three digits, a pair as an interval."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, tuple | list):
        return " to ".join(map(shown, value))
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|")


_ENVIRONMENT = Environment(
    trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
)
_ENVIRONMENT.filters["shown"] = shown
_PAGE = _ENVIRONMENT.from_string("""\
# {{ title }}

Written by `twincell experiments run {{ experiment }}{{ " --quick" if quick }}`, {{ seeds }}.

{% for paragraph in text %}
{{ paragraph }}

{% endfor %}
## Published and ours

Intervals hold with {{ (confidence * 100) | int }} % confidence, each for itself.

| quantity | published | tag | ours | interval | n |{{ " verdict |" if judged }} source, note |
|---|---|---|---|---|---|{{ "---|" if judged }}---|
{% for f in findings %}
| {{ f.quantity | shown }} | {{ f.published | shown }} | [{{ f.tag }}] | {{ f.ours | shown }} |
{%- set note = f.source ~ ("; " ~ f.note if f.note else "") %}
 {{ f.interval | shown }} | {{ f.n | shown }} |
{%- if judged %} {{ f.verdict | shown }} |{% endif %} {{ note | shown }} |
{% endfor %}

{% for tag, meaning in tags.items() %}
[{{ tag }}] {{ meaning }}{{ "." if loop.last else ";" }}
{% endfor %}
{% for plot in plots %}

![{{ plot }}]({{ plot }})
{% endfor %}
{% for table in tables %}

## {{ table.title }}

|{% for column in table.columns %} {{ column | shown }} |{% endfor %}

|{% for column in table.columns %}---|{% endfor %}

{% for row in table.rows %}
|{% for cell in row %} {{ cell | shown }} |{% endfor %}

{% endfor %}
{% endfor %}
""")
