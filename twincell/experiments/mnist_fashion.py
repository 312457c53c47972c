# SPDX-License-Identifier: BSD-2-Clause
"""Two data sets one after the other: what a binarized network forgets, and metaplasticity keeps.

After Laborieux et al., "Synaptic metaplasticity in binarized neural networks", Nature
Communications 12:2549 (2021).
"""

from dataclasses import dataclass, replace

import numpy as np

from ..model.data import load
from ._learning import (
    CHECKPOINT_EVERY,
    CONFIDENCE,
    FRACTION,
    STUDENT,
    Results,
    Training,
    binary_network,
    by_seed,
    exported,
    exports,
    measured,
    paired,
    recipe,
    train_all,
)
from ._networks import spread
from ._report import Finding, Job, Report, Table, plot

SUMMARY = "MNIST and Fashion-MNIST one after the other, with and without metaplasticity"
DATA = ("mnist", "fashion-mnist")
PIXELS = 20211  # seed of the places of the digits' pixels, in the quick run
VERSION = 1  # of the trainings: raised when they change
NATURE = "Laborieux et al., Nature Communications 12:2549"
ORDERS = ("forward", "backward")
PLAIN, META = 0.0, 1.5
KEPT = 0.1  # of accuracy, by which a network counts as keeping a set
AIM = (0.94, 0.83)  # of the first order, with both learned


@dataclass(frozen=True)
class Size:
    """How much a run does.

    Parameters
    ----------
    meta : the published strength of metaplasticity
    scaled : for as many fewer steps than published, as much more
    """

    names: tuple[str, str]
    hidden: tuple[int, ...]
    epochs: int
    seeds: int
    batch: int
    rate: float
    meta: float
    scaled: float

    def metas(self) -> dict[str, float]:
        """The strengths by the names of their cases."""
        return {"plain": PLAIN, "meta": self.meta, f"m{self.scaled:g}": self.scaled}


FULL = Size(("MNIST", "Fashion-MNIST"), (1024, 1024), 20, 3, 100, 5e-3, META, META * 50 / 20)
QUICK = Size(("digits", "permuted digits"), (128, 128), 6, 2, 20, 2e-2, 3.0, 6.0)


def run(job: Job) -> Report:
    """Trains both orders with and without metaplasticity; continues an earlier run."""
    size = QUICK if job.quick else FULL
    cases = [f"{order}-{kind}" for order in ORDERS for kind in size.metas()]
    made = recipe(VERSION, size, "names", "scaled")
    found = train_all(job, __name__, cases, size.seeds, 2 * size.epochs, made)
    run_text = (
        f"Run: {'-'.join(map(str, size.hidden))} hidden neurons, {size.epochs} epochs a set, "
        f"batches of {size.batch}, rate {size.rate:g}, m = {size.meta:g} and {size.scaled:g}, "
        f"{size.seeds} seeds. The published network is four times as wide and is trained for 50 "
        "epochs a set."
    )
    first = _QUICK if job.quick else _SCALED
    return Report(
        "Two data sets, one after the other",
        [first, *_TEXT, run_text],
        range(1, size.seeds + 1),
        [finding for order in ORDERS for finding in _findings(order, found, size)],
        [_table(found, size), exports(found)],
        {order: _plot(order, found, size) for order in ORDERS},
        by_seed(found, "matrix"),
        CONFIDENCE,
    )


def trained(training: Training, progress) -> dict:
    """One order and one strength of metaplasticity."""
    from ..model.learning.optimizers import metaplastic
    from ..model.learning.protocol import Protocol, learn
    from ..model.learning.tasks import task

    size = QUICK if training.quick else FULL
    sets = _sets(training)
    network = binary_network(sets[0], size.hidden, training.seed)
    meta = size.metas()[training.case.split("-")[1]]
    history = learn(
        network,
        lambda net: metaplastic(net, meta, lr=size.rate, decay=1e-7),
        [task(each) for each in sets],
        Protocol(size.epochs, size.batch, training.seed),
        directory=training.folder,
        identity=training.recipe,
        checkpoint_every=CHECKPOINT_EVERY,
        progress=progress,
    )
    return history.record() | {"export": exported(network, sets[-1], training)}


def _sets(training: Training):
    """The two sets in their order; quick runs have the digits, and once more with other places for
    the pixels."""
    if training.quick:
        digits = load("digits")
        order = np.random.default_rng(PIXELS).permutation(64)
        train, test = (each.reshape(-1, 64) for each in (digits.train_images, digits.test_images))
        sets = [digits, replace(digits, train_images=train[:, order], test_images=test[:, order])]
    else:
        sets = [load(name, training.data) for name in DATA]
    return sets if training.case.startswith(ORDERS[0]) else sets[::-1]


