# SPDX-License-Identifier: BSD-2-Clause
"""Images per second with bit errors: the packed engine against float32 torch and a plain sampler.

    python benchmarks/sweep.py [--images N] [--rounds N] [--json] [--write]

One network, 784-1024-1024-10 with a binary input, and one number of threads for all:

* persistent errors, a map of its own for every so many images: the packed engine draws the map and
  applies it to the packed weights; torch draws a mask of -1 and +1 and multiplies the weights;
* read errors, drawn anew for every image: the packed engine draws their positions from the
  generator that hardware mirrors; torch draws a mask for every image; the plain sampler, in numba,
  draws gaps as ``log(u) / log(1 - p)`` and corrects the same sums, with positions of its own.

With the engine's own errors, torch must give the same scores, which is checked.
"""

import argparse
import math
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numba import njit
from reference import FloatNetwork, random_network
from results import add_output, made_with, put
from turns import compared, ratio, seconds, shown

from twincell.model import kernels
from twincell.model.errors import ErrorMap
from twincell.model.graph import Graph
from twincell.model.integer import Interpreter
from twincell.model.reads import ReadOrder

RATE = 1e-3
FEW = 40  # images of the slow ones with read errors


class MaskedNetwork(FloatNetwork):
    """The float32 network with masks on its weights."""

    def with_map(self, rate: float) -> "MaskedNetwork":
        """The network after one mask is drawn for each layer."""
        other = object.__new__(MaskedNetwork)
        other.most, other.layers = self.most, []
        for weights, limit in self.layers:
            mask = torch.empty_like(weights).bernoulli_(rate).mul_(-2).add_(1)
            other.layers.append((weights * mask, limit))
        return other


