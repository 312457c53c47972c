# SPDX-License-Identifier: BSD-2-Clause
"""Batch-norm statistics of the inputs that a network will meet, and the graphs that come of them.

A sum over random bits spreads more than one over grey pixels, and the less, the more presentations
are added up. So whatever a network was trained with, its statistics are measured once more, on
training images as the hardware's generator shows them.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from .export import export, joined
from .graph import Graph
from .planes import Stochastic
from .presentations import hardware_rows

_CHUNK = 500  # images at once


def presented(model: nn.Sequential, name: str, planes: Stochastic, images: Tensor) -> Graph:
    """The graph of ``model`` for stochastic inputs, with statistics of training ``images`` (N, n),
    integers, shown in ``planes``.

    Each number of presentations has thresholds of its own in the first layer where that adds them
    up; the other layers' are of all numbers alike.
    """
    shape, kinds = tuple(images.shape[1:]), (1,) if planes.repeated else planes.presentations
    copies = calibrated(model, [partial(_shown, planes, images, count) for count in kinds])
    if planes.repeated:
        return export(copies[0], name, shape, planes)
    each = [replace(planes, presentations=(count,)) for count in kinds]
    pairs = zip(copies, each, strict=True)
    return joined([export(made, name, shape, alone) for made, alone in pairs])


def _shown(planes: Stochastic, images: Tensor, presentations: int) -> Iterator[Tensor]:
    for index, batch in enumerate(images.split(_CHUNK)):
        yield hardware_rows(planes, batch, presentations, index * _CHUNK)


def calibrated(
    model: nn.Sequential, shows: Sequence[Callable[[], Iterable[Tensor]]]
) -> list[nn.Sequential]:
    """Copies of ``model``, in eval mode, whose batch-norm statistics are of certain inputs.

    Each of ``shows`` gives one kind of input in batches (N, n), the same at each call, and there is
    a copy for each. The first batch-norm's statistics are of the copy's own inputs; all further
    ones are of the inputs of all copies alike, since a graph has one threshold vector there.
    """
    copies = [copy.deepcopy(model).eval() for _ in shows]
    places = [index for index, module in enumerate(model) if isinstance(module, nn.BatchNorm1d)]
    for place in places:
        moments = [_moments(made[:place], show) for made, show in zip(copies, shows, strict=True)]
        if place != places[0]:
            mean = torch.stack([first for first, _ in moments]).mean(dim=0)
            square = torch.stack([second for _, second in moments]).mean(dim=0)
            moments = [(mean, square)] * len(copies)
        for made, (mean, square) in zip(copies, moments, strict=True):
            norm = made[place]
            assert isinstance(norm, nn.BatchNorm1d) and norm.running_mean is not None
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(square - mean * mean)
    return copies


@torch.no_grad()
def _moments(layers: nn.Sequential, show: Callable[[], Iterable[Tensor]]) -> tuple[Tensor, Tensor]:
    """Means of what ``layers`` make of inputs and of its square, float64 (outputs,)."""
    count, first, second = 0, torch.zeros(()), torch.zeros(())
    for batch in show():
        values = layers(batch).to(torch.float64)
        count += len(values)
        first, second = first + values.sum(dim=0), second + (values * values).sum(dim=0)
    return first / count, second / count
