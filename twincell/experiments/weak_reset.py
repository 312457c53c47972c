# SPDX-License-Identifier: BSD-2-Clause
"""Training by weak RESET pulses: which imperfection of the devices costs most.

After "Model of the Weak Reset Process in HfOx Resistive Memory for Deep Learning Frameworks", IEEE
Transactions on Electron Devices (2021, arXiv 2107.06064).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..model.data import load
from ..networks import UsageError
from ._imperfections import (
    DEVICES,
    FULL_MODEL,
    GROUPS,
    IDEAL,
    LINEAR,
    ONLY,
    WITHOUT,
    imperfections,
    like,
    rows,
    studied,
    switched,
)
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
from ._networks import Difference, spread
from ._report import Finding, Job, Report, Table, plot

if TYPE_CHECKING:
    from ..model.learning.devices.memory import LearningDevice
    from ..model.learning.report import PulseCost

SUMMARY = "Training by weak RESET pulses: each imperfection removed, and each alone"
VERSION = 1  # of the trainings: raised when they change
BY_PULSES = True  # so it takes `--cost`, what one costs, and `--device`, another device
TED = "arXiv 2107.06064"
TUNE = "tune"
FIRST_PULSES = 20  # at most, drawn at random, so that devices without spread do not all start as +1


@dataclass(frozen=True)
class Size:
    """How much a run does.

    Parameters
    ----------
    label, data : the data set, for people and for ``load``
    rates : pulses per normalized step that are tried, with the first seed and held-out images
    held_out : training images for that
    kinds : of devices that are compared with the full model and the ideal one, WITHOUT and ONLY; a
        linear one is beside the latter
    grouped : whether imperfections that are in a group are switched with it alone
    """

    label: str
    data: str
    hidden: tuple[int, ...]
    epochs: int
    halve_every: int
    batch: int
    seeds: int
    rates: tuple[float, ...]
    held_out: int
    kinds: tuple[str, ...] = (WITHOUT, ONLY)
    grouped: bool = False

    def devices(self, device: "LearningDevice") -> tuple[str, ...]:
        """The devices that are compared, made of one by switching."""
        flags = imperfections(device)
        within = {flag for name in GROUPS if name in flags for flag in flags[name]}
        names = [
            name
            for name, each in flags.items()
            if not self.grouped or name in GROUPS or not within.intersection(each)
        ]
        return rows(*self.kinds, of=names) + (LINEAR,) * (ONLY in self.kinds)


RATES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
FULL = Size("MNIST", "mnist", (1024,), 20, 7, 1000, 5, RATES, 10_000)
DATA = (FULL.data,)
QUICK = Size("digits", "digits", (48,), 6, 3, 100, 2, (4.0, 8.0), 300)


def run(job: Job) -> Report:
    """See :func:`compare`."""
    return compare(job, __name__, QUICK if job.quick else FULL, _SCALED)


def trained(training: Training, progress) -> dict:
    """See :func:`train`."""
    return train(training, QUICK if training.quick else FULL, progress)


def compare(job: Job, module: str, size: Size, scaled: str) -> Report:
    """Tunes the rate, then trains every device with every seed; continues an earlier run.

    Parameters
    ----------
    module : of the experiment, whose ``trained`` calls :func:`train`
    scaled : the first line of a full run: in what it is less than the published one
    """
    cost, device = _cost_of_pulses(job), studied(job.device)
    tried = {row: [f"{TUNE}-{row}@{rate:g}" for rate in size.rates] for row in (FULL_MODEL, IDEAL)}
    made = recipe(VERSION, size, "label", "rates", "kinds", "grouped")
    made += _of_device(device)
    published, first = device == studied(None), _PUBLISHED
    if not published:
        first = _own(size.devices(device))
        scaled = f"**A device of yours; nothing published is compared with it: {device}.**"
    tuned = train_all(job, module, [case for each in tried.values() for case in each], 1,
                      size.epochs, made)  # fmt: skip
    best = {
        row: max(size.rates, key=lambda rate: tuned[f"{TUNE}-{row}@{rate:g}"][0]["held_out"])
        for row in tried
    }
    names = {row: f"{row}@{best[like(row)]:g}" for row in size.devices(device)}
    again = _again(names, best)
    cases = [*names.values(), *again.values()]
    trained_ = train_all(job, module, cases, size.seeds, size.epochs, made)
    found = {row: trained_[name] for row, name in names.items()}
    other = {row: trained_[name] for row, name in again.items()}
    every = found | {name: trained_[name] for name in again.values()}
    source = TED if published else str(device)
    at = f", both at {best[FULL_MODEL]:g} pulses a step"
    return Report(
        f"Training by {'weak RESET ' if published else ''}pulses: {size.label}",
        [_QUICK if job.quick else scaled, _TEXT[0], first, *_TEXT[1:], _run(size, best, again)],
        range(1, size.seeds + 1),
        _findings(found, source) + _costs(other, source, at),
        [_table(every), _pulses(found), _wear(found, cost), _rates(tuned), exports(every)],
        {"imperfections": _plot(found), "pulses": _plot_pulses(found)},
        by_seed(every, "accuracy"),
        CONFIDENCE,
    )


def _again(names: dict[str, str], best: dict[str, float]) -> dict[str, str]:
    """The ideal device and those with one imperfection, at the rate of the full model: where that
    is another one, it may be what they differ by."""
    if best[FULL_MODEL] == best[IDEAL] or not _named(names, ONLY):
        return {}
    alone = (row for row in names if like(row) == IDEAL and row != LINEAR)
    return {row: f"{row}@{best[FULL_MODEL]:g}" for row in alone}


def _run(size: Size, best: dict[str, float], again: dict[str, str]) -> str:
    """How much was done, and at which rates."""
    text = (
        f"Run: {size.label}, a hidden layer of {'-'.join(map(str, size.hidden))} neurons, "
        f"{size.epochs} epochs, batches of {size.batch}, rates halved every {size.halve_every} "
        f"epochs, {size.seeds} seeds. The rate of {best[FULL_MODEL]:g} pulses a step for the full "
        "model, which the devices without one imperfection share, and of "
        f"{best[IDEAL]:g} for the ideal device, which all others share, are the best of "
        f"{', '.join(f'{rate:g}' for rate in size.rates)} on {size.held_out:,} held-out training "
        "images with the first seed. Intervals hold at these rates and leave their choice out: a "
        "device of another row may do better at another rate."
    )
    if again:
        text += (
            " The ideal device and those with one imperfection are also trained at the rate of the "
            f"full model, in rows that end in @{best[FULL_MODEL]:g}."
        )
    ends = (at_the_end(rate, size.rates, f"best rate of the {row} device")
            for row, rate in best.items())  # fmt: skip
    return text + "".join(ends)


def _of_device(device: "LearningDevice") -> str:
    """What a recipe says of the device: nothing of the published one."""
    return "" if device == studied(None) else f", {device}"


def _cost_of_pulses(job: Job) -> "PulseCost":
    """The user's, or round figures that say that they are."""
    from ..model.learning.report import PulseCost

    if job.cost is None:
        source = "parametric, no source is known: 1 pJ a pulse, 1e6 pulses a device endures"
        return PulseCost(source, energy=1e-12, endurance=1e6)
    try:
        return PulseCost.read(job.cost)
    except ValueError as error:
        raise UsageError(str(error)) from None


