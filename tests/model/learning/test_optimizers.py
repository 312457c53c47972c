# SPDX-License-Identifier: BSD-2-Clause
"""The optimizers against scalar copies of their rules."""

import math

import pytest
import torch
from torch import nn

from twincell.model.data import load
from twincell.model.export import differences, export
from twincell.model.layers import BinaryLinear, Pixels, ScoreHead, convnet
from twincell.model.learning.devices.ideal import Ideal
from twincell.model.learning.devices.memory import BL, BLB
from twincell.model.learning.devices.weak_reset import WeakReset
from twincell.model.learning.networks import binary_layers, give_memories, memories, normed_mlp
from twincell.model.learning.optimizers import (
    MetaplasticAdam,
    PulseAdam,
    metaplastic,
)
from twincell.model.learning.protocol import Protocol, learn
from twincell.model.learning.report import pulse_report
from twincell.model.learning.tasks import task
from twincell.model.recipe import Convolution


class _Scalar:
    """Moments of one number."""

    def __init__(self, first=0.9, second=0.999):
        self.betas, self.m, self.v, self.t = (first, second), 0.0, 0.0, 0

    def see(self, gradient):
        first, second = self.betas
        self.t += 1
        self.m = first * self.m + (1 - first) * gradient
        self.v = second * self.v + (1 - second) * gradient**2
        return self.m, self.v, 1 - first**self.t, 1 - second**self.t


def _gradients(shape, steps, seed):
    draws = torch.Generator().manual_seed(seed)
    return torch.randn(steps, *shape, generator=draws, dtype=torch.float64)


@pytest.mark.parametrize("meta, decay", [(0.0, 0.0), (1.35, 0.0), (2.5, 0.1)])
def test_metaplastic_adam_is_its_rule(meta, decay):
    draws = torch.Generator().manual_seed(1)
    weights = torch.nn.Parameter(torch.randn(3, 4, generator=draws, dtype=torch.float64))
    norm = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    copies = {p: [(w, _Scalar()) for w in p.flatten().tolist()] for p in (weights, norm)}
    optimizer = MetaplasticAdam([weights, norm], lr=0.05, decay=decay, meta=meta)
    gated = 0
    for step in range(60):
        for index, values in enumerate((weights, norm)):
            values.grad = _gradients(values.shape, 60, index)[step]
            for k, (w, scalar) in enumerate(copies[values]):
                gradient = values.grad.flatten()[k].item() + decay * w
                m, v, c1, c2 = scalar.see(gradient)
                u = -0.05 * math.sqrt(c2) / c1 * m / (math.sqrt(v) + 1e-8)
                if values is weights and math.copysign(1, w) * m > 0:
                    u *= 1 - math.tanh(meta * abs(w)) ** 2
                    gated += 1
                copies[values][k] = (w + u, scalar)
        optimizer.step()
        for values in (weights, norm):
            expected = [w for w, _ in copies[values]]
            assert values.flatten().tolist() == pytest.approx(expected, abs=1e-12)
    assert 100 < gated < 620  # both branches were taken


def test_without_meta_it_is_adam():
    ours, theirs = (nn.Parameter(torch.ones(4, 5, dtype=torch.float64)) for _ in "ab")
    optimizers = (
        MetaplasticAdam([ours], lr=0.01, eps=1e-30),
        torch.optim.Adam([theirs], 0.01, eps=1e-30),
    )
    for gradient in _gradients((4, 5), 20, 3):
        ours.grad, theirs.grad = gradient, gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert torch.allclose(ours, theirs, rtol=1e-12, atol=0)


def test_the_gate_looks_at_the_momentum_and_weights_are_not_clipped():
    weight = nn.Parameter(torch.full((1, 1), 4.0, dtype=torch.float64))
    optimizer = MetaplasticAdam([weight], lr=0.1, meta=1.0)
    weight.grad = torch.full((1, 1), -1.0, dtype=torch.float64)
    for _ in range(30):
        optimizer.step()
    grown = weight.item()
    assert grown > 6.9  # outward steps are whole
    weight.grad = torch.full((1, 1), 0.5, dtype=torch.float64)
    optimizer.step()  # the gradient has turned, the momentum not yet
    assert weight.item() > grown
    for _ in range(20):
        optimizer.step()
    assert weight.item() > grown - 1e-3  # tanh(7) leaves next to nothing


