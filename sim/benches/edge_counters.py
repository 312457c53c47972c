# SPDX-License-Identifier: BSD-2-Clause
"""Counters of emulated arrays: reads and flips of images, programmings of word lines, and CLEAR.

Vectors: ``packets`` (N, bytes), ``answers`` (N, bytes), ``reads`` and ``flips`` (arrays,) of all
images, and ``programmings`` (arrays, word lines of the longest), how often to program each; -1
where there is none.
"""

import cocotb

from .edge import Edge

COUNTERS = ("CYCLES", "READS", "FLIPS")


async def counters(edge: Edge, index: int) -> list[int]:
    """All counters of an array."""
    return [await edge.read(f"A{index}_{name}") for name in COUNTERS]


async def program(edge: Edge, index: int, times: list[int]) -> None:
    """Writes each word line of an array as often as it says."""
    lines = [k for k, each in enumerate(edge.about["targets"]) if each["kind"] == "word lines"]
    target = edge.about["targets"][lines[index]]
    await edge.write("LOAD_TARGET", lines[index])
    for row, count in enumerate(times):
        for _ in range(count):
            await edge.write("LOAD_ROW", row)
            for _ in range(target["words"]):
                await edge.write("LOAD_DATA", 0)


async def programmings(edge: Edge, index: int, rows: int) -> list[int]:
    """The programmings of each word line; a question for one that is not there is refused."""
    await edge.write("WEAR_ARRAY", index)
    found = []
    for row in range(rows):
        await edge.write("WEAR_ROW", row)
        found.append(await edge.read("WEAR_COUNT"))
    assert await edge.bus.write(edge.offset("WEAR_ROW"), rows), f"array {index} has no row {rows}"
    assert await edge.read("WEAR_COUNT") == found[-1]
    return found


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def count(dut):
    """What the registers say is what happened, and CLEAR sets all but the programmings to 0."""
    edge = Edge(dut)
    await edge.start()
    for packet, answer in zip(edge.vectors["packets"], edge.vectors["answers"], strict=True):
        await edge.source.send(packet.tobytes())
        assert await edge.receive() == answer.tobytes()
    reads, flips = edge.vectors["reads"].tolist(), edge.vectors["flips"].tolist()
    for index in range(len(reads)):
        found = await counters(edge, index)
        assert found[1:] == [reads[index], flips[index]], f"array {index}: {found}"
        assert found[0] >= found[1]

    await edge.write("CONTROL", edge.bit("CONTROL", "HOLD"))
    while not await edge.read("STATUS") & edge.bit("STATUS", "HELD"):
        pass
    wanted = [[n for n in times if n >= 0] for times in edge.vectors["programmings"].tolist()]
    for index, times in enumerate(wanted):
        await program(edge, index, times)
    await edge.write("CONTROL", edge.bit("CONTROL", "CLEAR"))
    for index, times in enumerate(wanted):
        assert await counters(edge, index) == [0, 0, 0]
        assert await programmings(edge, index, len(times)) == times
    await edge.write("WEAR_ARRAY", len(wanted))
    assert await edge.bus.write(edge.offset("WEAR_ROW"), 0), "there is no such array"
    edge.close(images=await edge.read("IMAGES"), flips=sum(flips))
