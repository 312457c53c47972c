# SPDX-License-Identifier: BSD-2-Clause
"""Runs the benches of wrapped networks, which speak AXI-Stream, AXI4-Lite and Wishbone, in cocotb.

The AXI agents are those of ``cocotbext-axi``, not ours, so that two readings of the standards meet.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..hw.tools import ToolMissing
from . import packets, toolchain
from .bench_run import run_bench


def play(
    build: Path, bench: str, vectors: dict[str, np.ndarray], work: Path, **options: Any
) -> dict:
    """:func:`.bench_run.run_bench` for a wrapped network and ``edge_traffic``, ``edge_reset`` or
    ``edge_load``; raises ``ToolMissing`` without cocotbext-axi as well."""
    if find_spec("cocotbext.axi") is None:
        raise ToolMissing("cocotbext-axi", toolchain.pip_install("cocotbext-axi"))
    packets.edge(build)
    return run_bench(build, bench, vectors, work, **options)
