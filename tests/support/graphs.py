# SPDX-License-Identifier: BSD-2-Clause
"""Random networks and images, and the slow, obvious executor that says what they must compute."""

import itertools

import numpy as np

from tests.support.numbers import obvious_numbers
from twincell.model.graph import Graph, Value, sum_range
from twincell.model.nodes import Conv, Dense, Fill, Flatten, Head, Input, MaxPool, Weights
from twincell.model.planes import (
    BINARY,
    Accumulate,
    Binary,
    FixedPoint,
    Generator,
    Planes,
    Stochastic,
)


def random_weights(rng: np.random.Generator, shape: tuple[int, ...], ternary: bool) -> Weights:
    sign = rng.integers(0, 2, shape)
    return Weights(sign, rng.integers(0, 2, shape) if ternary else None)


def random_thresholds(
    rng: np.random.Generator, weights: Weights, planes: Planes, classes: int = 1
) -> np.ndarray:
    """Thresholds near the middle, where neurons are undecided, with both ends among them."""
    tables = []
    for variant in range(planes.variants):
        least, most = sum_range(weights, sum(planes.weights(variant)))
        middle, spread = (least + most) / 2, (most - least) ** 0.5 + 1
        table = np.rint(rng.normal(middle, spread, (classes, weights.outputs))).astype(int)
        ends = rng.random(table.shape)
        table[ends < 0.05] = least
        table[ends > 0.95] = most + 1
        tables.append(np.clip(table, least, most + 1))
    return np.stack(tables)


def random_dense(
    rng: np.random.Generator, n: int, outputs: int, planes: Planes = BINARY, ternary: bool = False
) -> Dense:
    weights = random_weights(rng, (outputs, n), ternary)
    return Dense(weights, random_thresholds(rng, weights, planes))


def random_head(
    rng: np.random.Generator, n: int, classes: int, planes: Planes = BINARY, ternary: bool = False
) -> Head:
    offsets = rng.integers(-5, 6, (planes.variants, classes))
    return Head(random_weights(rng, (classes, n), ternary), offsets)


def random_planes(rng: np.random.Generator) -> Planes:
    kind = rng.integers(3)
    if kind == 0:
        return Binary()
    if kind == 1:
        return FixedPoint(int(rng.integers(2, 10)))
    return random_stochastic(rng)


def random_stochastic(rng: np.random.Generator, most: int = 6, **given) -> Stochastic:
    """Two numbers of presentations up to ``most``, and what is not given."""
    counts = tuple(int(p) for p in rng.choice(np.arange(1, most + 1), size=2, replace=False))
    chosen = {
        "bits": int(rng.integers(2, 9)),
        "presentations": counts,
        "seed": int(rng.integers(1 << 20)),
        "generator": rng.choice([str(each) for each in Generator]),
        "accumulate": rng.choice([str(each) for each in Accumulate]),
    }
    return Stochastic(**(chosen | given))


def mlp(rng: np.random.Generator, sizes: list[int], planes: Planes, ternary: bool = False) -> Graph:
    """A network of dense layers: sizes are inputs, hidden widths and classes."""
    nodes: list = [Input((sizes[0],), planes)]
    for n, outputs in itertools.pairwise(sizes[:-1]):
        nodes.append(random_dense(rng, n, outputs, planes, ternary))
        planes = Binary()
    nodes.append(random_head(rng, sizes[-2], sizes[-1], planes, ternary))
    return Graph(tuple(nodes), "random")


def random_graph(rng: np.random.Generator) -> Graph:
    """A small network with any mix of nodes the language knows."""
    planes = random_planes(rng)
    axes = int(rng.integers(0, 3))
    size = tuple(int(n) for n in rng.integers(3, 8, axes))
    channels = int(rng.integers(1, 4))
    shape = (channels, *size) if axes else (int(rng.integers(1, 140)),)
    nodes: list = [Input(shape, planes)]
    value = Value(shape, planes)
    if axes:
        for _ in range(int(rng.integers(1, 3))):
            node = _random_conv(rng, value)
            nodes.append(node)
            value = Value((node.weights.outputs, *node.output_size(value.shape[1:])))
            if min(value.shape[1:]) >= 2 and rng.random() < 0.5:
                pool = _random_pool(rng, value)
                nodes.append(pool)
                value = Value((value.shape[0], *pool.output_size(value.shape[1:])))
        nodes.append(Flatten())
        value = Value((value.size,), value.planes)
    for _ in range(int(rng.integers(0, 3))):
        ternary = bool(rng.random() < 0.3)
        nodes.append(random_dense(rng, value.size, int(rng.integers(1, 80)), value.planes, ternary))
        value = Value((nodes[-1].weights.outputs,))
    ternary = bool(rng.random() < 0.3)
    nodes.append(random_head(rng, value.size, int(rng.integers(1, 12)), value.planes, ternary))
    return Graph(tuple(nodes), "random")


