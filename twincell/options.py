# SPDX-License-Identifier: BSD-2-Clause
"""Options that several commands take, with the same name, meaning and help."""

from pathlib import Path
from typing import Annotated

import typer

from .model.data import NAMES
from .networks import RANDOM

Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
Data = Annotated[Path | None, typer.Option(help="Directory of data sets (else TWINCELL_DATA).")]
Set = Annotated[
    str | None,
    typer.Option("--dataset", help=f"{', '.join((*NAMES, RANDOM))} (default: the recipe's)."),
]
Labelled = Annotated[
    str | None, typer.Option("--dataset", help=f"{', '.join(NAMES)} (default: the recipe's).")
]
Shown = Annotated[
    int | None,
    typer.Option("--presentations", help="Of a stochastic input (default: its first number)."),
]
Serial = Annotated[str | None, typer.Option(help="Serial number of the board's USB bridge.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")]
Ber = Annotated[float | None, typer.Option(help="Rate of persistent errors, 0 to 0.5.")]
Transient = Annotated[float | None, typer.Option(help="Rate of read errors, 2^-24 to 0.5.")]
Device = Annotated[
    str | None, typer.Option(help="A device, a preset or a file: its cell gives the errors.")
]
Stuck = Annotated[float | None, typer.Option(help="Share of cells that are stuck, 0 to 1.")]
Errors = Annotated[Path | None, typer.Option(help="A file of errors, as `errors` writes them.")]
Bers = Annotated[str, typer.Option("--ber", help="Rates of persistent errors: 1e-3,1e-2.")]
Transients = Annotated[str, typer.Option("--transient", help="Rates of read errors.")]
Devices = Annotated[str, typer.Option("--device", help="Devices instead: presets, files.")]
Knob = Annotated[str, typer.Option(help="A knob of one device: cycles=1e6,1e9.")]
