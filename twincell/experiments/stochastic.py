# SPDX-License-Identifier: BSD-2-Clause
"""What stochastic inputs cost in accuracy, by the number of presentations and by the training.

After Hirtzlin et al., IEEE Access 7:76394 (2019), arXiv 1906.00915: stochastic computing for the
first layer of binarized neural networks. Which accuracies belong to which number of presentations,
and where presentations are added up, could not be read; so both places are measured.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..model.planes import Accumulate, Generator
from ..model.recipe import Recipe
from . import _costs
from ._networks import Bench, Difference, bench, compare, recipe, spread
from ._report import Finding, Job, Report, Table, plot
from ._shown import FIXED, Shown, measure, results

if TYPE_CHECKING:
    from ..model.training import Trained

SUMMARY = "Accuracy of stochastic inputs against presentations, for three ways of training"
DATA = ("fashion-mnist",)
SEED = 20191
LOST = 0.014  # of the accuracy: the published cost
NEAR = 0.005  # of the accuracy: "approaches", this project's margin
WANTED = {3: 0.025, 8: 0.015}  # this project's limits
ACCESS = "Hirtzlin et al., IEEE Access 7:76394"
PLACES = {Accumulate.FIRST: "first layer", Accumulate.OUTPUT: "output"}
SHARED = ("grey", 1)  # trainings that are the same for both places
WAYS = ("grey", "one", "same")  # the trainings (a), (b) and (c)
Kind = tuple[Accumulate, int | str]  # where presentations are added up, and what training shows
LABELS = {"grey": "(a) grey images", "one": "(b) one presentation", "same": "(c) as tested"}


@dataclass(frozen=True)
class Size:
    """How much a run does.

    Parameters
    ----------
    presentations : that networks are tested with, from 1 on
    apart : the most that networks are trained with whose presentations are added up at the output:
        such a training costs as many ordinary ones
    costs : network of the zoo whose hardware is estimated
    """

    name: str
    label: str
    trainings: int
    presentations: tuple[int, ...]
    apart: int
    costs: str

    def kinds(self) -> list[Kind]:
        """Of all networks; those of ``SHARED`` trainings serve both places."""
        first, output = Accumulate.FIRST, Accumulate.OUTPUT
        several = self.presentations[1:]
        apart = [(output, count) for count in several if count <= self.apart]
        return [(first, "grey"), (first, 1), *((first, count) for count in several), *apart]


FULL = Size("stochastic", "Fashion-MNIST", 3, (1, 2, 3, 4, 8, 16, 32, 100), 4, "fashion-mlp")
QUICK = Size("stochastic-quick", "8x8 digits", 2, (1, 2, 8), 2, "digits-mlp")


@dataclass(frozen=True, eq=False)
class Measured:
    """Which images each network got right: for each training, by the name of the way in which they
    were :class:`Shown`, bits (1, images)."""

    size: Size
    found: dict[Kind, list[dict[str, np.ndarray]]]

    @property
    def fixed(self) -> list[np.ndarray]:
        """Of the networks with fixed-point pixels, which training (a) made."""
        return self._each((Accumulate.FIRST, "grey"), FIXED)

    def _each(self, kind: Kind, shown: Shown) -> list[np.ndarray]:
        return [network[str(shown)] for network in self.found[kind]]

    def tested(self, place: Accumulate, trained: int | str, count: int) -> list[np.ndarray]:
        """Of networks trained with ``trained`` and tested with ``count`` presentations."""
        at = Accumulate.FIRST if trained in SHARED else place
        return self._each((at, trained), Shown(place, count))

    def way(self, place: Accumulate, way: str, count: int) -> list[np.ndarray] | None:
        """Of one of the WAYS of training; ``None`` where no network was trained so."""
        trained = {"grey": "grey", "one": 1, "same": count}[way]
        known = trained in SHARED or (place, trained) in self.found
        return self.tested(place, trained, count) if known else None

    def by_generator(self, generator: Generator, count: int) -> list[np.ndarray]:
        """Of the networks that were trained with ``count`` presentations."""
        shown = Shown(Accumulate.FIRST, count, generator)
        return self._each((Accumulate.FIRST, count), shown)

    def lost(self, place: Accumulate, way: str, count: int) -> Difference | None:
        """Accuracy of fixed-point pixels less that of stochastic ones, paired."""
        found = self.way(place, way, count)
        return None if found is None else compare(self.fixed, found, SEED)

    def fewest(self, place: Accumulate) -> int | None:
        """The fewest presentations that lose at most LOST, trained as tested."""
        for count in self.size.presentations:
            lost = self.lost(place, "same", count)
            if lost is not None and lost.mean <= LOST:
                return count
        return None

    def best(self, point: _costs.Point) -> list[np.ndarray] | None:
        """Of networks trained as they are tested, at a place with a number of presentations."""
        return self.way(point[0], "same", point[1])

    def less(self, way: str, other: str, count: int) -> Difference:
        """Accuracy of one way of training less that of another, added up in the first layer."""
        first, second = (self.way(Accumulate.FIRST, each, count) for each in (way, other))
        assert first is not None and second is not None
        return compare(first, second, SEED)


def run(job: Job) -> Report:
    """Trains, measures and compares; continues an earlier run in the same folder."""
    size = QUICK if job.quick else FULL
    kinds = size.kinds()
    epochs = recipe(size.name).training.epochs
    with bench(job, size.trainings * len(kinds) * epochs) as made:
        measured = _measure(made, size, kinds)
    costs = _costs.costs(size.costs, size.presentations, job.data)
    return Report(
        "Stochastic inputs of binarized networks",
        [*_TEXT, _run(size), *[_QUICK] * job.quick],
        SEED,
        [*_findings(measured), *_savings(measured, costs)],
        [_accuracies(measured), *(_cross(measured, place) for place in PLACES),
         _generators(measured), _costly(measured, costs)],
        {"accuracy": _plot(measured), "energy": _pareto(measured, costs)},
    )  # fmt: skip


def _measure(made: Bench, size: Size, kinds: list[Kind]) -> Measured:
    """Networks are trained seed by seed, so that what is there after any time can be compared."""
    given = [(kind, number) for number in range(size.trainings) for kind in kinds]
    recipes = [_recipe(size, *each) for each in given]
    paths = made.train(recipes, partial(_show, size, made.job.data))
    found: dict[Kind, list[dict[str, np.ndarray]]] = {kind: [] for kind in kinds}
    for path, (kind, _) in zip(paths, given, strict=True):
        found[kind].append(results(path.parent))
    return Measured(size, found)


def _show(size: Size, data: Path | None, trained: "Trained", folder: Path) -> None:
    """Shows the test images in all ways that are wanted of the network."""
    given = trained.recipe.input
    measure(trained, folder, _wanted(size, Accumulate(given.accumulate), given.shown), data)


def _recipe(size: Size, kind: Kind, number: int) -> Recipe:
    """Of one network. Those of equal number start with equal weights and see the same batches."""
    place, trained = kind
    given = recipe(size.name, number)
    fields = given.model_dump(exclude_none=True)
    fields["name"] = f"{size.name}-{place}-{trained}-{given.seed}"
    fields["input"] |= {"accumulate": str(place), "shown": trained}
    return Recipe.model_validate(fields)


def _wanted(size: Size, place: Accumulate, trained: int | str) -> Iterator[Shown]:
    """How a network's test images are shown."""
    if trained == "grey":
        yield FIXED
    for count in size.presentations:
        if trained in SHARED:
            yield from (Shown(each, count) for each in PLACES)
        else:
            yield Shown(place, count)
    if place is Accumulate.FIRST and trained != "grey":
        others = (each for each in Generator if each is not Generator.LFSR)
        yield from (Shown(place, int(trained), each) for each in others)


