# SPDX-License-Identifier: BSD-2-Clause
"""Optimizers of binary weights: pulses on devices, and metaplastic Adam.

Both are Adam with another last step. ``m`` and ``v`` are the moments of the gradient with respect
to the *binary* weight (straight-through), t the number of steps.
"""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor, nn
from torch.optim import Optimizer

from ..layers import BinaryWeights
from .devices.memory import LearningDevice, Memory
from .networks import binary_layers, check_memories, give_memories, memories


class _Adam(Optimizer):
    """The moments, and plain Adam for the numbers that are not weights."""

    def __init__(self, groups: list[dict[str, Any]], defaults: dict[str, Any]):
        betas, eps = defaults["betas"], defaults["eps"]
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas must be from 0 to below 1, not {betas!r}")
        if not eps > 0:
            raise ValueError(f"eps must be positive, not {eps!r}")
        super().__init__(groups, defaults)

    def _arrays(self, values: Tensor, gradient: Tensor) -> tuple[int, list[np.ndarray]]:
        """The number of this step; ``gradient`` and both moments, flat."""
        state = self.state[values]
        if not state:
            state["step"] = 0
            state["exp_avg"], state["exp_avg_sq"] = (torch.zeros_like(values) for _ in "mv")
        state["step"] += 1
        kept = gradient.contiguous(), state["exp_avg"], state["exp_avg_sq"]
        return state["step"], [each.view(-1).numpy() for each in kept]

    def _corrected(self, values: Tensor, gradient: Tensor, group: dict) -> Tensor:
        """Adam's step ``-lr m^ / (sqrt(v^) + eps)`` with corrected moments m^ and v^."""
        step, (new, m, v) = self._arrays(values, gradient)
        first, second = (1 - beta**step for beta in group["betas"])
        change = torch.empty_like(values)
        numbers = _numbers(change, group, group["lr"] / first, 1 / math.sqrt(second))
        _fill_steps(new, m, v, numbers, change.view(-1).numpy())
        return change


def _numbers(values: Tensor, group: dict, rate: float, scale: float) -> tuple[np.floating, ...]:
    """What :func:`_normalized` takes, in the type of ``values``: wider numbers would make all
    arithmetic wider."""
    kind = values.new_empty(()).numpy().dtype.type
    first, second = group["betas"]
    return tuple(map(kind, (first, 1 - first, second, 1 - second, rate, scale, group["eps"])))


@njit(inline="always", error_model="numpy")
def _normalized(gradient, index, m, v, numbers):
    """Both moments after ``gradient``, and the step ``-rate m / (scale sqrt(v) + eps)``."""
    first, new_first, second, new_second, rate, scale, eps = numbers
    m[index] = first * m[index] + new_first * gradient
    v[index] = second * v[index] + new_second * (gradient * gradient)
    return -rate * m[index] / (math.sqrt(v[index]) * scale + eps)


@njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def _fill_steps(gradient, m, v, numbers, steps):
    for index in range(len(steps)):
        steps[index] = _normalized(gradient[index], index, m, v, numbers)


@njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def _move_gated(gradient, m, v, numbers, decay, tanh, values):
    """Moves ``values``; steps towards zero are shortened by ``1 - tanh^2``."""
    for index in range(len(values)):
        value = values[index]
        step = _normalized(gradient[index] + decay * value, index, m, v, numbers)
        back = ((value > 0) & (m[index] > 0)) | ((value < 0) & (m[index] < 0))
        values[index] += step - tanh[index] * tanh[index] * step if back else step


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
    start : random pulses of each synapse at most before that, see
        :func:`~.networks.give_memories`; devices that had theirs, in an earlier task, get no others
    lr : pulses per normalized step
    reprogram : when above 0, a synapse whose sign has just changed is SET, both devices, and gets
        this many pulses towards its new sign. (The source has one, commented out.) Signs that
        telegraph noise turns while these pulses are given stay as they are.

    Raises ``ValueError`` for a network without memories and device, for one whose memories are of
    another device, and for a start of devices that had none. Warns of a layer whose weights are all
    equal: no gradient could part them.
    """

    def __init__(
        self,
        network: nn.Module,
        device: LearningDevice | None = None,
        seed: int = 0,
        *,
        start: int = 0,
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
        if start and any(not memory.start_pulses for memory in memories(network).values()):
            raise ValueError("The layers have memories: their start is Memory.randomize(pulses)")
        if not all(hasattr(layer, "memory") for layer in layers):
            if device is None:
                raise ValueError("The network's layers have no memories; a device is needed")
            give_memories(network, device, seed, start=start)
        self.memories: list[Memory] = [layer.memory for layer in layers]
        if device is not None:
            check_memories(network, device, seed)
        for index, memory in enumerate(self.memories):
            _check_weights(index, memory.weights())
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
        step, (new, m, v) = self._arrays(values, gradient)
        first, second = (1 - beta**step for beta in group["betas"])
        numbers = _numbers(values, group, group["lr"] * math.sqrt(second) / first, 1.0)
        gated = values.dim() > 1 and group["meta"]
        tanh = values.mul(group["meta"]).tanh_() if gated else torch.zeros_like(values)
        decay = type(numbers[0])(group["decay"])
        tanh, moved = (each.detach().view(-1).numpy() for each in (tanh, values))
        _move_gated(new, m, v, numbers, decay, tanh, moved)


def metaplastic(
    network: nn.Module, meta: float | Sequence[float], **options: Any
) -> MetaplasticAdam:
    """Metaplastic Adam of a network, with one ``meta`` or one for each binary layer.

    In a network without binary layers the matrices of its dense layers are consolidated. Raises
    ``ValueError`` for weights on devices, which only pulses move.
    """
    if on_devices := memories(network):
        raise ValueError(f"Layer {min(on_devices)} is on devices: PulseAdam trains it")
    weights = [each.latent for each in network.modules() if isinstance(each, BinaryWeights)]
    weights = weights or [each.weight for each in network.modules() if isinstance(each, nn.Linear)]
    metas = [meta] * len(weights) if isinstance(meta, int | float) else list(meta)
    if len(metas) != len(weights):
        raise ValueError(f"{len(metas)} values of meta for {len(weights)} layers")
    groups = [{"params": [w], "meta": each} for w, each in zip(weights, metas, strict=True)]
    if rest := others(network, weights):
        groups.append({"params": rest, "meta": 0.0})
    return MetaplasticAdam(groups, **options)


def _check_weights(index: int, weights: Tensor) -> None:
    if weights.numel() > 1 and not weights.std():
        warnings.warn(
            f"All weights of layer {index} are equal, and so are their gradients: devices need "
            "random pulses first, such as start=20",
            stacklevel=3,
        )


def others(network: nn.Module, weights: list[nn.Parameter]) -> list[nn.Parameter]:
    """The network's parameters that are not among ``weights``."""
    taken = {id(each) for each in weights}
    return [each for each in network.parameters() if id(each) not in taken]


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be a positive number, not {value!r}")
