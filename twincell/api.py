# SPDX-License-Identifier: BSD-2-Clause
"""The main jobs as functions: load, plan, build, verify, train. The command line is a thin layer on
these, of the same names."""

from pathlib import Path

from .doctor import doctor
from .hw.network import Network
from .hw.plan import Budget, Plan, PlanError, plan
from .hw.verilog import Emitted, emit
from .model.graph import Graph
from .networks import UsageError, load, zoo
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


def train(recipe: str | Path, directory: str | Path, *, data: Path | None = None, resume=True):
    """Trains a recipe, a file or a name from the zoo; see :func:`twincell.model.training.train`.

    Writes NAME.safetensors, the recipe and the measured NAME.json to ``directory``, which also
    holds the checkpoint from which an interrupted run continues.
    """
    import shutil

    from .model import data as datasets
    from .model import training  # torch takes seconds to import
    from .model.recipe import Recipe
    from .networks import recipe_path

    source = recipe_path(recipe)
    read = Recipe.read(source)
    images = datasets.load(read.data, data)
    trained = training.train(read, directory, data=images, resume=resume)
    path = trained.publish(directory)
    beside = path.with_suffix(".toml")
    if not (beside.exists() and beside.samefile(source)):
        shutil.copyfile(source, beside)
    return trained
