# SPDX-License-Identifier: BSD-2-Clause
"""A macro's array as Verilog in cocotb: reads and programmings with failures, in any order."""

import shutil

import numpy as np
import pytest

from twincell.hw.arrays.macro import MacroArray, ProgramErrors
from twincell.hw.arrays.macro_model import undefined_bit
from twincell.hw.arrays.macro_timing import Timing
from twincell.hw.verilog import emit
from twincell.model.generators import random_words, start
from twincell.sim.bench_run import run_bench

ROWS, COLUMNS, COMMANDS, RETRIES = 5, 9, 120, 2
FAILURES = ProgramErrors(0.25, start(8, 1))
TIMING = Timing(2, 1, 1, 1, form=6, set=4, reset=3, settle=1)


class Cells:
    """What word lines hold, and what comes of commands, without any pins."""

    def __init__(self, bl: np.ndarray, blb: np.ndarray, ternary: bool, formed: bool):
        self.devices = np.stack([bl, blb])
        self.ternary = ternary
        self.formed = np.full(len(bl), formed)
        self._words = iter(random_words(FAILURES.start, 100_000).tolist())

    def weights(self, row: int) -> np.ndarray:
        """Sensed weights of a word line: -1, 0 or +1."""
        bl, blb = self.devices[:, row].astype(int)
        fixed = np.array([undefined_bit(row, column) for column in range(COLUMNS)])
        sign = np.where(bl == blb, fixed, bl)
        return np.where((bl + blb == 0) & self.ternary, 0, 2 * sign - 1)

    def program(self, row: int, wanted: np.ndarray) -> tuple[np.ndarray, int]:
        """Columns that failed to the end, and retries."""
        if not self.formed[row]:
            self.devices[:, row] = 1
            self.formed[row] = True
        targets = np.stack([wanted == 1, wanted == -1])
        pending, attempts = np.ones(COLUMNS, bool), 0
        while pending.any() and attempts <= RETRIES:
            attempts += 1
            for state in (0, 1):
                for column, side in np.ndindex(COLUMNS, 2):
                    if pending[column] and targets[side, column] == state:
                        failed = next(self._words) < FAILURES.bound
                        self.devices[side, row, column] = state ^ failed
            pending = self.weights(row) != wanted
        return pending, attempts - 1


def _word(bits: np.ndarray) -> int:
    return sum(int(bit) << k for k, bit in enumerate(bits))


def _commands(cells: Cells, ternary: bool) -> dict[str, np.ndarray]:
    """Random commands and what must come of them."""
    rng = np.random.default_rng(5)
    found: dict[str, list[int]] = {
        key: [] for key in ("programs", "payloads", "results", "reports")
    }
    for _ in range(COMMANDS):
        row, program = int(rng.integers(ROWS)), bool(rng.random() < 0.3)
        low, high = rng.integers(0, 2, (2, COLUMNS))
        found["programs"].append(program)
        found["payloads"].append(row | _word(low) << 3 | _word(high) << 3 + COLUMNS)
        if program:
            failed, retries = cells.program(row, (2 * low - 1) * (high if ternary else 1))
            found["reports"].append(row | _word(failed) << 3 | retries << 3 + COLUMNS)
        else:
            products = cells.weights(row) * (2 * low - 1) * high
            shown = products != 0 if ternary else high
            found["results"].append(_word(products > 0) | _word(shown) << COLUMNS)
    return {key: np.array(values, dtype=np.uint64) for key, values in found.items()}


@pytest.fixture(scope="module", params=[(False, True), (True, False)], ids=["binary", "ternary"])
def built(request, tmp_path_factory):
    """(directory, vectors) of an array."""
    ternary, formed = request.param
    rng = np.random.default_rng(1)
    sign, active = rng.integers(0, 2, (2, ROWS, COLUMNS), dtype=np.uint8)
    array = MacroArray(
        sign,
        active if ternary else None,
        name="cells",
        timing=TIMING,
        formed=formed,
        program_errors=FAILURES,
    )
    directory = tmp_path_factory.mktemp("macro")
    emit(array, directory, name="array")
    vectors = _commands(Cells(*array.devices(), ternary, formed), ternary)
    assert (vectors["reports"] >> 3 & (1 << COLUMNS) - 1).any(), "no programming fails to the end"
    return directory, vectors


@pytest.mark.parametrize("pauses", [(0.0, 0.0), (0.4, 0.4)], ids=str)
@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_commands_in_cocotb(built, simulator, pauses, tmp_path):
    if simulator == "icarus" and shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog is not on PATH")
    directory, vectors = built
    durations = TIMING.as_dict().values()
    timing = sum(duration << 16 * k for k, duration in enumerate(durations))
    options = {"timing": timing, "retries": RETRIES, "pauses": pauses}
    counts = run_bench(
        directory, "macro", vectors, tmp_path, simulator=simulator, seed=3, options=options
    )
    assert counts == {"results": len(vectors["results"]), "reports": len(vectors["reports"])}
