# SPDX-License-Identifier: BSD-2-Clause
import numpy as np
import pytest
from amaranth.sim import Simulator

from twincell.hw.accumulator import Accumulator, range_shape


def _totals(accumulator: Accumulator, sums: list[tuple[int, list[list[int]]]], idle: float):
    """(total, rest) after each sum's counts, with idle cycles in between."""
    rng = np.random.default_rng(0)
    found = []

    async def bench(ctx):
        for constant, planes in sums:
            ctx.set(accumulator.constant, constant)
            for plane, counts in enumerate(planes):
                for fold, count in enumerate(counts):
                    while rng.random() < idle:
                        ctx.set(accumulator.valid, 0)
                        await ctx.tick()
                    ctx.set(accumulator.valid, 1)
                    ctx.set(accumulator.first, fold == 0 and plane == 0)
                    ctx.set(accumulator.double, fold == 0 and plane > 0)
                    ctx.set(accumulator.count, count)
                    await ctx.tick()
            ctx.set(accumulator.valid, 0)
            found.append((ctx.get(accumulator.total), ctx.get(accumulator.rest)))

    simulator = Simulator(accumulator)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found


@pytest.mark.parametrize("idle", [0.0, 0.4])
@pytest.mark.parametrize("planes", [1, 2, 5, 8])
def test_total_is_constant_plus_weighted_counts(planes, idle):
    rng = np.random.default_rng(planes)
    folds, most = 3, 7
    top = folds * most * ((1 << planes) - 1)
    constants = [-top - 1, -top, -1, 0, *(int(c) for c in rng.integers(-top - 1, 1, 20))]
    sums = [(c, rng.integers(0, most + 1, (planes, folds)).tolist()) for c in constants]
    sums[1] = (-top, [[most] * folds] * planes)  # all agree: exactly 0, so it fires
    shape = range_shape(-top - 1, top)
    accumulator = Accumulator(most, planes - 1, shape, shape)
    for (constant, counts), (total, _) in zip(sums, _totals(accumulator, sums, idle), strict=True):
        weighted = sum(sum(c) << (planes - 1 - k) for k, c in enumerate(counts))
        assert total == constant + weighted == Accumulator.model(constant, counts, planes - 1)


@pytest.mark.parametrize("planes", [2, 5, 8])
def test_constants_may_have_fewer_bits_than_there_are_doublings(planes):
    rng = np.random.default_rng(planes)
    top = 7 * ((1 << planes) - 1)
    for low, high in ((-1, 0), (0, 1), (-5, 2)):
        accumulator = Accumulator(7, planes - 1, range_shape(low, high), range_shape(low, top + 1))
        sums = [(c, rng.integers(0, 8, (planes, 1)).tolist()) for c in range(low, high + 1)] * 3
        found = _totals(accumulator, sums, 0)
        for (constant, counts), (total, _) in zip(sums, found, strict=True):
            assert total == Accumulator.model(constant, counts, planes - 1)


@pytest.mark.parametrize("planes", [1, 3])
def test_a_doubling_left_out_leaves_its_bit(planes):
    rng = np.random.default_rng(planes)
    sums = [(int(c), rng.integers(0, 8, (planes, 2)).tolist()) for c in range(-60, 61)]
    top = 2 * 7 * ((1 << planes) - 1)
    accumulator = Accumulator(7, planes, range_shape(-60, 60), range_shape(-30, 30 + top))
    for (constant, counts), (total, rest) in zip(sums, _totals(accumulator, sums, 0), strict=True):
        weighted = sum(sum(c) << (planes - 1 - k) for k, c in enumerate(counts))
        assert 2 * total + (rest >> (planes - 1)) == constant + 2 * weighted


def test_a_carry_counts_one_more():
    shape = range_shape(-20, 20)
    accumulator = Accumulator(7, 0, shape, shape, carry=True)
    rng = np.random.default_rng(4)
    found, wanted = [], []

    async def bench(ctx):
        ctx.set(accumulator.constant, -20)
        ctx.set(accumulator.valid, 1)
        total = 0
        for cycle in range(60):
            count, carry = int(rng.integers(0, 8)), int(rng.integers(0, 2))
            ctx.set(accumulator.first, cycle % 4 == 0)
            ctx.set(accumulator.count, count)
            ctx.set(accumulator.carry, carry)
            total = (-20 if cycle % 4 == 0 else total) + count + carry
            wanted.append(total)
            await ctx.tick()
            found.append(ctx.get(accumulator.total))

    simulator = Simulator(accumulator)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == wanted


def test_range_shape_holds_both_ends_and_no_more():
    for low in range(-20, 5):
        for high in range(max(low, 0), 20):
            shape = range_shape(low, high)
            least, most = -(1 << (shape.width - 1)), (1 << (shape.width - 1)) - 1
            assert shape.signed and least <= low and high <= most
            assert shape.width == 1 or not (least // 2 <= low and high <= most // 2)
