# SPDX-License-Identifier: BSD-2-Clause
"""Networks of binary layers, on latent weights or on devices."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import nn

from ..generators import mix
from ..layers import BinaryLinear, BinaryWeights, Pixels, Sign
from .devices.memory import LearningDevice, Memory


def normed_mlp(
    sizes: tuple[int, ...],
    pixels: Pixels,
    seed: int,
    *,
    init: float = 0.05,
    affine: bool = True,
    running: bool = True,
) -> nn.Sequential:
    """Binary layers of ``sizes``, each followed by batch-norm, with signs between them.

    This is the network of the metaplasticity paper: no biases, latent weights uniform within
    ``+-init``. Its last batch-norm has a scale for each class, so it is for studies; a network for
    hardware ends in a ``ScoreHead``, as :func:`twincell.model.layers.mlp` makes it.

    Parameters
    ----------
    affine : whether batch-norm learns scales and shifts
    running : whether it keeps running statistics; without, tests use those of the test batch
    """
    if len(sizes) < 2:
        raise ValueError(f"A network needs inputs and outputs, not sizes {sizes!r}")
    layers: list[nn.Module] = [pixels]
    with seeded(seed):
        for inputs, outputs in pairwise(sizes):
            norm = nn.BatchNorm1d(outputs, affine=affine, track_running_stats=running)
            layers += [BinaryLinear(inputs, outputs, init=init), norm, Sign()]
    return nn.Sequential(*layers[:-1])


def real_mlp(sizes: tuple[int, ...], pixels: Pixels, seed: int) -> nn.Sequential:
    """The full-precision control: real weights without biases, batch-norm, and ReLU between layers.

    Its initial weights are torch's.
    """
    if len(sizes) < 2:
        raise ValueError(f"A network needs inputs and outputs, not sizes {sizes!r}")
    layers: list[nn.Module] = [pixels]
    with seeded(seed):
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draws torch's random numbers from ``seed``, and leaves its own generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mix(seed) >> 1)
        yield


def binary_layers(network: nn.Module) -> list[BinaryWeights]:
    """The binary layers of a network in order, dense ones and convolutions; raises ``ValueError``
    when there are none."""
    layers = [module for module in network.modules() if isinstance(module, BinaryWeights)]
    if not layers:
        raise ValueError("The network has no binary layers")
    return layers


def give_memories(network: nn.Module, device: LearningDevice, seed: int, *, start: int = 0) -> None:
    """Puts the weights of each binary layer on devices, as its module ``memory``.

    The layer's ``latent`` then holds the signs of its pairs and nothing else. All state of the
    devices is in ``network.state_dict()``. Raises ``ValueError`` for a ternary layer: a pair has
    two signs.

    Parameters
    ----------
    start : random pulses of each synapse at most before the signs are read, see
        :meth:`Memory.randomize`; fresh pairs without
    """
    for index, layer in enumerate(binary_layers(network)):
        if layer.ternary:
            raise ValueError(f"Binary layer {index} is ternary, its devices only have a sign")
        memory = device.memory(tuple(layer.latent.shape), _memory_seed(seed, index))
        if start:
            memory.randomize(start)
        layer.add_module("memory", memory)
        with torch.no_grad():
            layer.latent.copy_(memory.weights())


def check_memories(network: nn.Module, device: LearningDevice, seed: int) -> None:
    """Raises ``ValueError`` where the memories are not those of :func:`give_memories`."""
    for index, layer in enumerate(binary_layers(network)):
        memory = layer.memory
        if (device, _memory_seed(seed, index)) != (memory.device, memory.seed):
            raise ValueError(
                f"Layer {index} is on other devices already: {memory.device}, seed "
                f"{memory.seed}; leave device and seed out to train these"
            )


def _memory_seed(seed: int, index: int) -> int:
    return mix(seed, index)


def memories(network: nn.Module) -> dict[str, Memory]:
    """The memories of a network by the name of their layer."""
    suffix = ".memory"
    named = ((name.removesuffix(suffix), module) for name, module in network.named_modules())
    return {name: module for name, module in named if isinstance(module, Memory)}
