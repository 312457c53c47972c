# SPDX-License-Identifier: BSD-2-Clause
"""What the command line shows: each report as a table and as JSON, from the same values."""

import json
import math
from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.table import Table

from .doctor import Tool
from .hardware import layer_cycles
from .hw.layer_plan import LayerPlan
from .hw.plan import Plan
from .model import store
from .model.graph import Graph, Value
from .model.nodes import Conv, Dense, Head, Input, MaxPool, Node
from .model.planes import Stochastic
from .sweeps.sweep import Sweep
from .verified import Verification


def put(report: Mapping, shown: RenderableType, as_json: bool) -> None:
    """Prints a report: JSON alone on standard output, or the table."""
    if as_json:
        print(json.dumps(report, indent=2), flush=True)
    else:
        Console(markup=False, emoji=False).print(shown)  # names and paths are the user's


def table(title: str, *columns: str, right: int = 1) -> Table:
    """An empty table; columns from ``right`` on hold numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="")
    for index, column in enumerate(columns):
        made.add_column(column, justify="right" if index >= right else "left")
    return made


def pairs(title: str, values: Mapping[str, object]) -> Table:
    """A table of names and values, without those that are ``None``."""
    made = table(title, "", "")
    made.show_header = False
    for name, value in values.items():
        if value is not None:
            made.add_row(name, _cell(value))
    return made


def _cell(value: object) -> str:
    """Plain data as a person reads it; what is exact is in the JSON."""
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case dict():
            return ", ".join(f"{key}: {_cell(each)}" for key, each in value.items())
        case list() | tuple():
            return ", ".join(map(_cell, value))
    return str(value)


# --- info ---------------------------------------------------------------------------------------


def info_dict(graph: Graph) -> dict:
    """What a network computes."""
    return {
        "network": graph.name,
        "digest": store.digest(graph),
        "classes": graph.classes,
        "synapses": graph.synapses,
        "weight_bits": sum(
            node.weights.bits for node in graph.nodes if isinstance(node, Dense | Conv | Head)
        ),
        "nodes": [
            {
                "node": type(node).__name__,
                "shape": list(value.shape),
                "detail": _detail(node, value),
                "synapses": node.weights.sign.size if hasattr(node, "weights") else 0,
            }
            for node, value in zip(graph.nodes, graph.values, strict=True)
        ],
    }


def _detail(node: Node, value: Value) -> str:
    match node:
        case Input():
            planes = node.planes
            text = f"{type(planes).__name__}, {planes.bits} bit" + ("s" if planes.bits > 1 else "")
            if isinstance(planes, Stochastic):
                counts = ", ".join(map(str, planes.presentations))
                added = {"first": "first layer", "output": "output"}[planes.accumulate]
                text += f"; {counts} presentations by {planes.generator}, added at the {added}"
            return text
        case Conv():
            kernel = "x".join(map(str, node.kernel))
            return f"kernel {kernel}, stride {node.stride}, padding {node.padding} {node.fill}"
        case MaxPool():
            return f"kernel {'x'.join(map(str, node.kernel))}, stride {node.stride}"
        case Dense() | Head():
            return "ternary" if node.weights.ternary else "binary"
        case _:
            return ""


def info_table(report: dict) -> RenderableType:
    """The table of :func:`info_dict`."""
    made = table(report["network"], "node", "detail", "output", "synapses", right=2)
    for node in report["nodes"]:
        shape = " x ".join(map(str, node["shape"]))
        made.add_row(node["node"], node["detail"], shape, f"{node['synapses']:,}")
    totals = f"{report['synapses']:,} synapses, {report['weight_bits']:,} weight bits"
    return Group(made, totals, f"SHA-256 {report['digest']}")


# --- plan ---------------------------------------------------------------------------------------


def plan_dict(
    plan: Plan, clock: float, array: str = "digital", transient: float | None = None
) -> dict:
    """How a network is computed, at a clock in hertz, on arrays of a kind.

    Emulated read errors take cycles: with a rate of them a layer has ``expected_cycles``, their
    mean, which is measured on the generator's model and within 0.5 %.
    """
    emulated = array == "emulated" and transient

    def expected(layer: LayerPlan) -> float:
        return layer_cycles(layer, transient or 0.0) if emulated else float(layer.cycles)

    return {
        "network": plan.network,
        "array": array,
        "cycles_per_image": plan.cycles_per_image,
        "cycles_by_presentations": plan.cycles_by_presentations,
        "expected_cycles_per_image": max(plan.cycles_per_image, *map(expected, plan.layers)),
        "clock_hz": clock,
        "images_per_second": plan.images_per_second(clock),
        "lanes": plan.lanes,
        "reads_per_image": sum(layer.reads for layer in plan.layers),
        "memory_bits": plan.memory_bits,
        "pixels_per_beat": plan.pixels_per_beat,
        "layers": [
            {
                "name": layer.name,
                "inputs": layer.inputs,
                "outputs": layer.outputs,
                "planes": layer.planes,
                "passes": layer.passes,
                "arrangement": str(layer.arrangement),
                "lanes": layer.lanes,
                "neurons": layer.neurons,
                "folds": layer.folds,
                "groups": layer.groups,
                "rows": layer.rows,
                "columns": layer.columns,
                "windows": layer.positions,
                "reads": layer.reads,
                "cycles": layer.cycles,
                "expected_cycles": expected(layer),
                "memory_bits": layer.memory_bits,
                "counter_bits": layer.counter_bits,
            }
            for layer in plan.layers
        ],
        "pools": [
            {
                "name": pool.name,
                "kernel": list(pool.window.kernel),
                "channels": pool.window.channels,
                "channels_of_a_cycle": pool.size,
                "windows": pool.window.positions,
                "cycles": pool.cycles,
            }
            for pool in plan.pools
        ],
    }


_PLAN_ROWS = {
    "inputs on": "arrangement",
    "inputs": "inputs",
    "outputs": "outputs",
    "planes of an input": "planes",
    "inputs of a read": "lanes",
    "neurons of a read": "neurons",
    "word lines": "rows",
    "columns": "columns",
    "memory bits": "memory_bits",
    "counter bits": "counter_bits",
    "reads an image": "reads",
    "cycles an image": "cycles",
}


def plan_table(report: dict) -> RenderableType:
    """The table of :func:`plan_dict`: a column for each layer."""
    layers = report["layers"]
    made = table(report["network"], "", *(layer["name"] for layer in layers))
    for name, key in _PLAN_ROWS.items():
        values = [layer[key] for layer in layers]
        made.add_row(name, *(v if isinstance(v, str) else f"{v:,}" for v in values))
    if any(layer["windows"] > 1 for layer in layers):
        made.add_row("windows an image", *(f"{layer['windows']:,}" for layer in layers))
    if any(layer["passes"] > 1 for layer in layers):
        made.add_row("passes an image", *(f"{layer['passes']:,}" for layer in layers))
    clock = f"{report['clock_hz'] / 1e6:g} MHz"
    rate = f"{report['images_per_second']:,.0f} images per second at {clock}"
    expected = report["expected_cycles_per_image"]
    if expected != report["cycles_per_image"]:
        rate += f"; {expected:,.0f} cycles expected with read errors"
    lines = [
        *(
            f"{pool['name']}: {'x'.join(map(str, pool['kernel']))} of {pool['channels']} channels, "
            f"{pool['channels_of_a_cycle']} a cycle, {pool['cycles']:,} cycles an image"
            for pool in report["pools"]
        ),
        f"{report['lanes']:,} lanes, {report['memory_bits']:,} memory bits",
        f"{report['cycles_per_image']:,} cycles per image: {rate}",
    ]
    if report["cycles_by_presentations"]:
        each = [f"{count}: {n:,}" for count, n in report["cycles_by_presentations"].items()]
        lines.append(f"cycles per image by presentations: {', '.join(each)}")
    return Group(made, *lines)


# --- verify, doctor -----------------------------------------------------------------------------


def verification_table(result: Verification) -> RenderableType:
    """What a verification measured, and its first difference."""
    values: dict[str, object] = {
        "network": result.network,
        "generated Verilog in": result.simulator,
        "array": result.array,
        "images": f"{result.images:,} ({result.data})",
        "scores compared": f"{result.scores:,}",
        "mismatching scores": f"{result.mismatches:,}",
        "accuracy": "- (--dataset has labels)"
        if result.accuracy is None
        else f"{result.accuracy:.2%}",
        "cycles per image": _number(result.cycles_per_image),
        "planned": f"{result.planned_cycles_per_image:,}",
        "lanes": f"{result.lanes:,}",
        "memory bits": f"{result.memory_bits:,}",
        "seconds": (
            f"{result.emit_seconds:.1f} emit, {result.compile_seconds:.1f} compile, "
            f"{result.simulation_seconds:.1f} simulate"
        ),
        "images per second": f"{result.images_per_second:,.0f}",
        "seed": result.seed,
    }
    if result.presentations is not None:
        values["presentations"] = result.presentations
    if result.errors is not None:
        values["expected with errors"] = _number(result.expected_cycles_per_image)
        values["synapses sensed wrong"] = f"{sum(result.errors.synapses.values()):,}"
        values["bits flipped by reads"] = f"{sum(result.errors.reads.values()):,}"
    made = pairs("verify", values)
    first = result.first_difference
    if first is None:
        return made
    return Group(
        made,
        f"First difference: image {first.image}",
        f"  hardware {first.hardware}",
        f"  integer  {first.integer}",
        f"  torch    {first.torch}",
        f"  Verilog  {first.verilog}",
        f"  waveform {first.waves}",
        f"  replay   {first.replay}",
    )


def sweep_table(result: Sweep) -> RenderableType:
    """Accuracy and interval of each point of a sweep."""
    names = ["device"] if any(each.point.device for each in result.points) else []
    names += [result.knob] if result.knob else []
    columns = ("persistent", "read errors", "accuracy", "95 % interval", "maps", "wrong synapses")
    shown = f", {result.presentations} presentations" if result.presentations else ""
    made = table(f"{result.network} on {result.dataset}{shown}", *names, *columns, right=len(names))
    for each in result.points:
        point = each.point
        cells = ["none" if point.device is None else point.device] if names else []
        cells += ["" if point.knob is None else f"{point.knob:g}"] if result.knob else []
        made.add_row(*cells, f"{point.ber:.3g}", f"{point.transient:.3g}", f"{each.accuracy:.2%}",
                     f"{each.low:.2%} to {each.high:.2%}", f"{each.maps:,}",
                     f"{each.flips_mean:,.1f}")  # fmt: skip
    images = result.points[0].images
    text = f"{images:,} images for every map, seed {result.seed}, {result.seconds:.1f} s"
    return Group(made, text)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if math.isclose(value, round(value)) else f"{value:,.2f}"


def doctor_table(tools: list[Tool]) -> RenderableType:
    """The tools, with what to do about those that are missing."""
    made = table("doctor", "tool", "use", "version", right=3)
    for tool in tools:
        missing = f"missing{'' if tool.required else ' (optional)'}: {tool.remedy}"
        made.add_row(tool.name, tool.use, tool.version or missing)
    return made
