# SPDX-License-Identifier: BSD-2-Clause
"""Trainings that are killed at any moment end with the bits of one that is not."""

import multiprocessing
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.small_trainings import END, RUNS, run

KILLS = 20
CHECKPOINTS = ("learning.pt", "checkpoint.pt")


@pytest.fixture(scope="module")
def processes():
    """Forks of a server that has imported all they need, and nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.warm_trainings"])
    return context


def _start(processes, name: str, folder: Path):
    """A process that has just begun to train."""
    started = processes.Event()
    process = processes.Process(target=run, args=(name, folder, started), daemon=True)
    process.start()
    assert started.wait(120)
    return process


def _checkpoint(folder: Path) -> Path | None:
    """The checkpoint in a folder, when there is one."""
    return next((path for name in CHECKPOINTS if (path := folder / name).exists()), None)


def _epochs(folder: Path) -> int:
    """Epochs in the checkpoint."""
    path = _checkpoint(folder)
    return len(torch.load(path, weights_only=True)["state"]["history"]) if path else 0


def _await_epoch(process, folder: Path) -> None:
    """Waits until a process has replaced the checkpoint, or has ended."""
    path = _checkpoint(folder)
    before = path.stat().st_mtime_ns if path else 0
    while process.is_alive():
        path = _checkpoint(folder)
        if path and path.stat().st_mtime_ns > before:
            return
        time.sleep(0.002)


@pytest.mark.parametrize(
    ("name", "kills"),
    [("devices", 3), *(pytest.param(name, KILLS, marks=pytest.mark.slow) for name in RUNS)],
)
def test_killed_at_random_moments(processes, tmp_path, name, kills):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = _start(processes, name, whole)
    begin = time.monotonic()
    process.join()
    assert process.exitcode == 0
    longest = (time.monotonic() - begin) / kills
    rng, progress = np.random.default_rng(len(name)), [0]
    for kill in range(kills):
        process = _start(processes, name, killed)
        if kill % 4:  # else anywhere, while it starts as well
            _await_epoch(process, killed)
        time.sleep(float(rng.uniform(0, longest)))
        process.kill()
        process.join()
        progress.append(_epochs(killed))
    print(f"{name}: killed after {progress[1:]} epochs")
    assert progress == sorted(progress) and len(set(progress)) > max(kills // 4, 1), progress
    process = _start(processes, name, killed)
    process.join()
    assert process.exitcode == 0
    one, other = (torch.load(folder / END, weights_only=True) for folder in (whole, killed))
    assert one["history"] == other["history"]
    assert one["state"].keys() == other["state"].keys()
    assert all(torch.equal(one["state"][key], other["state"][key]) for key in one["state"])
