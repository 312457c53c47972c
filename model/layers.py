# SPDX-License-Identifier: BSD-2-Clause
"""Torch layers that train networks for binary hardware.

A network is an ``nn.Sequential`` of :class:`Pixels`, then ``BinaryLinear`` or ``BinaryConv``,
torch's own batch-norm and :class:`Sign` for each hidden layer, then :class:`ScoreHead`.
``twincell.model.export`` turns it into a ``Graph``.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numba import njit
from torch import Tensor, nn
from torch.nn import functional

from .errors import LayerErrors
from .nodes import Fill
from .recipe import Convolution

TERNARY_THRESHOLD = 0.05  # latent weights up to this size are a ternary zero
_BEYOND_ONE = float(np.nextafter(np.float32(1), np.float32(2)))


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hard: Tensor, soft: Tensor) -> Tensor:
        return hard.view_as(hard)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[None, Tensor]:
        return None, gradient


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """The value of ``hard`` with the gradient of ``soft``, which has the same shape."""
    return _StraightThrough.apply(hard.detach(), soft)


def sign(values: Tensor) -> Tensor:
    """-1 and +1 in the type of ``values``, float32 or float64, with ``sign(0) = +1``."""
    values = values.detach().contiguous()
    signs = torch.empty_like(values)
    # One pass: torch's own operations take two at least, and three times as long.
    _fill_signs(values.view(-1).numpy(), signs.view(-1).numpy())
    return signs


@njit(cache=True, nogil=True, boundscheck=False)
def _fill_signs(values, signs):
    for index in range(len(values)):
        signs[index] = 1 if values[index] >= 0 else -1


class _Signs(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return sign(values)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        # torch's kernel passes it inside of its limits only, and |x| = 1 belongs to ours.
        (values,) = ctx.saved_tensors
        beyond = math.nextafter(1.0, 2.0) if values.dtype is torch.float64 else _BEYOND_ONE
        return torch.ops.aten.hardtanh_backward(gradient, values, -beyond, beyond)


class Sign(nn.Module):
    """-1 or +1, with ``sign(0) = +1``; the gradient passes where ``|x| <= 1``."""

    def forward(self, values: Tensor) -> Tensor:
        """Values of any shape to signs of that shape."""
        return _Signs.apply(values)


class Pixels(nn.Module):
    """Unsigned integers of ``bits`` bits to real numbers, linearly from ``low`` to ``high``.

    Must come first. The export folds this range into the thresholds of the next layer. Bits are
    pixels of one bit, so that the default range gives -1 and +1.
    """

    def __init__(self, bits: int, low: float = -1.0, high: float = 1.0):
        super().__init__()
        if not 1 <= bits <= 16:
            raise ValueError(f"Pixels have 1 to 16 bits, not {bits!r}")
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"Pixels need finite low < high, not {low!r} and {high!r}")
        self.bits, self.low, self.high = bits, low, high

    def forward(self, pixels: Tensor) -> Tensor:
        """Integers of any shape to float32 of that shape."""
        scale = (self.high - self.low) / ((1 << self.bits) - 1)
        return pixels.to(torch.float32) * scale + self.low

    def extra_repr(self) -> str:
        return f"bits={self.bits}, low={self.low}, high={self.high}"


class BinaryWeights(nn.Module):
    """Binary weights of any shape, outputs first: the signs of real *latent* weights.

    With ``ternary`` a weight is 0 where its latent is at most ``TERNARY_THRESHOLD`` in size. The
    gradient reaches the latent weights unchanged. They start uniform within ``+-init``.

    With ``errors`` the layer computes with its weights as they are sensed, while the gradient goes
    to the latent weights of those that are stored.
    """

    errors: LayerErrors | None = None

    def __init__(self, shape: tuple[int, ...], *, ternary: bool, init: float):
        super().__init__()
        self.ternary = ternary
        self.latent = nn.Parameter(torch.empty(shape).uniform_(-init, init))

    def stored(self) -> Tensor:
        """The weights that the hardware stores: -1, (0) and +1, float, in the shape of the latent
        ones."""
        latent = self.latent.detach()
        return sign(latent) * (latent.abs() > TERNARY_THRESHOLD) if self.ternary else sign(latent)

    def weights(self) -> Tensor:
        """The weights that the layer computes with, with a gradient: those stored, or sensed."""
        hard = self.stored()
        if self.errors is not None:
            synapses = torch.from_numpy(self.errors.synapses.copy())
            hard.view(-1)[synapses] = torch.tensor(self.errors.states, dtype=hard.dtype)
        return straight_through(hard, self.latent)


class BinaryLinear(BinaryWeights):
    """Fully connected layer of :class:`BinaryWeights` (outputs, inputs); no bias."""

    def __init__(self, inputs: int, outputs: int, *, ternary: bool = False, init: float = 0.1):
        super().__init__((outputs, inputs), ternary=ternary, init=init)

    def forward(self, values: Tensor) -> Tensor:
        """(batch, inputs) to sums (batch, outputs)."""
        return functional.linear(values, self.weights())

    def extra_repr(self) -> str:
        outputs, inputs = self.latent.shape
        return f"inputs={inputs}, outputs={outputs}, ternary={self.ternary}"


class BinaryConv(BinaryWeights):
    """Convolution over one or two axes with :class:`BinaryWeights` (outputs, channels, *kernel); no
    bias.

    Parameters
    ----------
    kernel : along each axis, and so are ``stride`` and ``padding``, by default 1 and 0
    fill : what taps outside the image read: -1, +1, or 0 where they are absent, as in torch
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        kernel: tuple[int, ...],
        *,
        stride: tuple[int, ...] | None = None,
        padding: tuple[int, ...] | None = None,
        fill: Fill = Fill.ABSENT,
        ternary: bool = False,
        init: float = 0.1,
    ):
        super().__init__((outputs, channels, *kernel), ternary=ternary, init=init)
        self.kernel, self.fill = kernel, Fill(fill)
        self.stride = stride or (1,) * len(kernel)
        self.padding = padding or (0,) * len(kernel)

    def padded(self, values: Tensor) -> Tensor:
        """(batch, channels, *size) with what taps outside the image read."""
        outside = {Fill.MINUS: -1.0, Fill.PLUS: 1.0, Fill.ABSENT: 0.0}[self.fill]
        # functional.pad counts axes from the last.
        margins = [p for pad in reversed(self.padding) for p in (pad, pad)]
        return functional.pad(values, margins, value=outside)

    def forward(self, values: Tensor) -> Tensor:
        """(batch, channels, *size) to sums (batch, outputs, *size)."""
        convolve = functional.conv1d if len(self.kernel) == 1 else functional.conv2d
        return convolve(self.padded(values), self.weights(), None, self.stride)

    def extra_repr(self) -> str:
        outputs, channels = self.latent.shape[:2]
        return (
            f"channels={channels}, outputs={outputs}, kernel={self.kernel}, stride={self.stride}, "
            f"padding={self.padding}, fill={self.fill}, ternary={self.ternary}"
        )