def persistent(graph: Graph, images: np.ndarray, per_map: int, threads: int, rounds: int) -> dict:
    """A new error map for each ``per_map`` images."""
    packed, floats = Interpreter(graph, threads=threads), MaskedNetwork(graph)
    pixels, tensor = packed.shown(images[:per_map]), torch.tensor(images[:per_map])
    maps = max(1, len(images) // per_map)

    def ours() -> None:
        for seed in range(maps):
            packed.with_errors(ErrorMap.draw(graph, seed, persistent=RATE)).scores(pixels)

    def theirs() -> None:
        for _ in range(maps):
            floats.with_map(RATE).scores(tensor)

    errors = ErrorMap.draw(graph, 0, persistent=RATE)
    wanted = FloatNetwork(errors.sensed(graph)).scores(tensor).numpy()
    differing = int((packed.with_errors(errors).scores(pixels) != wanted).sum())
    times, done = seconds(rounds, ours, theirs), maps * per_map
    what = f"persistent, {per_map:,} images a map, against torch"
    return _row(what, threads, (done, times[0]), (done, times[1]), differing)


def transient(graph: Graph, images: np.ndarray, threads: int, rounds: int) -> list[dict]:
    """Read errors of every image."""
    errors = ErrorMap.draw(graph, 0, transient=RATE)
    packed = Interpreter(graph, errors=errors, threads=threads)
    floats, tensor = MaskedNetwork(graph), torch.tensor(images[:FEW])
    plain = Plain(graph, threads)

    def theirs() -> None:
        for k in range(FEW):
            floats.with_map(RATE).scores(tensor[k : k + 1])

    differing = int((packed.scores(images[:FEW]) != _by_torch(graph, errors, images)).sum())
    packed.scores(images[:FEW])
    plain.scores(images[:FEW])
    jobs = lambda: packed.scores(images), lambda: plain.scores(images), theirs
    ours, sampler, masks = seconds(rounds, *jobs)
    n = len(images)
    return [
        _row("read errors, against torch", threads, (n, ours), (FEW, masks), differing),
        _row("read errors, against a plain sampler", threads, (n, ours), (n, sampler), 0),
    ]


def _by_torch(graph: Graph, errors: ErrorMap, images: np.ndarray) -> np.ndarray:
    from twincell.model import reference

    order = ReadOrder.logical(graph)
    return reference.scores(graph, images[:FEW], errors=errors, order=order).numpy()


class Plain:
    """The packed network with read errors of a plain sampler: the same kernels for the sums."""

    def __init__(self, graph: Graph, threads: int):
        self.threads = threads
        self.network = Interpreter(graph, threads=1)
        self.layers = list(self.network._layers.values())

    def scores(self, images: np.ndarray) -> np.ndarray:
        """Scores (images, classes), by as many threads."""
        parts = [images[k : k + 256] for k in range(0, len(images), 256)]
        with ThreadPoolExecutor(self.threads) as pool:
            return np.concatenate(list(pool.map(self._run, parts, range(len(parts)))))

    def _run(self, images: np.ndarray, part: int) -> np.ndarray:
        rows, one = self.network.shown(images).flow, np.ones(1, np.int64)
        for number, layer in enumerate(self.layers):
            outputs, inputs = layer.node.weights.sign.shape
            totals = np.empty((len(rows), outputs), dtype=np.int64)
            kernels.disagreements(**layer._operands(rows, one), totals=totals)
            _misread(rows[:, 0], layer.sign, inputs, 1000 * part + number, RATE, totals)
            if layer is self.layers[-1]:
                return inputs - 2 * totals + layer.node.offsets[0]
            fired = totals <= inputs - layer.node.thresholds[0]
            octets = np.packbits(fired, axis=1, bitorder="little")
            rows = np.ascontiguousarray(octets).view(np.uint64)[:, None]
        raise AssertionError


@njit(nogil=True, boundscheck=False)
def _misread(rows, sign, inputs, seed, rate, totals):
    """Flips bits at random gaps, as one would write it."""
    np.random.seed(seed)  # noqa: NPY002
    scale = 1 / math.log1p(-rate)
    outputs = totals.shape[1]
    for row in range(len(rows)):
        place = int(math.log(1 - np.random.random()) * scale)  # noqa: NPY002
        while place < inputs * outputs:
            neuron = place // inputs
            source = place - neuron * inputs
            word = rows[row, source >> 6] ^ sign[neuron >> 6, source >> 6, neuron & 63]
            totals[row, neuron] += 1 - 2 * np.int64(word >> np.uint64(source & 63) & np.uint64(1))
            place += 1 + int(math.log(1 - np.random.random()) * scale)  # noqa: NPY002


def _row(
    what: str,
    threads: int,
    ours: tuple[int, list[float]],
    theirs: tuple[int, list[float]],
    differing: int,
) -> dict:
    """``ours`` and ``theirs`` are images of a round, and seconds of each."""
    (images, times), (other_images, other_times) = ours, theirs
    return {
        "errors": what,
        "rate": RATE,
        "threads": threads,
        "images_per_second": images / min(times),
        "other_images_per_second": other_images / min(other_times),
        "ratio": ratio(other_times, times, images / other_images),
        "differing_scores": differing,
    }


def markdown(found: dict) -> str:
    """A table, a row for each kind of errors and number of threads."""
    lines = [
        "# Speed of the reference with bit errors",
        "",
        f"Written by `make bench-sweep`. Median of {found['rounds']} rounds, least and most in "
        f"brackets. {made_with(found)}.",
        "",
        f"784-1024-1024-10 with a binary input and errors at a rate of {RATE:g}: the packed engine",
        "against float32 torch with masks, and against itself with read errors of a plain sampler.",
        "Images per second are those of the fastest round.",
        "",
        "| errors | threads | packed, images/s | other, images/s | ratio | other scores |",
        "|---|---|---|---|---|---|",
    ]
    for row in found["errors"]:
        speeds = (f"{row[f'{each}images_per_second']:,.0f}" for each in ("", "other_"))
        cells = row["errors"], row["threads"], *speeds, shown(row["ratio"])
        lines.append(f"| {' | '.join(map(str, cells))} | {row['differing_scores']} |")
    return "\n".join([*lines, ""])


def main() -> int:
    """Measures at one thread and at all cores; 1 when scores differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=7)
    add_output(parser)
    options = parser.parse_args()
    graph, rows = random_network(), []
    images = np.random.default_rng(0).integers(0, 2, (options.images, 784), dtype=np.uint8)
    with torch.inference_mode():
        for threads in sorted({1, os.cpu_count() or 1}):
            torch.set_num_threads(threads)
            for per_map in (1000, options.images):
                rows.append(persistent(graph, images, per_map, threads, options.rounds))
            rows += transient(graph, images, threads, options.rounds)
    found = compared(options.rounds, errors=rows)
    put("sweep", found, markdown(found), as_json=options.json, write=options.write)
    return int(any(row["differing_scores"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
