# SPDX-License-Identifier: BSD-2-Clause
"""Emulators for tests, and their registers by name in Amaranth's simulator."""

from dataclasses import dataclass

import numpy as np

from tests.support.graphs import mlp, random_images
from twincell.fpga.description import Description, describe
from twincell.fpga.instrument import Instrument
from twincell.hw.arrays import settings
from twincell.hw.arrays.emulated import EmulatedArrays
from twincell.hw.network import Network
from twincell.hw.plan import Budget, Plan, plan
from twincell.model.errors import ErrorMap
from twincell.model.generators import start_of_image
from twincell.model.graph import Graph
from twincell.model.planes import FixedPoint, Stochastic

_PIXELS = FixedPoint(3)


@dataclass(frozen=True)
class Case:
    """A small network, its plan, and images for it."""

    graph: Graph
    plan: Plan
    images: np.ndarray

    def network(self) -> Network:
        """Loadable, on emulated arrays that count programmings."""
        return Network(self.graph, self.plan, loadable=True, arrays=EmulatedArrays(wear=True))


def case(planes: FixedPoint | Stochastic = _PIXELS) -> Case:
    rng = np.random.default_rng(1)
    graph = mlp(rng, [23, 14, 5], planes)
    return Case(graph, plan(graph, Budget(lanes=60)), random_images(rng, graph, 12))


class Board:
    """An instrument's registers by name, in a testbench of Amaranth's simulator."""

    def __init__(self, ctx, instrument: Instrument):
        self.ctx, self.bus = ctx, instrument.bus
        self.about: Description = describe(instrument, board="test", clock=1e6, clocks_per_bit=4)

    async def access(self, name: str, word: int | None = None) -> tuple[int, bool]:
        """One access: what was read, and whether it was refused."""
        ctx, bus = self.ctx, self.bus
        ctx.set(bus.stb, 1)
        ctx.set(bus.we, word is not None)
        ctx.set(bus.address, self.about.register(name).offset // 4)
        ctx.set(bus.data, word or 0)
        ctx.set(bus.select, 15)
        read, error = await ctx.tick().sample(bus.read, bus.error).until(bus.ack)
        ctx.set(bus.stb, 0)
        return read, bool(error)

    async def read(self, name: str) -> int:
        value, refused = await self.access(name)
        assert not refused, name
        return value

    async def write(self, name: str, word: int) -> None:
        assert not (await self.access(name, word))[1], f"{name}: {word:#x}"

    async def field(self, name: str, field: str) -> int:
        return self.about.register(name)[field].of(await self.read(name))

    async def pulse(self, name: str, field: str) -> None:
        await self.write(name, self.about.register(name)[field].mask)

    async def upload(self, images: np.ndarray, slot: int = 0) -> None:
        await self.write("IMAGE_SLOT", slot)
        for word in self.about.encode(images).reshape(-1).tolist():
            await self.write("IMAGE_DATA", word)

    async def start(self, first: int, count: int) -> None:
        await self.write("RUN_FIRST", first)
        await self.write("RUN_COUNT", count)
        await self.pulse("RUN", "START")

    async def results(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores and labels of the next results."""
        size = self.about.results.words
        words = []
        while len(words) < count * size:
            if await self.field("RUN_STATE", "WORDS"):
                words.append(await self.read("RESULT_DATA"))
        return self.about.results.decode(np.array(words).reshape(count, size))

    async def hold(self) -> None:
        await self.pulse("CONTROL", "HOLD")
        while not await self.field("STATUS", "HELD"):
            pass

    async def load_errors(self, errors: ErrorMap, image: int = 0) -> None:
        """Rates and seeds of the read errors, such that the next image is number ``image``."""
        await self.hold()
        for array in self.about.emulated:
            layer = errors.layers[array.node]
            await self.write("LOAD_TARGET", array.read_errors)
            await self.write("LOAD_ROW", 0)
            start = start_of_image(layer.start, image)
            for word in settings.words(layer.rate, start).tolist():
                await self.write("LOAD_DATA", word)
        await self.write("CONTROL", 0)
