# SPDX-License-Identifier: BSD-2-Clause
"""Training with stochastic inputs: the draws, the statistics, and the graphs that come of them."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import nn

from tests.model.test_training import (
    _assert_same,
    _interrupted,
    _recipe,
    lines,
    shapes,  # noqa: F401
)
from twincell.model.calibration import calibrated, presented
from twincell.model.export import ExportError, differences, export, joined
from twincell.model.layers import Pixels, mlp
from twincell.model.planes import FixedPoint, Stochastic
from twincell.model.presentations import Showing, binomial_table, hardware_rows
from twincell.model.store import digest
from twincell.model.training import train

BITS = 4
MOST = (1 << BITS) - 1


@pytest.mark.parametrize("count", [1, 2, 3, 8, 100])
def test_tables_hold_the_binomial_distribution(count):
    thresholds, aliases = binomial_table(BITS, count)
    assert thresholds.shape == aliases.shape == (MOST + 1, count + 1)
    for level in range(MOST + 1):
        # Entry k is chosen once in count + 1, and keeps its own number in threshold of 2^32.
        own = thresholds[level] / 2.0**32
        found = own.copy()
        np.add.at(found, aliases[level], 1 - own)
        wanted = binom.pmf(np.arange(count + 1), count, level / MOST)
        assert np.allclose(found / (count + 1), wanted, atol=2.0**-31)


@pytest.mark.parametrize("accumulate", ["first", "output"])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_shown_pixels_have_the_mean_and_the_spread_of_bits(accumulate, count):
    pixels = torch.arange(MOST + 1).repeat(4000, 1)
    showing = Showing(Stochastic(BITS, (count,), accumulate=accumulate), count)
    rows = showing.rows(pixels, 5)
    each = 1 if accumulate == "output" else count
    assert rows.shape == (4000 * count // each, MOST + 1)
    assert torch.equal((rows * each / MOST).round() * MOST / each, rows)
    assert torch.equal(rows, showing.rows(pixels.float(), 5))
    assert not torch.equal(rows, showing.rows(pixels, 6))
    q = torch.arange(MOST + 1) / MOST
    spread = MOST * torch.sqrt(q * (1 - q) / each)
    error = (rows.mean(0) - MOST * q).abs() / (spread / len(rows) ** 0.5 + 1e-6)
    assert error.max() < 4.5
    assert torch.allclose(rows.std(0), spread, rtol=0.1, atol=1e-6)
    # Pixels of an image, and images, are independent of each other.
    middle = rows[:, MOST // 2 : MOST // 2 + 2]
    assert torch.corrcoef(middle.T)[0, 1].abs() < 0.06
    assert torch.corrcoef(torch.stack([middle[1:, 0], middle[:-1, 0]]))[0, 1].abs() < 0.06


@pytest.mark.parametrize("generator", ["low-discrepancy", "shared"])
def test_generators_of_dependent_bits_draw_themselves(generator):
    pixels = torch.arange(MOST + 1).repeat(3000, 1).float()
    rows = {
        each: Showing(Stochastic(BITS, (8,), generator=each), 8).rows(pixels, 3) / MOST
        for each in ("lfsr", generator)
    }
    for found in rows.values():
        # A generator of words shows x + [x >= 2^(b-1)] of 2^b chances.
        assert torch.allclose(found.mean(0), torch.arange(MOST + 1) / MOST, atol=0.04)
    spread = {each: found.std(0)[1:-1].mean() for each, found in rows.items()}
    correlation = torch.corrcoef(rows[generator][:, 7:9].T)[0, 1]
    if generator == "shared":
        assert correlation > 0.8
    else:
        assert correlation.abs() < 0.06 and spread[generator] < 0.5 * spread["lfsr"]


def test_logits_of_the_rows_of_an_image_are_averaged():
    logits = torch.arange(12.0).reshape(6, 2)
    output = Showing(Stochastic(BITS, (3,), accumulate="output"), 3)
    assert torch.equal(output.mean(logits), torch.tensor([[2.0, 3.0], [8.0, 9.0]]))
    assert torch.equal(Showing(Stochastic(BITS, (3,)), 3).mean(logits), logits)


def _model(seed: int = 3) -> nn.Sequential:
    torch.manual_seed(seed)
    model = mlp(36, (40, 21), 5, Pixels(BITS))
    for module in model:
        if isinstance(module, nn.BatchNorm1d):
            module.weight.data.normal_()
            module.bias.data.normal_()
    model[-1].offset.data.normal_()  # type: ignore[union-attr]
    return model


def _images(count: int = 600) -> torch.Tensor:
    return torch.randint(0, MOST + 1, (count, 36), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("accumulate", ["first", "output"])
@pytest.mark.parametrize("generator", ["lfsr", "shared"])
def test_a_network_and_its_graph_agree_in_every_presentation(accumulate, generator):
    counts = (8, 1, 3)
    planes = Stochastic(BITS, counts, 7, generator, accumulate)
    model, images = _model(), _images()
    graph = presented(model, "net", planes, images)
    assert graph.input.planes == planes and model.training
    kinds = counts if accumulate == "first" else (1, 1, 1)
    shows = [lambda kind=kind: [hardware_rows(planes, images, kind)] for kind in kinds]
    copies = calibrated(model, shows)
    for count, made in zip(counts, copies, strict=True):
        found = differences(made, graph, images, count)
        assert (found.images, found.scores, found.labels) == (600, 0, 0)
    assert differences(_model(4), graph, images).scores > 0


@pytest.mark.parametrize("accumulate", ["first", "output"])
def test_hardware_shows_what_training_draws(accumulate):
    planes, pixels = Stochastic(BITS, (8,), accumulate=accumulate), _images(2000)
    ours, theirs = hardware_rows(planes, pixels, 8), Showing(planes, 8).rows(pixels, 1)
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    assert torch.equal(ours.unique(), theirs.unique())
    assert torch.allclose(ours.mean(0), theirs.mean(0), atol=0.5)
    assert torch.allclose(ours.std(0), theirs.std(0), atol=0.2)
    again = hardware_rows(planes, pixels[5:], 8, first_image=5)
    assert torch.equal(again, ours[5 * len(ours) // 2000 :])


def test_statistics_are_those_of_the_inputs_shown():
    planes, model, images = Stochastic(BITS, (1, 16)), _model(), _images(5000)
    shows = [lambda n=n: Showing(planes, n).rows(images, 4).split(999) for n in (1, 16)]
    one, many = calibrated(model, shows)
    for copy, show in zip((one, many), shows, strict=True):
        values = copy[:2](torch.cat(list(show())))
        assert torch.allclose(copy[2].running_mean, values.mean(0), atol=1e-4)
        assert torch.allclose(copy[2].running_var, values.var(0, correction=0), rtol=1e-4)
        assert torch.equal(copy[5].running_mean, one[5].running_mean)
    deep = torch.cat(
        [copy[:5](torch.cat(list(show()))) for copy, show in zip((one, many), shows, strict=True)]
    )
    assert torch.allclose(one[5].running_mean, deep.mean(0), atol=1e-4)
    assert torch.allclose(one[5].running_var, deep.var(0, correction=0), rtol=1e-4)
    # A pixel's bits vary by 4 q (1 - q), of which the mean of 16 keeps a sixteenth.
    q = images.float() / MOST
    excess = (4 * q * (1 - q)).mean(0).sum() * (1 - 1 / 16)
    found = (one[2].running_var - many[2].running_var).mean()
    assert torch.isclose(found, excess, rtol=0.05)
    assert torch.equal(model[2].running_mean, torch.zeros(40)) and model.training


def test_thresholds_grow_with_presentations_and_invert_the_same_weights():
    planes = Stochastic(BITS, (1, 2, 32))
    graph = presented(_model(), "net", planes, _images())
    thresholds = graph.nodes[1].thresholds  # type: ignore[union-attr]
    assert thresholds.shape == (3, 1, 40)
    scaled = thresholds[:, 0] / (np.array(planes.presentations)[:, None] * 36)
    assert np.abs(np.diff(scaled, axis=0)).max() < 0.3
    assert all((a <= b).all() for a, b in pairwise(thresholds[:, 0]))


def test_graphs_that_differ_in_more_than_presentations_are_not_joined():
    def one(count, model=None, **fields):
        return export(model or _model(), "net", (36,), Stochastic(BITS, (count,), **fields))

    whole = joined([one(3), one(1)])
    assert whole.input.planes == Stochastic(BITS, (3, 1))
    with pytest.raises(ExportError, match=r"^Networks of \[3\] and \(1,\) presentations differ in"):
        joined([one(3), one(1, _model(4))])
    with pytest.raises(ExportError, match="differ in more"):
        joined([one(3), one(1, seed=2)])
    with pytest.raises(ExportError, match="that the first layer accumulates can be joined"):
        joined([one(3, accumulate="output")])
    with pytest.raises(ExportError, match="that the first layer accumulates can be joined"):
        joined([export(_model(), "net", (36,))])
    with pytest.raises(ExportError, match="one number of presentations at a time"):
        export(_model(), "net", (36,), Stochastic(BITS, (3, 1)))
    with pytest.raises(ExportError, match="Pixels of 4 bits are no planes of 5 bits"):
        export(_model(), "net", (36,), Stochastic(5, (3,)))


@pytest.mark.parametrize("accumulate", ["first", "output"])
@pytest.mark.parametrize("shown", ["grey", 1, 3])
def test_a_resumed_stochastic_run_equals_an_uninterrupted_one(tmp_path, shapes, accumulate, shown):  # noqa: F811
    recipe = _recipe(
        input={"planes": "stochastic", "presentations": [3, 8], "accumulate": accumulate,
               "shown": shown, "seed": 11},
        training={"validation": 50},
    )  # fmt: skip
    whole = train(recipe, tmp_path / "whole", data=shapes)
    _interrupted(recipe, tmp_path / "parts", shapes, 2)
    _assert_same(whole, train(recipe, tmp_path / "parts", data=shapes))
    planes = whole.graph.input.planes
    assert planes == Stochastic(BITS, (3, 8), 11, accumulate=accumulate)
    record = whole.record()
    assert record["correct"] == record["presentations"][0]["correct"] == whole.correct
    assert [each["presentations"] for each in record["presentations"]] == [3, 8]


def test_more_presentations_are_more_accurate(tmp_path):
    data = lines(1400, 400)
    recipe = _recipe(
        input={"planes": "stochastic", "presentations": [1, 4, 16, 64], "shown": "grey"},
        training={"epochs": 12}, augmentation={"shift": 0.0, "elastic": 0.0},
    )  # fmt: skip
    correct = train(recipe, tmp_path, data=data).by_presentations
    assert correct == tuple(sorted(correct)) and correct[-1] > correct[0] + 250  # of 1000


def test_grey_training_is_that_of_fixed_point_pixels(tmp_path, shapes):  # noqa: F811
    grey = _recipe(input={"planes": "stochastic", "presentations": [4], "shown": "grey"})
    fixed = train(_recipe(), tmp_path / "fixed", data=shapes)
    other = train(grey, tmp_path / "grey", data=shapes)
    assert fixed.history == other.history and fixed.graph.input.planes == FixedPoint(BITS)
    assert digest(export(other.model, "shapes", (36,))) == digest(fixed.graph)