def _findings(measured: Measured) -> Iterator[Finding]:
    first, label = Accumulate.FIRST, measured.size.label
    for place in PLACES:
        yield _cost(measured, place)
    for count in measured.size.presentations[:3]:
        for way in WAYS[1:] if count > 1 else WAYS[1:2]:  # at P = 1 they are the same
            gain = measured.less(way, "grey", count)
            yield gain.finding(
                f"{label}, P = {count}: what training {LABELS[way]} gains over {LABELS['grey']}",
                "training has to be adapted", "R", ACCESS, gain.above(0.0),
                "holds: more than 0",
            )  # fmt: skip
    limits = {count: ("-", "-", "this project's aim", limit) for count, limit in WANTED.items()}
    limits[measured.size.presentations[-1]] = ("approaches ordinary networks", "R", ACCESS, NEAR)
    for count, (published, tag, source, limit) in sorted(limits.items()):
        lost = measured.lost(first, "same", count)
        if lost is not None:
            quantity = f"{label}, P = {count}: accuracy lost to stochastic inputs, {LABELS['same']}"
            verdict, meaning = lost.below(limit), f"holds: less than {limit:g}"
            yield lost.finding(quantity, published, tag, source, verdict, meaning)


def _cost(measured: Measured, place: Accumulate) -> Finding:
    """The fewest presentations at which the published accuracy is lost, or less."""
    quantity = f"{measured.size.label}: fewest presentations at which at most {LOST:g} of the "
    quantity += f"accuracy is lost, {LABELS['same']}, added up in the {PLACES[place]}"
    published = f"{LOST:g} of the accuracy for 2.1 times less energy"
    count = measured.fewest(place)
    lost = None if count is None else measured.lost(place, "same", count)
    if lost is None:
        return Finding(quantity, published, "R", ACCESS, "none of those that were trained with")
    note = f"loses {lost.mean:.4f}; {lost.spread}; the published P could not be read"
    return Finding(quantity, published, "R", ACCESS, str(count), note=note)