def train(training: Training, size: Size, progress) -> dict:
    """One device, at one rate."""
    from ..model.learning.networks import give_memories
    from ..model.learning.optimizers import PulseAdam
    from ..model.learning.protocol import Protocol, accuracy, learn
    from ..model.learning.report import pulse_report
    from ..model.learning.tasks import held_out, task

    data = load(size.data, training.data)
    row, _, rate = training.case.rpartition("@")
    device = studied(training.device)
    if _of_device(device) not in training.recipe:
        raise UsageError(f"{training.device} has changed since the run began; start it again")
    device = switched(device, row.removeprefix(f"{TUNE}-"))
    network = binary_network(data, size.hidden, training.seed)
    give_memories(network, device, training.seed, start=FIRST_PULSES)
    whole = task(data)
    used, kept = held_out(whole, size.held_out) if row.startswith(TUNE) else (whole, whole)
    history = learn(
        network,
        lambda net: PulseAdam(net, lr=float(rate)),
        [used],
        Protocol(size.epochs, size.batch, training.seed, halve_every=size.halve_every),
        directory=training.folder,
        identity=training.recipe,
        checkpoint_every=CHECKPOINT_EVERY,
        progress=progress,
    )
    if row.startswith(TUNE):
        return {"held_out": accuracy(network, kept.test_images, kept.test_labels)}
    last = [epoch.accuracies[0] for epoch in history.epochs[-5:]]
    pulses = pulse_report(network).record()
    compared = exported(network, data, training)
    return {"accuracy": float(np.mean(last)), "pulses": pulses, "export": compared}


def _accuracies(found: Results, row: str) -> list[float]:
    return [each["accuracy"] for each in found[row]]