def bordered_conv(
    rng, planes, shape, outputs, kernel, *, padding=None, fill=Fill.MINUS, ternary=False
):
    """A convolution whose thresholds are near the middle of what each border class can reach."""
    stride, padding = (1,) * len(kernel), padding or (0,) * len(kernel)
    weights = random_weights(rng, (outputs, shape[0], *kernel), ternary)
    blank = Conv(weights, np.zeros((1, 1, outputs), dtype=int), stride, padding, fill)
    taps, _ = blank.present_taps(shape[1:])
    thresholds = random_thresholds(rng, weights, planes, len(taps))
    if not ternary:
        absent = 1 - taps.reshape(len(taps), -1).mean(axis=1)
        most = weights.fan_in * sum(planes.weights(0))
        thresholds = np.maximum(thresholds - np.rint(absent * most / 2).astype(int)[:, None], 0)
    return Conv(weights, thresholds, stride, padding, fill)


def lenet(rng, planes, fill=Fill.MINUS, ternary=False) -> Graph:
    """3 channels of 8 x 8; two convolutions with poolings, a dense layer."""
    return Graph(
        (
            Input((3, 8, 8), planes),
            bordered_conv(
                rng, planes, (3, 8, 8), 4, (3, 3), padding=(1, 1), fill=fill, ternary=ternary
            ),
            MaxPool((2, 2), (2, 2), rng.integers(0, 2, 4)),
            bordered_conv(
                rng, Binary(), (4, 4, 4), 6, (3, 3), padding=(1, 1), fill=fill, ternary=ternary
            ),
            MaxPool((2, 2), (2, 2), rng.integers(0, 2, 6)),
            Flatten(),
            random_dense(rng, 24, 10),
            random_head(rng, 10, 5),
        ),
        "lenet",
    )


def _random_conv(rng: np.random.Generator, value: Value) -> Conv:
    channels, *size = value.shape
    kernel = tuple(int(rng.integers(1, min(4, n) + 1)) for n in size)
    stride = tuple(int(s) for s in rng.integers(1, 3, len(size)))
    padding = tuple(int(rng.integers(0, k)) for k in kernel)
    weights = random_weights(
        rng, (int(rng.integers(1, 6)), channels, *kernel), bool(rng.random() < 0.3)
    )
    fill = Fill(rng.choice([str(fill) for fill in Fill]))
    blank = np.zeros((1, 1, 1), dtype=int)
    classes = Conv(weights, blank, stride, padding, fill).border_classes(tuple(size))
    thresholds = random_thresholds(rng, weights, value.planes, classes)
    return Conv(weights, thresholds, stride, padding, fill)


def _random_pool(rng: np.random.Generator, value: Value) -> MaxPool:
    kernel = tuple(int(rng.integers(1, min(3, n) + 1)) for n in value.shape[1:])
    stride = tuple(int(s) for s in rng.integers(1, 3, len(kernel)))
    return MaxPool(kernel, stride, rng.integers(0, 2, value.shape[0]))


def random_images(rng: np.random.Generator, graph: Graph, count: int) -> np.ndarray:
    """Images of which the first are all zeros and all ones."""
    most = (1 << graph.input.planes.bits) - 1
    images = rng.integers(0, most + 1, (count, *graph.input.shape))
    images[:1], images[1:2] = 0, most
    return images


# --- The obvious executor: one image, one neuron, one synapse at a time, in the -1/+1 domain ------


