# SPDX-License-Identifier: BSD-2-Clause
"""Consolidations against sums written out."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from twincell.model.layers import BinaryConv, Pixels, ScoreHead, Sign
from twincell.model.learning import consolidation
from twincell.model.learning.consolidation import (
    Consolidation,
    ElasticWeights,
    SynapticIntelligence,
    fisher_information,
)
from twincell.model.learning.networks import binary_layers, normed_mlp


@pytest.fixture
def network() -> nn.Sequential:
    made = normed_mlp((6, 5, 3), Pixels(4), 1)
    made.train()
    images, _ = _data()
    for _ in range(3):
        made(images)  # running statistics that differ from the start
    return made


def _data(count=40, seed=1):
    draws = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 16, (count, 6), generator=draws, dtype=torch.uint8)
    return images, torch.randint(0, 3, (count,), generator=draws)


def _latents(network):
    return [layer.latent for layer in binary_layers(network)]


def _image_by_image(network, images, labels):
    totals = [torch.zeros_like(w) for w in _latents(network)]
    for k in range(len(images)):
        loss = functional.cross_entropy(network(images[k : k + 1]), labels[k : k + 1])
        for total, gradient in zip(
            totals, torch.autograd.grad(loss, _latents(network)), strict=True
        ):
            total += gradient**2 / len(images)
    return totals


@pytest.mark.parametrize("head", [False, True])
def test_fisher_information_is_the_mean_square_of_single_gradients(network, head, monkeypatch):
    monkeypatch.setattr(consolidation, "_AT_ONCE", 5)  # the last batch is a partial one
    if head:
        network = nn.Sequential(*network[:-2], ScoreHead(5, 3))
    images, labels = _data(12)
    found = fisher_information(network, images, labels)
    assert network.training and all(w.grad is None for w in _latents(network))
    network.eval()
    expected = _image_by_image(network, images, labels)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-5) and one.max() > 0
    with pytest.raises(ValueError, match=r"^The Fisher information of single images needs running"):
        fisher_information(normed_mlp((6, 3), Pixels(4), 1, running=False), images, labels)


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("fill", ["minus", "absent"])
def test_fisher_information_of_convolutions(axes, fill, monkeypatch):
    """Sums over all places of the kernel, with steps and with a border."""
    monkeypatch.setattr(consolidation, "_AT_ONCE", 5)
    torch.manual_seed(3)
    form = {"stride": (2, 1)[:axes], "padding": (1, 2)[:axes], "fill": fill}
    norm = nn.BatchNorm1d if axes == 1 else nn.BatchNorm2d
    network = nn.Sequential(
        Pixels(4, 0, 15), BinaryConv(2, 3, (3, 2)[:axes], **form), norm(3), Sign(), nn.Flatten(),
        ScoreHead(9 if axes == 1 else 63, 3),
    ).eval()  # fmt: skip
    network[2].running_var.fill_(400)  # of sums of whole numbers, whose signs nothing rounds
    images = torch.randint(0, 16, (7, 2, *(5, 4)[:axes]), dtype=torch.uint8)
    labels = torch.randint(0, 3, (7,))
    found = fisher_information(network, images, labels)
    expected = _image_by_image(network, images, labels)
    assert len(found) == 2
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-9) and one.max() > 0


def _flip(network, seed):
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for latent in _latents(network):
            latent *= 1 - 2 * (torch.rand(latent.shape, generator=draws) < 0.3).float()


def test_elastic_weights_pull_back_to_each_past_task(network):
    images, labels = _data()
    elastic = ElasticWeights(30.0, 1000)
    elastic.add_gradient(network)
    assert all(latent.grad is None for latent in _latents(network))
    past = []
    for task in range(2):
        _flip(network, task)
        elastic.end_task(network, images, labels)
        weights = [layer.stored() for layer in binary_layers(network)]
        past.append((fisher_information(network, images, labels), weights))
    _flip(network, 9)
    penalty = sum(
        15.0 * (fisher * (layer.weights() - anchor) ** 2).sum()
        for fishers, anchors in past
        for fisher, anchor, layer in zip(fishers, anchors, binary_layers(network), strict=True)
    )
    gradients = torch.autograd.grad(penalty, _latents(network))
    for layer in binary_layers(network):
        layer.latent.grad = torch.full_like(layer.latent, 0.5)
    elastic.add_gradient(network)
    for gradient, latent in zip(gradients, _latents(network), strict=True):
        assert gradient.abs().max() > 0
        assert torch.allclose(latent.grad, gradient + 0.5, rtol=1e-3, atol=1e-5)


def test_random_consolidation_shuffles_the_importances(network):
    images, labels = _data()
    sound, shuffled = ElasticWeights(1.0), ElasticWeights(1.0, shuffled=True)
    for each in (sound, shuffled):
        each.end_task(network, images, labels)
    for one, other in zip(sound.importance, shuffled.importance, strict=True):
        assert not torch.equal(one, other)
        assert torch.equal(one.flatten().sort()[0], other.flatten().sort()[0])
    few = ElasticWeights(1.0, 5)
    few.end_task(network, images, labels)
    assert not torch.equal(few.importance[0], sound.importance[0])


@pytest.mark.parametrize("binary", [False, True])
def test_synaptic_intelligence_sums_along_the_path(network, binary):
    method = SynapticIntelligence(2.0, damping=0.1, binary=binary)

    def seen():
        layers = binary_layers(network)
        return [each.stored() if binary else each.latent.detach().clone() for each in layers]

    start, path = seen(), [torch.zeros_like(w) for w in _latents(network)]
    draws = torch.Generator().manual_seed(4)
    for _ in range(5):
        before = seen()
        for latent in _latents(network):
            latent.grad = torch.randn(latent.shape, generator=draws)
        method.before_step(network)
        gradients = [w.grad.clone() for w in _latents(network)]
        with torch.no_grad():
            for latent in _latents(network):
                # Half of the steps lead uphill, as those of an optimizer with momentum may.
                latent -= 0.05 * torch.randn(latent.shape, generator=draws)
                latent.grad += 7.0  # what a penalty adds later is not part of the path
        method.after_step(network)
        for total, gradient, one, other in zip(path, gradients, before, seen(), strict=True):
            total -= gradient * (other - one)
    end = seen()
    assert any((total < 0).any() for total in path)
    method.end_task(network, *_data())
    for found, total, one, other in zip(method.importance, path, start, end, strict=True):
        expected = total.clamp(min=0) / ((other - one) ** 2 + 0.1)
        assert torch.allclose(found, expected, rtol=1e-5, atol=1e-7) and found.max() > 0
    flipped = _latents(network)[0]
    place = divmod(int(method.importance[0].argmax()), flipped.shape[1])
    with torch.no_grad():
        flipped[place] *= -1
    for latent in _latents(network):
        latent.grad = torch.zeros_like(latent)
    method.add_gradient(network)
    expected = torch.zeros_like(flipped)
    expected[place] = 2.0 * 2 * 2 * method.importance[0][place] * flipped.detach()[place].sign()
    assert torch.allclose(flipped.grad, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", [Consolidation, ElasticWeights, lambda: SynapticIntelligence(1.0)])
def test_states_come_back(network, make):
    one, other = make(), make()
    for latent in _latents(network):
        latent.grad = torch.ones_like(latent)
    for _ in range(2):
        one.before_step(network)
        _flip(network, 3)
        one.after_step(network)
        one.end_task(network, *_data())
    one.before_step(network)
    one.after_step(network)
    other.load_state_dict(one.state_dict())
    one.end_task(network, *_data())  # which leaves the other alone
    other.end_task(network, *_data())
    assert one.state_dict().keys() == other.state_dict().keys()
    for name, values in one.state_dict().items():
        pairs = zip(values, other.state_dict()[name], strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_strengths_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"^strength must be at least 0, not -1$"):
        ElasticWeights(-1)
    with pytest.raises(ValueError, match=r"^samples must be at least 1, not 0$"):
        ElasticWeights(1, 0)
    with pytest.raises(ValueError, match=r"^damping must be positive, not 0$"):
        SynapticIntelligence(1, damping=0)
