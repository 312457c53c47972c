# SPDX-License-Identifier: BSD-2-Clause
"""One layer of the packed interpreter: weights in words, and what its neurons make of rows.

What a layer computes is decided on the count of *disagreeing* bits ``d = sum_k w_k d_k``: binary
weights fire when ``a W - d >= T`` and ternary ones when ``a W - 2 d >= T``, with ``a`` the synapses
that count and ``W`` the plane weights' total. So every neuron has one limit, and fires when
``d <= limit``.
"""

import copy
from functools import cached_property

import numpy as np

from . import kernels, misreads
from .errors import LayerErrors
from .generators import gap_table, starts_of_images
from .graph import Value
from .nodes import Conv, Dense, Fill, Head, Weights
from .packing import pack, unpack
from .reads import ArrayReads, plane_order


def windows(bits: np.ndarray, kernel: tuple[int, ...], stride: tuple[int, ...]) -> np.ndarray:
    """View (images, planes, C, *positions, *kernel) of the bits (images, planes, C, *size)."""
    axes = tuple(range(3, bits.ndim))
    windows = np.lib.stride_tricks.sliding_window_view(bits, kernel, axis=axes)
    return windows[(slice(None),) * 3 + tuple(slice(None, None, step) for step in stride)]


def vectors(node: Conv, bits: np.ndarray) -> np.ndarray:
    """What each window of a convolution sees: bits (images, positions, planes, inputs) of bits
    (images, planes, C, *size). Absent taps read 0."""
    fill = 1 if node.fill is Fill.PLUS else 0
    padding = [(0, 0)] * 3 + [(p, p) for p in node.padding]
    cut = windows(np.pad(bits, padding, constant_values=fill), node.kernel, node.stride)
    spatial = range(3, 3 + len(node.kernel))
    taps = range(3 + len(node.kernel), cut.ndim)
    rows = cut.transpose(0, *spatial, 1, 2, *taps)
    inputs = node.weights.fan_in
    return rows.reshape(len(bits), -1, bits.shape[1], inputs)


class Noise:
    """Read errors of one array, and its layer in the order in which it is read."""

    def __init__(self, errors: LayerErrors, reads: ArrayReads, layer: "Layer"):
        self.sources = reads.sources if reads.channels else None
        self.sign, self.active, self.present = layer.sign, layer.active, layer.present
        if self.sources is not None:
            self.sign, self.active = (
                _tiles(_untiled(tiles, reads.inputs)[:, self.sources])
                for tiles in (layer.sign, layer.active)
            )
            self.present = pack(layer.taps[:, self.sources])
        self.start = errors.start
        self.table = gap_table(errors.rate)
        self.reads = (
            reads.inputs, reads.outputs, reads.lanes, reads.neurons, reads.by_neuron, reads.whole
        )  # fmt: skip
        self.flips: list[int] = []  # of each call: a list, because threads append to it safely


