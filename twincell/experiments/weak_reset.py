# SPDX-License-Identifier: BSD-2-Clause
"""Training by weak RESET pulses: which imperfection of the devices costs most.

After "Model of the Weak Reset Process in HfOx Resistive Memory for Deep Learning Frameworks", IEEE
Transactions on Electron Devices (2021, arXiv 2107.06064).
"""

from dataclasses import dataclass

import numpy as np

from ..model.data import load
from ._learning import (
    Results,
    Training,
    binary_network,
    exported,
    exports,
    paired,
    recipe,
    train_all,
)
from ._networks import Difference, spread
from ._report import Finding, Job, Report, Table, plot

SUMMARY = "Training by weak RESET pulses: each imperfection removed, and each alone"
SEED = 20214
VERSION = 1  # of the trainings: raised when they change
TED = "arXiv 2107.06064"
FULL_MODEL, IDEAL = "full", "ideal"
WITHOUT, ONLY, TUNE = "without", "only", "tune"
DEVICES = "device-to-device"  # both spreads together
IMPERFECTIONS = {
    DEVICES: ("slope_spread", "initial_spread"),
    "slope-spread": ("slope_spread",),
    "initial-spread": ("initial_spread",),
    "telegraph": ("telegraph",),
    "pink": ("pink",),
    "pulse-limit": ("limited",),
    "rounding": ("rounded",),
}
FIRST_PULSES = 20  # at most, drawn at random, so that devices without spread do not all start as +1


@dataclass(frozen=True)
class Size:
    """How much a run does.

    Parameters
    ----------
    rates : pulses per normalized step that are tried, with the first seed and held-out images
    held_out : training images for that
    """

    label: str
    hidden: tuple[int, ...]
    epochs: int
    halve_every: int
    batch: int
    seeds: int
    rates: tuple[float, ...]
    held_out: int


FULL = Size("MNIST", (1024,), 20, 7, 1000, 5, (2.0, 4.0, 8.0, 16.0, 32.0), 10_000)
QUICK = Size("digits", (48,), 6, 3, 100, 2, (4.0, 8.0), 300)


def rows() -> list[str]:
    """The devices that are compared."""
    single = [f"{kind}-{name}" for kind in (WITHOUT, ONLY) for name in IMPERFECTIONS]
    return [FULL_MODEL, IDEAL, *single]


def run(job: Job) -> Report:
    """Tunes the rate, then trains every device with every seed; continues an earlier run."""
    size = QUICK if job.quick else FULL
    tried = {row: [f"{TUNE}-{row}@{rate:g}" for rate in size.rates] for row in (FULL_MODEL, IDEAL)}
    made = recipe(VERSION, size, "label", "rates")
    tuned = train_all(job, __name__, [case for each in tried.values() for case in each], 1,
                      size.epochs, made)  # fmt: skip
    best = {
        row: max(cases, key=lambda case: tuned[case][0]["held_out"]).rpartition("@")[2]
        for row, cases in tried.items()
    }
    names = {row: f"{row}@{best.get(row, best[FULL_MODEL])}" for row in rows()}
    trained_ = train_all(job, __name__, list(names.values()), size.seeds, size.epochs, made)
    found = {row: trained_[name] for row, name in names.items()}
    inputs = 64 if job.quick else 784
    run_text = (
        f"Run: {size.label}, {'-'.join(map(str, (inputs, *size.hidden, 10)))}, {size.epochs} "
        f"epochs, batches of {size.batch}, rates halved every {size.halve_every} epochs, "
        f"{size.seeds} seeds. The rate of {best[FULL_MODEL]} pulses a step for the full model, and "
        f"all that differ from it in one thing, and of {best[IDEAL]} for the ideal device, are the "
        f"best of {', '.join(f'{rate:g}' for rate in size.rates)} on {size.held_out:,} held-out "
        "training images with the first seed."
    )
    return Report(
        "Training by weak RESET pulses",
        [_QUICK if job.quick else _SCALED, *_TEXT, run_text],
        SEED,
        _findings(found),
        [_table(found), _pulses(found), _rates(tuned), exports(found)],
        {"imperfections": _plot(found)},
    )


def trained(training: Training, progress) -> dict:
    """One device, at one rate."""
    from ..model.learning.networks import give_memories, memories
    from ..model.learning.optimizers import PulseAdam
    from ..model.learning.protocol import Protocol, accuracy, learn
    from ..model.learning.report import pulse_report
    from ..model.learning.tasks import held_out, task

    size = QUICK if training.quick else FULL
    data = load("digits") if training.quick else load("mnist", training.data)
    row, _, rate = training.case.rpartition("@")
    device = _device(row.removeprefix(f"{TUNE}-"))
    network = binary_network(data, size.hidden, training.seed)
    give_memories(network, device, training.seed)
    for memory in memories(network).values():
        memory.randomize(FIRST_PULSES)
    whole = task(data)
    used, kept = held_out(whole, size.held_out) if row.startswith(TUNE) else (whole, whole)
    history = learn(
        network,
        lambda net: PulseAdam(net, lr=float(rate)),
        [used],
        Protocol(size.epochs, size.batch, training.seed, halve_every=size.halve_every),
        directory=training.folder,
        identity=training.recipe,
        progress=progress,
    )
    if row.startswith(TUNE):
        return {"held_out": accuracy(network, kept.test_images, kept.test_labels)}
    last = [epoch.accuracies[0] for epoch in history.epochs[-5:]]
    pulses = pulse_report(network).record()
    compared = exported(network, data, training)
    return {"accuracy": float(np.mean(last)), "pulses": pulses, "export": compared}


