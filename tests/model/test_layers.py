# SPDX-License-Identifier: BSD-2-Clause
"""Torch layers: values on the hardware's grid, gradients straight through."""

import pytest
import torch

from twincell.model.layers import (
    TERNARY_THRESHOLD,
    BinaryLinear,
    Pixels,
    ScoreHead,
    Sign,
    mlp,
    straight_through,
)


def test_straight_through_is_exact():
    generator = torch.Generator().manual_seed(1)
    exponents = torch.randint(-20, 20, (10_000,), generator=generator)
    soft = torch.randn(10_000, generator=generator) * 10.0**exponents
    for value in (-1.0, 0.0, 1.0, 3.0):
        hard = torch.full_like(soft, value)
        assert torch.equal(straight_through(hard, soft), hard)


def test_sign_of_zero_is_plus_one_and_the_gradient_passes_up_to_one():
    x = torch.tensor([-1.5, -1.0, -0.3, -0.0, 0.0, 1.0, 1.5], requires_grad=True)
    y = Sign()(x)
    assert y.tolist() == [-1, -1, -1, 1, 1, 1, 1]
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1, 1, 1, 1, 1, 0]


def _linear(latent: list[list[float]], **options) -> BinaryLinear:
    layer = BinaryLinear(len(latent[0]), len(latent), **options)
    layer.latent.data = torch.tensor(latent)
    return layer


def test_binary_weights_are_signs_of_the_latent_ones():
    layer = _linear([[-0.2, -0.0, 0.0, 3.0]])
    assert layer.weights().tolist() == [[-1, 1, 1, 1]]
    layer(torch.tensor([[2.0, 3.0, 5.0, 7.0]])).sum().backward()
    assert layer.latent.grad is not None
    assert layer.latent.grad.tolist() == [[2, 3, 5, 7]]


def test_ternary_weights_are_zero_up_to_the_threshold():
    edge = TERNARY_THRESHOLD
    layer = _linear([[-0.051, -edge, 0.0, edge, 0.051]], ternary=True)
    assert layer.weights().tolist() == [[-1, 0, 0, 0, 1]]
    layer(torch.ones(1, 5)).sum().backward()
    assert layer.latent.grad is not None
    assert layer.latent.grad.tolist() == [[1] * 5]


def test_pixels_span_low_to_high():
    pixels = torch.arange(16, dtype=torch.uint8)
    assert Pixels(4)(pixels).tolist() == pytest.approx([2 * n / 15 - 1 for n in range(16)])
    assert Pixels(4, 0.0, 15.0)(pixels).tolist() == list(range(16))
    assert Pixels(1)(pixels[:2]).tolist() == [-1, 1]


@pytest.mark.parametrize("bits, low, high", [(0, -1, 1), (17, -1, 1), (3, 1, 1), (3, 0, 1e999)])
def test_pixels_refuse(bits, low, high):
    with pytest.raises(ValueError, match=r"^Pixels "):
        Pixels(bits, float(low), float(high))


def test_the_labels_of_logits_and_scores_agree_ties_included():
    torch.manual_seed(3)
    head = ScoreHead(9, 6)
    head.offset.data = torch.randn(6)
    bits = 2.0 * torch.randint(0, 2, (2000, 9)) - 1
    scores, logits = head.scores(bits), head(bits)
    assert torch.equal(scores, scores.round())
    tied = (scores == scores.amax(dim=1, keepdim=True)).sum(dim=1) > 1
    assert tied.any()
    assert torch.equal(scores.argmax(dim=1), logits.argmax(dim=1))
    # The logits keep every order and every tie among all classes, not only at the top.
    assert torch.equal(
        (scores[:, None] - scores[:, :, None]).sign(), (logits[:, None] - logits[:, :, None]).sign()
    )


def test_offsets_are_integers_in_units_of_the_spread():
    head = ScoreHead(16, 3)
    head.offset.data = torch.tensor([0.1, -1.0, 2.2])
    assert head.offsets().tolist() == [0, -4, 9]
    head.offsets().sum().backward()
    assert head.offset.grad is not None
    assert head.offset.grad.tolist() == [4, 4, 4]


def test_mlp_chains_the_layers():
    torch.manual_seed(1)
    model = mlp(12, (8, 5), 3, Pixels(2), ternary=True)
    names = [type(module).__name__ for module in model]
    assert names == ["Pixels", *["BinaryLinear", "BatchNorm1d", "Sign"] * 2, "ScoreHead"]
    assert model(torch.randint(0, 4, (7, 12))).shape == (7, 3)