def test_meta_of_each_layer():
    network = normed_mlp((6, 5, 4, 3), Pixels(1), 0)
    groups = metaplastic(network, [1.0, 2.0, 3.0], lr=0.01).param_groups
    assert [group["meta"] for group in groups] == [1.0, 2.0, 3.0, 0.0]
    assert [group["params"][0].shape[1] for group in groups[:3]] == [6, 5, 4]
    assert len(groups[3]["params"]) == 6 and groups[3]["lr"] == 0.01
    with pytest.raises(ValueError, match=r"^2 values of meta for 3 layers$"):
        metaplastic(network, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"^meta must be a number from 0, not -1$"):
        metaplastic(network, -1)
    with pytest.raises(ValueError, match=r"^lr must be a positive number, not 0$"):
        metaplastic(network, 1, lr=0)
    with pytest.raises(ValueError, match=r"^betas must be from 0 to below 1, not \(0.9, 1\)$"):
        metaplastic(network, 1, betas=(0.9, 1))


def _layer(device, seed=0, **options):
    network = nn.Sequential(BinaryLinear(4, 3), nn.BatchNorm1d(3))
    return network, PulseAdam(network, device, seed, **options)


@pytest.mark.parametrize("device", [WeakReset(limit=6), Ideal()])
def test_pulses_are_the_rounded_clamped_step(device):
    network, optimizer = _layer(device, lr=5.0)
    memory, layer, norm = network[0].memory, network[0], network[1]
    copies = [_Scalar() for _ in range(12)]
    reference = nn.Parameter(norm.weight.detach().clone())
    adam = torch.optim.Adam([reference], 8e-3)
    expected = torch.zeros(2, 12, dtype=torch.float64)
    for gradient in 3 * _gradients((3, 4), 40, 5).float():
        layer.latent.grad = gradient
        norm.weight.grad = gradient[:, 0].clone()
        reference.grad = gradient[:, 0].clone()
        optimizer.step()
        adam.step()
        for k, (scalar, g) in enumerate(zip(copies, gradient.flatten().tolist(), strict=True)):
            m, v, c1, c2 = scalar.see(g)
            u = -5.0 * (m / c1) / (math.sqrt(v / c2) + 1e-8)
            if isinstance(device, WeakReset):
                u = round(min(max(u, -6), 6))
            expected[BL if u > 0 else BLB, k] += abs(u)
        assert torch.equal(layer.latent.detach(), memory.weights())
    assert torch.allclose(memory.pulses.view(2, 12), expected, atol=1e-4)
    assert torch.allclose(norm.weight, reference, rtol=1e-5)
    assert set(layer.latent.flatten().tolist()) <= {-1.0, 1.0}


def test_every_layer_gets_devices_of_its_own():
    network = nn.Sequential(BinaryLinear(8, 8), ScoreHead(8, 8))
    optimizer = PulseAdam(network, WeakReset(), 3)
    one, other = memories(network).values()
    assert not torch.equal(one.initial_ohm, other.initial_ohm)
    assert torch.equal(network[0].stored(), one.weights())
    assert list(memories(network)) == ["0", "1"]
    again = PulseAdam(network)  # the network keeps its devices
    assert again.memories == optimizer.memories == [one, other]
    with pytest.raises(ValueError, match=r"have no memories; a device is needed$"):
        PulseAdam(nn.Sequential(BinaryLinear(2, 2)))
    with pytest.raises(ValueError, match=r"^Binary layer 0 is ternary, its devices only have a"):
        give_memories(nn.Sequential(BinaryLinear(2, 2, ternary=True)), WeakReset(), 0)
    with pytest.raises(ValueError, match=r"^The network has no binary layers$"):
        PulseAdam(nn.Sequential(nn.Linear(2, 2)), WeakReset())


def test_devices_are_not_left_aside():
    network = normed_mlp((30, 20, 4), Pixels(4), 1)
    first = PulseAdam(network, WeakReset(), 7)
    same = PulseAdam(network, WeakReset(), 7)  # of the next task
    assert same.memories == first.memories
    with pytest.raises(ValueError, match=r"^Layer 0 is on other devices already: WeakReset\("):
        PulseAdam(network, Ideal(), 7)
    with pytest.raises(ValueError, match=r"leave device and seed out to train these$"):
        PulseAdam(network, WeakReset(), 8)
    with pytest.raises(ValueError, match=r"^Layer 1 is on devices: PulseAdam trains it$"):
        metaplastic(network, 1.35)


