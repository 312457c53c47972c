# SPDX-License-Identifier: BSD-2-Clause
"""Export: a trained torch network becomes a ``Graph`` of integers, decided in exact arithmetic.

Batch-norm and sign become integer thresholds, and a neuron fires on equality (``sign(0) = +1``).
The network in eval mode and its graph differ only where float rounding decides a neuron that lies
on its threshold; :func:`differences` counts that.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor, nn

from .graph import Graph
from .layers import BinaryConv, BinaryLinear, BinaryWeights, Pixels, ScoreHead, Sign
from .nodes import (
    Conv,
    Dense,
    Fill,
    Flatten,
    Head,
    Input,
    MaxPool,
    Node,
    Weights,
    present_inputs,
    present_taps,
)  # fmt: skip
from .planes import BINARY, FixedPoint, Planes, Stochastic
from .presentations import hardware_rows
from .reference import Reference
from .store import digest

_Norm = nn.BatchNorm1d | nn.BatchNorm2d
_MaxPool = nn.MaxPool1d | nn.MaxPool2d


class ExportError(ValueError):
    """A torch network that has no exact integer form; the message names the module."""


@dataclass(frozen=True)
class BatchNorm:
    """Batch-norm of one neuron, ``gamma (x - mean) / sqrt(variance) + beta``, in exact numbers.

    ``variance`` is positive and includes torch's ``eps``.
    """

    gamma: Fraction
    beta: Fraction
    mean: Fraction
    variance: Fraction

    def __post_init__(self):
        if self.variance <= 0:
            raise ExportError(f"Batch-norm needs a positive variance + eps, not {self.variance}")

    def fires(self, x: Fraction) -> bool:
        """Whether the result is at least 0, decided without a square root."""
        # gamma (x - mean) + beta sqrt(variance) >= 0: the sign of a sum of two terms, whose
        # sizes are compared through their squares when the signs differ.
        left = self.gamma * (x - self.mean)
        if left >= 0 and self.beta >= 0:
            return True
        if left < 0 and self.beta < 0:
            return False
        squares = left * left - self.beta * self.beta * self.variance
        return squares >= 0 if left >= 0 else squares <= 0


def batch_norm_threshold(
    norm: BatchNorm, least: int, most: int, value: Callable[[int], Fraction] = Fraction
) -> tuple[int, bool]:
    """The threshold of one neuron on the integer sum that the hardware counts.

    Parameters
    ----------
    norm : the neuron's batch-norm; sign follows
    least, most : range of the hardware's sum
    value : what batch-norm sees for a sum, an increasing function

    Returns
    -------
    (T, inverted) with ``least <= T <= most + 1``: the neuron fires exactly when ``sum >= T``. When
    ``inverted``, gamma is negative and ``sum`` is that of the inverted weights, which is
    ``least + most`` minus the sum of the original ones.
    """
    inverted = norm.gamma < 0
    low, high = least, most + 1
    while low < high:
        middle = (low + high) // 2
        original = least + most - middle if inverted else middle
        if norm.fires(value(original)):
            high = middle
        else:
            low = middle + 1
    return low, inverted


@dataclass(frozen=True)
class _Reading:
    """How a layer reads its input: as ``slope * x + intercept`` of the planes' -1/+1 sum ``x``."""

    planes: Planes
    slope: Fraction = Fraction(1)
    intercept: Fraction = Fraction(0)

    @classmethod
    def of(cls, pixels: Pixels, stochastic: Stochastic | None) -> "_Reading":
        # A pixel u of b bits is shown as x between -t and +t, t being the planes' total weight, and
        # the network reads low where it is 0 and high where it is 2^b - 1.
        planes = stochastic or (BINARY if pixels.bits == 1 else FixedPoint(pixels.bits))
        if planes.bits != pixels.bits:
            raise ExportError(f"Pixels of {pixels.bits} bits are no planes of {planes.bits} bits")
        if planes.variants != 1:
            raise ExportError("Export one number of presentations at a time, and join the graphs")
        low, high = Fraction(pixels.low), Fraction(pixels.high)
        return cls(planes, (high - low) / (2 * sum(planes.weights())), (high + low) / 2)


