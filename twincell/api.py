# SPDX-License-Identifier: BSD-2-Clause
"""The main jobs as functions: load, plan, build, verify, train. The command line is a thin layer on
these, of the same names."""

import shutil
from pathlib import Path

from .doctor import doctor
from .hw.network import Network
from .hw.plan import Budget, Plan, PlanError, plan
from .hw.verilog import Emitted, emit
from .model import data as datasets
from .model.graph import Graph
from .model.recipe import Recipe
from .networks import UsageError, load, recipe_path, zoo
from .verification import Progress, Verification, verify

__all__ = [
    "Budget",
    "Emitted",
    "Graph",
    "Plan",
    "PlanError",
    "Progress",
    "UsageError",
    "Verification",
    "build",
    "doctor",
    "load",
    "plan",
    "train",
    "verify",
    "zoo",
]


def build(graph: Graph, directory: str | Path, budget: Budget | None = None) -> Emitted:
    """Writes the network's Verilog, memory files and ``ports.json`` to ``directory``.

    Raises ``PlanError`` when the budget does not fit and ``EmissionError`` when Yosys fails.
    """
    network = Network(graph, plan(graph, budget))
    return emit(network, Path(directory), name=graph.name, about={"network": network.about()})


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
        raise UsageError(str(error)) from None
    beside = trained.publish(directory).with_suffix(".toml")
    if not (beside.exists() and beside.samefile(source)):
        shutil.copyfile(source, beside)
    return trained