def _device(row: str):
    from ..model.learning.devices.presets import preset

    device = preset("weak-reset").device
    if row == FULL_MODEL:
        return device
    if row == IDEAL:
        return device.only()
    kind, name = row.split("-", 1)
    flags = IMPERFECTIONS[name]
    return device.without(*flags) if kind == WITHOUT else device.only(*flags)


def _accuracies(found: Results, row: str) -> list[float]:
    return [each["accuracy"] for each in found[row]]


def _gain(found: Results, name: str) -> Difference:
    return paired(_accuracies(found, f"{WITHOUT}-{name}"), _accuracies(found, FULL_MODEL))


def _cost(found: Results, name: str) -> Difference:
    return paired(_accuracies(found, IDEAL), _accuracies(found, f"{ONLY}-{name}"))


def _findings(found: Results) -> list[Finding]:
    singles = [name for name in IMPERFECTIONS if name != DEVICES]
    gains = {name: _gain(found, name) for name in IMPERFECTIONS}
    others = [name for name in singles if name not in ("slope-spread", "initial-spread")]
    other = max(others, key=lambda name: gains[name].mean)
    first = _accuracies(found, f"{WITHOUT}-{DEVICES}")
    claim = paired(first, _accuracies(found, f"{WITHOUT}-{other}"))
    both = paired(_accuracies(found, IDEAL), _accuracies(found, FULL_MODEL))
    rows_ = [
        (f"what removing device-to-device variability gains over removing {other}, the next",
         "device-to-device variability is the most detrimental", "R", claim, claim.above(0.0),
         "holds: more than 0"),
        ("ideal device less full model", "-", "-", both, "", ""),
        *((f"what removing {name} gains", "-", "-", each, "", "") for name, each in gains.items()),
        *((f"what {name} alone costs the ideal device", "-", "-", _cost(found, name), "", "")
          for name in IMPERFECTIONS),
    ]  # fmt: skip
    return [
        each.finding(quantity, published, tag, TED, verdict, meaning)
        for quantity, published, tag, each, verdict, meaning in rows_
    ]  # fmt: skip


def _table(found: Results) -> Table:
    made = [(row, spread(_accuracies(found, row))) for row in rows()]
    title = "Test accuracy in the mean of the last five epochs, %: mean and range over seeds"
    return Table(title, ("device", "accuracy"), made)


def _pulses(found: Results) -> Table:
    made = []
    for row in rows():
        layers = [layer for run in found[row] for layer in run["pulses"]["layers"]]
        devices = sum(layer["devices"] for layer in layers)
        updates = sum(layer["updates"] for layer in layers)
        made.append((
            row, sum(layer["pulses"] for layer in layers) / devices,
            max(layer["most"] for layer in layers),
            *(100 * sum(layer[what] * layer["updates"] for layer in layers) / updates
              for what in ("silent", "clamped")),
        ))  # fmt: skip
    columns = ("device", "pulses a device", "most", "updates without a pulse, %", "cut, %")
    return Table("Pulses, over all seeds", columns, made)


def _rates(tuned: Results) -> Table:
    made = [
        (*case.removeprefix(f"{TUNE}-").split("@"), 100 * runs[0]["held_out"])
        for case, runs in tuned.items()
    ]
    columns = ("device", "pulses a step", "accuracy on held-out images, %")
    return Table("Rates that were tried", columns, made)


def _plot(found: Results):
    figure, axes = plot("Imperfections of weak RESET", "points of percent", "")
    for offset, (label, color, differ) in enumerate(
        (("gained without it", "C0", _gain), ("lost with it alone", "C3", _cost))
    ):
        each = [differ(found, name) for name in IMPERFECTIONS]
        middle = np.array([100 * d.mean for d in each])
        low, high = (np.array([100 * d.interval[end] for d in each]) for end in (0, 1))
        at = np.arange(len(each)) + 0.2 * (2 * offset - 1)
        axes.errorbar(middle, at, xerr=[middle - low, high - middle], fmt=f"{color}o", ms=4,
                      capsize=3, label=label)  # fmt: skip
    axes.set_yticks(range(len(IMPERFECTIONS)), list(IMPERFECTIONS))
    axes.axvline(0, color="0.6", lw=0.7)
    axes.invert_yaxis()
    axes.legend()
    return figure


_SCALED = (
    "**Scaled down: a hidden layer of 1024 neurons where the published network has 3000, and a "
    "score head in place of the last batch-norm. CIFAR-10 is not run.**"
)
_QUICK = (
    "**This is the quick run: a small network on the 8x8 digits. It shows that the experiment "
    "works and is not its result.**"
)
_TEXT = (
    "A weight is the sign of the difference of two resistances; an update is a number of weak "
    "RESET pulses on one of the two devices, proportional to Adam's step. The device model has "
    "imperfections that are switched off one at a time, or on one at a time: slopes and initial "
    "resistances that differ from device to device, telegraph noise, 1/f noise, the limit of "
    "pulses in an update, and their rounding to whole pulses. Every synapse starts with a random "
    f"number of pulses up to {FIRST_PULSES}, so that devices without any spread do not all start "
    "as +1.",
    "All devices of one seed see the same mini-batches and, where they have them, the same draws "
    "of spread and noise, so differences are paired; intervals are Student's over seeds.",
)
