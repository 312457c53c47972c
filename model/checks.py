# SPDX-License-Identifier: BSD-2-Clause
"""What the graph's modules check with."""

import sys

import numpy as np

MAX_SYNAPSES = 1 << 28
MAX_POSITIONS = 1 << 20  # of a convolution's output
MAX_SUM = 1 << 30  # of any sum, threshold and offset, so that a score is less than 2^31 in size
MAX_BITS = 16


class GraphError(ValueError):
    """A network that breaks a rule of the graph; the message names the node."""


def require(condition: bool, message: str) -> None:
    """Raises :class:`GraphError` with ``message`` unless ``condition`` holds."""
    if not condition:
        raise GraphError(message)


def is_positive(value: object) -> bool:
    """Whether it is a positive finite number, and no truth value."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < value <= sys.float_info.max


def frozen(values: np.ndarray, dtype: type) -> np.ndarray:
    """A read-only copy of ``values``."""
    values = np.array(values, dtype=dtype)
    values.setflags(write=False)
    return values


def bit_array(values: np.ndarray, name: str) -> np.ndarray:
    """``values`` as a read-only uint8 array; raises GraphError unless each is 0 or 1."""
    values = np.asarray(values)
    require(values.size > 0, f"{name} has shape {values.shape}")
    require(bool(np.isin(values, (0, 1)).all()), f"{name} holds values other than 0 and 1")
    return frozen(values, np.uint8)


def integer_array(values: np.ndarray, name: str, axes: int) -> np.ndarray:
    """``values`` as a read-only int64 array; raises GraphError unless integers within MAX_SUM."""
    values = np.asarray(values)
    require(
        values.ndim == axes and values.size > 0 and np.issubdtype(values.dtype, np.integer),
        f"{name} must be integers with {axes} axes, not {values.dtype} {values.shape}",
    )
    low, high = int(values.min()), int(values.max())
    require(low >= -MAX_SUM and high <= MAX_SUM, f"{name} from {low} to {high} exceed {MAX_SUM}")
    return frozen(values, np.int64)
