# SPDX-License-Identifier: BSD-2-Clause
"""Six orders of MNIST's pixels one after the other: metaplasticity and other consolidations.

After Laborieux et al., "Synaptic metaplasticity in binarized neural networks", Nature
Communications 12:2549 (2021), Figure 2 and Table 1.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..model.data import load
from ._learning import (
    CHECKPOINT_EVERY,
    CONFIDENCE,
    STUDENT,
    Results,
    Training,
    at_the_end,
    binary_network,
    by_seed,
    exported,
    exports,
    paired,
    recipe,
    train_all,
)
from ._networks import spread
from ._report import Finding, Job, Report, Table, plot

if TYPE_CHECKING:
    from ..model.learning.tasks import Task

SUMMARY = "Six permuted MNIST tasks: metaplasticity, elastic weights, random consolidation"
DATA = ("mnist",)
VERSION = 1  # of the trainings: raised when they change
NATURE = "Laborieux et al., Nature Communications 12:2549"
ELASTIC, SHUFFLED, REAL = "elastic", "shuffled", "real"
TUNE = "tune"
PUBLISHED_STEPS = 40 * 600  # of a task: epochs, and batches of 100 in each


@dataclass(frozen=True)
class Size:
    """How much a run does.

    Parameters
    ----------
    widths : of the two hidden layers; the last one is that of the findings
    metas : strengths of metaplasticity, 0 first
    controls : strengths in the control of real weights, 0 first
    test_every : epochs of a task after which all tasks so far are tested
    seeds, others : trainings of each case of the last width, and of the other widths
    strengths : of elastic weights that are tried, as all of ``metas`` but 0 are, with the first
        width, the first seed and held-out images
    held_out : training images for that
    samples : images for the Fisher information
    """

    widths: tuple[int, ...]
    tasks: int
    epochs: int
    seeds: int
    batch: int
    rate: float
    metas: tuple[float, ...]
    controls: tuple[float, ...]
    test_every: int
    others: int
    held_out: int
    strengths: tuple[float, ...] = (5.0, 5e1, 5e2, 5e3, 5e4)
    samples: int = 5000

    def cases(self, width: int) -> list[str]:
        """Of a width; the control of real weights has the last width alone."""
        kinds = [*(f"m{meta:g}" for meta in self.metas), ELASTIC, SHUFFLED]
        if width == self.widths[-1]:
            kinds += [f"{REAL}{meta:g}" for meta in self.controls]
        return [f"{kind}-{width}" for kind in kinds]

    def tuned(self) -> dict[str, dict[float, str]]:
        """The cases that try strengths of elastic weights and of metaplasticity."""
        width = self.widths[0]
        return {
            "elastic weights": {s: f"{TUNE}-{ELASTIC}@{s:g}-{width}" for s in self.strengths},
            "metaplasticity": {m: f"{TUNE}-m{m:g}-{width}" for m in self.metas[1:]},
        }


# The last strength is 1.35 for as many fewer steps than published, as much more.
FULL = Size(
    (512, 1024), 6, 15, 3, 200, 5e-3, (0.0, 0.5, 1.0, 1.35, 7.2), (0.0, 1.35, 7.2), 5, 1, 10_000
)
QUICK = Size((96,), 2, 4, 2, 20, 2e-2, (0.0, 3.0), (0.0, 3.0), 1, 2, 300, (5e2, 5e3), samples=100)


def run(job: Job) -> Report:
    """Tunes both strengths, then trains every case; continues an earlier run."""
    size = QUICK if job.quick else FULL
    epochs = size.tasks * size.epochs
    made = recipe(VERSION, size, "widths", "metas", "controls", "others", "strengths")
    tried = [case for cases in size.tuned().values() for case in cases.values()]
    tuned = train_all(job, __name__, tried, 1, epochs, made)
    held_out = {
        kind: {each: _means(tuned, case)[0] for each, case in cases.items()}
        for kind, cases in size.tuned().items()
    }
    best, meta = (max(each, key=lambda at: each[at]) for each in held_out.values())
    found: Results = {}
    for width in size.widths[::-1]:
        seeds = size.seeds if width == size.widths[-1] else size.others
        names = {case: _with_strength(case, best) for case in size.cases(width)}
        trained_ = train_all(job, __name__, [*names.values()], seeds, epochs, made)
        found |= {case: trained_[name] for case, name in names.items()}
    width = size.widths[-1]
    run_text = (
        f"Run: two hidden layers of {' or '.join(map(str, size.widths))}, {size.tasks} tasks of "
        f"{size.epochs} epochs, batches of {size.batch}, rate {size.rate:g}; {size.seeds} seeds of "
        f"width {width}, of which the findings are. Strengths are the best with width "
        f"{size.widths[0]}, the first seed and {size.held_out:,} held-out training images: m = "
        f"{meta:g}, and {best:g} of elastic weights, whose Fisher information is from "
        f"{size.samples:,} images; published are 1.35 and 5000. Random consolidation has the "
        "strength of elastic weights, and was not tuned for itself."
    ) + at_the_end(best, size.strengths, "best strength of elastic weights")
    run_text += at_the_end(meta, size.metas[1:], "best m")
    return Report(
        "Permuted tasks, one after the other",
        [_QUICK if job.quick else _SCALED, *_TEXT, run_text],
        range(1, size.seeds + 1),
        _findings(found, size, meta),
        [_table(found, size), _strengths(held_out), exports(found)],
        {"tasks": _plot(found, size), "course": _course(found, size)},
        by_seed(found, "matrix"),
        CONFIDENCE,
    )


def trained(training: Training, progress) -> dict:
    """One case: a strength of metaplasticity, a consolidation, or real weights."""
    from ..model.layers import Pixels
    from ..model.learning.consolidation import ElasticWeights
    from ..model.learning.networks import real_mlp
    from ..model.learning.optimizers import metaplastic
    from ..model.learning.protocol import Protocol, learn
    from ..model.learning.tasks import permuted

    size = QUICK if training.quick else FULL
    kind, width = training.case.rsplit("-", 1)
    data = load("digits") if training.quick else load("mnist", training.data)
    tuned, kind = kind.startswith(TUNE), kind.removeprefix(f"{TUNE}-")
    kind, _, strength = kind.partition("@")
    hidden = (int(width), int(width))
    if kind.startswith(REAL):
        inputs, pixels = int(np.prod(data.shape)), Pixels(data.bits, 0.0, 1.0)
        network = real_mlp((inputs, *hidden, data.classes), pixels, training.seed)
    else:
        network = binary_network(data, hidden, training.seed)
    meta, consolidation = 0.0, None
    if strength:
        consolidation = ElasticWeights(
            float(strength), size.samples, shuffled=kind == SHUFFLED, seed=training.seed
        )
    else:
        meta = float(kind.removeprefix(REAL).removeprefix("m"))
    tasks = permuted(data, size.tasks, training.seed)
    if tuned:
        tasks = [_on_held_out(each, size.held_out) for each in tasks]
    history = learn(
        network,
        lambda net: metaplastic(net, meta, lr=size.rate, decay=1e-7),
        tasks,
        Protocol(size.epochs, size.batch, training.seed, test_every=size.test_every),
        consolidation=consolidation,
        directory=training.folder,
        identity=training.recipe,
        checkpoint_every=CHECKPOINT_EVERY,
        progress=progress,
    )
    found = history.record()
    if not (tuned or kind.startswith(REAL)):
        found["export"] = exported(network, data, training)
    return found


def _with_strength(case: str, strength: float) -> str:
    """The name under which a case is trained."""
    kind, width = case.rsplit("-", 1)
    return f"{kind}@{strength:g}-{width}" if kind in (ELASTIC, SHUFFLED) else case


def _on_held_out(task: "Task", count: int) -> "Task":
    """A task that is tested with training images, which it is then not trained with."""
    from ..model.learning.tasks import held_out

    used, kept = held_out(task, count)
    return replace(used, test_images=kept.test_images, test_labels=kept.test_labels)


def _means(found: Results, case: str) -> list[float]:
    """Of the tasks at the end, for each seed."""
    return [float(np.mean(each["matrix"][-1])) for each in found[case]]


def _last(found: Results, case: str) -> list[float]:
    """The last task's accuracy when it has just been learned, for each seed."""
    return [each["matrix"][-1][-1] for each in found[case]]


