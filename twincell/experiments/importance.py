# SPDX-License-Identifier: BSD-2-Clause
"""Whether the size of a latent weight is its importance: in theory, and in a trained network.

After Laborieux et al., "Synaptic metaplasticity in binarized neural networks", Nature
Communications 12:2549 (2021), Figure 5.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from ..model.data import load
from ..model.generators import mix
from ..model.learning import quadratic
from ._learning import (
    CHECKPOINT_EVERY,
    CONFIDENCE,
    CORRELATION,
    Results,
    Training,
    binary_network,
    by_seed,
    exported,
    exports,
    mean_interval,
    measured,
    recipe,
    train_all,
)
from ._networks import Measured
from ._report import Finding, Job, Report, Table, plot

SUMMARY = "Latent weights as importances: the quadratic task, and signs switched in a network"
DATA = ("mnist",)
VERSION = 2  # of the trainings: raised when they change
NATURE = "Laborieux et al., Nature Communications 12:2549"
CASE = "switch"
BINS = 15  # of |latent weight| over the layer's largest
RATE, STEPS = 0.01, 1000  # of the quadratic task
AWAY = 20 * RATE  # latent weights beyond it are taken as diverging


@dataclass(frozen=True)
class Size:
    """How much a run does.

    Parameters
    ----------
    weights, tasks : of the quadratic task, and how many random ones
    hidden, epochs, batch, rate, meta : of the network
    switched : weights of each layer whose signs are switched at a time
    more : times as many of them, once more
    times : drawings of them, in each bin
    images : training images on which the loss is measured
    """

    weights: int
    tasks: int
    hidden: tuple[int, ...]
    epochs: int
    batch: int
    rate: float
    meta: float
    seeds: int
    switched: tuple[int, ...]
    more: int
    times: int
    images: int

    def series(self) -> dict[str, int]:
        """How often as many signs as published are switched, by the names of the series."""
        return {"published": 1, "more": self.more}


FULL = Size(500, 10, (1024, 1024), 40, 100, 5e-3, 1.35, 3, (1000, 2000, 100), 10, 50, 2000)
QUICK = Size(200, 3, (96, 96), 10, 20, 2e-2, 1.35, 2, (60, 90, 10), 3, 3, 500)
FEWEST = 3  # bins of which a rank correlation is taken


def run(job: Job) -> Report:
    """Solves quadratic tasks, trains networks and switches signs; continues an earlier run."""
    size = QUICK if job.quick else FULL
    made = recipe(VERSION, size, "weights", "tasks")
    found = train_all(job, __name__, [CASE], size.seeds, size.epochs, made)
    tasks = [_quadratic(size.weights, seed) for seed in range(1, size.tasks + 1)]
    ours = {
        name: float(np.mean([each[name] for each in tasks])) for name in ("correlation", "slope")
    }
    run_text = (
        f"Run: {size.tasks} quadratic tasks of {size.weights} weights, with seeds from 1; "
        f"{size.seeds} networks of "
        f"{'-'.join(map(str, size.hidden))} hidden neurons, {size.epochs} epochs with m = "
        f"{size.meta:g}; {size.times} drawings of {', '.join(map(str, size.switched))} weights, "
        f"and of {size.more} times as many, in each of {BINS} bins of the layers that has so many; "
        f"loss on {size.images:,} training images."
    )
    return Report(
        "The size of a latent weight and its importance",
        [_QUICK if job.quick else _SCALED, *_TEXT, run_text],
        range(1, size.seeds + 1),
        [*_theory(tasks, ours, size), *_switching(found, size)],
        [_tasks(tasks), *_bins(found, size), exports(found)],
        {
            "quadratic": _plot_quadratic(size),
            "switch": _plot_switch(found, size, "published"),
            "switch-more": _plot_switch(found, size, "more"),
        },
        {"quadratic": ours | {"weights": size.weights, "seeds": size.tasks}}
        | by_seed(found, "accuracy", "loss"),
        CONFIDENCE,
    )


def _quadratic(weights: int, seed: int) -> dict[str, float]:
    """Correlation of |latent| and the exact cost of a flip, and the slope of cost over theory.

    They are rounded, because their last digits depend on how many threads linear algebra has.
    """
    task = quadratic.random(weights, seed)
    latent = task.learn(RATE, STEPS)[-1]
    costs, theory = task.flip_costs(latent), task.predicted_costs(latent, RATE, STEPS)
    diverging = np.abs(latent) > AWAY
    return {
        "correlation": round(float(np.corrcoef(np.abs(latent), costs)[0, 1]), 6),
        "slope": round(float(np.polyfit(theory[diverging], costs[diverging], 1)[0]), 6),
        "diverging": int(diverging.sum()),
    }


def trained(training: Training, progress) -> dict:
    """One network, and what its loss gains when signs of one bin are switched."""
    import torch

    from ..model.learning.networks import binary_layers
    from ..model.learning.optimizers import metaplastic
    from ..model.learning.protocol import Protocol, learn
    from ..model.learning.tasks import task

    size = QUICK if training.quick else FULL
    data = load("digits") if training.quick else load("mnist", training.data)
    network = binary_network(data, size.hidden, training.seed)
    whole = task(data)
    history = learn(
        network,
        lambda net: metaplastic(net, size.meta, lr=size.rate, decay=1e-7),
        [whole],
        Protocol(size.epochs, size.batch, training.seed),
        directory=training.folder,
        identity=training.recipe,
        checkpoint_every=CHECKPOINT_EVERY,
        progress=progress,
    )
    images, labels = whole.train_images[: size.images], whole.train_labels[: size.images]
    network.eval()
    with torch.no_grad():
        before = _loss(network, images, labels)
        switched = {
            name: [
                _switch(network, layer, times * count, images, labels, size.times,
                        mix(training.seed, index, times))
                for index, (layer, count) in enumerate(
                    zip(binary_layers(network), size.switched, strict=True)
                )
            ]
            for name, times in size.series().items()
        }  # fmt: skip
    compared = exported(network, data, training)
    return {
        "accuracy": history.final()[0], "loss": before,
        "switched": switched, "export": compared,
    }  # fmt: skip


def _loss(network, images, labels) -> float:
    from torch.nn.functional import cross_entropy

    return float(cross_entropy(network(images), labels))


def _switch(network, layer, count: int, images, labels, times: int, seed: int) -> list[dict]:
    """The loss with ``count`` signs of each bin switched, ``times`` times; bins with fewer weights
    are left out."""
    latent = layer.latent
    sizes = latent.abs() / latent.abs().max()
    bins = (sizes * BINS).long().clamp(max=BINS - 1).view(-1)
    rng, found = np.random.default_rng(seed), []
    for bin_ in range(BINS):
        members = (bins == bin_).nonzero()[:, 0].numpy()
        if len(members) < count:
            continue
        losses = []
        for _ in range(times):
            chosen = rng.choice(members, count, replace=False)
            latent.view(-1)[chosen] *= -1
            losses.append(_loss(network, images, labels))
            latent.view(-1)[chosen] *= -1
        found.append({"bin": bin_, "weights": len(members), "losses": losses})
    return found


def _theory(tasks: list[dict], ours: dict, size: Size) -> list[Finding]:
    correlations, slopes = ([each[name] for each in tasks] for name in ("correlation", "slope"))
    correlation = measured(correlations, CORRELATION, every=False)
    slope = Measured(ours["slope"], mean_interval(slopes), (), len(tasks))
    return [
        Finding(
            "quadratic task: correlation of latent size and cost of a flip", "0.958 for one", "D",
            "loss 2 |w| / (rate t) + 2 H_ii", correlation.mean, correlation.interval,
            len(tasks), "holds: more than 0.95, the mean over tasks", correlation.above(0.95),
        ),
        Finding(
            f"quadratic task: slope of exact over predicted costs, latent above {AWAY:g}",
            "1, measured 1.04", "D", "the same", slope.mean, slope.interval, len(tasks),
            "holds: 0.9 to 1.1, the mean over tasks", slope.between(0.9, 1.1),
        ),
    ]  # fmt: skip


def _signs(size: Size) -> list[tuple[str, int, int]]:
    """What was switched: the series, the layer, and how many signs of it."""
    return [
        (name, layer, times * count)
        for name, times in size.series().items()
        for layer, count in enumerate(size.switched)
    ]


def _gains(run: dict, series: str, layer: int) -> tuple[list[int], list[float]]:
    """Bins of a layer, and the mean gain in loss of each."""
    rows = run["switched"][series][layer]
    return [row["bin"] for row in rows], [np.mean(row["losses"]) - run["loss"] for row in rows]


def _switching(found: Results, size: Size) -> list[Finding]:
    findings = []
    for series, layer, signs in _signs(size):
        gains = [_gains(run, series, layer) for run in found[CASE]]
        if min(len(bins) for bins, _ in gains) < FEWEST:
            continue
        ranks = [float(spearmanr(*each)[0]) for each in gains]
        bins = " or ".join(map(str, sorted({len(bins) for bins, _ in gains})))
        fewest = min(len(bins) for bins, _ in gains)
        step = 12 / (fewest * (fewest**2 - 1))  # what two neighbours make that change places
        mean = measured(ranks, CORRELATION, step=step)
        findings.append(Finding(
            f"layer {layer + 1}, {signs:,} signs of each of {bins} bins: rank correlation of "
            "latent size and loss",
            "-", "-", NATURE, mean.mean, mean.interval, mean.n,
            "expected: switching larger latent weights costs more; "
            f"holds: above 0.5; {min(ranks):.2f} to {max(ranks):.2f}", mean.above(0.5),
        ))  # fmt: skip
    return findings


def _tasks(tasks: list[dict]) -> Table:
    rows = [(seed, *each.values()) for seed, each in enumerate(tasks, start=1)]
    columns = ("seed", "correlation", "slope", "weights that diverge")
    return Table("Quadratic tasks", columns, rows)


def _bins(found: Results, size: Size) -> list[Table]:
    tables = []
    for series, layer, signs in _signs(size):
        rows = []
        for index, run in enumerate(found[CASE], start=1):
            for row in run["switched"][series][layer]:
                gain = np.array(row["losses"]) - run["loss"]
                rows.append((index, f"{row['bin']}/{BINS}", row["weights"], float(gain.mean()),
                             float(gain.std())))  # fmt: skip
        tables.append(Table(
            f"Layer {layer + 1}: {signs:,} signs switched",
            ("network", "bin, from", "weights in it", "loss gained", "standard deviation"), rows,
        ))  # fmt: skip
    return tables


def _plot_quadratic(size: Size):
    task = quadratic.random(size.weights, 1)
    latent = task.learn(RATE, STEPS)[-1]
    figure, axes = plot("Quadratic task, seed 1", "|latent weight|", "loss that a flip costs")
    axes.plot(np.abs(latent), task.flip_costs(latent), "C0.", ms=3, label="exact")
    theory = task.predicted_costs(latent, RATE, STEPS)
    axes.plot(np.abs(latent), theory, "C3.", ms=2, label="2 |w| / (rate t) + 2 H_ii")
    axes.legend()
    return figure


def _plot_switch(found: Results, size: Size, shown: str):
    figure, axes = plot("Signs switched in a trained network", "|latent weight| over its largest",
                        "loss gained")  # fmt: skip
    for series, layer, signs in _signs(size):
        if series != shown:
            continue
        for run in found[CASE]:
            bins, gains = _gains(run, series, layer)
            label = f"layer {layer + 1}, {signs:,} signs" if run is found[CASE][0] else None
            axes.plot((np.array(bins) + 0.5) / BINS, gains, f"C{layer}o-", ms=3, lw=0.8,
                      label=label)  # fmt: skip
    axes.legend()
    return figure


_SCALED = (
    f"**Scaled down: in each bin signs are switched {FULL.times} times in each of {FULL.seeds} "
    "networks, where the published figure has 100 runs; a score head stands in place of the last "
    "batch-norm. Network, epochs, bins and quadratic task have their published size.**"
)
_QUICK = (
    "**This is the quick run: smaller tasks, and small networks on the 8x8 digits. It shows that "
    "the experiment works and is not its result.**"
)
_TEXT = (
    "Metaplasticity protects weights whose latent value is large. Where the loss is quadratic in "
    "the binary weights, a latent weight whose optimum lies beyond +-1 grows steadily, with a "
    "slope that says what a flip of its sign would cost; the exact cost of every flip is known "
    "there. In a network, signs of weights of about equal latent size are switched, many at once, "
    "and the loss is measured: as many as in the published figure, whose effect on our networks "
    "is near that of chance, and more.",
    f"Intervals are Student's over tasks or over networks, with {CONFIDENCE:.0%} confidence; of a "
    "correlation mean and interval are those of Fisher's z, a rank correlation of 1 counting as "
    "one half of a change of neighbours less. Bins with fewer weights than are switched are left "
    "out.",
)
