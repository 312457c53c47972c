# SPDX-License-Identifier: BSD-2-Clause
"""Stochastic inputs in torch: random bits in training, and those that hardware shows.

A pixel ``u`` of ``b`` bits shows +1 in a presentation with probability ``u / (2^b - 1)``. A first
layer that accumulates ``P`` presentations adds up ``P`` such bits before anything else happens to
them, and that sum is binomial. So one number is drawn for each pixel, whatever ``P`` is, and
training with ``P`` presentations costs one matrix product, as training with grey images does.

What is measured of a trained network is measured with the bits that hardware shows.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from numba import njit
from scipy.stats import binom
from torch import Tensor

from .generators import SPLITMIX_STEP, mix, splitmix
from .planes import Stochastic
from .stochastic import Generator

_INDEPENDENT = (Generator.LFSR, Generator.TAPS)  # bits, as far as a network can tell


@cache
def binomial_table(bits: int, presentations: int) -> tuple[np.ndarray, np.ndarray]:
    """Walker's alias tables of how many of ``presentations`` bits are +1, for each pixel value.

    Returns thresholds uint32 and aliases uint16, both (2^bits, presentations + 1): of a uniform
    entry ``k`` and a uniform 32-bit word, the count is ``k`` where the word is below its threshold,
    else its alias. Probabilities are exact to ``2^-32``.
    """
    most = (1 << bits) - 1
    levels, counts = np.arange(most + 1)[:, None], np.arange(presentations + 1)
    thresholds = np.empty((most + 1, presentations + 1), dtype=np.uint32)
    aliases = np.empty(thresholds.shape, dtype=np.uint16)
    _fill_tables(binom.pmf(counts, presentations, levels / most), thresholds, aliases)
    return thresholds, aliases


@njit(cache=True)
def _fill_tables(probabilities, thresholds, aliases):
    levels, entries = probabilities.shape
    small, large = np.empty(entries, np.int64), np.empty(entries, np.int64)
    for level in range(levels):
        share = probabilities[level] * (entries / probabilities[level].sum())
        smalls = larges = 0
        for k in range(entries):
            # An entry that is never found needy is full, and its own alias.
            thresholds[level, k], aliases[level, k] = np.uint32(0xFFFFFFFF), k
            if share[k] < 1:
                small[smalls], smalls = k, smalls + 1
            else:
                large[larges], larges = k, larges + 1
        while smalls and larges:
            smalls -= 1
            needy, giver = small[smalls], large[larges - 1]
            thresholds[level, needy] = np.uint32(share[needy] * 4294967296.0)
            aliases[level, needy] = giver
            share[giver] -= 1 - share[needy]
            if share[giver] < 1:
                larges -= 1
                small[smalls], smalls = giver, smalls + 1


@njit(cache=True, nogil=True, boundscheck=False)
def _fill_counts(pixels, thresholds, aliases, seed, out):
    """One word of the splitmix64 sequence of ``seed`` for each pixel."""
    entries = np.uint64(thresholds.shape[1])
    state = seed
    for index in range(len(pixels)):
        state += SPLITMIX_STEP
        word = splitmix(state)
        k = ((word >> np.uint64(32)) * entries) >> np.uint64(32)
        level = pixels[index]
        aliased = np.uint64(np.uint32(word) >= thresholds[level, k])
        # A choice without a branch, which would be mispredicted often.
        out[index] = k ^ ((k ^ aliases[level, k]) & (~aliased + np.uint64(1)))


@dataclass(frozen=True)
class Showing:
    """How ``planes`` show pixels in training, in ``presentations``: a torch network gets a row for
    each image, or, where presentations are added up at the output, a row for each of them."""

    planes: Stochastic
    presentations: int

    def rows(self, pixels: Tensor, seed: int) -> Tensor:
        """Means of random bits, in the pixels' own units.

        Bits of generators that draw them independently are drawn in one number for each pixel; the
        others' by the generator itself, as for images that hardware never meets.

        Parameters
        ----------
        pixels : whole numbers of any type, (batch, n)
        seed : of the draws

        Returns
        -------
        float32 (batch, n) or (batch * presentations, n), those of one image in a row: 0 where all
        bits are -1, the greatest pixel where all are +1.
        """
        count = self.presentations
        if self.planes.generator not in _INDEPENDENT:
            return hardware_rows(replace(self.planes, seed=mix(seed)), pixels, count)
        if self.planes.repeated:
            pixels, count = pixels.repeat_interleave(count, dim=0), 1
        flat = np.ascontiguousarray(pixels.numpy().reshape(-1), dtype=np.uint16)
        out = np.empty(len(flat), dtype=np.float32)
        _fill_counts(flat, *binomial_table(self.planes.bits, count), np.uint64(mix(seed)), out)
        out *= np.float32(((1 << self.planes.bits) - 1) / count)
        return torch.from_numpy(out).reshape(pixels.shape)

    def mean(self, logits: Tensor) -> Tensor:
        """Those of the rows (.., classes) to those of the images (batch, classes)."""
        if not self.planes.repeated:
            return logits
        return logits.unflatten(0, (-1, self.presentations)).mean(dim=1)


def hardware_rows(
    planes: Stochastic, pixels: Tensor, presentations: int, first_image: int = 0
) -> Tensor:
    """What :meth:`Showing.rows` returns, with the bits that hardware shows.

    ``pixels`` are whole numbers (batch, n), ``first_image`` is the index of the first.
    """
    images = range(first_image, first_image + len(pixels))
    levels, count, size = pixels.numpy(), presentations, pixels.shape[1]
    bits = np.stack([
        level >= planes.numbers(image, count, size)
        for level, image in zip(levels, images, strict=True)
    ])  # fmt: skip
    shown = bits.reshape(-1, size) if planes.repeated else bits.mean(axis=1, dtype=np.float32)
    return torch.from_numpy(((1 << planes.bits) - 1) * shown.astype(np.float32))
