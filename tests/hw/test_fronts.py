# SPDX-License-Identifier: BSD-2-Clause
"""Front ends with a bank behind them, and the loader, in Amaranth's simulator."""

from dataclasses import dataclass

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator

from twincell.hw.edges.bank import Bank
from twincell.hw.edges.fronts import SLVERR, AxiLite, Wishbone
from twincell.hw.edges.loader import Loader
from twincell.hw.edges.registers import Access, Register, RegisterMap
from twincell.hw.loading import Target

PATIENCE = 40
REGISTERS = RegisterMap(
    (
        Register("ID", 0, Access.CONSTANT, "", value=0x11223344),
        Register("MODE", 4, Access.STORED, ""),
        Register("LEVEL", 0x84, Access.STORED, ""),
    )
)


@dataclass(frozen=True)
class Axi:
    """One access at a time over AXI4-Lite; the halves of a write come in any order."""

    front: AxiLite

    async def _send(self, ctx, wait: int, valid, ready, *values) -> None:
        for _ in range(wait):
            await ctx.tick()
        for signal, value in values:
            ctx.set(signal, value)
        ctx.set(valid, 1)
        for _ in range(PATIENCE):
            taken = ctx.get(ready)
            await ctx.tick()
            if taken:
                break
        else:
            raise AssertionError("the channel never became ready")
        ctx.set(valid, 0)
        for signal, _ in values:
            ctx.set(signal, 0)

    async def _answer(self, ctx, wait: int, valid, ready, *signals) -> list[int]:
        for _ in range(PATIENCE):
            if ctx.get(valid):
                break
            await ctx.tick()
        else:
            raise AssertionError("no answer")
        first = [ctx.get(signal) for signal in signals]
        for _ in range(wait):
            await ctx.tick()
        assert ctx.get(valid) and [ctx.get(signal) for signal in signals] == first
        ctx.set(ready, 1)
        await ctx.tick()
        ctx.set(ready, 0)
        return first

    async def write(self, ctx, rng, address: int, data: int, select: int) -> bool:
        f = self.front
        halves = [
            (f.awvalid, f.awready, (f.awaddr, address)),
            (f.wvalid, f.wready, (f.wdata, data), (f.wstrb, select)),
        ]
        for half in rng.permutation(2):
            await self._send(ctx, rng.integers(3), *halves[half])
        (response,) = await self._answer(ctx, rng.integers(3), f.bvalid, f.bready, f.bresp)
        return response == SLVERR

    async def read(self, ctx, rng, address: int) -> tuple[int, bool]:
        f = self.front
        await self._send(ctx, rng.integers(3), f.arvalid, f.arready, (f.araddr, address))
        found = await self._answer(ctx, rng.integers(3), f.rvalid, f.rready, f.rdata, f.rresp)
        return found[0], found[1] == SLVERR


@dataclass(frozen=True)
class Classic:
    """One access at a time over Wishbone."""

    front: Wishbone

    async def _access(self, ctx, rng, address: int, **signals: int) -> bool:
        f = self.front
        for name, value in {"cyc": 1, "stb": 1, "adr": address, **signals}.items():
            ctx.set(getattr(f, name), value)
        for _ in range(PATIENCE):
            ended = ctx.get(f.ack), ctx.get(f.err), ctx.get(f.dat_r)
            await ctx.tick()
            if ended[0] or ended[1]:
                break
        else:
            raise AssertionError("the access never ended")
        assert not (ended[0] and ended[1])
        ctx.set(f.stb, 0)
        for _ in range(rng.integers(3)):  # still selected, and nothing is asked
            await ctx.tick()
            assert not ctx.get(f.ack) and not ctx.get(f.err)
        ctx.set(f.cyc, 0)
        object.__setattr__(self, "seen", ended[2])
        return bool(ended[1])

    async def write(self, ctx, rng, address: int, data: int, select: int) -> bool:
        return await self._access(ctx, rng, address, we=1, dat_w=data, sel=select)

    async def read(self, ctx, rng, address: int) -> tuple[int, bool]:
        error = await self._access(ctx, rng, address, we=0, sel=15)
        return self.seen, error


