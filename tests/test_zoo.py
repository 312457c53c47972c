# SPDX-License-Identifier: BSD-2-Clause
"""The zoo's networks: what their records claim, measured again, in software and in Verilog."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from twincell import api, networks
from twincell.model import integer, store
from twincell.model.recipe import Recipe

ZOO = Path(__file__).parent.parent / "zoo"
FASHION = "fashion-mlp", "fashion-mlp-sc"
BUDGETS = [10, 49, 100, 250, 700, 2000, 6000]


def needs_data(name: str) -> None:
    if Recipe.read(ZOO / f"{name}.toml").data != "digits" and not os.environ.get("TWINCELL_DATA"):
        pytest.skip(f"{name} needs TWINCELL_DATA")


def test_every_network_has_recipe_and_record():
    digits = ["digits-conv", "digits-mlp", "digits-small"]
    assert api.zoo() == [*digits, "fashion-mlp", "fashion-mlp-sc", "mnist-mlp"]
    for name in api.zoo():
        assert (ZOO / f"{name}.toml").is_file() and (ZOO / f"{name}.json").is_file()


@pytest.mark.parametrize("name", api.zoo())
def test_the_record_is_what_the_network_does(name):
    needs_data(name)
    record = json.loads((ZOO / f"{name}.json").read_text())
    graph = api.load(name)
    data = networks.first_images(name, graph)
    assert data.labels is not None and record["data"] == data.source
    assert record["network"] == graph.name == name and record["digest"] == store.digest(graph)
    right = integer.labels(integer.scores(graph, data.pixels)) == data.labels
    assert (record["correct"], record["test_images"]) == (right.sum(), len(right))
    for each in record.get("presentations", ()):
        scores = integer.scores(graph, data.pixels, presentations=each["presentations"])
        assert each["correct"] == (integer.labels(scores) == data.labels).sum()
    interval = binomtest(int(right.sum()), len(right)).proportion_ci(0.95, method="wilson")
    assert np.allclose(record["wilson_95"], [interval.low, interval.high])


@pytest.mark.parametrize(
    ("name", "least"), [("mnist-mlp", 0.98), ("fashion-mlp", 0.885), ("fashion-mlp-sc", 0.87)]
)
def test_networks_are_as_accurate_as_required(name, least):
    record = json.loads((ZOO / f"{name}.json").read_text())
    assert record["accuracy"] >= least
    graph = api.load(name)
    assert [value.shape for value in graph.values] == [(784,), (1024,), (1024,), (10,)]


def test_stochastic_inputs_cost_little():
    fixed, shown = (json.loads((ZOO / f"{name}.json").read_text()) for name in FASHION)
    accuracy = {each["presentations"]: each["accuracy"] for each in shown["presentations"]}
    assert fixed["accuracy"] - accuracy[3] < 0.025 and fixed["accuracy"] - accuracy[8] < 0.015


@pytest.mark.parametrize(
    ("simulator", "images"),
    [
        ("icarus", 40),
        pytest.param("icarus", 360, marks=pytest.mark.slow),
        ("verilator", 360),
        ("native", 360),
    ],
)
def test_digits_in_every_simulator(simulator, images):
    if simulator == "icarus" and shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog is not on PATH")
    result = api.verify("digits-mlp", images, simulator=simulator)
    assert (result.scores, result.mismatches) == (10 * images, 0)
    assert result.cycles_per_image == result.planned_cycles_per_image


@pytest.mark.parametrize("pauses", ["none", "both"])
def test_convolutions_with_read_errors(pauses):
    errors = api.Injection(1e-3, 0.0 if pauses == "none" else 1e-3, seed=3)
    result = api.verify("digits-conv", 100, simulator="native", pauses=pauses, injection=errors)
    assert (result.scores, result.mismatches) == (1000, 0)
    if pauses == "none":
        assert result.cycles_per_image == result.planned_cycles_per_image


@pytest.mark.parametrize(
    "lanes", [pytest.param(n, marks=pytest.mark.slow if n > 100 else ()) for n in BUDGETS]
)
def test_digits_take_the_planned_cycles(lanes):
    result = api.verify("digits-mlp", 40, simulator="native", budget=api.Budget(lanes=lanes))
    assert result.mismatches == 0
    assert result.cycles_per_image == result.planned_cycles_per_image


@pytest.mark.parametrize(
    "pauses", ["both", *(pytest.param(p, marks=pytest.mark.slow) for p in ("source", "sink"))]
)
@pytest.mark.parametrize("simulator", ["verilator", "native"])
def test_digits_under_pauses(simulator, pauses):
    result = api.verify("digits-mlp", 40, simulator=simulator, pauses=pauses, seed=11)
    assert result.mismatches == 0


def test_some_of_mnist():
    needs_data("mnist-mlp")
    result = api.verify("mnist-mlp", 128, simulator="native")
    assert (result.scores, result.mismatches) == (1280, 0)
    assert result.cycles_per_image == result.planned_cycles_per_image


@pytest.mark.slow
def test_all_of_mnist():
    needs_data("mnist-mlp")
    result = api.verify("mnist-mlp", simulator="native")
    assert (result.scores, result.mismatches) == (100_000, 0)
    assert result.accuracy is not None and result.accuracy >= 0.98
