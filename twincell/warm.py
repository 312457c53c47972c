# SPDX-License-Identifier: BSD-2-Clause
"""Does once, at set-up, what tools would otherwise do at their first use: Yosys translates itself
to machine code (half a minute), and numba compiles the interpreter's kernels."""

import tempfile

import numpy as np

from . import api
from .model import integer
from .model.errors import ErrorMap
from .model.graph import Graph
from .model.nodes import Dense, Head, Input, Weights
from .model.planes import FixedPoint


def warm() -> None:
    """Takes the smallest networks, binary and ternary, from graph to scores and to Verilog."""
    one = np.ones((1, 1), int)
    for active in (None, one):
        weights = Weights(one, active)
        layer = Dense(weights, np.zeros((1, 1, 1), int))
        head = Head(weights, np.zeros((1, 1), int))
        graph = Graph((Input((1,), FixedPoint(2)), layer, head), "smallest")
        errors = ErrorMap.draw(graph, 0, persistent=0.5, transient=0.5)
        for each in (None, errors):
            integer.scores(graph, one, errors=each)
        with tempfile.TemporaryDirectory() as folder:
            api.build(graph, folder)


if __name__ == "__main__":
    warm()
