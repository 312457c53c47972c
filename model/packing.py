# SPDX-License-Identifier: BSD-2-Clause
"""Bits in words: the one place that says which bit of a packed word is which input.

Logic 1 means +1 and logic 0 means -1. Bit ``i`` of a packed row is input ``i``: bit ``i % 64`` of
word ``i // 64``. The pad bits of a partial last word are 0.
"""

import numpy as np

WORD = 64


def words(n: int) -> int:
    """How many 64-bit words hold ``n`` bits."""
    return -(-n // WORD)


def pack(bits: np.ndarray) -> np.ndarray:
    """Packs bits (..., n), each 0 or 1, into uint64 words (..., ceil(n / 64))."""
    bits = np.asarray(bits, dtype=np.uint8)
    octets = np.packbits(bits, axis=-1, bitorder="little")
    missing = words(bits.shape[-1]) * 8 - octets.shape[-1]
    if missing:
        octets = np.pad(octets, [(0, 0)] * (bits.ndim - 1) + [(0, missing)])
    return np.ascontiguousarray(octets).view("<u8").astype(np.uint64, copy=False)


def unpack(packed: np.ndarray, n: int) -> np.ndarray:
    """Bits (..., n) as uint8 of packed rows (..., ceil(n / 64)); the inverse of :func:`pack`."""
    octets = np.ascontiguousarray(packed.astype("<u8", copy=False)).view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=n, bitorder="little")


def popcount(packed: np.ndarray) -> np.ndarray:
    """Ones in each packed row: (..., words) to int64 (...)."""
    return np.bitwise_count(packed).sum(axis=-1, dtype=np.int64)
