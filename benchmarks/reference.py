# SPDX-License-Identifier: BSD-2-Clause
"""The packed interpreter against float32 torch, on the same networks, images and threads.

    python benchmarks/reference.py [--images N] [--rounds N] [--json] [--write]

Both compute every score; the scores are compared. Torch keeps its weights as float32 matrices and
multiplies whole pixels, so a multi-bit input costs it one product.
"""

import argparse
import os
import sys

import numpy as np
import torch
from results import add_output, made_with, put
from turns import compared, ratio, seconds, shown

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


def random_network() -> Graph:
    """784-1024-1024-10 with a binary input, random weights and middling thresholds."""
    rng = np.random.default_rng(1)
    nodes: list = [Input((784,), BINARY)]
    for n, outputs in ((784, 1024), (1024, 1024)):
        weights = Weights(rng.integers(0, 2, (outputs, n)))
        nodes.append(Dense(weights, rng.integers(n // 2 - 20, n // 2 + 20, (1, 1, outputs))))
    nodes.append(Head(Weights(rng.integers(0, 2, (10, 1024))), np.zeros((1, 10), int)))
    return Graph(tuple(nodes), "binary-input")


def measure(graph: Graph, images: int, threads: int, rounds: int) -> dict:
    """Images per second of both, their ratio, and how many scores differ."""
    torch.set_num_threads(threads)
    most = (1 << graph.input.planes.bits) - 1
    pixels = np.random.default_rng(0).integers(0, most + 1, (images, 784), dtype=np.uint8)
    packed, floats, tensor = (
        Interpreter(graph, threads=threads),
        FloatNetwork(graph),
        torch.tensor(pixels),
    )
    with torch.inference_mode():
        differing = int((packed.scores(pixels) != floats.scores(tensor).numpy()).sum())
        ours, theirs = seconds(rounds, lambda: packed.scores(pixels), lambda: floats.scores(tensor))
    return {
        "network": graph.name,
        "planes": graph.input.planes.bits,
        "threads": threads,
        "images": images,
        "packed_images_per_second": images / min(ours),
        "torch_images_per_second": images / min(theirs),
        "ratio": ratio(theirs, ours),
        "differing_scores": differing,
    }


def markdown(found: dict) -> str:
    """A table, a row for each network and number of threads."""
    lines = [
        "# Speed of the reference",
        "",
        f"Written by `make bench-reference`. Median of {found['rounds']} rounds, least and most "
        f"in brackets. {made_with(found)}.",
        "",
        "The packed integer interpreter against float32 torch: the same network, random images,",
        "threads and scores. Images per second are those of the fastest round.",
        "",
        "| network | bit planes | threads | packed, images/s | torch, images/s | ratio "
        "| other scores |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in found["networks"]:
        speeds = (f"{row[f'{each}_images_per_second']:,.0f}" for each in ("packed", "torch"))
        cells = row["network"], row["planes"], row["threads"], *speeds, shown(row["ratio"])
        lines.append(f"| {' | '.join(map(str, cells))} | {row['differing_scores']} |")
    return "\n".join([*lines, ""])


def main() -> int:
    """Measures both networks at one thread and at all cores; 1 when scores differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=15)
    add_output(parser)
    options = parser.parse_args()
    networks = [random_network(), load("mnist-mlp")]
    assert isinstance(networks[1].input.planes, FixedPoint)
    rows = [
        measure(graph, options.images, threads, options.rounds)
        for graph in networks
        for threads in sorted({1, os.cpu_count() or 1})
    ]
    found = compared(options.rounds, networks=rows)
    put("reference", found, markdown(found), as_json=options.json, write=options.write)
    return int(any(row["differing_scores"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