class ScoreHead(BinaryLinear):
    """Output layer: integer scores, sum plus a per-class integer offset, times one scale.

    The scale is positive and the same for all classes, so the argmax of the logits is that of the
    integer scores, ties included. ``offset`` is learned in units of ``sqrt(inputs)``, the spread of
    a random sum, so that an optimizer's step suits it; the score gets its rounded product.
    """

    def __init__(self, inputs: int, classes: int, *, ternary: bool = False, init: float = 0.1):
        super().__init__(inputs, classes, ternary=ternary, init=init)
        self.offset = nn.Parameter(torch.zeros(classes))
        self.log_scale = nn.Parameter(torch.tensor(-0.5 * math.log(inputs)))

    def offsets(self) -> Tensor:
        """The integers that are added to the sums, float (classes,)."""
        real = self.offset * math.sqrt(self.latent.shape[1])
        return straight_through(real.round(), real)

    def scores(self, values: Tensor) -> Tensor:
        """(batch, inputs) to integer scores (batch, classes), as floats."""
        return functional.linear(values, self.weights(), self.offsets())

    def forward(self, values: Tensor) -> Tensor:
        """(batch, inputs) to logits (batch, classes)."""
        return self.scores(values) * self.log_scale.exp()


def convnet(
    shape: tuple[int, int, int],
    convolutions: Sequence[Convolution],
    hidden: tuple[int, ...],
    classes: int,
    pixels: Pixels,
    *,
    ternary: bool = False,
    init: float = 0.1,
) -> nn.Sequential:
    """A network of convolutions, then of fully connected layers, on ``pixels`` (batch, *shape).

    Raises ``ValueError`` where an image has become smaller than a kernel or a square of pooling.
    """
    layers: list[nn.Module] = [pixels]
    channels, *sides = shape
    for number, each in enumerate(convolutions):
        form = {"stride": (each.stride,) * 2, "padding": (each.padding,) * 2, "fill": each.fill}
        kernel = (each.kernel, each.kernel)
        layers.append(
            BinaryConv(channels, each.channels, kernel, ternary=ternary, init=init, **form)
        )
        if each.pool > 1:
            layers.append(nn.MaxPool2d(each.pool))
        layers += [nn.BatchNorm2d(each.channels), Sign()]
        before, channels, sides = sides, each.channels, [each.side(side) for side in sides]
        if min(sides) < 1:
            size = " x ".join(map(str, before))
            raise ValueError(f"convolutions.{number} leaves nothing of images of {size}")
    inputs = channels * math.prod(sides)
    dense = mlp(inputs, hidden, classes, pixels, ternary=ternary, init=init)
    return nn.Sequential(*layers, nn.Flatten(), *dense[1:])


def mlp(
    inputs: int,
    hidden: tuple[int, ...],
    classes: int,
    pixels: Pixels,
    *,
    ternary: bool = False,
    init: float = 0.1,
) -> nn.Sequential:
    """A network of fully connected layers on ``pixels`` (batch, inputs), with logits for output."""
    layers: list[nn.Module] = [pixels]
    for outputs in hidden:
        layers += [
            BinaryLinear(inputs, outputs, ternary=ternary, init=init),
            nn.BatchNorm1d(outputs),
            Sign(),
        ]
        inputs = outputs
    return nn.Sequential(*layers, ScoreHead(inputs, classes, ternary=ternary, init=init))
