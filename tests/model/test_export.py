# SPDX-License-Identifier: BSD-2-Clause
"""Export against an independent oracle: batch-norm evaluated with 100 decimal digits."""

import itertools
import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from twincell.model.export import (
    BatchNorm,
    ExportError,
    batch_norm_threshold,
    differences,
    export,
)
from twincell.model.layers import BinaryLinear, Pixels, ScoreHead, Sign, mlp
from twincell.model.nodes import Dense
from twincell.model.planes import BINARY, FixedPoint
from twincell.model.reference import scores


def _decimal(number) -> Decimal:
    number = Fraction(number)
    return Decimal(number.numerator) / Decimal(number.denominator)


def _fires(gamma, beta, mean, variance, x) -> bool:
    """Batch-norm and sign as the textbook writes them. Float32 parameters that are not a tie stay
    further from 0, beside the terms of the sum, than the rounding of 100 digits."""
    with localcontext(prec=100):
        gamma, beta, mean, variance, x = map(_decimal, (gamma, beta, mean, variance, x))
        scaled = gamma * (x - mean) / variance.sqrt()
        return scaled + beta >= -max(abs(scaled), abs(beta)) * Decimal("1e-80")


def _set_norm(norm: nn.BatchNorm1d, gamma, beta, mean, variance) -> None:
    """Sets the numbers of every neuron; ``eps`` becomes 0, so that ties can be made exactly."""
    norm.eps = 0.0
    numbers = (norm.weight, gamma), (norm.bias, beta)
    for values, new in (*numbers, (norm.running_mean, mean), (norm.running_var, variance)):
        values.data.copy_(torch.tensor(new))  # type: ignore[union-attr]


def _visible(linear: BinaryLinear, norm: nn.BatchNorm1d, pixels: Pixels) -> nn.Sequential:
    """A network whose scores are the -1/+1 bits of its only hidden layer."""
    outputs = norm.num_features
    head = ScoreHead(outputs, outputs, ternary=True)
    head.latent.data = torch.eye(outputs)
    return nn.Sequential(pixels, linear, norm, Sign(), head)


# (gamma, beta, mean, variance): the square roots are exact, so that ties are.
CORNERS = [
    (1.0, 0.0, 0.0, 1.0),  # a tie at a sum of 0
    (-1.0, 0.0, 0.0, 1.0),
    (2.0, 3.0, 1.0, 4.0),  # a tie at -2
    (-2.0, 3.0, 1.0, 4.0),  # a tie at 4
    (0.5, -1.5, 0.0, 1.0),  # a tie at 3
    (-0.5, -1.5, 0.0, 1.0),
    (0.0, 0.0, 5.0, 1.0),
    (0.0, 1e-30, 5.0, 1.0),
    (0.0, -1e-30, 5.0, 1.0),
    (-0.0, -1.0, 5.0, 1.0),
    (1.0, 100.0, 0.0, 1.0),  # always
    (1.0, -100.0, 0.0, 1.0),  # never
    (-1.0, 100.0, 0.0, 1.0),
    (-1.0, -100.0, 0.0, 1.0),
    (1e-30, 1.0, 0.0, 1e30),
    (-1e30, 1.0, 0.25, 1e-30),
    (1.0, 0.0, 0.5, 2.0),  # between two sums
    (1.0, 0.5, 0.0, 2.0),
]


@pytest.mark.parametrize("n", range(1, 13))
@pytest.mark.parametrize("ternary", [False, True])
def test_all_inputs_of_a_layer(n, ternary):
    torch.manual_seed(n)
    rng = np.random.default_rng(n)
    random = rng.normal(0, [1, 1, math.sqrt(n), 0], (40, 4))
    random[:, 3] = rng.gamma(2, n / 2, 40)
    numbers = np.array([*CORNERS, *random], dtype=np.float32).T
    linear = BinaryLinear(n, numbers.shape[1], ternary=ternary)
    norm = nn.BatchNorm1d(numbers.shape[1])
    _set_norm(norm, *numbers)
    graph = export(_visible(linear, norm, Pixels(1)), "all", (n,))
    inputs = np.array(list(itertools.product((0, 1), repeat=n)))
    found = scores(graph, inputs).numpy() > 0
    sums = (2 * inputs - 1) @ linear.weights().detach().numpy().T.astype(int)
    for neuron, (parameters, sums_seen) in enumerate(zip(numbers.T, sums.T, strict=True)):
        gamma, beta, mean, variance = map(float, parameters)
        fires = {s: _fires(gamma, beta, mean, variance, int(s)) for s in np.unique(sums_seen)}
        assert found[:, neuron].tolist() == [fires[s] for s in sums_seen], parameters


