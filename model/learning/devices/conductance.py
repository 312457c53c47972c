# SPDX-License-Identifier: BSD-2-Clause
"""A device whose conductance falls nonlinearly from its largest to its smallest value.

The law is [CODE], from an older model in the repository that also holds the weak-RESET one
(Atreya95/Learning-with-memory-device-imperfections, ``ConvNet/utils.py``, not used there):

    dG = -D / beta * ln(1 + beta dt / D * exp(-beta (Gmax - G) / D)),   D = Gmax - Gmin
    dt = n C / N,   C = D (exp(beta) - 1) / beta,   N = 200 pulses

With ``x = (Gmax - G) / D`` this is ``exp(beta x) -> exp(beta x) + n (exp(beta) - 1) / N`` [D]: N
pulses lead from Gmax to Gmin, the first ones with the largest steps. There an update was cut to
whole pulses, here it is rounded as for all devices [own]; G stops at Gmin [own].
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...devices.knobs import knob
from .memory import LearningDevice, Memory


@dataclass(frozen=True, kw_only=True)
class NonlinearConductance(LearningDevice):
    """A device of nonlinear conductance; conductances in siemens.

    Parameters
    ----------
    range_spread : whether Gmax, Gmin and beta differ from device to device
    initial_spread : whether the conductance after SET does, redrawn with each SET
    cycle_noise : noise of the pulses
    largest, smallest : Gmax and Gmin are these plus a spread times the size of a normal number
    largest_spread, smallest_spread : the spreads
    initial : after SET, minus ``initial_sigma`` times the size of a normal number
    beta, beta_sigma : the nonlinearity and its spread; at least 0.05. The source names no spread
    pulses_to_end : N
    noise : standard deviation of one pulse's step, as a fraction of ``D / N``; n pulses have
        ``sqrt(n)`` times as much. The source has the term without a value: [own], 0 by default
    """

    IMPERFECTIONS: ClassVar[tuple[str, ...]] = (
        "range_spread", "initial_spread", "cycle_noise", "limited", "rounded",
    )  # fmt: skip

    range_spread: bool = True
    initial_spread: bool = True
    cycle_noise: bool = True
    largest: float = knob(1e-9, 1, "S", 1.3e-4)
    largest_spread: float = knob(0, 1, "S", 1e-6)
    smallest: float = knob(1e-12, 1, "S", 1.3e-5)
    smallest_spread: float = knob(0, 1, "S", 1e-5)
    initial: float = knob(1e-9, 1, "S", 1.3e-4)
    initial_sigma: float = knob(0, 1, "S", 1e-6)
    beta: float = knob(0.05, 20, "", 2)
    beta_sigma: float = knob(0, 20, "", 0)
    pulses_to_end: float = knob(1, 1e9, "pulses", 200)
    noise: float = knob(0, 100, "", 0)

    def __post_init__(self):
        super().__post_init__()
        if not self.smallest < self.initial <= self.largest:
            raise ValueError(
                f"Conductances need smallest < initial <= largest, not {self.smallest:g}, "
                f"{self.initial:g} and {self.largest:g} S"
            )

    def memory(self, shape: tuple[int, ...], seed: int) -> "ConductanceMemory":
        return ConductanceMemory(self, shape, seed)


class ConductanceMemory(Memory):
    """The devices of a layer: ``siemens``, between ``smallest`` and ``largest``, float64."""

    STREAMS = ("noise", "sets")

    device: NonlinearConductance
    siemens: Tensor
    largest: Tensor
    smallest: Tensor
    beta: Tensor

    def __init__(self, device: NonlinearConductance, shape: tuple[int, ...], seed: int):
        super().__init__(device, shape, seed)
        spread = float(device.range_spread)
        largest = device.largest + spread * device.largest_spread * self._normal("largest").abs()
        smallest = device.smallest + spread * device.smallest_spread * self._normal("least").abs()
        beta = (device.beta + spread * device.beta_sigma * self._normal("beta")).abs()
        self.register_buffer("largest", largest)
        # A far tail of the law must not turn the range around.
        self.register_buffer("smallest", smallest.clamp(max=0.9 * device.initial))
        self.register_buffer("beta", beta.clamp(min=0.05))
        self.register_buffer("siemens", torch.zeros_like(largest))
        self._set(torch.ones(shape, dtype=torch.bool))

    def _normal(self, name: str) -> Tensor:
        return torch.randn(2, *self.shape, generator=self._generator(name), dtype=torch.float64)

    def _evaluate(self) -> None:
        self.siemens.copy_(self.siemens.clamp(self.smallest, self.largest))
        self.ln_ohm.copy_(-self.siemens.log())

    def _pulse(self, counts: Tensor) -> None:
        where, end = counts > 0, self.device.pulses_to_end  # the others stay to the last bit
        counts, largest, beta = counts[where], self.largest[where], self.beta[where]
        span = largest - self.smallest[where]
        x = (largest - self.siemens[where]) / span
        passed = (beta * x).exp() + counts * torch.expm1(beta) / end
        siemens = largest - span * passed.log() / beta
        if self.device.cycle_noise and self.device.noise:
            draws = torch.randn(len(beta), generator=self.streams["noise"], dtype=torch.float64)
            siemens += draws * self.device.noise * span / end * counts.sqrt()
        self.siemens[where] = siemens
        self._evaluate()

    def _set(self, synapses: Tensor) -> None:
        chosen = synapses.expand(2, *self.shape)
        count, sigma = int(chosen.sum()), self.device.initial_sigma
        draws = torch.randn(count, generator=self.streams["sets"], dtype=torch.float64)
        below = draws.abs() * (sigma if self.device.initial_spread else 0.0)
        self.siemens[chosen] = self.device.initial - below
        self._evaluate()