def _names(order: str, size: Size) -> tuple[str, str]:
    first, second = size.names
    return (first, second) if order == ORDERS[0] else (second, first)


def _final(found: Results, case: str, task: int) -> list[float]:
    return [each["matrix"][-1][task] for each in found[case]]


def _findings(order: str, found: Results, size: Size) -> list[Finding]:
    first, second = _names(order, size)
    findings = []
    for kind, meta in list(size.metas().items())[1:]:
        plain, case = f"{order}-plain", f"{order}-{kind}"
        kept = paired(_final(found, case, 0), _final(found, plain, 0))
        cost = paired(_final(found, plain, 1), _final(found, case, 1))
        findings += [
            kept.finding(
                f"{first}, then {second}: what m = {meta:g} keeps of {first}",
                "-", "-", NATURE, kept.above(KEPT),
                "expected: m = 0 forgets the first set, a network with metaplasticity keeps it; "
                f"holds: more than {100 * KEPT:g} points",
            ),
            cost.finding(
                f"{first}, then {second}: what m = {meta:g} costs on {second}", "-", "-", NATURE
            ),
        ]  # fmt: skip
        if order == ORDERS[0]:
            findings += _aims(found, case, f"with m = {meta:g}", (first, second))
    return findings


def _aims(found: Results, case: str, how: str, names: tuple[str, str]) -> list[Finding]:
    findings = []
    for task, (name, aim) in enumerate(zip(names, AIM, strict=True)):
        ours = _final(found, case, task)
        images = found[case][0]["export"]["images"]
        end = measured(ours, FRACTION, step=1 / images)
        findings.append(Finding(
            f"{names[0]}, then {names[1]}: {name} at the end, {how}", f"aim: {aim:g}", "-",
            "this project's aim for a network a quarter as wide", end.mean, end.interval, end.n,
            f"holds: more; {spread(ours)} %", end.above(aim),
        ))  # fmt: skip
    return findings


def _table(found: Results, size: Size) -> Table:
    rows = []
    for case, runs in found.items():
        order, kind = case.split("-", 1)
        first, second = _names(order, size)
        learned = [each["matrix"][0][0] for each in runs]
        kept, new = _final(found, case, 0), _final(found, case, 1)
        meta = f"m = {size.metas()[kind]:g}"
        rows.append((f"{first}, then {second}", meta, *map(spread, (learned, kept, new))))
    columns = ("order", "metaplasticity", "first set when learned", "at the end", "second set")
    return Table("Accuracy, %: mean and range over seeds", columns, rows)


def _plot(order: str, found: Results, size: Size):
    first, second = _names(order, size)
    figure, axes = plot(f"{first}, then {second}", "epoch", "accuracy, %")
    for (kind, meta), style in zip(size.metas().items(), ("--", ":", "-"), strict=True):
        runs = found[f"{order}-{kind}"]
        label = f"m = {meta:g}"
        for task, name in enumerate((first, second)):
            curves = np.array([
                [100 * e["accuracies"][task] for e in run["epochs"] if len(e["accuracies"]) > task]
                for run in runs
            ])  # fmt: skip
            at = np.arange(curves.shape[1]) + 1 + task * size.epochs
            axes.plot(at, curves.mean(axis=0), f"C{task}{style}", label=f"{name}, {label}")
            axes.fill_between(at, curves.min(axis=0), curves.max(axis=0), color=f"C{task}",
                              alpha=0.15, linewidth=0)  # fmt: skip
    axes.axvline(size.epochs + 0.5, color="0.6", ls=":")
    axes.legend()
    return figure


_SCALED = (
    "**Scaled down: a network a quarter as wide as the published one, 20 of 50 epochs; a score "
    "head stands in place of the last batch-norm.**"
)
_QUICK = (
    "**This is the quick run: a small network on the 8x8 digits, then on the same with their "
    "pixels in other places. It shows that the experiment works and is not its result.**"
)
_TEXT = (
    "A binarized network learns one data set and then another, which it is not told to share its "
    "weights with. Metaplasticity lets a weight that has grown large resist the step back to zero, "
    "`f = 1 - tanh^2(m |w|)`. Latent weights grow with every step, so that the published m = 1.5 "
    "protects less after fewer steps; the other strength is larger by as much as the steps are "
    "fewer. Each set is tested with the batch-norm and output offsets that it ended with; binary "
    "weights are shared.",
    "All networks of one order and seed start from the same weights and see the same mini-batches, "
    f"so differences are paired. {STUDENT} After the second set the network is exported, and its "
    "integer scores are compared with PyTorch's.",
)