@pytest.mark.parametrize("bits, n", [(2, 4), (3, 3), (5, 2)])
@pytest.mark.parametrize("low, high", [(-1.0, 1.0), (0.0, 1.0), (-0.4242, 2.8215), (0.0, 0.75)])
@pytest.mark.parametrize("ternary", [False, True])
def test_all_pixels_of_a_layer(bits, n, low, high, ternary):
    torch.manual_seed(n)
    rng = np.random.default_rng(bits)
    numbers = rng.normal(0, [1, 1, 2, 0], (20, 4))
    numbers[:, 3] = rng.gamma(2, 1, 20)
    most = (1 << bits) - 1
    images = np.array(list(itertools.product(range(most + 1), repeat=n)))
    linear, norm = BinaryLinear(n, 20, ternary=ternary), nn.BatchNorm1d(20)
    weights = linear.weights().detach().numpy().astype(int)
    # Half of the neurons have a pixel sum right on their threshold, where float32 can say it.
    numbers[:10, 1] = 0
    numbers[:10, 2] = weights[:10] @ (low + (high - low) * images[5] / most)
    numbers = numbers.T.astype(np.float32)
    _set_norm(norm, *numbers)
    graph = export(_visible(linear, norm, Pixels(bits, low, high)), "pixels", (n,))
    assert graph.input.planes == FixedPoint(bits)
    found = scores(graph, images).numpy() > 0
    step = (Fraction(high) - Fraction(low)) / most
    for neuron, signed in enumerate(weights):
        gamma, beta, mean, variance = map(float, numbers[:, neuron])
        constant = Fraction(low) * int(signed.sum())
        for x, fired in set(zip(images @ signed, found[:, neuron], strict=True)):
            assert fired == _fires(gamma, beta, mean, variance, constant + step * int(x))


_float32 = st.floats(-(2.0**40), 2.0**40, allow_nan=False, width=32)
_positive = st.floats(2.0**-40, 2.0**40, width=32)


@settings(max_examples=400, deadline=None)
@given(_float32, _float32, _float32, _positive, st.integers(0, 300_000), st.booleans())
@example(4.419829881133048e-38, 0.0, 4.419829881133048e-38, 1.0, 7, False)
def test_a_threshold_splits_the_sums(gamma, beta, mean, variance, most, signed):
    least = -most if signed else 0
    norm = BatchNorm(Fraction(gamma), Fraction(beta), Fraction(mean), Fraction(variance))
    threshold, inverted = batch_norm_threshold(norm, least, most, lambda s: Fraction(s, 7) - 1)
    assert inverted == (gamma < 0)
    assert least <= threshold <= most + 1
    for s in {threshold - 1, threshold, threshold + 1, least, most}:
        if least <= s <= most:
            original = least + most - s if inverted else s
            fires = _fires(gamma, beta, mean, variance, Fraction(original, 7) - 1)
            assert fires == (s >= threshold)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 9), st.integers(-9, 9), st.integers(-20, 20), st.integers(1, 9))
def test_ties_fire(root, scaled, mean, gamma):
    # beta = -gamma * scaled / root puts the tie at mean + scaled.
    for sign in (1, -1):
        beta = Fraction(-sign * gamma * scaled, root)
        norm = BatchNorm(Fraction(sign * gamma), beta, Fraction(mean), Fraction(root**2))
        threshold, _ = batch_norm_threshold(norm, -40, 40)
        assert threshold == sign * (mean + scaled)


def test_thresholds_reach_both_ends():
    for beta, expected in ((1, (0, False)), (-1, (6, False))):
        norm = BatchNorm(Fraction(0), Fraction(beta), Fraction(0), Fraction(1))
        assert batch_norm_threshold(norm, 0, 5) == expected
    for gamma, beta, expected in ((1, 9, 0), (1, -9, 6), (-1, 9, 0), (-1, -9, 6)):
        norm = BatchNorm(Fraction(gamma), Fraction(beta), Fraction(0), Fraction(1))
        assert batch_norm_threshold(norm, 0, 5) == (expected, gamma < 0)


def _trained(bits: int, ternary: bool, seed: int) -> nn.Sequential:
    """A network with the statistics of some batches and random batch-norm scales."""
    torch.manual_seed(seed)
    model = mlp(30, (40, 21), 5, Pixels(bits), ternary=ternary)
    for _ in range(20):
        model(torch.randint(0, 1 << bits, (64, 30)))
    for module in model:
        if isinstance(module, nn.BatchNorm1d):
            module.weight.data.normal_()
            module.bias.data.normal_()
    model[-1].offset.data.normal_()  # type: ignore[union-attr]
    return model


@pytest.mark.parametrize("bits", [1, 5, 8])
@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("affine", [False, True])
def test_a_network_and_its_graph_agree(bits, ternary, affine):
    model = _trained(bits, ternary, seed=bits)
    if not affine:
        for index in (2, 5):
            plain = nn.BatchNorm1d({2: 40, 5: 21}[index], affine=False)
            plain.load_state_dict(model[index].state_dict(), strict=False)
            model[index] = plain
    graph = export(model, "net", (30,))
    images = torch.randint(0, 1 << bits, (2000, 30))
    found = differences(model, graph, images)
    assert (found.images, found.scores, found.labels) == (2000, 0, 0)
    assert graph.input.planes == (BINARY if bits == 1 else FixedPoint(bits))
    assert not model.training


