# SPDX-License-Identifier: BSD-2-Clause
"""The quadratic task and what theory says about it."""

import numpy as np
import pytest

from twincell.model.learning.quadratic import Quadratic, random, signs, two_weights


def _flipped(task, latent, i):
    weights = signs(latent)
    before = task.loss(weights)
    weights[i] *= -1
    return task.loss(weights) - before


def test_flip_costs_are_exact():
    task = random(20, 3)
    latent = task.learn(0.01, 200)[-1]
    expected = [_flipped(task, latent, i) for i in range(20)]
    assert task.flip_costs(latent) == pytest.approx(expected, rel=1e-9)


def test_two_weights_one_of_which_diverges():
    path = two_weights().learn(0.35, 500)
    assert path[0].tolist() == [0.01, 0.02]
    steps = np.diff(path[-101:, 0])  # W* = 1.5 lies outside: its weight grows in steady steps
    assert path[-1, 0] > 100 and (steps > 0).all()
    assert np.abs(path[:, 1]).max() < 1  # W* = 0.5 lies inside: the other one swings around 0
    assert len(set(signs(path[-100:, 1]))) == 2


def test_the_size_of_a_latent_weight_is_its_importance():
    task, rate, steps = random(500, 1), 0.01, 1000
    latent = task.learn(rate, steps)[-1]
    costs, predicted = task.flip_costs(latent), task.predicted_costs(latent, rate, steps)
    assert np.corrcoef(np.abs(latent), costs)[0, 1] > 0.95
    diverging = np.abs(latent) > 20 * rate
    assert 250 < diverging.sum() < 500
    slope, _ = np.polyfit(predicted[diverging], costs[diverging], 1)
    assert slope == pytest.approx(1.0, abs=0.1)
    assert np.corrcoef(predicted[diverging], costs[diverging])[0, 1] > 0.98
    settled = np.abs(latent) > np.abs(latent).max() / 3
    assert costs[settled] == pytest.approx(predicted[settled], rel=0.35)


def test_the_eigenvalues_and_a_seed():
    task = random(60, 5)
    values = np.linalg.eigvalsh(task.hessian)
    assert values.min() >= 10.5 and values.max() <= 29.5
    assert np.abs(task.optimum).max() <= 4
    assert np.array_equal(task.hessian, random(60, 5).hessian)
    assert not np.array_equal(task.hessian, random(60, 6).hessian)
    with pytest.raises(ValueError, match=r"^A task of 2 weights needs a hessian \(2, 2\) and 2 "):
        Quadratic(np.eye(3), np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match=r"^weights must be at least 1, not 0$"):
        random(0, 1)
