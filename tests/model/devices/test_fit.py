# SPDX-License-Identifier: BSD-2-Clause
"""Cells from measured resistances; the example file of the documentation."""

import math
from pathlib import Path

import numpy as np
import pytest

from twincell.model.devices import fit
from twincell.model.devices.fit import MeasurementError

EXAMPLE = Path(__file__).parents[3] / "docs" / "example-resistances.csv"
# Median in ohm and sigma of ln R, of LRS and HRS.
CONDITIONS = {"strong": ((5e3, 0.15), (100e3, 0.6)), "weak": ((16.7e3, 0.27), (40e3, 0.39))}


def example(cycles: int = 100) -> str:
    """The example file: lognormal resistances of a generator with seed 20260101."""
    rng = np.random.default_rng(20260101)
    rows = ["state,resistance_ohm,cycle,condition"]
    for condition, states in CONDITIONS.items():
        for cycle in range(1, cycles + 1):
            for name, (median, sigma) in zip(("LRS", "HRS"), states, strict=True):
                rows.append(
                    f"{name},{rng.lognormal(math.log(median), sigma):.0f},{cycle},{condition}"
                )
    return "\n".join(rows) + "\n"


def test_the_example_is_what_its_seed_makes():
    assert EXAMPLE.read_text() == example()


def test_the_example_fits():
    read = fit.read(EXAMPLE)
    for condition, states in CONDITIONS.items():
        fitted = fit.fit(read.of_condition(condition), confidence=0.999)
        for state, (median, sigma) in zip((fitted.lrs, fitted.hrs), states, strict=True):
            assert state.count == 100
            assert state.mu_interval[0] < math.log(median) < state.mu_interval[1]
            assert state.sigma_interval[0] < sigma < state.sigma_interval[1]
            assert state.mu_interval[0] < state.law.mu < state.mu_interval[1]
            assert state.ks[1] > 0.01 and state.ad[1] > 0.01
        assert fitted.cell().resistance == fitted.resistance()
    assert fitted.cell("1T1R", offset=0.1).error_rate() > fitted.cell("2T2R").error_rate()
    assert fitted.cell("2T2R-ternary", threshold=25e3).transitions().shape == (3, 3)


def test_small_samples_are_fitted_without_bias():
    """The square of sigma is unbiased: its mean over 2,000 samples of 8."""
    logs = np.random.default_rng(0).normal(9, 0.3, (2000, 8))
    laws = [fit.lognormal_intervals(row, 0.9)[0] for row in logs]
    assert np.mean([law.sigma**2 for law in laws]) == pytest.approx(0.09, rel=0.04)
    assert laws[0].sigma == pytest.approx(math.sqrt(np.sum((logs[0] - laws[0].mu) ** 2) / 7))


def test_intervals_cover_as_often_as_they_say():
    """At 90 %, of 300 seeded files."""
    rng = np.random.default_rng(0)
    logs = rng.normal(9, 0.3, (300, 40))
    made = [fit.lognormal_intervals(row, 0.9) for row in logs]
    mu = np.mean([low < 9 < high for _, (low, high), _ in made])
    sigma = np.mean([low < 0.3 < high for _, _, (low, high) in made])
    assert 0.85 < mu < 0.95 and 0.85 < sigma < 0.95


def _write(tmp_path, text):
    path = tmp_path / "measured.csv"
    path.write_text(text)
    return path


def _rows(lrs, hrs):
    return "state,resistance_ohm\n" + "".join(
        f"{name},{ohm!r}\n" for name, values in (("LRS", lrs), ("HRS", hrs)) for ohm in values
    )


def test_what_is_not_lognormal_is_noticed(tmp_path):
    rng = np.random.default_rng(1)
    two_groups = np.concatenate([rng.normal(5e4, 1e3, 100), rng.normal(5e5, 1e3, 100)]).tolist()
    fitted = fit.fit(
        fit.read(_write(tmp_path, _rows(rng.lognormal(8, 0.1, 200).tolist(), two_groups)))
    )
    assert fitted.hrs.ks[1] < 0.01 and fitted.hrs.ad[1] < 0.01
    assert fitted.lrs.ks[1] > 0.01 and fitted.lrs.ad[1] > 0.01


