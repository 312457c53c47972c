# SPDX-License-Identifier: BSD-2-Clause
"""The command line: a thin layer on :mod:`twincell.api`.

Exit codes: 0 ok, 1 the hardware differs, hangs or is not proven, 2 usage, data or build, 3 a tool
is missing, 130 interrupted.
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import typer.core
from rich.console import Console

from . import api, board, devices_command, reports
from .doctor import healthy
from .experiments import _command as experiments
from .hw.equivalence import EquivalenceError
from .hw.estimate.synthesis import SynthesisError
from .hw.plan import DEFAULT_LANES, Budget, PlanError
from .hw.tools import ToolMissing
from .hw.verilog import EmissionError
from .model.checks import GraphError
from .model.data import DataError
from .model.files import WriteError
from .model.recipe import RecipeError
from .networks import Mismatch, UsageError
from .options import (
    Ber,
    Bers,
    Data,
    Device,
    Devices,
    Errors,
    Json,
    Knob,
    Labelled,
    Set,
    Shown,
    Stuck,
    Transient,
    Transients,
)
from .progress import working
from .request import PAUSES, SIMULATORS
from .sim.ports import PortsError
from .sim.results import BuildError, SimulationError, TimedOut

FAILURES = (
    BuildError, DataError, EmissionError, GraphError, PlanError, PortsError, RecipeError,
    SynthesisError, TimedOut, UsageError, WriteError,
)  # fmt: skip


class _Guarded(typer.core.TyperGroup):
    """Turns what goes wrong in a command into one message and an exit code."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            self._fail(ctx, "interrupted", 130)
        except SimulationError as error:
            notes = getattr(error, "__notes__", [])
            self._fail(ctx, "\n".join([str(error), *notes]), 1)
        except (EquivalenceError, Mismatch) as error:
            self._fail(ctx, str(error), 1)
        except ToolMissing as error:
            self._fail(ctx, str(error), 3)
        except FAILURES as error:
            self._fail(ctx, str(error), 2)
        except OSError as error:
            self._fail(ctx, _unread(error), 2)

    @staticmethod
    def _fail(ctx, message: str, code: int) -> NoReturn:
        if ctx.params.get("verbose", 0) > 1:
            Console(stderr=True).print_exception()
        print(f"twincell: {message}", file=sys.stderr)
        raise typer.Exit(code)


app = typer.Typer(
    cls=_Guarded,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(devices_command.app, name="devices")
app.add_typer(experiments.app, name="experiments")
app.add_typer(board.app, name="board")

Net = Annotated[str, typer.Argument(help="A network file, or a name from the zoo.")]
Lanes = Annotated[
    int | None,
    typer.Option(
        help="XNORs a cycle of all layers together "
        f"(default: as many as --rate needs; without it the fastest plan within {DEFAULT_LANES})."
    ),
]
Rate = Annotated[float | None, typer.Option(help="Images per second to reach, at --clock.")]
Clock = Annotated[float, typer.Option(help="Clock in MHz.")]
Arranged = Annotated[
    str, typer.Option(help="columns or rows, or one for each layer: rows,columns,rows.")
]
First = Annotated[
    str, typer.Option("--first-layer", help="serial or parallel: planes of bits, or whole pixels.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of errors, pauses and random images.")]
Array = Annotated[str | None, typer.Option(help=", ".join(api.ARRAYS))]
ErrorSeed = Annotated[int, typer.Option("--seed", min=0, help="Of the errors.")]


@app.callback()
def options(
    verbose: Annotated[
        int,
        typer.Option("--verbose", "-v", count=True, help="-vv shows the traceback of an error."),
    ] = 0,
) -> None:
    """Hardware for binarized neural networks with weights in resistive or magnetic memory."""


@app.command()
def doctor(as_json: Json = False) -> None:
    """List the tools and their versions, and what is missing."""
    tools = api.doctor()
    reports.put({"tools": [tool.as_dict() for tool in tools]}, reports.doctor_table(tools), as_json)
    if not healthy(tools):
        raise typer.Exit(3)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or a name from the zoo.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Directory of the results.")],
    data: Data = None,
    fresh: Annotated[bool, typer.Option(help="Do not continue from a checkpoint.")] = False,
    as_json: Json = False,
) -> None:
    """Train a network and export it. An interrupted run continues where it stopped."""
    trained = api.train(recipe, out, data=data, resume=not fresh)
    reports.put(trained.record(), reports.pairs("train", trained.record()), as_json)


@app.command()
def info(net: Net, as_json: Json = False) -> None:
    """Show what a network computes."""
    report = reports.info_dict(api.load(net))
    reports.put(report, reports.info_table(report), as_json)


