# SPDX-License-Identifier: BSD-2-Clause
"""Runs one bench of :mod:`.benches` on generated Verilog, in cocotb."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from . import toolchain
from .harness import Simulator, compiled_at
from .ports import read
from .results import BuildError, Hang, SimulationError

_JOB = "twincell.sim.cocotb_job"


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
    ToolMissing, BuildError
        When a tool is missing or does not do its work.
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
        "cache": str(compiled_at(read(build), simulator)),
        "waves": str(work / "waves"),
        "seed": seed,
        "options": options or {},
    }
    (work / "job.json").write_text(json.dumps(job, indent=2) + "\n")
    log = work / "simulation.log"
    with log.open("wb") as file:
        child = subprocess.Popen(
            [sys.executable, "-m", _JOB, str(work / "job.json")],
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = child.wait(timeout)
        except BaseException as error:
            os.killpg(child.pid, signal.SIGKILL)  # the simulator is its child
            child.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise Hang(f"The simulator was ended after {timeout:g} s") from None
            raise
    if code != 0:
        said = log.read_text(errors="replace").splitlines()[-25:]
        kind = SimulationError if code == 1 else BuildError
        raise kind("\n".join([f"{bench} on {simulator} failed (exit {code}, seed {seed}):", *said]))
    return json.loads((work / "verdict.json").read_text())