def _findings(found: Results, size: Size, best: float) -> list[Finding]:
    """``best`` is the strength of metaplasticity that held-out images chose."""
    width = size.widths[-1]
    names = {meta: f"m{meta:g}-{width}" for meta in size.metas}
    plain = names[size.metas[0]]
    gain = paired(_means(found, names[best]), _means(found, plain))
    greatest = size.metas[-1]
    rigid = paired(_last(found, plain), _last(found, names[greatest]))
    real = {meta: _means(found, f"{REAL}{meta:g}-{width}") for meta in size.controls}
    controls = {meta: paired(real[meta], real[size.controls[0]]) for meta in size.controls[1:]}
    elastic = paired(_means(found, f"{ELASTIC}-{width}"), _means(found, names[best]))
    shuffled = paired(_means(found, names[best]), _means(found, f"{SHUFFLED}-{width}"))
    orders = [np.mean(_last(found, names[meta])) for meta in size.metas]
    falls = all(a >= b for a, b in pairwise(orders))
    end = " and the greatest that was tried" if best == greatest else ""
    rows = [
        (f"mean accuracy: m = {best:g}, the best{end}, less m = 0",
         "forgetting falls as m grows to 1.35", gain, gain.above(0.0), "more than 0"),
        (f"last task: m = 0 less m = {greatest:g}", "larger m makes new tasks harder", rigid,
         rigid.above(0.0),
         f"more than 0; means over seeds {'fall' if falls else 'do not fall'} with every m"),
        *((f"mean accuracy of real weights: m = {meta:g} less m = 0",
           "metaplasticity of real weights does not help", control, control.below(0.01),
           "less than 0.01") for meta, control in controls.items()),
        (f"mean accuracy: elastic weights less m = {best:g}", "elastic weights are as good",
         elastic, elastic.above(-0.01), "more than -0.01"),
        (f"mean accuracy: m = {best:g} less random consolidation",
         "random consolidation is worse", shuffled, shuffled.above(0.0),
         "more than 0; random consolidation at the strength of elastic weights"),
    ]  # fmt: skip
    return [
        each.finding(quantity, "-", "-", NATURE, verdict, f"expected: {expected}; holds: {meaning}")
        for quantity, expected, each, verdict, meaning in rows
    ]