@app.command()
def plan(
    net: Net,
    lanes: Lanes = None,
    rate: Rate = None,
    clock: Clock = 100.0,
    arrangement: Arranged = "columns",
    first_layer: First = "serial",
    array: Array = None,
    transient: Transient = None,
    as_json: Json = False,
) -> None:
    """Show how a network would be computed: lanes, word lines, reads, cycles, memory bits."""
    budget = _budget(lanes, rate, clock, arrangement, first_layer)
    graph = api.load(net)
    kind = api.array_kind(array, api.Injection(transient=transient).errors(graph))
    report = reports.plan_dict(api.planned(graph, budget, kind), budget.clock, kind, transient)
    reports.put(report, reports.plan_table(report), as_json)


@app.command()
def estimate(
    net: Net,
    lanes: Lanes = None,
    rate: Rate = None,
    clock: Clock = 100.0,
    arrangement: Arranged = "columns",
    first_layer: First = "serial",
    array: Annotated[str, typer.Option(help=", ".join(api.ESTIMATED))] = "sensed",
    node: Annotated[int, typer.Option(help="Of the technology, in nm.")] = 130,
    cell: Annotated[str, typer.Option(help="Kind of the memory cells.")] = "rram-2t2r",
    entries: Annotated[
        Path | None, typer.Option("--table", help="Areas and energies in place of ours.")
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(help="Test images on which activity is measured (default: it is assumed)."),
    ] = None,
    data: Data = None,
    dataset: Set = None,
    presentations: Shown = None,
    synthesize: Annotated[
        bool, typer.Option("--synthesize", help="Count the network's own logic with Yosys.")
    ] = False,
    liberty: Annotated[Path | None, typer.Option(help="A Liberty file to synthesize to.")] = None,
    plot: Annotated[Path | None, typer.Option(help="SVG of area and energy.")] = None,
    as_json: Json = False,
) -> None:
    """Estimate area, energy and latency by layer and part."""
    from . import estimates

    if plot is not None:
        estimates.check_plot(plot)
    with working("estimate"):
        report = estimates.estimate(
            net,
            _budget(lanes, rate, clock, arrangement, first_layer),
            array=array,
            node=node,
            cell=cell,
            entries=entries,
            images=images,
            dataset=dataset,
            data=data,
            presentations=presentations,
            synthesize=synthesize,
            liberty=liberty,
        ).as_dict()
    reports.put(report, estimates.shown(report), as_json)
    if plot is not None:
        estimates.plot(report, plot)


