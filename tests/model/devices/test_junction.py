# SPDX-License-Identifier: BSD-2-Clause
"""Write errors of a junction: the solver at its reference points, the closed forms against it."""

import math

import numpy as np
import pytest

from twincell.model.devices import fokker_planck
from twincell.model.devices.junction import MODELS, Junction

# (i, times in t_D, write error rates) at Delta = 60, of another finite-volume solution.
REFERENCE = [
    (2.0, (3.0, 4.5, 6.0, 7.5), (0.110, 5.6e-3, 2.73e-4, 1.33e-5)),
    (1.5, (6.0, 9.0, 12.0), (4.17e-2, 1.84e-3, 8.0e-5)),
]
YEARS_10 = 10 * 365.25 * 86400


def _rates(i, times, model):
    junction = Junction()
    width = np.array(times) * junction.time_constant
    return junction.write_error_rate(i * junction.critical_current, width, model)


@pytest.mark.parametrize("i, times, expected", REFERENCE)
def test_the_solver_at_the_reference_points(i, times, expected):
    assert _rates(i, times, "fokker-planck") == pytest.approx(expected, rel=0.05, abs=0)


def test_closed_forms_over_the_solver_are_those_of_the_page():
    """docs/devices.md: Delta 60, nominal rates of the corrected form from 1e-1 to 1e-5."""
    page = {
        2.0: {"corrected": (1.02, 1.10), "butler": (1.54, 1.71)},
        1.5: {"corrected": (1.06, 1.63), "butler": (2.54, 4.22)},
    }
    junction = Junction()
    for i, forms in page.items():
        rates = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
        widths = [junction.width_for(i * junction.critical_current, rate) for rate in rates]
        times = [width / junction.time_constant for width in widths]
        solved = _rates(i, times, "fokker-planck")
        for form, limits in forms.items():
            ratios = _rates(i, times, form) / solved
            assert (ratios.min(), ratios.max()) == pytest.approx(limits, abs=0.01)


@pytest.mark.parametrize("i, factor", [(2.0, 1.15), (1.5, 1.5)])
def test_the_corrected_form_is_near_the_solver(i, factor):
    times = next(times for each, times, _ in REFERENCE if each == i)
    ratio = _rates(i, times, "corrected") / _rates(i, times, "fokker-planck")
    assert (ratio >= 1).all() and (ratio <= factor).all()


def test_the_uncorrected_form_is_conservative():
    """Published prefactor: 1.07 at i = 3, 1.6 to 1.75 at i = 2, 2.8 to 4.9 at i = 1.5."""
    for i, least, most in ((3.0, 1.0, 1.2), (2.0, 1.45, 1.8), (1.5, 2.5, 5.0)):
        times = Junction().width_for(i * Junction().critical_current, 1e-4)
        times = [times / Junction().time_constant]
        assert least < _rates(i, times, "butler") / _rates(i, times, "fokker-planck") < most


@pytest.mark.parametrize("i, time", [(3.0, 6.5), (2.0, 6.0), (1.5, 24.0), (1.0, 30.0), (0.8, 50.0)])
@pytest.mark.parametrize("stability", [40, 80])
def test_the_solver_has_converged(i, time, stability):
    coarse = fokker_planck.write_error_rates(i, [time], stability)
    fine = fokker_planck.write_error_rates(i, [time], stability, cells=1200, step=0.005)
    assert coarse == pytest.approx(fine, rel=0.01, abs=0)


def test_the_solver_conserves_probability_and_its_stops_do_not_matter():
    faces = np.linspace(0, np.pi, 601)
    bands = fokker_planck._generator(2.0, 60.0, faces, -np.diff(np.cos(faces)))
    out = bands[1].copy()
    out[:-1] += bands[2, :-1]
    out[1:] += bands[0, 1:]
    assert np.abs(out).max() < 1e-12 * np.abs(bands).max()
    times = np.array([0.0, 1.0, 2.5, 4.0])
    rates = fokker_planck.write_error_rates(2.0, times, 60.0)
    assert rates[0] == pytest.approx(1) and (np.diff(rates) < 0).all()
    for time, rate in zip(times, rates, strict=True):
        alone = fokker_planck.write_error_rates(2.0, [time], 60.0)
        assert alone == pytest.approx(rate, rel=1e-4, abs=0)


def test_without_current_the_equilibrium_stays():
    """The start is the equilibrium of the well, which no current leaves alone: i -> 0."""
    rate = fokker_planck.write_error_rates(1e-9, [20.0], 60.0)
    assert rate == pytest.approx(1, abs=1e-9)
    faces = np.linspace(0, np.pi, 601)
    volumes = -np.diff(np.cos(faces))
    start = fokker_planck._thermal_start(60.0, faces, volumes)
    still = fokker_planck._generator(1e-9, 60.0, faces, volumes)
    end = fokker_planck._advance(still, start, 0.01, 2000)
    assert np.abs(end - start).sum() < 1e-3


def test_material_parameters_to_current_and_time():
    junction = Junction()
    assert junction.critical_current == pytest.approx(25e-6, rel=0.02, abs=0)
    assert junction.time_constant == pytest.approx(1.9e-9, rel=0.01, abs=0)
    double = Junction(stability=120)
    assert double.critical_current == pytest.approx(2 * junction.critical_current)
    assert junction.antiparallel_resistance == pytest.approx(6e3 * 3.571)


