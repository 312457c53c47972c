# SPDX-License-Identifier: BSD-2-Clause
"""CYCLES and BUSY against what passes at the ports, across 2^32 too, and CLEAR.

Vectors: ``packets`` (N, bytes). Options: ``pause`` of the streams.
"""

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from .edge import Edge

FULL = 1 << 32


class Watch:
    """Counts, from when it is made, what the two registers count."""

    def __init__(self, edge: Edge):
        self.edge, self.cycles, self.busy = edge, 0, 0
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        inside, between = 0, True
        while True:
            await RisingEdge(self.edge.clock)
            self.cycles += 1
            self.busy += inside > 0
            if self._passes("s_axis"):
                inside += between
                between = self._pin("s_axis_tlast")
            inside -= self._passes("m_axis") and self._pin("m_axis_tlast")

    def _passes(self, stream: str) -> bool:
        return self._pin(f"{stream}_tvalid") and self._pin(f"{stream}_tready")

    def _pin(self, name: str) -> bool:
        return bool(int(getattr(self.edge.dut, name).value))


async def read(edge: Edge, name: str) -> int:
    """Both words of a counter."""
    low = await edge.read(name)
    return low + (await edge.read(f"{name}_HIGH") << 32)


async def elapsed(edge: Edge, watch: Watch, packets: list[bytes]) -> None:
    """Images run; both counters grow by as much as the watch says."""
    before = watch.cycles
    start = await read(edge, "CYCLES")
    least, busy = watch.cycles, watch.busy
    was_busy = await read(edge, "BUSY")
    for packet in packets:
        await edge.source.send(packet)
    for _ in packets:
        await edge.receive()
    await RisingEdge(edge.clock)
    assert await read(edge, "BUSY") == was_busy + watch.busy - busy
    after = watch.cycles
    found = await read(edge, "CYCLES") - start
    assert after - least <= found <= watch.cycles - before, f"{found} cycles"


async def carry(edge: Edge, watch: Watch, packets: list[bytes]) -> None:
    """Both counters pass 2^32, and the high word stays that of the low one that was read."""
    cycles, busy = edge.dut.controlled.cycles, edge.dut.controlled.busy
    busy.value = FULL - 5
    await elapsed(edge, watch, packets)
    assert await read(edge, "BUSY") > FULL
    cycles.value = FULL - 60
    low = await edge.read("CYCLES")
    await ClockCycles(edge.clock, 100)
    assert FULL - 60 <= low < FULL and await edge.read("CYCLES_HIGH") == 0
    assert FULL < await read(edge, "CYCLES") < FULL + 200
    cycles.value = 7 * FULL - 60
    await elapsed(edge, watch, packets)
    assert await read(edge, "CYCLES") > 7 * FULL


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def count(dut):
    """The counters say what happened, without pauses and with them."""
    edge = Edge(dut)
    await edge.start()
    watch = Watch(edge)
    packets = [packet.tobytes() for packet in edge.vectors["packets"]]
    await elapsed(edge, watch, packets)
    edge.pause(edge.options["pause"], edge.options["pause"])
    await elapsed(edge, watch, packets)
    await carry(edge, watch, packets)
    await edge.write("CONTROL", edge.bit("CONTROL", "CLEAR"))
    assert await read(edge, "BUSY") == 0 and await read(edge, "CYCLES") < 100
    await elapsed(edge, watch, packets)
    edge.close(busy=watch.busy, cycles=watch.cycles)
