# SPDX-License-Identifier: BSD-2-Clause
"""What all learning devices have in common, and the ideal and the nonlinear one."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import stats

from twincell.model.learning.devices.conductance import NonlinearConductance
from twincell.model.learning.devices.fitted import Fitted, TwoSlopes
from twincell.model.learning.devices.ideal import Ideal
from twincell.model.learning.devices.memory import BL, BLB, LearningDevice, Memory
from twincell.model.learning.devices.presets import PRESETS, preset
from twincell.model.learning.devices.weak_reset import WeakReset

DEVICES = {
    **{name: each.device for name, each in PRESETS.items()},
    "redrawn": WeakReset(set_redraws=True),
    "noisy conductance": NonlinearConductance(noise=0.3, beta_sigma=0.5),
    "fitted": Fitted(
        devices=(TwoSlopes(8.9, 1e-3, 100, 1e-4, 0.01), TwoSlopes(8.8, 5e-4, 300, 0.0, 0.02))
    ),
}


def _equal(one, other) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def _live(memory, steps, seed):
    draws = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        memory.update(6 * torch.randn(memory.shape, generator=draws))
        memory.set(torch.rand(memory.shape, generator=draws) < 0.05)
        memory.randomize(2)


@pytest.mark.parametrize("name", DEVICES)
def test_a_restored_memory_goes_on_bit_for_bit(name, tmp_path):
    whole = DEVICES[name].memory((7, 11), 3)
    _live(whole, 5, 1)
    torch.save(whole.state_dict(), tmp_path / "state.pt")
    _live(whole, 5, 2)
    part = DEVICES[name].memory((7, 11), 99)
    part.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    torch.rand(3)  # the global random state plays no part
    _live(part, 5, 2)
    assert _equal(whole.state_dict(), part.state_dict())


@pytest.mark.parametrize("name", DEVICES)
def test_the_seed_decides(name):
    before = torch.random.get_rng_state()
    one, same, other = (DEVICES[name].memory((50,), seed) for seed in (1, 1, 2))
    for each in (one, same, other):
        _live(each, 3, 4)
    assert _equal(one.state_dict(), same.state_dict())
    assert not torch.equal(one.ln_ohm, other.ln_ohm)
    pulsed = [DEVICES[name].memory((50,), seed) for seed in (1, 2)]  # without a random start
    for each in pulsed:
        each.pulse(torch.full((50,), 3.0))
    assert not torch.equal(*(each.ln_ohm for each in pulsed))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", DEVICES)
def test_pulses_on_a_line_push_the_weight_to_its_side(name):
    memory = DEVICES[name].memory((1000,), 5)
    memory.pulse(torch.full((1000,), 5000.0))
    assert memory.weights().mean() > 0.8
    memory.set(torch.ones(1000, dtype=torch.bool))
    memory.pulse(torch.full((1000,), -5000.0))
    assert memory.weights().mean() < -0.8
    assert torch.equal(memory.weights() > 0, memory.ohm()[BL] >= memory.ohm()[BLB])


def test_equal_resistances_are_plus_one():
    memory = Ideal(initial_spread=False).memory((6,), 0)
    assert memory.weights().tolist() == [1.0] * 6
    memory.randomize(3)
    assert torch.equal(memory.weights() > 0, memory.pulses[BL] >= memory.pulses[BLB])
    assert -1.0 in memory.weights().tolist()


def test_pulses_that_do_not_fit_are_refused():
    memory = Ideal().memory((2, 3), 0)
    with pytest.raises(ValueError, match=r"^Pulses of shape \(3,\) for synapses \(2, 3\)$"):
        memory.pulse(torch.ones(3))
    with pytest.raises(ValueError, match=r"^Pulses must be finite numbers$"):
        memory.update(torch.full((2, 3), math.nan))
    with pytest.raises(ValueError, match=r"^Synapses need a shape of positive sizes, not \(2, 0\)"):
        Ideal().memory((2, 0), 0)
    with pytest.raises(ValueError, match=r"^limit is 0 pulses, outside 1 to 1e\+06 pulses$"):
        Ideal(limit=0)


def test_what_is_set_and_how_a_start_is_drawn_is_checked():
    memory = WeakReset().memory((2, 3), 1)
    with pytest.raises(
        ValueError, match=r"^Synapses to SET are torch.bool of shape \(2, 3\), not "
    ):
        memory.set(torch.tensor([[0, 1, 0], [0, 0, 0]]))  # as an index it would be all of them
    with pytest.raises(ValueError, match=r"not torch.bool of shape \(3,\)$"):
        memory.set(torch.ones(3, dtype=torch.bool))
    assert not memory.sets.any()
    with pytest.raises(ValueError, match=r"^Random pulses are 0 or a positive integer at most, "):
        memory.randomize(-3)
    with pytest.raises(ValueError, match=r"^limit is 11.5 pulses, no whole number; pulses are ro"):
        WeakReset(limit=11.5)
    assert WeakReset(limit=11.5, rounded=False).pulses(torch.tensor([20.0])).tolist() == [11.5]


@dataclass(frozen=True, kw_only=True)
class _Shaking(LearningDevice):
    """One source of chance of its own, which is an imperfection."""

    IMPERFECTIONS = (*LearningDevice.IMPERFECTIONS, "noise")

    noise: bool = True

    def memory(self, shape, seed):
        return _ShakingMemory(self, shape, seed)


class _ShakingMemory(Memory):
    STREAMS = ("noise",)

    def _pulse(self, counts):
        self.ln_ohm += 0.01 * counts
        if self.device.noise:
            self.ln_ohm += 0.001 * torch.randn(counts.shape, generator=self.streams["noise"])

    def _set(self, synapses):
        self.ln_ohm[:, synapses] = 0


@pytest.mark.parametrize("device", [_Shaking(), _Shaking().without("noise")])
def test_a_device_of_ones_own_starts_at_random_and_is_saved(device):
    whole, part = (device.memory((4, 5), seed) for seed in (3, 4))
    whole.randomize(20)
    assert whole.weights().unique().tolist() == [-1, 1]
    part.load_state_dict(whole.state_dict())
    for memory in (whole, part):
        memory.update(torch.ones(4, 5))
    assert _equal(whole.state_dict(), part.state_dict())


def test_a_memory_without_chance_is_saved():
    class Quiet(_ShakingMemory):
        STREAMS = ()

    memory = Quiet(_Shaking(noise=False), (3,), 1)
    memory.load_state_dict(memory.state_dict())
    memory.randomize(5)


def test_presets_say_what_they_are():
    for name, each in PRESETS.items():
        assert each.name == name and each.description and each.source and each.validity
    with pytest.raises(ValueError, match=r"^'flash' is not a learning device: weak-reset, "):
        preset("flash")
    assert preset("ideal").device == Ideal()


def test_the_ideal_device_adds_equal_steps():
    memory = Ideal(step=1e-3).memory((20_000,), 1)
    start = memory.ln_ohm.clone()
    assert stats.kstest(start.numpy().ravel(), stats.norm(math.log(7000), 0.07).cdf).pvalue > 0.01
    memory.update(torch.full((20_000,), 30.25))
    memory.update(torch.full((20_000,), -0.25))
    moved = (memory.ln_ohm - start).mean(dim=1)
    assert moved.tolist() == pytest.approx([30.25e-3, 0.25e-3], abs=1e-12)


def _conductance(**knobs):
    return NonlinearConductance(**knobs).without("range_spread", "initial_spread")


def test_conductance_follows_its_law_pulse_by_pulse():
    memory = _conductance().memory((1,), 0)
    g, span, beta = 1.3e-4, 1.3e-4 - 1.3e-5, 2.0
    c = span / beta * (math.exp(beta) - 1)
    for n in (1, 3, 10, 14, 80):
        memory.pulse(torch.tensor([n]))
        dt = n * c / 200
        g -= span / beta * math.log(1 + beta * dt / span * math.exp(-beta * (1.3e-4 - g) / span))
        assert memory.siemens[BL].item() == pytest.approx(g, rel=1e-12)
        assert memory.ohm()[BL].item() == pytest.approx(1 / g, rel=1e-12)
    assert memory.siemens[BLB].item() == 1.3e-4


def test_conductance_ends_after_the_given_pulses():
    memory = _conductance().memory((1,), 0)
    memory.pulse(torch.tensor([199]))
    assert memory.siemens[BL].item() > 1.3e-5
    memory.pulse(torch.tensor([1]))
    assert memory.siemens[BL].item() == pytest.approx(1.3e-5, rel=1e-9)
    memory.pulse(torch.tensor([500]))
    assert memory.siemens[BL].item() == 1.3e-5


def test_conductances_differ_as_said():
    memory = NonlinearConductance(beta_sigma=0.5).memory((20_000,), 2)
    half = stats.halfnorm
    for found, law in (
        (memory.largest, half(1.3e-4, 1e-6)),
        (memory.smallest, half(1.3e-5, 1e-5)),
        (memory.beta.abs(), stats.foldnorm(4, 0, 0.5)),
        (1.3e-4 - memory.siemens, half(0, 1e-6)),
    ):
        assert stats.kstest(found.numpy().ravel(), law.cdf).pvalue > 0.01


def test_noise_of_conductance_pulses():
    memory = _conductance(noise=0.5).memory((20_000,), 3)
    memory.pulse(torch.full((20_000,), 16))
    quiet = _conductance().memory((1,), 3)
    quiet.pulse(torch.tensor([16]))
    found = (memory.siemens[BL] - quiet.siemens[BL]).numpy()
    sd = 0.5 * (1.3e-4 - 1.3e-5) / 200 * 4
    assert stats.kstest(found, stats.norm(0, sd).cdf).pvalue > 0.01
    assert np.ptp(memory.siemens[BLB].numpy()) == 0


def test_conductances_out_of_order_are_refused():
    with pytest.raises(ValueError, match=r"^Conductances need smallest < initial <= largest, not"):
        NonlinearConductance(smallest=2e-4)