def _table(found: Results, size: Size) -> Table:
    rows = []
    for case in found:
        matrices = [each["matrix"] for each in found[case]]
        tasks = [spread([matrix[-1][task] for matrix in matrices]) for task in range(size.tasks)]
        rows.append((case, spread(_means(found, case)), *tasks))
    columns = ("case and width", "all tasks", *(f"task {k}" for k in range(1, size.tasks + 1)))
    return Table("Accuracy after the last task, %: mean and range over seeds", columns, rows)


def _strengths(held_out: dict[str, dict[float, float]]) -> Table:
    rows = [
        (kind, strength, 100 * mean)
        for kind, tried in held_out.items()
        for strength, mean in tried.items()
    ]
    columns = ("of", "strength", "mean accuracy of all tasks on held-out images, %")
    return Table("Strengths that were tried", columns, rows)


def _plot(found: Results, size: Size):
    width = size.widths[-1]
    figure, axes = plot(f"Tasks after the last one was learned, width {width}", "task",
                        "accuracy, %")  # fmt: skip
    at = np.arange(1, size.tasks + 1)
    for index, case in enumerate(size.cases(width)):
        rows = 100 * np.array([run["matrix"][-1] for run in found[case]])
        style = f"C{index}" + ("s--" if case.startswith(REAL) else "o-")
        axes.plot(at, rows.mean(axis=0), style, ms=3, label=case.removesuffix(f"-{width}"))
        axes.fill_between(at, rows.min(axis=0), rows.max(axis=0), color=f"C{index}", alpha=0.12,
                          linewidth=0)  # fmt: skip
    axes.legend(ncols=2)
    return figure


def _course(found: Results, size: Size):
    """The first task's accuracy while the others are learned."""
    width = size.widths[-1]
    figure, axes = plot("The first task while the others are learned", "epoch", "accuracy, %")
    for index, meta in enumerate(size.metas):
        runs = [
            [epoch for epoch in run["epochs"] if epoch["accuracies"]]
            for run in found[f"m{meta:g}-{width}"]
        ]
        at = [epoch["task"] * size.epochs + epoch["number"] for epoch in runs[0]]
        curves = 100 * np.array([[epoch["accuracies"][0] for epoch in run] for run in runs])
        axes.plot(at, curves.mean(axis=0), f"C{index}.-", ms=3, label=f"m = {meta:g}")
    for task in range(1, size.tasks):
        axes.axvline(task * size.epochs + 0.5, color="0.8", lw=0.7)
    axes.legend()
    return figure


_STEPS = FULL.epochs * (60_000 // FULL.batch)
_SCALED = (
    "**Scaled down: networks of at most a quarter of the published width, that of "
    f"{FULL.widths[0]} with one seed; {FULL.epochs} epochs a task in batches of {FULL.batch} where "
    f"the published code has 40 in batches of 100, which is {_STEPS:,} steps a task against "
    f"{PUBLISHED_STEPS:,}; a score head in place of the last batch-norm.**"
)
_QUICK = (
    "**This is the quick run: two permutations of the 8x8 digits and a small network. It shows "
    "that the experiment works and is not its result.**"
)
_TEXT = (
    "Each task is MNIST with its pixels in another order; the first keeps the original one. After "
    "its epochs a task is not seen again. All tasks share the binary weights; batch-norm and "
    "output offsets are kept for each task. The optimizer starts anew with each task. Latent "
    "weights grow with every step, so that a published strength of metaplasticity protects less "
    "after fewer steps; the greatest that is tried is larger by as much as the steps are fewer.",
    "Compared are metaplasticity of strength m (a weight that has grown large resists the step "
    "back to zero), elastic weight consolidation, the same with its importances in random order, "
    "and the control: a network of real weights with ReLU, whose large weights need not be "
    "important ones. Cases of one seed see the same tasks and mini-batches, so differences are "
    f"paired. {STUDENT}",
)
