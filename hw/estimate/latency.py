# SPDX-License-Identifier: BSD-2-Clause
"""Cycles from an image's first beat to its last score, with no other image in the network.

A layer starts when the whole vector is in its buffer, and works on a pass while the layers around
it work on those before and after. All passes take equally long, so the last of ``n`` comes out
``n - 1`` times the slowest stage after the first. The few cycles of each pipeline are not in it.
"""

from collections.abc import Iterator
from itertools import pairwise

from ..gearbox import beats, factors
from ..layer_plan import LayerPlan
from ..plan import Plan


def latency(plan: Plan) -> int:
    """Of a plan; of a stochastic input, with its greatest number of presentations.

    Added up in the first layer, all presentations come in before it starts. Added up at the output,
    each passes through all layers as a vector of its own.
    """
    passes = plan.layers[0].passes
    shown = max(plan.presentations, default=1) // passes  # in front of each start
    stages = [shown * plan.input_beats, *(layer.cycles // layer.passes for layer in plan.layers)]
    return sum(stages) + sum(_cutting(plan.layers)) + (passes - 1) * max(stages)


def _cutting(layers: tuple[LayerPlan, ...]) -> Iterator[int]:
    """Cycles between the last beat of each layer and the last word that is made of its beats,
    where a beat is cut into several."""
    for layer, following in pairwise(layers):
        joined, made = factors(following.inputs, layer.neurons, following.lanes)
        last = layer.groups * layer.cycles_per_group
        words, end = following.folds, 0
        for group in range(beats(layer.groups, joined)):
            came = min((group + 1) * joined * layer.cycles_per_group, last)
            end = max(end, came) + min(made, words)
            words -= made
        yield end - last - 1
