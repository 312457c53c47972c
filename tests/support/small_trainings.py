# SPDX-License-Identifier: BSD-2-Clause
"""Small trainings of every kind, for processes that are killed."""

from functools import partial
from pathlib import Path

import torch

from twincell.model.data import load
from twincell.model.files import replacing
from twincell.model.layers import Pixels, mlp
from twincell.model.learning.consolidation import ElasticWeights, SynapticIntelligence
from twincell.model.learning.devices.weak_reset import WeakReset
from twincell.model.learning.networks import real_mlp, seeded
from twincell.model.learning.optimizers import PulseAdam, metaplastic
from twincell.model.learning.protocol import Protocol, learn
from twincell.model.learning.tasks import permuted, stream
from twincell.model.recipe import Recipe
from twincell.model.training import train

END = "end.pt"
TASKS, EPOCHS = 3, 20


def _learned(folder: Path, optimizer, consolidation=None, real=False, streamed=False) -> dict:
    digits, sizes, pixels = load("digits"), (64, 96, 10), Pixels(5, 0.0, 2.0)
    if real:
        network = real_mlp(sizes, pixels, 1)
    else:
        with seeded(1):
            network = mlp(64, (96,), 10, pixels)
    tasks = stream(digits, TASKS, 1) if streamed else permuted(digits, TASKS, 1)
    epochs = EPOCHS * TASKS if streamed else EPOCHS  # a piece is a third of a task
    protocol = Protocol(epochs, 50, 1, fresh_optimizer=not streamed, task_norm=not streamed,
                        halve_every=7)  # fmt: skip
    made = consolidation and consolidation()
    history = learn(network, optimizer, tasks, protocol, consolidation=made, directory=folder)
    state = {name: value.detach() for name, value in network.state_dict().items()}
    return {"state": state, "history": repr(history)}


def _trained(folder: Path, **fields) -> dict:
    given = {
        "name": "small", "data": "digits", "seed": 5, "hidden": [96], **fields,
        "training": {"epochs": TASKS * EPOCHS, "batch": 50, "learning_rate": 0.01},
    }  # fmt: skip
    trained = train(Recipe.model_validate(given), folder)
    return {"state": dict(trained.model.state_dict()), "history": repr(trained.history)}


def _pulses(network):
    return PulseAdam(network, WeakReset(), 5, lr=6.0)


def _reprogrammed(network):
    return PulseAdam(network, WeakReset(set_redraws=True), 5, lr=6.0, reprogram=3)


def _meta(network):
    return metaplastic(network, 2.0, lr=0.02, decay=1e-7)


RUNS = {
    "devices": partial(_learned, optimizer=_pulses),
    "devices, reprogrammed": partial(_learned, optimizer=_reprogrammed),
    "metaplastic": partial(_learned, optimizer=_meta),
    "metaplastic stream": partial(_learned, optimizer=_meta, streamed=True),
    "real weights": partial(_learned, optimizer=_meta, real=True),
    "elastic": partial(
        _learned, optimizer=_meta, consolidation=partial(ElasticWeights, 500.0, 200)
    ),
    "random consolidation": partial(
        _learned, optimizer=_meta,
        consolidation=partial(ElasticWeights, 500.0, 200, shuffled=True),
    ),
    "intelligence": partial(
        _learned, optimizer=_meta, consolidation=partial(SynapticIntelligence, 0.1)
    ),
    "augmented": partial(_trained, augmentation={"shift": 0.5, "elastic": 0.3}),
    "with errors": partial(_trained, errors={"persistent": 0.02, "maps": 1}),
    "stochastic": partial(
        _trained,
        input={"planes": "stochastic", "presentations": [4], "accumulate": "first"},
    ),
}  # fmt: skip


def warm() -> None:
    """Imports, loads and compiles what trainings need, in the process that forks theirs."""
    torch.set_num_threads(1)
    load("digits")
    for make in (_pulses, _meta):
        network = mlp(64, (8,), 10, Pixels(5))
        optimizer = make(network)
        for values in network.parameters():  # torch forbids to fork after a backward pass
            values.grad = torch.zeros_like(values)
        optimizer.step()


def run(name: str, folder: Path, started) -> None:
    """Trains, or goes on, says so by an event before, and leaves what came out in ``END``."""
    torch.set_num_threads(1)
    started.set()
    found = RUNS[name](folder)
    with replacing(folder / END) as file:
        torch.save(found, file)
