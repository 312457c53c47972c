# SPDX-License-Identifier: BSD-2-Clause
"""What keeps the weights of earlier tasks: elastic weights, synaptic intelligence, nothing.

A consolidation adds the gradient of a penalty to that of the loss of later tasks. The weights W of
the binary layers are what it compares, so its gradient reaches the latent weights straight through;
batch-norm is left out.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..generators import mix
from ..layers import BinaryConv, BinaryLinear, ScoreHead
from .networks import binary_layers

_AT_ONCE = 500  # images of the Fisher information


class Consolidation:
    """No consolidation, and what the others refine."""

    def check(self, network: nn.Module) -> None:
        """Called before the first task; raises ``ValueError`` for a network that cannot have it."""

    def clear(self) -> None:
        """Forgets all tasks."""

    def add_gradient(self, network: nn.Module) -> None:
        """Adds the penalty's gradient to those of the latent weights, which have one."""

    def before_step(self, network: nn.Module) -> None:
        """Called when the gradients are those of the task's loss alone, and before the step."""

    def after_step(self, network: nn.Module) -> None:
        """Called after the optimizer's step."""

    def end_task(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        """Called after the last epoch of a task, with its training set."""

    def state_dict(self) -> dict[str, list[Tensor]]:
        """All that a later run needs to continue."""
        return {}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        """The inverse of :meth:`state_dict`."""

    def __repr__(self) -> str:
        options = (
            (name, value)
            for name, value in vars(self).items()
            if isinstance(value, int | float) and not name.startswith("_")
        )
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in options)})"


class _Quadratic(Consolidation):
    """Penalty ``scale strength * sum over past anchors of importance (W - W*)^2``.

    The anchors are summed up: with I the sum of importances and J that of importance times W*, the
    gradient is ``2 scale strength (I W - J)``.
    """

    scale = 1.0

    def __init__(self, strength: float):
        if not strength >= 0:
            raise ValueError(f"strength must be at least 0, not {strength!r}")
        self.strength = strength
        self.importance: list[Tensor] = []
        self.pull: list[Tensor] = []

    def check(self, network: nn.Module) -> None:
        binary_layers(network)

    def clear(self) -> None:
        self.importance, self.pull = [], []

    def _anchor(self, importance: list[Tensor], weights: list[Tensor]) -> None:
        """Adds one task's importances around its weights."""
        if not self.importance:
            for kept in (self.importance, self.pull):
                kept += [torch.zeros_like(each) for each in importance]
        for index, (each, weight) in enumerate(zip(importance, weights, strict=True)):
            self.importance[index] += each
            self.pull[index] += each * weight

    @torch.no_grad()
    def add_gradient(self, network: nn.Module) -> None:
        if not self.importance:
            return
        force = 2 * self.scale * self.strength
        layers = binary_layers(network)
        for layer, importance, pull in zip(layers, self.importance, self.pull, strict=True):
            assert layer.latent.grad is not None
            layer.latent.grad.addcmul_(importance, layer.weights(), value=force)
            layer.latent.grad.sub_(pull, alpha=force)

    def state_dict(self):
        return {"importance": list(self.importance), "pull": list(self.pull)}

    def load_state_dict(self, state):
        for name, values in state.items():
            setattr(self, name, [each.clone() for each in values])


