# SPDX-License-Identifier: BSD-2-Clause
"""Runs the benches of wrapped networks, which speak AXI-Stream, AXI4-Lite and Wishbone, in cocotb.

The AXI agents are those of ``cocotbext-axi``, not ours, so that two readings of the standards meet.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from . import packets, toolchain
from .bench_run import run_bench
from .harness import Simulator


def play(
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
    """Runs a bench of :mod:`.benches` on a wrapped network; what it counted, as plain data.

    Parameters
    ----------
    build : directory of the Verilog, its ``ports.json`` and register map
    bench : name of the module, one of ``edge_traffic``, ``edge_reset``, ``edge_load``
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
    if find_spec("cocotbext.axi") is None:
        raise toolchain.ToolMissing("cocotbext-axi", toolchain.pip_install("cocotbext-axi"))
    packets.edge(build)
    return run_bench(
        build,
        bench,
        vectors,
        work,
        simulator=simulator,
        seed=seed,
        options=options,
        timeout=timeout,
    )
