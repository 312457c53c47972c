# SPDX-License-Identifier: BSD-2-Clause
"""Bit error rates of differential cells, single-ended cells, and codes of the same redundancy.

Reproduces the claim of Bocquet et al., IEDM 2018, and Hirtzlin et al., Front. Neurosci. 13:1383
(2020): a 2T2R cell is as reliable as error correction with as many devices, without decoder.
"""

import math

import numpy as np
from scipy.special import ndtri

from ..model.devices.ecc import HAMMING_7_4, SECDED_8_4, SECDED_72_64
from ..model.devices.presets import preset
from ..model.devices.resistive import Differential, SingleEnded
from ..model.devices.rram import Lognormal, Resistance
from ._report import Finding, Job, Report, Table, interval, plot

SUMMARY = "Bit error rates of 2T2R against 1T1R cells and error-correcting codes"
DATA = ()
SEED = 20180
SPREADS = (1, 2, 4)  # k = sH / sL
RATES = (3.3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5)
DRAWN = (3.3e-2, 1e-2, 3e-3, 1e-3)  # seldom enough errors to draw below
CODES = (HAMMING_7_4, SECDED_8_4, SECDED_72_64)
LRS_SIGMA = 0.2
BATCH = 1_000_000
IEDM = "Bocquet et al., IEDM 2018"


def devices(p: float, k: float) -> Resistance:
    """States at which a 1T1R cell with an equal-tail reference errs with probability ``p``."""
    window = -float(ndtri(p)) * LRS_SIGMA * (1 + k)
    return Resistance(Lognormal(9, LRS_SIGMA), Lognormal(9 + window, LRS_SIGMA * k))


def run(job: Job) -> Report:
    """Closed forms, each beside devices drawn one by one."""
    total = 200_000 if job.quick else 20_000_000
    words = 20_000 if job.quick else 2_000_000
    drawn, errors = _draw(job, total)
    coded, coded_bits = _decode(words)
    strong, weak = (preset(name).cell for name in ("rram-strong", "rram-weak"))
    at = 1e-3
    ratios = {
        k: Differential(devices(at, k)).error_rate() / SECDED_8_4.residual_error_rate(at)
        for k in SPREADS
    }
    equal = [Differential(devices(p, 1)).error_rate() / SECDED_8_4.residual_error_rate(p)
             for p in RATES]  # fmt: skip
    count = errors[1, at]
    findings = [
        Finding(
            "2T2R over SECDED(8,4), residual errors, 1T1R at 1e-3, k = 1",
            "same benefit as error correction", "R", IEDM, ratios[1],
            tuple(x / SECDED_8_4.residual_error_rate(at) for x in interval(count, total)), total,
            f"closed form; {min(equal):.2g} to {max(equal):.2g} for 1T1R from 3.3e-2 to 1e-5",
        ),
        *(Finding(
            f"the same, k = {k}", "same benefit as error correction", "R", IEDM, ratios[k],
            tuple(x / SECDED_8_4.residual_error_rate(at) for x in interval(errors[k, at], total)),
            total, "with a broad HRS the code wins",
        ) for k in SPREADS[1:]),
        *(Finding(
            f"2T2R at 1T1R of 1e-3, k = {k}", printed, "D", "lognormal states",
            Differential(devices(at, k)).error_rate(), interval(errors[k, at], total), total,
        ) for k, printed in zip(SPREADS, ("6.2e-6", "1.7e-5", "8.9e-5"), strict=True)),
        Finding(
            "slope of ln 2T2R over ln 1T1R at 1e-4, k = 1", "about 2", "D",
            "exponent of two equal spreads", slope(1, 1e-4), note="closed form",
        ),
        Finding(
            "SECDED(8,4) at 3.3e-2, decoded words", "6.9e-3", "D",
            "estimate: two or more errors stay as read", coded / coded_bits,
            _word_interval(coded, coded_bits), coded_bits,
            f"exact for the decoder: {SECDED_8_4.residual_error_rate(3.3e-2):.3g}",
        ),
        Finding(
            "RRAM programmed at ultra-low power, 2T2R", "up to 3.3 %", "3P",
            "Buschjaeger et al., 2020", weak.error_rate(),
            note="the preset was set to this figure, which is no test of it; which cell the source "
            "means is not known",
        ),
    ]  # fmt: skip
    return Report(
        "Differential cells against error correction",
        _TEXT,
        SEED,
        findings,
        [_rates(), _slopes(), drawn, _presets(strong, weak)],
        {"ber": _plot(errors, total)},
    )


def slope(k: float, p: float) -> float:
    """Slope of ln(2T2R error rate) over ln(1T1R error rate)."""
    low, high = (math.log(Differential(devices(x, k)).error_rate()) for x in (p / 1.01, p * 1.01))
    return (high - low) / (2 * math.log(1.01))


