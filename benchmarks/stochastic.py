# SPDX-License-Identifier: BSD-2-Clause
"""How random the generators of stochastic pixels are: correlations, and what they do to sums.

    python benchmarks/stochastic.py [--images N] [--presentations P] [--json]

Correlations are Pearson's, of the random numbers of 784 pixels of 8 bits; of independent draws
their standard deviation is about 1 / sqrt(draws). ``sum`` is the standard deviation of the popcount
of a random image over that of independent bits, for a neuron with random weights and for one whose
weights are all equal, which sees every correlation there is.
"""

import argparse
import json
import sys

import numpy as np

from twincell.model.planes import Generator, Stochastic

PIXELS, BITS = 784, 8
FARTHEST = 64  # pixels apart


def measured(generator: str, images: int, presentations: int) -> dict[str, float]:
    """The figures of one generator."""
    planes = Stochastic(BITS, (presentations,), seed=1, generator=generator)
    drawn = np.array([planes.numbers(k, presentations, PIXELS) for k in range(images)])
    apart = [abs(_correlation(drawn[..., k:], drawn[..., :-k])) for k in range(1, FARTHEST + 1)]
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, PIXELS)
    shown = image >= drawn
    chance = image / 255
    alone = (presentations * chance * (1 - chance)).sum() ** 0.5
    weights = rng.choice([-1, 1], (PIXELS, 64))
    counts = shown.sum(axis=1)
    return {
        "bias": abs(np.array([(u >= drawn).mean() - u / 255 for u in range(256)])).max(),
        "successive presentations": _correlation(drawn[:, 1:], drawn[:, :-1]),
        "successive images": _correlation(drawn[1:], drawn[:-1]),
        "next pixel": _correlation(drawn[..., 1:], drawn[..., :-1]),
        f"worst within {FARTHEST} pixels": max(apart),
        "error of a pixel": ((counts / presentations - chance) ** 2).mean() ** 0.5,
        "sum, random weights": float((counts @ weights).std(axis=0).mean() / alone),
        "sum, equal weights": float(counts.sum(axis=1).std() / alone),
    }


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.reshape(-1), other.reshape(-1))[0, 1])


def main(arguments: list[str]) -> None:
    """Prints the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--presentations", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    if given.images < 2 or given.presentations < 2:
        parser.error("correlations need 2 images and 2 presentations at least")
    found = {str(g): measured(str(g), given.images, given.presentations) for g in Generator}
    if given.json:
        print(json.dumps(found, indent=2))
        return
    names = list(next(iter(found.values())))
    print("| | " + " | ".join(found) + " |")
    print("|---|" + "---|" * len(found))
    for name in names:
        print(f"| {name} | " + " | ".join(f"{each[name]:.4f}" for each in found.values()) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
