# SPDX-License-Identifier: BSD-2-Clause
"""``twincell devices``: list the presets, show a device, fit one to measured resistances."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType

from . import api
from .devices import CELLS
from .options import Json
from .reports import pairs, put, table

app = typer.Typer(no_args_is_help=True, help="Devices: presets, and fits of your own.")


@app.command("list")
def list_all(as_json: Json = False) -> None:
    """List the presets and the rates of their errors."""
    found = api.devices()
    made = table("devices", "name", "what", "error rate", "read errors", right=2)
    for each in found:
        rates = (f"{each[name]:.2g}" for name in ("error_rate", "read_error_rate"))
        made.add_row(each["name"], each["description"], *rates)
    put({"devices": found}, made, as_json)


@app.command()
def show(
    device: Annotated[str, typer.Argument(help="A preset's name, or the file of a description.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Write its description, to be edited.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a device is, and how often which state is sensed as which."""
    report = api.device(device, out)
    about = ("description", "source", "validity", "endurance", "file")
    told = {name: report[name] for name in about if report.get(name) is not None}
    made = Group(pairs(device, told | report["knobs"]), _transitions(report))
    put(report, made, as_json)


@app.command()
def fit(
    measured: Annotated[
        Path, typer.Argument(help="CSV: state, resistance_ohm[, cycle, condition]")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="File of the fitted device.")],
    cell: Annotated[str, typer.Option(help=", ".join(CELLS))] = "2T2R",
    condition: Annotated[str | None, typer.Option(help="Take the rows of this name only.")] = None,
    knob: Annotated[
        list[str] | None, typer.Option(help="A knob of the cell, offset=0.05; may be repeated.")
    ] = None,
    confidence: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulated p-values.")] = 0,
    as_json: Json = False,
) -> None:
    """Fit a device to measured resistances, for `--device FILE`."""
    report = api.fit_device(
        measured,
        out,
        cell=cell,
        condition=condition,
        knobs=dict(map(_knob, knob or [])),
        confidence=confidence,
        seed=seed,
    )
    columns = ("state", "values", "median / ohm", "sigma", "interval", "KS p", "AD p")
    made = table(f"{cell} of {measured}, written to {out}", *columns)
    for name in ("LRS", "HRS"):
        state = report[name]
        low, high = state["sigma_interval"]
        p = (f"{state[test]:.2g}" for test in ("kolmogorov_smirnov_p", "anderson_darling_p"))
        cells = (state["count"], f"{state['median_ohm']:.4g}", f"{state['sigma']:.3f}")
        made.add_row(name, *map(str, cells), f"{low:.3f} to {high:.3f}", *p)
    note = "A p-value near 0 speaks against a lognormal."
    put(report, Group(made, note, _transitions(report)), as_json)


def _knob(text: str) -> tuple[str, float | str]:
    """A name and a number or a word; raises ``UsageError``."""
    name, equals, value = map(str.strip, text.partition("="))
    if not (name and equals and value):
        raise api.UsageError(f"--knob takes NAME=VALUE, not {text!r}")
    try:
        return name, float(value)
    except ValueError:
        return name, value


def _transitions(report: dict) -> RenderableType:
    """A row for each programmed state, a column for each sensed one."""
    states = [f"{state:+d}" if state else "0" for state in report["states"]]
    made = table("", "programmed", *(f"sensed {state}" for state in states))
    for state, row in zip(states, report["transitions"], strict=True):
        made.add_row(state, *(f"{p:.6g}" for p in row))
    rates = (report["error_rate"], report["read_error_rate"])
    return Group(made, "Errors {:.3g}, of reads {:.3g}.".format(*rates))
