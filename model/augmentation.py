# SPDX-License-Identifier: BSD-2-Clause
"""Random distortions of training images, a batch at a time."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from .recipe import Augmentation

_KNOTS = 5  # of the elastic grid, along each axis


def distort(images: Tensor, options: Augmentation, draws: torch.Generator) -> Tensor:
    """Distorts float images (batch, height, width) or (batch, channels, height, width), each by its
    own random map.

    What comes in from outside is 0. Values are interpolated, then rounded to integers again, so
    that the network trains on pixels that the hardware can see.
    """
    if options.mirror:
        turned = torch.rand(len(images), generator=draws) < options.mirror
        turned = turned.reshape(-1, *(1,) * (images.dim() - 1))
        images = torch.where(turned, images.flip(-1), images)
    if options == Augmentation(mirror=options.mirror):
        return images
    batch, *_, height, width = images.shape
    # torch's sampling coordinates run from -1 to +1 over the image, so a pixel is 2 / size.
    pixel = torch.tensor([2.0 / width, 2.0 / height])
    grid = functional.affine_grid(
        _affine(batch, pixel, options, draws), [batch, 1, height, width], align_corners=False
    )
    if options.elastic:
        knots = _uniform((batch, 2, _KNOTS, _KNOTS), options.elastic, draws)
        bend = functional.interpolate(
            knots, (height, width), mode="bicubic", align_corners=True
        ).permute(0, 2, 3, 1)
        grid = grid + bend * pixel
    planes = images.reshape(batch, -1, height, width)
    sampled = functional.grid_sample(planes, grid, align_corners=False)
    return sampled.reshape(images.shape).round()


def _affine(batch: int, pixel: Tensor, options: Augmentation, draws: torch.Generator) -> Tensor:
    """Random affine maps (batch, 2, 3) of sampling coordinates."""
    angle = _uniform((batch,), math.radians(options.rotation), draws)
    scale = 1 + _uniform((batch, 2), options.scale, draws)
    shear = _uniform((batch,), options.shear, draws)
    shift = _uniform((batch, 2), options.shift, draws) * pixel
    cos, sin = angle.cos(), angle.sin()
    x = torch.stack([cos, shear * cos - sin], dim=1) * scale[:, :1]
    y = torch.stack([sin, shear * sin + cos], dim=1) * scale[:, 1:]
    return torch.cat([torch.stack([x, y], dim=1), shift[:, :, None]], dim=2)


def _uniform(shape: tuple[int, ...], limit: float, draws: torch.Generator) -> Tensor:
    return (2 * torch.rand(shape, generator=draws) - 1) * limit
