# SPDX-License-Identifier: BSD-2-Clause
"""The weak RESET: its laws against closed forms, its noises against scalar copies of them."""

from collections import deque

import numpy as np
import pytest
import torch
from scipy import stats

from twincell.model.learning.devices.laws import Exponential, LogNormal, Normal
from twincell.model.learning.devices.memory import BL, BLB
from twincell.model.learning.devices.pulsing import flip, powers_of
from twincell.model.learning.devices.weak_reset import WeakReset

QUIET = WeakReset().without("telegraph", "pink")
LAWS = {
    "slope": stats.expon(3.7415768289771944e-05, 6.564678011593196e-04),
    "knee": stats.lognorm(0.8033817700570505, 0, 542.5385224079308),
    "initial_shift": stats.norm(0.005293141020227579, 0.05320804175540371),
    "tail": stats.expon(0, 2.8890516951651312e-05),
    "initial_ohm": stats.norm(6988, 381.7),
}
BOUNDS = {
    "slope": (3.74e-5, 0.0076), "knee": (41, 2000), "initial_shift": (-0.15, 0.15),
    "tail": (0, 1.3e-4), "initial_ohm": (6252, 7897),
}  # fmt: skip


def _pulsed(device, pulses, count=100_000, seed=1):
    memory = device.memory((count,), seed)
    memory.pulse(torch.full((count,), pulses))
    return memory


@pytest.mark.parametrize("name", LAWS)
def test_parameters_follow_their_truncated_laws(name):
    memory = QUIET.memory((10_000,), 3)
    drawn = getattr(memory, name).numpy().astype(float)
    law, (low, high) = LAWS[name], BOUNDS[name]
    below, above = law.cdf(low), law.cdf(high)
    assert low * (1 - 1e-6) <= drawn.min() and drawn.max() <= high * (1 + 1e-6)
    tested = stats.kstest(drawn.ravel(), lambda x: (law.cdf(x) - below) / (above - below))
    assert tested.pvalue > 0.01
    # A wrong truncation would be seen: the untruncated normals and lognormal are refused.
    if name in ("knee", "initial_ohm"):
        assert stats.kstest(drawn.ravel(), law.cdf).pvalue < 1e-6
    assert abs(np.corrcoef(drawn)[0, 1]) < 0.03  # BL and BLb are independent


def test_parameters_are_independent_of_each_other():
    memory = WeakReset().memory((20_000,), 4)
    names = (*LAWS, "bound")
    drawn = np.stack([getattr(memory, name).numpy().ravel() for name in names])
    correlations = np.corrcoef(drawn) - np.eye(len(names))
    assert np.abs(correlations).max() < 0.02
    assert stats.kstest(memory.bound.numpy().ravel(), stats.uniform(0, 0.5).cdf).pvalue > 0.01


@pytest.mark.parametrize("pulses, ohm", [(10, 7074), (100, 7530), (542, 10233), (2000, 10677)])
def test_the_device_of_nominal_numbers(pulses, ohm):
    memory = QUIET.without("slope_spread", "initial_spread").memory((1,), 0)
    memory.pulse(torch.tensor([pulses]))
    assert memory.ohm()[BL].item() == pytest.approx(ohm, abs=1)
    assert memory.ohm()[BLB].item() == pytest.approx(7025.09, abs=0.01)


def test_without_their_spread_slopes_respond_about_as_the_mean_of_devices():
    """The median knee comes after that of many devices, and before others'."""
    spread = WeakReset().only("slope_spread").memory((40_000,), 3)
    uniform = WeakReset().only().memory((1,), 3)
    ratios = {}
    at = 0
    for pulses in (200, 500, 1000):
        rises = []
        for memory in (uniform, spread):
            memory.pulse(torch.full(memory.shape, float(pulses - at)))
            rises.append(memory.ln_ohm[BL].mean() - memory.ln_ohm[BLB].mean())
        ratios[pulses], at = float(rises[0] / rises[1]), pulses
    assert ratios == pytest.approx({200: 1.03, 500: 1.23, 1000: 0.97}, abs=0.02)