def export(
    model: nn.Sequential,
    name: str,
    input_shape: tuple[int, ...],
    stochastic: Stochastic | None = None,
) -> Graph:
    """The graph of ``model`` as it computes in eval mode, for images of ``input_shape``.

    The chain is ``Pixels``, any number of ``BinaryLinear, BatchNorm1d, Sign`` or ``BinaryConv``,
    batch-norm, ``Sign``, then ``ScoreHead``. ``nn.Flatten`` may stand before a linear layer, and
    max-pooling before a convolution's batch-norm or behind its sign. ``stochastic`` are the planes
    that show the pixels, with a single vector of thresholds; by default they are bits, or fixed
    point. The batch-norm statistics should be of inputs that are shown in the same way.

    Raises :class:`ExportError` for anything else, and ``GraphError`` when the layers do not fit
    each other.
    """
    nodes: list[Node] = []
    shape, reading = tuple(input_shape), None
    rest = list(model)
    while rest:
        match rest:
            case [Pixels() as pixels, *after] if reading is None:
                reading = _Reading.of(pixels, stochastic)
                planes = reading.planes
            case [nn.Flatten(start_dim=1, end_dim=-1), *after]:
                nodes.append(Flatten())
                shape = (math.prod(shape),)
            case [BinaryConv() as conv, *behind] if reading:
                pool, norm, after = _behind(behind, len(conv.kernel))
                node, inverted = _conv(conv, norm, shape, reading)
                nodes.append(node)
                shape, reading = (len(inverted), *node.output_size(shape[1:])), _Reading(BINARY)
                if pool is not None:  # the greatest sum fires: one of all, or inverted all of them
                    nodes.append(_pool(pool, inverted))
                    shape = (shape[0], *nodes[-1].output_size(shape[1:]))
            case [nn.MaxPool1d() | nn.MaxPool2d() as pool, *after] if len(shape) > 1:
                nodes.append(_pool(pool, np.zeros(shape[0], dtype=bool)))
                shape = (shape[0], *nodes[-1].output_size(shape[1:]))
            case [BinaryLinear() as linear, nn.BatchNorm1d() as norm, Sign(), *after] if reading:
                nodes.append(_dense(linear, norm, reading))
                shape, reading = (linear.latent.shape[0],), _Reading(BINARY)
            case [ScoreHead() as head] if reading:
                nodes.append(_head(head, reading))
                after = []
            case _:
                raise ExportError(
                    f"Module {len(model) - len(rest)} ({rest[0]}) has no place here; a network is "
                    "Pixels, then BinaryLinear, BatchNorm1d, Sign for each layer, then ScoreHead; "
                    "or BinaryConv, batch-norm, Sign, with or without max-pooling"
                )
        rest = after
    if reading is None:
        raise ExportError("A network begins with Pixels")
    return Graph((Input(tuple(input_shape), planes), *nodes), name)


def weighted_nodes(model: nn.Sequential) -> list[tuple[int, BinaryWeights]]:
    """The layers with weights, each with the index of its node in the exported graph."""
    found, index = [], 0
    for module in model:
        index += isinstance(module, BinaryWeights | nn.Flatten | _MaxPool)
        if isinstance(module, BinaryWeights):
            found.append((index, module))
    return found


