# SPDX-License-Identifier: BSD-2-Clause
"""Statistics of the bit errors: independent, and each with the rate asked for.

Seeds are fixed, so a test passes or fails for good. Each is of significance ``LEVEL``: a perfect
generator would fail one in so many. The short runs are of 2^23 bits a rate, the long of 2^30.
"""

import numpy as np
import pytest
from scipy import stats

from twincell.model.generators import error_positions, gap_table, start, starts_of_images

LEVEL = 1e-3
RATES = [1e-3, 0.02, 0.1, 0.5]
COLUMNS = 64
READS = 1 << 12  # of an image
RUNS = [pytest.param(32, id="short"), pytest.param(1 << 12, id="long", marks=pytest.mark.slow)]


def _images(rate: float, images: int, seed: int = 1):
    """Positions of the errors of each image."""
    for registers in starts_of_images(start(seed, 7), 0, images).tolist():
        yield error_positions(tuple(registers), gap_table(rate), READS * COLUMNS)


def _accepted(p: float) -> bool:
    return LEVEL / 2 < p < 1 - LEVEL / 2


def _chi_square(counts: np.ndarray, probabilities: np.ndarray) -> float:
    """p-value of counts; rare outcomes are taken together, from the last on and from the first."""
    expected = probabilities * counts.sum()
    found, wanted, many = [], [], [0.0, 0.0]
    for count, each in zip(counts, expected, strict=True):
        many = [many[0] + count, many[1] + each]
        if many[1] >= 10:
            found.append(many[0])
            wanted.append(many[1])
            many = [0.0, 0.0]
    found[-1] += many[0]
    wanted[-1] += many[1]
    wanted = np.array(wanted) * np.sum(found) / np.sum(wanted)
    return stats.chisquare(found, wanted).pvalue


@pytest.mark.parametrize("images", RUNS)
@pytest.mark.parametrize("rate", RATES)
def test_rate(rate, images):
    errors = sum(len(positions) for positions in _images(rate, images))
    bits = images * READS * COLUMNS
    spread = (bits * rate * (1 - rate)) ** 0.5
    assert _accepted(stats.norm.cdf((errors - bits * rate) / spread))


@pytest.mark.parametrize("images", RUNS)
@pytest.mark.parametrize("rate", RATES)
def test_errors_of_a_read_are_binomial(rate, images):
    counts = np.zeros(COLUMNS + 1)
    for positions in _images(rate, images):
        of_reads = np.bincount(positions // COLUMNS, minlength=READS)
        counts += np.bincount(of_reads, minlength=COLUMNS + 1)
    binomial = stats.binom.pmf(np.arange(COLUMNS + 1), COLUMNS, rate)
    assert _accepted(_chi_square(counts, binomial))


@pytest.mark.parametrize("images", RUNS)
@pytest.mark.parametrize("rate", RATES)
def test_gaps_are_geometric(rate, images):
    """Up to eight times the mean, and all beyond together."""
    most = int(8 / rate)
    counts = np.zeros(most + 1)
    for positions in _images(rate, images):
        gaps = np.diff(positions) - 1
        counts += np.bincount(np.minimum(gaps, most), minlength=most + 1)
    probabilities = rate * (1 - rate) ** np.arange(most + 1.0)
    probabilities[-1] = (1 - rate) ** most
    # An image's end cuts long gaps off more often than short ones: weigh by the places of a gap.
    room = 1 - (np.arange(most + 1) + 1) / (READS * COLUMNS)
    probabilities *= room
    assert _accepted(_chi_square(counts, probabilities / probabilities.sum()))


@pytest.mark.parametrize("images", RUNS)
@pytest.mark.parametrize("rate", RATES)
def test_columns_fail_equally_often_and_independently(rate, images):
    totals = np.zeros(COLUMNS)
    together = np.zeros((COLUMNS, COLUMNS))
    for positions in _images(rate, images):
        mask = np.zeros(READS * COLUMNS, dtype=np.float32)
        mask[positions] = 1
        mask = mask.reshape(READS, COLUMNS)
        totals += mask.sum(axis=0)
        together += mask.T @ mask
    reads = images * READS
    variance = rate * (1 - rate)
    columns = (totals - reads * rate) / (reads * variance) ** 0.5
    assert _accepted(stats.chi2.cdf((columns**2).sum(), COLUMNS))
    # Products of centred bits are uncorrelated between pairs, each of the variance squared.
    ones, twos = np.triu_indices(COLUMNS, 1)
    centred = together[ones, twos] - rate * (totals[ones] + totals[twos]) + reads * rate**2
    pairs = centred / (reads**0.5 * variance)
    assert _accepted(stats.chi2.cdf((pairs**2).sum(), len(pairs)))
    assert np.abs(pairs).max() < 6


@pytest.mark.parametrize("images", RUNS)
@pytest.mark.parametrize("rate", RATES)
def test_bits_are_not_correlated_with_later_ones(rate, images):
    """At lags of a bit, a read and around a table's powers of 64, and with the next images."""
    lags = [1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 128, 4095, 4096, 4097]
    sums, products = np.zeros(len(lags)), np.zeros(len(lags))
    across = np.zeros(3)
    kept: list[np.ndarray] = []
    bits = READS * COLUMNS
    for positions in _images(rate, images):
        mask = np.full(bits, -rate, dtype=np.float32)
        mask[positions] += 1
        for k, lag in enumerate(lags):
            products[k] += np.dot(mask[:-lag], mask[lag:])
            sums[k] += bits - lag
        for k, earlier in enumerate(reversed(kept)):
            across[k] += np.dot(mask, earlier)
        kept = [*kept, mask][-3:]
    variance = rate * (1 - rate)
    scores = products / (sums**0.5 * variance)
    between = across / ((bits * (images - np.arange(1, 4))) ** 0.5 * variance)
    everything = np.concatenate([scores, between])
    assert _accepted(stats.chi2.cdf((everything**2).sum(), len(everything)))
    assert np.abs(everything).max() < 4.5


def test_the_tests_find_a_rate_that_is_off():
    """By 1 % of itself, in the short run."""
    bits = 32 * READS * COLUMNS
    for rate in RATES[1:]:
        errors = sum(len(positions) for positions in _images(rate * 1.01, 32))
        spread = (bits * rate * (1 - rate)) ** 0.5
        assert not _accepted(stats.norm.cdf((errors - bits * rate) / spread))
