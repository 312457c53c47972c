# SPDX-License-Identifier: BSD-2-Clause
"""Planes: how an input is shown to an array that only knows bits.

An input is shown as a sequence of bit-planes, each with an integer weight; a layer adds up the
plane-weighted counts of agreeing bits.
"""

from dataclasses import dataclass

from .checks import MAX_BITS, GraphError, require
from .generators import lfsr_cycle


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


@dataclass(frozen=True)
class Stochastic:
    """Unsigned integers of ``bits`` bits, shown as random bits in P presentations of weight 1.

    ``presentations`` lists the supported values of P; each is a *variant* with its own thresholds
    in the first layer. The random numbers are
    :func:`~twincell.model.generators.stochastic_thresholds`.
    """

    bits: int
    presentations: tuple[int, ...]
    seed: int = 0

    def __post_init__(self):
        object.__setattr__(self, "presentations", tuple(self.presentations))
        try:
            lfsr_cycle(self.bits)
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

    @property
    def variants(self) -> int:
        """How many numbers of presentations are supported."""
        return len(self.presentations)

    def weights(self, variant: int = 0) -> tuple[int, ...]:
        """Integer weight of each plane: as many ones as presentations."""
        return (1,) * self.presentations[variant]


Planes = Binary | FixedPoint | Stochastic

BINARY = Binary()
