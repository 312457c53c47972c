# SPDX-License-Identifier: BSD-2-Clause
"""The golden reference: a packed integer interpreter of a ``Graph``, in NumPy and numba.

Every executor, this one included, gives bit-identical scores; nothing here depends on the number
of threads or on how images are split into calls.
"""

import copy
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from . import kernels, stochastic
from .errors import ErrorMap
from .graph import Graph, Value
from .nodes import Conv, Dense, Flatten, Head, MaxPool
from .packed_layer import Layer, windows
from .packing import pack, unpack, words
from .planes import Binary, FixedPoint
from .reads import ReadOrder

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
            index: Layer(node, value)
            for index, node, value, _ in graph.steps()
            if isinstance(node, Dense | Conv | Head)
        }
        self._layers = self._sound if errors is None else self._sensed(errors, order)

    def with_errors(self, errors: ErrorMap, order: ReadOrder | None = None) -> "Interpreter":
        """An interpreter of the same graph with these errors alone, without packing it again."""
        other = copy.copy(self)
        other._layers = self._sensed(errors, order)
        return other

    def _sensed(self, errors: ErrorMap, order: ReadOrder | None) -> dict[int, Layer]:
        errors.check(self.graph)
        order = order or ReadOrder.logical(self.graph)
        layers = dict(self._sound)
        for index, layer in errors.layers.items():
            layers[index] = layers[index].sensed(layer)
            if layer.rate:
                layers[index] = layers[index].with_noise(layer, order.array(index))
        return layers

    def shown(
        self, images: np.ndarray, *, presentations: int | None = None, first_image: int = 0
    ) -> Shown:
        """``images`` made ready for :meth:`scores` of this graph with any errors; the parameters
        and errors are those of that method."""
        images = check_images(self.graph, images)
        count = self.graph.presentations(presentations)
        flow = _show(self.graph, images, count, first_image)
        return Shown(flow, self.graph.variant(presentations), first_image)

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
        count, variant = graph.presentations(presentations), graph.variant(presentations)
        if isinstance(images, Shown):
            given, variant, first_image = images.flow, images.variant, images.first_image
        else:
            given = check_images(graph, images)
        result = np.empty((len(given), graph.classes), dtype=np.int64)

        def run(part: slice) -> None:
            flow, first = given[part], first_image + part.start
            if not isinstance(images, Shown):
                flow = _show(graph, flow, count, first)
            result[part] = self._run(flow, variant, first)

        parts = list(self._parts(len(given), count if graph.repeated else 1))
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

    def _parts(self, images: int, passes: int) -> Iterator[slice]:
        """Slices of images, small enough for memory and many enough for the threads."""
        positions = passes * max(
            int(np.prod(value.shape[1:], dtype=np.int64)) for value in self.graph.values
        )
        step = max(1, min(_ROWS_AT_ONCE // positions, 256, -(-images // self.threads)))
        for start in range(0, images, step):
            yield slice(start, min(start + step, images))

    def flows(self, images: Shown) -> Iterator[np.ndarray]:
        """What each layer takes, in order: bits (images, planes, *shape). Of presentations that are
        added up at the output it is the first."""
        flow = images.flow[:, :1] if self.graph.repeated else images.flow
        seen = self._walk(flow, images.variant, images.first_image)
        for (_, node, value, _), flow in zip(self.graph.steps(), seen, strict=False):
            if isinstance(node, Dense | Conv | Head):
                bits = unpack(flow, value.size) if flow.dtype == np.uint64 else flow
                shape = value.shape if isinstance(node, Conv) else (value.size,)
                yield bits.reshape(*bits.shape[:2], *shape)

    def _run(self, flow: np.ndarray, variant: int, image: int) -> np.ndarray:
        """Scores of a few images in this thread, the first of them ``image``."""
        return deque(self._walk(flow, variant, image), maxlen=1).pop()

    def _walk(self, flow: np.ndarray, variant: int, image: int) -> Iterator[np.ndarray]:
        """What each node takes, in order, and then the scores; the first image is ``image``."""
        graph, passes = self.graph, 1
        weights = np.array(graph.input.planes.weights(variant), dtype=np.int64)
        if graph.repeated:  # each presentation is a row of its own from here on
            passes = flow.shape[1]
            flow = flow.reshape(-1, 1, *flow.shape[2:])
        for index, node, value, _ in graph.steps():
            yield flow
            match node:
                case Flatten():
                    flow = _packed(flow, value)
                    continue
                case MaxPool():
                    flow = _pool(node, flow)
                    continue
                case Conv():
                    flow = self._layers[index].convolve(flow, weights, variant, image, passes)
                case Dense():
                    rows = _packed(flow, value)
                    flow = self._layers[index].fire(rows, weights, variant, image, passes)
                case Head():
                    rows = _packed(flow, value)
                    found = self._layers[index].score(rows, weights, variant, image, passes)
                    yield found.reshape(-1, passes, graph.classes).sum(axis=1)
            weights, variant = np.ones(1, dtype=np.int64), 0


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


def _show(graph: Graph, images: np.ndarray, count: int, first_image: int) -> np.ndarray:
    """The input as planes, ``count`` of a stochastic one: packed when it is a vector, else bits."""
    planes, shape = graph.input.planes, graph.input.shape
    flat = images.reshape(len(images), -1)
    if isinstance(planes, Binary):
        packed = pack(flat)[:, None]
    elif isinstance(planes, FixedPoint):
        flat = np.ascontiguousarray(flat, dtype=np.uint16)
        packed = np.empty((len(flat), planes.bits, words(flat.shape[1])), dtype=np.uint64)
        kernels.slice_planes(flat, packed)
    else:
        packed = np.empty((len(flat), count, words(flat.shape[1])), dtype=np.uint64)
        for index, pixels in enumerate(flat.astype(np.uint32)):
            drawn = planes.numbers(first_image + index, count, len(pixels))
            stochastic.compare(pixels, drawn, packed[index])
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
    cut = windows(bits, node.kernel, node.stride)
    window_axes = tuple(axis + len(axes) for axis in axes)
    shape = (-1,) + (1,) * len(axes)
    return np.where(node.conjunction.reshape(shape), cut.min(window_axes), cut.max(window_axes))
