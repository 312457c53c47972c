# SPDX-License-Identifier: BSD-2-Clause
"""How a max-pooling is computed: how many channels at a time."""

from dataclasses import dataclass, replace

from .window import Window


@dataclass(frozen=True)
class PoolPlan:
    """How a max-pooling is computed.

    A window is a vector like those of a layer: its words are its groups, each of as many cycles as
    the window has taps.

    Parameters
    ----------
    name : of the component
    node : index in the graph
    window : of the node
    size : channels of a cycle, which divide those of a position
    presentations : of an image, where each makes a pass; else empty
    """

    name: str
    node: int
    window: Window
    size: int = 1
    presentations: tuple[int, ...] = ()

    planes = pixel_bits = 1

    @property
    def passes(self) -> int:
        """How often it pools for an image, at most."""
        return max(self.presentations, default=1)

    def shown(self, presentations: int) -> "PoolPlan":
        """The pooling as it works with a number of presentations."""
        return replace(self, presentations=(presentations,)) if self.presentations else self

    @property
    def word(self) -> int:
        """Bits of a word that comes in."""
        return self.size

    @property
    def beat(self) -> int:
        """Bits of a beat that leaves."""
        return self.size

    @property
    def elements(self) -> int:
        """Elements that come in for an image."""
        return self.window.channels * self.window.pixels

    @property
    def groups(self) -> int:
        """Words of a position."""
        return self.window.channels // self.size

    @property
    def cycles_per_group(self) -> int:
        """Cycles of a word: one for each tap."""
        return self.window.taps

    @property
    def reads(self) -> int:
        """Taps that are read for an image, word by word."""
        return self.passes * self.window.positions * self.groups * self.cycles_per_group

    @property
    def cycles(self) -> int:
        """Cycles of an image: of its reads or, where windows skip much of it, of its words."""
        return max(self.reads, self.passes * self.elements // self.size)
