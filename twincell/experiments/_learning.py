# SPDX-License-Identifier: BSD-2-Clause
"""Trainings of the experiments about learning, each resumable.

An experiment names its *cases*, such as a device or a strength of metaplasticity, and trains each
with several seeds. A training leaves ``result.json`` in a folder of its own; until then a
checkpoint lies there, from which the next run of the experiment continues. Both say by what recipe
they were made: results of another one are trained anew, checkpoints of another one refused.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from ..model.files import write_bytes
from ..model.learning import CHECKPOINT
from ..networks import UsageError
from ._networks import Difference, Measured
from ._pool import finish
from ._report import Job, Table

if TYPE_CHECKING:
    from torch import nn

    from ..model.data import Dataset

CONFIDENCE = 0.95  # of intervals over three to ten trainings: those of 99 % are twice as wide
FRACTION, CORRELATION = (0.0, 1.0), (-1.0, 1.0)  # where such a number lies
CHECKPOINT_EVERY = 5  # epochs: that of 1,024 neurons with their devices has 220 MB
RESULT = "result.json"
NETWORK = "network.safetensors"
STUDENT = (
    f"Intervals are Student's over seeds, with {CONFIDENCE:.0%} confidence; of an accuracy or a "
    "correlation by itself mean and interval are those of its logit, or of Fisher's z. A claim "
    "holds or fails only where the interval and every training lie on one side."
)
_COMPARED = ("images", "scores", "labels")


@dataclass(frozen=True)
class Training:
    """One training.

    Parameters
    ----------
    module : of its experiment, which has a function ``trained``
    case, seed : what is trained
    quick : whether it belongs to a quick run
    data : directory of data sets
    folder : of checkpoint and result
    epochs : of the training
    recipe : what tells it from others of its name, see :func:`recipe`
    device : see :class:`~._report.Job`
    """

    module: str
    case: str
    seed: int
    quick: bool
    data: Path | None
    folder: Path
    epochs: int
    recipe: str
    device: str | None = None

    @property
    def result(self) -> Path:
        """The file that is there when the training is over."""
        return self.folder / RESULT

    @property
    def done(self) -> bool:
        """Whether the training is over: there is a result of this recipe."""
        return self.result.is_file() and self._kept().get("recipe") == self.recipe

    def found(self) -> dict:
        """What ``trained`` returned, when it is done."""
        return self._kept()["found"]

    def _kept(self) -> dict:
        try:
            kept = json.loads(self.result.read_text())
        except (OSError, ValueError):
            kept = None
        if not isinstance(kept, dict):
            raise UsageError(
                f"{self.result} is no result of a training; remove it, and that network is trained "
                "again"
            )
        return kept

    def run(self, progress: Callable[[], None]) -> None:
        """Trains; ``progress`` is called after each epoch. Raises ``UsageError`` for a checkpoint
        of another recipe."""
        from ..model.checkpoint import CheckpointError

        experiment = import_module(self.module)
        try:
            found = experiment.trained(self, lambda epoch: progress())
        except CheckpointError as error:
            raise UsageError(str(error)) from None
        kept = {"recipe": self.recipe, "found": found}
        write_bytes(self.result, (json.dumps(kept) + "\n").encode())
        self.tidy()

    def tidy(self) -> None:
        """Removes the checkpoint, of up to hundreds of megabytes, of a training that is over."""
        (self.folder / CHECKPOINT).unlink(missing_ok=True)


Results = dict[str, list[dict]]


def recipe(version: int, size: Any, *apart: str) -> str:
    """What the trainings of an experiment have in common, in words.

    Parameters
    ----------
    version : of ``trained``: raised whenever it trains or measures in another way
    size : of the run
    apart : fields of it that trainings do not depend on, besides the number of seeds
    """
    fields = ((name, value) for name, value in vars(size).items() if name not in (*apart, "seeds"))
    return ", ".join([f"version {version}", *(f"{name} {value!r}" for name, value in fields)])


def train_all(
    job: Job, module: str, cases: Sequence[str], seeds: int, epochs: int, recipe: str
) -> Results:
    """What ``trained(training, progress)`` of the experiment's module returned for each case, in
    the order of the seeds 1, 2, ...

    Parameters
    ----------
    epochs : of one training, for the progress
    recipe : of all of them, see :func:`recipe`
    """
    kept = (
        nullcontext(job.folder) if job.folder else tempfile.TemporaryDirectory(prefix="twincell-")
    )
    with kept as folder:
        root = Path(folder) / ("quick" if job.quick else "trainings")
        if job.device is not None:  # each device has its own
            root /= hashlib.sha256(recipe.encode()).hexdigest()[:8]
        trainings = [
            Training(
                module,
                case,
                seed,
                job.quick,
                job.data,
                root / f"{case}-{seed}",
                epochs,
                recipe,
                job.device,
            )
            for seed in range(1, seeds + 1)  # all cases once, then all again
            for case in cases
        ]
        done = 0

        def advance(more: int) -> None:
            nonlocal done
            done += more
            job.progress(done, len(trainings) * epochs)

        finish(trainings, here=job.quick, advance=advance)
        found: Results = {case: [] for case in cases}
        for each in trainings:
            each.tidy()  # which one that was killed behind its result has not done
            found[each.case].append(each.found())
    return found


def binary_network(data: "Dataset", hidden: Sequence[int], seed: int) -> "nn.Sequential":
    """A binarized network for the images of a data set, whose pixels it sees as 0 to 1; equal
    seeds give equal weights."""
    from ..model.layers import Pixels, mlp
    from ..model.learning.networks import seeded

    pixels = Pixels(data.bits, 0.0, 1.0)
    with seeded(seed):
        return mlp(int(np.prod(data.shape)), tuple(hidden), data.classes, pixels, init=0.05)


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Student's interval of the mean over trainings, see ``CONFIDENCE``; its ends are equal for
    values without spread. Raises ``ValueError`` for one value, which says nothing of others."""
    if len(values) < 2:
        raise ValueError(f"An interval over trainings needs at least two, not {len(values)}")
    mean, error = float(np.mean(values)), float(stats.sem(values))
    if error == 0:
        return mean, mean
    low, high = stats.t.interval(CONFIDENCE, len(values) - 1, loc=mean, scale=error)
    return float(low), float(high)


