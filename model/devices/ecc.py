# SPDX-License-Identifier: BSD-2-Clause
"""Error correction as the baseline of differential cells: Hamming codes, with parity SECDED.

Two residual bit error rates are given. :meth:`Code.estimated_error_rate` is the usual estimate over
all bits of a word, which stops at two errors; :meth:`Code.residual_error_rate` is exact for the
decoder below, on data bits, and also counts the words that it makes worse.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from .knobs import within


def left_as_read(error_rate: float, bits: int) -> float:
    """Residual bit error rate when single errors of a word of ``bits`` are corrected and words with
    more stay as read: ``p (1 - (1 - p)^(n - 1))``."""
    p = within("error_rate", error_rate, 0.0, 0.5, "")
    return float(-p * np.expm1((bits - 1) * np.log1p(-p)))


@dataclass(frozen=True)
class Code:
    """A systematic Hamming code of ``data`` bits, with an overall parity bit when ``parity``.

    ``Code(4)`` is Hamming(7,4), ``Code(4, parity=True)`` SECDED(8,4), ``Code(64, parity=True)``
    SECDED(72,64). A word is the data bits followed by the check bits. Codes of a data size between
    the full ones are shortened.
    """

    data: int
    parity: bool = False

    def __post_init__(self):
        if isinstance(self.data, bool) or not isinstance(self.data, int):
            raise TypeError(f"data must be an integer, not {self.data!r}")
        if not 1 <= self.data <= 1013:
            raise ValueError(f"data is {self.data} bits, outside 1 to 1013 bits")

    @property
    def checks(self) -> int:
        """Check bits of a word."""
        hamming = next(r for r in range(2, 11) if (1 << r) - r - 1 >= self.data)
        return hamming + self.parity

    @property
    def bits(self) -> int:
        """Bits of a word."""
        return self.data + self.checks

    @property
    def name(self) -> str:
        """Such as ``SECDED(8,4)``."""
        return f"{'SECDED' if self.parity else 'Hamming'}({self.bits},{self.data})"

    @cached_property
    def columns(self) -> np.ndarray:
        """Columns of the parity-check matrix as integers, int64 (bits,): a single error of bit j
        has this syndrome. Check bits have one bit set; with parity all have an odd number."""
        hamming = self.checks - self.parity
        wide = [value for value in range(3, 1 << hamming) if value & (value - 1)][: self.data]
        if self.parity:
            wide = [v | ((v.bit_count() + 1) % 2) << hamming for v in wide]
        return np.array([*wide, *(1 << check for check in range(self.checks))], dtype=np.int64)

    def encode(self, data: np.ndarray) -> np.ndarray:
        """Words of data: uint8 (..., data) to (..., bits), all 0 or 1."""
        data = self._bits(data, self.data)
        checks = self._syndromes(data, self.columns[: self.data])
        bits = checks[..., None] >> np.arange(self.checks) & 1
        return np.concatenate([data, bits.astype(np.uint8)], axis=-1)

    def decode(self, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Data of words as read, and which words hold a detected error that was not corrected.

        uint8 (..., bits) to uint8 (..., data) and bool (...). A syndrome that is a column inverts
        that bit; any other but zero is detected, and its word is left as read.
        """
        words = self._bits(words, self.bits)
        syndrome = self._syndromes(words, self.columns)
        wrong = syndrome[..., None] == self.columns
        detected = (syndrome != 0) & ~wrong.any(axis=-1)
        return (words ^ wrong)[..., : self.data], detected

    def estimated_error_rate(self, error_rate: float) -> float:
        """Residual bit error rate by the usual estimate.

        Single errors are corrected. SECDED leaves words with more as read; a Hamming decoder turns
        two errors into three, and more are taken as read.
        """
        p, n = within("error_rate", error_rate, 0.0, 0.5, ""), self.bits
        two = 0.0 if self.parity else math.comb(n, 2) * p**2 * (1 - p) ** (n - 2) / n
        return left_as_read(p, n) + two

    def residual_error_rate(self, error_rate: float) -> float:
        """Exact bit error rate of decoded data when each stored bit is wrong with ``error_rate``.

        Data bit b is wrong when its own error stays, or when the other bits' errors look like it:
        ``p (1 - P_b(0)) + (1 - p) P_b(h_b)``, with ``P_b(s)`` the probability that all bits but b
        have syndrome s, ``2^-r sum_c (-1)^(c.s) (1 - 2p)^(weight of dual word c without b)``. In
        exact rational arithmetic, since terms cancel.
        """
        p = Fraction(within("error_rate", error_rate, 0.0, 0.5, ""))
        powers = [(1 - 2 * p) ** weight for weight in range(self.bits + 1)]
        total = Fraction(0)
        for stays, looks_alike in zip(*self._spectra, strict=True):
            total += p * (1 - self._probability(stays, powers))
            total += (1 - p) * self._probability(looks_alike, powers)
        return float(total / self.data)

    def _probability(self, spectrum: np.ndarray, powers: list[Fraction]) -> Fraction:
        used = np.flatnonzero(spectrum)
        return sum((int(spectrum[w]) * powers[w] for w in used), Fraction(0)) / (1 << self.checks)

    @cached_property
    def _spectra(self) -> tuple[np.ndarray, np.ndarray]:
        """For each data bit: signed counts of dual words by weight without it, for the syndromes 0
        and the bit's own; each int64 (data, bits + 1)."""
        dual = np.bitwise_count(np.arange(1 << self.checks)[:, None] & self.columns) & 1
        weights = dual.sum(axis=1, dtype=np.int64)
        stays = np.zeros((self.data, self.bits + 1), dtype=np.int64)
        looks_alike = stays.copy()
        for bit in range(self.data):
            own = dual[:, bit].astype(np.int64)
            np.add.at(stays[bit], weights - own, 1)
            np.add.at(looks_alike[bit], weights - own, 1 - 2 * own)
        return stays, looks_alike

    @staticmethod
    def _bits(values: np.ndarray, count: int) -> np.ndarray:
        values = np.asarray(values)
        if values.ndim < 1 or values.shape[-1] != count:
            raise ValueError(f"The last axis must be {count} bits, not of shape {values.shape}")
        if not np.isin(values, (0, 1)).all():
            raise ValueError("Bits must be 0 or 1")
        return values.astype(np.uint8)

    @staticmethod
    def _syndromes(bits: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return np.bitwise_xor.reduce(bits * columns, axis=-1)


HAMMING_7_4 = Code(4)
SECDED_8_4 = Code(4, parity=True)
SECDED_72_64 = Code(64, parity=True)
