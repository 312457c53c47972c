# SPDX-License-Identifier: BSD-2-Clause
"""Which error rates binarized networks stand, trained without and with errors of the weights.

After Hirtzlin et al., AICAS 2019 (arXiv 1904.03652): outstanding bit error tolerance of
resistive-RAM-based binarized neural networks. Every network is tested at its own rate and at
others, since Buschjaeger et al., 2020, report that training with errors overfits to its rate.
"""

from dataclasses import dataclass

import numpy as np

from ..sweeps.sweep import Sweep
from ._networks import Bench, Difference, bench, compare, recipe, spread
from ._report import Finding, Job, Report, Table, plot

SUMMARY = "Accuracy against weight errors, for networks trained without and with errors"
DATA = ("mnist", "fashion-mnist")
SEED = 20190
TRAINED = (0.0, 1e-3, 1e-2, 4e-2)  # error rates in training
RATES = (1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 2e-2, 4e-2, 8e-2, 0.16)
ORDINARY, AWARE = 1e-4, 4e-2  # the published rates
VISIBLE = 1e-3  # of an accuracy: a change in its last printed digit
TOLERABLE = 1e-2  # of an accuracy
DETAIL = 3.0  # points of percent, of the plot that shows the small differences
AICAS = "Hirtzlin et al., AICAS 2019"
OTHERS = "Buschjaeger et al., 2020"


@dataclass(frozen=True)
class Size:
    """How much a run does."""

    sets: tuple[str, ...]
    trainings: int
    maps: int


FULL = Size(("tolerance-mnist", "tolerance-fashion"), 3, 20)
QUICK = Size(("tolerance-quick",), 2, 4)
LABELS = {
    "tolerance-mnist": "MNIST",
    "tolerance-fashion": "Fashion-MNIST",
    "tolerance-quick": "8x8 digits",
}


@dataclass(frozen=True, eq=False)
class Measured:
    """The sweeps of one data set: of each rate in training, one for each training."""

    name: str
    sweeps: dict[float, list[Sweep]]

    def correct(self, trained: float, rate: float) -> list[np.ndarray]:
        """Which images each map got right, of each training."""
        index = (0.0, *RATES).index(rate)
        return [found.correct[index] for found in self.sweeps[trained]]

    def accuracy(self, trained: float, rate: float) -> float:
        """Mean over trainings, maps and images."""
        return float(np.mean([found.mean() for found in self.correct(trained, rate)]))

    def less(self, first: tuple[float, float], second: tuple[float, float]) -> Difference:
        """Accuracy of the first (rate in training, rate) less that of the second."""
        return compare(self.correct(*first), self.correct(*second), SEED)


def run(job: Job) -> Report:
    """Trains, sweeps and compares; continues an earlier run in the same folder."""
    size = QUICK if job.quick else FULL
    count = size.trainings * len(TRAINED)
    steps = count * sum(recipe(name).training.epochs + 1 for name in size.sets)
    with bench(job, steps) as made:
        measured = [_measure(made, name, size) for name in size.sets]
    return Report(
        "Weight errors that binarized networks stand",
        [*_TEXT, _run(size), *[_QUICK] * job.quick],
        SEED,
        [finding for each in measured for finding in _findings(each)],
        [table for each in measured for table in (_accuracies(each), _matched(each))],
        {
            f"{each.name}{suffix}": _plot(each, depth)
            for each in measured
            for suffix, depth in (("", 100.0), ("-detail", DETAIL))
        },
    )


def _measure(made: Bench, name: str, size: Size) -> Measured:
    """Networks are trained seed by seed, so that what is there after any time can be compared."""
    sweeps: dict[float, list[Sweep]] = {trained: [] for trained in TRAINED}
    given = [(k, trained) for k in range(size.trainings) for trained in TRAINED]
    networks = made.train(recipe(name, *each) for each in given)
    for network, (_, trained) in zip(networks, given, strict=True):
        found = made.sweep(network, "sweep", ber=RATES, maps=size.maps, seed=SEED)
        sweeps[trained].append(found)
    return Measured(name, sweeps)


def _findings(measured: Measured) -> list[Finding]:
    label = LABELS[measured.name]
    harm = measured.less((0.0, 0.0), (0.0, ORDINARY))
    aware = measured.less((0.0, 0.0), (AWARE, AWARE))
    gain = measured.less((AWARE, AWARE), (0.0, AWARE))
    return [
        harm.finding(
            f"{label}: accuracy that an ordinary network loses at {ORDINARY:g}",
            f"little impact up to {ORDINARY:g}", "R", AICAS, harm.below(VISIBLE),
            f"holds: less than {VISIBLE:g}",
        ),
        aware.finding(
            f"{label}: accuracy without errors less that of a network trained and tested at "
            f"{AWARE:g}", f"tolerates up to {AWARE:g}", "R", AICAS,
            aware.below(TOLERABLE), f"holds: less than {TOLERABLE:g}",
        ),
        gain.finding(
            f"{label}: what training with {AWARE:g} gains at {AWARE:g}",
            f"extends tolerance to {AWARE:g}", "R", AICAS,
            gain.above(0.0), "holds: more than 0",
        ),
        *(_overfit(measured, trained, 0.0) for trained in TRAINED[1:]),
        _overfit(measured, AWARE, TRAINED[1]),
    ]  # fmt: skip


