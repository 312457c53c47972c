# SPDX-License-Identifier: BSD-2-Clause
"""Devices from measured pulse trains: what is fitted comes back, and files that cannot be read."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from twincell.model.devices.fit import MeasurementError
from twincell.model.learning.devices.fitted import Fitted, PulseTrain, TwoSlopes, fit, read
from twincell.model.learning.devices.memory import BL
from twincell.model.learning.devices.weak_reset import WeakReset

EXAMPLE = Path(__file__).parents[3] / "docs" / "example-pulse-trains.csv"
HEAD = "device,pulse,resistance_ohm\n"


def _train(law: TwoSlopes, pulses, noise=0.0, seed=0) -> PulseTrain:
    t = np.array(pulses)
    logs = law.start + law.slope * np.minimum(t, law.knee) + law.tail * np.maximum(t - law.knee, 0)
    logs = logs + noise * np.random.default_rng(seed).normal(size=len(t))
    return PulseTrain("d", t, np.exp(logs))


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


def test_a_straight_device_has_one_slope():
    found = fit(_train(TwoSlopes(8.8, 5e-4, 1e9, 0.0, 0.0), [0, 3, 10, 30, 100, 300, 1000]))
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
