# SPDX-License-Identifier: BSD-2-Clause
"""Run-time loading of weights and thresholds: which memories a network has, and lines for them.

A *target* is one memory: the word lines of an array, the constants that a layer adds to its sums,
the settings of an emulated array's read errors, or those of presentations. A *line* is one of its
rows, as 32-bit words, the lowest bits first.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import data, stream

WORD = 32


@dataclass(frozen=True)
class Target:
    """One memory that can be loaded.

    Parameters
    ----------
    name : of the component, and what it holds
    kind : ``word lines``, ``constants``, ``read errors`` or ``presentations``
    rows, bits : of the memory
    lowest, highest : of an element; 0 and 1 for the bits of a word line
    width : bits of one element of the row
    """

    name: str
    kind: str
    rows: int
    bits: int
    lowest: int
    highest: int
    width: int

    @property
    def words(self) -> int:
        """32-bit words of a line."""
        return -(-self.bits // WORD)

    def lines(self, elements: np.ndarray) -> np.ndarray:
        """Elements (rows, elements of a row) as uint32 (rows, words).

        Raises ``ValueError`` when they do not fit.
        """
        elements = np.asarray(elements, dtype=np.int64)
        expected = (self.rows, self.bits // self.width)
        if elements.shape != expected:
            raise ValueError(f"{self.name} takes {expected}, not {elements.shape}")
        if elements.min() < self.lowest or elements.max() > self.highest:
            found = f"{elements.min()} to {elements.max()}"
            raise ValueError(f"{self.name} takes {self.lowest} to {self.highest}, not {found}")
        bits = (elements[..., None] >> np.arange(self.width)) & 1
        padded = np.zeros((self.rows, self.words * WORD), dtype=np.uint8)
        padded[:, : self.bits] = bits.reshape(self.rows, -1)
        return np.packbits(padded, axis=1, bitorder="little").view("<u4")


@dataclass(frozen=True, eq=False)
class Loadable:
    """A target, its present contents (rows, elements), and the stream that writes its lines."""

    target: Target
    contents: np.ndarray
    program: Any

    def connect(self, m: Module, load, index: int) -> Any:
        """Takes the lines of ``load`` that are for it; returns its ready."""
        # A line is shifted in from the top, so it lies in the topmost words.
        line = load.payload.line[-self.target.words * WORD :]
        payload = self.program.payload
        row = len(payload.row)
        m.d.comb += [
            self.program.valid.eq(load.valid & (load.payload.target == index)),
            payload.as_value()[:row].eq(load.payload.row),
            payload.as_value()[row : row + self.target.bits].eq(line),
        ]
        return self.program.ready


def load_stream(targets: list[Target]) -> stream.Signature:
    """A stream of lines: ``target`` (index), ``row``, ``line`` in the topmost words."""
    return stream.Signature(
        data.StructLayout(
            {
                "target": range(max(len(targets), 2)),
                "row": range(max(2, *(target.rows for target in targets))),
                "line": max(target.words for target in targets) * WORD,
            }
        )
    )
