# SPDX-License-Identifier: BSD-2-Clause
"""The nodes of a network: what each layer computes, over bits and integers."""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from .checks import MAX_SYNAPSES, bit_array, frozen, integer_array, require
from .planes import BINARY, Planes


@dataclass(frozen=True, eq=False)
class Weights:
    """Binary or ternary weights of one layer.

    Parameters
    ----------
    sign : uint8 (outputs, *fan_in), 1 for +1 and 0 for -1
    active : uint8 of the same shape, 0 for a ternary zero; ``None`` for binary weights
    """

    sign: np.ndarray
    active: np.ndarray | None = None

    def __post_init__(self):
        sign = bit_array(self.sign, "sign")
        require(2 <= sign.ndim <= 4, f"weights have 2 to 4 axes, not shape {sign.shape}")
        require(sign.size <= MAX_SYNAPSES, f"{sign.size} synapses in one layer")
        if self.active is not None:
            active = bit_array(self.active, "active")
            require(active.shape == sign.shape, f"active {active.shape} but sign {sign.shape}")
            object.__setattr__(self, "active", active)
            # One spelling of a zero weight, so that equal networks have equal bytes.
            sign = frozen(sign & active, np.uint8)
        object.__setattr__(self, "sign", sign)

    @property
    def ternary(self) -> bool:
        """Whether weights may be zero."""
        return self.active is not None

    @property
    def outputs(self) -> int:
        """Neurons, channels or classes."""
        return self.sign.shape[0]

    @property
    def fan_in(self) -> int:
        """Synapses of one neuron, zero weights included."""
        return math.prod(self.sign.shape[1:])

    @property
    def bits(self) -> int:
        """Memory bits: one a synapse, two when ternary."""
        return self.sign.size * (2 if self.ternary else 1)

    def signed(self) -> np.ndarray:
        """The weights as int8 -1, 0 and +1."""
        signed = 2 * self.sign.astype(np.int8) - 1
        return signed if self.active is None else signed * self.active.astype(np.int8)


@dataclass(frozen=True)
class Input:
    """The network's input: a vector (n,), a signal (C, L) or an image (C, H, W)."""

    shape: tuple[int, ...]
    planes: Planes = BINARY

    def __post_init__(self):
        object.__setattr__(self, "shape", tuple(self.shape))
        require(
            1 <= len(self.shape) <= 3 and all(isinstance(n, int) and n > 0 for n in self.shape),
            f"Input shape must be one to three positive integers, not {self.shape!r}",
        )
        require(math.prod(self.shape) <= MAX_SYNAPSES, f"Input shape {self.shape} is too large")


@dataclass(frozen=True, eq=False)
class Dense:
    """Fully connected layer: bits (n,) or planes of n pixels to bits (outputs,).

    ``thresholds`` is int (variants, 1, outputs): a vector for each variant of the planes.
    """

    weights: Weights
    thresholds: np.ndarray

    def __post_init__(self):
        object.__setattr__(self, "thresholds", integer_array(self.thresholds, "thresholds", 3))


class Fill(StrEnum):
    """What a tap outside the image reads."""

    MINUS = "minus"  # -1: logic 0 on every plane
    PLUS = "plus"  # +1: logic 1 on every plane
    ABSENT = "absent"  # does not count, so T depends on the border class


