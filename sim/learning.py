# SPDX-License-Identifier: BSD-2-Clause
"""A step of device training through generated Verilog, with PyTorch's devices at the pins."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..hw.arrays.macro import MacroArray
from ..hw.arrays.macro_members import line_layout
from ..hw.arrays.macro_timing import Timing
from ..hw.arrays.pins import PlayedMacro
from ..hw.arrays.updates import most_pulses
from ..hw.verilog import emit
from .bench_run import run_bench
from .jobs import Simulator
from .ports import read

if TYPE_CHECKING:
    from torch import Tensor

TIMING = Timing(form=1, set=1, reset=1, weak=1, settle=1)  # the shortest


@dataclass(frozen=True, eq=False)
class Learned:
    """What a step left behind.

    Parameters
    ----------
    state : of the memory at the pins, as ``state_dict()`` has it
    weights : int8 (rows, columns), -1 and +1 as the sense amplifiers read them
    pulses : int64 (rows,), weak pulses of each word line, as its counter says
    """

    state: "dict[str, Tensor]"
    weights: np.ndarray
    pulses: np.ndarray


def learn(
    device: str,
    seed: int,
    state: "dict[str, Tensor]",
    updates: np.ndarray,
    *,
    bits: int = 5,
    limit: int | None = None,
    simulator: Simulator = "verilator",
    idle: float = 0.0,
    work: Path | None = None,
) -> Learned:
    """Sends the pulse counts of one training step, int (rows, columns), through a macro's array.

    Each row of counts becomes pulses at the pins of the macro, where a memory of PyTorch in
    ``state`` takes them; then all word lines are read.

    Parameters
    ----------
    device : a preset of ``model.learning.devices``
    seed : of its memory of that shape
    state : of the memory before
    updates : whole pulses, positive ones towards +1
    bits, limit : of the hardware, see :class:`~..hw.arrays.updates.PulseTrains`
    idle : probability that the sources pause before a beat
    work : directory for the run's files; by default one that is removed

    Raises ``ValueError`` for counts that are not whole or do not fit ``bits``, for a limit that
    does not, for a device that is no preset and for a state that is not of it, and what
    :func:`~.bench_run.run_bench` raises.
    """
    counts = _counts(updates, bits)
    _check_state(device, seed, state, counts.shape)
    most = most_pulses(bits, limit)
    timing = sum(cycles << 16 * k for k, cycles in enumerate(TIMING.as_dict().values()))
    ports = {"timing": timing, "retries": 0, "line": 0, "update_limit": most}
    options = {"device": device, "shape": counts.shape, "seed": seed, "idle": idle, "ports": ports}
    if work is not None:
        return _through(work, counts, state, options, bits, simulator)
    with tempfile.TemporaryDirectory(prefix="twincell-") as scratch:
        return _through(Path(scratch), counts, state, options, bits, simulator)


def _through(
    work: Path,
    counts: np.ndarray,
    state: "dict[str, Tensor]",
    options: dict,
    bits: int,
    simulator: Simulator,
) -> Learned:
    """The bench of a step, with its files in ``work``."""
    import torch  # takes two seconds

    rows, columns = counts.shape
    build = work / "build"
    array = MacroArray(
        np.zeros((rows, columns), np.uint8), timing=TIMING, update_bits=bits, macro=PlayedMacro
    )
    emit(array, build, name="learning")
    top = read(build)
    torch.save(state, work / "before.pt")
    i, o, full = top.stream("i"), top.stream("o"), (1 << columns) - 1
    given = next(field.offset for field in i.fields if field.name == "inputs")
    everything = full << given | full << given + columns  # all inputs are 1, all columns enabled
    vectors = {
        "updates": top.stream("i_update").pack(row=np.arange(rows), counts=counts),
        "reads": i.from_integers([row | everything for row in range(rows)]),
    }
    run_bench(build, "learning", vectors, work, simulator=simulator, options=options)
    with np.load(work / "observed.npz") as observed:
        agree = [beat & full for beat in o.integers(observed["beats"])]
        weak = observed["wear"] >> line_layout(learns=True)["weak"].offset
    signs = [[2 * (line >> column & 1) - 1 for column in range(columns)] for line in agree]
    after = torch.load(work / "after.pt", weights_only=True)
    return Learned(after, np.array(signs, dtype=np.int8), weak)


def _counts(updates: np.ndarray, bits: int) -> np.ndarray:
    updates = np.asarray(updates)
    most, counts = (1 << (bits - 1)) - 1, np.rint(updates)
    if not np.array_equal(counts, updates):
        raise ValueError("Updates are whole pulses, not fractions, which no macro can give")
    if counts.ndim != 2 or np.abs(counts).max(initial=0) > most:
        raise ValueError(
            f"Updates are counts (rows, columns) from {-most} to {most}, not {counts.shape} "
            f"from {counts.min(initial=0):g} to {counts.max(initial=0):g}"
        )
    return counts.astype(np.int64)


def _check_state(device: str, seed: int, state: "dict[str, Tensor]", shape: tuple) -> None:
    from ..model.learning.devices.presets import preset

    memory = preset(device).device.memory(shape, seed)
    try:
        memory.load_state_dict(state)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"The state is not of {device} devices {shape}: {error}") from None