@app.command()
def build(
    net: Net,
    out: Annotated[Path, typer.Option("-o", "--out", help="Directory of the Verilog.")],
    lanes: Lanes = None,
    rate: Rate = None,
    clock: Clock = 100.0,
    arrangement: Arranged = "columns",
    first_layer: First = "serial",
    edge: Annotated[str, typer.Option(help=", ".join(api.EDGES))] = "stream",
    reset: Annotated[str | None, typer.Option(help="low or high; of axi and wishbone.")] = None,
    weights: Annotated[str, typer.Option(help=", ".join(api.WEIGHTS))] = "files",
    array: Array = None,
    ber: Ber = None,
    transient: Transient = None,
    device: Device = None,
    stuck: Stuck = None,
    errors: Errors = None,
    seed: ErrorSeed = 0,
    prove: Annotated[
        bool, typer.Option("--prove", help="Prove the Verilog equal to the RTLIL it is made from.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a network's Verilog, memory files and ports.json, and what other tools want beside."""
    budget = _budget(lanes, rate, clock, arrangement, first_layer)
    with working("build"):
        emitted = api.build(
            api.load(net),
            out,
            budget,
            edge=edge,
            reset=reset,
            weights=weights,
            array=array,
            injection=api.Injection(ber, transient, device, errors, seed, stuck),
            proven=prove,
        )
    files, proof = emitted.files, emitted.proof
    report = {
        "top": emitted.top,
        "directory": str(emitted.directory),
        "files": {path.name: path.stat().st_size for path in files},
        "proof": asdict(proof) if proof else None,
    }
    shown = {name: f"{size:,} bytes" for name, size in report["files"].items()}
    if proof:
        shown["proven equal to its RTLIL"] = str(proof)
    reports.put(report, reports.pairs(f"{emitted.top} in {emitted.directory}", shown), as_json)


@app.command()
def verify(
    net: Net,
    images: Annotated[
        int | None,
        typer.Option(help="Test images, from the first (default: all, or 100 random ones)."),
    ] = None,
    simulator: Annotated[str, typer.Option(help=", ".join(SIMULATORS))] = "verilator",
    data: Data = None,
    dataset: Set = None,
    seed: Seed = 0,
    lanes: Lanes = None,
    rate: Rate = None,
    clock: Clock = 100.0,
    arrangement: Arranged = "columns",
    first_layer: First = "serial",
    array: Array = None,
    ber: Ber = None,
    transient: Transient = None,
    device: Device = None,
    stuck: Stuck = None,
    errors: Errors = None,
    presentations: Shown = None,
    pauses: Annotated[str, typer.Option(help=", ".join(PAUSES))] = "none",
    error_seed: Annotated[
        int | None, typer.Option(min=0, help="Of the errors alone (default: --seed).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Simulate the generated Verilog, errors included, and compare every score with both
    references."""
    drawn = seed if error_seed is None else error_seed
    with working("verify") as progress:
        result = api.verify(
            net,
            images,
            simulator=simulator,
            budget=_budget(lanes, rate, clock, arrangement, first_layer),
            dataset=dataset,
            directory=data,
            array=array,
            injection=api.Injection(ber, transient, device, errors, drawn, stuck),
            presentations=presentations,
            pauses=pauses,
            seed=seed,
            progress=progress,
        )
    reports.put(result.as_dict(), reports.verification_table(result), as_json)
    if not result.passed:
        raise typer.Exit(1)


@app.command()
def errors(
    net: Net,
    out: Annotated[Path, typer.Option("-o", "--out", help="File of the errors.")],
    ber: Ber = None,
    transient: Transient = None,
    device: Device = None,
    stuck: Stuck = None,
    seed: ErrorSeed = 0,
    as_json: Json = False,
) -> None:
    """Draw the errors of one programming of a network and save them, for `verify --errors`."""
    report = api.draw_errors(
        net, out, api.Injection(ber, transient, device, seed=seed, stuck=stuck)
    )
    reports.put(report, reports.pairs("errors", report), as_json)


@app.command()
def sweep(
    net: Net,
    out: Annotated[Path, typer.Option("-o", "--out", help="Directory of ledger and results.")],
    ber: Bers = "",
    transient: Transients = "",
    device: Devices = "",
    knob: Knob = "",
    maps: Annotated[int, typer.Option(help="Error maps of each point.")] = 20,
    images: Annotated[
        int | None, typer.Option(help="Test images, from the first (default: all).")
    ] = None,
    data: Data = None,
    dataset: Labelled = None,
    presentations: Shown = None,
    seed: Annotated[int, typer.Option(help="Of all errors.")] = 0,
    workers: Annotated[int | None, typer.Option(help="Processes (default: a core each).")] = None,
    dask: Annotated[str | None, typer.Option(help="Address of a Dask scheduler instead.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what the ledger has.")] = False,
    lanes: Lanes = None,
    rate: Rate = None,
    clock: Clock = 100.0,
    arrangement: Arranged = "columns",
    as_json: Json = False,
) -> None:
    """Measure accuracy against error rate. An interrupted sweep continues where it stopped."""
    from .sweeps import options

    with working("sweep") as progress:
        result = api.sweep(
            net,
            out,
            **options.grid(ber, transient, device, knob),
            maps=maps,
            images=images,
            dataset=dataset,
            data=data,
            presentations=presentations,
            seed=seed,
            budget=_budget(lanes, rate, clock, arrangement),
            workers=workers,
            dask=dask,
            fresh=fresh,
            progress=progress,
        )
    run = {"evaluated_maps": result.evaluated, "seconds": result.seconds, "out": str(out)}
    reports.put(result.as_dict() | run, reports.sweep_table(result), as_json)


@app.command()
def demo(as_json: Json = False) -> None:
    """Verify the digits network on all its test images: the whole road in one command."""
    verify("digits-mlp", simulator="native", as_json=as_json)


def main() -> None:
    """Entry point of the ``twincell`` command."""
    app()


def _unread(error: OSError) -> str:
    """Names the file that was not found or cannot be read; of files that cannot be written
    ``WriteError`` has told."""
    if error.filename is None:
        return str(error)
    return f"{error.filename} cannot be read: {error.strerror}"


def _budget(
    lanes: int | None,
    rate: float | None,
    clock: float,
    arrangement: str,
    first_layer: str = "serial",
) -> Budget:
    """The budget of the options; the clock is in MHz, arrangements are separated by commas."""
    each = tuple(arrangement.split(","))
    arranged = each if len(each) > 1 else arrangement
    return Budget(lanes, rate, clock * 1e6, arranged, first_layer=first_layer)