class ElasticWeights(_Quadratic):
    """Elastic weight consolidation: ``strength / 2 * sum F (W - W*)^2`` over all past tasks.

    F is the empirical Fisher information: the mean squared gradient of the loss of single images
    with their labels, at the end of a task. W* are the binary weights then. Strength 5e3 and 5,000
    images are [CODE: Laborieux-Axel/SynapticMetaplasticityBNN].

    Parameters
    ----------
    samples : training images for the Fisher information, drawn at random; at most all
    shuffled : random consolidation, the control: each layer's F in random order
    seed : of the draws
    """

    scale = 0.5

    def __init__(
        self, strength: float = 5e3, samples: int = 5000, *, shuffled: bool = False, seed: int = 0
    ):
        super().__init__(strength)
        if samples < 1:
            raise ValueError(f"samples must be at least 1, not {samples!r}")
        self.samples, self.shuffled, self.seed = samples, shuffled, seed
        self._tasks = 0

    def check(self, network: nn.Module) -> None:
        super().check(network)
        _check_statistics(network)

    def clear(self) -> None:
        super().clear()
        self._tasks = 0

    def end_task(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        draws = torch.Generator().manual_seed(mix(self.seed, *b"fisher", self._tasks) >> 1)
        picks = torch.randperm(len(images), generator=draws)[: self.samples]
        fisher = fisher_information(network, images[picks], labels[picks])
        if self.shuffled:
            fisher = [
                each.view(-1)[torch.randperm(each.numel(), generator=draws)].view_as(each)
                for each in fisher
            ]
        self._tasks += 1
        self._anchor(fisher, [layer.weights().detach() for layer in binary_layers(network)])

    def state_dict(self):
        return super().state_dict() | {"tasks": [torch.tensor(self._tasks)]}

    def load_state_dict(self, state):
        self._tasks = int(state["tasks"][0])
        super().load_state_dict({name: state[name] for name in state if name != "tasks"})


def fisher_information(network: nn.Module, images: Tensor, labels: Tensor) -> list[Tensor]:
    """Mean squared gradient of each binary weight, over images taken one by one.

    The network is in evaluation mode, its gradients are cleared. Batch-norm needs running
    statistics here: one image has none.
    """
    _check_statistics(network)
    layers, training = binary_layers(network), network.training
    found = [torch.zeros_like(layer.latent) for layer in layers]
    hooks = [
        layer.register_forward_hook(
            _convolved_squares(total) if isinstance(layer, BinaryConv) else _squares(total)
        )
        for layer, total in zip(layers, found, strict=True)
    ]
    network.eval()
    try:
        for batch, its_labels in zip(images.split(_AT_ONCE), labels.split(_AT_ONCE), strict=True):
            logits = network(batch)
            functional.cross_entropy(logits, its_labels.long(), reduction="sum").backward()
    finally:
        for hook in hooks:
            hook.remove()
    network.zero_grad()
    network.train(training)
    for total in found:
        total /= len(images)
    return found


def _check_statistics(network: nn.Module) -> None:
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not all(norm.track_running_stats for norm in norms):
        raise ValueError("The Fisher information of single images needs running statistics")


def _squares(total: Tensor) -> Callable[[BinaryLinear, tuple[Tensor, ...], Tensor], None]:
    """A hook that adds to ``total`` the squared gradients of a layer's weights, image by image.

    An image's gradient is an outer product, that of the sums times the inputs, and its square the
    product of their squares.
    """

    def hook(layer: BinaryLinear, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        squared = inputs[0].detach() ** 2
        scale = layer.log_scale.detach().exp() if isinstance(layer, ScoreHead) else 1.0

        def add(gradient: Tensor) -> None:
            total.addmm_(((scale * gradient) ** 2).T, squared)

        output.register_hook(add)

    return hook


def _convolved_squares(
    total: Tensor,
) -> Callable[[BinaryConv, tuple[Tensor, ...], Tensor], None]:
    """The same of a convolution, where an image's gradient is a sum of such products over all
    places of the kernel."""

    def hook(layer: BinaryConv, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen = layer.padded(inputs[0].detach())
        for axis, (size, stride) in enumerate(zip(layer.kernel, layer.stride, strict=True)):
            seen = seen.unfold(2 + axis, size, stride)
        images, channels = seen.shape[:2]
        taps = seen.reshape(images, channels, -1, math.prod(layer.kernel))

        def add(gradient: Tensor) -> None:
            each = torch.einsum("nop,ncpk->nock", gradient.flatten(2), taps)
            total.add_((each**2).sum(dim=0).view_as(total))

        output.register_hook(add)

    return hook


class SynapticIntelligence(_Quadratic):
    """Importance from the path: ``omega = -sum gradient * change``, over a task's steps.

    The penalty is ``strength * sum Omega (W - W*)^2`` with ``Omega`` the sum over past tasks of
    ``max(omega, 0) / (D^2 + damping)``, D the task's whole change. (F. Zenke et al., ICML 2017;
    damping 0.1 [CODE: Laborieux-Axel/SynapticMetaplasticityBNN].)

    Parameters
    ----------
    binary : whether the path is that of the binary weights; else that of the latent ones
    """

    def __init__(self, strength: float, *, damping: float = 0.1, binary: bool = False):
        super().__init__(strength)
        if not damping > 0:
            raise ValueError(f"damping must be positive, not {damping!r}")
        self.damping, self.binary = damping, binary
        self.start: list[Tensor] = []
        self.path: list[Tensor] = []
        self._before: list[tuple[Tensor, Tensor]] = []

    def clear(self) -> None:
        super().clear()
        self.start, self.path = [], []

    def _weights(self, network: nn.Module) -> list[Tensor]:
        layers = binary_layers(network)
        return [each.stored() if self.binary else each.latent.detach().clone() for each in layers]

    def before_step(self, network: nn.Module) -> None:
        weights = self._weights(network)
        if not self.start:
            self.start = weights
            self.path = [torch.zeros_like(each) for each in weights]
        self._before = [
            (torch.zeros_like(weight) if layer.latent.grad is None else layer.latent.grad.clone(),
             weight)
            for layer, weight in zip(binary_layers(network), weights, strict=True)
        ]  # fmt: skip

    def after_step(self, network: nn.Module) -> None:
        for path, (gradient, before), now in zip(
            self.path, self._before, self._weights(network), strict=True
        ):
            path -= gradient * (now - before)

    def end_task(self, network: nn.Module, images: Tensor, labels: Tensor) -> None:
        now = self._weights(network)
        importance = [
            path.clamp(min=0) / ((end - start) ** 2 + self.damping)
            for path, start, end in zip(self.path, self.start, now, strict=True)
        ]
        self._anchor(importance, [layer.weights().detach() for layer in binary_layers(network)])
        self.start, self.path = [], []

    def state_dict(self):
        return super().state_dict() | {"start": list(self.start), "path": list(self.path)}