def random_accesses(front: AxiLite | Wishbone, count: int = 80, seed: int = 3) -> None:
    """Bytes written are read back, in their register and no other; others are errors."""
    bank, m = Bank(REGISTERS), Module()
    m.submodules.front, m.submodules.bank = front, bank
    connect(m, front.bus, bank.bus)
    host = Axi(front) if isinstance(front, AxiLite) else Classic(front)

    async def bench(ctx):
        rng = np.random.default_rng(seed)
        held = {0: 0x11223344, 4: 0, 0x84: 0}
        for _ in range(count):
            address = int(rng.choice([0, 4, 0x84, 0x80, 0x404, 0x804]))
            if rng.random() < 0.5:
                data, select = int(rng.integers(1 << 32)), int(rng.integers(16))
                error = await host.write(ctx, rng, address, data, select)
                assert error == (address not in (4, 0x84)), hex(address)
                if not error:
                    mask = sum(0xFF << 8 * k for k in range(4) if select >> k & 1)
                    held[address] = held[address] & ~mask | data & mask
            else:
                found = await host.read(ctx, rng, address)
                assert found == (held.get(address, 0), address not in held), hex(address)

    _simulate(m, bench)


def _simulate(component: wiring.Elaboratable, bench) -> None:
    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def load_lines() -> None:
    """Words become lines; words of a line given up, too early, or of no row, are none."""
    targets = [
        Target("a", "word lines", 3, 70, 0, 1, 1),
        Target("b", "constants", 2, 24, -8, 7, 4),
    ]
    loader, rng = Loader(targets), np.random.default_rng(7)

    async def put(ctx, word: int, *, last: bool = False) -> tuple[int, int]:
        ctx.set(loader.put, 1)
        ctx.set(loader.word, word)
        refused = ctx.get(loader.not_allowed), ctx.get(loader.no_place)
        assert ctx.get(loader.collected) == last
        assert ctx.get(loader.ready)
        await ctx.tick()
        ctx.set(loader.put, 0)
        return refused

    async def restart(ctx, target: int, row: int) -> None:
        ctx.set(loader.target, target)
        ctx.set(loader.row, row)
        ctx.set(loader.restart, 1)
        await ctx.tick()
        ctx.set(loader.restart, 0)

    async def bench(ctx):
        ctx.set(loader.allowed, 1)
        for index, row in [(0, 0), (1, 1), (0, 2), (1, 0), (0, 1)]:
            target = targets[index]
            if target.words > 1:  # a line begun, and given up
                await restart(ctx, index, row)
                await put(ctx, 0xDEADBEEF)
                await restart(ctx, index, row)
            ctx.set(loader.target, index)
            ctx.set(loader.row, row)
            words = [int(word) for word in rng.integers(1 << 32, size=target.words)]
            for k, word in enumerate(words):
                ctx.set(loader.allowed, 0)
                assert await put(ctx, ~word & 0xFFFFFFFF) == (1, 0)
                ctx.set(loader.allowed, 1)
                assert not ctx.get(loader.o.valid), k
                assert await put(ctx, word, last=k == target.words - 1) == (0, 0)
            await _taken(ctx, index, row, words)
        for index, row in [(0, 3), (1, 2), (2, 0)]:
            await restart(ctx, index, row)
            assert await put(ctx, 1) == (0, 1)
            assert not ctx.get(loader.o.valid)

    async def _taken(ctx, index: int, row: int, words: list[int]) -> None:
        for elsewhere in range(3):  # it waits until it is taken, whatever is written meanwhile
            ctx.set(loader.target, elsewhere)
            ctx.set(loader.row, elsewhere)
            payload = loader.o.payload
            assert ctx.get(loader.o.valid) and not ctx.get(loader.ready)
            assert (ctx.get(payload.target), ctx.get(payload.row)) == (index, row)
            line = ctx.get(payload.line) >> 32 * (3 - len(words))
            assert line == sum(word << 32 * k for k, word in enumerate(words))
            await ctx.tick()
        ctx.set(loader.o.ready, 1)
        await ctx.tick()
        ctx.set(loader.o.ready, 0)
        assert not ctx.get(loader.o.valid)

    _simulate(loader, bench)


@pytest.mark.parametrize("front", [AxiLite, Wishbone])
def test_random_accesses_are_answered_as_the_bank_holds(front):
    random_accesses(front())


def test_words_become_lines():
    load_lines()