@pytest.mark.parametrize(
    "pulses, mean, sd, median, low, high",
    [
        (0, 0.005, 0.052, 7031, 6246, 7909),
        (100, 0.074, 0.084, 7481, 6519, 8911),
        (500, 0.287, 0.296, 8561, 6875, 16802),
        (1000, 0.408, 0.467, 9039, 7008, 26434),
        (2000, 0.479, 0.577, 9393, 7153, 33345),
        (5000, 0.562, 0.586, 10348, 7428, 36469),
    ],
)
def test_statistics_over_devices(pulses, mean, sd, median, low, high):
    memory = _pulsed(QUIET, pulses, 400_000)  # as many as behind the expected figures
    shift, ohm = memory.mean()[BL].numpy(), memory.ohm()[BL].numpy()
    assert shift.mean() == pytest.approx(mean, abs=0.005)
    assert shift.std() == pytest.approx(sd, rel=0.03)
    assert np.quantile(ohm, [0.05, 0.5, 0.95]) == pytest.approx([low, median, high], rel=0.015)


def test_a_fresh_pair_is_a_coin_with_a_spread_of_a_tenth():
    memory = QUIET.memory((100_000,), 2)
    assert memory.latent().std().item() == pytest.approx(0.101, abs=0.002)
    assert abs(memory.weights().mean().item()) < 0.01
    assert set(memory.weights().tolist()) == {-1.0, 1.0}


def test_each_device_follows_its_two_slopes():
    memory = QUIET.memory((5,), 6)
    pulses = torch.tensor([0, 40, 700, 5000, -300])
    memory.pulse(pulses)
    for line, counts in ((BL, [0, 40, 700, 5000, 0]), (BLB, [0, 0, 0, 0, 300])):
        for k, t in enumerate(counts):
            r0, c1, m1, knee, m2 = (
                getattr(memory, name)[line, k].item()
                for name in ("initial_ohm", "initial_shift", "slope", "knee", "tail")
            )
            w = m1 * t + c1 if t < knee else m2 * (t - knee) + m1 * knee + c1
            assert memory.ohm()[line, k].item() == pytest.approx(r0 * np.exp(w), rel=1e-12)


def test_resistances_never_fall_without_noise():
    memory = QUIET.memory((40, 50), 7)
    draws = torch.Generator().manual_seed(1)
    start = last = memory.ln_ohm.clone()
    for _ in range(200):
        memory.update(8 * torch.randn(40, 50, generator=draws))
        assert (memory.ln_ohm >= last).all()
        last = memory.ln_ohm.clone()
    assert (last > start).all()


def test_the_chain_takes_powers_of_its_matrix():
    up, down = WeakReset().telegraph_up, WeakReset().telegraph_down
    matrix = np.array([[1 - 0.0008, 0.0008], [0.002, 1 - 0.002]])
    for n in (0, 1, 14, 400):
        power = np.linalg.matrix_power(matrix, n)
        found = [flip(float(n), high, up, down, powers_of(1 - up - down)) for high in (False, True)]
        assert found == pytest.approx([power[0, 1], power[1, 0]], abs=1e-14)
    assert flip(9.0, False, 0.0, 0.0, powers_of(1.0)) == 0.0


@pytest.mark.parametrize("name", ["telegraph", "pink", "full"])
@pytest.mark.parametrize("pulses", [9, 300])
def test_pulses_one_by_one_leave_the_same_distribution_as_at_once(name, pulses):
    """Of resistances, of the chain's state and of the filter's output; other seeds, equal laws."""
    device = WeakReset() if name == "full" else WeakReset().only(name)
    single, at_once = (device.memory((4_000,), seed) for seed in (21, 22))
    for _ in range(pulses):
        single.pulse(torch.ones(4_000))
    at_once.pulse(torch.full((4_000,), pulses))
    ours = [each.ln_ohm[BL].numpy() for each in (single, at_once)]
    assert stats.ks_2samp(*ours).pvalue > 0.01
    if device.telegraph:
        high = [int(each.high[BL].sum()) for each in (single, at_once)]
        table = [[count, 4_000 - count] for count in high]
        assert high[0] > 0 and stats.chi2_contingency(table).pvalue > 0.01
    if device.pink:
        pink = [each.pink[BL].numpy() for each in (single, at_once)]
        assert stats.ks_2samp(*pink).pvalue > 0.01
        assert stats.ks_2samp(pink[0], pink[1] + 0.002).pvalue < 1e-3  # a shift would be seen
    assert torch.equal(single.age, at_once.age) and torch.equal(single.pulses, at_once.pulses)


