# SPDX-License-Identifier: BSD-2-Clause
"""Codes: their decoder on every pattern, and two residual error rates."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from twincell.model.devices.ecc import HAMMING_7_4, SECDED_8_4, SECDED_72_64, Code, left_as_read

CODES = [HAMMING_7_4, SECDED_8_4, Code(11), Code(11, parity=True), Code(8, parity=True)]
# Bit error rate as read, and what is printed for the three codes.
TABLE = [
    (3.3e-2, "8.8e-03", "6.9e-03", "3.0e-02"),
    (1e-2, "8.7e-04", "6.8e-04", "5.1e-03"),
    (3e-3, "8.0e-05", "6.2e-05", "5.8e-04"),
    (1e-3, "9.0e-06", "7.0e-06", "6.9e-05"),
    (1e-4, "9.0e-08", "7.0e-08", "7.1e-07"),
    (1e-5, "9.0e-10", "7.0e-10", "7.1e-09"),
]


def test_names_and_sizes():
    assert [code.name for code in (HAMMING_7_4, SECDED_8_4, SECDED_72_64)] == [
        "Hamming(7,4)", "SECDED(8,4)", "SECDED(72,64)",
    ]  # fmt: skip
    assert Code(1).name == "Hamming(3,1)" and Code(57).bits == 63 and Code(58).bits == 65


@pytest.mark.parametrize("row", TABLE)
def test_the_usual_estimate_gives_the_printed_table(row):
    p, *printed = row
    codes = (HAMMING_7_4, SECDED_8_4, SECDED_72_64)
    assert [f"{code.estimated_error_rate(p):.1e}" for code in codes] == printed


@pytest.mark.parametrize("code", [*CODES, SECDED_72_64], ids=lambda code: code.name)
def test_one_error_is_corrected_and_two_are_detected(code):
    rng = np.random.default_rng(0)
    data = rng.integers(0, 2, (5, code.data), dtype=np.uint8)
    words = code.encode(data)
    assert np.array_equal(words[:, : code.data], data)
    for index in range(code.bits):
        flipped = words ^ (np.arange(code.bits) == index)
        decoded, detected = code.decode(flipped)
        assert np.array_equal(decoded, data) and not detected.any()
    if code.parity:
        for pair in combinations(range(code.bits), 2):
            flipped = words ^ np.isin(np.arange(code.bits), pair)
            decoded, detected = code.decode(flipped)
            assert detected.all() and np.array_equal(decoded, flipped[:, : code.data])


def test_columns_differ_and_parity_makes_them_odd():
    for code in [*CODES, SECDED_72_64]:
        columns = code.columns.tolist()
        assert len(set(columns)) == code.bits and 0 not in columns
        assert not code.parity or all(value.bit_count() % 2 for value in columns)


@pytest.mark.parametrize("code", CODES[:4], ids=lambda code: code.name)
@pytest.mark.parametrize("p", [0.4, 0.033, 1e-3, 1e-5])
def test_the_residual_rate_is_exact(code, p):
    """Sum over all error patterns of a word, weighted by their probability."""
    patterns = np.arange(1 << code.bits)[:, None] >> np.arange(code.bits) & 1
    weight = patterns.sum(axis=1)
    wrong = code.decode(patterns)[0].sum(axis=1)
    terms = p**weight * (1 - p) ** (code.bits - weight) * wrong / code.data
    assert code.residual_error_rate(p) == pytest.approx(terms.sum(), rel=1e-9, abs=0)


@pytest.mark.parametrize("p", [0.005, 0.02, 0.033])
def test_the_residual_rate_of_72_64_against_drawn_words(p):
    rng = np.random.default_rng(1)
    wrong = np.concatenate(
        [SECDED_72_64.decode(rng.random((20_000, 72)) < p)[0].sum(axis=1) for _ in range(10)]
    )
    # Bits of a word fail together, so the interval is of the mean over words.
    error = stats.sem(wrong) * stats.norm.ppf(0.995)
    assert abs(wrong.mean() - 64 * SECDED_72_64.residual_error_rate(p)) < error


def test_where_estimate_and_decoder_differ():
    for p in (1e-2, 3.3e-2):
        assert SECDED_72_64.residual_error_rate(p) > left_as_read(p, 72)
    # The same to leading order: 7 p^2, 71 p^2, and 9 p^2 for the code that turns 2 into 3.
    for code, factor in ((SECDED_8_4, 7), (SECDED_72_64, 71), (HAMMING_7_4, 9)):
        assert code.residual_error_rate(1e-7) == pytest.approx(factor * 1e-14, rel=1e-3, abs=0)
        assert code.estimated_error_rate(1e-7) == pytest.approx(factor * 1e-14, rel=1e-3, abs=0)
    assert f"{HAMMING_7_4.residual_error_rate(3.3e-2):.1e}" == "8.9e-03"  # 8.8e-3 is printed


def test_limits():
    for code in CODES:
        assert code.residual_error_rate(0.0) == 0 and code.estimated_error_rate(0.0) == 0
        assert code.residual_error_rate(0.5) == pytest.approx(0.5)


def test_what_is_refused():
    for make, message in (
        (lambda: Code(0), "data is 0 bits, outside 1 to 1013 bits"),
        (lambda: Code(2000), "data is 2000 bits, outside 1 to 1013 bits"),
        (lambda: HAMMING_7_4.residual_error_rate(0.6), "error_rate is 0.6, outside 0 to 0.5"),
        (lambda: HAMMING_7_4.encode(np.zeros(5, int)),
         "The last axis must be 4 bits, not of shape (5,)"),
        (lambda: HAMMING_7_4.decode(np.full(7, 2)), "Bits must be 0 or 1"),
    ):  # fmt: skip
        with pytest.raises(ValueError) as refused:
            make()
        assert str(refused.value) == message
    with pytest.raises(TypeError, match=r"^data must be an integer, not 4\.0$"):
        Code(4.0)
