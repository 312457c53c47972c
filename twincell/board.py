# SPDX-License-Identifier: BSD-2-Clause
"""``twincell board``: the boards, bitstreams for them, and what goes onto them."""

import shlex
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
import typer.core
from rich.console import Console

from . import board_run, networks
from .options import DryRun, Json, Serial
from .reports import pairs, put, table


class _Guarded(typer.core.TyperGroup):
    """Turns what goes wrong with boards into what the command line knows: usage errors, and
    ``ToolMissing`` for a package of the extra that is not there."""

    def invoke(self, ctx):
        from .fpga import tools
        from .fpga.description import DescriptionError
        from .fpga.targets import BoardError

        try:
            with tools.extra():
                return super().invoke(ctx)
        except (BoardError, DescriptionError, tools.FlowError) as error:
            raise networks.UsageError(str(error)) from None


app = typer.Typer(cls=_Guarded, no_args_is_help=True)
for verb in (board_run.run, board_run.sweep, board_run.twin):
    app.command()(verb)


@app.callback()
def boards() -> None:
    """Build for FPGA boards, load them, measure on them."""
    import warnings

    from amaranth.hdl import UnusedElaboratable

    # What a board would hold is described by hardware that nobody builds.
    warnings.simplefilter("ignore", UnusedElaboratable)


Directory = Annotated[Path, typer.Argument(help="Directory of a build.")]
Cable = Annotated[str | None, typer.Option(help="JTAG cable, as openFPGALoader names it.")]


@app.command("list")
def list_all(as_json: Json = False) -> None:
    """List the boards and the network that each is built with."""
    from .fpga.targets import BOARDS

    rows = [
        {
            "board": board.name,
            "title": board.title,
            "network": board.network,
            "clock_mhz": board.clock / 1e6,
            "block_rams": board.device.ram.count,
            "bitstream": board.buildable,
        }
        for board in BOARDS.values()
    ]
    made = table("boards", "board", "what", "network", "MHz", "block RAMs", right=3)
    for row in rows:
        kind = row["title"] if row["bitstream"] else f"{row['title']} (build plan)"
        figures = f"{row['clock_mhz']:g}", str(row["block_rams"])
        made.add_row(row["board"], kind, row["network"], *figures)
    put({"boards": rows}, made, as_json)


@app.command()
def build(
    board: Annotated[str, typer.Argument(help="One of `twincell board list`.")],
    net: Annotated[str | None, typer.Argument(help="A network; else the board's own.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Directory of the build.")] = None,
    lanes: Annotated[
        int | None, typer.Option(min=1, help="XNORs a cycle; else the board's own.")
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Run every tool.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Build the emulator's bitstream, or, with --dry-run, only say what it would hold."""
    from .fpga import flow, placed, targets

    chosen = targets.board(board)
    sized = placed.size(chosen, networks.load(net or chosen.network), lanes)
    fitting = {
        "board": chosen.name,
        "network": sized.graph.name,
        "clock_mhz": chosen.clock / 1e6,
        "lanes": sized.plan.lanes,
        "cycles_per_image": sized.plan.cycles_per_image,
        "images_per_second": round(sized.images_per_second, 1),
        "network_blocks_estimate": sized.fit.network,
        "image_buffer_blocks_estimate": sized.fit.buffer,
        "memory_blocks_estimate": sized.fit.total,
        "memory_blocks_available": sized.fit.available,
        "image_slots": sized.fit.slots,
    }
    if dry_run:
        put(fitting, pairs(f"{chosen.title} (dry run, blocks estimated)", fitting), as_json)
        return
    if out is None:
        raise networks.UsageError("Say where to: --out DIRECTORY")
    if not chosen.buildable:
        files = [str(path) for path in flow.write_plan(sized, out)]
        report = fitting | {"bitstream": None, "files": files}
        put(report, pairs(f"build plan for {chosen.title} in {out}", fitting), as_json)
        return
    console = Console(stderr=True)
    with console.status("build") as status:

        def tell(what: str) -> None:
            status.update(f"build: {what}")

        made = flow.build(sized, out, tell, cache=not no_cache)
    report = asdict(made)
    put(report, pairs(f"{chosen.title} in {out}", report), as_json)


@app.command()
def load(
    directory: Directory,
    serial: Serial = None,
    cable: Cable = None,
    dry_run: DryRun = False,
) -> None:
    """Load a build's bitstream into a connected board, until it is switched off."""
    _program(directory, serial, cable, flash=False, dry_run=dry_run)


@app.command()
def flash(
    directory: Directory,
    serial: Serial = None,
    cable: Cable = None,
    dry_run: DryRun = False,
) -> None:
    """Write a build's bitstream into the flash memory of a connected board."""
    _program(directory, serial, cable, flash=True, dry_run=dry_run)


def _program(
    directory: Path, serial: str | None, cable: str | None, *, flash: bool, dry_run: bool
) -> None:
    """Finds the board that is meant and programs it."""
    from serial.tools import list_ports

    from .fpga import program, targets
    from .fpga.description import FILE, Description
    from .fpga.flow import bitstream_of
    from .fpga.targets import BoardError

    board = targets.board(Description.read(directory / FILE).board)
    if serial is None and board.usb is not None and cable is None:
        with suppress(BoardError) if dry_run else nullcontext():
            serial = program.choose(board, list_ports.comports()).serial_number
    bitstream = bitstream_of(board, directory)
    arguments = program.command(board, bitstream, flash=flash, serial=serial, cable=cable)
    if dry_run:
        print(shlex.join(arguments))
        return
    program.program(arguments)