def test_telegraph_noise_in_the_long_run():
    memory = WeakReset().only("telegraph").memory((20_000,), 8)
    once = memory.telegraph.clone()
    assert not once.any()  # all start low
    memory.pulse(torch.full((20_000,), 400))
    expected = 0.0008 / 0.0028 * (1 - 0.9972**400)
    assert memory.high[BL].double().mean().item() == pytest.approx(expected, abs=0.01)
    assert not memory.high[BLB].any()
    memory.pulse(torch.full((20_000,), 5000))
    assert memory.high[BL].double().mean().item() == pytest.approx(0.2857, abs=0.01)
    amplitudes = memory.telegraph[memory.high]
    assert amplitudes.mean().item() == pytest.approx(0.0625, abs=0.002)
    assert amplitudes.quantile(0.95).item() == pytest.approx(0.22, abs=0.01)
    assert (memory.telegraph[memory.high] < memory.bound[memory.high]).all()
    before = memory.telegraph.clone()
    memory.pulse(torch.zeros(20_000))  # no pulse: the same states, other amplitudes
    assert torch.equal(before > 0, memory.telegraph > 0)
    assert (before != memory.telegraph)[memory.high].double().mean() > 0.99


def test_the_filter_of_pink_noise():
    b = WeakReset().filter()
    assert b[:6].tolist() == [1, 0.5, 0.375, 0.3125, 0.2734375, 0.24609375]
    assert b.sum().item() == pytest.approx(4.334, abs=5e-4)
    assert (b**2).sum().item() == pytest.approx(1.923, abs=5e-4)
    memory = _pulsed(WeakReset().only("pink"), 15, 50_000)
    assert memory.pink[BL].mean().item() == pytest.approx(0.0542, abs=2e-4)
    assert memory.pink[BL].std().item() == pytest.approx(0.0100, abs=2e-4)
    assert not memory.pink[BLB].any()


def test_pink_noise_is_the_convolution_of_what_was_shifted_in():
    device = WeakReset(taps=5)
    memory, b = device.memory((30,), 9), device.filter().numpy()
    lines = [deque([0.0] * 5, maxlen=5) for _ in range(30)]
    draws = torch.Generator().manual_seed(2)
    for _ in range(20):
        before = memory.history[BL].clone()
        counts = torch.randint(0, 9, (30,), generator=draws)
        memory.pulse(counts)
        for k, (line, n) in enumerate(zip(lines, counts.tolist(), strict=True)):
            now = memory.history[BL, k].tolist()
            assert now[n:] == before[k, : max(5 - n, 0)].tolist()  # the old ones moved on by n
            line.extendleft(reversed(now[: min(n, 5)]))
            expected = 2.5e-2 * float(b @ np.array(line))
            assert memory.pink[BL, k].item() == pytest.approx(expected, rel=1e-5, abs=1e-9)
    assert stats.kstest(memory.history[BL].numpy().ravel(), stats.uniform().cdf).pvalue > 0.01


def test_noise_does_not_advance_without_pulses():
    memory = WeakReset().without("telegraph").memory((50,), 1)
    memory.update(torch.full((50,), 3.0))
    before = {name: value.clone() for name, value in memory.state_dict().items()}
    memory.update(torch.full((50,), 0.4))
    after = memory.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"updates", "silent"}


PARTS = {
    "slope_spread": {"slope", "knee", "tail"},
    "initial_spread": {"initial_ohm", "initial_shift"},
    "telegraph": {"telegraph", "high", "bound"},
    "pink": {"pink", "history"},
    "limited": set(),
    "rounded": set(),
}


