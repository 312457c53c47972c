# SPDX-License-Identifier: BSD-2-Clause
"""Which hardware runs a network: the kind of its arrays, its plan, and where its errors go."""

from dataclasses import replace

from .hw.arrays import cycles
from .hw.arrays.emulated import EmulatedArray, EmulatedArrays
from .hw.arrays.macro import macro_arrays
from .hw.arrays.macro_timing import Timing
from .hw.layer_plan import LayerPlan
from .hw.network import ArrayFactory, Network
from .hw.plan import Budget, Plan
from .hw.plan import plan as make_plan
from .model.errors import ErrorMap
from .model.graph import Graph
from .networks import UsageError
from .sim.results import Prologue

ARRAYS = ("digital", "emulated", "macro")


def array_kind(asked: str | None, errors: ErrorMap | None) -> str:
    """One of ARRAYS: the one asked for, or one that can do what is injected.

    Raises ``UsageError`` for an unknown kind, and for read errors of a digital array.
    """
    transient = errors is not None and errors.transient
    if asked is None:
        return "emulated" if transient else "digital"
    if asked not in ARRAYS:
        raise UsageError(f"The array is one of {', '.join(ARRAYS)}, not {asked!r}")
    if asked == "digital" and transient:
        raise UsageError("A digital array has no read errors; use --array emulated")
    return asked


def planned(graph: Graph, budget: Budget | None, array: str) -> Plan:
    """The plan of a network on arrays of a kind; raises ``PlanError`` when it does not fit."""
    budget = budget or Budget()
    if array == "macro":
        budget = replace(budget, cycles_per_read=Timing().cycles_per_read)
    return make_plan(graph, budget)


def arrays_of(array: str, errors: ErrorMap | None) -> ArrayFactory | None:
    """What makes the arrays of a kind, with the read errors that they have from reset on. Their
    contents are those of the graph, see :meth:`ErrorMap.sensed`."""
    if array == "macro":
        return macro_arrays(errors)
    return EmulatedArrays(errors) if array == "emulated" else None


def sensed(graph: Graph, errors: ErrorMap | None) -> Graph:
    """The graph as its memory shows it."""
    return graph if errors is None else errors.sensed(graph)


def simulated(
    graph: Graph,
    budget: Budget | None,
    array: str,
    errors: ErrorMap | None,
    presentations: int | None = None,
) -> tuple[Network, Prologue | None]:
    """A network to simulate, and what is loaded before its first image.

    The number of presentations of a stochastic input is loaded, by default its first, and emulated
    arrays have their rates and seeds loaded, so that all of them share one compilation. The model
    of a macro has read errors in files, which are of one number of presentations.
    """
    plan, macro = planned(graph, budget, array), array == "macro"
    if macro:
        plan = plan.shown(presentations)
    arrays = arrays_of(array, errors if macro else None)
    network = Network(sensed(graph, errors), plan, arrays=arrays)
    transient = errors is not None and errors.transient and not macro
    if not plan.presentations and not transient:
        return network, None

    def prologue(image: int) -> list[int]:
        lines = network.presentation_lines(presentations, image)
        return lines + (network.read_error_lines(errors, image) if transient else [])

    return network, prologue


def expected_cycles(
    network: Network, errors: ErrorMap | None, presentations: int | None = None
) -> float:
    """Cycles an image of the slowest layer, with those that emulated read errors take."""
    plan = network.plan.shown(presentations)
    found = [float(plan.cycles_per_image)]
    if errors is not None:
        found += [
            layer_cycles(layer, errors.layers[layer.node].rate)
            for layer, array in zip(plan.layers, network.arrays, strict=True)
            if isinstance(array, EmulatedArray) and layer.node in errors.layers
        ]
    return max(found)


def layer_cycles(layer: LayerPlan, rate: float) -> float:
    """Mean cycles an image of a layer whose array emulates read errors at a rate."""
    return max(float(layer.cycles), cycles.expected_cycles(rate, layer.reads, layer.bits_per_read))
