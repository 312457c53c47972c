# SPDX-License-Identifier: BSD-2-Clause
"""Area and energy of three first layers, and of the whole network, at equal images per second.

    python benchmarks/estimate_first_layers.py [--cycles 4096] [--images 16] [--data DIR] [--write]

The network is 784-1024-1024-10 with inputs of 8 bits. Its first layer takes whole pixels in a tree
of adders (conventional), bit-planes one after another, or P random planes, added up in the first
layer or at the output. Each is planned for the same cycles an image and synthesized; arrays, and
memories of ordinary cells, are counted from the table. Activity is measured on test images, with
the weights of a network of the zoo, whose thresholds are scaled to P presentations.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from estimate_kept import TOOLS, kept
from results import hardware_versions, put

from twincell.hw.estimate import activity
from twincell.hw.estimate.designs import Presenters, Unit, Units
from twincell.hw.estimate.estimate import Estimate, estimate
from twincell.hw.estimate.features import beats_of
from twincell.hw.estimate.first_layers import CLOCK, at_random, budget
from twincell.hw.estimate.sensed import sensed_array
from twincell.hw.estimate.synthesis import Cells, Part, Synthesis
from twincell.hw.estimate.technology import Technology, default_table
from twincell.hw.plan import Plan, plan
from twincell.hw.stochastic import Presenter
from twincell.model.graph import Graph
from twincell.model.planes import Planes, Stochastic
from twincell.networks import first_images, load, zoo

NODES = (130, 28)
TREND_CYCLES = (256, 1024, 4096)
# Presentations, and where they are added up.
STOCHASTIC = [(1, "first"), (3, "first"), (8, "first"), (2, "output")]


def designs(graph: Graph) -> dict[str, tuple[Graph, str]]:
    """What is compared, by name: the network, and how its first layer takes fixed-point pixels."""
    found = {"conventional": (graph, "parallel"), "bit-serial": (graph, "serial")}
    for count, where in STOCHASTIC:
        name = f"stochastic, P = {count}, added up at the {where}"
        found[name.replace("the first", "the first layer")] = (
            at_random(graph, count, where), "serial",
        )  # fmt: skip
    return found


def synthesized(planned: Plan, planes: Planes) -> Synthesis:
    """The logic of a plan, a layer at a time: layers that designs share are synthesized once."""
    found: Synthesis = {}
    for layer, beat in zip(
        planned.layers, beats_of(planned.stages, planned.pixels_per_beat), strict=True
    ):
        found |= kept(Units({layer.name: Unit(layer, beat, sensed_array)}))
    if isinstance(planes, Stochastic):
        sizes = planned.pixels, planned.pixels_per_beat, max(planned.presentations)
        cells = kept(Presenters({"drawn": Presenter(planes, *sizes)}))
        found["presenter", Part.RANDOM] = sum(cells.values(), Cells())
    return found


def measured(graph: Graph, first_layer: str, cycles: int, images: np.ndarray) -> dict:
    """Area and energy of a design at each node."""
    planned = plan(graph, budget(cycles, first_layer))
    cells = synthesized(planned, graph.input.planes)
    seen = activity.measure(graph, planned, images)
    first = planned.layers[0]
    found = {
        "lanes": first.lanes,
        "neurons": first.neurons,
        "reads": first.reads,
        "cycles": planned.cycles_per_image,
        "activity": vars(seen.layers[0]),
    }
    for node in NODES:
        made = estimate(
            planned,
            Technology(default_table(), node, "rram-2t2r"),
            clock=CLOCK,
            planes=graph.input.planes,
            activity=seen,
            synthesis=cells,
        )
        found[f"{node} nm"] = figures(made)
    return found


def trends(graph: Graph) -> dict[str, dict[str, list[float]]]:
    """Changes of the first layer's logic and of all area against the conventional one, by cycles
    an image and design, from the fast model."""
    found: dict[str, dict[str, list[float]]] = {}
    for cycles in TREND_CYCLES:
        base: dict = {}
        found[str(cycles)] = {}
        for name, (network, first_layer) in designs(graph).items():
            technology = Technology(default_table(), NODES[0], "rram-2t2r")
            planes = network.input.planes
            made = figures(
                estimate(plan(network, budget(cycles, first_layer)), technology, planes=planes)
            )
            base = base or made
            changes = [made[key] / base[key] - 1 for key in ("first_logic_um2", "um2")]
            if made is not base:
                found[str(cycles)][name] = [round(change, 4) for change in changes]
    return found


def figures(made: Estimate) -> dict:
    """Of the first layer and of the whole network."""
    first = made.layers[0]
    return {
        "first_transistors": sum(cells.transistors for cells in first.logic.values()),
        "transistors": made.transistors,
        "first_logic_um2": sum(
            cells.gate_equivalents * made.technology.gate_area for cells in first.logic.values()
        ),
        "first_um2": sum(first.area.values()),
        "um2": sum(made.area.values()),
        "first_parts_um2": {str(part): first.area.get(part, 0.0) for part in Part},
        "first_j": sum(first.energy.values()),
        "j": sum(made.energy.values()),
        "first_parts_j": {str(part): first.energy.get(part, 0.0) for part in Part},
    }


HEAD = """\
# Three first layers at equal images per second

