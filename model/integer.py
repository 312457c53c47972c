# SPDX-License-Identifier: BSD-2-Clause
"""The golden reference: a packed integer interpreter of a ``Graph``, in NumPy and numba.

What a layer computes is decided on the count of *disagreeing* bits ``d = sum_k w_k d_k``: binary
weights fire when ``a W - d >= T`` and ternary ones when ``a W - 2 d >= T``, with ``a`` the synapses
that count and ``W`` the plane weights' total. So every neuron has one limit, and fires when
``d <= limit``.

Every executor, this one included, gives bit-identical scores; nothing here depends on the number
of threads or on how images are split into calls.
"""

import copy
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from . import kernels
from .errors import ErrorMap, LayerErrors
from .generators import gap_table, starts_of_images, stochastic_thresholds
from .graph import Graph, Value
from .nodes import Conv, Dense, Fill, Flatten, Head, MaxPool, Weights
from .packing import pack, unpack, words
from .planes import Binary, FixedPoint
from .reads import ArrayReads, ReadOrder, plane_order

_ROWS_AT_ONCE = 1 << 12  # bounds the memory of unfolded convolutions and of counts


def scores(
    graph: Graph,
    images: np.ndarray,
    *,
    errors: ErrorMap | None = None,
    order: ReadOrder | None = None,
    **options,
) -> np.ndarray:
    """Scores of ``images``: see :class:`Interpreter` and :meth:`Interpreter.scores`."""
    return Interpreter(graph, errors=errors, order=order).scores(images, **options)


def labels(scores: np.ndarray) -> np.ndarray:
    """Class of each image: the lowest index of the greatest score, int64 (images,)."""
    return np.argmax(scores, axis=-1)


@dataclass(frozen=True, eq=False)
class Shown:
    """Images as the first layer sees them, for repeated use: see :meth:`Interpreter.shown`."""

    flow: np.ndarray
    variant: int
    first_image: int


