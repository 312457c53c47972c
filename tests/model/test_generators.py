# SPDX-License-Identifier: BSD-2-Clause
from twincell.model.generators import mix


def test_mix_is_the_splitmix64_sequence():
    # The first outputs of splitmix64 seeded with 0, as published with the generator.
    assert mix(0) == 0xE220A8397B1DCDAF
    assert mix((1 << 64) + 5) == mix(5) != mix(5, 0)