def test_many_values_are_fitted_whole_and_tested_in_part(tmp_path):
    rng = np.random.default_rng(2)
    count = fit.TESTED + 1000
    hrs = np.repeat([False, True], count)
    ohm = rng.lognormal(9, 0.3, 2 * count) * np.where(hrs, 10, 1)
    measured = fit.Measurements(hrs, ohm, np.zeros(len(hrs), np.int64), np.full(len(hrs), ""))
    fitted = fit.fit(measured)
    assert fitted.lrs.count == fitted.hrs.count == count
    assert fitted.hrs.law.mu == pytest.approx(9 + math.log(10), abs=0.02)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", ":1: column state is missing, found []"),
        ("state,ohm\nLRS,5\n", ":1: column resistance_ohm is missing, found ['state', 'ohm']"),
        ("state,resistance_ohm,volts\n", ":1: unknown column 'volts'; columns are state, "
         "resistance_ohm, cycle, condition"),
        ("state,resistance_ohm\n", " has no rows"),
        ("state,resistance_ohm\nLRS,5e3\nlow,5e3\n", ":3: state is 'low', not LRS or HRS"),
        ("state,resistance_ohm\nLRS,5k\n",
         ":2: resistance_ohm is '5k', not a number from 1 to 1e12 ohm"),
        ("state,resistance_ohm\nLRS,nan\n",
         ":2: resistance_ohm is 'nan', not a number from 1 to 1e12 ohm"),
        ("state,resistance_ohm\nLRS,-5e3\n",
         ":2: resistance_ohm is '-5e3', not a number from 1 to 1e12 ohm"),
        ("state,resistance_ohm,cycle\nLRS,5e3,1.5\n", ":2: cycle is '1.5', not an integer from 0"),
        ("state,resistance_ohm\nLRS,5e3\nHRS\n", ":3: not 2 values"),
        ("state,resistance_ohm\nLRS,5e3,7\n", ":2: not 2 values"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_read(tmp_path, text, message):
    path = _write(tmp_path, text)
    with pytest.raises(MeasurementError) as refused:
        fit.read(path)
    assert str(refused.value) == f"{path}{message}"


def test_files_that_are_no_text(tmp_path):
    path = tmp_path / "measured.csv"
    path.write_bytes(b"state,resistance_ohm\n\xff\xfe,3\n")
    with pytest.raises(MeasurementError, match="is not a CSV text file"):
        fit.read(path)


@pytest.mark.parametrize(
    "text, message",
    [
        (_rows([5e3] * 7, range(10_000, 10_010)),
         "LRS has 7 values of 1 sizes; a fit needs 8, not all equal"),
        (_rows(range(10_000, 10_010), [5e3] * 9),
         "HRS has 9 values of 1 sizes; a fit needs 8, not all equal"),
        (EXAMPLE, "Choose one condition of 'strong', 'weak'"),
    ],
)  # fmt: skip
def test_measurements_that_cannot_be_fitted(tmp_path, text, message):
    path = text if isinstance(text, Path) else _write(tmp_path, text)
    with pytest.raises(MeasurementError) as refused:
        fit.fit(fit.read(path))
    assert str(refused.value) == message


def test_states_the_wrong_way_round_and_cells_that_are_not_fitted(tmp_path):
    rng = np.random.default_rng(3)
    text = _rows(rng.lognormal(12, 0.1, 20).tolist(), rng.lognormal(8, 0.1, 20).tolist())
    fitted = fit.fit(fit.read(_write(tmp_path, text)))
    with pytest.raises(MeasurementError, match="below the LRS median"):
        fitted.cell()
    with pytest.raises(ValueError, match=r"^A fitted cell is one of 1T1R, 2T2R, 2T2R-ternary, not"):
        fitted.cell("ST-MRAM")
    with pytest.raises(
        MeasurementError, match=r"^There is no condition 'none', only strong, weak$"
    ):
        fit.read(EXAMPLE).of_condition("none")
