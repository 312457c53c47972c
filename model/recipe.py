# SPDX-License-Identifier: BSD-2-Clause
"""``Recipe``: everything that decides a training run, read from a TOML file."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .data import Name
from .nodes import Fill, windows_along
from .planes import Generator, Stochastic

Width = Annotated[int, Field(ge=1, le=1 << 16)]
Presentations = Annotated[int, Field(ge=1, le=1024)]


class RecipeError(ValueError):
    """A recipe that cannot be read; the message lists every bad field with its path."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Planes(_Section):
    """How pixels are shown to the network.

    ``fixed-point`` and ``stochastic`` pixels run from ``low`` to ``high`` during training;
    ``binary`` pixels are -1 and +1, the latter from ``threshold`` on. Only ``stochastic`` planes
    have the fields behind it:

    Parameters
    ----------
    presentations : the numbers of presentations that the network supports, the usual one first
    accumulate : where presentations are added up: in the ``first`` layer or at the ``output``
    generator, seed : of the hardware's random numbers
    shown : what training shows: ``grey`` images as they are, or random bits, fresh in each step, of
        so many presentations; by default of the first supported number
    """

    planes: Literal["fixed-point", "binary", "stochastic"] = "fixed-point"
    low: float = -1.0
    high: float = 1.0
    threshold: int | None = Field(default=None, ge=1)
    presentations: tuple[Presentations, ...] | None = Field(
        default=None, min_length=1, max_length=64, strict=False
    )
    accumulate: Literal["first", "output"] | None = None
    generator: Annotated[Generator, Field(strict=False)] | None = None
    seed: int | None = Field(default=None, ge=0, lt=1 << 63)
    shown: Literal["grey"] | Presentations | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Planes":
        if (self.threshold is None) == (self.planes == "binary"):
            raise ValueError("threshold belongs to binary planes, which need it")
        if self.planes == "binary" and (self.low, self.high) != (-1.0, 1.0):
            raise ValueError("low and high belong to fixed-point and stochastic planes")
        if self.low >= self.high:
            raise ValueError(f"low = {self.low} must be less than high = {self.high}")
        if (self.presentations is None) == (self.planes == "stochastic"):
            raise ValueError("presentations belong to stochastic planes, which need them")
        if len(set(self.presentations or ())) < len(self.presentations or ()):
            raise ValueError(f"presentations = {list(self.presentations or ())} repeat a number")
        for name in ("accumulate", "generator", "seed", "shown"):
            if getattr(self, name) is not None and self.planes != "stochastic":
                raise ValueError(f"{name} belongs to stochastic planes")
        return self

    def stochastic(self, bits: int) -> Stochastic | None:
        """The planes of pixels of ``bits`` bits, ``None`` where they are not stochastic."""
        if self.presentations is None:
            return None
        given = {"seed": self.seed, "generator": self.generator, "accumulate": self.accumulate}
        given = {name: value for name, value in given.items() if value is not None}
        return Stochastic(bits, self.presentations, **given)


