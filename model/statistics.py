# SPDX-License-Identifier: BSD-2-Clause
"""The interval of an accuracy that was measured on images."""


def wilson(right: int, images: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of the accuracy behind ``right`` of ``images``."""
    from scipy.stats import binomtest  # takes half a second to import

    found = binomtest(right, images).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)
