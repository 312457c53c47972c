# SPDX-License-Identifier: BSD-2-Clause
"""Sweeps that are killed at any moment end in the table of one that is not."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import mlp
from twincell.model import store
from twincell.model.planes import FixedPoint
from twincell.sweeps.ledger import FILE

KILLS = 20
COMMAND = "from twincell.cli import main; main()"
OPTIONS = ("--ber", "0,1e-3,1e-2,0.1", "--transient", "0,1e-3", "--maps", "400")


@pytest.fixture
def sweep(tmp_path):
    """Starts a sweep in a directory of that name."""
    net = tmp_path / "small.safetensors"
    store.save(mlp(np.random.default_rng(3), [64, 40, 10], FixedPoint(5)), net)

    def start(name: str, workers: int) -> subprocess.Popen:
        words = ["sweep", net, "--dataset", "digits", *OPTIONS, "--workers", workers]
        words += ["--out", tmp_path / name]
        with (tmp_path / f"{name}.err").open("w") as err:
            return subprocess.Popen(
                [sys.executable, "-c", COMMAND, *map(str, words)],
                stdout=subprocess.DEVNULL, stderr=err,
            )  # fmt: skip

    return start


def _done(folder: Path) -> int:
    """Outcomes in a ledger that nobody writes."""
    if not (folder / FILE).exists():
        return 0
    database = sqlite3.connect(folder / FILE)
    try:
        return database.execute("SELECT count(*) FROM outcome").fetchone()[0]
    except sqlite3.OperationalError:  # killed before there were tables
        return 0
    finally:
        database.close()


def _begun(process: subprocess.Popen, folder: Path) -> None:
    """Waits until a sweep has its ledger open, or ends."""
    before = (folder / FILE).stat().st_mtime_ns if (folder / FILE).exists() else 0
    journal = folder / f"{FILE}-wal"
    while process.poll() is None and not (
        journal.exists() and journal.stat().st_size and journal.stat().st_mtime_ns > before
    ):
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_random_moments(sweep, tmp_path, workers):
    whole = sweep("whole", workers)
    assert whole.wait() == 0
    rng, progress = np.random.default_rng(workers), [0]
    for kill in range(KILLS):
        process = sweep("killed", workers)
        if kill % 4:  # else anywhere, while the program is loaded as well
            _begun(process, tmp_path / "killed")
        time.sleep(float(rng.uniform(0, 0.6 if kill % 4 else 4)))
        process.kill()
        process.wait()
        progress.append(_done(tmp_path / "killed"))
    assert progress == sorted(progress) and len(set(progress)) > KILLS // 4
    last = sweep("killed", workers)
    assert last.wait() == 0, (tmp_path / "killed.err").read_text()
    for name in ("sweep.json", "sweep.csv", "sweep.svg"):
        killed, wanted = (tmp_path / folder / name for folder in ("killed", "whole"))
        assert killed.read_bytes() == wanted.read_bytes(), progress


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done(sweep, tmp_path):
    process = sweep("stopped", 2)
    journal = tmp_path / "stopped" / f"{FILE}-wal"
    while process.poll() is None and not (journal.exists() and journal.stat().st_size > 100_000):
        time.sleep(0.005)  # a page of 4 kB for each outcome
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(60) == 130
    assert (tmp_path / "stopped.err").read_text() == "twincell: interrupted\n"
    assert 0 < _done(tmp_path / "stopped") < 2801