def test_differences_are_counted():
    model = _trained(1, False, seed=4)
    graph = export(model, "net", (30,))
    model[-1].offset.data[0] += 100.0  # type: ignore[index]
    found = differences(model, graph, torch.randint(0, 2, (50, 30)))
    assert found.scores == 50
    assert 0 < found.labels <= 50


@pytest.mark.parametrize("eps, bits", [(1.0, [1, 0]), (1.5, [1, 1])])
def test_eps_is_part_of_the_variance(eps, bits):
    # sqrt(3 + 1) = 2 puts the second neuron's sum of 1 just below its threshold.
    linear, norm = BinaryLinear(1, 2), nn.BatchNorm1d(2)
    linear.latent.data.fill_(1.0)
    _set_norm(norm, [1.0, 1.0], [0.5, 0.5], [2.0, 2.0 + 2**-20], [3.0, 3.0])
    norm.eps = eps
    found = scores(export(_visible(linear, norm, Pixels(1)), "eps", (1,)), np.array([[1]]))
    assert (found[0] > 0).tolist() == [bool(bit) for bit in bits]


def test_negative_scales_invert_stored_weights():
    linear, norm = BinaryLinear(4, 2), nn.BatchNorm1d(2)
    linear.latent.data = torch.tensor([[1.0, 1, -1, -1]] * 2)
    _set_norm(norm, [1.0, -1.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0])
    layer = export(_visible(linear, norm, Pixels(1)), "two", (4,)).nodes[1]
    assert isinstance(layer, Dense)
    assert layer.weights.sign.tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    assert layer.thresholds.tolist() == [[[2, 2]]]


def test_images_are_flattened_in_torch_order():
    model = nn.Sequential(nn.Flatten(), *_trained(5, False, seed=6))
    graph = export(model, "image", (2, 3, 5))
    assert graph.input.shape == (2, 3, 5)
    assert differences(model, graph, torch.randint(0, 32, (500, 2, 3, 5))).scores == 0


def test_a_head_may_read_pixels_of_odd_integers():
    torch.manual_seed(2)
    model = nn.Sequential(Pixels(3, -7.0, 7.0), ScoreHead(6, 4))
    assert differences(model, export(model, "h", (6,)), torch.randint(0, 8, (99, 6))).scores == 0


PIXELS, LINEAR, NORM, SIGN = Pixels(3), BinaryLinear(6, 6), nn.BatchNorm1d(6), Sign()
HEAD = ScoreHead(6, 4)


@pytest.mark.parametrize(
    "modules, message",
    [
        ([PIXELS, LINEAR, nn.ReLU(), HEAD], "Module 1 .BinaryLinear.* has no place here"),
        ([PIXELS, LINEAR, NORM, nn.Hardtanh(), HEAD], "Module 1 .BinaryLinear"),
        ([PIXELS, nn.Linear(6, 4)], "Module 1 .Linear"),
        ([PIXELS, LINEAR, NORM, SIGN, HEAD, nn.Softmax(1)], "Module 4 .ScoreHead"),
        ([PIXELS, PIXELS, LINEAR, NORM, SIGN, HEAD], "Module 1 .Pixels"),
        ([LINEAR, NORM, SIGN, HEAD], "Module 0 .BinaryLinear"),
        ([PIXELS, LINEAR, NORM, SIGN, nn.Flatten(2), HEAD], "Module 4 .Flatten"),
        ([], "A network begins with Pixels"),
        ([nn.Flatten()], "A network begins with Pixels"),
        ([PIXELS, LINEAR, NORM, SIGN], "A graph starts with an Input and ends with a Head"),
        ([PIXELS, HEAD], "A ScoreHead reads bits, or pixels of low = -high"),
        ([PIXELS, LINEAR, nn.BatchNorm1d(5), SIGN, HEAD], "Batch-norm of 5 features follows 6"),
        (
            [PIXELS, LINEAR, nn.BatchNorm1d(6, track_running_stats=False), SIGN, HEAD],
            "Batch-norm without running statistics",
        ),
    ],
)
def test_other_networks_are_refused(modules, message):
    with pytest.raises(ValueError, match=message):
        export(nn.Sequential(*modules), "net", (6,))


@pytest.mark.parametrize("value, message", [(math.nan, "not finite"), (-1.0, "positive variance")])
def test_bad_statistics_are_refused(value, message):
    model = _trained(1, False, seed=1)
    model[2].running_var[0] = value  # type: ignore[index]
    with pytest.raises(ExportError, match=message):
        export(model, "net", (30,))
