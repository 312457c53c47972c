# SPDX-License-Identifier: BSD-2-Clause
"""Resets at random moments, hard and soft, with images inside and accesses under way.

Vectors: ``packets`` (N, bytes) and ``answers`` (N, bytes). Options: ``resets``, ``within`` (cycles
from the first packet to the reset, at most).
"""

import cocotb
from cocotb.triggers import ClockCycles, Event

from .edge import Edge


async def disturb(edge: Edge, offset: int, stop: Event) -> None:
    """Accesses that a hard reset may cut short."""
    while not stop.is_set():
        await edge.bus.write(offset, edge.random.getrandbits(8))
        await edge.bus.read(offset)


async def soft(edge: Edge) -> None:
    """As a host does it: the source stops at the end of a packet; images are still inside."""
    edge.pause(0, 0)
    await edge.source.wait()
    await edge.write("CONTROL", edge.bit("CONTROL", "SOFT_RESET"))
    assert await edge.read("CONTROL") == 0


async def hard(edge: Edge) -> None:
    """At once, in the middle of whatever goes on."""
    edge.source.clear()
    edge.bus.abandon()
    await edge.pulse_reset()
    edge.pause(0, 0)
    for register in ("LOAD_ROW", "IMAGES", "ERRORS", "CONTROL"):
        assert await edge.read(register) == 0, register


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def reset(dut):
    """After every reset the bank is as new and the next images have their scores."""
    edge = Edge(dut)
    random = edge.random
    await edge.start()
    packets = [packet.tobytes() for packet in edge.vectors["packets"]]
    answers = [answer.tobytes() for answer in edge.vectors["answers"]]
    images = softly = 0
    for _ in range(edge.options["resets"]):
        edge.pause(random.choice([0, 0.3]), random.choice([0, 0.3, 0.9]))
        for packet in random.choices(packets, k=4):
            await edge.source.send(packet)
        task = cocotb.start_soon(disturb(edge, edge.offset("LOAD_ROW"), stop := Event()))
        await ClockCycles(edge.clock, random.randint(1, edge.options["within"]))
        gently = random.random() < 0.25
        if gently:
            stop.set()
            await task
            await soft(edge)
        else:
            task.cancel()
            await hard(edge)
        edge.sink.clear()
        assert await edge.read("STATUS") == edge.bit("STATUS", "IDLE")
        assert edge.sink.empty(), "a packet after the reset"
        chosen = random.choices(range(len(packets)), k=2)
        for index in chosen:
            await edge.source.send(packets[index])
        for number, index in enumerate(chosen):
            found, answer = await edge.receive(), answers[index]
            # A soft reset may cut a packet off: what had left of it stands before the next.
            cut = found[-len(answer) :] if gently and number == 0 else found
            assert cut == answer, f"{found.hex()}, not {answer.hex()}"
            images += 1
        assert edge.sink.empty()
        softly += gently
    edge.close(resets=edge.options["resets"], soft=softly, images=images)
