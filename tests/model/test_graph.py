# SPDX-License-Identifier: BSD-2-Clause
import re

import numpy as np
import pytest

from tests.support.graphs import random_graph
from twincell.model.checks import MAX_SUM, GraphError
from twincell.model.graph import Graph
from twincell.model.nodes import Conv, Dense, Fill, Flatten, Head, Input, MaxPool, Weights
from twincell.model.planes import Binary, FixedPoint, Stochastic


def _bits(*shape: int) -> np.ndarray:
    return np.ones(shape, int)


def _zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, int)


HEAD = Head(Weights(_bits(2, 3)), _zeros(1, 2))


def _graph(*nodes) -> Graph:
    return Graph(tuple(nodes))


CONV = Weights(_bits(2, 1, 3, 3))
CASES = [
    (lambda: _graph(HEAD), "A graph starts with an Input and ends with a Head"),
    (lambda: _graph(Input((3,)), Flatten()), "A graph starts with an Input and ends with a Head"),
    (
        lambda: Graph((Input((3,)), HEAD), "a/b"),
        "A network's name is letters, digits, '-' and '_', not 'a/b'",
    ),
    (
        lambda: _graph(Input((4,)), HEAD),
        "node 1 (Head): takes shape (3,), not (4,)",
    ),
    (
        lambda: _graph(Input((3,)), Input((3,)), HEAD),
        "node 1 (Input): only the first node is an Input",
    ),
    (
        lambda: _graph(Input((3,)), Dense(Weights(_bits(3, 3)), _zeros(1, 1, 2)), HEAD),
        "node 1 (Dense): 2 constants, 3 outputs",
    ),
    (
        lambda: _graph(Input((3,)), Dense(Weights(_bits(3, 3)), _zeros(1, 2, 3)), HEAD),
        "node 1 (Dense): a dense layer has one threshold class",
    ),
    (
        lambda: _graph(Input((3,)), Dense(Weights(_bits(3, 3)), _zeros(2, 1, 3)), HEAD),
        "node 1 (Dense): 2 threshold vectors for 1 variants of the input",
    ),
    (
        lambda: _graph(Input((3,)), Dense(Weights(_bits(3, 3)), _zeros(1, 1, 3) + 5), HEAD),
        "node 1 (Dense): thresholds from 5 to 5 leave the range 0 to 4",
    ),
    (
        lambda: _graph(Input((3,)), Dense(Weights(_bits(3, 3)), _zeros(1, 1, 3) - 1), HEAD),
        "node 1 (Dense): thresholds from -1 to -1 leave the range 0 to 4",
    ),
    (
        lambda: _graph(Input((1, 2, 2)), Conv(CONV, _zeros(1, 1, 2)), Flatten(), HEAD),
        "node 1 (Conv): kernel (3, 3) is larger than the padded input (1, 2, 2)",
    ),
    (
        lambda: _graph(Input((9,)), Conv(CONV, _zeros(1, 1, 2)), Flatten(), HEAD),
        "node 1 (Conv): weights (2, 1, 3, 3) do not fit an input of shape (9,)",
    ),
    (
        lambda: _graph(
            Input((1, 3, 3)), Conv(CONV, _zeros(1, 1, 2), padding=(1, 1), fill=Fill.ABSENT), HEAD
        ),
        "node 1 (Conv): thresholds (classes, outputs) must be (9, 2), not (1, 2)",
    ),
    (
        lambda: _graph(
            Input((1, 2048, 2048)),
            Conv(CONV, _zeros(1, 1, 2), padding=(1, 1), fill=Fill.ABSENT),
            HEAD,
        ),
        "node 1 (Conv): 4194304 positions, more than 1048576",
    ),
    (
        lambda: _graph(Input((1, 4), FixedPoint(2)), MaxPool((2,), (2,), _zeros(1)), HEAD),
        "node 1 (MaxPool): pools bits, not multi-bit pixels",
    ),
    (
        lambda: _graph(Input((2, 4)), MaxPool((2,), (2,), _zeros(1)), HEAD),
        "node 1 (MaxPool): 1 mode bits for 2 channels",
    ),
    (lambda: Weights(_bits(2, 3) * 2), "sign holds values other than 0 and 1"),
    (lambda: Weights(_bits(2, 3), _bits(3, 2)), "active (3, 2) but sign (2, 3)"),
    (lambda: Weights(_bits(4)), "weights have 2 to 4 axes, not shape (4,)"),
    (lambda: Weights(np.zeros((0, 3))), "sign has shape (0, 3)"),
    (
        lambda: Head(Weights(_bits(2, 3)), np.zeros((1, 2))),
        "offsets must be integers with 2 axes, not float64 (1, 2)",
    ),
    (
        lambda: Head(Weights(_bits(2, 3)), _zeros(1, 2) + 2 * MAX_SUM),
        f"offsets from {2 * MAX_SUM} to {2 * MAX_SUM} exceed {MAX_SUM}",
    ),
    (lambda: FixedPoint(1), "Fixed-point pixels have 2 to 16 bits, not 1"),
    (lambda: Stochastic(4, ()), "Presentations must be integers from 1 to 1024, not ()"),
    (lambda: Stochastic(4, (2, 2)), "Presentations (2, 2) repeat a value"),
    (lambda: Stochastic(1, (2,)), "Stochastic pixels: An LFSR is 2 to 16 bits wide, not 1"),
    (
        lambda: Stochastic(4, (2,), seed=-1),
        "The seed must be an unsigned 64-bit integer, not -1",
    ),
    (
        lambda: Input((3, 0)),
        "Input shape must be one to three positive integers, not (3, 0)",
    ),
    (
        lambda: Conv(CONV, _zeros(1, 1, 2), padding=(3, 0)),
        "padding (3, 0) must be smaller than the kernel (3, 3)",
    ),
    (
        lambda: Conv(CONV, _zeros(1, 1, 2), stride=(0, 1)),
        "stride must be 2 integers of at least 1, not (0, 1)",
    ),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_what_breaks_a_rule_is_named(case):
    attempt, message = CASES[case]
    with pytest.raises(GraphError, match=f"^{re.escape(message)}$"):
        attempt()


def test_arrays_are_frozen_and_copied():
    sign = _bits(2, 3)
    weights = Weights(sign)
    sign[0, 0] = 0
    assert weights.sign[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        weights.sign[0, 0] = 0


def test_a_zero_weight_has_one_spelling():
    weights = Weights(np.array([[1, 0]]), np.array([[0, 0]]))
    assert weights.sign.tolist() == [[0, 0]] and weights.signed().tolist() == [[0, 0]]


def test_border_classes_of_a_padded_3x3():
    conv = Conv(CONV, _zeros(1, 9, 2), padding=(1, 1), fill=Fill.ABSENT)
    taps, classes = conv.present_taps((5, 6))
    assert classes.tolist() == [
        [0, 1, 1, 1, 1, 2], *[[3, 4, 4, 4, 4, 5]] * 3, [6, 7, 7, 7, 7, 8],
    ]  # fmt: skip
    assert taps.reshape(9, -1).sum(1).tolist() == [4, 6, 4, 6, 9, 6, 4, 6, 4]


def test_values_follow_the_nodes():
    for seed in range(50):
        graph = random_graph(np.random.default_rng(seed))
        assert graph.values[0].shape == graph.input.shape
        assert graph.values[-1].shape == (graph.classes,)
        assert all(isinstance(value.planes, Binary) for value in graph.values[-1:])


def test_border_classes_are_counted_before_there_is_memory_for_them():
    """A few thousand weights cannot ask for gigabytes."""
    size = 1 << 15
    weights = Weights(np.zeros((1, 1, size), int))
    padding = (size // 2,)
    for classes in (1, size + 1):
        thresholds = np.zeros((1, classes, 1), int)
        conv = Conv(weights, thresholds, (1,), padding, Fill.ABSENT)
        assert conv.border_classes((size,)) == size + 1
        nodes = (Input((1, size), Binary()), conv, Flatten())
        head = Head(Weights(np.zeros((2, size + 1), int)), np.zeros((1, 2), int))
        message = r"thresholds \(classes, outputs\) must be|32769 border classes of 32768 inputs"
        with pytest.raises(GraphError, match=message):
            Graph((*nodes, head), "large")
