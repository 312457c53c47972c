# SPDX-License-Identifier: BSD-2-Clause
"""The batched torch reference of a ``Graph``.

It shares no method with the packed interpreter: it computes with the numbers -1, 0 and +1 in
floating point. All planes of an input enter a sum linearly, so they are added up first, and a
layer is one matrix product of integers. Each product is exact, because the type is chosen so that
no partial sum leaves its range of exact integers.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .errors import ErrorMap
from .generators import error_positions, gap_table, start_of_image
from .graph import Graph, Value, sum_range
from .nodes import Conv, Dense, Fill, Flatten, Head, MaxPool, Weights
from .planes import Stochastic
from .reads import ReadOrder, plane_order

_CHUNK = 1 << 25  # most numbers that a chunk of images makes at once


def scores(
    graph: Graph,
    images: np.ndarray | Tensor,
    *,
    presentations: int | None = None,
    first_image: int = 0,
    errors: ErrorMap | None = None,
    order: ReadOrder | None = None,
) -> Tensor:
    """Scores of ``images``; see :class:`Reference` and :meth:`Reference.scores`."""
    reference = Reference(graph, errors=errors, order=order)
    return reference.scores(images, presentations=presentations, first_image=first_image)


@dataclass(frozen=True)
class _Pass:
    """Which images run through the network, and how often.

    Parameters
    ----------
    image : index of the first
    number, passes : this is pass ``number`` of so many that the images make
    variant : of the first layer's thresholds
    """

    image: int
    number: int = 0
    passes: int = 1
    variant: int = 0

    def of(self, value: Value) -> int:
        """The variant of a layer that reads ``value``: only the one that reads the planes of the
        input has more than one."""
        return self.variant if value.planes.variants > 1 else 0

    def weights(self, value: Value) -> tuple[int, ...]:
        """The weights of the planes of ``value``."""
        return value.planes.weights(self.of(value))


class Reference:
    """Runs ``graph`` on ``device``, with the errors of its weight memory if there are any.

    ``order`` is that in which the arrays are read; ``None`` takes :meth:`ReadOrder.logical`. Raises
    ``ValueError`` when errors or order do not fit the graph.
    """

    def __init__(
        self,
        graph: Graph,
        device: torch.device | str = "cpu",
        *,
        errors: ErrorMap | None = None,
        order: ReadOrder | None = None,
    ):
        self.graph = graph = graph if errors is None else errors.sensed(graph)
        self.device = torch.device(device)
        order = order or ReadOrder.logical(graph)
        self._noise = {
            index: (layer, order.array(index))
            for index, layer in ({} if errors is None else errors.layers).items()
            if layer.rate
        }
        self._weights = {
            index: torch.from_numpy(node.weights.signed()).flatten(1).to(self.device)
            for index, node, _, _ in graph.steps()
            if isinstance(node, Conv | Dense | Head)
        }

    @torch.no_grad()
    def scores(
        self,
        images: np.ndarray | Tensor,
        *,
        presentations: int | None = None,
        first_image: int = 0,
    ) -> Tensor:
        """Integer scores of a batch.

        Parameters
        ----------
        images : integers (batch, *graph.input.shape), 0 to ``2^bits - 1``
        presentations : one of those that a stochastic input supports; the first by default
        first_image : index of the first image, which decides its random numbers

        Returns
        -------
        int64 (batch, classes); raises ``ValueError`` for other images or presentations.
        """
        graph = self.graph
        count, variant = graph.presentations(presentations), graph.variant(presentations)
        pixels = self._checked(images)
        chunk = max(1, _CHUNK // max(_numbers(*step[1:3]) for step in graph.steps()))
        results = [torch.empty((0, graph.classes), dtype=torch.int64, device=self.device)]
        for start in range(0, len(pixels), chunk):
            given, image = pixels[start : start + chunk], first_image + start
            values, planes = self._shown(given, count, image)
            if graph.repeated:
                passes = [
                    self._run(
                        planes[:, k].reshape(given.shape),
                        planes[:, k : k + 1],
                        _Pass(image, k, count),
                    )
                    for k in range(count)
                ]
                results.append(torch.stack(passes).sum(dim=0))
            else:
                results.append(self._run(values, planes, _Pass(image, variant=variant)))
        return torch.cat(results)

    def _run(self, values: Tensor, planes: Tensor, which: _Pass) -> Tensor:
        """Scores of images once through all nodes, int64 (batch, classes), from what
        :meth:`_shown` returns."""
        for index, node, value, _ in self.graph.steps():
            values = self._step(index, node, value, values, planes, which)
            if not isinstance(node, Flatten):
                planes = values[:, None]
        return values.to(torch.int64)

    def _checked(self, images: np.ndarray | Tensor) -> Tensor:
        """``images`` as int64 on the device; raises ``ValueError`` when they are not the input."""
        if not isinstance(images, Tensor):
            images = torch.from_numpy(np.array(images))  # a copy: torch takes no read-only arrays
        pixels = images.to(self.device)
        shape, most = self.graph.input.shape, (1 << self.graph.input.planes.bits) - 1
        if pixels.is_floating_point() or pixels.is_complex():
            raise ValueError(f"Images must be integers, not {pixels.dtype}")
        if tuple(pixels.shape[1:]) != shape or pixels.ndim == 0:
            raise ValueError(f"Images must be (batch, *{shape}), not {tuple(pixels.shape)}")
        pixels = pixels.to(torch.int64)
        if len(pixels) and not 0 <= int(pixels.min()) <= int(pixels.max()) <= most:
            low, high = int(pixels.min()), int(pixels.max())
            raise ValueError(f"Pixels must be 0 to {most}, not {low} to {high}")
        return pixels

    def _shown(self, pixels: Tensor, count: int, first_image: int) -> tuple[Tensor, Tensor]:
        """The plane-weighted sum of the -1/+1 planes of each pixel, float64 of the same shape; and,
        where there are presentations or read errors, the planes themselves (batch, planes, n)."""
        planes, flat = self.graph.input.planes, pixels.flatten(1)
        if isinstance(planes, Stochastic):
            shown = []
            for image, pixel in enumerate(flat, start=first_image):
                draws = planes.numbers(image, count, len(pixel))
                shown.append(pixel >= torch.from_numpy(draws.astype(np.int64)).to(self.device))
            each = 2.0 * torch.stack(shown) - 1.0
            return each.sum(dim=1, dtype=torch.float64).reshape(pixels.shape), each
        each = flat[:, None]
        if self._noise:
            shifts = torch.arange(planes.bits, device=self.device)[:, None]
            each = 2.0 * (each >> shifts & 1) - 1.0
        return (2 * pixels - ((1 << planes.bits) - 1)).to(torch.float64), each

    def _step(
        self,
        index: int,
        node,
        value: Value,
        values: Tensor,
        planes: Tensor,
        which: _Pass,
    ) -> Tensor:
        """What ``node`` makes of ``values`` (batch, *value.shape): -1/+1 bits, or scores.

        ``planes`` are those of ``values``.
        """
        match node:
            case Flatten():
                return values.flatten(1)
            case MaxPool():
                return _pool(node, values)
        variant, total = which.of(value), sum(which.weights(value))
        weights = self._weights[index].to(_exact(node.weights, total))
        values = values.to(weights.dtype)
        match node:
            case Conv():
                return self._conv(index, node, value, values, planes, which)
            case Dense():
                least = self._least(node, node.weights.fan_in, total, variant)
                sums = values @ weights.T
                self._misread_vector(index, sums, planes, value, which)
                return torch.where(sums >= least[0], 1.0, -1.0)
            case Head():
                offsets = torch.from_numpy(node.offsets[variant].copy()).to(self.device)
                sums = values @ weights.T
                self._misread_vector(index, sums, planes, value, which)
                return sums.to(torch.int64) + offsets
        raise TypeError(f"{type(node).__name__} is not a node of a graph")

    def _conv(
        self,
        index: int,
        node: Conv,
        value: Value,
        values: Tensor,
        planes: Tensor,
        which: _Pass,
    ) -> Tensor:
        """Convolution as a matrix product over unfolded windows."""
        total = sum(which.weights(value))
        windows = _windows(node, values, total)
        sums = windows @ self._weights[index].to(values.dtype).T
        present, classes = node.present_inputs(value.shape[1:])
        if index in self._noise:
            each = _windows(node, planes.reshape(-1, *value.shape), 1)
            each = each.reshape(*planes.shape[:2], *windows.shape[1:])
            self._misread(index, sums, each, value, which, present[classes])
        least = self._least(node, present.sum(axis=1)[:, None], total, which.of(value))
        fires = torch.where(sums >= least[torch.from_numpy(classes).to(self.device)], 1.0, -1.0)
        return fires.movedim(-1, 1).reshape(len(values), -1, *node.output_size(value.shape[1:]))

    def _misread_vector(
        self, index: int, sums: Tensor, planes: Tensor, value: Value, which: _Pass
    ) -> None:
        """:meth:`_misread` for images that are one vector each."""
        if index in self._noise:
            self._misread(index, sums[:, None], planes.flatten(2)[:, :, None], value, which)

    def _misread(
        self,
        index: int,
        sums: Tensor,
        planes: Tensor,
        value: Value,
        which: _Pass,
        present: np.ndarray | None = None,
    ) -> None:
        """Adds what the read errors of each image change to its ``sums`` (batch, vectors, outputs)
        of ``planes`` (batch, planes, vectors, inputs). ``present`` says which inputs count, bool
        (vectors, inputs); all by default."""
        weights = which.weights(value)
        errors, reads = self._noise[index]
        signed, ternary = self._weights[index], self.graph.nodes[index].weights.ternary
        shape = (reads.groups, reads.steps(len(weights)), reads.folds, 2 if ternary else 1)
        columns = (reads.neurons, reads.lanes) if reads.by_neuron else (reads.lanes, reads.neurons)
        order = np.array(plane_order(weights))
        heavy = torch.tensor(weights, dtype=planes.dtype, device=self.device)[:, None, None]
        bits = reads.bits(len(weights), ternary)
        of_pass = bits * sums.shape[1]
        for row, shown in enumerate(planes):
            start = start_of_image(errors.start, which.image + row)
            at = error_positions(start, gap_table(errors.rate), of_pass * which.passes)
            at = at[at // of_pass == which.number] % of_pass
            group, step, fold, line, *column = np.unravel_index(at % bits, (*shape, *columns))
            neuron, lane = column if reads.by_neuron else column[::-1]
            neuron, source = group * reads.neurons + neuron, fold * reads.lanes + lane
            real = (neuron < reads.outputs) & (source < reads.inputs)
            found = np.stack([at // bits, neuron, source, line, order[step]])[:, real]
            found[2] = reads.sources[found[2]]
            if present is not None:
                found = found[:, present[found[0], found[2]]]
            vector, neuron, source, line, plane = torch.from_numpy(found).to(self.device)
            if reads.whole:  # every column is shown a 1, and counts the pixel
                pixels = (heavy * shown).sum(dim=0)
                product, factor = signed[neuron, source], pixels[vector, source]
            else:
                product = shown[plane, vector, source] * signed[neuron, source]
                factor = heavy[plane, 0, 0]
            if ternary:
                # Agree is the line 0 and disagree the line 1, of opposite sides of the sum.
                side = 1 - 2 * line
                change = torch.where(product == side, -side, side)
            else:
                change = -2 * product
            added = (change * factor).to(sums.dtype)
            sums[row].index_put_((vector, neuron), added, accumulate=True)

    def _least(self, node: Conv | Dense, present, total: int, variant: int) -> Tensor:
        """Least signed sum at which each neuron fires, (classes, outputs).

        A ternary threshold is one already; ``p`` agreeing bits of ``present`` are a signed sum of
        ``2p - present``.
        """
        thresholds = node.thresholds[variant]
        if not node.weights.ternary:
            thresholds = 2 * thresholds - present * total
        return torch.from_numpy(np.array(thresholds)).to(self.device)


def _windows(node: Conv, values: Tensor, total: int) -> Tensor:
    """Windows (batch, positions, taps of all channels) of values (batch, C, *size), of which the
    greatest is ``total``."""
    axes = len(node.kernel)
    fill = {Fill.MINUS: -total, Fill.PLUS: total, Fill.ABSENT: 0}[node.fill]
    # functional.pad counts axes from the last.
    margins = [p for pad in reversed(node.padding) for p in (pad, pad)]
    windows = functional.pad(values, margins, value=fill)
    for axis in range(axes):
        windows = windows.unfold(2 + axis, node.kernel[axis], node.stride[axis])
    return windows.movedim(1, 1 + axes).flatten(1 + axes).flatten(1, axes)


def _pool(node: MaxPool, values: Tensor) -> Tensor:
    """Maximum of each window, or its minimum (the AND of its bits) in a conjunction channel."""
    pool = functional.max_pool1d if len(node.kernel) == 1 else functional.max_pool2d
    signs = torch.from_numpy(1.0 - 2.0 * node.conjunction).to(values)
    signs = signs.reshape(-1, *[1] * len(node.kernel))
    return signs * pool(signs * values, node.kernel, node.stride)


def _exact(weights: Weights, total: int) -> torch.dtype:
    """A float type in which every sum of ``weights`` is an exact integer."""
    # "highest" is torch's default; at any lower setting float32 products are rounded first.
    full = torch.get_float32_matmul_precision() == "highest"
    small = sum_range(weights, total)[1] < 1 << 24
    return torch.float32 if full and small else torch.float64


def _numbers(node, value: Value) -> int:
    """How many numbers ``node`` makes of one image, unfolded windows included."""
    if isinstance(node, Conv):
        return math.prod(node.output_size(value.shape[1:])) * node.weights.fan_in
    return value.size
