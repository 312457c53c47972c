# SPDX-License-Identifier: BSD-2-Clause
"""Modules of word lines that hold weights and a threshold: sizes, contents, and what they compute.

A neuron of more inputs than a module has weight columns is cut into groups, one module each. In
every group the word line of the neuron holds the weights of the group and a threshold; a read gives
*difference = agreeing inputs - threshold*. Two modes make a decision of the differences:

* *partial sums*: the neuron fires when the differences of its groups add up to 0 or more, so its
  threshold is the sum of those stored. This is the ordinary neuron;
* *majority vote*: each group fires when its own difference is 0 or more, and the neuron when at
  least half of the groups do. Nothing wider than a module's sum leaves it, but the function is
  another one: a network must have been trained as such.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np


class Mode(StrEnum):
    """How the groups of a neuron are joined."""

    PARTIAL_SUMS = "partial sums"
    MAJORITY_VOTE = "majority vote"


class DesignError(ValueError):
    """Weights or thresholds that the modules do not hold; the message names the number."""


@dataclass(frozen=True)
class Design:
    """Memory modules of one size.

    Parameters
    ----------
    name : of the design point
    rows, columns : of a module
    threshold_bits : columns that hold a threshold, an unsigned integer with its lowest bit first;
        they stand behind those of the weights, and are read with an input of 1, which makes them
        agree exactly where a 1 is stored
    """

    name: str
    rows: int = 64
    columns: int = 64
    threshold_bits: int = 6

    def __post_init__(self):
        for what in ("rows", "columns", "threshold_bits"):
            value = getattr(self, what)
            if type(value) is not int or value < 1:
                raise TypeError(f"{what} must be a positive integer, not {value!r}")
        if self.threshold_bits >= self.columns:
            raise ValueError(
                f"{self.threshold_bits} threshold bits leave none of {self.columns} columns for "
                "weights"
            )

    @property
    def weights(self) -> int:
        """Inputs of a module."""
        return self.columns - self.threshold_bits

    @property
    def most(self) -> int:
        """Greatest threshold of a word line."""
        return (1 << self.threshold_bits) - 1

    def groups(self, inputs: int) -> int:
        """Modules side by side for so many inputs."""
        return -(-inputs // self.weights)

    def blocks(self, outputs: int) -> int:
        """Modules on top of each other for so many neurons."""
        return -(-outputs // self.rows)

    def split(self, thresholds: np.ndarray, inputs: int) -> np.ndarray:
        """Thresholds of whole neurons as those of their groups, for partial sums.

        The groups' are as equal as they can be, the first ones greater by one.

        Parameters
        ----------
        thresholds : int (outputs,)
        inputs : of a neuron

        Returns int64 (outputs, groups); raises :class:`DesignError` when one does not fit.
        """
        thresholds = np.asarray(thresholds, dtype=np.int64)
        groups = self.groups(inputs)
        for neuron in np.flatnonzero((thresholds < 0) | (thresholds > groups * self.most)):
            value = int(thresholds[neuron])
            each = -(-max(value, 0) // groups)
            cure = f"{each.bit_length()} bits would do" if value > 0 else "none is negative"
            raise DesignError(
                f"The threshold {value} of neuron {neuron} does not fit: {groups} word lines of "
                f"{self.threshold_bits} threshold bits hold 0 to {groups * self.most}; {cure}"
            )
        extra = np.arange(groups) < (thresholds % groups)[:, None]
        return thresholds[:, None] // groups + extra

    def contents(self, sign: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
        """What the modules store: uint8 (blocks, groups, rows, columns), unused cells 0.

        Parameters
        ----------
        sign : bits (outputs, inputs)
        thresholds : int (outputs, groups)
        """
        outputs, inputs = np.shape(sign)
        blocks, groups = self.blocks(outputs), self.groups(inputs)
        thresholds = np.asarray(thresholds, dtype=np.int64)
        if thresholds.shape != (outputs, groups):
            raise DesignError(
                f"{outputs} neurons of {inputs} inputs have thresholds {(outputs, groups)}, not "
                f"{thresholds.shape}"
            )
        if thresholds.min() < 0 or thresholds.max() > self.most:
            wrong = thresholds.max() if thresholds.max() > self.most else thresholds.min()
            raise DesignError(
                f"The threshold {wrong} of a word line does not fit: {self.threshold_bits} bits "
                f"hold 0 to {self.most}"
            )
        padded = np.zeros((blocks * self.rows, groups, self.columns), dtype=np.uint8)
        weights = np.zeros((outputs, groups * self.weights), dtype=np.uint8)
        weights[:, :inputs] = sign
        padded[:outputs, :, : self.weights] = weights.reshape(outputs, groups, self.weights)
        bits = thresholds[..., None] >> np.arange(self.threshold_bits) & 1
        padded[:outputs, :, self.weights :] = bits
        return padded.reshape(blocks, self.rows, groups, self.columns).swapaxes(1, 2)

    def differences(self, contents: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """Agreeing inputs less threshold: bits (vectors, inputs) to int64 (vectors, neurons,
        groups), a neuron for every word line."""
        blocks, groups, rows, _ = contents.shape
        vectors, count = inputs.shape
        lines = contents.swapaxes(1, 2).reshape(blocks * rows, groups, self.columns)
        shown = np.full((vectors, groups * self.weights), 2)  # agrees with nothing
        shown[:, :count] = inputs
        shown = shown.reshape(vectors, 1, groups, self.weights)
        agree = (lines[None, :, :, : self.weights] == shown).sum(axis=3)
        weight = 1 << np.arange(self.threshold_bits)
        return agree - lines[:, :, self.weights :].astype(np.int64) @ weight

    @staticmethod
    def decide(differences: np.ndarray, mode: Mode) -> tuple[np.ndarray, np.ndarray]:
        """Totals, the sums of differences or the numbers of votes, and which neurons fire."""
        if mode is Mode.PARTIAL_SUMS:
            totals = differences.sum(axis=-1)
            return totals, totals >= 0
        votes = (differences >= 0).sum(axis=-1)
        return votes, 2 * votes >= differences.shape[-1]


#: The reference chip: four modules of 64 x 64 cells, 58 weights and 6 threshold bits a word line.
REFERENCE = Design("reference")