def _savings(measured: Measured, costs: _costs.Costs) -> Iterator[Finding]:
    """At the fewest presentations with the published cost of accuracy, else at the most."""
    count, meaning = measured.fewest(Accumulate.FIRST), f"which lose at most {LOST:g}"
    if count is None:
        count, meaning = measured.size.presentations[-1], "the most that were measured"
    yield from _costs.findings(costs, count, meaning, ACCESS)


def _costly(measured: Measured, costs: _costs.Costs) -> Table:
    fixed = _cell(measured.fixed) or ""
    return _costs.table(costs, PLACES, lambda point: _cell(measured.best(point)), fixed)


def _pareto(measured: Measured, costs: _costs.Costs):
    def accuracy(point: _costs.Point) -> float | None:
        found = measured.best(point)
        return None if found is None else float(np.mean(found))

    label, fixed = measured.size.label, float(np.mean(measured.fixed))
    return _costs.pareto(label, costs, PLACES, accuracy, fixed)


def _cell(found: Sequence[np.ndarray] | None) -> str | None:
    return None if found is None else spread([values.mean() for values in found])


def _accuracies(measured: Measured) -> Table:
    curves = [(place, way) for place in PLACES for way in WAYS]
    rows = [
        (str(count), *(_cell(measured.way(*curve, count)) for curve in curves))
        for count in measured.size.presentations
    ]
    title = f"{measured.size.label}: accuracy, %, and its range over trainings; with fixed-point "
    title += f"pixels {_cell(measured.fixed)}"
    columns = ("P", *(f"{PLACES[place]}, {LABELS[way]}" for place, way in curves))
    return Table(title, columns, rows)


def _cross(measured: Measured, place: Accumulate) -> Table:
    """Networks trained with one number of presentations and tested with others."""
    trained = [1, *(each for at, each in measured.found if at is place and each not in SHARED)]
    rows = [
        (str(count), *(_cell(measured.tested(place, each, count)) for each in trained))
        for count in measured.size.presentations
    ]
    title = (
        f"Added up in the {PLACES[place]}, trained with one P and tested with others: accuracy, %"
    )
    return Table(title, ("tested with P", *(f"trained with {each}" for each in trained)), rows)


def _generators(measured: Measured) -> Table:
    rows = [
        (str(count), *(_cell(measured.by_generator(each, count)) for each in Generator))
        for count in measured.size.presentations
    ]
    title = "Generators of the random numbers, added up in the first layer, networks trained with "
    title += "as many presentations of independent bits: accuracy, %"
    return Table(title, ("P", *map(str, Generator)), rows)


def _plot(measured: Measured):
    size = measured.size
    figure, axes = plot(
        f"{size.label}, stochastic inputs", "presentations", "accuracy, %", xscale="log"
    )
    for style, place in zip(("o-", "s--"), PLACES, strict=True):
        for index, way in enumerate(WAYS):
            points = {count: measured.way(place, way, count) for count in size.presentations}
            points = {count: 100 * np.mean(v) for count, v in points.items() if v is not None}
            label = f"{PLACES[place]}, {LABELS[way]}"
            axes.plot([*points], [*points.values()], f"C{index}{style}", ms=3, label=label)
    axes.axhline(100 * np.mean(measured.fixed), color="k", lw=0.7, label="fixed point")
    axes.set_xticks(size.presentations, map(str, size.presentations))
    axes.minorticks_off()
    axes.legend()
    return figure


def _run(size: Size) -> str:
    return (
        f"Run: {size.label}; {size.trainings} trainings of each network, all test images, "
        f"generator `{Generator.LFSR}` unless another is named. The recipe is in "
        "`twincell/experiments/recipes/`."
    )


_TEXT = (
    "A pixel is shown as P random bits, each +1 with the probability that its grey level says. "
    "Presentations are added up in the first layer, whose neurons then fire once, or at the "
    "output, where the whole network runs P times. Networks are trained (a) with grey images, (b) "
    "with one presentation, fresh in each step, (c) with as many presentations as they are tested "
    "with, added up in the same place. Training at the output with P presentations costs as much "
    "as P trainings, so (c) is done there for small P only.",
    "The batch-norm statistics behind the thresholds are measured after training, for each P and "
    "each generator, on training images that are shown in the way of the test. Test images are "
    "shown with the bits that the hardware's generator gives them, by the integer reference; "
    "networks that are compared see the same images.",
    "Costs are those of a network of the zoo with other first layers, each planned for the same "
    "images per second: area by the fast model, energy by activity on test images and the table of "
    "`twincell estimate`, which is mostly parametric. `docs/results/estimate.md` has the same by "
    "synthesis. All designs hold the same synapses, and arrays and the memories around them are "
    "most of the area at this rate: what can be saved is logic of the first layer.",
    "Intervals are over new images, for the networks that were trained; from training to training "
    "results may differ more, so each note has the range. A verdict is given only where the "
    f"interval and every training agree. The published sentences name no margin: {NEAR:g} of an "
    "accuracy is this project's.",
)
_QUICK = (
    "**This is the quick run: small networks on the 8x8 digits. It shows that the experiment "
    "works and is not its result.**"
)