Written by `make bench-estimate`. {network}, {images} test images, {cycles} cycles an image at
{clock:g} MHz, 2T2R cells outside the logic. Logic by synthesis to NAND2, NOR2, inverters and
registers; cells, sense amplifiers, memories and energies by the table of
[the guide](../estimate.md): most of it is parametric, so the ratios of logic stand firmer than
those of energy.
"""
TABLE = """
## {node} nm

| first layer | lanes x neurons | its transistors | its mm2 | all mm2 | its nJ | all nJ |
|---|---|---|---|---|---|---|
"""
TREND = """
## At other rates, by the fast model

Change of area at 130 nm against the conventional first layer: its logic / everything.

| cycles an image |{names}
|---|{rules}
"""
FOOT = """
In brackets: change against the conventional first layer.

* Published area: -62 % for Fashion-MNIST (Hirtzlin et al., IEEE Access 7:76394, 2019, abstract).
* Published energy: divided by 2.1 at a cost of 1.4 % accuracy (the same).

## What agrees, and what does not

With three presentations added up in the first layer, its logic changes by {logic:+.0%}, the whole
by {area:+.0%} of area at 130 nm, and the energy is divided by {energy:.2f}; with one presentation
by {small:+.0%}, {whole:+.0%} and {least:.2f}.

So the saving in logic and in energy has the published size at about three presentations; the saving
of the whole area has not, at this rate. Of the conventional first layer's energy {control:.0%} is
control, most of it the input buffer, which gives eight bits of each pixel at every read; of that
with three presentations {three:.0%}. These follow from the energy of a memory bit in the table,
so another buffer gives another ratio.

The published figures are of logic and memory of an ST-MRAM design whose cells, buffers and number
of presentations are not known here, so only the direction can be compared. Two things set how
much of it is reached. The arrays hold the same synapses in all designs, and at this rate they and
the memories around them are much of the area: what is saved is logic of the first layer. And at
equal images per second a design of P planes reads P times as many columns in a cycle, so its
logic grows with P; a design that takes P times as long keeps the small area and loses the rate.
"""


def markdown(results: dict) -> str:
    """The page."""
    found = results["designs"]
    base = found["conventional"]
    given = {name: results[name] for name in ("network", "images", "cycles")}
    page = HEAD.format(clock=CLOCK / 1e6, **given)
    for node in NODES:
        page += TABLE.format(node=node)
        for name, each in found.items():
            one, of = each[f"{node} nm"], base[f"{node} nm"]
            cells = [
                f"{each['lanes']} x {each['neurons']}",
                _ratio(one, of, "first_transistors", 1, ",.0f"),
                _ratio(one, of, "first_um2", 1e6, ".3f"),
                _ratio(one, of, "um2", 1e6, ".3f"),
                _ratio(one, of, "first_j", 1e-9, ".1f"),
                _ratio(one, of, "j", 1e-9, ".1f"),
            ]
            page += f"| {name} | {' | '.join(cells)} |\n"
    trend = results["trend"]
    names = list(next(iter(trend.values())))
    page += TREND.format(names="".join(f" {name} |" for name in names), rules="---|" * len(names))
    for cycles, each in trend.items():
        cells = [f"{logic:+.0%} / {area:+.0%}" for logic, area in each.values()]
        page += f"| {cycles} | {' | '.join(cells)} |\n"
    return page + FOOT.format(**_summary(found))


def _ratio(one: dict, base: dict, key: str, scale: float, form: str) -> str:
    return f"{one[key] / scale:{form}} ({one[key] / base[key] - 1:+.0%})"


def _summary(found: dict) -> dict[str, float]:
    """Figures of the text."""
    base, three, one = (found[name]["130 nm"] for name in ("conventional", _name(3), _name(1)))
    return {
        "logic": three["first_transistors"] / base["first_transistors"] - 1,
        "area": three["um2"] / base["um2"] - 1,
        "energy": base["j"] / three["j"],
        "small": one["first_transistors"] / base["first_transistors"] - 1,
        "whole": one["um2"] / base["um2"] - 1,
        "least": base["j"] / one["j"],
        "control": base["first_parts_j"]["control"] / base["first_j"],
        "three": three["first_parts_j"]["control"] / three["first_j"],
    }


def _name(presentations: int) -> str:
    return f"stochastic, P = {presentations}, added up at the first layer"


def main() -> int:
    """Measures, prints, and with ``--write`` replaces estimate.json and .md in docs/results."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cycles", type=int, default=4096, help="an image")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--data", type=Path, help="directory of data sets")
    parser.add_argument("--write", action="store_true", help="to docs/results")
    options = parser.parse_args()
    name = "fashion-mlp" if "fashion-mlp" in zoo() else "mnist-mlp"
    graph = load(name)
    found = first_images(name, graph, options.images, directory=options.data)
    images = found.pixels
    results = {
        "network": f"{name} on {found.source}",
        "images": len(images),
        "cycles": options.cycles,
        "versions": hardware_versions(TOOLS),
        "designs": {},
    }
    for design, (network, first_layer) in designs(graph).items():
        results["designs"][design] = measured(network, first_layer, options.cycles, images)
        print(design, file=sys.stderr)
    results["trend"] = trends(graph)
    put("estimate", results, markdown(results), as_json=False, write=options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
