# SPDX-License-Identifier: BSD-2-Clause
"""How the images of one trained network are shown to it, and which of them it then gets right."""

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..model.data import load
from ..model.files import write_bytes
from ..model.integer import Interpreter, labels
from ..model.planes import Accumulate, Generator, Stochastic

if TYPE_CHECKING:
    from ..model.graph import Graph
    from ..model.training import Trained

STATISTICS = 10_000  # training images behind the batch-norm statistics
FILE = "right.npz"


@dataclass(frozen=True)
class Shown:
    """As so many stochastic presentations, added up at a place, or as ``FIXED`` point numbers."""

    accumulate: Accumulate
    presentations: int
    generator: Generator = Generator.LFSR

    def __str__(self) -> str:
        return f"{self.accumulate}-{self.presentations}-{self.generator}"


FIXED = Shown(Accumulate.FIRST, 0)


def measure(trained: "Trained", folder: Path, wanted: Iterable[Shown], data: Path | None) -> None:
    """Shows all test images in each way that is ``wanted``, and writes what was labelled rightly.

    Each way has its own graph: the thresholds come from statistics of inputs shown like that.
    """
    images = load(trained.recipe.data, data)
    tests = images.test_images.reshape(len(images.test_images), -1)
    right = {}
    for shown in wanted:
        graph = _graph(trained, shown, images.train_images[:STATISTICS])
        found = labels(Interpreter(graph).scores(tests))
        right[str(shown)] = (found == images.test_labels)[None].astype(np.uint8)
    file = BytesIO()
    np.savez_compressed(file, **right)
    write_bytes(folder / FILE, file.getvalue())


def _graph(trained: "Trained", shown: Shown, images: np.ndarray) -> "Graph":
    import torch  # takes two seconds

    from ..model.calibration import presented
    from ..model.export import export

    pixels, name = torch.tensor(images).flatten(1), trained.recipe.name
    if shown == FIXED:
        return export(trained.model, name, tuple(pixels.shape[1:]))
    planes = trained.graph.input.planes
    assert isinstance(planes, Stochastic)
    counts = (shown.presentations,)
    planes = Stochastic(planes.bits, counts, planes.seed, shown.generator, shown.accumulate)
    return presented(trained.model, name, planes, pixels)


def results(folder: Path) -> dict[str, np.ndarray]:
    """What :func:`measure` wrote, by the name of each way: bits (1, images)."""
    with np.load(folder / FILE) as file:
        return {name: file[name] for name in file.files}
