# SPDX-License-Identifier: BSD-2-Clause
"""Networks by file or by name from the zoo, and the images that belong to them."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from .model import data, store
from .model.data import Dataset
from .model.graph import Graph
from .model.planes import Stochastic
from .model.recipe import Recipe

RANDOM = "random"  # stands for a data set: seeded random images without labels


class Mismatch(RuntimeError):
    """A board's answers are not those of the reference, or it gives none."""


class UsageError(ValueError):
    """A request that cannot be met; the message says what is allowed."""


def zoo() -> list[str]:
    """Names of the networks that come with the project."""
    return sorted(path.stem for path in _zoo_folder().glob("*.safetensors"))


def network_path(net: str | Path) -> Path:
    """The file of a network, given as a path or as a name from the zoo."""
    return _find(net, ".safetensors", "network")


def recipe_path(recipe: str | Path) -> Path:
    """The file of a recipe, given as a path or as a name from the zoo."""
    return _find(recipe, ".toml", "recipe")


def load(net: str | Path) -> Graph:
    """Reads a network: a file, or a name from the zoo."""
    return store.load(network_path(net))


def chosen_presentations(graph: Graph, asked: int | None) -> int | None:
    """How often an image is shown: the number asked for, by default the first that the network
    supports; ``None`` when its input is not stochastic.

    Raises ``UsageError`` with the supported numbers.
    """
    try:
        count = graph.presentations(asked)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return count if isinstance(graph.input.planes, Stochastic) else None


@dataclass(frozen=True, eq=False)
class Images:
    """Images for a network, with their labels if there are any, and where they come from.

    Parameters
    ----------
    pixels : (images, *shape of the input)
    labels : (images,)
    source : the data set's name, or ``random``
    """

    pixels: np.ndarray
    labels: np.ndarray | None
    source: str

    def accuracy(self, found: np.ndarray) -> float | None:
        """The share of images that were labelled rightly, by labels ``found`` (images,)."""
        return None if self.labels is None else float((found == self.labels).mean())


def first_images(
    net: str | Path,
    graph: Graph,
    count: int | None = None,
    *,
    dataset: str | None = None,
    directory: Path | None = None,
    seed: int = 0,
) -> Images:
    """The first ``count`` of a network's test images, by default all; or random ones.

    Parameters
    ----------
    net, graph : the network
    dataset : one of ``data.NAMES``, or ``random``; by default what the recipe beside the network's
        file says, and ``random`` where there is no recipe
    directory : of data sets, else that of ``TWINCELL_DATA``
    seed : of random images, of which there are 100 by default

    Raises ``UsageError`` for an unknown set, for one whose pixels do not fit the input, and for
    more images than it has.
    """
    found = _test_set(net, graph, dataset, directory)
    available = None if found is None else len(found.test_images)
    if count is not None and not 1 <= count <= (available or count):
        allowed = "at least 1" if found is None else f"1 to {available} of {found.name}"
        raise UsageError(f"The number of test images is {allowed}, not {count}")
    if found is None:
        return Images(_random_images(graph, count or 100, seed), None, RANDOM)
    return Images(found.test_images[:count], found.test_labels[:count], found.name)


def _test_set(
    net: str | Path, graph: Graph, dataset: str | None, directory: Path | None
) -> Dataset | None:
    """The data set in the input's shape; ``None`` stands for random images."""
    beside = network_path(net).with_suffix(".toml")
    recipe = Recipe.read(beside) if beside.is_file() else None
    dataset = dataset or (recipe.data if recipe else RANDOM)
    if dataset == RANDOM:
        return None
    if dataset not in data.NAMES:
        raise UsageError(f"{dataset!r} is not a data set: {', '.join((*data.NAMES, RANDOM))}")
    loaded = data.load(dataset, directory)
    if recipe is not None and recipe.input.threshold is not None:
        loaded = loaded.binarized(recipe.input.threshold)
    found = loaded.shaped(graph.input.shape)
    bits = graph.input.planes.bits
    if found.bits > bits:
        raise UsageError(f"{found.name} has pixels of {found.bits} bits, {graph.name} of {bits}")
    return found


def _random_images(graph: Graph, count: int, seed: int) -> np.ndarray:
    """Seeded images over the whole range of pixels; the first two are all least and all most."""
    most = (1 << graph.input.planes.bits) - 1
    images = np.random.default_rng(seed).integers(0, most + 1, (count, *graph.input.shape))
    images[:1], images[1:2] = 0, most
    return images


def _zoo_folder() -> Path:
    return Path(str(resources.files("twincell.zoo")))


def _find(name: str | Path, suffix: str, kind: str) -> Path:
    path = Path(name)
    if path.is_file():
        return path
    if path.suffix == suffix:
        raise UsageError(f"There is no {kind} file {path}")
    known = sorted(path.stem for path in _zoo_folder().glob(f"*{suffix}"))
    if str(name) in known:
        return _zoo_folder() / f"{name}{suffix}"
    raise UsageError(f"{str(name)!r} is neither a {kind} file nor in the zoo: {', '.join(known)}")
