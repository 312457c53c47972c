# SPDX-License-Identifier: BSD-2-Clause
"""Run-time loading: another network's weights and thresholds, while packets wait; and refusals.

Vectors: ``packets`` (N, bytes), ``before`` and ``after`` (N, bytes of an answer), and for target k
``target<k>`` (rows, words).
"""

import cocotb
from cocotb.triggers import ClockCycles

from .edge import Edge


async def refusals(edge: Edge) -> None:
    """Words for nowhere, and half words, are refused with an error, and counted nowhere."""
    targets = edge.about["targets"]
    window = edge.offset("LOAD_DATA")
    for target, row in ((len(targets), 0), (0, targets[0]["rows"]), (0xFFFFFFFF, 0)):
        await edge.write("LOAD_TARGET", target)
        await edge.write("LOAD_ROW", row)
        assert await edge.bus.write(window, 0xDEADBEEF), f"target {target}, row {row}"
    assert await edge.read("ERRORS") == edge.bit("ERRORS", "LOAD_RANGE")
    await edge.write("ERRORS", edge.bit("ERRORS", "LOAD_RANGE"))
    assert await edge.read("ERRORS") == 0
    assert await edge.read("LOADED_LINES") == 0


async def hold(edge: Edge) -> None:
    """Lets the images inside leave and no other in."""
    await edge.write("CONTROL", edge.bit("CONTROL", "HOLD"))
    while not await edge.read("STATUS") & edge.bit("STATUS", "HELD"):
        pass


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def load(dut):
    """The scores are the old network's up to the hold, and the new one's from then on."""
    edge = Edge(dut)
    await edge.start()
    edge.pause(0.2, 0.2)
    packets = [packet.tobytes() for packet in edge.vectors["packets"]]
    before = [answer.tobytes() for answer in edge.vectors["before"]]
    after = [answer.tobytes() for answer in edge.vectors["after"]]

    # With images inside a word is refused.
    assert await edge.bus.write(edge.offset("LOAD_DATA"), 0)
    assert await edge.read("ERRORS") == edge.bit("ERRORS", "LOAD_NOT_HELD")
    await edge.write("ERRORS", 0xFFFFFFFF)

    for packet in packets:
        await edge.source.send(packet)
    await ClockCycles(edge.clock, 200)
    await hold(edge)
    first = await edge.read("IMAGES")
    for number in range(first):
        assert await edge.receive() == before[number], f"packet {number}, before"
    await refusals(edge)

    lines = 0
    for index in range(len(edge.about["targets"])):
        await edge.write("LOAD_TARGET", index)
        # A word too many is forgotten when the row is written.
        await edge.write("LOAD_ROW", 0)
        if edge.about["targets"][index]["words"] > 1:
            await edge.write("LOAD_DATA", 0x5A5A5A5A)
            await edge.write("LOAD_ROW", 0)
        rows = edge.vectors[f"target{index}"].tolist()
        middle = -(-len(rows) // 2)
        # Half of them in order, the others from the last on, whatever is still being written.
        for place in (*range(middle), *reversed(range(middle, len(rows)))):
            if place >= middle:
                await edge.write("LOAD_ROW", place)
            for word in rows[place]:
                await edge.write("LOAD_DATA", word)
            assert await edge.read("LOAD_ROW") == place + 1
        lines += len(rows)
    while await edge.read("STATUS") & edge.bit("STATUS", "LOADING"):
        pass
    assert await edge.read("LOADED_LINES") == lines
    assert await edge.read("ERRORS") == 0
    assert edge.sink.empty() and await edge.read("IMAGES") == first

    await edge.write("CONTROL", 0)
    for number in range(first, len(packets)):
        assert await edge.receive() == after[number], f"packet {number}, after"

    # What was loaded outlives a reset.
    await edge.pulse_reset()
    assert await edge.read("LOADED_LINES") == 0
    await edge.source.send(packets[0])
    assert await edge.receive() == after[0]
    edge.close(before=first, after=len(packets) - first, lines=lines)
