# SPDX-License-Identifier: BSD-2-Clause
"""An ideal device: every pulse multiplies the resistance by the same factor."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...devices.knobs import knob
from .memory import LearningDevice, Memory


@dataclass(frozen=True, kw_only=True)
class Ideal(LearningDevice):
    """``ln R`` grows by ``step`` with each pulse, fractions included unless ``rounded``.

    Device training on it is training with latent weights ``ln(R_BL / R_BLb)`` that are not clipped.
    Its defaults are the mean slope and, nearly, the initial spread of the weak-RESET device; the
    spread is what makes the first weights random.

    Parameters
    ----------
    initial_spread : whether devices start apart
    initial_ohm : the median start, ohm
    initial_sigma : standard deviation of the start, ln ohm
    step : ln ohm per pulse
    """

    IMPERFECTIONS: ClassVar[tuple[str, ...]] = ("initial_spread", "limited", "rounded")

    limited: bool = False
    rounded: bool = False
    initial_spread: bool = True
    initial_ohm: float = knob(1, 1e9, "ohm", 7000)
    initial_sigma: float = knob(0, 10, "ln ohm", 0.07)
    step: float = knob(1e-12, 1, "ln ohm", 6.9e-4)

    def memory(self, shape: tuple[int, ...], seed: int) -> "IdealMemory":
        return IdealMemory(self, shape, seed)


class IdealMemory(Memory):
    """The ideal devices of a layer; ``initial`` is the ln of their LRS in ohm."""

    device: Ideal
    initial: Tensor
    age: Tensor

    def __init__(self, device: Ideal, shape: tuple[int, ...], seed: int):
        super().__init__(device, shape, seed)
        initial = torch.full((2, *shape), math.log(device.initial_ohm), dtype=torch.float64)
        if device.initial_spread:
            draws = self._generator("initial_ohm")
            normal = torch.randn(2, *shape, generator=draws, dtype=torch.float64)
            initial += device.initial_sigma * normal
        self.register_buffer("initial", initial)
        self.register_buffer("age", torch.zeros_like(initial))
        self._evaluate()

    def _evaluate(self) -> None:
        self.ln_ohm.copy_(self.initial + self.device.step * self.age)

    def _pulse(self, counts: Tensor) -> None:
        self.age += counts
        self._evaluate()

    def _set(self, synapses: Tensor) -> None:
        self.age[synapses.expand(2, *self.shape)] = 0
        self._evaluate()
