# SPDX-License-Identifier: BSD-2-Clause
"""Runs one bench of :mod:`.benches` on generated Verilog, in cocotb."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from . import jobs, toolchain
from .jobs import Simulator
from .ports import read
from .results import BuildError, SimulationError


def run_bench(
    build: Path,
    bench: str,
    vectors: dict[str, np.ndarray],
    work: Path,
    *,
    simulator: Simulator = "verilator",
    seed: int = 0,
    options: dict[str, Any] | None = None,
    timeout: float = 600.0,
) -> dict:
    """Runs a bench; what it counted, as plain data.

    Parameters
    ----------
    build : directory of the Verilog and its ``ports.json``
    bench : name of the module
    vectors : arrays that the bench names
    work : directory for vectors and logs; of no other run at the same time
    options : plain data that the bench reads
    timeout : seconds after which the simulator is ended

    Raises
    ------
    ToolMissing, BuildError, TimedOut
        When a tool is missing, does not do its work, or not in the time that it has.
    SimulationError
        When the bench fails; the message ends with the simulator's last lines.
    """
    toolchain.cocotb()
    work = Path(work).absolute()
    work.mkdir(parents=True, exist_ok=True)
    (work / "verdict.json").unlink(missing_ok=True)
    np.savez(work / "vectors.npz", allow_pickle=False, **vectors)
    job = {
        "simulator": simulator,
        "bench": f"twincell.sim.benches.{bench}",
        "build": str(Path(build).absolute()),
        "cache": str(jobs.compiled_at(read(build), simulator)),
        "waves": str(work / "waves"),
        "seed": seed,
        "options": options or {},
    }
    (work / jobs.JOB).write_text(json.dumps(job, indent=2) + "\n")
    code = jobs.execute(work, timeout)
    if code != 0:
        said = (work / jobs.LOG).read_text(errors="replace").splitlines()[-25:]
        kind = SimulationError if code == 1 else BuildError
        raise kind("\n".join([f"{bench} on {simulator} failed (exit {code}, seed {seed}):", *said]))
    return json.loads((work / "verdict.json").read_text())
