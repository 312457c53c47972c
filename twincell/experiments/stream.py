# SPDX-License-Identifier: BSD-2-Clause
"""A data set that comes in pieces, each seen for a while and never again.

After Laborieux et al., "Synaptic metaplasticity in binarized neural networks", Nature
Communications 12:2549 (2021), stream learning.
"""

from dataclasses import dataclass

import numpy as np

from ..model.data import load
from ._learning import (
    CONFIDENCE,
    STUDENT,
    Results,
    Training,
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

SUMMARY = "Fashion-MNIST in 60 pieces, with and without metaplasticity"
VERSION = 1  # of the trainings: raised when they change
NATURE = "Laborieux et al., Nature Communications 12:2549"
WHOLE = "whole"  # all pieces at once: what a stream could reach at most


@dataclass(frozen=True)
class Size:
    """How much a run does; a piece is seen ``epochs`` times, and so is the whole set.

    Parameters
    ----------
    label, data : the data set, for people and for ``load``
    """

    label: str
    data: str
    hidden: tuple[int, ...]
    pieces: int
    epochs: int
    seeds: int
    batch: int
    rate: float
    metas: tuple[float, ...]

    def cases(self) -> list[str]:
        """Streams with each strength, and the whole set without metaplasticity."""
        return [*(f"m{meta:g}" for meta in self.metas), WHOLE]


FULL = Size("Fashion-MNIST", "fashion-mnist", (1024, 1024), 60, 20, 3, 100, 5e-3, (0.0, 2.5))
DATA = (FULL.data,)
QUICK = Size("digits", "digits", (96,), 6, 4, 2, 20, 2e-2, (0.0, 2.5))


def run(job: Job) -> Report:
    """See :func:`compare`."""
    return compare(job, __name__, QUICK if job.quick else FULL, _SCALED)


def trained(training: Training, progress) -> dict:
    """See :func:`train`."""
    return train(training, QUICK if training.quick else FULL, progress)


def compare(job: Job, module: str, size: Size, scaled: str) -> Report:
    """Trains every case with every seed; continues an earlier run.

    Parameters
    ----------
    module : of the experiment, whose ``trained`` calls :func:`train`
    scaled : the first line of a full run: in what it is less than the published one
    """
    found = train_all(
        job, module, size.cases(), size.seeds, size.pieces * size.epochs,
        recipe(VERSION, size, "label", "metas"),
    )  # fmt: skip
    run_text = (
        f"Run: {size.label}, {'-'.join(map(str, size.hidden))} hidden neurons, {size.pieces} "
        f"pieces of {size.epochs} epochs, batches of {size.batch}, rate {size.rate:g}, "
        f"{size.seeds} seeds."
    )
    return Report(
        f"A stream of data: {size.label}",
        [_QUICK if job.quick else scaled, *_TEXT, run_text],
        range(1, size.seeds + 1),
        _findings(found, size),
        [_table(found, size), exports(found)],
        {"stream": _plot(found, size)},
        by_seed(found, "accuracies"),
        CONFIDENCE,
    )


def train(training: Training, size: Size, progress) -> dict:
    """One stream, or the whole set."""
    from ..model.learning.optimizers import metaplastic
    from ..model.learning.protocol import Protocol, learn
    from ..model.learning.tasks import stream

    data = load(size.data, training.data)
    whole = training.case == WHOLE
    meta = 0.0 if whole else float(training.case.removeprefix("m"))
    network = binary_network(data, size.hidden, training.seed)
    history = learn(
        network,
        lambda net: metaplastic(net, meta, lr=size.rate, decay=1e-7),
        stream(data, 1 if whole else size.pieces, training.seed),
        Protocol(
            size.epochs,
            size.batch,
            training.seed,
            fresh_optimizer=False,
            task_norm=False,
            test_every=size.epochs,
        ),
        directory=training.folder,
        identity=training.recipe,
        checkpoint_every=1 if whole else size.epochs,  # an epoch of a piece is over in a second
        progress=progress,
    )
    # All pieces are tested with the same images, and when a piece was learned.
    course = [epoch.accuracies[-1] for epoch in history.epochs if epoch.accuracies]
    return {"accuracies": course, "export": exported(network, data, training)}


def _final(found: Results, case: str) -> list[float]:
    return [each["accuracies"][-1] for each in found[case]]


def _findings(found: Results, size: Size) -> list[Finding]:
    plain, meta = (_final(found, f"m{each:g}") for each in (size.metas[0], size.metas[-1]))
    gain, left = paired(meta, plain), paired(_final(found, WHOLE), meta)
    open_share = paired(_final(found, WHOLE), plain)
    findings = [
        gain.finding(
            f"{size.label} in {size.pieces} pieces: what m = {size.metas[-1]:g} gains",
            "-", "-", NATURE, gain.above(0.0),
            "expected: more with metaplasticity; holds: more than 0",
        ),
        left.finding(
            f"the whole set at once less the stream with m = {size.metas[-1]:g}", "-", "-", NATURE,
            left.below(0.02), "expected: little; holds: less than 0.02",
        ),
    ]  # fmt: skip
    if open_share.mean > 0:  # else there is no gap to close
        findings.append(Finding(
            "share of the gap between stream and whole set that metaplasticity closes", "-", "-",
            "ratio of the means over seeds", gain.mean / open_share.mean, n=gain.n,
        ))  # fmt: skip
    return findings


def _table(found: Results, size: Size) -> Table:
    rows = [(case, spread(_final(found, case))) for case in size.cases()]
    return Table("Accuracy at the end, %: mean and range over seeds", ("case", "accuracy"), rows)


def _plot(found: Results, size: Size):
    figure, axes = plot(f"{size.label} in pieces", "piece", "accuracy, %")
    for index, case in enumerate(size.cases()):
        curves = 100 * np.array([each["accuracies"] for each in found[case]])
        if case == WHOLE:
            axes.axhline(curves[:, -1].mean(), color="0.5", ls="--", label="whole set")
            continue
        at = np.arange(1, size.pieces + 1)
        axes.plot(at, curves.mean(axis=0), f"C{index}-", label=f"m = {case[1:]}")
        axes.fill_between(at, curves.min(axis=0), curves.max(axis=0), color=f"C{index}", alpha=0.15,
                          linewidth=0)  # fmt: skip
    axes.legend()
    return figure


_SCALED = (
    "**Width, pieces and epochs are the published ones. Batch-norm learns scales and shifts where "
    "the published one does not, and a score head stands in place of the last one.**"
)
_QUICK = (
    "**This is the quick run: the 8x8 digits in six pieces and a small network. It shows that the "
    "experiment works and is not its result.**"
)
_TEXT = (
    "The training set comes in disjoint random pieces. Each is seen for some epochs and never "
    "again; optimizer, batch-norm and output offsets go on from piece to piece. A network without "
    "metaplasticity follows the piece at hand; one with it should end near a network that sees "
    "the whole set at once, as often.",
    "Cases of one seed start from the same weights, and streams see the same pieces, so "
    f"differences are paired. {STUDENT}",
)
