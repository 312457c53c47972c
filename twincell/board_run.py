# SPDX-License-Identifier: BSD-2-Clause
"""``twincell board run``, ``sweep`` and ``twin``: measurements on a board or on its simulation."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from . import reports
from .injection import Injection
from .networks import UsageError
from .options import (
    Ber,
    Bers,
    Data,
    Device,
    Devices,
    DryRun,
    Errors,
    Json,
    Knob,
    Serial,
    Set,
    Shown,
    Stuck,
    Transient,
    Transients,
)
from .progress import working
from .sim.twin_pty import TwinPty

Name = Annotated[str, typer.Argument(help="A board of `list`, or the directory of a build.")]
Net = Annotated[str | None, typer.Option("--net", help="A network; else the board's own.")]
Lanes = Annotated[
    int | None,
    typer.Option(min=1, help="XNORs a cycle of a board that is not a build's directory."),
]
Images = Annotated[int, typer.Option(min=1, help="Test images, from the first.")]
Port = Annotated[str | None, typer.Option(help="Serial port; else found by the USB bridge.")]
Simulate = Annotated[bool, typer.Option("--simulate", help="Measure on the simulated board.")]
Seed = Annotated[int, typer.Option(min=0, help="Of all errors.")]


def run(
    board: Name,
    images: Images,
    net: Net = None,
    ber: Ber = None,
    transient: Transient = None,
    device: Device = None,
    stuck: Stuck = None,
    errors: Errors = None,
    presentations: Shown = None,
    seed: Seed = 0,
    lanes: Lanes = None,
    port: Port = None,
    serial: Serial = None,
    simulate: Simulate = False,
    dataset: Set = None,
    data: Data = None,
    wear: Annotated[
        bool, typer.Option("--wear", help="Report how often the word lines were programmed.")
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Run test images on a board under errors, and compare everything with the reference."""
    from . import board_link, board_measure

    machine = board_link.machine(board, net, lanes)
    way = board_link.Way(port, serial, simulate)
    injection = Injection(ber, transient, device, errors, seed, stuck)
    asked = board_measure.Asked(images, injection, presentations, dataset, data, wear)
    if dry_run:
        plan = board_measure.planned(machine, way, asked)
        reports.put(plan, reports.pairs(f"{machine.board.title} (dry run)", plan), as_json)
        return
    with working("run") as progress:
        report, exact = board_measure.run(machine, way, asked, progress=progress)
    reports.put(report, reports.pairs(machine.board.title, report), as_json)
    if not exact:
        raise typer.Exit(1)


def sweep(
    board: Name,
    out: Annotated[Path, typer.Option("-o", "--out", help="Directory of ledger and results.")],
    net: Net = None,
    ber: Bers = "",
    transient: Transients = "",
    device: Devices = "",
    knob: Knob = "",
    maps: Annotated[int, typer.Option(min=1, help="Error maps of each point.")] = 10,
    images: Annotated[int | None, typer.Option(min=1, help="Test images, from the first.")] = None,
    presentations: Shown = None,
    seed: Seed = 0,
    lanes: Lanes = None,
    port: Port = None,
    serial: Serial = None,
    simulate: Simulate = False,
    dataset: Set = None,
    data: Data = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what the ledger has.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Measure accuracy against error rate on a board; what was interrupted continues."""
    from . import board_link, board_measure
    from .sweeps import options
    from .sweeps.points import points

    machine = board_link.machine(board, net, lanes)
    grid = options.grid(ber, transient, device, knob)
    way = board_link.Way(port, serial, simulate)
    if dry_run:
        if images is None:
            raise UsageError("Say how many images to project for: --images N")
        found = points(**grid)
        tasks = sum(1 if point.clean else maps for point in found)
        programmed = maps * sum(point.ber > 0 for point in found)
        plan = board_measure.projected_sweep(
            machine, images, tasks, programmed, presentations=presentations
        )
        reports.put(plan, reports.pairs(f"{machine.board.title} (projection)", plan), as_json)
        return
    with working("sweep") as progress:
        result, bench = board_measure.measured_sweep(
            machine,
            way,
            out,
            **grid,
            maps=maps,
            images=images,
            presentations=presentations,
            seed=seed,
            dataset=dataset,
            data=data,
            fresh=fresh,
            progress=progress,
        )
    about = {
        "board": machine.board.name,
        "simulated": simulate,
        "mismatches": 0,
        "recovered": bench.recovered,
        "evaluated_maps": result.evaluated,
        "seconds": result.seconds,
        "out": str(out),
    }
    reports.put(result.as_dict() | about, reports.sweep_table(result), as_json)


def twin(
    board: Name,
    net: Net = None,
    lanes: Lanes = None,
    as_json: Json = False,
) -> None:
    """Simulate a board behind a serial port of its own, for `--port`, until it is interrupted."""
    from . import board_link

    machine = board_link.machine(board, net, lanes)
    with (
        tempfile.TemporaryDirectory(prefix="twincell-") as folder,
        TwinPty(machine.twin(Path(folder))) as served,
    ):
        report = {"board": machine.board.name, "port": served.path, "build": machine.about.build}
        reports.put(report, reports.pairs(f"simulated {machine.board.title}", report), as_json)
        served.wait()
