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
