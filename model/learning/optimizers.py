# SPDX-License-Identifier: BSD-2-Clause
"""Optimizers of binary weights: pulses on devices, and metaplastic Adam.

Both are Adam with another last step. ``m`` and ``v`` are the moments of the gradient with respect
to the *binary* weight (straight-through), t the number of steps.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..layers import BinaryLinear
from .devices.memory import LearningDevice, Memory
from .networks import binary_layers, give_memories


class _Adam(Optimizer):
    """The moments, and plain Adam for the numbers that are not weights."""

    def __init__(self, groups: list[dict[str, Any]], defaults: dict[str, Any]):
        betas, eps = defaults["betas"], defaults["eps"]
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas must be from 0 to below 1, not {betas!r}")
        if not eps > 0:
            raise ValueError(f"eps must be positive, not {eps!r}")
        super().__init__(groups, defaults)

    def _moments(self, values: Tensor, gradient: Tensor, group: dict) -> tuple[Tensor, Tensor, int]:
        """Both moments after this gradient, and the number of steps."""
        state, (first, second) = self.state[values], group["betas"]
        if not state:
            state["step"] = 0
            state["exp_avg"], state["exp_avg_sq"] = (torch.zeros_like(values) for _ in "mv")
        state["step"] += 1
        state["exp_avg"].mul_(first).add_(gradient, alpha=1 - first)
        state["exp_avg_sq"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        return state["exp_avg"], state["exp_avg_sq"], state["step"]

    def _corrected(self, values: Tensor, gradient: Tensor, group: dict) -> Tensor:
        """Adam's step ``-lr m^ / (sqrt(v^) + eps)`` with corrected moments m^ and v^."""
        m, v, step = self._moments(values, gradient, group)
        first, second = (1 - beta**step for beta in group["betas"])
        return -group["lr"] * (m / first) / ((v / second).sqrt() + group["eps"])


