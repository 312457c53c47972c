# SPDX-License-Identifier: BSD-2-Clause
"""Planes: how an input is shown to an array that only knows bits.

An input is shown as a sequence of bit-planes, each with an integer weight; a layer adds up the
plane-weighted counts of agreeing bits.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from .checks import MAX_BITS, GraphError, require
from .stochastic import Generator, lfsr_step, numbers, start_register


@dataclass(frozen=True)
class Binary:
    """The input is bits: one plane of weight 1."""

    bits = 1
    variants = 1

    def weights(self, variant: int = 0) -> tuple[int, ...]:
        """Integer weight of each plane."""
        return (1,)


@dataclass(frozen=True)
class FixedPoint:
    """Unsigned integers of ``bits`` bits: plane ``k`` is bit ``k``, of weight ``2^k``.

    With -1/+1 bits this computes with the odd integers ``2x - (2^bits - 1)``.
    """

    bits: int
    variants = 1

    def __post_init__(self):
        if not isinstance(self.bits, int) or not 2 <= self.bits <= MAX_BITS:
            raise GraphError(f"Fixed-point pixels have 2 to {MAX_BITS} bits, not {self.bits!r}")

    def weights(self, variant: int = 0) -> tuple[int, ...]:
        """Integer weight of each plane, plane 0 first."""
        return tuple(1 << k for k in range(self.bits))


class Accumulate(StrEnum):
    """Where the presentations of an image are added up."""

    FIRST = "first"  # in the first layer, whose neurons then fire once
    OUTPUT = "output"  # in the head: the whole network runs once for each presentation


@dataclass(frozen=True)
class Stochastic:
    """Unsigned integers of ``bits`` bits, shown as random bits in P presentations of weight 1.

    Parameters
    ----------
    bits : of a pixel
    presentations : the supported values of P
    seed : of the random numbers
    generator : that draws them, see :mod:`~twincell.model.stochastic`
    accumulate : where presentations are added up. In the first layer, each value of P is a
        *variant* with its own thresholds. At the output there is one variant, that of a single
        presentation: every layer sees one plane at a time, and scores are summed, offsets included.
    """

    bits: int
    presentations: tuple[int, ...]
    seed: int = 0
    generator: Generator | str = Generator.LFSR
    accumulate: Accumulate | str = Accumulate.FIRST

    def __post_init__(self):
        object.__setattr__(self, "presentations", tuple(self.presentations))
        try:
            lfsr_step(self.bits, 1)
        except (ValueError, TypeError) as error:
            raise GraphError(f"Stochastic pixels: {error}") from None
        counts = self.presentations
        if not counts or any(not isinstance(p, int) or not 1 <= p <= 1024 for p in counts):
            raise GraphError(f"Presentations must be integers from 1 to 1024, not {counts!r}")
        require(len(set(counts)) == len(counts), f"Presentations {counts!r} repeat a value")
        require(
            isinstance(self.seed, int) and 0 <= self.seed < 1 << 64,
            f"The seed must be an unsigned 64-bit integer, not {self.seed!r}",
        )
        for name, kind in (("generator", Generator), ("accumulate", Accumulate)):
            given, allowed = getattr(self, name), tuple(str(each) for each in kind)
            require(given in allowed, f"{name} is one of {', '.join(allowed)}, not {given!r}")
            object.__setattr__(self, name, kind(given))

    @property
    def repeated(self) -> bool:
        """Whether the whole network runs once for each presentation."""
        return self.accumulate is Accumulate.OUTPUT

    def numbers(self, image: int, presentations: int, pixels: int) -> np.ndarray:
        """The random numbers of one image: uint32 (presentations, pixels), 1 to ``2^bits - 1``. A
        pixel shows +1 where it is at least its number."""
        start = start_register(self.seed, image)
        return numbers(self.generator, self.bits, start, presentations, pixels)

    @property
    def variants(self) -> int:
        """How many vectors of thresholds the layer behind the input has."""
        return 1 if self.repeated else len(self.presentations)

    def weights(self, variant: int = 0) -> tuple[int, ...]:
        """Integer weights of the planes that a layer adds up: as many ones as presentations, or a
        single one where presentations are added up at the output."""
        return (1,) if self.repeated else (1,) * self.presentations[variant]


Planes = Binary | FixedPoint | Stochastic

BINARY = Binary()