class Layer:
    """Packed weights of one layer and the limits of its neurons."""

    def __init__(self, node: Dense | Conv | Head, value: Value):
        self.node = node
        self.noise: Noise | None = None
        weights = node.weights
        self.sign = _tiles(weights.sign)
        self.active = self.sign if weights.active is None else _tiles(weights.active)
        if isinstance(node, Conv):
            self.taps, self.classes = node.present_inputs(value.shape[1:])
        else:
            self.classes = np.zeros(1, dtype=np.int64)
            self.taps = np.ones((1, weights.fan_in), dtype=bool)
        self.masked = weights.ternary or not self.taps.all()
        if self.masked and weights.active is None:
            self.active = np.full_like(self.sign, ~np.uint64(0))
        self.present = pack(self.taps)

    def sensed(self, errors: LayerErrors) -> "Layer":
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

    def with_noise(self, errors: LayerErrors, reads: ArrayReads) -> "Layer":
        """The layer, sensed with these errors, with their read errors as well."""
        other = copy.copy(self)
        other.noise = Noise(errors, reads, self)
        return other

    def _doubled(
        self, rows: np.ndarray, plane_weights: np.ndarray, image: int, passes: int
    ) -> np.ndarray:
        """Twice the disagreements that are latched, int64 (n, outputs); ``rows[0]`` is of
        ``image``, and each image has ``passes`` rows."""
        totals = np.empty((len(rows), self.node.weights.outputs), dtype=np.int64)
        kernels.disagreements(**self._operands(rows, plane_weights), totals=totals)
        ternary = self.node.weights.ternary
        if ternary:
            totals *= 2
        if (noise := self.noise) is not None:
            planes = plane_order(tuple(plane_weights))
            if noise.sources is not None:
                rows = pack(unpack(rows, len(noise.sources))[..., noise.sources])
            flips = misreads.read_errors(
                np.ascontiguousarray(rows),
                plane_weights,
                np.array(planes, dtype=np.int64),
                noise.sign,
                noise.active,
                ternary,
                noise.present,
                self.classes,
                starts_of_images(noise.start, image, len(rows) // passes),
                noise.table,
                noise.reads,
                totals,
            )
            noise.flips.append(flips)
        return totals if ternary else 2 * totals

    def fire(
        self,
        rows: np.ndarray,
        plane_weights: np.ndarray,
        variant: int,
        image: int = 0,
        passes: int = 1,
    ) -> np.ndarray:
        """Packed output bits (n, 1, words) of packed rows (n, planes, words).

        ``image`` and ``passes`` matter for read errors: the index of the first image, and how many
        rows belong to each.
        """
        if self.noise is not None:
            slack = self._slack(int(plane_weights.sum()), variant)
            limits = slack if self.node.weights.ternary else 2 * slack
            found = self._doubled(rows, plane_weights, image, passes)
            by_position = found.reshape(-1, len(self.classes), found.shape[1])
            fires = by_position <= limits[self.classes]
            return pack(fires.reshape(found.shape))[:, None]
        packed = np.empty((len(rows), len(self.sign)), dtype=np.uint64)
        limits = self.limits(int(plane_weights.sum()), variant)
        kernels.fire(**self._operands(rows, plane_weights), limits=limits, packed=packed)
        return packed[:, None]

    def score(
        self, rows: np.ndarray, plane_weights: np.ndarray, variant: int, image: int, passes: int
    ) -> np.ndarray:
        """Signed sums plus offsets, int64 (n, classes); the parameters are those of
        :meth:`fire`."""
        doubled = self._doubled(rows, plane_weights, image, passes)
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

    def convolve(
        self,
        bits: np.ndarray,
        plane_weights: np.ndarray,
        variant: int,
        image: int = 0,
        passes: int = 1,
    ) -> np.ndarray:
        """Output bits (n, 1, outputs, *positions) of input bits (n, planes, C, *size); the other
        parameters are those of :meth:`fire`."""
        node = self.node
        assert isinstance(node, Conv)
        cut = vectors(node, bits)
        rows = pack(cut.reshape(-1, *cut.shape[2:]))
        passes *= len(self.classes)
        packed = self.fire(rows, plane_weights, variant, image, passes)[:, 0]
        fired = unpack(packed, node.weights.outputs)
        positions = node.output_size(bits.shape[3:])
        return np.moveaxis(fired.reshape(len(bits), 1, *positions, -1), -1, 2)


def _untiled(tiles: np.ndarray, inputs: int) -> np.ndarray:
    """Bits (outputs and empty ones, inputs) of tiles, see :func:`_tiles`."""
    return unpack(np.ascontiguousarray(tiles.transpose(0, 2, 1)), inputs).reshape(-1, inputs)


def _tiles(bits: np.ndarray) -> np.ndarray:
    """Bits (outputs, ...) packed along the fan-in and cut into tiles: (tiles, words, 64)."""
    packed = pack(bits.reshape(len(bits), -1))
    packed = np.pad(packed, [(0, -len(packed) % kernels.TILE), (0, 0)])
    tiles = packed.reshape(-1, kernels.TILE, packed.shape[1])
    return np.ascontiguousarray(tiles.transpose(0, 2, 1))
