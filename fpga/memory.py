# SPDX-License-Identifier: BSD-2-Clause
"""Block RAM of a device: the blocks that an emulator takes, and the images that the rest holds.

Counted before anything is synthesized, as synthesis places it: each memory alone, in the shape of
blocks that needs the fewest.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from amaranth.hdl import Fragment, Shape
from amaranth.hdl._mem import MemoryInstance  # not exported; the version is pinned

HALF = 18  # bits of a block that half a word fits
SMALL_ROWS = 32  # up to this depth a memory lies in logic cells where these can be memory


@dataclass(frozen=True)
class BlockRam:
    """Blocks of one kind.

    Parameters
    ----------
    count : on the device
    shapes : (rows, bits) of a block, one for each width
    distributed : whether small memories lie in logic cells instead
    """

    count: int
    shapes: tuple[tuple[int, int], ...]
    distributed: bool = True

    def blocks(self, rows: int, width: int) -> int:
        """The fewest blocks that hold a memory."""
        if self.distributed and rows <= SMALL_ROWS:
            return 0
        return min(-(-rows // deep) * -(-width // wide) for deep, wide in self.shapes)

    def words(self, blocks: int) -> int:
        """The most 32-bit words that some blocks hold, in halves side by side as Yosys does it."""
        deep, _ = max(((deep, wide) for deep, wide in self.shapes if wide <= HALF), key=_wide)
        return blocks // 2 * deep


def _wide(shape: tuple[int, int]) -> int:
    return shape[1]


@dataclass(frozen=True)
class Found:
    """A memory of a design: where it is, and its size."""

    path: tuple[str, ...]
    rows: int
    width: int


def memories(elaboratable) -> list[Found]:
    """All memories of a design."""
    return list(_walk(Fragment.get(elaboratable, None), ()))


def _walk(fragment: Fragment, path: tuple[str, ...]) -> Iterator[Found]:
    if isinstance(fragment, MemoryInstance):
        data = fragment._data
        yield Found(path, data.depth, Shape.cast(data.shape).width)
    for sub, name, _ in fragment.subfragments:
        yield from _walk(sub, (*path, str(name)))
