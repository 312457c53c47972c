# SPDX-License-Identifier: BSD-2-Clause
"""Cycles from an image's first beat to its last score, with no other image in the network.

A dense layer starts when the whole vector is in its buffer, a convolution or a pooling with a
window when its rows are; each works on a pass while the stages around it work on those before and
after. The few cycles of each pipeline are not in it, nor is a stage that waits because the buffer
of the next is full: that one is then busy, and what it waits for is there in time.
"""

import numpy as np

from ..gearbox import beats, factors
from ..plan import Plan, Stage


def latency(plan: Plan) -> int:
    """Of a plan; of a stochastic input, with its greatest number of presentations.

    Added up in the first layer, all presentations come in before it starts. Added up at the output,
    each passes through all layers as a vector of its own.
    """
    shown = max(plan.presentations, default=1)
    passes = plan.layers[0].passes
    # The cycle before which each beat has come, (passes, beats of a pass).
    came = np.arange(1, shown * plan.input_beats + 1).reshape(passes, -1)
    size = plan.pixels_per_beat
    for stage in plan.stages:
        starts = _starts(stage, _words(stage, came, size))
        came = (starts[..., None] + _beats(stage)).reshape(passes, -1)
        size = stage.beat
    return int(came[-1, -1])


def _words(stage: Stage, came: np.ndarray, size: int) -> np.ndarray:
    """When each word is in the buffer that the gearbox in front of a stage makes of beats."""
    joined, made = factors(stage.elements, size, stage.word)
    vector = beats(stage.elements, size)  # of random planes, an image has several
    words = np.arange(beats(stage.elements, stage.word))
    last = np.minimum((words // made + 1) * joined, vector) - 1
    each = came.reshape(-1, vector)[:, last]
    return _in_turn(each.reshape(-1), 1).reshape(len(came), -1)


def _starts(stage: Stage, words: np.ndarray) -> np.ndarray:
    """When a stage starts with each vector or window, (passes, positions)."""
    if stage.window is None:
        ready = words[:, -1:]
    else:
        rows = words.reshape(len(words), stage.window.size[0], -1)[:, :, -1]
        last = [max(row.top, 0) + row.needed - 1 for row in stage.window.rows()]
        ready = np.repeat(rows[:, last], stage.window.positions // len(last), axis=1)
    return _in_turn(ready.reshape(-1), _beats(stage)[-1]).reshape(ready.shape)


def _in_turn(ready: np.ndarray, cycles: int) -> np.ndarray:
    """When each of successive works of so many cycles starts, that is not ready before."""
    before = np.arange(len(ready)) * cycles
    return np.maximum.accumulate(ready - before) + before


def _beats(stage: Stage) -> np.ndarray:
    """Cycles from a vector's or a window's start to each of its beats."""
    return stage.cycles_per_group * np.arange(1, stage.groups + 1)