class PulseAdam(_Adam):
    """Device training: Adam's step becomes weak RESET pulses on BL or BLb.

        u = -lr m^ / (sqrt(v^) + eps);   n = round(clamp(u, +-limit))
        n > 0: n pulses on BL;   n < 0: |n| pulses on BLb;   W = sign(R_BL - R_BLb)

    The sign is all that the network sees; nothing else is stored besides the moments. Biases,
    batch-norm and the like get plain Adam at ``float_lr``. The rule and 8e-3 are [CODE:
    Atreya95/Learning-with-memory-device-imperfections]; 8 is the default there, and 100 wears
    small networks' devices out.

    Parameters
    ----------
    network : its binary layers become devices of ``device``, drawn with ``seed``, unless they are
    lr : pulses per normalized step
    reprogram : when above 0, a synapse whose sign has just changed is SET, both devices, and gets
        this many pulses towards its new sign. (The source has one, commented out.)
    """

    def __init__(
        self,
        network: nn.Module,
        device: LearningDevice | None = None,
        seed: int = 0,
        *,
        lr: float = 8.0,
        float_lr: float = 8e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        reprogram: int = 0,
    ):
        _positive(lr=lr, float_lr=float_lr)
        if isinstance(reprogram, bool) or not isinstance(reprogram, int) or reprogram < 0:
            raise ValueError(f"reprogram must be a number of pulses from 0, not {reprogram!r}")
        layers = binary_layers(network)
        if not all(hasattr(layer, "memory") for layer in layers):
            if device is None:
                raise ValueError("The network's layers have no memories; a device is needed")
            give_memories(network, device, seed)
        self.memories: list[Memory] = [layer.memory for layer in layers]
        weights = [layer.latent for layer in layers]
        groups = [
            {"params": weights, "lr": lr, "reprogram": reprogram},
            {"params": others(network, weights), "lr": float_lr, "scheduled": False},
        ]
        defaults = {"betas": betas, "eps": eps, "scheduled": True, "reprogram": 0}
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step; parameters without a gradient are left alone."""
        weights, floats = self.param_groups
        for signs, memory in zip(weights["params"], self.memories, strict=True):
            if signs.grad is not None:
                memory.update(self._corrected(signs, signs.grad, weights))
                self._sense(signs, memory, weights["reprogram"])
        for values in floats["params"]:
            if values.grad is not None:
                values += self._corrected(values, values.grad, floats)

    def _sense(self, signs: Tensor, memory: Memory, reprogram: int) -> None:
        """Reads the signs; reprograms the synapses whose sign has changed, if asked to."""
        found = memory.weights()
        if reprogram and (flipped := found != signs).any():
            memory.set(flipped)
            memory.pulse(flipped * found * reprogram)
            found = memory.weights()
        signs.copy_(found)


class MetaplasticAdam(_Adam):
    """Adam in which a weight that has grown resists being pushed back to zero.

    Of a latent weight w, with ``step = lr sqrt(1 - b2^t) / (1 - b1^t)``,

        U = -step m / (sqrt(v) + eps)
        w += f U   if sign(w) m > 0, that is if the step leads towards zero,   else   w += U
        f = 1 - tanh^2(meta |w|)

    ``decay * w`` is added to the gradient before the moments. The gate looks at the momentum, only
    the step is attenuated, ``f`` takes the weight before the step, and weights are never clipped.
    Parameters of up to one axis (batch-norm) get the plain step. [CODE:
    Laborieux-Axel/SynapticMetaplasticityBNN, Nat. Commun. 12:2549, 2021.]

    Parameters
    ----------
    parameters : tensors, or groups of them with options of their own such as ``meta``;
        :func:`metaplastic` makes groups of a network's layers
    """

    def __init__(
        self,
        parameters: Any,
        *,
        lr: float = 0.005,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        decay: float = 0.0,
        meta: float = 0.0,
    ):
        _positive(lr=lr)
        super().__init__(
            parameters, {"lr": lr, "betas": betas, "eps": eps, "decay": decay, "meta": meta}
        )
        for group in self.param_groups:
            for name in ("decay", "meta"):
                if not 0 <= group[name] < math.inf:
                    raise ValueError(f"{name} must be a number from 0, not {group[name]!r}")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step; parameters without a gradient are left alone."""
        for group in self.param_groups:
            for values in group["params"]:
                if values.grad is not None:
                    self._move(values, values.grad, group)

    def _move(self, values: Tensor, gradient: Tensor, group: dict) -> None:
        m, v, step = self._moments(values, gradient + group["decay"] * values, group)
        first, second = (1 - beta**step for beta in group["betas"])
        change = -group["lr"] * math.sqrt(second) / first * m / (v.sqrt() + group["eps"])
        if values.dim() > 1:
            back = values.sign() * m > 0
            change = torch.where(back, consolidation(group["meta"], values) * change, change)
        values += change


def consolidation(meta: float, latent: Tensor) -> Tensor:
    """``f = 1 - tanh^2(meta |w|)``: 1 at zero, falling with the size of the latent weight."""
    return 1 - torch.tanh(meta * latent.abs()) ** 2


def metaplastic(
    network: nn.Module, meta: float | Sequence[float], **options: Any
) -> MetaplasticAdam:
    """Metaplastic Adam of a network, with one ``meta`` or one for each binary layer.

    In a network without binary layers its matrices of real weights are consolidated.
    """
    weights = [each.latent for each in network.modules() if isinstance(each, BinaryLinear)]
    weights = weights or [each.weight for each in network.modules() if isinstance(each, nn.Linear)]
    metas = [meta] * len(weights) if isinstance(meta, int | float) else list(meta)
    if len(metas) != len(weights):
        raise ValueError(f"{len(metas)} values of meta for {len(weights)} layers")
    groups = [{"params": [w], "meta": each} for w, each in zip(weights, metas, strict=True)]
    if rest := others(network, weights):
        groups.append({"params": rest, "meta": 0.0})
    return MetaplasticAdam(groups, **options)


def others(network: nn.Module, weights: list[nn.Parameter]) -> list[nn.Parameter]:
    """The network's parameters that are not among ``weights``."""
    taken = {id(each) for each in weights}
    return [each for each in network.parameters() if id(each) not in taken]


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be a positive number, not {value!r}")
