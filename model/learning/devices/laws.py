# SPDX-License-Identifier: BSD-2-Clause
"""Laws of device parameters, truncated, and drawn by their inverse distribution function.

``u ~ U(F(low), F(high))``, then ``F^-1(u)``. A law also has a ``nominal`` value, which all devices
get when the spread is switched off: the mean of the law before truncation, or the median of a
lognormal.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Law(ABC):
    """A law truncated to ``low`` to ``high``."""

    low: float
    high: float

    def __post_init__(self):
        if not self.low < self.high:
            raise ValueError(f"A law needs low < high, not {self.low!r} and {self.high!r}")
        below, above = self.ends()
        if not below < above:
            raise ValueError(f"{self!r} has no probability from {self.low:g} to {self.high:g}")

    @property
    @abstractmethod
    def nominal(self) -> float: ...

    @abstractmethod
    def cdf(self, values: Tensor) -> Tensor:
        """The distribution function before truncation, float64."""

    @abstractmethod
    def quantile(self, probability: Tensor) -> Tensor:
        """Inverse of :meth:`cdf`."""

    def ends(self) -> tuple[float, float]:
        """The untruncated probabilities below ``low`` and below ``high``."""
        below, above = self.cdf(torch.tensor([self.low, self.high], dtype=torch.float64)).tolist()
        return below, above

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Values of ``shape``, float32 and within the truncation."""
        below, above = self.ends()
        u = torch.rand(shape, generator=generator, dtype=torch.float64)
        values = self.quantile(below + (above - below) * u)
        return values.clamp(self.low, self.high).to(torch.float32)


@dataclass(frozen=True)
class Exponential(Law):
    """``loc`` plus an exponential of mean ``scale``."""

    scale: float
    loc: float = 0.0

    @property
    def nominal(self) -> float:
        return self.loc + self.scale

    def cdf(self, values: Tensor) -> Tensor:
        return -torch.expm1(-((values - self.loc) / self.scale).clamp(min=0))

    def quantile(self, probability: Tensor) -> Tensor:
        return self.loc - self.scale * torch.log1p(-probability)


@dataclass(frozen=True)
class Normal(Law):
    """A normal law of ``mean`` and standard deviation ``sd``."""

    mean: float
    sd: float

    @property
    def nominal(self) -> float:
        return self.mean

    def cdf(self, values: Tensor) -> Tensor:
        return torch.special.ndtr((values - self.mean) / self.sd)

    def quantile(self, probability: Tensor) -> Tensor:
        return self.mean + self.sd * torch.special.ndtri(probability)


@dataclass(frozen=True)
class LogNormal(Law):
    """``median`` times the exponential of a normal of standard deviation ``sigma``."""

    median: float
    sigma: float

    def __post_init__(self):
        if self.low < 0:
            raise ValueError(f"A lognormal lies above 0, not above {self.low!r}")
        super().__post_init__()

    @property
    def nominal(self) -> float:
        return self.median

    def cdf(self, values: Tensor) -> Tensor:
        return torch.special.ndtr((values.log() - math.log(self.median)) / self.sigma)

    def quantile(self, probability: Tensor) -> Tensor:
        return self.median * torch.exp(self.sigma * torch.special.ndtri(probability))
