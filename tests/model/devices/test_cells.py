# SPDX-License-Identifier: BSD-2-Clause
"""Closed forms against Monte Carlo through the physics, and limits.

Every transition probability of 24 random settings of a cell is compared with 100,000 drawn devices.
The exact binomial intervals of a test are Bonferroni-corrected to hold together at 99 %, and of the
uncorrected 99 % intervals no more may fail than chance allows. Seeds are fixed.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtr

from twincell.model.devices.cell import sign_change
from twincell.model.devices.junction import Junction
from twincell.model.devices.magnetic import MagneticDifferential, MagneticSingleEnded, Write
from twincell.model.devices.resistive import (
    Differential,
    SingleEnded,
    TernaryDifferential,
    optimal_reference,
)
from twincell.model.devices.rram import Lognormal, Programming, Resistance
from twincell.model.devices.sensing import Sensing

SETTINGS, DRAWN = 24, 100_000


def _resistance(rng) -> Resistance:
    lrs = Lognormal(rng.uniform(8, 10), rng.uniform(0.1, 0.8))
    return Resistance(lrs, Lognormal(lrs.mu + rng.uniform(0, 2.5), rng.uniform(0.2, 1.0)))


def _single_ended(rng) -> SingleEnded:
    states = _resistance(rng)
    ohm = math.exp(rng.uniform(states.lrs.mu, states.hrs.mu))
    reference = rng.choice(["equal-tail", "optimal", ohm]) if rng.random() < 0.6 else ohm
    reference = reference if reference in ("equal-tail", "optimal") else float(reference)
    return SingleEnded(states, reference, rng.uniform(0, 0.5), rng.uniform(0.05, 0.5))


def _differential(rng) -> Differential:
    return Differential(_resistance(rng), rng.uniform(0, 0.5), rng.uniform(0.05, 0.5))


def _ternary(rng) -> TernaryDifferential:
    states = _resistance(rng)
    threshold = math.exp(rng.uniform(states.lrs.mu - 0.5, states.hrs.mu + 0.5))
    return TernaryDifferential(states, threshold, rng.uniform(0, 0.5))


def _write(rng) -> Write:
    junction = Junction(stability=rng.uniform(30, 80), damping=rng.uniform(0.005, 0.02))
    current = rng.uniform(1.6, 4) * junction.critical_current
    width = junction.width_for(current, 10 ** rng.uniform(-2.5, -0.5))
    return Write(junction, current, width, rng.uniform(0, 1.5), rng.uniform(0.3, 1))


def _magnetic(kind):
    def make(rng):
        return kind(_write(rng), rng.uniform(0.05, 0.4), rng.uniform(0, 0.3), rng.uniform(0.1, 0.5))

    return make


CELLS = {
    "1T1R": _single_ended,
    "2T2R": _differential,
    "2T2R-ternary": _ternary,
    "ST-MRAM": _magnetic(MagneticSingleEnded),
    "ST-MRAM-differential": _magnetic(MagneticDifferential),
}


def _interval(counts, trials, confidence):
    """Clopper-Pearson."""
    tail = (1 - confidence) / 2
    low = np.where(counts > 0, stats.beta.ppf(tail, counts, trials - counts + 1), 0)
    high = np.where(counts < trials, stats.beta.isf(tail, counts + 1, trials - counts), 1)
    return low, high


def _agree(expected, counts, trials) -> None:
    """All expected probabilities lie in the intervals of their counts."""
    expected, counts = np.array(expected), np.array(counts)
    low, high = _interval(counts, trials, 1 - 0.01 / len(counts))
    outside = np.flatnonzero((expected < low) | (expected > high))
    assert not len(outside), (expected[outside], counts[outside] / trials)
    low, high = _interval(counts, trials, 0.99)
    apart = int(((expected < low) | (expected > high)).sum())
    assert apart <= stats.binom.ppf(0.999, len(counts), 0.01), f"{apart} of {len(counts)}"


@pytest.mark.parametrize("kind", CELLS)
def test_closed_forms_agree_with_drawn_devices(kind):
    rng = np.random.default_rng([1, list(CELLS).index(kind)])
    expected, counts = [], []
    for _ in range(SETTINGS):
        cell = CELLS[kind](rng)
        matrix = cell.transitions()
        assert matrix.dtype == np.float64 and np.allclose(matrix.sum(axis=1), 1, rtol=1e-12)
        for state, row in enumerate(matrix):
            sensed = cell.sample(rng, np.full(DRAWN, state))
            assert sensed.dtype == np.uint8
            expected += row.tolist()
            counts += np.bincount(sensed, minlength=len(row)).tolist()
    _agree(expected, counts, DRAWN)


@pytest.mark.parametrize("kind", ["1T1R", "2T2R"])
def test_read_errors_agree_with_noisy_reads(kind):
    rng = np.random.default_rng([2, list(CELLS).index(kind)])
    expected, counts = [], []
    for _ in range(SETTINGS):
        cell = CELLS[kind](rng)
        programmed = np.repeat([0, 1], DRAWN // 2)
        expected.append(cell.read_error_rate())
        counts.append(cell.sample_read_errors(rng, programmed).sum())
    _agree(expected, counts, DRAWN)


def _integral(density, low, high) -> float:
    """By the trapezoidal rule on a million points."""
    x = np.linspace(low, high, 1_000_001)
    return float(np.trapezoid(density(x), x))


@pytest.mark.parametrize(
    "mean, sd, noise", [(2, 0.3, 0.1), (1, 1, 1), (3, 0.05, 0.6), (0.5, 2, 0.01)]
)
def test_sign_changes_in_the_tails(mean, sd, noise):
    def density(d):
        return stats.norm.pdf(d, mean, sd) * ndtr(-np.abs(d) / noise)

    reach = 40 * min(noise, sd)
    exact = _integral(density, -reach, 0) + _integral(density, 0, max(mean, 0) + reach)
    assert sign_change(mean, sd, noise) == pytest.approx(exact, rel=1e-6, abs=0)
    assert sign_change(-mean, sd, noise) == pytest.approx(exact, rel=1e-6, abs=0)
    assert sign_change(0, sd, noise) == pytest.approx(math.atan(noise / sd) / math.pi)
    assert sign_change(mean, sd, 0.0) == 0


PAPER = Resistance(Lognormal.of(5e3, 0.15), Lognormal.of(100e3, 0.60))


@pytest.mark.parametrize(
    "threshold, expected",  # the errors of 0, of +-1 read as 0, and the swaps
    [
        (10e3, (1.4e-4, 1.5e-5, 8.7e-7)),
        (20e3, (7.7e-3, 3.1e-17, 8.7e-7)),
        (40e3, (0.125, 2.1e-36, 8.7e-7)),
    ],
)
def test_ternary_errors_at_the_reference_points(threshold, expected):
    cell = TernaryDifferential(PAPER, threshold, 0.1)
    errors = (cell.zero_read_as_one(), cell.one_read_as_zero(), cell.swapped())
    assert errors == pytest.approx(expected, rel=0.05, abs=0)
    assert np.array_equal(cell.transitions(), cell.transitions()[::-1, ::-1])  # +1 and -1 alike


def test_an_unlimited_window_is_the_binary_cell():
    binary = Differential(PAPER, 0.1).error_rate()
    limit = TernaryDifferential(PAPER, 1e30, 0.1)
    assert limit.swapped() == pytest.approx(binary, rel=1e-9, abs=0)
    assert limit.one_read_as_zero() == 0
    assert np.allclose(limit.transitions()[1], [0.5, 0, 0.5])
    assert np.allclose(TernaryDifferential(PAPER, 1.0).transitions()[:, 1], 1)  # nothing resolves


def test_swaps_against_a_fine_grid():
    rng = np.random.default_rng(3)
    for _ in range(20):
        low, high = np.exp(rng.uniform(-4, 1, 2))
        d, top = rng.uniform(0, 6), 9 + rng.uniform(-2, 7)
        states = Resistance(Lognormal(9, low), Lognormal(9 + d, high))

        def density(x, low=low, high=high, d=d):
            return stats.norm.pdf(x, 9 + d, high) * ndtr((9 - x) / low)

        exact = _integral(density, 9 + d - 38 * high, top)
        swapped = TernaryDifferential(states, math.exp(top)).swapped()
        assert swapped == pytest.approx(exact, rel=1e-6, abs=1e-300)


def test_the_table_of_single_ended_and_differential_cells():
    """(s_L, s_H, d) to 1T1R and 2T2R error rates, and 2T2R = Q(Qinv(1T1R) (1+k) / sqrt(1+k^2))."""
    for low, high, d, single, double in (
        (0.3, 0.3, 2, 4.3e-4, 1.2e-6),
        (0.15, 0.6, 2, 3.8e-3, 6.1e-4),
        (0.1, 0.8, 2, 1.3e-2, 6.6e-3),
    ):
        states = Resistance(Lognormal(9, low), Lognormal(9 + d, high))
        assert SingleEnded(states).error_rate() == pytest.approx(single, rel=0.05, abs=0)
        assert Differential(states).error_rate() == pytest.approx(double, rel=0.05, abs=0)
        k = high / low
        z = -stats.norm.ppf(SingleEnded(states).error_rate()) * (1 + k) / math.hypot(1, k)
        assert Differential(states).error_rate() == pytest.approx(ndtr(-z), rel=1e-9, abs=0)


@pytest.mark.parametrize(
    "p, printed",  # 2T2R at k = 1, 2, 4
    [
        (3.3e-2, ("4.7e-03", "6.8e-03", "1.3e-02")),
        (1e-2, ("5.0e-04", "9.0e-04", "2.4e-03")),
        (3e-3, ("5.1e-05", "1.1e-04", "4.3e-04")),
        (1e-3, ("6.2e-06", "1.7e-05", "8.9e-05")),
        (1e-4, ("7.2e-08", "3.0e-07", "3.2e-06")),
        (1e-5, ("8.1e-10", "5.3e-09", "1.2e-07")),
    ],
)
def test_the_printed_table_of_2t2r_against_1t1r(p, printed):
    for k, digits in zip((1, 2, 4), printed, strict=True):
        d = -stats.norm.ppf(p) * 0.2 * (1 + k)
        states = Resistance(Lognormal(9, 0.2), Lognormal(9 + d, 0.2 * k))
        assert SingleEnded(states).error_rate() == pytest.approx(p, rel=1e-9, abs=0)
        assert f"{Differential(states).error_rate():.1e}" == digits


def test_the_optimal_reference_is_the_best():
    rng = np.random.default_rng(4)
    for _ in range(50):
        cell = _single_ended(rng)
        best = replace(cell, reference="optimal").error_rate()
        for ohm in np.exp(np.linspace(5, 14, 40)):
            assert best <= replace(cell, reference=float(ohm)).error_rate() + 1e-12
        assert best <= replace(cell, reference="equal-tail").error_rate() + 1e-12
        equal = replace(cell, reference="equal-tail").transitions()
        assert equal[0, 1] == pytest.approx(equal[1, 0], rel=1e-9, abs=0)
    assert optimal_reference((1.0, 0.3), (3.0, 0.3)) == 2.0


@pytest.mark.parametrize("kind", [SingleEnded, Differential])
def test_limits_of_spread_and_offset(kind):
    huge = Resistance(Lognormal(9, 20.0), Lognormal(9.1, 20.0))
    assert kind(huge).error_rate() == pytest.approx(0.5, abs=0.002)
    assert kind(PAPER, offset=0.0).error_rate() == kind(PAPER).error_rate()
    rates = [kind(PAPER, offset=offset).error_rate() for offset in (0, 0.1, 0.3, 1, 10)]
    assert rates == sorted(rates) and rates[-1] > 0.3


@pytest.mark.parametrize("kind", ["2T2R", "ST-MRAM-differential", "ST-MRAM"])
def test_binary_cells_err_alike_in_both_states(kind):
    matrix = CELLS[kind](np.random.default_rng(5)).transitions()
    assert matrix[0, 1] == pytest.approx(matrix[1, 0], rel=1e-9, abs=0)


def test_two_junctions_do_not_save_write_errors():
    write = Write(Junction(), 50e-6, Junction().width_for(50e-6, 1e-3))
    for kind in (MagneticSingleEnded, MagneticDifferential):
        assert kind(write).error_rate() == pytest.approx(1e-3, rel=1e-6, abs=0)


def test_read_errors_of_junctions_are_noise_or_disturb():
    write = Write(Junction(), 50e-6, Junction().width_for(50e-6, 1e-3))
    right = replace(write, switching=0.0)
    current = 0.8 * Junction().critical_current
    for kind in (MagneticSingleEnded, MagneticDifferential):
        assert kind(write).read_error_rate() < 1e-20
        disturbed = kind(write, read_current=current, read_time=10e-9)
        noisy = kind(right, offset=0.5, noise=0.5)
        assert disturbed.read_error_rate() == pytest.approx(
            Junction().read_disturb(current, 10e-9), rel=1e-9
        )
        assert noisy.read_error_rate() == pytest.approx(noisy.sense().read_error_rate())
        both = replace(noisy, read_current=current, read_time=10e-9).read_error_rate()
        p, q = disturbed.read_error_rate(), noisy.read_error_rate()
        assert both == pytest.approx(p * (1 - q) + q * (1 - p), rel=1e-9, abs=0)


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.4])
def test_noise_turns_pairs_of_equal_states(noise):
    """A pair of which one write failed has hardly a margin."""
    write = Write(Junction(), 50e-6, Junction().width_for(50e-6, 2e-2), spread=0.5)
    cell = MagneticDifferential(write, resistance_sigma=0.08, offset=0.03, noise=noise)
    rng = np.random.default_rng(7)
    margins = cell.margins(rng, rng.integers(0, 2, 400_000))
    turned = (margins > 0) != (margins + rng.normal(0.0, noise, margins.shape) > 0)
    _agree([cell.read_error_rate()], [turned.sum()], len(turned))
    assert cell.read_error_rate() > 10 * cell.sense().read_error_rate() or noise > 0.3


def test_random_former_contents_halve_write_errors():
    write = Write(Junction(), 50e-6, 1e-8, spread=0.4)
    assert replace(write, switching=0.5).error_rate() == write.error_rate() / 2


def test_sense_windows_grow_with_time_and_supply():
    assert Sensing(0.6, 20e-9).largest_resistance() == pytest.approx(23.73e3, rel=1e-3, abs=0)
    by_time = [Sensing(0.7, t).largest_resistance() for t in (5e-9, 10e-9, 50e-9, 1e-6)]
    by_supply = [Sensing(v, 20e-9).largest_resistance() for v in (0.6, 0.7, 0.9, 1.2)]
    assert by_time == sorted(by_time) and by_supply == sorted(by_supply)
    # Twice the capacitance takes twice the time.
    double = Sensing(0.7, 40e-9, capacitance=1.2e-12).largest_resistance()
    assert double == pytest.approx(Sensing(0.7, 20e-9).largest_resistance())
    with pytest.raises(ValueError, match=r"^In 1e-09 s at 0.5 V no branch discharges: the path of"):
        Sensing(0.5, 1e-9)


def test_what_is_refused():
    programming = Programming(100e-6, 2.5, 100e-9)
    cell = Differential(programming)
    for bad in ([2], [-1], [0.5]):
        with pytest.raises(ValueError, match=r"^Programmed states are indices 0 to 1$"):
            cell.sample(np.random.default_rng(0), np.array(bad))
    for make, message in (
        (lambda: replace(programming, reset_voltage=5), "reset_voltage is 5 V, outside 1 to 3 V"),
        (lambda: replace(programming, compliance_current=1e-6),
         "compliance_current is 1e-06 A, outside 2e-05 to 0.0002 A"),
        (lambda: replace(programming, reset_width=float("nan")),
         "reset_width is nan s, outside 1e-08 to 1e-05 s"),
        (lambda: replace(programming, cycles=-1), "cycles is -1 cycles, outside 0 to 1e+10 cycles"),
        (lambda: Differential(programming, offset=-0.1),
         "offset is -0.1 ln ohm, outside 0 to 10 ln ohm"),
        (lambda: SingleEnded(programming, "best"),
         "reference is ohm, equal-tail or optimal, not 'best'"),
        (lambda: SingleEnded(programming, 0.1), "reference is 0.1 ohm, outside 1 to 1e+30 ohm"),
        (lambda: TernaryDifferential(programming, math.inf),
         "threshold is inf ohm, outside 1 to 1e+30 ohm"),
        (lambda: Sensing(0.3, 1e-8), "supply is 0.3 V, outside 0.4 to 1.3 V"),
        (lambda: Sensing(0.6, 1e-3), "sense_time is 0.001 s, outside 1e-09 to 1e-06 s"),
        (lambda: Write(Junction(), 30e-6, 1e-8),
         "current of the corrected model is 3e-05 A, outside 3.77564e-05 to 0.000251709 A"),
        (lambda: MagneticSingleEnded(Write(Junction(), 50e-6, 1e-8), read_current=30e-6),
         "current of the thermal model is 3e-05 A, outside 0 to 2.49192e-05 A"),
        (lambda: Resistance(Lognormal(9, 1), Lognormal(8, 1)),
         "The HRS median 2980.96 ohm is below the LRS median 8103.08 ohm: there is no window to "
         "sense"),
        (lambda: Programming(20e-6, 1.0, 10e-9, 1e10), "The HRS median"),
    ):  # fmt: skip
        with pytest.raises(ValueError) as refused:
            make()
        assert str(refused.value).startswith(message)
    for make, message in (
        (lambda: replace(programming, cycles="many"), "cycles must be a number in cycles, not "),
        (lambda: replace(programming, cycles=True), "cycles must be a number in cycles, not True"),
        (lambda: Differential(3), "resistance must be Resistance or Programming, not 3"),
    ):
        with pytest.raises(TypeError) as refused:
            make()
        assert str(refused.value).startswith(message)
