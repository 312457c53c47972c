# SPDX-License-Identifier: BSD-2-Clause
"""Random distortions of training images, a batch at a time."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from .recipe import Augmentation

_KNOTS = 5  # of the elastic grid, along each axis


def distort(images: Tensor, options: Augmentation, draws: torch.Generator) -> Tensor:
    """Distorts square float images (batch, side, side), each by its own random map.

    What comes in from outside is 0. Values are interpolated, then rounded to integers again, so
    that the network trains on pixels that the hardware can see.
    """
    if options.mirror:
        turned = torch.rand(len(images), 1, 1, generator=draws) < options.mirror
        images = torch.where(turned, images.flip(-1), images)
    if options == Augmentation(mirror=options.mirror):
        return images
    batch, height, width = images.shape
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
    sampled = functional.grid_sample(images[:, None], grid, align_corners=False)
    return sampled[:, 0].round()


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
