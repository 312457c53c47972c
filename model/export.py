# SPDX-License-Identifier: BSD-2-Clause
"""Export: a trained torch network becomes a ``Graph`` of integers, decided in exact arithmetic.

Batch-norm and sign become integer thresholds, and a neuron fires on equality (``sign(0) = +1``).
The network in eval mode and its graph differ only where float rounding decides a neuron that lies
on its threshold; :func:`differences` counts that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor, nn

from .graph import Graph, sum_range
from .layers import BinaryLinear, Pixels, ScoreHead, Sign
from .nodes import Dense, Flatten, Head, Input, Node, Weights
from .planes import BINARY, FixedPoint, Planes, Stochastic
from .presentations import hardware_rows
from .reference import Reference
from .store import digest


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

    The chain is ``Pixels``, any number of ``BinaryLinear, BatchNorm1d, Sign``, then ``ScoreHead``;
    ``nn.Flatten`` may stand anywhere before the first layer. ``stochastic`` are the planes that
    show the pixels, with a single vector of thresholds; by default they are bits, or fixed point.
    The batch-norm statistics should be of inputs that are shown in the same way.

    Raises :class:`ExportError` for anything else, and ``GraphError`` when the layers do not fit
    each other.
    """
    nodes: list[Node] = []
    reading = None
    rest = list(model)
    while rest:
        match rest:
            case [Pixels() as pixels, *after] if reading is None:
                reading = _Reading.of(pixels, stochastic)
                planes = reading.planes
            case [nn.Flatten(start_dim=1, end_dim=-1), *after]:
                nodes.append(Flatten())
            case [BinaryLinear() as linear, nn.BatchNorm1d() as norm, Sign(), *after] if reading:
                nodes.append(_dense(linear, norm, reading))
                reading = _Reading(BINARY)
            case [ScoreHead() as head] if reading:
                nodes.append(_head(head, reading))
                after = []
            case _:
                raise ExportError(
                    f"Module {len(model) - len(rest)} ({rest[0]}) has no place here; a network is "
                    "Pixels, then BinaryLinear, BatchNorm1d, Sign for each layer, then ScoreHead"
                )
        rest = after
    return Graph((Input(tuple(input_shape), planes), *nodes), name)


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
    norms, outputs = _batch_norms(norm), len(weights)
    if len(norms) != outputs:
        raise ExportError(f"Batch-norm of {len(norms)} features follows {outputs} neurons")
    stored = Weights(weights > 0, weights != 0 if linear.ternary else None)
    least, most = sum_range(stored, sum(reading.planes.weights()))
    signs, thresholds = stored.sign.copy(), np.empty((1, 1, outputs), dtype=np.int64)
    for neuron, total in enumerate(weights.sum(axis=1)):

        def value(count: int, total: int = int(total)) -> Fraction:
            # Binary weights count agreeing bits p, and the signed sum is 2p - most.
            signed = count if linear.ternary else 2 * count - most
            return reading.slope * signed + reading.intercept * total

        threshold, inverted = batch_norm_threshold(norms[neuron], least, most, value)
        thresholds[0, 0, neuron] = threshold
        signs[neuron] ^= inverted
    return Dense(Weights(signs, stored.active), thresholds)


def _head(head: ScoreHead, reading: _Reading) -> Head:
    if (reading.slope, reading.intercept) != (1, 0):
        raise ExportError("A ScoreHead reads bits, or pixels of low = -high = 1 - 2^bits")
    weights = _integers(head.weights())
    active = weights != 0 if head.ternary else None
    return Head(Weights(weights > 0, active), _integers(head.offsets())[None])


def _batch_norms(norm: nn.BatchNorm1d) -> list[BatchNorm]:
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