@dataclass(frozen=True, eq=False)
class Conv:
    """Convolution over one or two spatial axes: (C, *size) to bits (outputs, *size').

    Parameters
    ----------
    weights : (outputs, C, *kernel)
    thresholds : int (variants, classes, outputs); one class unless taps can be absent, see
        :meth:`border_classes`
    stride, padding : per spatial axis; the padding is the same at both ends
    """

    weights: Weights
    thresholds: np.ndarray
    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0)
    fill: Fill = Fill.MINUS

    def __post_init__(self):
        axes = self.weights.sign.ndim - 2
        require(axes in (1, 2), f"Convolution weights have 3 or 4 axes, not {axes + 2}")
        for name, least in (("stride", 1), ("padding", 0)):
            values = tuple(getattr(self, name))
            require(
                len(values) == axes and all(isinstance(v, int) and v >= least for v in values),
                f"{name} must be {axes} integers of at least {least}, not {values!r}",
            )
            object.__setattr__(self, name, values)
        require(
            all(p < k for p, k in zip(self.padding, self.kernel, strict=True)),
            f"padding {self.padding} must be smaller than the kernel {self.kernel}",
        )
        object.__setattr__(self, "fill", Fill(self.fill))
        object.__setattr__(self, "thresholds", integer_array(self.thresholds, "thresholds", 3))

    @property
    def kernel(self) -> tuple[int, ...]:
        """Kernel size per spatial axis."""
        return self.weights.sign.shape[2:]

    def output_size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Spatial size of the output for an input of ``size``."""
        return windows_along(size, self.kernel, self.stride, self.padding)

    def present_taps(self, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Which taps lie inside the image, for each border class, see :func:`present_taps`."""
        return present_taps(size, self.kernel, self.stride, self.padding, self.fill)

    def present_inputs(self, size: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """The same for the inputs of a window, see :func:`present_inputs`."""
        return present_inputs(self.weights.sign.shape[1], *self.present_taps(size))

    def border_classes(self, size: tuple[int, ...]) -> int:
        """How many sets of present taps occur for an input of ``size``, at no cost of memory."""
        if self.fill is not Fill.ABSENT:
            return 1
        axes = zip(size, self.kernel, self.stride, self.padding, strict=True)
        return math.prod(len(_present_along(*axis)[0]) for axis in axes)


def windows_along(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
) -> tuple[int, ...]:
    """Windows along each axis; a partial last one is dropped, as in PyTorch."""
    axes = zip(size, kernel, stride, padding, strict=True)
    return tuple((n + 2 * p - k) // s + 1 for n, k, s, p in axes)


def present_inputs(
    channels: int, taps: np.ndarray, classes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What :func:`present_taps` returns, for a window's inputs in PyTorch's order: bool (classes,
    channels * taps), and the class of each position, int (positions,)."""
    every = np.repeat(taps.reshape(len(taps), 1, -1), channels, axis=1)
    return every.reshape(len(taps), -1), classes.reshape(-1)


def present_taps(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    fill: Fill,
) -> tuple[np.ndarray, np.ndarray]:
    """Which taps of a window lie inside the image, for each border class.

    Returns the taps, bool (classes, *kernel), and the class of each output position, int
    (*output size). Classes are numbered in the order in which positions first meet them, row by
    row: all of an axis's classes for each of the axis before. Without absent taps there is one
    class, in which all count.
    """
    axes = zip(size, kernel, stride, padding, strict=True)
    if fill is not Fill.ABSENT:
        outputs = windows_along(size, kernel, stride, padding)
        return np.ones((1, *kernel), dtype=bool), np.zeros(outputs, dtype=np.int64)
    # Tap sets of a position are products of those of its axes, and so are the classes.
    taps, classes = np.ones((1,), dtype=bool), np.zeros((), dtype=np.int64)
    for n, k, s, p in axes:
        ends, position = _present_along(n, k, s, p)
        along = (np.arange(k) >= ends[:, :1]) & (np.arange(k) < ends[:, 1:])
        shape = (len(taps) * len(along), *taps.shape[1:], k)
        one = along.reshape(1, len(along), *(1,) * (taps.ndim - 1), k)
        taps = (taps[:, None, ..., None] & one).reshape(shape)
        classes = classes[..., None] * len(along) + position
    return taps, classes


def _present_along(
    size: int, kernel: int, stride: int, padding: int
) -> tuple[np.ndarray, np.ndarray]:
    """The different ranges of taps inside the image along an axis, int (ranges, 2), first and last
    + 1, in the order in which windows first have them, and which of them each window has."""
    (windows,) = windows_along((size,), (kernel,), (stride,), (padding,))
    start = np.arange(windows) * stride - padding
    ends = np.stack([np.maximum(-start, 0), np.minimum(size - start, kernel)], axis=1)
    _, first, which = np.unique(ends, axis=0, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return ends[np.sort(first)], rank[which.reshape(-1)]


@dataclass(frozen=True, eq=False)
class MaxPool:
    """Max-pooling of bits. A channel whose batch-norm had a negative scale was inverted by its
    threshold, so its maximum is the AND of the bits: ``conjunction`` is 1 there, uint8 (C,)."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    conjunction: np.ndarray

    def __post_init__(self):
        for name in ("kernel", "stride"):
            values = tuple(getattr(self, name))
            require(
                1 <= len(values) <= 2 and all(isinstance(v, int) and v > 0 for v in values),
                f"{name} must be one or two positive integers, not {values!r}",
            )
            object.__setattr__(self, name, values)
        require(len(self.kernel) == len(self.stride), "kernel and stride differ in length")
        modes = bit_array(self.conjunction, "conjunction")
        require(modes.ndim == 1, f"conjunction must be bits (C,), not {modes.shape}")
        object.__setattr__(self, "conjunction", modes)

    def output_size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Spatial size of the output."""
        return windows_along(size, self.kernel, self.stride, (0,) * len(size))


@dataclass(frozen=True)
class Flatten:
    """(C, *size) to a vector in PyTorch's order."""


@dataclass(frozen=True, eq=False)
class Head:
    """Output layer: score_c = signed sum_c + offset_c, label = the lowest index of the maximum.

    The signed sum is over -1/+1 (and 0) products, weighted by plane: ``2p - n`` for binary weights
    and one plane. ``offsets`` is int (variants, classes).
    """

    weights: Weights
    offsets: np.ndarray

    def __post_init__(self):
        object.__setattr__(self, "offsets", integer_array(self.offsets, "offsets", 2))


Node = Input | Dense | Conv | MaxPool | Flatten | Head
