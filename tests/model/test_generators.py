# SPDX-License-Identifier: BSD-2-Clause
import math

import numpy as np
import pytest

from twincell.model.generators import lfsr_cycle, lfsr_leap, mix, stochastic_thresholds


@pytest.mark.parametrize("width", range(2, 17))
def test_the_lfsr_visits_every_state_but_zero_once(width):
    assert np.array_equal(np.sort(lfsr_cycle(width)), np.arange(1, 1 << width))


@pytest.mark.parametrize("width", range(2, 17))
def test_draws_share_no_bit_and_visit_every_state(width):
    leap = lfsr_leap(width)
    assert leap >= width and math.gcd(leap, (1 << width) - 1) == 1


def test_a_pixel_of_value_x_shows_one_x_times_in_a_period():
    period = 255
    draws = stochastic_thresholds(8, 5, 0, 1, period)[0]
    assert [int((x >= draws).sum()) for x in range(256)] == list(range(256))


def test_draws_restart_at_each_image_and_extend_with_presentations():
    one = stochastic_thresholds(8, 3, 17, 2, 50)
    assert np.array_equal(one, stochastic_thresholds(8, 3, 17, 5, 50)[:2])
    assert not np.array_equal(one, stochastic_thresholds(8, 3, 18, 2, 50))
    assert not np.array_equal(one, stochastic_thresholds(8, 4, 17, 2, 50))


def test_mix_is_the_splitmix64_sequence():
    # The first outputs of splitmix64 seeded with 0, as published with the generator.
    assert mix(0) == 0xE220A8397B1DCDAF
    assert mix((1 << 64) + 5) == mix(5) != mix(5, 0)


def test_a_width_without_taps_is_refused():
    with pytest.raises(ValueError, match=r"^An LFSR is 2 to 16 bits wide, not 17$"):
        lfsr_cycle(17)