def _convnet():
    torch.manual_seed(1)
    layer = Convolution(channels=6, kernel=3, padding=1, fill="minus", pool=2)
    return convnet((1, 8, 8), [layer], (32,), 10, Pixels(5))


def test_convolutions_learn_on_devices():
    """Their weights are synapses as any other, and the export is what the devices hold."""
    whole = task(load("digits"), (1, 8, 8))
    network = _convnet()
    history = learn(
        network,
        lambda net: PulseAdam(net, WeakReset(), 2, start=20, lr=2.0),
        [whole],
        Protocol(8, 50, halve_every=3),
    )
    assert history.final()[0] > 0.5
    kept = memories(network)
    assert [tuple(each.shape) for each in kept.values()] == [(6, 1, 3, 3), (32, 96), (10, 32)]
    for name, memory in kept.items():
        assert torch.equal(network.get_submodule(name).latent, memory.weights())
    assert [layer.devices for layer in pulse_report(network).layers] == [108, 6144, 640]
    graph = export(network, "convolved", (1, 8, 8))
    assert differences(network, graph, whole.test_images).labels == 0


def test_convolutions_are_metaplastic():
    network = _convnet()
    found = metaplastic(network, [1.0, 2.0, 3.0])
    for layer, group in zip(binary_layers(network), found.param_groups, strict=False):
        assert group["params"][0] is layer.latent
    assert [group["meta"] for group in found.param_groups] == [1.0, 2.0, 3.0, 0.0]


def test_weights_that_are_all_equal_are_told():
    """Their gradients are equal as well, and training would go nowhere without a word."""
    device = WeakReset().only()
    with pytest.warns(UserWarning, match=r"^All weights of layer 0 are equal.* such as start=20$"):
        PulseAdam(nn.Sequential(BinaryLinear(30, 20)), device)
    network = nn.Sequential(BinaryLinear(30, 20))
    PulseAdam(network, device, start=20)
    assert network[0].latent.unique().tolist() == [-1, 1]
    worn = network[0].memory.pulses.clone()
    PulseAdam(network, device, start=20)  # of the next task: they have had their start
    assert torch.equal(network[0].memory.pulses, worn)
    with pytest.warns(UserWarning, match=r"^All weights of layer 0 are equal"):
        PulseAdam(fresh := nn.Sequential(BinaryLinear(30, 20)), device)
    with pytest.raises(ValueError, match=r"^The layers have memories: their start is Memory.rand"):
        PulseAdam(fresh, device, start=20)


@pytest.mark.parametrize("device", [Ideal(initial_spread=False), WeakReset()])
def test_a_random_start_is_in_the_first_weights(device):
    """What the first step sees is what the devices hold, also where pulses moved them before."""
    network = normed_mlp((30, 20, 4), Pixels(4), 1)
    give_memories(network, device, 3, start=20)
    for name, memory in memories(network).items():
        layer = network.get_submodule(name)
        assert torch.equal(layer.latent, memory.weights())
        assert layer.latent.unique().tolist() == [-1, 1]
        assert memory.pulses.max() <= 20 and memory.pulses.sum() == memory.start_pulses > 0


def test_reprogramming_sets_what_has_flipped():
    device = Ideal(initial_spread=False, step=0.01)
    with pytest.warns(UserWarning, match=r"^All weights of layer 0 are equal"):
        network, optimizer = _layer(device, lr=30.0, reprogram=2)
    memory, layer = network[0].memory, network[0]
    layer.latent.grad = torch.ones(3, 4)
    layer.latent.grad[0] = -1
    optimizer.step()  # all weights were +1; those of rows 1 and 2 flip
    assert memory.sets.tolist() == [[0] * 4, [1] * 4, [1] * 4]
    assert memory.age[BL].tolist() == [[pytest.approx(30, rel=1e-6)] * 4, [0] * 4, [0] * 4]
    assert memory.age[BLB].tolist() == [[0] * 4, [2] * 4, [2] * 4]
    assert layer.latent.tolist() == [[1] * 4, [-1] * 4, [-1] * 4]
    with pytest.raises(ValueError, match=r"^reprogram must be a number of pulses from 0, not -1$"):
        _layer(device, reprogram=-1)
