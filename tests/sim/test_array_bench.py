# SPDX-License-Identifier: BSD-2-Clause
"""Emulated memories as Verilog in cocotb: what the bench records is replayed by the model."""

import shutil
import subprocess
from functools import partial

import numpy as np
import pytest

from tests.support.emulation import Reference
from twincell.hw.arrays import settings
from twincell.hw.arrays.emulated import EmulatedArray
from twincell.hw.edges import companions
from twincell.hw.verilog import emit
from twincell.model.generators import start
from twincell.sim import toolchain
from twincell.sim.bench_run import run_bench

ROWS, COLUMNS, READS, RATE = 9, 37, 23, 0.02
LAST_RATE = 0.1
# Everything at once; a word line programmed and read in every cycle; resets in every state; and in
# the end peace, so that the counters have something to count.
PHASES = [
    {"cycles": 1500, "read": 0.6, "program": 0.3, "ready": 0.6},
    {"cycles": 500, "read": 1, "program": 1, "ready": 1},
    {"cycles": 2500, "read": 0.8, "program": 0.2, "ready": 0.7, "reset": 0.02},
    {"cycles": 1, "reset": 1, "ready": 1},
    {"cycles": 8000, "read": 1, "program": 0.1, "ready": 1},
]


def _words() -> np.ndarray:
    """Settings: everything in the first phase, a seed in the second, everything in the last."""
    everything = enumerate(settings.words(0.2, start(3)).tolist())
    seed = ((settings.START + k, word) for k, word in enumerate(start(4)))
    last = enumerate(settings.words(LAST_RATE, start(5)).tolist())
    at = [(everything, 300), (seed, 1700), (last, 6000)]
    return np.array([(row, word, cycle) for words, cycle in at for row, word in words])


@pytest.fixture(scope="module", params=[False, True], ids=["binary", "ternary"])
def built(request, tmp_path_factory):
    """(array, directory) of its Verilog."""
    rng = np.random.default_rng(1)
    sign, active = rng.integers(0, 2, (2, ROWS, COLUMNS), dtype=np.uint8)
    stored = active if request.param else None
    array = EmulatedArray(sign, stored, reads=READS, rate=RATE, start=start(2))
    directory = tmp_path_factory.mktemp("array")
    beside = partial(companions.texts, name="array", clock=100e6)
    emit(array, directory, name="array", beside=beside)
    return array, directory


def test_lint_prints_nothing_and_every_signal_has_a_name(built):
    _, directory = built
    tool = toolchain.verilator()
    command = [tool.binary, "--lint-only", "-Wall", "--quiet", "array.vlt", "array.v"]
    run = subprocess.run(
        command, cwd=directory, env=tool.environment(), capture_output=True, text=True
    )
    assert (run.returncode, run.stdout + run.stderr) == (0, "")
    assert "$signal" not in (directory / "array.v").read_text()


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_traffic_in_cocotb(built, simulator, tmp_path):
    if simulator == "icarus" and shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog is not on PATH")
    array, directory = built
    options = {"phases": PHASES, "rows": ROWS, "columns": COLUMNS}
    vectors = {"words": _words()}
    record = run_bench(
        directory, "array", vectors, tmp_path, simulator=simulator, seed=3, options=options
    )
    reference = Reference(array)
    seen = dict.fromkeys(("read", "program", "word", "reset", "left"), 0)
    enabled = before = 0
    for kind, *values in record["events"]:
        seen[kind] += 1
        if kind == "left":
            agree, active = reference.expected.popleft()
            assert values == [agree | active << COLUMNS], f"result {seen['left']}"
        else:
            getattr(reference, kind)(*values)
        if kind == "word":
            enabled, before = 0, reference.flips
        if kind == "read":
            enabled += values[2].bit_count() * (1 + array.ternary)
    assert not reference.expected
    counters = [record["counters"] >> 32 * k & (1 << 32) - 1 for k in range(3)]
    assert counters[1:] == [reference.reads, reference.flips] and counters[0] > counters[1]
    assert record["programmings"] == reference.programmings.tolist()
    assert seen["reset"] > 30 and seen["program"] > 1500 and seen["read"] > 1000
    assert seen["word"] == len(_words())
    # Since the last word, in four standard deviations of the rate that it set.
    spread = (enabled * LAST_RATE * (1 - LAST_RATE)) ** 0.5
    assert enabled > 10_000
    assert abs(reference.flips - before - enabled * LAST_RATE) < 4 * spread