@pytest.mark.parametrize(
    "i, expected",  # pulse in t_D with the uncorrected prefactor for 1e-2, 1e-3, 1e-4, 1e-6, 1e-8
    [
        (1.5, (8.50, 10.81, 13.11, 17.71, 22.32)),
        (2.0, (4.45, 5.61, 6.76, 9.06, 11.36)),
        (3.0, (2.30, 2.87, 3.45, 4.60, 5.75)),
    ],
)
def test_pulse_lengths_of_the_uncorrected_form(i, expected):
    rates = _rates(i, expected, "butler")
    assert rates == pytest.approx((1e-2, 1e-3, 1e-4, 1e-6, 1e-8), rel=0.02, abs=0)


@pytest.mark.parametrize("i", [1.5, 2.0, 3.0, 8.0])
@pytest.mark.parametrize("rate", [0.3, 1e-3, 1e-8, 1e-14])
def test_width_for_inverts_the_error_rate(i, rate):
    junction = Junction()
    current = i * junction.critical_current
    width = junction.width_for(current, rate)
    assert junction.write_error_rate(current, width) == pytest.approx(rate, rel=1e-6, abs=0)


def test_relaxed_writes_take_half_the_energy():
    junction = Junction()
    for i in (1.5, 2.0, 3.0):
        current = i * junction.critical_current
        strong, weak = (junction.width_for(current, rate) for rate in (1e-8, 1e-3))
        saved = junction.write_energy(current, strong) / junction.write_energy(current, weak)
        assert 1.9 < saved < 2.2
    assert junction.write_energy(1e-4, 1e-8) == pytest.approx(13713 * 1e-8 * 1e-8)


def test_thermal_regime_retention_and_read_disturb():
    junction = Junction(stability=54)
    # Ten years at 1e-6 a bit and 1 ns need a stability of about 54.
    assert 0.5e-6 < junction.retention_error(YEARS_10) < 2e-6
    rate = 1 / (1e-9 * math.exp(54))
    assert junction.retention_error(1.0) == pytest.approx(rate, rel=1e-9, abs=0)
    assert junction.retention_error(1e30) == pytest.approx(0.5)
    half = 0.5 * junction.critical_current
    escape = 1e-9 * math.exp(54 * 0.25)
    assert junction.read_disturb(half, 1e-8) == pytest.approx(1e-8 / escape, rel=1e-3, abs=0)
    assert junction.write_error_rate(half, escape, "thermal") == pytest.approx(math.exp(-1))
    compact = Junction(stability=54, barrier_exponent=1.0)
    assert compact.read_disturb(half, 1e-8) < junction.read_disturb(half, 1e-8)
    disturbs = [junction.read_disturb(x * junction.critical_current, 1e-8) for x in (0, 0.3, 0.8)]
    assert disturbs == sorted(disturbs)


def test_heat_eases_writes_and_shortens_retention():
    cold, room, hot = (Junction(stability=54, temperature=kelvin) for kelvin in (250, 300, 350))
    assert cold.critical_current == room.critical_current == hot.critical_current
    assert hot.thermal_stability == pytest.approx(54 * 300 / 350)
    current, width = 2 * room.critical_current, room.width_for(2 * room.critical_current, 1e-3)
    writes = [float(each.write_error_rate(current, width)) for each in (hot, room, cold)]
    losses = [each.retention_error(YEARS_10) for each in (cold, room, hot)]
    assert writes == sorted(writes) and writes[0] < writes[-1]
    # ln of the escape time is linear in 1 / T.
    assert losses[2] / losses[1] == pytest.approx(math.exp(54 - 54 * 300 / 350), rel=1e-2, abs=0)
    assert losses == sorted(losses)


def test_shapes():
    rates = {model: _rates(0.9 if model == "thermal" else 2, [[3, 1], [2, 3]], model)
             for model in MODELS}  # fmt: skip
    for rate in rates.values():
        assert rate.shape == (2, 2) and rate.dtype == np.float64
        assert rate[0, 0] == rate[1, 1] < rate[1, 0] < rate[0, 1]


def test_what_is_refused():
    junction = Junction()
    for make, message in (
        (lambda: junction.write_error_rate(50e-6, 1e-8, "sun"),
         "The model is one of corrected, butler, fokker-planck, thermal, not 'sun'"),
        (lambda: junction.write_error_rate(30e-6, 1e-8),
         "current of the corrected model is 3e-05 A, outside 3.77564e-05 to 0.000251709 A"),
        (lambda: junction.write_error_rate(50e-6, -1e-8), "Pulse widths must not be negative"),
        (lambda: junction.read_disturb(26e-6, 1e-9),
         "current of the thermal model is 2.6e-05 A, outside 0 to 2.49192e-05 A"),
        (lambda: Junction(stability=5), "stability is 5, outside 20 to 120"),
        (lambda: Junction(anisotropy_field=3), "anisotropy_field is 3 T, outside 0.01 to 2 T"),
        (lambda: junction.width_for(50e-6, 0.9), "error_rate is 0.9, outside 1e-15 to 0.5"),
        (lambda: fokker_planck.write_error_rates(2, [2, 1], 60),
         "times must be one axis of ascending numbers from 0"),
        (lambda: fokker_planck.write_error_rates(2, [1], 60, cells=3),
         "cells must be even, so that pi/2 is a face, not 3"),
        (lambda: fokker_planck.write_error_rates(-2, [1], 60),
         "overdrive must be positive, not -2"),
    ):  # fmt: skip
        with pytest.raises(ValueError) as refused:
            make()
        assert str(refused.value) == message
