# SPDX-License-Identifier: BSD-2-Clause
"""The bench of any component with streams ``i`` and ``o``: plays beats and records what leaves."""

import cocotb

from .bench import Bench


@cocotb.test()
async def play(dut):
    """The expected number of beats leaves, and both streams keep the contract."""
    bench = Bench(dut)
    bench.close(await bench.run(), [])