def joined(graphs: Sequence[Graph]) -> Graph:
    """One graph that supports the presentations of all ``graphs``, in their order.

    They accumulate in the first layer, and its thresholds are all that may differ between them.
    Raises :class:`ExportError` otherwise.
    """
    first = graphs[0]
    planes = first.input.planes
    if not isinstance(planes, Stochastic) or planes.repeated:
        raise ExportError("Only stochastic inputs that the first layer accumulates can be joined")
    at = next((i for i, node in enumerate(first.nodes) if isinstance(node, Dense)), 0)

    def showing(graph: Graph, planes: Stochastic, thresholds: np.ndarray) -> Graph:
        dense = replace(graph.nodes[at], thresholds=thresholds)
        shown = replace(graph.input, planes=planes)
        return Graph((shown, *graph.nodes[1:at], dense, *graph.nodes[at + 1 :]), graph.name)

    counts, thresholds = [], []
    for graph in graphs:
        own = graph.input.planes.presentations
        alone = replace(graph.input.planes, presentations=planes.presentations)
        if digest(showing(graph, alone, first.nodes[at].thresholds)) != digest(first):
            raise ExportError(f"Networks of {counts} and {own} presentations differ in more")
        counts += own
        thresholds.append(graph.nodes[at].thresholds)
    whole = replace(planes, presentations=tuple(counts))
    return showing(first, whole, np.concatenate(thresholds))


def _dense(linear: BinaryLinear, norm: nn.BatchNorm1d, reading: _Reading) -> Dense:
    weights = _integers(linear.weights())
    present = np.ones((1, weights.shape[1]), dtype=bool)
    signs, active, thresholds, _ = _folded(weights, linear.ternary, norm, reading, present)
    return Dense(Weights(signs, active), thresholds)


def _conv(
    conv: BinaryConv, norm: _Norm, shape: tuple[int, ...], reading: _Reading
) -> tuple[Conv, np.ndarray]:
    """The node, and which of its channels are inverted."""
    weights = _integers(conv.weights())
    form, axes = (conv.stride, conv.padding, conv.fill), len(conv.kernel)
    if len(shape) != 1 + axes:
        raise ExportError(f"A convolution over {axes} axes meets values of shape {shape}")
    outside = {Fill.MINUS: -1, Fill.PLUS: 1}.get(conv.fill)
    ends = reading.slope * sum(reading.planes.weights()) * (outside or 0) + reading.intercept
    if outside is not None and any(conv.padding) and ends != outside:
        name = "low" if outside < 0 else "high"
        raise ExportError(f"Taps that read {outside} need pixels of {name} = {outside}, not {ends}")
    present, _ = present_inputs(shape[0], *present_taps(shape[1:], conv.kernel, *form))
    flat = weights.reshape(len(weights), -1)
    signs, active, thresholds, inverted = _folded(flat, conv.ternary, norm, reading, present)
    active = None if active is None else active.reshape(weights.shape)
    return Conv(Weights(signs.reshape(weights.shape), active), thresholds, *form), inverted


def _folded(
    weights: np.ndarray, ternary: bool, norm: _Norm, reading: _Reading, present: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, np.ndarray]:
    """Batch-norm and sign as thresholds.

    Parameters
    ----------
    weights : -1, 0 and +1 (outputs, inputs)
    present : which inputs count in each border class, bool (classes, inputs)

    Returns the signs that are stored, which of them are active if ternary, the thresholds (1,
    classes, outputs), and whether each output is inverted.
    """
    norms, outputs = _batch_norms(norm), len(weights)
    if len(norms) != outputs:
        raise ExportError(f"Batch-norm of {len(norms)} features follows {outputs} neurons")
    signs, active = weights > 0, weights != 0 if ternary else None
    thresholds = np.empty((1, len(present), outputs), dtype=np.int64)
    inverted = np.zeros(outputs, dtype=bool)
    for border, neuron in np.ndindex(len(present), outputs):
        most = int(present[border].sum()) * sum(reading.planes.weights())
        least, total = (-most if ternary else 0), int(weights[neuron, present[border]].sum())

        def value(count: int, most: int = most, total: int = total) -> Fraction:
            # Binary weights count agreeing bits p, and the signed sum is 2p - most.
            signed = count if ternary else 2 * count - most
            return reading.slope * signed + reading.intercept * total

        found = batch_norm_threshold(norms[neuron], least, most, value)
        thresholds[0, border, neuron], inverted[neuron] = found
    return signs ^ inverted[:, None], active, thresholds, inverted


