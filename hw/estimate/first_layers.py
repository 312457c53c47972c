# SPDX-License-Identifier: BSD-2-Clause
"""A network with other first layers at equal images per second, and what each costs."""

from dataclasses import dataclass, replace

import numpy as np

from ...model.graph import Graph
from ...model.nodes import Dense, Input
from ...model.planes import FixedPoint, Stochastic
from ..plan import Budget, FirstLayer, plan
from . import activity
from .estimate import Estimate, estimate
from .technology import Technology

CLOCK = 100e6  # Hz


def budget(cycles: int, first_layer: FirstLayer | str = FirstLayer.SERIAL) -> Budget:
    """For an image in at most so many cycles."""
    return Budget(images_per_second=CLOCK / cycles, clock=CLOCK, first_layer=first_layer)


def at_random(graph: Graph, presentations: int, accumulate: str) -> Graph:
    """A network of fixed-point pixels for stochastic ones: its thresholds and offsets are those of
    as much less weight, which is enough for what its hardware costs."""
    source, first, *others = graph.nodes
    if not isinstance(first, Dense) or not isinstance(graph.input.planes, FixedPoint):
        raise ValueError(f"{graph.name} has no dense first layer of fixed-point pixels")
    bits = graph.input.planes.bits
    planes = Stochastic(bits, (presentations,), accumulate=accumulate)
    shown = 1 if accumulate == "output" else presentations
    thresholds = -(-first.thresholds * shown // ((1 << bits) - 1))
    most = first.weights.fan_in * shown + 1
    scaled = replace(first, thresholds=np.clip(thresholds, 0, most))
    return Graph((Input(source.shape, planes), scaled, *others), graph.name)


@dataclass(frozen=True)
class Cost:
    """Of one network in hardware.

    Parameters
    ----------
    transistors : of the first layer's logic
    area : of everything, um^2
    energy : of an image, J
    """

    transistors: float
    area: float
    energy: float

    @classmethod
    def of(cls, made: Estimate) -> "Cost":
        """The figures of an estimate."""
        logic = sum(cells.transistors for cells in made.layers[0].logic.values())
        return cls(logic, sum(made.area.values()), sum(made.energy.values()))


def cost(
    graph: Graph,
    images: np.ndarray,
    technology: Technology,
    *,
    cycles: int,
    first_layer: FirstLayer = FirstLayer.SERIAL,
) -> Cost:
    """What a network costs that takes at most ``cycles`` for an image, by the fast model, with the
    activity of ``images`` (images, *graph.input.shape)."""
    planned = plan(graph, budget(cycles, first_layer))
    made = estimate(
        planned,
        technology,
        clock=CLOCK,
        planes=graph.input.planes,
        activity=activity.measure(graph, planned, images),
    )
    return Cost.of(made)
