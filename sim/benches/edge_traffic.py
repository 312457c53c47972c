# SPDX-License-Identifier: BSD-2-Clause
"""Random packets and random register accesses at the same time, with pauses on every channel.

Vectors: ``packets`` (N, bytes) and ``answers`` (N, bytes); ``lengths`` (N,), in beats, cuts packets
short or makes them longer. Options: ``accesses``, one after the other; ``beside``, reads at the
same time, for which the bus must take several; ``pause`` (of the streams), ``bus_pause``.
"""

import cocotb
from cocotb.triggers import ClockCycles

from .edge import Edge


class Registers:
    """What random accesses must be answered with."""

    def __init__(self, edge: Edge):
        self.edge, self.random = edge, edge.random
        self.stored = {"LOAD_TARGET": 0, "LOAD_ROW": 0}
        self.known = {r["offset"]: name for name, r in edge.registers.items()}
        self.errors = 0

    async def access(self) -> None:
        """One random access, checked."""
        random = self.random
        offset = random.choice([*self.known, *(4 * random.randrange(1024) for _ in range(4))])
        name = self.known.get(offset)
        kind = self.edge.registers[name]["access"] if name else None
        if random.random() < 0.5:
            # No resets and no holding: the images go on.
            value = 0 if name == "CONTROL" else random.getrandbits(32)
            error = await self.edge.bus.write(offset, value)
            refused = kind not in ("stored", "sticky")  # the window too: no load while images run
            assert error == refused, f"write {value:#x} to {name or hex(offset)}: {error}"
            if name in self.stored:
                fields = self.edge.registers[name]["fields"]
                self.stored[name] = value & sum(self.edge.bit(name, f["name"]) for f in fields)
        else:
            value, error = await self.edge.bus.read(offset)
            refused = kind in (None, "window")
            assert error == refused, f"read of {name or hex(offset)}: {error}"
            if kind == "constant":
                assert value == self.edge.registers[name]["value"], name
            if name in self.stored:
                assert value == self.stored[name], f"{name}: {value:#x}"
        self.errors += error

    async def constant(self) -> None:
        """One read of a constant, beside whatever else goes on."""
        constants = [r for r in self.edge.registers.values() if r["access"] == "constant"]
        register = self.random.choice(constants)
        found = await self.edge.bus.read(register["offset"])
        assert found == (register["value"], False), f"{register['name']}: {found}"


async def tell_lengths(edge: Edge, normal: int, width: int) -> None:
    """A packet that is too short, and one that is too long, each set their sticky bit alone."""
    for name, length in (("SHORT_PACKET", normal - 1), ("LONG_PACKET", normal + 1)):
        if length:
            await edge.write("ERRORS", 0xFFFFFFFF)
            assert await edge.read("ERRORS") == 0
            await edge.source.send(bytes(length * width))
            await edge.receive()
            assert await edge.read("ERRORS") == edge.bit("ERRORS", name), name


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def traffic(dut):
    """Every packet is answered in order and exactly; every access as the map says."""
    edge = Edge(dut)
    await edge.start()
    edge.pause(edge.options["pause"], edge.options["pause"])
    edge.bus.pause(lambda: edge._dice(edge.options["bus_pause"]))
    width = edge.about["packets"]["input_bytes"]
    lengths = edge.vectors["lengths"].tolist()
    normal = edge.about["packets"]["input_beats"]
    for packet, length in zip(edge.vectors["packets"], lengths, strict=True):
        whole = packet.tobytes()
        surplus = bytes(edge.random.randbytes(max(length - normal, 0) * width))
        await edge.source.send((whole + surplus)[: length * width])
    registers = Registers(edge)

    async def accesses():
        for _ in range(edge.options["accesses"]):
            await registers.access()

    async def reads():
        for _ in range(edge.options["beside"]):
            await registers.constant()

    tasks = [cocotb.start_soon(accesses()), cocotb.start_soon(reads())]
    for number, answer in enumerate(edge.vectors["answers"]):
        found = await edge.receive()
        assert found == answer.tobytes(), (
            f"packet {number}: {found.hex()}, not {answer.tobytes().hex()}"
        )
    for task in tasks:
        await task
    edge.bus.pause(lambda: iter(lambda: False, True))
    await ClockCycles(edge.clock, 50)
    assert edge.sink.empty() and edge.source.idle(), "a packet nobody asked for"
    short, long = (sum(n < normal for n in lengths), sum(n > normal for n in lengths))
    assert await edge.read("IMAGES") == len(lengths)
    assert await edge.read("SHORT_PACKETS") == short
    assert await edge.read("LONG_PACKETS") == long
    assert await edge.read("STATUS") == edge.bit("STATUS", "IDLE")
    await tell_lengths(edge, normal, width)
    edge.close(
        packets=len(lengths),
        beats=sum(lengths),
        accesses=edge.options["accesses"],
        refused=registers.errors,
    )