def _behind(modules: list[nn.Module], axes: int) -> tuple[_MaxPool | None, _Norm, list[nn.Module]]:
    """Max-pooling, if any, and batch-norm behind a convolution, and what follows its sign."""
    pool = None
    if modules and isinstance(modules[0], _MaxPool):
        pool, modules = modules[0], modules[1:]
    match modules:
        case [nn.BatchNorm1d() as norm, Sign(), *after] if axes == 1:
            return pool, norm, after
        case [nn.BatchNorm2d() as norm, Sign(), *after] if axes == 2:
            return pool, norm, after
    found = [type(module).__name__ for module in modules[:2]]
    raise ExportError(
        f"Behind a convolution over {axes} axes come BatchNorm{axes}d and Sign, with max-pooling "
        f"before them if any, not {', '.join(found) or 'nothing'}"
    )


def _pool(pool: _MaxPool, inverted: np.ndarray) -> MaxPool:
    """Max-pooling of bits; of sums whose channel is inverted it is the AND of their bits."""
    axes = 1 if isinstance(pool, nn.MaxPool1d) else 2
    plain = pool.padding in (0, (0,) * axes) and pool.dilation in (1, (1,) * axes)
    if not plain or pool.ceil_mode or pool.return_indices:
        raise ExportError(
            f"{pool} has padding, dilation, ceil_mode or indices, which none has here"
        )
    kernel, stride = (
        each if isinstance(each, tuple) else (each,) * axes
        for each in (pool.kernel_size, pool.stride)
    )
    return MaxPool(kernel, stride, inverted.astype(np.uint8))


def _head(head: ScoreHead, reading: _Reading) -> Head:
    if (reading.slope, reading.intercept) != (1, 0):
        raise ExportError("A ScoreHead reads bits, or pixels of low = -high = 1 - 2^bits")
    weights = _integers(head.weights())
    active = weights != 0 if head.ternary else None
    return Head(Weights(weights > 0, active), _integers(head.offsets())[None])


def _batch_norms(norm: _Norm) -> list[BatchNorm]:
    """The numbers of each neuron, exactly as stored."""
    if norm.running_mean is None or norm.running_var is None:
        raise ExportError("Batch-norm without running statistics depends on the batch")
    gamma = torch.ones(norm.num_features) if norm.weight is None else norm.weight
    beta = torch.zeros(norm.num_features) if norm.bias is None else norm.bias
    columns = [values.tolist() for values in (gamma, beta, norm.running_mean, norm.running_var)]
    if not np.isfinite(columns).all():
        raise ExportError("Batch-norm holds numbers that are not finite")
    return [
        BatchNorm(Fraction(g), Fraction(b), Fraction(m), Fraction(v) + Fraction(norm.eps))
        for g, b, m, v in zip(*columns, strict=True)
    ]


def _integers(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy().astype(np.int64)


@dataclass(frozen=True)
class Differences:
    """How many of ``images`` get other scores as a graph, and how many of them another label."""

    images: int
    scores: int
    labels: int


@torch.no_grad()
def differences(
    model: nn.Sequential, graph: Graph, images: Tensor, presentations: int | None = None
) -> Differences:
    """Compares ``model``, which is put into eval mode, with ``graph`` on integer ``images``
    (batch, *graph.input.shape), in one of the numbers of ``presentations`` that a stochastic input
    supports (the first by default), with the bits that hardware shows."""
    model.eval()
    head = model[-1]
    if not isinstance(head, ScoreHead):
        raise ExportError(f"The last module must be a ScoreHead, not {head}")
    shown, planes = images, graph.input.planes
    if isinstance(planes, Stochastic):
        rows = hardware_rows(planes, images.flatten(1), graph.presentations(presentations))
        shown = rows.unflatten(1, graph.input.shape)
    ours = head.scores(model[:-1](shown)).to(torch.int64)
    if graph.repeated:
        ours = ours.unflatten(0, (len(images), -1)).sum(dim=1)
    theirs = Reference(graph).scores(images, presentations=presentations)
    labels = ours.argmax(dim=1) != theirs.argmax(dim=1)
    scores = (ours != theirs).any(dim=1)
    return Differences(len(ours), int(scores.sum()), int(labels.sum()))
