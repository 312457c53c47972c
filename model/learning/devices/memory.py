# SPDX-License-Identifier: BSD-2-Clause
"""The interface of a learning memory: pairs of devices whose resistance grows by pulses.

A synapse is a pair of devices on the bit lines BL and BLb, its weight ``sign(R_BL - R_BLb)``.
Positive updates pulse BL, negative ones BLb, so each pulse pushes the weight to the update's sign.
(The macro's weight is +1 with the *low* resistance on BL: there the two lines change their names.)
A :class:`LearningDevice` describes a device; its :meth:`~LearningDevice.memory` draws the devices
of a layer, all in tensors.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from ...devices.knobs import Knobs, knob
from ...generators import mix
from ...layers import sign

BL, BLB = 0, 1  # the first axis of all tensors of devices


@dataclass(frozen=True, kw_only=True)
class LearningDevice(Knobs, ABC):
    """A device and how updates become pulses: ``n = round(clamp(update, -limit, limit))``.

    Parameters
    ----------
    limit : most pulses of one update
    limited : whether updates are clamped to it
    rounded : whether pulses are whole; without it a device gets fractions of a pulse
    """

    IMPERFECTIONS: ClassVar[tuple[str, ...]] = ("limited", "rounded")

    limit: float = knob(1, 1e6, "pulses", 14)
    limited: bool = True
    rounded: bool = True

    def __post_init__(self):
        super().__post_init__()
        if self.rounded and self.limit != int(self.limit):
            raise ValueError(f"limit is {self.limit:g} pulses, no whole number; pulses are rounded")
        for name in self.IMPERFECTIONS:
            if not isinstance(value := getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False, not {value!r}")

    @abstractmethod
    def memory(self, shape: tuple[int, ...], seed: int) -> "Memory":
        """Devices for synapses of ``shape``, drawn with ``seed``."""

    def without(self, *imperfections: str) -> Self:
        """The same device with some imperfections switched off."""
        return replace(self, **dict.fromkeys(self._known(imperfections), False))

    def only(self, *imperfections: str) -> Self:
        """The same device with all imperfections off but these."""
        kept = self._known(imperfections)
        return replace(self, **{name: name in kept for name in self.IMPERFECTIONS})

    def _known(self, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in self.IMPERFECTIONS]:
            known = ", ".join(self.IMPERFECTIONS)
            raise ValueError(f"{unknown[0]!r} is not an imperfection: {known}")
        return names

    def pulses(self, update: Tensor) -> Tensor:
        """Signed pulses of a real update, float64: above 0 for BL, below 0 for BLb."""
        pulses = update.to(torch.float64, copy=True)
        if self.limited:
            pulses.clamp_(-self.limit, self.limit)
        return pulses.round_() if self.rounded else pulses


class Memory(nn.Module, ABC):
    """The devices of one layer, with all their state in buffers.

    Every source of chance has a generator of its own, derived from ``seed``, so that switching one
    imperfection off leaves the draws of the others alone, as long as the pulses are the same: noise
    is drawn as pulses come. The generators are part of
    ``state_dict()``: a restored memory goes on bit for bit.

    Members
    -------
    ln_ohm : ln of the resistances in ohm as they were last evaluated, float64 (2, *shape)
    pulses : pulses of each device in its life, float64 (2, *shape)
    start_pulses : those of them, over all devices, that :meth:`randomize` gave, float64
    sets : SET operations of each synapse, int64 (shape)
    updates, silent, clamped : int64, updates other than 0; those of them that gave no pulse (the
        dead band of the rounding); those cut to the pulse limit
    """

    STREAMS: ClassVar[tuple[str, ...]] = ()  # sources of chance besides a random start

    ln_ohm: Tensor
    pulses: Tensor
    start_pulses: Tensor
    sets: Tensor
    updates: Tensor
    silent: Tensor
    clamped: Tensor

    def __init__(self, device: LearningDevice, shape: tuple[int, ...], seed: int):
        super().__init__()
        if not shape or any(size < 1 for size in shape):
            raise ValueError(f"Synapses need a shape of positive sizes, not {tuple(shape)!r}")
        self.device, self.shape, self.seed = device, tuple(shape), seed
        self.streams = {name: self._generator(name) for name in ("start", *self.STREAMS)}
        self.register_buffer("ln_ohm", torch.zeros(2, *shape, dtype=torch.float64))
        self.register_buffer("pulses", torch.zeros(2, *shape, dtype=torch.float64))
        self.register_buffer("start_pulses", torch.zeros((), dtype=torch.float64))
        self.register_buffer("sets", torch.zeros(shape, dtype=torch.int64))
        for name in ("updates", "silent", "clamped"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))

    def _generator(self, name: str) -> torch.Generator:
        """A generator for the draws called ``name``."""
        seed = mix(self.seed, *name.encode())
        return torch.Generator().manual_seed(seed >> 1)

    @abstractmethod
    def _pulse(self, counts: Tensor) -> None:
        """Gives each device its pulses, float64 (2, *shape), and evaluates ``ln_ohm``."""

    @abstractmethod
    def _set(self, synapses: Tensor) -> None:
        """Brings both devices of the chosen synapses, bool (shape), back to LRS."""

    def ohm(self) -> Tensor:
        """Resistances, float64 (2, *shape)."""
        return self.ln_ohm.exp()

    def latent(self) -> Tensor:
        """``ln(R_BL / R_BLb)``, float64 (shape): what a latent weight would be."""
        return self.ln_ohm[BL] - self.ln_ohm[BLB]

    def weights(self) -> Tensor:
        """``sign(R_BL - R_BLb)``, -1 or +1 with ``sign(0) = +1``, float32 (shape)."""
        return sign(self.latent()).to(torch.float32)

    def update(self, update: Tensor) -> Tensor:
        """Turns a real update (shape) into pulses, gives them, and returns them signed, float64."""
        pulses = self.device.pulses(update)
        moved = update.count_nonzero()
        self.updates += moved
        self.silent += moved - pulses.count_nonzero()
        if self.device.limited:
            self.clamped += (update.abs() > self.device.limit).count_nonzero()
        self.pulse(pulses)
        return pulses

    def pulse(self, pulses: Tensor) -> None:
        """Gives signed pulses (shape) as they are: positive ones to BL, negative ones to BLb."""
        if tuple(pulses.shape) != self.shape:
            raise ValueError(f"Pulses of shape {tuple(pulses.shape)} for synapses {self.shape}")
        pulses = pulses.to(torch.float64)
        if not pulses.sum().isfinite():  # one pass where a look at each takes several
            raise ValueError("Pulses must be finite numbers")
        counts = torch.empty(2, *self.shape, dtype=torch.float64)
        torch.clamp(pulses, min=0, out=counts[BL])
        torch.sub(counts[BL], pulses, out=counts[BLB])
        self.pulses += counts
        self._pulse(counts)

    def set(self, synapses: Tensor) -> None:
        """SET of both devices of the chosen synapses, bool (shape); the wear stays counted."""
        if synapses.dtype is not torch.bool or tuple(synapses.shape) != self.shape:
            given = f"{synapses.dtype} of shape {tuple(synapses.shape)}"
            raise ValueError(f"Synapses to SET are torch.bool of shape {self.shape}, not {given}")
        self.sets += synapses
        self._set(synapses)

    def randomize(self, most: int) -> None:
        """Gives each synapse a random number of pulses, uniform from -most to +most.

        Devices without any spread all start with +1, from where no gradient could part them.
        """
        if isinstance(most, bool) or not isinstance(most, int) or most < 0:
            raise ValueError(f"Random pulses are 0 or a positive integer at most, not {most!r}")
        draws = torch.randint(-most, most + 1, self.shape, generator=self.streams["start"])
        self.start_pulses += draws.abs().sum()
        self.pulse(draws)

    def extra_repr(self) -> str:
        return f"{self.device}, shape={self.shape}, seed={self.seed}"

    def get_extra_state(self) -> Tensor:
        """The generators' states."""
        return torch.stack([each.get_state() for each in self.streams.values()])

    def set_extra_state(self, state: Tensor) -> None:
        for each, content in zip(self.streams.values(), state, strict=True):
            each.set_state(content.clone())
