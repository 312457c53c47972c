# SPDX-License-Identifier: BSD-2-Clause
"""What the word lines of an array hold."""

import numpy as np

from ...model.checks import bit_array


def packed(sign: np.ndarray, active: np.ndarray | None) -> np.ndarray:
    """The stored bits of all word lines, uint8: signs (rows, columns), and behind them, for ternary
    weights, which are active.

    Raises ``ValueError`` for values other than 0 and 1 (a weight of -1 is the sign 0), and for
    other shapes.
    """
    given = [np.asarray(bits) for bits in (sign, active) if bits is not None]
    shapes = [bits.shape for bits in given]
    if len(shapes[0]) != 2 or len(set(shapes)) > 1:
        raise ValueError(f"Contents must be bits (rows, columns), not {shapes}")
    names = ("sign", "active")
    return np.hstack([bit_array(*each) for each in zip(given, names, strict=False)])