def obvious_scores(
    graph: Graph, image: np.ndarray, *, presentations: int | None = None, index: int = 0
) -> list[int]:
    """Scores of one image, computed by the definitions of the graph and nothing else."""
    planes = graph.input.planes
    shown = [
        np.vectorize(lambda bit: 1 if bit else -1, otypes=[int])(plane)
        for plane in shown_planes(graph, np.asarray(image), presentations, index)
    ]
    if isinstance(planes, Stochastic) and planes.accumulate == "output":
        every = [_obvious_pass(graph, [plane], (1,), 0) for plane in shown]
        return [sum(scores) for scores in zip(*every, strict=True)]
    variant = graph.variant(presentations)
    return _obvious_pass(graph, shown, planes.weights(variant), variant)


def _obvious_pass(graph: Graph, shown: list, weights: tuple, variant: int) -> list[int]:
    """Scores of planes shown to the network once."""
    for node in graph.nodes[1:-1]:
        match node:
            case Flatten():
                shown = [plane.reshape(-1) for plane in shown]
                continue
            case MaxPool():
                shown = [_obvious_pool(node, shown[0])]
            case Dense():
                fired = [
                    _fires(node.weights, o, node.thresholds[variant, 0, o], shown, weights)
                    for o in range(node.weights.outputs)
                ]
                shown = [np.array(fired)]
            case Conv():
                shown = [_obvious_conv(node, shown, weights, variant)]
        weights, variant = (1,), 0
    head = graph.nodes[-1]
    signed = head.weights.signed().astype(int)
    sums = sum(
        weight * (signed @ plane.reshape(-1)) for weight, plane in zip(weights, shown, strict=True)
    )
    return [int(total) for total in sums + head.offsets[variant]]


def shown_planes(
    graph: Graph, image: np.ndarray, presentations: int | None, index: int
) -> list[np.ndarray]:
    """The planes of one image as bits."""
    planes = graph.input.planes
    if isinstance(planes, Binary):
        return [image]
    if isinstance(planes, FixedPoint):
        return [(image >> k) & 1 for k in range(planes.bits)]
    count = planes.presentations[0] if presentations is None else presentations
    return [
        np.reshape(
            [int(pixel >= r) for pixel, r in zip(image.reshape(-1), row, strict=True)], image.shape
        )
        for row in obvious_numbers(planes, index, count, image.size)
    ]


def _fires(weights: Weights, output: int, threshold: int, shown: list, plane_weights: tuple) -> int:
    """+1 when the neuron fires, else -1; a tap of value 0 is absent."""
    signed = weights.signed()[output].astype(int)
    total = 0
    for weight, plane in zip(plane_weights, shown, strict=True):
        products = (signed * plane).reshape(-1)
        agree, disagree = int((products > 0).sum()), int((products < 0).sum())
        total += weight * (agree - disagree if weights.ternary else agree)
    return 1 if total >= threshold else -1


def _obvious_conv(node: Conv, shown: list, plane_weights: tuple, variant: int) -> np.ndarray:
    value = {Fill.MINUS: -1, Fill.PLUS: 1, Fill.ABSENT: 0}[node.fill]
    size = shown[0].shape[1:]
    padding = [(0, 0), *((p, p) for p in node.padding)]
    padded = [np.pad(plane, padding, constant_values=value) for plane in shown]
    outputs = node.output_size(size)
    _, classes = node.present_taps(size)
    result = np.zeros((node.weights.outputs, *outputs), dtype=int)
    for position in np.ndindex(*outputs):
        window = (slice(None), *_window(position, node.stride, node.kernel))
        taps = [plane[window] for plane in padded]
        for o in range(node.weights.outputs):
            threshold = node.thresholds[variant, classes[position], o]
            result[(o, *position)] = _fires(node.weights, o, threshold, taps, plane_weights)
    return result


def _obvious_pool(node: MaxPool, bits: np.ndarray) -> np.ndarray:
    outputs = node.output_size(bits.shape[1:])
    result = np.zeros((len(bits), *outputs), dtype=int)
    for channel, *position in np.ndindex(*result.shape):
        values = bits[channel][_window(position, node.stride, node.kernel)]
        result[(channel, *position)] = values.min() if node.conjunction[channel] else values.max()
    return result


def _window(position: tuple, stride: tuple, kernel: tuple) -> tuple[slice, ...]:
    return tuple(slice(p * s, p * s + k) for p, s, k in zip(position, stride, kernel, strict=True))
