# SPDX-License-Identifier: BSD-2-Clause
"""Devices from measured pulse trains: what is fitted comes back, and files that cannot be read."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import optimize, stats

from twincell.model.devices.fit import MeasurementError
from twincell.model.learning.devices.fitted import Fitted, PulseTrain, TwoSlopes, fit, read
from twincell.model.learning.devices.memory import BL
from twincell.model.learning.devices.weak_reset import WeakReset, two_slopes

EXAMPLE = Path(__file__).parents[3] / "docs" / "example-pulse-trains.csv"
GRID = (0, 10, 20, 50, 100, 200, 300, 400, 500, 700, 1000, 1500, 2000)  # that of the example
HEAD = "device,pulse,resistance_ohm\n"
BENT = TwoSlopes(8.85, 7e-4, 540.0, 3e-5, 0.0)
STRAIGHT = TwoSlopes(8.85, 6.9e-4, 1e9, 0.0, 0.0)


def _train(law: TwoSlopes, pulses, noise=0.0, seed=0) -> PulseTrain:
    t = np.array(pulses)
    logs = law.start + law.slope * np.minimum(t, law.knee) + law.tail * np.maximum(t - law.knee, 0)
    logs = logs + noise * np.random.default_rng(seed).normal(size=len(t))
    return PulseTrain("d", t, np.exp(logs))


def _write(path: Path, trains) -> Path:
    rows = [
        f"{number},{pulse},{ohm}\n"
        for number, train in enumerate(trains)
        for pulse, ohm in zip(train.pulses, train.ohm, strict=True)
    ]
    path.write_text(HEAD + "".join(rows))
    return path


def _step(memory, pulses: int) -> torch.Tensor:
    """How ln R of the devices on BL moves by five pulses after so many."""
    memory.pulse(torch.full(memory.shape, pulses))
    before = memory.ln_ohm[BL].clone()
    memory.pulse(torch.full(memory.shape, 5))
    return memory.ln_ohm[BL] - before


@pytest.mark.parametrize(
    "law",
    [
        TwoSlopes(8.85, 7e-4, 500.0, 3e-5, 0.0),
        TwoSlopes(9.2, 2e-3, 100.0, 0.0, 0.0),
        TwoSlopes(8.0, 1e-5, 1900.0, 4e-4, 0.0),  # it may also become faster
    ],
)
def test_a_law_without_noise_comes_back(law):
    found = fit(_train(law, range(0, 2001, 50)))
    assert found.start == pytest.approx(law.start, rel=1e-9)
    assert found.slope == pytest.approx(law.slope, rel=1e-6)
    assert found.knee == law.knee
    assert found.tail == pytest.approx(law.tail, rel=1e-6, abs=1e-12)
    assert found.noise < 1e-8


@pytest.mark.parametrize("knee", [35.0, 123.4, 777.0, 1250.0])
def test_the_knee_lies_between_pulse_counts(knee):
    law = TwoSlopes(8.85, 7e-4, knee, 3e-5, 0.0)
    found = fit(_train(law, GRID))
    assert found.knee == pytest.approx(knee, rel=1e-6) and found.noise < 1e-8
    assert (found.slope, found.tail) == pytest.approx((7e-4, 3e-5), rel=1e-6)
    assert found.last == 2000


@pytest.mark.parametrize("tail", [0.0, 3e-5, 2e-3])
def test_no_other_knee_leaves_less(tail):
    for seed in range(10):
        train = _train(TwoSlopes(8.85, 7e-4, 540.0, tail, 0.0), GRID, 0.03, seed)
        found, t, logs = fit(train), train.pulses, np.log(train.ohm)
        left = logs - np.log(_train(found, GRID).ohm)
        bases = [
            np.stack([np.ones(len(t)), np.minimum(t, knee), np.maximum(t - knee, 0)], axis=1)
            for knee in np.linspace(5, 1990, 400)
        ]
        least = min(optimize.nnls(basis, logs)[1] for basis in bases)
        assert found.tail != found.slope and np.linalg.norm(left) <= least + 1e-12


def test_noise_free_devices_get_no_noise():
    model = WeakReset().without("pink", "telegraph").memory((400,), 5)
    points = [model.ln_ohm[BL].clone()]
    for pulses in np.diff(GRID):
        model.pulse(torch.full((400,), int(pulses)))
        points.append(model.ln_ohm[BL].clone())
    trains = [PulseTrain("d", np.array(GRID), ohm) for ohm in torch.stack(points, 1).exp().numpy()]
    laws = tuple(fit(train) for train in trains)
    assert np.median([law.noise for law in laws]) < 1e-9
    slope, knee, tail = (getattr(model, name)[BL] for name in ("slope", "knee", "tail"))
    ages = torch.tensor([205.0, 200.0], dtype=torch.float64)[:, None]
    rises = two_slopes(ages, slope, knee, tail)
    step = _step(Fitted(devices=laws).memory((40_000,), 2), 200)
    # Of 40,000 draws from 400 laws the deviation has an error of 1 %.
    assert step.std().item() == pytest.approx((rises[0] - rises[1]).std().item(), rel=0.03)


@pytest.mark.parametrize("law", [BENT, STRAIGHT], ids=["bent", "straight"])
def test_a_step_scatters_as_the_white_noise_of_the_points(law):
    laws = tuple(fit(_train(law, GRID, 0.01, seed)) for seed in range(800))
    step = _step(Fitted(devices=laws).memory((40_000,), 2), 200)
    # A device's variance has an error of half of it, that of 800 devices one of 2 %.
    assert step.var().item() == pytest.approx(2 * 0.01**2, rel=0.06)


def test_slow_wandering_is_no_noise():
    train = _train(BENT, range(0, 2001, 50), 0.005, 3)
    wandering = PulseTrain("d", train.pulses, train.ohm * np.exp(0.05 * np.sin(train.pulses / 200)))
    # rms of half the differences: 0.005, and 0.05 * 2 sin(1/8) / sqrt(2) / sqrt(2) = 0.006.
    assert fit(wandering).noise == pytest.approx(np.hypot(0.005, 0.006), rel=0.3)


def test_straight_devices_stay_straight_beyond_their_points():
    laws = [fit(_train(STRAIGHT, range(0, 201, 20), 0.01, seed)) for seed in range(400)]
    bent = [law for law in laws if law.tail != law.slope]
    assert len(bent) <= 10  # 1 % are expected
    rises = [law.slope * law.knee + law.tail * (1000 - law.knee) for law in laws]
    assert np.quantile(rises, [0.05, 0.5, 0.95]) == pytest.approx([0.61, 0.69, 0.77], abs=0.02)


def test_one_point_makes_no_steep_tail():
    train = _train(STRAIGHT, range(0, 1001, 100), 0.001, 1)
    train.ohm[-1] *= 1.5
    found = fit(train)
    assert found.tail <= found.slope or found.knee <= 800


def test_a_straight_device_has_one_slope():
    found = fit(_train(TwoSlopes(8.8, 5e-4, 1e9, 0.0, 0.0), [0, 3, 10, 30, 100, 300, 1000]))
    assert found.tail == found.slope
    at_end = found.slope * found.knee + found.tail * (1000 - found.knee)
    assert at_end == pytest.approx(0.5, rel=1e-6)


def test_the_noise_is_found():
    law = TwoSlopes(8.85, 7e-4, 500.0, 3e-5, 0.0)
    found = [fit(_train(law, range(0, 2001, 25), 0.05, seed)).noise for seed in range(30)]
    assert np.mean(found) == pytest.approx(0.05, rel=0.05)


def test_a_device_that_falls_gets_no_negative_slope():
    found = fit(PulseTrain("d", np.arange(8), np.linspace(8000, 7000, 8)))
    assert found.slope == found.tail == 0.0


def test_drawn_devices_are_the_fitted_ones_whole():
    laws = tuple(TwoSlopes(8 + k / 10, k * 1e-4, 100.0 * k, 1e-5 * k, 0.01 * k) for k in range(5))
    memory = Fitted(devices=laws).memory((4000,), 1)
    columns = (memory.start, memory.slope, memory.knee, memory.tail, memory.deviation)
    drawn = torch.stack(columns, dim=-1).view(-1, 5)
    places = torch.round((drawn[:, 0] - 8) * 10).long()
    assert torch.bincount(places).tolist() == pytest.approx([1600] * 5, rel=0.1)
    expected = torch.tensor([[8 + k / 10, k * 1e-4, 100.0 * k, 1e-5 * k, 0.01 * k]
                             for k in range(5)], dtype=torch.float64)  # fmt: skip
    assert torch.equal(drawn, expected[places])
    even = Fitted(devices=laws).without("spread").memory((10,), 1)
    assert even.start.unique().tolist() == [8.2] and even.knee.unique().tolist() == [200.0]


def test_noise_comes_with_pulses():
    law = TwoSlopes(9.0, 1e-3, 50.0, 1e-4, 0.02)
    memory = Fitted(devices=(law,)).memory((10_000,), 2)
    memory.pulse(torch.full((10_000,), 80))
    left = memory.ln_ohm[BL] - (9.0 + 0.05 + 30e-4)
    assert stats.kstest(left.numpy(), stats.norm(0, 0.02).cdf).pvalue > 0.01
    before = memory.ln_ohm.clone()
    memory.pulse(torch.zeros(10_000))
    assert torch.equal(memory.ln_ohm, before)
    quiet = Fitted(devices=(law,)).without("noise").memory((3,), 2)
    quiet.pulse(torch.full((3,), 80))
    assert quiet.ln_ohm[BL].tolist() == pytest.approx([9.053] * 3, rel=1e-12)


def test_the_example_resembles_the_device_it_was_drawn_from():
    device = Fitted.from_csv(EXAMPLE)
    assert len(device.devices) == 24
    fitted, model = device.memory((20_000,), 1), WeakReset().memory((20_000,), 1)
    for memory in (fitted, model):
        for _ in range(50):
            memory.pulse(torch.full((20_000,), 10))
    assert fitted.ohm()[BL].median().item() == pytest.approx(
        model.ohm()[BL].median().item(), rel=0.15
    )
    assert repr(device).startswith("Fitted(24 devices ") and "limit=14" in repr(device)
    assert repr(device) != repr(Fitted(devices=device.devices[:23] + device.devices[:1]))


def test_driving_beyond_the_last_point_warns_once_and_is_counted():
    laws = (fit(_train(BENT, range(0, 101, 10))), fit(_train(BENT, range(0, 201, 20))))
    device = Fitted(devices=laws)
    memory = device.memory((500,), 1)
    memory.pulse(torch.full((500,), 100))
    assert not memory.beyond.any()
    with pytest.warns(UserWarning, match=r"^Devices are driven beyond pulse 100, the last"):
        memory.pulse(torch.ones(500))
    memory.set(torch.ones(500, dtype=torch.bool))
    memory.pulse(torch.full((500,), -150))
    assert torch.equal(memory.beyond, memory.last == 100)  # BL before the SET, BLb after it
    restored = device.memory((500,), 2)
    restored.load_state_dict(memory.state_dict())
    for each in (memory, restored):
        each.pulse(torch.full((500,), -100))
    assert restored.beyond[1].all() and torch.equal(restored.beyond, memory.beyond)


def test_files_that_cannot_be_learned_with(tmp_path):
    path, rng = tmp_path / "trains.csv", np.random.default_rng(1)
    falling = TwoSlopes(9.5, -6e-4, 1e9, 0.0, 0.0)
    constant = TwoSlopes(9.0, 0.0, 1e9, 0.0, 0.0)
    for trains in (
        [_train(falling, GRID, 0.01, seed) for seed in range(5)],
        [_train(constant, GRID, 0.01, seed) for seed in range(5)],
        [PulseTrain("d", np.arange(6), np.full(6, 7000.0))] * 5,
    ):
        with pytest.raises(MeasurementError) as refused:
            Fitted.from_csv(_write(path, trains))
        assert str(refused.value) == (
            f"{path}: none of its 5 devices rises with pulses (at a level of 1%); "
            "learning needs resistances that grow"
        )
    mixed = [_train(falling, GRID, 0.01, 7), *(_train(BENT, GRID, 0.01, k) for k in range(3))]
    assert [law.slope > 0 for law in Fitted.from_csv(_write(path, mixed)).devices] == [0, 1, 1, 1]
    mixed[0].ohm[:] = np.exp(rng.normal(9, 3, len(GRID)))
    with pytest.warns(UserWarning, match=r"the noise of 1 of 4 devices is more than a factor of e"):
        Fitted.from_csv(_write(path, mixed))


@pytest.mark.parametrize("start, message", [(7.0, "7"), (2e9, "2e+09")])
def test_resistances_in_another_unit(tmp_path, start, message):
    train = PulseTrain("d", np.arange(6), start * (1 + np.arange(6) / 10))
    path = _write(tmp_path / "trains.csv", [train])
    expected = (
        f"{path}: the median resistance at the first pulse is {message}, outside 100 to 1e+09; "
        "ohm expected"
    )
    with pytest.raises(MeasurementError, match=f"^{re.escape(expected)}$"):
        read(path)


def test_trains_that_begin_late(tmp_path):
    """Memories begin at pulse 0, where nothing was measured."""
    trains = [_train(BENT, np.array(GRID) + 3000, 0.01, seed) for seed in range(2)]
    with pytest.warns(UserWarning, match=r"late.csv: 2 of 2 devices were measured late, the first"):
        Fitted.from_csv(_write(tmp_path / "late.csv", trains))
    again = [_train(TwoSlopes(1.85, 7e-4, 1e9, 0.0, 0.0), range(10_000, 12_001, 100), 0.01)]
    said = r"from pulse 10000, .* to pulse 0 the median resistance is 6\.\d* ohm, outside 100 to"
    with pytest.raises(MeasurementError, match=said):
        Fitted.from_csv(_write(tmp_path / "again.csv", again))


def test_spaces_after_commas_and_counts_as_floats(tmp_path):
    path = tmp_path / "trains.csv"
    counts = ("0", "1.0", "2e0", "10", "1e2", "1E+3")
    rows = [f"a, {count}, {7000 + k}\n" for k, count in enumerate(counts)]
    path.write_text("device, pulse , resistance_ohm\n" + "".join(rows))
    (train,) = read(path)
    assert train.pulses.tolist() == [0, 1, 2, 10, 100, 1000] and train.pulses.dtype == np.int64
    for count in ("1.5", "-1.0", "1e99", "inf", "nan", "1_0", "ten", ""):
        path.write_text(HEAD + f"a,{count},5e3\n")
        with pytest.raises(MeasurementError) as refused:
            read(path)
        assert str(refused.value) == f"{path}:2: pulse is {count!r}, not an integer from 0"


def test_rows_come_in_any_order(tmp_path):
    path = tmp_path / "trains.csv"
    rows = [f" b ,{k},{7000 + k}\na,{2 * k},{6000 + k}\n" for k in (3, 0, 5, 1, 4, 2)]
    path.write_text("device,pulse,resistance_ohm\n" + "".join(rows))
    b, a = read(path)
    assert (b.device, a.device) == ("b", "a")
    assert b.pulses.tolist() == [0, 1, 2, 3, 4, 5] and a.pulses.tolist() == [0, 2, 4, 6, 8, 10]
    assert b.ohm.tolist() == [7000 + k for k in range(6)]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", ":1: column device is missing, found []"),
        ("device,pulse,ohm\n", ":1: column resistance_ohm is missing, found ['device', 'pulse', "
         "'ohm']"),
        ("device,pulse,resistance_ohm,volts\n", ":1: unknown column 'volts'; columns are device, "
         "pulse, resistance_ohm"),
        (HEAD, " has no rows"),
        (HEAD + "a,1,5e3\na,-2,5e3\n", ":3: pulse is '-2', not an integer from 0"),
        (HEAD + "a,1.5,5e3\n", ":2: pulse is '1.5', not an integer from 0"),
        (HEAD + "a,1,5k\n", ":2: resistance_ohm is '5k', not a number from 1 to 1e12 ohm"),
        (HEAD + "a,1,nan\n", ":2: resistance_ohm is 'nan', not a number from 1 to 1e12 ohm"),
        (HEAD + ",1,5e3\n", ":2: device is empty"),
        (HEAD + "a,1\n", ":2: not 3 values"),
        (HEAD + "a,1,5e3,6\n", ":2: not 3 values"),
        (HEAD + "a,1,5e3\nb,1,5e3\na,1,6e3\n", ":4: pulse 1 of device 'a' again"),
        (HEAD + "a,1,5e3\n", ": device 'a' has 1 points, a fit needs 6"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_read(tmp_path, text, message):
    path = tmp_path / "trains.csv"
    path.write_text(text)
    with pytest.raises(MeasurementError) as refused:
        Fitted.from_csv(path)
    assert str(refused.value) == f"{path}{message}"


def test_files_that_are_no_text_and_trains_that_are_short(tmp_path):
    path = tmp_path / "trains.csv"
    path.write_bytes(HEAD.encode() + b"\xff\xfe,3,4\n")
    with pytest.raises(MeasurementError, match="is not a CSV text file"):
        read(path)
    with pytest.raises(MeasurementError, match=r"^Device 'd' has 3 points, a fit needs 6$"):
        fit(PulseTrain("d", np.arange(3), np.full(3, 7e3)))
    with pytest.raises(TypeError, match=r"^devices must be some TwoSlopes, not \(\)$"):
        Fitted(devices=())


def test_without_spread_all_are_a_typical_device():
    """The one whose law is nearest to the medians: a slope and another's knee make no device."""
    slopes = [(1e-3, 100.0, 1e-4), (4e-4, 900.0, 0.0), (6e-4, 400.0, 5e-5)]
    noises = (0.01, 0.02, 0.05)
    laws = [
        TwoSlopes(8.9, *each, noise, 1000.0) for each, noise in zip(slopes, noises, strict=True)
    ]
    device = Fitted(devices=tuple(laws)).without("spread", "noise")
    memory = device.memory((5,), 1)
    t = np.linspace(0, 1000, 65)
    curves = [law.start + _rise(law, t) for law in laws]
    middle = np.median(curves, axis=0)
    nearest = laws[int(np.argmin([np.sum((curve - middle) ** 2) for curve in curves]))]
    for name in ("slope", "knee", "tail"):
        assert memory.get_buffer(name).unique().tolist() == [getattr(nearest, name)]
    assert memory.deviation.unique().tolist() == [0.02]


def _rise(law: TwoSlopes, t: np.ndarray) -> np.ndarray:
    return law.slope * np.minimum(t, law.knee) + law.tail * np.maximum(t - law.knee, 0)


def test_pulses_may_be_counted_from_any_number():
    """Neither a slope nor the noise depends on where counting began."""
    rng = np.random.default_rng(2)
    t = np.arange(0, 1300, 100)
    ohm = 7000 * np.exp(1e-3 * np.minimum(t, 500) + 1e-4 * np.maximum(t - 500, 0))
    ohm *= np.exp(rng.normal(0, 0.006, len(t)))
    near, far = (fit(PulseTrain("a", t + shift, ohm)) for shift in (0, 10**12))
    for name in ("slope", "tail", "noise"):
        assert getattr(far, name) == pytest.approx(getattr(near, name), rel=1e-3)
