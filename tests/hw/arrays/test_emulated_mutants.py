# SPDX-License-Identifier: BSD-2-Clause
"""Bugs planted in the emulated memory: each must be seen by the traffic of its tests."""

import numpy as np
import pytest

from tests.support.emulation import Traffic, exercise
from tests.support.planted import planted
from twincell.hw.arrays import settings
from twincell.hw.arrays.emulated import EmulatedArray
from twincell.hw.arrays.gaps import Digits, Gaps, Taus88
from twincell.hw.arrays.mask import Masks
from twincell.hw.arrays.programmings import Programmings
from twincell.hw.arrays.settings import Settings
from twincell.model.generators import start

BUGS = [
    (Taus88, "elaborate", "upcoming.eq(_product(jump, upcoming))", "upcoming.eq(upcoming)"),
    (Digits, "elaborate", "fraction < entry[RADIX_BITS:]", "fraction <= entry[7:]"),
    (Digits, "elaborate", "Mux(last, 0, number + 1)", "Mux(last, 1, number + 1)"),
    (Gaps, "_cut", "left - near - 1", "left - near"),
    (Gaps, "_cut", "self.o.valid.eq(whole & ~ended)", "self.o.valid.eq(whole)"),
    (Gaps, "_cut", "near >= self.bits_per_read", "near >= 8 * self.bits_per_read"),
    (Masks, "_walk", "distance < 2 * bits", "distance <= 2 * bits"),
    (Masks, "_walk", "behind + step.gap[:low] < bits", "behind + step.gap[:low] <= bits"),
    (Masks, "elaborate", "read == self.end", "read == self.end - 1"),
    (Settings, "elaborate", "loaded.eq(written != 0)", "loaded.eq(0)"),
    (EmulatedArray, "elaborate", "self.i.valid & ~self.i_errors.valid", "self.i.valid"),
    (EmulatedArray, "_count", "masks.hit & lines.bit_select(masks.position, 1)", "masks.hit"),
    (EmulatedArray, "_flip", "self.columns :", "1 :"),
    (Programmings, "elaborate", "Mux(ahead[1], before, count)", "count"),
]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"{bug[0].__name__}: {bug[3]}")
def test_a_planted_bug_is_seen(monkeypatch, bug):
    owner, attribute, old, new = bug
    monkeypatch.setattr(owner, attribute, planted(getattr(owner, attribute), old, new))
    rng = np.random.default_rng(0)
    sign, active = rng.integers(0, 2, (2, 3, 7))
    array = EmulatedArray(sign, active, reads=6, rate=0.05, start=start(2))
    words = {700: settings.words(0.5, start(77))}
    with pytest.raises(AssertionError):
        exercise(array, 1500, Traffic(0.8, 0.5, 0.8, words))
