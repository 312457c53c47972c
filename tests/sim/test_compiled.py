# SPDX-License-Identifier: BSD-2-Clause
"""The cache of compiled simulations stays below its limit, and says when it cannot be written."""

import os
import time

import pytest

from twincell.model.files import WriteError
from twincell.sim import compiled


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "twincell"


def entry(cache, kind, name, hours):
    """A simulation of 1000 bytes, last used so many hours ago."""
    home = cache / kind / name
    home.mkdir(parents=True)
    (home / "player").write_bytes(bytes(1000))
    used = time.time() - hours * 3600
    os.utime(home, (used, used))
    return home


def test_the_least_recently_used_go_first(cache):
    old = [entry(cache, kind, f"k{hours}", hours) for kind in ("native", "icarus")
           for hours in (9, 5)]  # fmt: skip
    home = compiled.use(entry(cache, "native", "mine", 20), limit=3000)
    assert home.is_dir() and time.time() - home.stat().st_mtime < 60
    assert [each.name for each in old if each.exists()] == ["k5", "k5"]


def test_what_was_used_within_the_hour_stays(cache):
    recent = [entry(cache, "native", f"k{k}", 0.5) for k in range(3)]
    compiled.use(cache / "native" / "new", limit=500)
    assert all(each.exists() for each in recent)


def test_below_the_limit_nothing_goes(cache):
    old = entry(cache, "native", "old", 900)
    new = compiled.use(cache / "verilator" / "new")
    assert new.parent.is_dir() and not new.exists() and old.exists()


def test_a_cache_that_cannot_be_written(cache):
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("a file where the directory should be")
    with pytest.raises(WriteError) as caught:
        compiled.use(cache / "native" / "new")
    message = str(caught.value)
    assert message.startswith(f"{cache / 'native'} cannot be written: Not a directory. ")
    assert message.endswith("Set XDG_CACHE_HOME to a directory that can")