def _draw(job: Job, total: int) -> tuple[Table, dict[tuple[float, float], int]]:
    """Errors among ``total`` drawn cells of each kind, and the table of them."""
    rows, errors = [], {}
    points = [(k, p) for k in SPREADS for p in DRAWN]
    for done, (k, p) in enumerate(points):
        job.progress(done, len(points))
        rng = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(done,)))
        for cell in (SingleEnded(devices(p, k)), Differential(devices(p, k))):
            wrong = sum(_wrong(cell, rng, min(BATCH, total)) for _ in range(-(-total // BATCH)))
            low, high = interval(wrong, total)
            exact = cell.error_rate()
            kind = "1T1R" if cell.devices == 1 else "2T2R"
            rows.append((k, p, kind, exact, wrong / total, (low, high), low <= exact <= high))
            errors[k, p] = wrong
    rows = [(*row[:5], f"{row[5][0]:.3g} to {row[5][1]:.3g}", "yes" if row[6] else "no")
            for row in rows]  # fmt: skip
    columns = ("k", "1T1R error rate", "cell", "closed form", "drawn", "interval", "inside")
    return Table(f"Drawn cells, {total:,} of each", columns, rows), errors


def _wrong(cell, rng: np.random.Generator, count: int) -> int:
    programmed = rng.integers(0, 2, count)
    return int((cell.sample(rng, programmed) != programmed).sum())


def _decode(words: int) -> tuple[int, int]:
    """Wrong data bits of SECDED(8,4) words that are stored in drawn 1T1R cells, and all bits."""
    rng = np.random.default_rng(np.random.SeedSequence(SEED, spawn_key=(1000,)))
    cell, code, wrong = SingleEnded(devices(3.3e-2, 1)), SECDED_8_4, 0
    for start in range(0, words, BATCH // 10):
        count = min(BATCH // 10, words - start)
        data = rng.integers(0, 2, (count, code.data), dtype=np.uint8)
        decoded, _ = code.decode(cell.sample(rng, code.encode(data)))
        wrong += int((decoded != data).sum())
    return wrong, words * code.data


def _word_interval(wrong: int, bits: int) -> tuple[float, float]:
    """Interval of a rate whose errors come in words: that of the fewest independent errors, a
    quarter of the bits, since a word has four."""
    low, high = interval(round(wrong / 4), bits // 4)
    return low, high


def _rates() -> Table:
    rows = [
        (p, *(Differential(devices(p, k)).error_rate() for k in SPREADS),
         *(code.residual_error_rate(p) for code in CODES),
         *(code.estimated_error_rate(p) for code in CODES))
        for p in RATES
    ]  # fmt: skip
    columns = ["1T1R", *(f"2T2R k = {k}" for k in SPREADS), *(code.name for code in CODES),
               *(f"{code.name}, estimate" for code in CODES)]  # fmt: skip
    return Table("Error rates: closed forms, exact decoders, and the usual estimate", columns, rows)


def _slopes() -> Table:
    rows = [(k, (1 + k) ** 2 / (1 + k * k), *(slope(k, p) for p in (1e-2, 1e-3, 1e-4, 1e-5)))
            for k in (1, 1.5, 2, 3, 4, 8)]  # fmt: skip
    columns = ("k = sH / sL", "limit (1+k)^2/(1+k^2)", "1e-2", "1e-3", "1e-4", "1e-5")
    return Table("Slope of ln 2T2R over ln 1T1R", columns, rows)


def _presets(strong, weak) -> Table:
    rows = []
    for name, cell in (("rram-strong", strong), ("rram-weak", weak)):
        states = cell.resistance
        single = SingleEnded(states, offset=cell.offset).error_rate()
        rows.append((
            name, states.lrs.median, states.hrs.median, states.hrs.sigma / states.lrs.sigma, single,
            cell.error_rate(), SECDED_8_4.residual_error_rate(single), states.energy,
        ))  # fmt: skip
    columns = ("preset", "LRS ohm", "HRS ohm", "k", "1T1R", "2T2R", "1T1R and SECDED(8,4)",
               "energy of a pair, J, at most")  # fmt: skip
    return Table("Presets (this project's own parametric form)", columns, rows)


def _plot(errors: dict[tuple[float, float], int], total: int):
    figure, axes = plot("2T2R cells and codes of two devices a bit", "1T1R bit error rate",
                        "bit error rate", xscale="log", yscale="log")  # fmt: skip
    p = np.logspace(-5, -0.7, 80)
    for color, k in zip(("C0", "C1", "C2"), SPREADS, strict=True):
        axes.plot(p, [Differential(devices(x, k)).error_rate() for x in p], color,
                  label=f"2T2R, k = {k}")  # fmt: skip
        counts = [errors[k, x] for x in DRAWN]
        limits = np.array([interval(count, total) for count in counts]).T
        mean = np.array(counts) / total
        axes.errorbar(DRAWN, mean, [mean - limits[0], limits[1] - mean], fmt=f"{color}o", ms=3)
    for code, style in zip(CODES, ("k--", "k-", "k:"), strict=True):
        axes.plot(p, [code.residual_error_rate(x) for x in p], style, lw=1, label=code.name)
    axes.plot(p, p, color="0.7", lw=1, label="1T1R")
    axes.set_ylim(1e-10, 1)
    axes.legend()
    return figure


_TEXT = (
    "Two devices in opposite states are compared with each other (2T2R), or one device with a "
    "reference (1T1R) and the bits protected by a code. Both states are lognormal; k = sH / sL is "
    "the ratio of the spreads of HRS and LRS, and the window of a 1T1R cell with an equal-tail "
    "reference sets its error rate. Points in the plot are cells drawn one by one, lines are "
    "closed forms; codes are exact for a real decoder.",
    "With equal spreads the 2T2R cell is as good as SECDED(8,4), the code of the same redundancy, "
    "within a factor of 1.6: the claim holds. Its slope is (1+k)^2 / (1+k^2) towards small error "
    "rates, 2 only for k = 1. **With an HRS four times as broad as the LRS the 2T2R cell loses "
    "an order of magnitude against that code**, though the code needs a decoder at each array.",
    "The estimate of codes that leaves words of two or more errors as read is close below 1e-2. "
    "A real SECDED decoder errs more at high rates, since three errors look like one and it adds a "
    "fourth; a Hamming decoder does so from two errors on.",
)