def measured(
    values: Sequence[float],
    within: tuple[float, float],
    *,
    step: float = 0.0,
    every: bool = True,
) -> Measured:
    """The mean over trainings of numbers between limits, and its interval: mean and Student's
    interval of their artanh, with the limits at -1 and 1, which is Fisher's for correlations and
    that of the logit for fractions.

    Parameters
    ----------
    step : between values that are possible; those at a limit count as half a step from it, and
        when all are at one, the interval reaches a step from it
    every : whether a claim is about each training as well as about the mean
    """
    least, most = within
    end = 1 - step / (most - least)
    scaled = np.clip(2 * (np.asarray(values) - least) / (most - least) - 1, -end, end)
    each = np.arctanh(scaled)
    found = np.tanh([float(np.mean(each)), *mean_interval(each.tolist())])
    if np.all(np.abs(scaled) == end) and np.ptp(scaled) == 0:
        found[1:] = sorted(np.sign(scaled[0]) * np.array([1, 2 * end - 1]))
    mean, low, high = (least + (found + 1) / 2 * (most - least)).tolist()
    return Measured(mean, (low, high), tuple(map(float, values)) if every else (), len(values))


def paired(first: Sequence[float], second: Sequence[float]) -> Difference:
    """First less second, training by training; the interval is over trainings."""
    each = tuple(float(a - b) for a, b in zip(first, second, strict=True))
    return Difference(float(np.mean(each)), mean_interval(each), each, len(each))


def at_the_end(best: float, tried: Sequence[float], what: str) -> str:
    """A sentence where the best value lies at an end of those that were tried, else nothing."""
    if min(tried) < best < max(tried):
        return ""
    end = "least" if best == min(tried) else "greatest"
    return f" The {what}, {best:g}, is the {end} that was tried: a better one may lie beyond."


def by_seed(found: Results, *names: str) -> dict[str, Any]:
    """What each training found under ``names``, with its seed: an entry of the JSON."""
    return {
        "trainings": {
            case: [
                {"seed": seed} | {name: run[name] for name in names}
                for seed, run in enumerate(runs, start=1)
            ]
            for case, runs in found.items()
        }
    }


def exports(found: Results) -> Table:
    """What :func:`exported` said of the networks of all cases that have it.

    A few images in ten thousand may have other scores: PyTorch computes sums of pixels in single
    precision, and some end on the other side of a threshold. In double precision none did.
    """
    rows = [
        (case, len(runs), *(sum(each["export"][what] for each in runs) for what in _COMPARED))
        for case, runs in found.items()
        if "export" in runs[0]
    ]
    title = (
        "The networks as graphs for hardware, against PyTorch, whose single precision may round a "
        "sum across a threshold"
    )
    return Table(title, ("case", "networks", "images", "with other scores", "labels"), rows)


def exported(network: "nn.Module", data: "Dataset", training: Training) -> dict:
    """Writes the trained network beside the result, with scores of PyTorch and graph compared on
    all test images. Returns plain data for the result."""
    import torch
    from torch import nn

    from ..model import store
    from ..model.export import differences, export

    assert isinstance(network, nn.Sequential)
    title = f"{training.module.rpartition('.')[2]}-{training.case}-{training.seed}"
    name = re.sub(r"[^A-Za-z0-9-]", "-", title)
    pixels = int(np.prod(data.shape))
    graph = export(network, name, (pixels,))
    images = torch.tensor(data.test_images.reshape(-1, pixels))
    found = differences(network, graph, images)
    store.save(graph, training.folder / NETWORK)
    return {what: getattr(found, what) for what in _COMPARED}
