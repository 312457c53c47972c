# SPDX-License-Identifier: BSD-2-Clause
"""Training with errors of the memory: the drawn bits, the gradient, and that it helps."""

import numpy as np
import pytest
import torch
from scipy.stats import t

from tests.model.test_training import _assert_same, _interrupted, _recipe, shapes  # noqa: F401
from twincell.model import data, integer
from twincell.model.draws import at_mean_rate
from twincell.model.errors import ErrorMap, LayerErrors
from twincell.model.graph import Graph
from twincell.model.layers import BinaryLinear, ScoreHead
from twincell.model.nodes import Dense, Head, Input, Weights
from twincell.model.recipe import Recipe
from twincell.model.training import _Run, error_seed, train

RATE = 0.1


def _as_graph(model) -> Graph:
    """A graph with the weights that a network stores at this moment; its constants are 0."""
    layers = [module for module in model if isinstance(module, BinaryLinear)]
    nodes: list = [Input((layers[0].latent.shape[1],))]
    for layer in layers:
        signed = layer.stored().numpy()
        weights = Weights(signed > 0, signed != 0 if layer.ternary else None)
        if isinstance(layer, ScoreHead):
            nodes.append(Head(weights, np.zeros((1, weights.outputs), int)))
        else:
            nodes.append(Dense(weights, np.zeros((1, 1, weights.outputs), int)))
    return Graph(tuple(nodes))


@pytest.mark.parametrize("weights", ["binary", "ternary"])
def test_the_flips_of_every_step_are_those_of_an_error_map(shapes, weights, monkeypatch):  # noqa: F811
    recipe = _recipe(weights=weights, errors={"persistent": RATE}, hidden=[20, 30])
    run, step, seen = _Run(recipe, shapes), _Run._step, []

    def watched(self, *given):
        graph = _as_graph(self.model)
        errors = ErrorMap.draw(graph, error_seed(recipe, len(seen)), persistent=RATE)
        layers = [module for module in self.model if isinstance(module, BinaryLinear)]
        sensed = errors.sensed(graph).nodes[1:]
        for layer, node, stored in zip(layers, sensed, graph.nodes[1:], strict=True):
            assert np.array_equal(layer.weights().detach().numpy(), node.weights.signed())
            assert not np.array_equal(node.weights.signed(), stored.weights.signed())
        seen.append(errors.flips(graph))
        return step(self, *given)

    monkeypatch.setattr(_Run, "_step", watched)
    run.epoch(0)
    run.epoch(1)
    assert len(seen) == 2 * (300 // 32) and len({tuple(each.values()) for each in seen}) > 9
    assert all(layer.errors is None for layer in run.model if isinstance(layer, BinaryLinear))


@pytest.mark.parametrize("ternary", [False, True])
def test_weights_without_a_graph_have_the_same_errors(ternary):
    rng = np.random.default_rng(1)
    signed = rng.integers(-1, 2, (70, 90)) if ternary else 2 * rng.integers(0, 2, (70, 90)) - 1
    weights = Weights(signed > 0, signed != 0 if ternary else None)
    graph = Graph((Input((90,)), Head(weights, np.zeros((1, 70), int))))
    wanted = ErrorMap.draw(graph, 9, persistent=0.02).layers[1]
    for given in (signed, signed.astype(np.float32)):
        synapses, states = at_mean_rate(given, 0.02, 9, 1, ternary=ternary)
        assert np.array_equal(synapses, wanted.synapses)
        assert np.array_equal(states, wanted.states) and len(states)


def test_the_gradient_is_that_of_the_sensed_weights_and_reaches_the_latent_ones():
    layer = BinaryLinear(3, 1)
    layer.latent.data = torch.tensor([[0.5, -0.5, 0.25]])
    layer.errors = LayerErrors([1], [1])
    values = torch.tensor([[1.0, -1.0, 1.0]], requires_grad=True)
    out = layer(values)
    assert out.item() == 1.0 and layer.latent.tolist() == [[0.5, -0.5, 0.25]]
    out.backward()
    assert layer.latent.grad.tolist() == [[1.0, -1.0, 1.0]]
    assert values.grad.tolist() == [[1.0, 1.0, 1.0]]
    layer.errors = None
    assert layer(values).item() == 3.0


def test_a_resumed_run_meets_the_same_errors(tmp_path, shapes):  # noqa: F811
    recipe = _recipe(errors={"persistent": 0.05, "maps": 3}, training={"validation": 50})
    whole = train(recipe, tmp_path / "whole", data=shapes)
    for after in (1, 3):
        _interrupted(recipe, tmp_path / "parts", shapes, after)
    parts = train(recipe, tmp_path / "parts", data=shapes)
    _assert_same(whole, parts)
    assert whole.with_errors == parts.with_errors and len(whole.with_errors) == 3
    record = whole.record()
    assert record["errors"]["accuracy"] == pytest.approx(np.mean(whole.with_errors))
    assert record["errors"]["worst"] <= record["errors"]["best"]
    plain = train(_recipe(training={"validation": 50}), tmp_path / "plain", data=shapes)
    assert "errors" not in plain.record() and plain.with_errors == ()
    assert plain.history != whole.history


@pytest.mark.slow
def test_training_with_errors_helps_at_its_rate(tmp_path):
    """Paired: equal seeds of training, equal images, equal seeds of the error maps."""
    digits, gains = data.load("digits"), []
    for seed in range(8):
        fields = {"name": "digits", "data": "digits", "seed": seed, "hidden": [64]}
        fields["training"] = {"epochs": 12, "batch": 64, "learning_rate": 0.01}
        ordinary = Recipe.model_validate(fields)
        aware = Recipe.model_validate(fields | {"errors": {"persistent": RATE}})
        accuracies = []
        for recipe in (ordinary, aware):
            graph = train(recipe, tmp_path, data=digits, resume=False).graph
            network = integer.Interpreter(graph)
            shown = network.shown(digits.test_images.reshape(-1, 64))
            found = []
            for number in range(20):
                errors = ErrorMap.draw(graph, 100 * seed + number, persistent=RATE)
                scores = network.with_errors(errors).scores(shown)
                found.append((integer.labels(scores) == digits.test_labels).mean())
            accuracies.append(np.mean(found))
        gains.append(accuracies[1] - accuracies[0])
    half = t.ppf(0.995, len(gains) - 1) * np.std(gains, ddof=1) / np.sqrt(len(gains))
    assert np.mean(gains) - half > 0, f"{np.mean(gains):.4f} +- {half:.4f}"
    print(f"gain at {RATE}: {np.mean(gains):.4f} +- {half:.4f} (99 %)")