@pytest.mark.parametrize("name", PARTS)
def test_each_switch_changes_only_its_part(name):
    full, part = (d.memory((300,), 5) for d in (WeakReset(), WeakReset().without(name)))
    draws = torch.Generator().manual_seed(3)
    for _ in range(10):
        pulses = torch.randint(-14, 15, (300,), generator=draws)
        full.update(pulses)  # whole and within the limit, so the last two switches do nothing
        part.update(pulses)
    whole, other = full.state_dict(), part.state_dict()
    gone = PARTS[name] if name in ("telegraph", "pink") else set()
    assert whole.keys() - other.keys() == gone
    changed = {key for key in other if not torch.equal(whole[key], other[key])} - {"_extra_state"}
    expected = PARTS[name] - gone
    assert changed == (expected | {"ln_ohm"} if PARTS[name] else set())
    if name == "telegraph":
        difference = full.ln_ohm - full.telegraph - part.ln_ohm
        assert difference.abs().max() < 1e-12
    if name == "pink":
        assert (full.ln_ohm - full.pink - part.ln_ohm).abs().max() < 1e-12


def test_limit_rounding_and_dead_band():
    update = torch.tensor([0.0, 0.4, -0.5, 0.51, 1.5, -2.5, 14.2, 30.0, -99.0])
    assert WeakReset().pulses(update).tolist() == [0, 0, 0, 1, 2, -2, 14, 14, -14]
    assert WeakReset().without("limited").pulses(update).tolist()[-2:] == [30, -99]
    exact = WeakReset().without("rounded").pulses(update)
    assert exact.tolist() == update.double().clamp(-14, 14).tolist()
    memory = WeakReset().memory((9,), 0)
    given = memory.update(update)
    assert memory.pulses[BL].tolist() == [0, 0, 0, 1, 2, 0, 14, 14, 0]
    assert memory.pulses[BLB].tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 14]
    assert torch.equal(memory.pulses[BL] - memory.pulses[BLB], given)
    assert (memory.updates.item(), memory.silent.item(), memory.clamped.item()) == (8, 2, 3)


def test_fractions_of_a_pulse_add_up():
    device = WeakReset().without("rounded", "telegraph")
    memory = device.memory((4,), 11)
    for _ in range(8):
        memory.update(torch.full((4,), 0.25))
    assert memory.age[BL].tolist() == [2.0] * 4
    assert (memory.history[BL] > 0).sum(dim=1).tolist() == [2] * 4


def test_set_starts_over_but_keeps_the_wear():
    device = WeakReset(set_redraws=True)
    memory, kept = device.memory((200,), 12), WeakReset().memory((200,), 12)
    fresh = kept.ln_ohm.clone()
    chosen = torch.arange(200) < 100
    for each in (memory, kept):
        each.pulse(torch.full((200,), 2000))
        each.set(chosen)
        assert each.pulses[BL].tolist() == [2000] * 200
        assert each.sets.tolist() == [1] * 100 + [0] * 100
        assert not each.age[:, :100].any() and not each.high[:, :100].any()
        assert not each.history[:, :100].any()
    assert torch.equal(kept.ln_ohm[:, :100], fresh[:, :100])
    assert (kept.ln_ohm[BL, 100:] > fresh[BL, 100:]).all()
    assert (memory.initial_ohm[:, :100] != kept.initial_ohm[:, :100]).double().mean() > 0.99
    assert torch.equal(memory.initial_ohm[:, 100:], kept.initial_ohm[:, 100:])


def test_laws_of_no_probability_are_refused():
    with pytest.raises(ValueError, match=r"^A law needs low < high, not 2 and 1$"):
        Normal(2, 1, 0.0, 1.0)
    with pytest.raises(ValueError, match=r"has no probability from -3 to -2$"):
        Exponential(-3, -2, 1.0)
    with pytest.raises(ValueError, match=r"^A lognormal lies above 0, not above -1$"):
        LogNormal(-1, 2, 1.0, 0.5)


def test_parameters_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"^telegraph_up is 0.7 per pulse, outside 0 to 0.5 per"):
        WeakReset(telegraph_up=0.7)
    with pytest.raises(ValueError, match=r"^taps is 0, outside 1 to 1024$"):
        WeakReset(taps=0)
    with pytest.raises(TypeError, match=r"^taps must be an integer, not 1.5$"):
        WeakReset(taps=1.5)
    with pytest.raises(TypeError, match=r"^slope must be Law, not 3$"):
        WeakReset(slope=3)
    with pytest.raises(TypeError, match=r"^pink must be True or False, not 1$"):
        WeakReset(pink=1)
    with pytest.raises(ValueError, match=r"^'drift' is not an imperfection: slope_spread, initial"):
        WeakReset().without("drift")
