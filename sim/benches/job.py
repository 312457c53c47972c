# SPDX-License-Identifier: BSD-2-Clause
"""The job of a bench, read inside the simulator, and the first cycles that benches share.

A job is a JSON file beside its vectors, named by the environment variable ``TWINCELL_JOB``; what a
bench has seen goes to ``verdict.json`` there.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from .. import ports

PERIOD_NS = 10
RESET_CYCLES = 4


class Job:
    """The job of this simulation.

    ``settings`` are all of it, ``vectors`` its arrays, ``options`` what is for this bench alone and
    ``work`` the directory of its files; ``build`` is that of the Verilog.
    """

    def __init__(self):
        path = Path(os.environ["TWINCELL_JOB"])
        self.settings: dict[str, Any] = json.loads(path.read_text())
        self.work, self.build = path.parent, Path(self.settings["build"])
        self.seed: int = self.settings["seed"]
        self.options: dict[str, Any] = self.settings.get("options", {})
        with np.load(self.work / "vectors.npz") as vectors:
            self.vectors = dict(vectors)

    def ports(self) -> ports.Ports:
        """The ports of the top."""
        return ports.read(self.build)

    def record(self, **found: Any) -> None:
        """Writes what the bench has seen."""
        (self.work / "verdict.json").write_text(json.dumps(found, indent=2))


async def power_on(clock, reset=None) -> None:
    """Starts the clock; a reset, active high, is held for the first cycles."""
    if reset is not None:
        reset.value = 1
    Clock(clock, PERIOD_NS, "ns").start()
    await ClockCycles(clock, RESET_CYCLES, RisingEdge)
    if reset is not None:
        reset.value = 0
