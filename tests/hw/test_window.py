# SPDX-License-Identifier: BSD-2-Clause
"""Windows of images, read tap by tap while rows come in."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.sim import Simulator

from tests.support.networks import image_words, packed
from twincell.hw.window import Window, WindowBuffer
from twincell.model.nodes import Fill
from twincell.model.reads import ArrayReads

WINDOWS = {
    "one tap": Window(1, (3, 4), (1, 1), (1, 1), (0, 0)),
    "valid": Window(2, (6, 5), (3, 3), (1, 1), (0, 0)),
    "same": Window(4, (5, 6), (3, 3), (1, 1), (1, 1)),
    "plus": Window(2, (4, 4), (3, 2), (1, 1), (2, 1), Fill.PLUS),
    "stride leaves rows": Window(2, (8, 7), (3, 2), (3, 3), (0, 0)),
    "stride beyond the kernel": Window(1, (9, 9), (2, 2), (4, 3), (1, 0)),
    "pooling": Window(2, (6, 6), (2, 2), (2, 2), (0, 0)),
    "whole image": Window(1, (4, 3), (4, 3), (1, 1), (0, 0)),
    "one row of windows": Window(1, (3, 8), (3, 3), (1, 2), (0, 1)),
    "flat": Window(3, (9,), (4,), (2,), (1,)),
    "flat and short": Window(1, (2,), (2,), (1,), (1,)),
    "wide padding": Window(1, (2, 1), (2, 8), (1, 1), (1, 7)),
    "deep padding": Window(1, (2, 2), (5, 5), (1, 1), (3, 3)),
}


def shown(window: Window, images: np.ndarray, plane: int) -> np.ndarray:
    """Bits (images, positions, taps, channels) of images (N, channels, *size)."""
    fill = (1 << 16) - 1 if window.fill is Fill.PLUS else 0
    padding = [(0, 0)] * 2 + [(p, p) for p in window.padding]
    padded = np.pad(images, padding, constant_values=fill)
    axes = tuple(range(2, images.ndim))
    cut = np.lib.stride_tricks.sliding_window_view(padded, window.kernel, axis=axes)
    cut = cut[(slice(None),) * 2 + tuple(slice(None, None, step) for step in window.stride)]
    cut = cut.reshape(len(images), window.channels, window.positions, window.taps)
    return cut.transpose(0, 2, 3, 1) >> plane & 1


def _read(window, bits, lanes, words, images, *, by_word=False, again=1, idle=0.0, seed=0, rows=1):
    """Reads every window of so many images ``again`` times; returns what each read showed, whether
    it was inside, and the cycle of each image's last read."""
    buffer = WindowBuffer(window, bits, lanes, by_word=by_word, rows=rows)
    rng = np.random.default_rng(seed)
    found, cycles = [], []
    reads = window.taps // rows * (window.channels // lanes) * bits * again

    async def bench(ctx):
        pending, index, cycle, position, before = list(words), 0, 0, 0, None
        while position < images * window.positions or before:
            offer = bool(pending) and rng.random() >= idle
            ctx.set(buffer.i.valid, offer)
            if offer:
                ctx.set(buffer.i.payload.as_value(), pending[0])
            en = bool(ctx.get(buffer.present)) and rng.random() >= idle
            en = en and position < images * window.positions
            ctx.set(buffer.en, en)
            ctx.set(buffer.plane, index // (reads // bits))
            ctx.set(buffer.release, en and index == reads - 1)
            flags = [
                ctx.get(each) for each in (buffer.first, buffer.last, buffer.done, buffer.word)
            ]
            _, _, ready, bits_, inside = await ctx.tick().sample(
                buffer.i.ready, buffer.shown, buffer.inside
            )
            if before:
                found.append((bits_, inside, *before))
            before = flags if en else None
            if offer and ready:
                pending.pop(0)
            if en:
                index = (index + 1) % reads
                position += index == 0
                if index == 0 and position % window.positions == 0:
                    cycles.append(cycle)
            cycle += 1
        assert not pending

    simulator = Simulator(buffer)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found, cycles


def _expected(window, images, bits, lanes, by_word, again) -> list[int]:
    words = window.channels // lanes
    planes = np.stack([shown(window, images, plane) for plane in range(bits)], axis=2)
    cut = planes.reshape(*planes.shape[:4], words, lanes)  # image, position, plane, tap, word, lane
    if by_word:
        cut = cut.swapaxes(3, 4)
    cut = np.repeat(cut[:, :, :, None], again, axis=3)
    return packed(cut.reshape(-1, lanes), 1)


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize(
    ("bits", "again", "by_word", "idle"),
    [(1, 1, False, 0.5), (3, 2, False, 0.0), (1, 1, True, 0.5)],
)
def test_every_tap_of_every_window(name, bits, again, by_word, idle):
    window = WINDOWS[name]
    rng = np.random.default_rng(len(name) + bits)
    images = rng.integers(0, 1 << bits, (2, window.channels, *window.size))
    for lanes in {1, window.channels}:
        words = image_words(images, bits, lanes)
        found, _ = _read(
            window, bits, lanes, words, 2, by_word=by_word, again=again, idle=idle, seed=bits
        )
        assert [each[0] for each in found] == _expected(window, images, bits, lanes, by_word, again)


@pytest.mark.parametrize("name", [name for name in WINDOWS if WINDOWS[name].kernel[0] > 1])
@pytest.mark.parametrize(("bits", "idle"), [(1, 0.5), (3, 0.0)])
def test_a_column_of_taps_at_a_time(name, bits, idle):
    window, rng = WINDOWS[name], np.random.default_rng(len(name))
    rows, lanes = window.kernel[0], window.channels
    images = rng.integers(0, 1 << bits, (2, lanes, *window.size))
    words = image_words(images, bits, lanes)
    found, _ = _read(window, bits, lanes, words, 2, idle=idle, rows=rows)
    planes = np.stack([shown(window, images, plane) for plane in range(bits)], axis=2)
    columns = planes.reshape(*planes.shape[:3], rows, -1, lanes).swapaxes(3, 4)
    expected = columns.reshape(-1, rows * lanes)
    assert [each[0] for each in found] == packed(expected, 1)
    padded = replace(window, fill=Fill.PLUS)
    ones = shown(padded, np.zeros_like(images), 0)[..., 0]  # of taps outside
    outside = ones.reshape(*ones.shape[:2], 1, rows, -1).swapaxes(3, 4)
    outside = np.repeat(outside, bits, axis=2).reshape(-1, rows)
    assert [each[1] for each in found] == packed(1 - outside, 1)


@pytest.mark.parametrize("name", WINDOWS)
def test_flags(name):
    """Inside, and where in the window a read was."""
    window = WINDOWS[name]
    images = np.zeros((2, window.channels, *window.size), dtype=int)
    lanes, words = 1, window.channels
    ones = Window(*(getattr(window, each) for each in ("channels", "size", "kernel", "stride",
                                                       "padding")), Fill.PLUS)  # fmt: skip
    outside = shown(ones, images, 0).swapaxes(2, 3).reshape(-1)  # by word
    found, _ = _read(window, 1, lanes, image_words(images, 1, lanes), 2, by_word=True)
    assert [inside for _, inside, *_ in found] == (1 - outside).tolist()
    reads = np.arange(len(found))
    tap, word = reads % window.taps, reads // window.taps % words
    assert [each[2] for each in found] == (tap == 0).tolist()
    assert [each[3] for each in found] == (tap == window.taps - 1).tolist()
    assert [each[4] for each in found] == ((tap == window.taps - 1) & (word == words - 1)).tolist()
    assert [each[5] for each in found] == word.tolist()


@pytest.mark.parametrize("name", WINDOWS)
def test_no_cycle_is_lost_between_images(name):
    """An image takes as many cycles as its reads, or as its words where they are more."""
    window = WINDOWS[name]
    images = np.zeros((6, window.channels, *window.size), dtype=int)
    for again in (1, 3):
        words = image_words(images, 1, window.channels)
        _, cycles = _read(window, 1, window.channels, words, 6, again=again)
        longest = max(window.positions * window.taps * again, len(words) // 6)
        assert set(np.diff(cycles)[2:]) == {longest}


def test_the_rows_of_windows():
    rows = Window(1, (8, 1), (3, 1), (3, 1), (1, 0)).rows()
    assert [(row.top, row.needed, row.freed) for row in rows] == [(-1, 2, 2), (2, 3, 3), (5, 3, 3)]
    assert WINDOWS["same"].slots == 4 and WINDOWS["one tap"].slots == 2


def test_the_order_of_a_window():
    reads = ArrayReads(1, inputs=6, outputs=1, lanes=2, neurons=1, channels=2)
    assert reads.sources.tolist() == [0, 3, 1, 4, 2, 5]  # both channels of the first tap first
    assert ArrayReads(1, 6, 1, 2, 1).sources.tolist() == [0, 1, 2, 3, 4, 5]


def test_lanes_divide_the_channels():
    with pytest.raises(ValueError, match=r"^3 lanes do not divide 4 channels$"):
        WindowBuffer(WINDOWS["same"], 1, 3)
    with pytest.raises(ValueError, match=r"^A read of 3 rows and 2 lanes is no column of a window"):
        WindowBuffer(WINDOWS["same"], 1, 2, rows=3)
