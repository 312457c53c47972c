# SPDX-License-Identifier: BSD-2-Clause
"""Networks that experiments train, and their accuracies under errors.

Both continue where an earlier run was stopped: trainings from their checkpoints, sweeps from their
ledgers.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tomli_w

from ..model.data import load
from ..model.files import write_bytes
from ..model.recipe import Recipe
from ..sweeps.intervals import difference
from ..sweeps.sweep import Sweep, sweep
from ._pool import finish
from ._report import CONFIDENCE, Finding, Job

if TYPE_CHECKING:
    from ..model.training import Trained

RECIPES = Path(str(resources.files(__package__))) / "recipes"


def recipe(name: str, number: int = 0, rate: float = 0.0) -> Recipe:
    """One of the recipes of this folder, for its ``number``-th training.

    ``rate`` is that of the weight errors to train with. Trainings of equal number start with equal
    weights and see the same mini-batches.
    """
    fields = Recipe.read(RECIPES / f"{name}.toml").model_dump(exclude_none=True)
    seed = fields["seed"] + number
    fields |= {"seed": seed, "name": f"{name}-{f'r{rate:.0e}' if rate else 'plain'}-{seed}"}
    if rate:
        # The network is measured by sweeps; one map is the fewest that a recipe asks for.
        fields["errors"] = {"persistent": rate, "maps": 1}
    return Recipe.model_validate(fields)


Measure = Callable[["Trained", Path], None]


@dataclass(frozen=True)
class NetworkTraining:
    """The training of one network.

    Parameters
    ----------
    recipe : of the network
    folder : of checkpoint and network
    data : directory of data sets
    measure : see :meth:`Bench.train`
    """

    recipe: Recipe
    folder: Path
    data: Path | None
    measure: Measure | None = None

    @property
    def epochs(self) -> int:
        """Of the recipe."""
        return self.recipe.training.epochs

    @property
    def network(self) -> Path:
        """The file of the network."""
        return self.folder / f"{self.recipe.name}.safetensors"

    @property
    def _beside(self) -> Path:
        """The recipe, which is written last and tells who loads the network of its data set."""
        return self.network.with_suffix(".toml")

    @property
    def done(self) -> bool:
        """Whether a network of this recipe is there."""
        there = self._beside.is_file() and self.network.is_file()
        return there and Recipe.read(self._beside) == self.recipe

    def run(self, progress: Callable[[], None]) -> None:
        """Trains and measures; ``progress`` is called after each epoch."""
        from ..model.training import train  # torch takes two seconds

        data = load(self.recipe.data, self.data)
        trained = train(self.recipe, self.folder, data=data, progress=lambda epoch: progress())
        trained.publish(self.folder)
        if self.measure is not None:
            self.measure(trained, self.folder)
        write_bytes(self._beside, toml(self.recipe).encode())
        (self.folder / "checkpoint.pt").unlink(missing_ok=True)  # tens of megabytes


@dataclass(eq=False)
class Bench:
    """Trains and measures networks in a folder.

    Parameters
    ----------
    job : of the experiment
    folder : of checkpoints, networks and sweeps
    steps : epochs and sweeps that the experiment will do, for its progress
    """

    job: Job
    folder: Path
    steps: int
    done: int = 0

    def train(self, given: Iterable[Recipe], measure: Measure | None = None) -> list[Path]:
        """The files of the trained networks; continues earlier trainings. ``measure`` may write
        more of what was trained into a network's folder, and must be picklable."""
        trainings = [
            NetworkTraining(each, self.folder / each.name, self.job.data, measure) for each in given
        ]
        finish(trainings, here=self.job.quick, advance=self._advance)
        return [each.network for each in trainings]

    def sweep(self, network: Path, name: str, **options) -> Sweep:
        """A sweep of a trained network, in a folder beside it; for ``options`` see
        :func:`~twincell.sweeps.sweep.sweep`."""
        found = sweep(network, network.parent / name, data=self.job.data, **options)
        self._advance(1)
        return found

    def _advance(self, steps: int) -> None:
        self.done += steps
        self.job.progress(self.done, self.steps)