def _gain(found: Results, name: str) -> Difference:
    return paired(_accuracies(found, f"{WITHOUT}-{name}"), _accuracies(found, FULL_MODEL))


def _cost(found: Results, name: str) -> Difference:
    return paired(_accuracies(found, IDEAL), _accuracies(found, f"{ONLY}-{name}"))


def _own(devices: Sequence[str]) -> str:
    """What is done with a device of the user's, whose rows are given."""
    off = _named(devices, WITHOUT)
    alone = " each is also there alone, with all others off;" * (LINEAR in devices)
    linear = "; in a linear device pulses never do less, and it is ideal otherwise"
    return (
        f"The imperfections of the device are switched off one at a time: {', '.join(off)};{alone} "
        "the ideal device has none of these, but keeps the law of the resistance"
        f"{linear * (LINEAR in devices)}."
    )


def _named(devices: Iterable[str], kind: str) -> list[str]:
    """The imperfections that devices of a kind, WITHOUT or ONLY, are there for."""
    return [row.removeprefix(f"{kind}-") for row in devices if row.startswith(f"{kind}-")]


def _findings(found: Results, source: str) -> list[Finding]:
    gains = {name: _gain(found, name) for name in _named(found, WITHOUT)}
    both = paired(_accuracies(found, IDEAL), _accuracies(found, FULL_MODEL))
    said = [("ideal device less full model", "-", "-", both, "", "")]
    if source == TED:
        said = [*_claims(found), *said]
    if LINEAR in found:
        knee = paired(_accuracies(found, LINEAR), _accuracies(found, IDEAL))
        said.append(("linear device less ideal device: what the law of the resistance costs", "-",
                     "-", knee, "", _acts(knee)))  # fmt: skip
    said += [
        (f"what removing {name} gains", "-", "-", gain, "", _acts(gain))
        for name, gain in gains.items()
    ]  # fmt: skip
    findings = [
        each.finding(quantity, published, tag, source, verdict, meaning)
        for quantity, published, tag, each, verdict, meaning in said
    ]  # fmt: skip
    return findings + _costs(found, source)


def _costs(found: Results, source: str, how: str = "") -> list[Finding]:
    """What each imperfection alone costs, where all are trained in one way."""
    costs = {name: _cost(found, name) for name in _named(found, ONLY)}
    return [
        each.finding(f"what {name} alone costs the ideal device{how}", "-", "-", source, "",
                     _acts(each))
        for name, each in costs.items()
    ]  # fmt: skip


def _acts(difference: Difference) -> str:
    return "" if any(difference.trainings) else "it never acted: the same trainings"


def _claims(found: Results) -> list[tuple]:
    """The published claim holds where it does against every other group."""
    first = _accuracies(found, f"{WITHOUT}-{DEVICES}")
    claims = {name: paired(first, _accuracies(found, f"{WITHOUT}-{name}")) for name in GROUPS[1:]}
    return [
        (
            f"what removing {DEVICES} variability gains over removing {name}",
            "device-to-device variability is the most detrimental", "R", claim, claim.above(0.0),
            "holds: more than 0",
        )
        for name, claim in claims.items()
    ]  # fmt: skip


def _table(found: Results) -> Table:
    made = [(row, spread(_accuracies(found, row))) for row in found]
    title = "Test accuracy in the mean of the last five epochs, %: mean and range over seeds"
    return Table(title, ("device", "accuracy"), made)


def _pulses(found: Results) -> Table:
    made = []
    for row in found:
        layers = [layer for run in found[row] for layer in run["pulses"]["layers"]]
        devices = sum(layer["devices"] for layer in layers)
        updates = sum(layer["updates"] for layer in layers)
        start = sum(layer["start"] for layer in layers)
        made.append((
            row, (sum(layer["pulses"] for layer in layers) - start) / devices, start / devices,
            max(layer["most"] for layer in layers),
            *(100 * sum(layer[what] * layer["updates"] for layer in layers) / updates
              for what in ("silent", "clamped")),
        ))  # fmt: skip
    columns = ("device", "pulses a device in training", "at its random start", "most of both",
               "updates without a pulse, %", "cut, %")  # fmt: skip
    return Table("Pulses, over all seeds", columns, made)


def _wear(found: Results, cost: "PulseCost") -> Table:
    made = []
    for row in found:
        layers = [layer for run in found[row] for layer in run["pulses"]["layers"]]
        pulses = sum(layer["pulses"] - layer["start"] for layer in layers) / len(found[row])
        most = max(layer["most"] for layer in layers)
        energy, wear = cost.energy_of(pulses), cost.wear_of(most)
        known = "-" if energy is None else energy, most, "-" if wear is None else 100 * wear
        made.append((row, pulses, *known))
    columns = ("device", "pulses of a training", "their energy, J", "most on a device, with start",
               "of its endurance, %")  # fmt: skip
    return Table(f"Energy and wear of a training ({cost.source})", columns, made)


