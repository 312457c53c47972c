# SPDX-License-Identifier: BSD-2-Clause
"""``twincell experiments``: list them, run one."""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from ..model import files
from ..model.data import VARIABLE, DataError, check
from ..networks import UsageError
from ..options import Data, Json
from ..progress import working
from ..reports import pairs, put, table

app = typer.Typer(no_args_is_help=True, help="Reproduce published results.")

COST = "TOML file with source, energy (joule a pulse) and endurance (pulses)"
PULSED = ("weak-reset", "weak-reset-cifar10")  # those that have BY_PULSES


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
    data: Data = None,
    cost: Annotated[Path | None, typer.Option(help=f"{COST}: of {' and '.join(PULSED)}.")] = None,
    device: Annotated[
        str | None,
        typer.Option(help=f"A preset or a CSV file of pulse trains: of {' and '.join(PULSED)}."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run an experiment and write its report: JSON, a Markdown page and plots."""
    from . import _registry, _report

    experiment = _registry.find(name)
    if not getattr(experiment, "BY_PULSES", False):
        for option, given in (("--cost", cost), ("--device", device)):
            if given is not None:
                raise UsageError(f"{name} gives no pulses: {option} is of {' and '.join(PULSED)}")
    _check(() if quick else experiment.DATA, data, cost)
    folder = out or Path("runs", "experiments", name)
    with _writable(folder), working(name) as progress:
        report = experiment.run(_report.Job(quick, data, progress, folder, cost, device))
    written = _report.write(name, report, quick, folder)
    columns = ["quantity", "published", "tag", "ours", "interval"]
    judged = any(each.verdict for each in report.findings)
    made = table(report.title, *columns, *["verdict"] * judged, right=3)
    for each in report.findings:
        cells = [_report.shown(each.ours), _report.shown(each.interval), *[each.verdict] * judged]
        made.add_row(each.quantity, each.published, f"({each.tag})", *cells)
    made.caption, made.caption_justify = f"{report.seeds}, written to {written[0].parent}", "left"
    record = _report.record(name, report, quick) | {"files": [str(path) for path in written]}
    put(record, made, as_json)


def _check(sets: Iterable[str], data: Path | None, cost: Path | None) -> None:
    """Refuses what is not there, before anything is started: what the user named, and data sets, of
    which one may be read hours after another."""
    if data is not None and not data.is_dir():
        raise DataError(
            f"There is no directory {data}. Give --data DIR or set {VARIABLE}=DIR, where "
            "DIR/mnist, DIR/fashion_mnist and DIR/cifar10 hold the files of data sets"
        )
    if cost is not None:
        try:
            cost.open("rb").close()
        except OSError as error:
            raise UsageError(f"{cost}: {error.strerror}. --cost takes a {COST}") from None
    for each in sets:
        check(each, data)


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Makes a folder; what of it is still empty at the end of the block is removed."""
    with ExitStack() as made:
        for each in reversed((folder, *folder.parents)):
            if not os.path.exists(each):  # noqa: PTH110 (which raises for too long a name)
                made.callback(_remove_empty, each)
        files.folder(folder, "Give another folder: --out DIR")
        yield


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # it holds something
        folder.rmdir()
