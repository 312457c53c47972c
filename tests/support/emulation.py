# SPDX-License-Identifier: BSD-2-Clause
"""An emulated memory under random traffic, and the obvious model that replays what it was given."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from amaranth.hdl import ClockDomain, Module
from amaranth.sim import Simulator

from twincell.hw.arrays import settings
from twincell.hw.arrays.emulated import EmulatedArray, masks, read_with
from twincell.model.generators import start_of_image


def bits_of(word: int, width: int) -> np.ndarray:
    """Bits of an integer, the lowest first."""
    octets = np.frombuffer(word.to_bytes(-(-width // 8), "little"), dtype=np.uint8)
    return np.unpackbits(octets, count=width, bitorder="little")


def word_of(bits: np.ndarray) -> int:
    """An integer from bits, the lowest first."""
    return int.from_bytes(
        np.packbits(np.asarray(bits, np.uint8), bitorder="little").tobytes(), "little"
    )


class Reference:
    """What an array must return for the accesses it took, in their order.

    Contents, settings and counts are kept as the documentation has them; the errors are those of
    ``model.generators``.
    """

    def __init__(self, array: EmulatedArray):
        self.array = array
        self.contents = array.contents.copy()
        self.programmings = np.zeros(len(array.contents), dtype=int)
        self.rows = np.zeros(settings.ROWS, dtype=np.uint32)
        self.reset()

    def reset(self) -> None:
        """The settings of the constructor; contents and programmings stay."""
        self.table, self.on = self.array.table, self.array.table is not None
        self.rows[settings.START :] = self.array.start
        self.reads = self.flips = 0
        self.expected: deque[tuple[int, int]] = deque()
        self._restart()

    def _restart(self) -> None:
        self.running, self.masks = self.on, self._masks()

    def _masks(self) -> Iterator[np.ndarray]:
        array, image = self.array, 0
        s1, s2, s3 = (int(word) for word in self.rows[settings.START :])
        while True:
            starts = np.array([start_of_image((s1, s2, s3), image)], dtype=np.uint64)
            yield from masks(starts, self.table, array.reads, array.bits_per_read)
            image += 1

    def word(self, row: int, word: int) -> None:
        """A word of the settings."""
        self.rows[row] = word
        self.running = False
        if row == settings.CONTROL:
            digits = word & 7
            self.table = self.array.table
            if digits:
                self.table = self.rows[: digits * 64].reshape(digits, 64).copy()
            self.on = bool(word & 8) and self.table is not None
        if row == settings.ROWS - 1:
            self._restart()

    def program(self, row: int, sign: int, active: int) -> None:
        """A word line is programmed."""
        columns = self.array.columns
        written = [bits_of(sign, columns), bits_of(active, columns)][: 1 + self.array.ternary]
        self.contents[row] = np.hstack(written)
        self.programmings[row] += 1

    def read(self, row: int, inputs: int, enable: int) -> None:
        """A read is taken; what it returns comes to the end of ``expected``."""
        columns = self.array.columns
        mask = next(self.masks) if self.running else np.zeros(self.array.bits_per_read, np.uint8)
        shown = [bits_of(each, columns)[None] for each in (inputs, enable)]
        agree, active, flips = read_with(mask[None], self.contents[row][None], *shown)
        self.expected.append((word_of(agree[0]), word_of(active[0])))
        self.reads += 1
        self.flips += flips


@dataclass
class Traffic:
    """What comes when: chances of a cycle, and lists of what comes once.

    Parameters
    ----------
    read, program, ready : chance that a read is offered, a word line programmed, the sink ready
    words : rows of the settings by the cycle in which they are first offered, one after the other
    resets : cycles with reset
    """

    read: float = 1.0
    program: float = 0.0
    ready: float = 1.0
    words: dict[int, np.ndarray | list[tuple[int, int]]] = field(default_factory=dict)
    resets: tuple[int, ...] = ()


def exercise(array: EmulatedArray, cycles: int, traffic: Traffic, seed: int = 0) -> Reference:
    """Random traffic for some cycles; compares every result, then the counters and programmings.

    Returns the model, for what it has counted.
    """
    rng = np.random.default_rng(seed)
    reference = Reference(array)
    rows, columns = len(array.contents), array.columns
    inside: deque[int] = deque()
    busy = 0
    clock = ClockDomain("sync")
    top = Module()
    top.domains += clock
    top.submodules.array = array

    def noise() -> int:
        return word_of(rng.integers(0, 2, columns))

    async def bench(ctx):
        nonlocal busy
        words: deque[tuple[int, int]] = deque()
        read = program = None
        draining = 0
        for cycle in range(cycles + 100_000):
            last = cycle >= cycles
            reset = cycle in traffic.resets
            ctx.set(clock.rst, reset)
            if not reset:
                words.extend(_listed(traffic.words.get(cycle, [])))
                if read is None and not last and rng.random() < traffic.read:
                    read = int(rng.integers(rows)), noise(), noise()
                if program is None and not last and rng.random() < traffic.program:
                    program = int(rng.integers(rows)), noise(), noise()
            else:
                read = program = None
                words.clear()
            ready = last or rng.random() < traffic.ready
            ctx.set(array.i.valid, read is not None)
            if read:
                ctx.set(array.i.payload, dict(zip(("row", "inputs", "enable"), read, strict=True)))
            ctx.set(array.i_program.valid, program is not None)
            if program:
                fields = ("row", "sign", "active")
                ctx.set(array.i_program.payload, dict(zip(fields, program, strict=True)))
            ctx.set(array.i_errors.valid, bool(words))
            if words:
                ctx.set(array.i_errors.payload, {"row": words[0][0], "word": words[0][1]})
            ctx.set(array.o.ready, ready)
            payload = array.o.payload
            seen = array.i.ready, array.i_program.ready, array.i_errors.ready, array.o.valid
            *_, taken, programmed, word, valid, agree, active = await ctx.tick().sample(
                *seen, payload.agree, payload.active
            )
            if reset:
                reference.reset()
                inside.clear()
                busy = 0
                continue
            busy += bool(inside)
            if valid:
                assert inside, f"cycle {cycle}: a result nobody asked for"
                assert (agree, active) == reference.expected[0], f"cycle {cycle}"
                if ready:
                    reference.expected.popleft()
                    inside.popleft()
            if read and taken:
                reference.read(*read)
                inside.append(cycle)
                read = None
            if program and programmed:
                reference.program(*program)
                program = None
            if words and word:
                assert not inside, f"cycle {cycle}: a word between a read and its result"
                reference.word(*words.popleft())
            if last and not inside and not words:
                draining += 1
                if draining == 4:
                    break
        assert not inside and not words
        counted = [ctx.get(array.counters[name]) for name in ("cycles", "reads", "flips")]
        assert counted == [busy, reference.reads, reference.flips]
        found = []
        ctx.set(array.o_wear.ready, 1)
        for row in range(rows):
            ctx.set(array.i_wear.payload, row)
            ctx.set(array.i_wear.valid, 1)
            await ctx.tick().until(array.i_wear.ready)
            ctx.set(array.i_wear.valid, 0)
            (count,) = await ctx.tick().sample(array.o_wear.payload).until(array.o_wear.valid)
            found.append(count)
        assert found == reference.programmings.tolist()

    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return reference


def _listed(words) -> list[tuple[int, int]]:
    if isinstance(words, np.ndarray):
        return [(row, int(word)) for row, word in enumerate(words)]
    return list(words)
