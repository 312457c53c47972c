# SPDX-License-Identifier: BSD-2-Clause
"""``twincell experiments``: list them, run one."""

from pathlib import Path
from typing import Annotated

import typer

from ..networks import UsageError
from ..progress import working
from ..reports import pairs, put, table

app = typer.Typer(no_args_is_help=True, help="Reproduce published results.")

Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


@app.command("list")
def list_all(as_json: Json = False) -> None:
    """List the experiments."""
    from . import _registry  # matplotlib takes a second to import

    summaries = {name: _registry.find(name).SUMMARY for name in _registry.names()}
    put({"experiments": summaries}, pairs("experiments", summaries), as_json)


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="One of `twincell experiments list`.")],
    quick: Annotated[bool, typer.Option("--quick", help="Few trials: within a minute.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Else runs/experiments/NAME.")] = None,
    data: Annotated[Path | None, typer.Option(help="Data sets (else TWINCELL_DATA).")] = None,
    cost: Annotated[
        Path | None, typer.Option(help="TOML: source, energy, endurance of a pulse (weak-reset).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run an experiment and write its report: JSON, a Markdown page and plots."""
    from . import _registry, _report

    experiment = _registry.find(name)
    if cost is not None and not getattr(experiment, "TAKES_COST", False):
        raise UsageError(f"{name} has no pulses to count: --cost is for others")
    folder = out or Path("runs", "experiments", name)
    with working(name) as progress:
        report = experiment.run(_report.Job(quick, data, progress, folder, cost))
    files = _report.write(name, report, quick, folder)
    columns = ["quantity", "published", "tag", "ours", "interval"]
    judged = any(each.verdict for each in report.findings)
    made = table(report.title, *columns, *["verdict"] * judged, right=3)
    for each in report.findings:
        cells = [_report.shown(each.ours), _report.shown(each.interval), *[each.verdict] * judged]
        made.add_row(each.quantity, each.published, f"({each.tag})", *cells)
    made.caption, made.caption_justify = f"{report.seeds}, written to {files[0].parent}", "left"
    record = _report.record(name, report, quick) | {"files": [str(path) for path in files]}
    put(record, made, as_json)
