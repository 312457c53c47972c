# SPDX-License-Identifier: BSD-2-Clause
"""`twincell estimate`: area, energy and latency of a network, as report, table and plot."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Group, RenderableType

from .hardware import arrays_of, planned
from .hw.estimate import activity, synthesis, technology
from .hw.estimate.estimate import Estimate
from .hw.estimate.estimate import estimate as make_estimate
from .hw.estimate.features import ARRAYS
from .hw.estimate.sensed import sensed_array
from .hw.estimate.synthesis import Part, SynthesisError
from .hw.network import Network
from .hw.plan import Budget
from .model import files
from .networks import RANDOM, UsageError, chosen_presentations, first_images, load
from .reports import pairs, table

NODE, CELL = 130, "rram-2t2r"


def estimate(
    net: str | Path,
    budget: Budget | None = None,
    *,
    array: str = "sensed",
    node: int = NODE,
    cell: str = CELL,
    entries: Path | None = None,
    images: int | None = None,
    dataset: str | None = None,
    data: Path | None = None,
    presentations: int | None = None,
    synthesize: bool = False,
    liberty: Path | None = None,
) -> Estimate:
    """Estimates a network, a file or a name from the zoo.

    Parameters
    ----------
    budget : how it is planned
    array : ``sensed`` for macros outside, whose sense amplifiers do the XNOR; else one of
        ``hardware.ARRAYS``
    node, cell, entries : of the technology, and a file that replaces entries of the table
    images : test images on which activity is measured; by default it is assumed
    dataset, data : whose images they are, see :func:`.networks.first_images`
    presentations : of a stochastic input, by default its first number; the hardware that is
        estimated supports it alone
    synthesize : count the network's own logic with Yosys, which takes minutes for a large one
    liberty : cells to map to; implies ``synthesize``

    Raises ``UsageError`` for what is not known, ``PlanError`` when the budget does not fit, and
    ``SynthesisError`` when Yosys fails.
    """
    if array not in ARRAYS:
        raise UsageError(f"The array is one of {', '.join(ARRAYS)}, not {array!r}")
    graph = load(net)
    try:
        used = technology.Technology(technology.read_table(entries), node, cell)
    except technology.TableError as error:
        raise UsageError(str(error)) from None
    plan = planned(graph, budget, array).shown(chosen_presentations(graph, presentations))
    measured = None
    if images is not None:
        shown = first_images(net, graph, images, dataset=dataset, directory=data)
        if shown.source == RANDOM and dataset is None:
            raise UsageError(f"{graph.name} has no data set of its own: name one with --dataset")
        measured = activity.measure(graph, plan, shown.pixels, presentations)
    cells = None
    if synthesize or liberty is not None:
        make = sensed_array if array == "sensed" else arrays_of(array, None)
        cells = synthesis.synthesize(Network(graph, plan, arrays=make), liberty=liberty)
    return make_estimate(
        plan,
        used,
        array=array,
        clock=(budget or Budget()).clock,
        planes=graph.input.planes,
        activity=measured,
        synthesis=cells,
        library="generic" if liberty is None else liberty.name,
    )


# --- what is shown ------------------------------------------------------------------------------


def shown(report: dict) -> RenderableType:
    """The table of :meth:`.Estimate.as_dict`: a row for each layer and part, with transistors and
    register bits of its logic, area, and energy of an image."""
    made = table(
        f"{report['network']}, {report['array']} arrays, {report['cell']}, {report['node_nm']} nm",
        "layer", "part", "transistors", "bits", "mm2", "%", "nJ", "%",
        right=2,
    )  # fmt: skip
    for layer in report["layers"]:
        for part, area in layer["area_um2"].items():
            energy = layer["energy_j"].get(part, 0.0)
            made.add_row(
                layer["name"],
                part,
                f"{layer['transistors'].get(part, 0):,}",
                f"{layer['registers'].get(part, 0):,}",
                f"{area / 1e6:,.4f}",
                f"{100 * area / report['area_um2']:.1f}",
                f"{energy * 1e9:,.3f}",
                f"{100 * energy / report['energy_per_image_j']:.1f}",
            )
    return Group(made, pairs("", _totals(report)))


def _totals(report: dict) -> dict[str, str | None]:
    model, measured = report["model"], report["activity"]["images"]
    held = model["held_back"]
    error = f"mean error {held['mean']:.1%}, at most {held['greatest']:.1%}"
    how = f"fast model: {error} of area on {held['points']} layers held back from its fit"
    if model["kind"] == "synthesis":
        how = f"synthesis to {model['library']} cells"
    logic = (
        f"{report['transistors']:,} transistors, {report['gate_equivalents']:,} gate equivalents"
    )
    if not report["transistors"]:
        logic = "cells of the Liberty file"
    tags = sorted({source["tag"] for source in report["sources"]})
    pulses = f"{report['programming_j'] * 1e6:,.4g} uJ for a pulse on every device"
    return {
        "area": f"{report['area_um2'] / 1e6:,.4g} mm2",
        "logic": logic,
        "energy": f"{report['energy_per_image_j'] * 1e9:,.4g} nJ an image, "
        f"{report['power_w'] * 1e3:,.4g} mW",
        "programming": pulses if report["programming_j"] else None,
        "cycles": f"{report['cycles_per_image']:,} an image, {report['latency_cycles']:,} from "
        f"first pixel to score; {report['images_per_second']:,.0f} images per second at "
        f"{report['clock_hz'] / 1e6:g} MHz",
        "area by": how,
        "activity": f"measured on {measured} images" if measured else "assumed (--images measures)",
        "constants": f"{len(report['sources'])}, {', '.join(tags)}: --json lists them",
    }


_COLOURS = {
    Part.ARRAYS: "#4c72b0", Part.POPCOUNT: "#dd8452", Part.ACCUMULATE: "#55a868",
    Part.RANDOM: "#c44e52", Part.CONTROL: "#8172b3",
}  # fmt: skip


def check_plot(path: Path) -> None:
    """Refuses what no plot can be written to; raises ``UsageError`` and ``OSError``."""
    if path.suffix.lower() != ".svg":
        raise UsageError(f"A plot is SVG: --plot takes a file of that name, not {path}")
    files.folder(path.parent)


def plot(report: dict, path: Path) -> None:
    """Writes area and energy of each layer by part as stacked bars, SVG."""
    from matplotlib.figure import Figure  # takes a second to import

    from .plots import svg

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    names = [layer["name"] for layer in report["layers"]]
    kinds: Sequence[tuple[str, str, float]] = (
        ("area_um2", "area, mm2", 1e-6),
        ("energy_j", "energy of an image, nJ", 1e9),
    )
    for axes, (key, label, scale) in zip(figure.subplots(1, 2), kinds, strict=True):
        base = np.zeros(len(names))
        for part, colour in _COLOURS.items():
            values = np.array([layer[key].get(part, 0.0) for layer in report["layers"]]) * scale
            if values.any():
                axes.bar(names, values, bottom=base, color=colour, label=str(part))
            base += values
        axes.set_ylabel(label)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False)
    figure.suptitle(f"{report['network']}, {report['cell']}, {report['node_nm']} nm")
    files.write_bytes(path, svg(figure))


__all__ = ["CELL", "NODE", "SynthesisError", "check_plot", "estimate", "plot", "shown"]
