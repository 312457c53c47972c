# SPDX-License-Identifier: BSD-2-Clause
"""What stochastic inputs cost in hardware, at equal images per second, beside their accuracy."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..hw.estimate.first_layers import CLOCK, Cost, at_random, cost
from ..hw.estimate.technology import Technology, default_table
from ..hw.plan import FirstLayer
from ..model.planes import Accumulate
from ..networks import first_images, load
from ._report import Finding, Table, plot

CYCLES, IMAGES = 4096, 16  # of an image, and whose activity is measured
NODE, CELL = 130, "rram-2t2r"
Point = tuple[Accumulate, int]  # where presentations are added up, and how many they are


@dataclass(frozen=True)
class Costs:
    """Of one network, by its first layer.

    Parameters
    ----------
    conventional : whole pixels into a tree of adders
    serial : pixels bit by bit
    stochastic : by place and number of presentations
    """

    conventional: Cost
    serial: Cost
    stochastic: dict[Point, Cost]


def costs(net: str, counts: Sequence[int], data: Path | None) -> Costs:
    """Of a network of fixed-point pixels from the zoo, and of itself with stochastic ones."""
    graph = load(net)
    images = first_images(net, graph, IMAGES, directory=data).pixels
    points = [(place, count) for place in Accumulate for count in counts]
    technology = Technology(default_table(), NODE, CELL)
    return Costs(
        cost(graph, images, technology, cycles=CYCLES, first_layer=FirstLayer.PARALLEL),
        cost(graph, images, technology, cycles=CYCLES),
        {
            (place, count): cost(at_random(graph, count, place), images, technology, cycles=CYCLES)
            for place, count in points
        },
    )


def findings(found: Costs, count: int, meaning: str, source: str) -> Iterator[Finding]:
    """What ``count`` presentations save, added up in the first layer; ``meaning`` says which number
    that is."""
    base, one = found.conventional, found.stochastic[Accumulate.FIRST, count]
    note = f"P = {count}, {meaning}; fast model of area, energies by a parametric table"
    saved = "area reduced by 62 %"
    for quantity, published, ours in (
        ("share of the first layer's logic that is saved, transistors", saved,
         1 - one.transistors / base.transistors),
        ("share of all area that is saved", saved, 1 - one.area / base.area),
        ("energy of an image, whole pixels over stochastic", "energy reduced by 2.1",
         base.energy / one.energy),
    ):  # fmt: skip
        yield Finding(quantity, published, "R", source, ours, note=note)


def table(
    found: Costs, places: dict[Accumulate, str], accuracy: Callable[[Point], str | None], fixed: str
) -> Table:
    """All first layers: accuracy, and cost with its change against the conventional one."""
    rows = [
        ("whole pixels", fixed, *_cells(found.conventional, found)),
        ("bit by bit", fixed, *_cells(found.serial, found)),
    ]
    rows += [
        (f"P = {point[1]}, {places[point[0]]}", accuracy(point), *_cells(each, found))
        for point, each in found.stochastic.items()
    ]
    title = (
        f"Cost of the first layers at {CYCLES} cycles an image, {CLOCK / 1e6:g} MHz, {NODE} nm, "
    )
    title += "change against whole pixels in brackets"
    columns = ("first layer", "accuracy, %", "its transistors", "all area, mm2", "all energy, nJ")
    return Table(title, columns, rows)


def _cells(one: Cost, found: Costs) -> tuple[str, ...]:
    base = found.conventional
    return (
        f"{one.transistors:,.0f} ({one.transistors / base.transistors - 1:+.0%})",
        f"{one.area / 1e6:.2f} ({one.area / base.area - 1:+.0%})",
        f"{one.energy * 1e9:,.0f} ({one.energy / base.energy - 1:+.0%})",
    )


def pareto(
    label: str,
    found: Costs,
    places: dict[Accumulate, str],
    accuracy: Callable[[Point], float | None],
    fixed: float,
):
    """A plot of accuracy (a fraction) against the energy of an image."""
    figure, axes = plot(
        f"{label}, equal images per second", "energy of an image, nJ", "accuracy, %", xscale="log"
    )
    for index, (place, name) in enumerate(places.items()):
        known = [
            (count, each.energy * 1e9, 100 * value)
            for (at, count), each in found.stochastic.items()
            if at is place and (value := accuracy((at, count))) is not None
        ]
        counts, x, y = zip(*known, strict=True)
        axes.plot(x, y, f"C{index}{'os'[index]}-", ms=4, label=name)
        for count, *at in zip(counts, x, y, strict=True):
            axes.annotate(f"{count}", at, textcoords="offset points", xytext=(4, -9), fontsize=7)
    for mark, name, each in (
        ("kD", "whole pixels", found.conventional),
        ("k^", "bit by bit", found.serial),
    ):
        axes.plot([each.energy * 1e9], [100 * fixed], mark, ms=5, label=name)
    axes.legend(title="P random planes, added up in the")
    return figure
