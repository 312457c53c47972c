# SPDX-License-Identifier: BSD-2-Clause
"""Wrapped networks for tests, and the packets that they must answer with."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support.graphs import mlp, random_images
from twincell.hw.edges.build import build
from twincell.hw.edges.wrapper import Edge
from twincell.hw.network import Network
from twincell.hw.plan import Budget, Plan, plan
from twincell.model import integer
from twincell.model.graph import Graph
from twincell.model.planes import FixedPoint
from twincell.sim import packets


@dataclass(frozen=True)
class Wrapped:
    """A small wrapped network on disk."""

    graph: Graph
    plan: Plan
    directory: Path

    @property
    def codec(self) -> packets.PacketCodec:
        return packets.codec(self.directory)

    def answers(self, graph: Graph, images: np.ndarray) -> np.ndarray:
        """Packets of the scores and labels of images, uint8 (N, bytes)."""
        return self.packets(integer.scores(graph, images))

    def packets(self, scores: np.ndarray) -> np.ndarray:
        """Packets of scores (N, classes) and their labels, uint8 (N, bytes)."""
        codec = self.codec
        labels = integer.labels(scores)[:, None]
        return np.hstack([_octets(scores, codec.score_bytes), _octets(labels, codec.label_bytes)])

    def lines(self, graph: Graph) -> dict[str, np.ndarray]:
        """Contents that turn this hardware into another network of the same shape."""
        targets = [each.target for each in Network(self.graph, self.plan, loadable=True).loadables]
        other = Network(graph, self.plan, loadable=True).loadables
        return {
            f"target{k}": target.lines(each.contents)
            for k, (target, each) in enumerate(zip(targets, other, strict=True))
        }


def wrapped(
    directory: Path,
    edge: Edge | None,
    *,
    sizes: tuple[int, ...] = (23, 14, 5),
    bits: int = 3,
    lanes: int = 60,
    ternary: bool = False,
    arrangement: str | tuple[str, ...] = "columns",
) -> Wrapped:
    graph = network(1, sizes, bits, ternary)
    planned = plan(graph, Budget(lanes=lanes, arrangement=arrangement))
    build(graph, planned, directory, edge=edge, clock=100e6)
    return Wrapped(graph, planned, directory)


def network(seed: int, sizes: tuple[int, ...], bits: int, ternary: bool) -> Graph:
    return mlp(np.random.default_rng(seed), list(sizes), FixedPoint(bits), ternary)


def images(graph: Graph, count: int, seed: int) -> np.ndarray:
    return random_images(np.random.default_rng(seed), graph, count)


def _octets(values: np.ndarray, size: int) -> np.ndarray:
    """Integers (N, count) as little-endian bytes (N, count * size)."""
    octets = values.astype("<i8")[..., None].view(np.uint8)[..., :size]
    return octets.reshape(len(values), -1)