def _overfit(measured: Measured, trained: float, rate: float) -> Finding:
    """Whether a network trained with more errors than it meets is worse than a matched one."""
    loss = measured.less((rate, rate), (trained, rate))
    met = f"at {rate:g}" if rate else "without errors"
    return loss.finding(
        f"{LABELS[measured.name]}: what training with {trained:g} costs {met}",
        "fully connected networks lose accuracy below their rate", "3P", OTHERS,
        loss.above(0.0), "holds: more than 0, against a network trained at the rate it meets",
    )  # fmt: skip


def _accuracies(measured: Measured) -> Table:
    rows = []
    for rate in (0.0, *RATES):
        cells = []
        for trained in TRAINED:
            each = [found.mean() for found in measured.correct(trained, rate)]
            cells.append(spread(each))
        rows.append((f"{rate:g}", *cells))
    columns = ("tested at", *(f"trained at {trained:g}" for trained in TRAINED))
    return Table(
        f"{LABELS[measured.name]}: accuracy, %, and its range over trainings", columns, rows
    )


def _matched(measured: Measured) -> Table:
    """Each network at each rate against the one that is trained at that rate."""
    rows = []
    for rate in TRAINED:
        for trained in TRAINED:
            if trained != rate:
                found = measured.less((rate, rate), (trained, rate))
                limits = " to ".join(f"{100 * limit:+.2f}" for limit in found.interval)
                rows.append((
                    f"{rate:g}", f"{trained:g}", f"{100 * found.mean:+.2f}", limits,
                    found.above(0.0),
                ))  # fmt: skip
    title = f"{LABELS[measured.name]}: matched less unmatched training, points of percent"
    columns = ("tested at", "unmatched: trained at", "difference", "interval", "matched is better")
    return Table(title, columns, rows)


def _plot(measured: Measured, depth: float):
    """Accuracy against rate, down to ``depth`` points below the best network's."""
    figure, axes = plot(
        f"{LABELS[measured.name]}, trained with and without weight errors",
        "rate of weight errors", "accuracy, %", xscale="log",
    )  # fmt: skip
    for index, trained in enumerate(TRAINED):
        color = f"C{index}"
        y = [100 * measured.accuracy(trained, rate) for rate in RATES]
        points = np.array([
            [(100 * p.low, 100 * p.high) for p in found.points[1:]]
            for found in measured.sweeps[trained]
        ])  # fmt: skip
        axes.fill_between(RATES, points[..., 0].min(0), points[..., 1].max(0), color=color,
                          alpha=0.15, linewidth=0)  # fmt: skip
        axes.plot(RATES, y, f"{color}o-", ms=3, label=f"trained at {trained:g}")
        clean = 100 * measured.accuracy(trained, 0.0)
        axes.axhline(clean, color=color, lw=0.7, ls="--")
    best = max(100 * measured.accuracy(trained, 0.0) for trained in TRAINED)
    axes.set_ylim(max(best - depth, 0), best + depth / 20)
    axes.legend()
    return figure


def _run(size: Size) -> str:
    sets = " and ".join(LABELS[name] for name in size.sets)
    return (
        f"Run: {sets}; {size.trainings} trainings of each network, {size.maps} error maps at each "
        "rate, all test images. The recipes are in `twincell/experiments/recipes/`; nothing was "
        "tuned to these results."
    )


_TEXT = (
    "Fully connected networks of binary weights are trained without errors, and with weights that "
    "are sensed wrong at some rate, drawn anew for each mini-batch; the gradient goes to the "
    "weights as stored. Then each is tested at every rate, its own and others, with the thresholds "
    "of its training: they come from batch-norm, whose statistics are those of sums with errors, "
    "so what a network loses at another rate is in part that of its thresholds. Errors are drawn "
    "once for a programming, in all layers, the first and the last one included. All networks of "
    "one data set have the same wrong cells and see the same images, so differences between them "
    "are paired.",
    "Intervals are over new error maps and new images, for the networks that were trained; from "
    "training to training results may differ more, so each note has the range. A verdict is given "
    "only where the interval and every training agree; else it is undecided. The published "
    f"sentences name no margin: {VISIBLE:g} and {TOLERABLE:g} of an accuracy are this project's. "
    "The bands in the plots hold the 95 % intervals of all trainings, the broken lines are "
    "accuracies without errors. Fashion-MNIST is not among the published data sets of this claim, "
    "and CIFAR-10 is not run here.",
)
_QUICK = (
    "**This is the quick run: small networks on the 8x8 digits. It shows that the experiment "
    "works and is not its result.**"
)
