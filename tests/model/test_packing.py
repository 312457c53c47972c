# SPDX-License-Identifier: BSD-2-Clause
import numpy as np
import pytest

from twincell.model.packing import pack, popcount, unpack, words


@pytest.mark.parametrize("n", [1, 7, 8, 63, 64, 65, 127, 128, 129, 784])
def test_pack_and_unpack_are_inverse(n):
    bits = np.random.default_rng(n).integers(0, 2, (3, 2, n))
    packed = pack(bits)
    assert packed.shape == (3, 2, words(n)) and packed.dtype == np.uint64
    assert np.array_equal(unpack(packed, n), bits)
    assert np.array_equal(popcount(packed), bits.sum(-1))


def test_bit_i_is_input_i():
    for i in (0, 1, 8, 63, 64, 100):
        bits = np.zeros(101, int)
        bits[i] = 1
        assert [int(word) for word in pack(bits)] == [
            1 << (i - 64 * k) if 0 <= i - 64 * k < 64 else 0 for k in range(2)
        ]


def test_pad_bits_are_zero():
    assert int(pack(np.ones(65, int))[1]) == 1