class Optimization(_Section):
    """Adam on cross entropy.

    Parameters
    ----------
    epochs, batch : passes over the training set, images per step
    learning_rate, schedule : its peak, and what becomes of it step by step; ``cosine`` ends at 0
    warmup : epochs in which the rate first rises linearly
    label_smoothing : probability mass that the targets spread over all classes
    latent_init, latent_limit : latent weights start within the one and are clipped to the other
    validation : training images held out to measure the accuracy of each epoch
    """

    epochs: int = Field(ge=1, le=10_000)
    batch: int = Field(ge=2, le=1 << 16)
    learning_rate: float = Field(gt=0, le=1)
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: float = Field(default=0.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    latent_init: float = Field(default=0.1, gt=0)
    latent_limit: float = Field(default=1.0, gt=0)
    validation: int = Field(default=0, ge=0)


class Augmentation(_Section):
    """Random distortions of the training images, drawn afresh each time, uniform within +- these.

    Parameters
    ----------
    shift : pixels, each axis
    rotation : degrees
    scale, shear : fractions
    elastic : pixels, at each knot of a coarse grid that is interpolated
    mirror : probability with which left and right change places
    """

    shift: float = Field(default=0.0, ge=0)
    rotation: float = Field(default=0.0, ge=0, le=180)
    scale: float = Field(default=0.0, ge=0, lt=1)
    shear: float = Field(default=0.0, ge=0, lt=1)
    elastic: float = Field(default=0.0, ge=0)
    mirror: float = Field(default=0.0, ge=0, le=1)


class Errors(_Section):
    """Errors of the weight memory to train with: each mini-batch meets a memory of its own.

    Read errors are not trained with: drawn at every read they would cost more than the training.

    Parameters
    ----------
    persistent : mean error rate of the weights, as :meth:`~twincell.model.errors.ErrorMap.draw`
        takes it
    maps : error maps with which the trained network is measured
    """

    persistent: float = Field(gt=0, le=0.5)
    maps: int = Field(default=20, ge=1, le=10_000)


class Convolution(_Section):
    """A convolution over the rows and columns of an image, before the fully connected layers.

    Parameters
    ----------
    channels, kernel, stride, padding : outputs, and along both axes; ``kernel`` by ``kernel`` taps
    fill : what taps outside the image read: ``minus`` for -1, ``plus`` for +1, or ``absent``
    pool : side of the squares of which the greatest sum is taken; 1 for none
    """

    channels: Width
    kernel: int = Field(default=3, ge=1, le=15)
    stride: int = Field(default=1, ge=1, le=15)
    padding: int = Field(default=0, ge=0, le=14)
    fill: Annotated[Fill, Field(strict=False)] = Fill.ABSENT
    pool: int = Field(default=1, ge=1, le=15)

    @model_validator(mode="after")
    def _consistent(self) -> "Convolution":
        if self.padding >= self.kernel:
            raise ValueError(f"padding = {self.padding} must be less than kernel = {self.kernel}")
        return self

    def side(self, side: int) -> int:
        """Rows, or columns, of the output for so many of the input; below 1 where that is not
        enough."""
        (found,) = windows_along((side,), (self.kernel,), (self.stride,), (self.padding,))
        return found // self.pool


class Recipe(_Section):
    """A network, its data and its training: convolutions, if any, then fully connected layers."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=64)
    data: Name
    seed: int = Field(ge=0, lt=1 << 63)
    convolutions: tuple[Convolution, ...] = Field(default=(), max_length=16, strict=False)
    hidden: tuple[Width, ...] = Field(max_length=16, strict=False)
    weights: Literal["binary", "ternary"] = "binary"
    input: Planes = Planes()
    training: Optimization
    augmentation: Augmentation = Augmentation()
    errors: Errors | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        if not self.hidden and not self.convolutions:
            raise ValueError("a network needs hidden layers, or convolutions")
        if self.convolutions and self.input.planes == "stochastic":
            raise ValueError("stochastic planes belong to networks without convolutions")
        ends = {Fill.MINUS: ("low", self.input.low, -1), Fill.PLUS: ("high", self.input.high, 1)}
        for first in self.convolutions[:1]:
            name, found, wanted = ends.get(first.fill, ("", 0, 0))
            if first.padding and found != wanted:
                raise ValueError(
                    f"convolutions.0 reads {wanted} outside of images, which must be input.{name}, "
                    f"not {found}"
                )
        return self

    @classmethod
    def read(cls, path: str | Path) -> "Recipe":
        """The recipe in a TOML file; raises :class:`RecipeError`."""
        try:
            fields = tomllib.loads(Path(path).read_text(encoding="utf-8"))
            return cls.model_validate(fields)
        except ValidationError as error:
            lines = [f"  {_where(e['loc'])}: {e['msg']}" for e in error.errors()]
            raise RecipeError("\n".join([f"{path} is not a recipe:", *lines])) from None
        except OSError as error:
            raise RecipeError(f"{path} cannot be read: {error.strerror}") from None
        except ValueError as error:  # not UTF-8, or not TOML
            raise RecipeError(f"{path} is not TOML: {error}") from None


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location)) or "recipe"
