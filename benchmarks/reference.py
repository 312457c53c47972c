# SPDX-License-Identifier: BSD-2-Clause
"""The packed interpreter against float32 torch, on the same networks, images and threads.

    python benchmarks/reference.py [--images N] [--rounds N] [--json]

Both compute every score; the scores are compared. Times are the best of several alternating
rounds, and only their ratio is meant to be carried from one machine to another. Torch keeps its
weights as float32 matrices and multiplies whole pixels, so a multi-bit input costs it one product.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from twincell.api import load
from twincell.model.graph import Graph
from twincell.model.integer import Interpreter
from twincell.model.nodes import Dense, Head, Input, Weights
from twincell.model.planes import BINARY, FixedPoint


class FloatNetwork:
    """A network of dense layers as a user would write it in float32: matmul, compare, repeat."""

    def __init__(self, graph: Graph):
        self.most = (1 << graph.input.planes.bits) - 1
        self.layers = []
        total = self.most
        for _, node, value, _ in graph.steps():
            assert isinstance(node, Dense | Head) and len(value.shape) == 1
            weights = torch.tensor(node.weights.signed(), dtype=torch.float32)
            if isinstance(node, Dense):  # 2 sum_k 2^k p_k - n W >= 2 T - n W
                limit = 2 * node.thresholds[0, 0] - node.weights.fan_in * total
                self.layers.append((weights.T.contiguous(), torch.tensor(limit)))
            else:
                self.layers.append((weights.T.contiguous(), torch.tensor(node.offsets[0])))
            total = 1

    def scores(self, images: torch.Tensor) -> torch.Tensor:
        """Scores of uint8 images (N, n) as float32 (N, classes)."""
        flow = images.to(torch.float32).mul_(2).sub_(self.most)
        for weights, limit in self.layers[:-1]:
            flow = (flow @ weights >= limit).to(torch.float32).mul_(2).sub_(1)
        weights, offset = self.layers[-1]
        return flow @ weights + offset


def _random_network() -> Graph:
    """784-1024-1024-10 with a binary input, random weights and middling thresholds."""
    rng = np.random.default_rng(1)
    nodes: list = [Input((784,), BINARY)]
    for n, outputs in ((784, 1024), (1024, 1024)):
        weights = Weights(rng.integers(0, 2, (outputs, n)))
        nodes.append(Dense(weights, rng.integers(n // 2 - 20, n // 2 + 20, (1, 1, outputs))))
    nodes.append(Head(Weights(rng.integers(0, 2, (10, 1024))), np.zeros((1, 10), int)))
    return Graph(tuple(nodes), "binary-input")


def _best(rounds: int, *jobs: Callable[[], object]) -> list[float]:
    """Least seconds of each job, the jobs taking turns."""
    least = [float("inf")] * len(jobs)
    for _ in range(rounds):
        for index, job in enumerate(jobs):
            start = time.perf_counter()
            job()
            least[index] = min(least[index], time.perf_counter() - start)
    return least


def measure(graph: Graph, images: int, threads: int, rounds: int) -> dict:
    """Images per second of both, their ratio, and how many scores differ."""
    torch.set_num_threads(threads)
    most = (1 << graph.input.planes.bits) - 1
    shown = np.random.default_rng(0).integers(0, most + 1, (images, 784), dtype=np.uint8)
    packed, floats, tensor = (
        Interpreter(graph, threads=threads),
        FloatNetwork(graph),
        torch.tensor(shown),
    )
    with torch.inference_mode():
        differing = int((packed.scores(shown) != floats.scores(tensor).numpy()).sum())
        fast, slow = _best(rounds, lambda: packed.scores(shown), lambda: floats.scores(tensor))
    return {
        "network": graph.name,
        "planes": graph.input.planes.bits,
        "threads": threads,
        "images": images,
        "packed_images_per_second": images / fast,
        "torch_images_per_second": images / slow,
        "ratio": slow / fast,
        "differing_scores": differing,
    }


def main() -> None:
    """Measures both networks at one thread and at all cores."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    networks = [_random_network(), load("mnist-mlp")]
    assert isinstance(networks[1].input.planes, FixedPoint)
    rows = [
        measure(graph, options.images, threads, options.rounds)
        for graph in networks
        for threads in sorted({1, os.cpu_count() or 1})
    ]
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        _print(rows)
    if any(row["differing_scores"] for row in rows):
        sys.exit("The scores of the two differ")


def _print(rows: list[dict]) -> None:
    print(
        f"{'network':<14}{'planes':>7}{'threads':>9}{'packed/s':>12}{'torch/s':>11}{'ratio':>8}{'differ':>8}"
    )
    for row in rows:
        print(
            f"{row['network']:<14}{row['planes']:>7}{row['threads']:>9}"
            f"{row['packed_images_per_second']:>12,.0f}{row['torch_images_per_second']:>11,.0f}"
            f"{row['ratio']:>8.1f}{row['differing_scores']:>8}"
        )


if __name__ == "__main__":
    main()