def _rates(tuned: Results) -> Table:
    made = [
        (*case.removeprefix(f"{TUNE}-").split("@"), 100 * runs[0]["held_out"])
        for case, runs in tuned.items()
    ]
    columns = ("device", "pulses a step", "accuracy on held-out images, %")
    return Table("Rates that were tried", columns, made)


def _plot(found: Results):
    figure, axes = plot("Imperfections of the devices", "points of percent", "")
    names = _named(found, WITHOUT)
    for offset, (kind, label, color, differ) in enumerate(
        ((WITHOUT, "gained without it", "C0", _gain), (ONLY, "lost with it alone", "C3", _cost))
    ):
        if not (shown := _named(found, kind)):
            continue
        each = [differ(found, name) for name in shown]
        middle = np.array([100 * d.mean for d in each])
        low, high = (np.array([100 * d.interval[end] for d in each]) for end in (0, 1))
        at = np.array([names.index(name) for name in shown]) + 0.2 * (2 * offset - 1)
        axes.errorbar(middle, at, xerr=[middle - low, high - middle], fmt=f"{color}o", ms=4,
                      capsize=3, label=label)  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.axvline(0, color="0.6", lw=0.7)
    axes.invert_yaxis()
    axes.legend()
    return figure


def _plot_pulses(found: Results):
    figure, axes = plot("Pulses of a device, its random start included", "pulses, from",
                        "share of devices, %")  # fmt: skip
    first = [f"{WITHOUT}-{name}" for name in _named(found, WITHOUT)[:1]]
    chosen = (FULL_MODEL, *first, IDEAL)
    layers = {row: [each for run in found[row] for each in run["pulses"]["layers"]]
              for row in chosen}  # fmt: skip
    edges = max((each["edges"] for kept in layers.values() for each in kept), key=len)
    for index, (row, kept) in enumerate(layers.items()):
        counts = np.zeros(len(edges))
        for each in kept:
            counts[: len(each["histogram"])] += each["histogram"]
        at = np.arange(len(edges)) + 0.28 * (index - 1)
        axes.bar(at, 100 * counts / counts.sum(), 0.28, color=f"C{index}", label=row)
    axes.set_xticks(range(len(edges)), [f"{edge:,}" for edge in edges], rotation=45)
    axes.legend()
    return figure


_SCALED = (
    "**Scaled down: a hidden layer of 1024 neurons where the published network has 3000, and a "
    "score head in place of the last batch-norm.**"
)
_QUICK = (
    "**This is the quick run: a small network on the 8x8 digits. It shows that the experiment "
    "works and is not its result.**"
)
_PUBLISHED = (
    "The device model has imperfections that are switched off one at a time, or on one at a time: "
    "slopes and initial resistances that differ from device to device, telegraph noise and 1/f "
    "noise from cycle to cycle, the limit of pulses in an update, and their rounding to whole "
    "pulses. The two of each of the first groups are also switched together, and the published "
    "claim is about groups. The ideal device has none of these, but keeps the law of the "
    "resistance with its nominal knee: beyond 543 pulses a pulse does a twenty-fourth of what it "
    "did before. In a linear device pulses never do less; it is ideal otherwise. Without the "
    "spread of slopes every device has their means and the median knee, and for some hundred "
    "pulses its resistance grows up to 1.2 times as much as in the mean of devices with it: part "
    "of what removing the spread gains may be that. The 1/f noise as published has a mean: over "
    "the first 15 pulses it raises ln R by 0.054, as much as 78 pulses of the nominal law do, so "
    "that what switching it does, alone or with the telegraph noise, is in part that of another "
    "response. The table of rates shows what twice the rate does."
)
_TEXT = (
    "A weight is the sign of the difference of two resistances; an update is a number of weak "
    "RESET pulses on one of the two devices, proportional to Adam's step. Every synapse starts "
    f"with a random number of pulses up to {FIRST_PULSES}, so that devices without any spread do "
    "not all start as +1.",
    "All devices of one seed see the same mini-batches and have the same random start and, where "
    "they have them, the same spreads, so differences are paired; noise is drawn as pulses come, "
    f"so where pulses differ it is equal in law only. {STUDENT}",
    "Energy and wear are pulses times the figures in the title of their table. No source that we "
    "know has them for weak RESET pulses; `--cost FILE` takes yours.",
)
