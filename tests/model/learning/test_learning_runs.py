# SPDX-License-Identifier: BSD-2-Clause
"""Small whole runs: devices learn the embedded digits, and metaplastic weights remember."""

import pytest
import torch

from twincell.model.data import load
from twincell.model.export import differences, export
from twincell.model.layers import Pixels, mlp
from twincell.model.learning.devices.weak_reset import WeakReset
from twincell.model.learning.networks import normed_mlp
from twincell.model.learning.optimizers import PulseAdam, metaplastic
from twincell.model.learning.protocol import History, Protocol, accuracy, learn
from twincell.model.learning.report import pulse_report
from twincell.model.learning.tasks import permuted, task


@pytest.fixture(scope="module")
def digits():
    return load("digits")


@pytest.mark.parametrize("seed", [0, 1])
def test_devices_learn_the_digits(digits, seed):
    network = normed_mlp((64, 128, 10), Pixels(5, 0, 2), seed)

    def optimizer(network):
        return PulseAdam(network, WeakReset(), seed)

    protocol = Protocol(20, seed=seed, halve_every=7)
    history = learn(network, optimizer, [task(digits)], protocol)
    assert history.final()[0] > 0.9
    report = pulse_report(network)
    assert 50 < report.layers[0].mean < 500
    assert 0.2 < report.layers[0].silent < 0.6


def test_a_network_on_devices_is_exported_for_hardware(digits):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = mlp(64, (64,), 10, Pixels(5))

    def optimizer(network):
        return PulseAdam(network, WeakReset(), 2)

    learned = task(digits)
    learn(network, optimizer, [learned], Protocol(6, 50))
    graph = export(network, "learned", (64,))
    found = differences(network, graph, learned.test_images)
    assert (found.images, found.scores) == (360, 0)
    assert accuracy(network, learned.test_images, learned.test_labels) > 0.75


def _two_tasks(digits, meta: float, seed: int) -> History:
    network = normed_mlp((64, 128, 128, 10), Pixels(5, 0, 2), seed)

    def optimizer(network):
        return metaplastic(network, meta, lr=0.02)

    return learn(network, optimizer, permuted(digits, 2, seed), Protocol(8, 20))


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
def test_metaplasticity_forgets_less(digits, seed):
    plain, kept = (_two_tasks(digits, meta, seed) for meta in (0.0, 3.0))
    assert min(plain.final()[1], kept.final()[1]) > 0.85  # both learn the second task
    assert kept.final()[0] > plain.final()[0] + 0.2
    assert kept.forgotten()[0] < plain.forgotten()[0] - 0.2
