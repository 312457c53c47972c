# SPDX-License-Identifier: BSD-2-Clause
import re

import numpy as np
import pytest
from amaranth.hdl import Value
from amaranth.sim import Simulator

from tests.support.simulate import PAUSES, play
from twincell.hw.arrays.digital import DigitalArray
from twincell.hw.arrays.emulated import EmulatedArray
from twincell.hw.arrays.macro import MacroArray
from twincell.hw.arrays.signature import ArraySignature


def _word(bits: np.ndarray) -> int:
    return sum(int(bit) << k for k, bit in enumerate(bits))


def _case(rows: int, columns: int, ternary: bool):
    """An array, 60 random reads of it, and what they must return."""
    rng = np.random.default_rng(rows * columns)
    sign = rng.integers(0, 2, (rows, columns))
    stored = rng.integers(0, 2, (rows, columns)) if ternary else None
    array = DigitalArray(sign, stored)
    beats, wanted = [], []
    address_bits = (max(rows, 2) - 1).bit_length()
    for _ in range(60):
        row = int(rng.integers(rows))
        inputs, enable = rng.integers(0, 2, (2, columns))
        active = enable if stored is None else enable & stored[row]
        agree = (inputs == sign[row]) & active
        fields = _word(inputs) | _word(enable) << columns
        beats.append(row | fields << address_bits)
        wanted.append(_word(agree) | _word(active) << columns)
    return array, beats, wanted


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 5), (7, 32), (13, 67)])
def test_reads(rows, columns, ternary, pauses):
    array, beats, wanted = _case(rows, columns, ternary)
    found, cycles = play(array, beats, len(beats), pauses=pauses)
    assert found == wanted
    if pauses == "none":
        assert set(np.diff(cycles)) == {array.cycles_per_read}


@pytest.mark.parametrize("ternary", [False, True])
def test_a_programmed_word_line_is_read_back(ternary):
    zeros = np.zeros((4, 8), int)
    array = DigitalArray(zeros, zeros if ternary else None)
    seen = []

    async def bench(ctx):
        ctx.set(array.o.ready, 1)
        ctx.set(array.i_program.payload, {"row": 2, "sign": 0b10110001, "active": 0b11110000})
        ctx.set(array.i_program.valid, 1)
        assert ctx.get(array.i_program.ready)
        await ctx.tick()
        ctx.set(array.i_program.valid, 0)
        ctx.set(array.i.valid, 1)
        for row in (2, 1):
            ctx.set(array.i.payload, {"row": row, "inputs": 0xFF, "enable": 0x7F})
            await ctx.tick()
            assert ctx.get(array.o.valid)
            seen.append(ctx.get(Value.cast(array.o.payload)))

    simulator = Simulator(array)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    active = 0b01110000 if ternary else 0b01111111
    assert seen[0] == (0b10110001 & active) | active << 8
    assert seen[1] == (0 if ternary else 0x7F << 8)


def test_stored_bits_disagree_where_not_enabled():
    """The XNOR of what is shown is agree, whatever is stored in columns that are not enabled."""
    rng = np.random.default_rng(3)
    array = DigitalArray(rng.integers(0, 2, (4, 40)))

    async def bench(ctx):
        ctx.set(array.o.ready, 1)
        ctx.set(array.i.valid, 1)
        for read in range(40):
            inputs, enable = (int(bits) for bits in rng.integers(0, 1 << 40, 2))
            ctx.set(array.i.payload, {"row": read % 4, "inputs": inputs, "enable": enable})
            await ctx.tick()
            stored = ctx.get(array.stored)
            agree = ~(stored.sign ^ stored.inputs) & ((1 << 40) - 1)
            assert agree == ctx.get(array.o.payload.agree)
            assert agree & ~enable == 0

    simulator = Simulator(array)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_bad_parameters():
    with pytest.raises(TypeError, match=r"^Rows must be a positive integer, not 0$"):
        ArraySignature(0, 4)
    with pytest.raises(TypeError, match=r"^Columns must be a positive integer, not None$"):
        ArraySignature(4, None)
    message = "Contents must be bits (rows, columns), not [(2, 3), (3, 2)]"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        DigitalArray(np.zeros((2, 3)), np.zeros((3, 2)))


@pytest.mark.parametrize(
    "make", [DigitalArray, MacroArray, lambda *bits: EmulatedArray(*bits, reads=1)]
)
def test_weights_are_no_bits(make):
    """-1 and +1 would all be stored as +1."""
    for name, *contents in (("sign", [[-1, 1]]), ("active", [[0, 1]], [[1, 2]])):
        with pytest.raises(ValueError, match=f"^{name} holds values other than 0 and 1$"):
            make(*map(np.array, contents))
    assert make(np.array([[False, True]])).contents.tolist() == [[0, 1]]
