# SPDX-License-Identifier: BSD-2-Clause
"""Training by pulses on devices against plain Adam, on the same networks and mini-batches.

    python benchmarks/learning.py [--data DIR] [--rounds N] [--json] [--write]

MNIST, one thread. The optimizers take turns, a few steps each, and every round gives a ratio of
the processor's times, which other programs on the machine disturb little; the median of the rounds
is meant to be carried from one machine to another. Plain Adam is torch's, fused into one pass.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from results import add_output, made_with, put
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer
from turns import compared, ratio, seconds, shown

from twincell.model.data import DataError, load
from twincell.model.layers import Pixels, mlp
from twincell.model.learning.devices.presets import preset
from twincell.model.learning.networks import seeded
from twincell.model.learning.optimizers import PulseAdam
from twincell.model.learning.tasks import Task, task

NETWORKS = (((512,), 1000), ((3000,), 1000), ((512,), 100))  # hidden neurons, images of a step
DEVICES = ("weak-reset", "weak-reset-mean", "ideal")
IMAGES_A_TURN = 5000
STEPS_BEFORE = 10  # which compile and warm up
PLAIN = "plain Adam"


class Runner:
    """A network in training, from its first mini-batch on."""

    def __init__(
        self,
        make: Callable[[nn.Module], Optimizer],
        hidden: tuple[int, ...],
        batch: int,
        data: Task,
    ):
        with seeded(1):
            self.network = mlp(data.train_images.shape[1], hidden, 10, Pixels(8, 0.0, 1.0))
        self.optimizer, self.batch, self.data, self.at = make(self.network), batch, data, 0

    def run(self, steps: int) -> None:
        """Trains for so many steps."""
        for _ in range(steps):
            places = torch.arange(self.at, self.at + self.batch) % len(self.data.train_images)
            images, labels = (
                each.index_select(0, places)
                for each in (self.data.train_images, self.data.train_labels)
            )
            self.at += self.batch
            self.optimizer.zero_grad()
            cross_entropy(self.network(images), labels).backward()
            self.optimizer.step()


def _adam(network: nn.Module) -> Optimizer:
    return torch.optim.Adam(network.parameters(), lr=5e-3, fused=True)


def measure(hidden: tuple[int, ...], batch: int, data: Task, rounds: int) -> dict:
    """Images per second of plain Adam, and of each device as a share of it."""
    makers = {PLAIN: _adam} | {
        name: lambda network, name=name: PulseAdam(network, preset(name).device, 1)
        for name in DEVICES
    }
    runners = {name: Runner(make, hidden, batch, data) for name, make in makers.items()}
    for runner in runners.values():
        runner.run(STEPS_BEFORE)
    steps = max(1, IMAGES_A_TURN // batch)
    jobs = [partial(runner.run, steps) for runner in runners.values()]
    times = dict(zip(runners, seconds(rounds, *jobs, clock=time.process_time), strict=True))
    return {
        "network": "-".join(map(str, (data.train_images.shape[1], *hidden, 10))),
        "batch": batch,
        "plain_images_per_second": steps * batch / min(times[PLAIN]),
        "shares": {name: ratio(times[PLAIN], times[name]) for name in DEVICES},
    }


def markdown(found: dict) -> str:
    """A table, a row for each network."""
    lines = [
        "# Training on devices: throughput",
        "",
        f"Written by `make bench-learning`. Median of {found['rounds']} rounds, least and most "
        f"in brackets. {made_with(found)}.",
        "",
        "Images per second by `PulseAdam`, each synapse a pair of devices, as a share of those by",
        "torch's fused Adam on latent weights: the same network, MNIST, one thread, ratios of",
        "processor time. What devices add to a step does not depend on the images in it.",
        "",
        f"| network | batch | images/s, {PLAIN} | {' | '.join(f'`{d}`' for d in DEVICES)} |",
        f"|---|---|---|{'---|' * len(DEVICES)}",
    ]
    for row in found["networks"]:
        cells = [shown(row["shares"][name], 2) for name in DEVICES]
        speed = f"{row['plain_images_per_second']:,.0f}"
        lines.append(f"| {row['network']} | {row['batch']} | {speed} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main() -> int:
    """Measures, prints, and with ``--write`` replaces docs/results/learning.json and .md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="directory of data sets")
    parser.add_argument("--rounds", type=int, default=9)
    add_output(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        data = task(load("mnist", options.data))
    except DataError as error:
        print(error, file=sys.stderr)
        return 3
    rows = [measure(*network, data, options.rounds) for network in NETWORKS]
    found = compared(options.rounds, networks=rows)
    put("learning", found, markdown(found), as_json=options.json, write=options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