class Interpreter:
    """A graph with its weights packed for repeated use.

    Parameters
    ----------
    errors : of the weight memory
    order : in which the arrays are read; ``None`` takes :meth:`ReadOrder.logical`
    threads : how many worker threads; ``None`` takes one per core

    Raises ``ValueError`` when errors or order do not fit the graph.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        errors: ErrorMap | None = None,
        order: ReadOrder | None = None,
        threads: int | None = None,
    ):
        self.graph = graph
        self.threads = threads or os.cpu_count() or 1
        self._sound = {
            index: _Layer(node, value)
            for index, node, value, _ in graph.steps()
            if isinstance(node, Dense | Conv | Head)
        }
        self._layers = self._sound if errors is None else self._sensed(errors, order)

    def with_errors(self, errors: ErrorMap, order: ReadOrder | None = None) -> "Interpreter":
        """An interpreter of the same graph with these errors alone, without packing it again."""
        other = copy.copy(self)
        other._layers = self._sensed(errors, order)
        return other

    def _sensed(self, errors: ErrorMap, order: ReadOrder | None) -> "dict[int, _Layer]":
        errors.check(self.graph)
        order = order or ReadOrder.logical(self.graph)
        layers = dict(self._sound)
        for index, layer in errors.layers.items():
            layers[index] = layers[index].sensed(layer)
            if layer.rate:
                layers[index].noise = _Noise(layer, order.array(index))
        return layers

    def shown(
        self, images: np.ndarray, *, presentations: int | None = None, first_image: int = 0
    ) -> Shown:
        """``images`` made ready for :meth:`scores` of this graph with any errors; the parameters
        and errors are those of that method."""
        images = check_images(self.graph, images)
        variant = self.graph.variant(presentations)
        return Shown(_show(self.graph, images, variant, first_image), variant, first_image)

    def scores(
        self, images: np.ndarray | Shown, *, presentations: int | None = None, first_image: int = 0
    ) -> np.ndarray:
        """Scores of every class, int64 (images, classes).

        Parameters
        ----------
        images : integers (images, *graph.input.shape), bits or pixels of the input's width; or
            what :meth:`shown` has made of them, which also has the other two parameters
        presentations : for a stochastic input, one of its supported numbers (``None``: the first)
        first_image : index of ``images[0]``, from which stochastic inputs and read errors restart
            their generators

        Raises ``ValueError`` when shape, range or number of presentations do not fit.
        """
        graph = self.graph
        if isinstance(images, Shown):
            given, variant, first_image = images.flow, images.variant, images.first_image
        else:
            given, variant = check_images(graph, images), graph.variant(presentations)
        result = np.empty((len(given), graph.classes), dtype=np.int64)

        def run(part: slice) -> None:
            flow, first = given[part], first_image + part.start
            if not isinstance(images, Shown):
                flow = _show(graph, flow, variant, first)
            result[part] = self._run(flow, variant, first)

        parts = list(self._parts(len(given)))
        if self.threads == 1 or len(parts) == 1:
            for part in parts:
                run(part)
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(run, parts))
        return result

    def read_flips(self) -> dict[int, int]:
        """Bits that read errors have flipped so far, of columns in use, by the node's index."""
        return {
            index: sum(layer.noise.flips)
            for index, layer in self._layers.items()
            if layer.noise is not None
        }

    def _parts(self, images: int) -> Iterator[slice]:
        """Slices of images, small enough for memory and many enough for the threads."""
        positions = max(
            int(np.prod(value.shape[1:], dtype=np.int64)) for value in self.graph.values
        )
        step = max(1, min(_ROWS_AT_ONCE // positions, 256, -(-images // self.threads)))
        for start in range(0, images, step):
            yield slice(start, min(start + step, images))

    def _run(self, flow: np.ndarray, variant: int, image: int) -> np.ndarray:
        """Scores of a few images in this thread, the first of them ``image``."""
        graph = self.graph
        weights = np.array(graph.input.planes.weights(variant), dtype=np.int64)
        for index, node, value, _ in graph.steps():
            match node:
                case Flatten():
                    flow = _packed(flow, value)
                    continue
                case MaxPool():
                    flow = _pool(node, flow)
                    continue
                case Conv():
                    flow = self._layers[index].convolve(flow, weights, variant)
                case Dense():
                    flow = self._layers[index].fire(_packed(flow, value), weights, variant, image)
                case Head():
                    return self._layers[index].score(_packed(flow, value), weights, variant, image)
            weights, variant = np.ones(1, dtype=np.int64), 0
        raise AssertionError("a graph ends with its head")


def check_images(graph: Graph, images: np.ndarray) -> np.ndarray:
    """``images`` as an array that fits the graph's input; raises ``ValueError`` otherwise."""
    images = np.asarray(images)
    shape, planes = graph.input.shape, graph.input.planes
    if images.ndim != 1 + len(shape) or images.shape[1:] != shape:
        raise ValueError(f"{graph.name} takes images of shape {shape}, not {images.shape[1:]}")
    if not (np.issubdtype(images.dtype, np.integer) or images.dtype == bool):
        raise ValueError(f"Pixels must be integers, not {images.dtype}")
    most = (1 << planes.bits) - 1
    if images.size and (images.min() < 0 or images.max() > most):
        raise ValueError(
            f"{graph.name} takes pixels from 0 to {most}, not {images.min()} to {images.max()}"
        )
    return images


# What flows between layers is either spatial, uint8 bits (images, planes, C, *size), or a vector of
# packed words, uint64 (images, planes, words).


def _show(graph: Graph, images: np.ndarray, variant: int, first_image: int) -> np.ndarray:
    """The input as planes: packed when it is a vector, else bits."""
    planes, shape = graph.input.planes, graph.input.shape
    flat = images.reshape(len(images), -1)
    if isinstance(planes, Binary):
        packed = pack(flat)[:, None]
    elif isinstance(planes, FixedPoint):
        flat = np.ascontiguousarray(flat, dtype=np.uint16)
        packed = np.empty((len(flat), planes.bits, words(flat.shape[1])), dtype=np.uint64)
        kernels.slice_planes(flat, packed)
    else:
        count, pixels = planes.presentations[variant], flat.shape[1]
        draws = np.stack([
            stochastic_thresholds(planes.bits, planes.seed, first_image + i, count, pixels)
            for i in range(len(flat))
        ])  # fmt: skip
        packed = pack(flat[:, None] >= draws)
    if len(shape) == 1:
        return packed
    return unpack(packed, flat.shape[1]).reshape(*packed.shape[:2], *shape)


def _packed(flow: np.ndarray, value: Value) -> np.ndarray:
    """``flow`` as packed vectors."""
    if flow.dtype == np.uint64:
        return flow
    return pack(flow.reshape(*flow.shape[:2], value.size))


def _pool(node: MaxPool, bits: np.ndarray) -> np.ndarray:
    axes = tuple(range(3, bits.ndim))
    windows = _windows(bits, node.kernel, node.stride)
    window_axes = tuple(axis + len(axes) for axis in axes)
    shape = (-1,) + (1,) * len(axes)
    return np.where(
        node.conjunction.reshape(shape), windows.min(window_axes), windows.max(window_axes)
    )


def _windows(bits: np.ndarray, kernel: tuple[int, ...], stride: tuple[int, ...]) -> np.ndarray:
    """View (images, planes, C, *positions, *kernel) of the bits (images, planes, C, *size)."""
    axes = tuple(range(3, bits.ndim))
    windows = np.lib.stride_tricks.sliding_window_view(bits, kernel, axis=axes)
    return windows[(slice(None),) * 3 + tuple(slice(None, None, step) for step in stride)]


class _Noise:
    """Read errors of one array."""

    def __init__(self, errors: LayerErrors, reads: ArrayReads):
        self.start = errors.start
        self.table = gap_table(errors.rate)
        self.reads = (reads.inputs, reads.outputs, reads.lanes, reads.neurons, reads.by_neuron)
        self.flips: list[int] = []  # of each call: a list, because threads append to it safely


class _Layer:
    """Packed weights of one layer and the limits of its neurons."""

    def __init__(self, node: Dense | Conv | Head, value: Value):
        self.node = node
        self.noise: _Noise | None = None
        weights = node.weights
        self.sign = _tiles(weights.sign)
        self.active = self.sign if weights.active is None else _tiles(weights.active)
        if isinstance(node, Conv):
            taps, classes = node.present_taps(value.shape[1:])
            self.classes = classes.reshape(-1)
            channels = weights.sign.shape[1]
            taps = np.repeat(taps.reshape(len(taps), 1, -1), channels, axis=1)
            self.taps = taps.reshape(len(taps), -1)
        else:
            self.classes = np.zeros(1, dtype=np.int64)
            self.taps = np.ones((1, weights.fan_in), dtype=bool)
        self.masked = weights.ternary or not self.taps.all()
        if self.masked and weights.active is None:
            self.active = np.full_like(self.sign, ~np.uint64(0))
        self.present = pack(self.taps)

    def sensed(self, errors: LayerErrors) -> "_Layer":
        """The layer with its weights as they are sensed."""
        other = copy.copy(self)
        weights: Weights = self.node.weights
        other.sign = self.sign.copy()
        if self.active is self.sign:
            other.active = other.sign
        if weights.ternary:
            other.active = self.active.copy()
            neuron, source = np.divmod(errors.synapses, weights.fan_in)
            programmed = weights.active.reshape(-1)[errors.synapses].astype(np.int64)
            change = (errors.states != 0) - programmed
            other.counting = self.counting.copy()
            np.add.at(other.counting.T, neuron, (self.taps[:, source] * change).T)
        kernels.sense(
            other.sign, other.active, weights.ternary, weights.fan_in, errors.synapses,
            errors.states,
        )  # fmt: skip
        return other

    @cached_property
    def counting(self) -> np.ndarray:
        """Synapses that count, for each border class and output: int64 (classes, outputs)."""
        weights: Weights = self.node.weights
        if weights.active is None:
            return np.repeat(self.taps.sum(1, dtype=np.int64)[:, None], weights.outputs, axis=1)
        return self.taps.astype(np.int64) @ weights.active.reshape(weights.outputs, -1).T

    def limits(self, total: int, variant: int) -> np.ndarray:
        """Most disagreements with which a neuron fires, int64 (classes, tiles, 64)."""
        slack = self._slack(total, variant)
        limits = np.full((len(slack), len(self.sign) * kernels.TILE), -1)
        limits[:, : slack.shape[1]] = slack >> 1 if self.node.weights.ternary else slack
        return limits.reshape(len(slack), -1, kernels.TILE)

    def _slack(self, total: int, variant: int) -> np.ndarray:
        """Greatest sum less threshold, int64 (classes, outputs)."""
        return self.counting * total - self.node.thresholds[variant]

    def _doubled(self, rows: np.ndarray, plane_weights: np.ndarray, image: int) -> np.ndarray:
        """Twice the disagreements that are latched, int64 (n, outputs); ``rows[0]`` is of
        ``image``."""
        totals = np.empty((len(rows), self.node.weights.outputs), dtype=np.int64)
        kernels.disagreements(**self._operands(rows, plane_weights), totals=totals)
        ternary = self.node.weights.ternary
        if ternary:
            totals *= 2
        if self.noise is not None:
            planes = plane_order(tuple(plane_weights))
            flips = kernels.read_errors(
                np.ascontiguousarray(rows),
                plane_weights,
                np.array(planes, dtype=np.int64),
                self.sign,
                self.active,
                ternary,
                starts_of_images(self.noise.start, image, len(rows)),
                self.noise.table,
                self.noise.reads,
                totals,
            )
            self.noise.flips.append(flips)
        return totals if ternary else 2 * totals

    def fire(
        self, rows: np.ndarray, plane_weights: np.ndarray, variant: int, image: int = 0
    ) -> np.ndarray:
        """Packed output bits (n, 1, words) of packed rows (n, planes, words)."""
        if self.noise is not None:
            slack = self._slack(int(plane_weights.sum()), variant)
            limits = slack if self.node.weights.ternary else 2 * slack
            return pack(self._doubled(rows, plane_weights, image) <= limits)[:, None]
        packed = np.empty((len(rows), len(self.sign)), dtype=np.uint64)
        limits = self.limits(int(plane_weights.sum()), variant)
        kernels.fire(**self._operands(rows, plane_weights), limits=limits, packed=packed)
        return packed[:, None]

    def score(
        self, rows: np.ndarray, plane_weights: np.ndarray, variant: int, image: int
    ) -> np.ndarray:
        """Signed sums plus offsets, int64 (n, classes)."""
        doubled = self._doubled(rows, plane_weights, image)
        signed = self.counting * int(plane_weights.sum()) - doubled
        return signed + self.node.offsets[variant]

    def _operands(self, rows: np.ndarray, plane_weights: np.ndarray) -> dict:
        """What both kernels take."""
        return {
            "rows": np.ascontiguousarray(rows),
            "plane_weights": plane_weights,
            "sign": self.sign,
            "masked": self.masked,
            "active": self.active,
            "present": self.present,
            "classes": self.classes,
        }

    def convolve(self, bits: np.ndarray, plane_weights: np.ndarray, variant: int) -> np.ndarray:
        """Output bits (images, 1, outputs, *positions) of input bits (images, planes, C, *size)."""
        node = self.node
        assert isinstance(node, Conv)
        fill = 1 if node.fill is Fill.PLUS else 0  # absent taps are masked, whatever they read
        padding = [(0, 0)] * 3 + [(p, p) for p in node.padding]
        windows = _windows(np.pad(bits, padding, constant_values=fill), node.kernel, node.stride)
        images, planes = windows.shape[:2]
        positions = windows.shape[3 : windows.ndim - len(node.kernel)]
        spatial = range(3, 3 + len(positions))
        taps = range(3 + len(positions), windows.ndim)
        rows = windows.transpose(0, *spatial, 1, 2, *taps)
        rows = pack(rows.reshape(images * len(self.classes), planes, -1))
        fired = unpack(self.fire(rows, plane_weights, variant)[:, 0], node.weights.outputs)
        return np.moveaxis(fired.reshape(images, 1, *positions, -1), -1, 2)


def _tiles(bits: np.ndarray) -> np.ndarray:
    """Bits (outputs, ...) packed along the fan-in and cut into tiles: (tiles, words, 64)."""
    packed = pack(bits.reshape(len(bits), -1))
    packed = np.pad(packed, [(0, -len(packed) % kernels.TILE), (0, 0)])
    tiles = packed.reshape(-1, kernels.TILE, packed.shape[1])
    return np.ascontiguousarray(tiles.transpose(0, 2, 1))
