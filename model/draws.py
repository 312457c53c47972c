# SPDX-License-Identifier: BSD-2-Clause
"""Draws of persistent errors: which synapses of a node are sensed wrong, and as what.

A draw is the ascending flat indices of the synapses, int64, and the weights -1, 0 or +1 that they
are sensed as, int8. Each comes from its own streams of random words, of the seed and the node.
"""

from fractions import Fraction

import numpy as np

from .generators import LEAST_RATE, error_positions, gap_table, random_words, start
from .nodes import Weights

LEAST_READ_RATE = 2.0**-24  # of the generator in hardware: five digits
MOST_RATE = 0.5

# The streams of random numbers of one seed.
_PERSISTENT, _CHOICE, READ, _STUCK, _STUCK_STATE = range(1, 6)

Rate = float | np.ndarray
Drawn = tuple[np.ndarray, np.ndarray]

_NONE: Drawn = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int8))


def at_mean_rate(
    signed: np.ndarray, rate: float, seed: int, node: int, *, ternary: bool = False
) -> Drawn:
    """Errors of weights -1, (0) and +1, an array of any shape, at a mean error rate."""
    matrix = transitions(float((signed == 0).mean()) if ternary else None, checked(rate, MOST_RATE))
    return _thinned(signed.reshape(-1), matrix, seed, node)


def transitions(zeros: float | None, rate: float) -> np.ndarray:
    """Probability of each sensed state given the programmed one, for a mean error rate.

    Binary weights, of ``zeros`` None, flip. Ternary ones, of which a share ``zeros`` is zero, move
    by one state: a zero to each side with ``q / 2``, others to zero with ``q / 2``, where
    ``q = 2 rate / (1 + zeros)``.
    """
    if zeros is None:
        return np.array([[1 - rate, rate], [rate, 1 - rate]])
    half = rate / (1 + zeros)
    return np.array([[1 - half, half, 0], [half, 1 - 2 * half, half], [0, half, 1 - half]])


def checked(rate: float, most: float, least: float = 0.0) -> float:
    """``rate``; raises ``ValueError`` unless it is 0, or ``least`` to ``most``."""
    if not 0 <= rate <= most or 0 < rate < least:
        low = f"0 or {least:g}" if least else "0"
        raise ValueError(f"An error rate is {low} to {most:g}, not {rate!r}")
    return float(rate)


def persistent(weights: Weights, rate: Rate, seed: int, node: int) -> Drawn:
    """Errors of one programming of a node; see :meth:`~.errors.ErrorMap.draw` for the rate."""
    states = 3 if weights.ternary else 2
    if np.ndim(rate) == 0:
        signed = weights.signed()
        return at_mean_rate(signed, float(rate), seed, node, ternary=weights.ternary)
    rate = np.asarray(rate, dtype=np.float64)
    shape = weights.sign.shape
    if rate.shape == (states, states):
        return _thinned(weights.signed().reshape(-1), _distributions(rate), seed, node)
    if rate.shape == shape and not weights.ternary:
        if not ((rate >= 0) & (rate <= 1)).all():
            raise ValueError(f"Rates of cells are 0 to 1, not {rate.min()} to {rate.max()}")
        stored = weights.sign[..., None] == np.arange(2)
        rate = np.where(stored, 1 - rate[..., None], rate[..., None])
    if rate.shape == (*shape, states):
        return _each(weights, _distributions(rate), seed, node)
    forms = [(states, states), *[shape] * (not weights.ternary), (*shape, states)]
    allowed = " or ".join(map(str, forms))
    raise ValueError(f"Persistent rates of node {node} are a number or {allowed}, not {rate.shape}")


def _distributions(rows: np.ndarray) -> np.ndarray:
    """``rows`` if each is a distribution over sensed states; raises ``ValueError`` otherwise."""
    if not ((rows >= 0).all() and np.allclose(rows.sum(axis=-1), 1, rtol=0, atol=1e-9)):
        raise ValueError("The probabilities of the sensed states of each row must add up to 1")
    return rows


def _levels(states: int) -> np.ndarray:
    """The weights of the states in order."""
    return np.array([-1, 0, 1] if states == 3 else [-1, 1], dtype=np.int8)


def _thinned(signed: np.ndarray, matrix: np.ndarray, seed: int, node: int) -> Drawn:
    """Errors of weights -1, (0) and +1 in a row, drawn by their gaps at the rate of the worst
    state, and accepted at their own."""
    levels = _levels(len(matrix))
    exact = [[Fraction(float(p)) for p in row] for row in matrix]
    wrong = [sum(row) - row[state] for state, row in enumerate(exact)]
    worst = min(max(wrong), Fraction(1))
    if worst < LEAST_RATE:
        return _NONE
    hits = error_positions(start(seed, _PERSISTENT, node), gap_table(float(worst)), signed.size)
    bounds = np.zeros((len(levels), len(levels)), dtype=np.uint64)
    for state, row in enumerate(exact):
        shares = [0 if other == state else p for other, p in enumerate(row)]
        for other in range(len(levels)):
            bounds[state, other] = min(sum(shares[: other + 1]) / worst, 1) * (1 << 32) // 1
    words = random_words(start(seed, _CHOICE, node), len(hits))
    programmed = np.searchsorted(levels, signed[hits])
    sensed = (words[:, None] >= bounds[programmed]).sum(axis=1)
    accepted = sensed < len(levels)
    return hits[accepted], levels[sensed[accepted]]


def _each(weights: Weights, rows: np.ndarray, seed: int, node: int) -> Drawn:
    """Errors of cells that each have a distribution of their own (cells, states)."""
    levels = _levels(3 if weights.ternary else 2)
    bounds = np.rint(rows.reshape(-1, len(levels)).cumsum(axis=1) * 2.0**32).astype(np.uint64)
    bounds[:, -1] = 1 << 32
    words = random_words(start(seed, _CHOICE, node), len(bounds))
    sensed = levels[(words[:, None] >= bounds).sum(axis=1)]
    wrong = np.flatnonzero(sensed != weights.signed().reshape(-1))
    return wrong, sensed[wrong]


def stuck(weights: Weights, rate: float, seed: int, node: int) -> Drawn:
    """Cells that are stuck, those stuck where they are programmed to be included."""
    if rate < LEAST_RATE:
        return _NONE
    levels = _levels(3 if weights.ternary else 2)
    cells = error_positions(start(seed, _STUCK, node), gap_table(rate), weights.sign.size)
    words = random_words(start(seed, _STUCK_STATE, node), len(cells)).astype(np.uint64)
    return cells, levels[words * np.uint64(len(levels)) >> np.uint64(32)]
