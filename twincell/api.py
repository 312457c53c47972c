# SPDX-License-Identifier: BSD-2-Clause
"""The main jobs as functions: load, plan, build, verify, train. The command line is a thin layer on
these, of the same names."""

from dataclasses import replace
from pathlib import Path

from . import hardware
from .devices import fit as fit_device
from .devices import listed as devices
from .devices import shown as device
from .doctor import doctor
from .hardware import ARRAYS, array_kind, planned
from .hw.edges.build import Built
from .hw.edges.build import build as build_edged
from .hw.edges.wrapper import Edge
from .hw.equivalence import EquivalenceError, Proof, prove
from .hw.estimate.features import ARRAYS as ESTIMATED
from .hw.plan import Budget, Plan, PlanError, plan
from .hw.verilog import WEIGHTS, Emitted
from .injection import Injection
from .model import data as datasets
from .model import error_store, files
from .model.graph import Graph
from .model.recipe import Recipe
from .networks import UsageError, load, recipe_path, zoo
from .progress import Progress
from .sweeps.sweep import Sweep, sweep
from .verification import verify
from .verified import Verification

__all__ = [
    "ARRAYS",
    "EDGES",
    "ESTIMATED",
    "WEIGHTS",
    "Budget",
    "Built",
    "Emitted",
    "EquivalenceError",
    "Graph",
    "Injection",
    "Plan",
    "PlanError",
    "Progress",
    "Proof",
    "Sweep",
    "UsageError",
    "Verification",
    "array_kind",
    "build",
    "device",
    "devices",
    "doctor",
    "draw_errors",
    "fit_device",
    "load",
    "plan",
    "planned",
    "prove",
    "sweep",
    "train",
    "verify",
    "zoo",
]


EDGES = ("stream", "axi", "wishbone")
RESETS = ("low", "high")


def build(
    graph: Graph,
    directory: str | Path,
    budget: Budget | None = None,
    *,
    edge: str = "stream",
    reset: str | None = None,
    weights: str = "files",
    array: str | None = None,
    injection: Injection | None = None,
    proven: bool = False,
) -> Built:
    """Writes the network's Verilog, memory files and ``ports.json`` to ``directory``, with timing
    constraints, a FuseSoC core and a lint waiver.

    ``edge`` is one of EDGES: the bare streams, or AXI-Stream with a register bank behind AXI4-Lite
    or Wishbone, whose register map is written too; their ``reset`` is active ``low`` or ``high``.
    ``weights`` are memory ``files`` or ``inline`` in the Verilog. ``array`` is one of ARRAYS, by
    default digital, or emulated where there are read errors; the errors of ``injection`` are in the
    memory's contents and, for reads, in the emulated array from reset on. With ``proven`` the
    Verilog, as it lies there, is proven equal to the RTLIL that it was made from; see
    :func:`prove`.

    Raises ``PlanError`` when the budget does not fit, ``EmissionError`` when Yosys fails,
    ``EquivalenceError`` when the Verilog is not proven equal (the files stay), and ``UsageError``
    for an unknown edge, reset, place of the weights or array, and for errors that do not fit.
    """
    if edge not in EDGES:
        raise UsageError(f"The edge is one of {', '.join(EDGES)}, not {edge!r}")
    if reset not in (None, *RESETS):
        raise UsageError(f"The reset is one of {', '.join(RESETS)}, not {reset!r}")
    if edge == "stream" and reset is not None:
        raise UsageError(f"The reset of bare streams is active high; {reset!r} needs another edge")
    if weights not in WEIGHTS:
        raise UsageError(f"The weights are one of {', '.join(WEIGHTS)}, not {weights!r}")
    errors = (injection or Injection()).errors(graph)
    array = hardware.array_kind(array, errors)
    made = hardware.planned(graph, budget, array)
    built = build_edged(
        hardware.sensed(graph, errors),
        made,
        Path(directory),
        edge=None if edge == "stream" else Edge(edge, reset or "low"),
        clock=(budget or Budget()).clock,
        arrays=hardware.arrays_of(array, errors),
        weights=weights,
    )
    return replace(built, proof=prove(built)) if proven else built


def draw_errors(net: str | Path, path: str | Path, injection: Injection) -> dict:
    """Draws the errors of one programming of a network and writes them to ``path``.

    Returns what was drawn: ``synapses`` sensed wrong and the ``rate`` of read errors by the node's
    index, and the ``digest``. Raises ``UsageError`` when nothing is injected.
    """
    graph = load(net)
    errors = injection.errors(graph)
    if errors is None:
        raise UsageError("No errors to draw: give --ber, --transient, --device or --stuck")
    error_store.save(errors, path)
    return {
        "network": graph.name,
        "file": str(path),
        "seed": injection.seed,
        "synapses": errors.flips(graph),
        "rates": {node: layer.rate for node, layer in errors.layers.items()},
        "digest": error_store.digest(errors),
    }


def train(
    recipe: str | Path, directory: str | Path, *, data: Path | None = None, resume: bool = True
):
    """Trains a recipe, a file or a name from the zoo; see :func:`twincell.model.training.train`.

    Writes NAME.safetensors, the recipe and the measured NAME.json to ``directory``, which also
    holds the checkpoint from which an interrupted run continues. ``data`` is the directory of data
    sets. Raises ``RecipeError``, ``DataError``, or ``UsageError`` for a checkpoint that belongs to
    another run.
    """
    from .model import training  # torch takes seconds to import
    from .model.checkpoint import CheckpointError

    source = recipe_path(recipe)
    read = Recipe.read(source)
    images = datasets.load(read.data, data)
    try:
        trained = training.train(read, directory, data=images, resume=resume)
    except CheckpointError as error:
        raise UsageError(f"{error}, or start over with --fresh") from None
    beside = trained.publish(directory).with_suffix(".toml")
    if not (beside.exists() and beside.samefile(source)):
        files.write_bytes(beside, source.read_bytes())
    return trained