@contextmanager
def bench(job: Job, steps: int) -> Iterator[Bench]:
    """A bench in the job's folder, or in one that is removed at the end."""
    if job.folder is not None:
        yield Bench(job, job.folder / ("quick" if job.quick else "networks"), steps)
        return
    with tempfile.TemporaryDirectory(prefix="twincell-") as folder:
        yield Bench(job, Path(folder), steps)


def toml(given: Recipe) -> str:
    """A recipe as the text of a TOML file."""
    return tomli_w.dumps(given.model_dump(mode="json", exclude_none=True))


@dataclass(frozen=True)
class Measured:
    """A number with its interval.

    Parameters
    ----------
    mean : over trainings, error maps and images
    interval : over what is new in every run: maps and images for these trained networks, or
        trainings
    trainings : the number of each training, where a claim is about every one of them
    n : classifications or trainings behind it
    """

    mean: float
    interval: tuple[float, float]
    trainings: tuple[float, ...]
    n: int

    def below(self, margin: float) -> str:
        """Whether it is less than ``margin``: *holds*, *fails* or *undecided*.

        It is decided when the whole interval and every training lie on one side.
        """
        low, high = self._ends
        return "holds" if high < margin else "fails" if low >= margin else "undecided"

    def above(self, margin: float) -> str:
        """Whether it is more than ``margin``; see :meth:`below`."""
        low, high = self._ends
        return "holds" if low > margin else "fails" if high <= margin else "undecided"

    def between(self, low: float, high: float) -> str:
        """Whether it is more than ``low`` and less than ``high``; see :meth:`below`."""
        both = {self.above(low), self.below(high)}
        return next(each for each in ("fails", "undecided", "holds") if each in both)

    @property
    def _ends(self) -> tuple[float, float]:
        every = (*self.interval, *self.trainings)
        return min(every), max(every)


@dataclass(frozen=True)
class Difference(Measured):
    """A paired difference of two accuracies, as fractions."""

    @property
    def spread(self) -> str:
        """The least and the greatest of the trainings, in points of percent."""
        low, high = (f"{100 * limit(self.trainings):+.2f}" for limit in (min, max))
        return f"{len(self.trainings)} trainings: {low} to {high} points"

    def finding(
        self,
        quantity: str,
        published: str,
        tag: str,
        source: str,
        verdict: str = "",
        meaning: str = "",
    ) -> Finding:
        """The difference beside what was published; ``meaning`` says when the verdict *holds*."""
        note = f"{meaning}; {self.spread}" if meaning else self.spread
        return Finding(
            quantity, published, tag, source, self.mean, self.interval, self.n, note, verdict
        )


def compare(first: Sequence[np.ndarray], second: Sequence[np.ndarray], seed: int) -> Difference:
    """Accuracy of ``first`` less that of ``second``, paired.

    Each holds for each training which images each map got right, (maps, images); a network without
    errors has one map. Map by map the same cells are wrong, and the images are the same.
    """
    each = tuple(float(a.mean() - b.mean()) for a, b in zip(first, second, strict=True))
    one, two = np.mean(first, axis=0), np.mean(second, axis=0)
    limits = difference(one, two, np.random.SeedSequence(seed), CONFIDENCE)
    maps = max(len(one), len(two))
    return Difference(float(np.mean(each)), limits, each, maps * one.shape[1] * len(first))


def percent(value: float) -> str:
    """An accuracy with two digits behind the point."""
    return f"{100 * value:.2f}"


def spread(values: Sequence[float]) -> str:
    """Accuracies in percent: their mean, and where there are several the least and greatest."""
    mean = percent(float(np.mean(values)))
    return f"{mean} ({percent(min(values))} to {percent(max(values))})" if values[1:] else mean
