# SPDX-License-Identifier: BSD-2-Clause
"""Experiments that train networks: verdicts, the fit, margins, and the quick runs."""

import json

import numpy as np
import pytest

from twincell.experiments import (
    _registry,
    _report,
    mram_tolerance,
    rram_tolerance,
    solar,
    stochastic,
)
from twincell.experiments._margins import auc, auc_interval, margins
from twincell.experiments._networks import RECIPES, Bench, Difference, compare, recipe, toml
from twincell.experiments._report import Job
from twincell.model.devices.ecc import SECDED_72_64
from twincell.model.devices.junction import butler_prefactor
from twincell.model.draws import MOST_RATE
from twincell.model.recipe import Recipe
from twincell.networks import recipe_path

NAMES = ("rram-tolerance", "mram-tolerance", "solar", "stochastic")


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.toml")))
def test_recipes_are_named_seeded_and_survive_as_text(tmp_path, name):
    plain, aware = recipe(name), recipe(name, 2, 4e-2)
    assert (plain.name, aware.name) == (f"{name}-plain-1", f"{name}-r4e-02-3")
    assert plain.errors is None and aware.errors is not None
    assert aware.errors.persistent == 4e-2 and (plain.seed, aware.seed) == (1, 3)
    for given in (plain, aware):
        (tmp_path / "a.toml").write_text(toml(given))
        assert Recipe.read(tmp_path / "a.toml") == given


def test_a_recipe_of_convolutions_survives_as_text(tmp_path):
    given = Recipe.read(recipe_path("digits-conv"))
    assert len(given.convolutions) == 2
    (tmp_path / "a.toml").write_text(toml(given))
    assert Recipe.read(tmp_path / "a.toml") == given


@pytest.mark.parametrize(
    ("interval", "trainings", "below", "above"),
    [
        ((-0.1, 0.4), (0.1, 0.3), "holds", "fails"),
        ((0.6, 0.9), (0.7, 0.8), "fails", "holds"),
        ((0.4, 0.6), (0.5, 0.5), "undecided", "undecided"),
        ((0.1, 0.2), (0.1, 0.6), "undecided", "undecided"),  # a training disagrees
        ((0.6, 0.9), (0.4, 0.8), "undecided", "undecided"),
        ((0.1, 0.5), (0.2, 0.3), "undecided", "fails"),  # exactly at the margin
        ((0.5, 0.9), (0.6, 0.7), "fails", "undecided"),
    ],
)
def test_verdicts(interval, trainings, below, above):
    found = Difference(float(np.mean(trainings)), interval, trainings, 100)
    assert (found.below(0.5), found.above(0.5)) == (below, above)


def test_differences_are_paired_over_maps_and_images():
    rng = np.random.default_rng(0)
    clean = [(rng.random((1, 800)) < 0.9).astype(np.uint8) for _ in range(3)]
    worse = [(c.repeat(6, axis=0) & (rng.random((6, 800)) > 0.03)).astype(np.uint8) for c in clean]
    found = compare(clean, worse, 1)
    assert found.trainings == tuple(c.mean() - w.mean() for c, w in zip(clean, worse, strict=True))
    assert found.mean == pytest.approx(np.mean(found.trainings)) and found.n == 3 * 6 * 800
    low, high = found.interval
    assert 0 < low < 0.9 * 0.03 < high < 0.05
    assert found.spread.startswith("3 trainings: +")
    assert compare(worse, clean, 1).mean == pytest.approx(-found.mean)


def test_the_rate_behind_a_drop():
    rates, drops = np.array([0.01, 0.02, 0.04]), np.array([0.001, 0.003, 0.011])
    for rate, drop in zip(rates, drops, strict=True):
        assert solar.invert(rates, drops, drop) == pytest.approx(rate)
    assert solar.invert(rates, drops, 0.007) == pytest.approx(0.03)
    assert solar.invert(rates, drops, 0.0005) == pytest.approx(0.005)
    assert solar.invert(rates, drops, 0.0) == solar.invert(rates, drops, -1.0) == 0.0
    assert solar.invert(rates, drops, 0.012) == MOST_RATE
    # Measured drops may fall by chance; the first rate that drops as much is taken.
    assert solar.invert(rates, np.array([0.002, 0.001, 0.004]), 0.002) == pytest.approx(0.01)


def test_the_range_of_a_fitted_rate():
    rates = np.array([0.01, 0.02, 0.04])
    drops = 0.2 * rates
    exact = np.stack([drops, drops], axis=1)
    found = solar.fit(rates, drops, exact, 0.004, 0.001)
    assert (found.low, found.rate, found.high) == pytest.approx((0.015, 0.02, 0.025))
    wide = np.stack([drops / 2, drops * 2], axis=1)
    found = solar.fit(rates, drops, wide, 0.003, 0.001)
    assert (found.low, found.rate, found.high) == pytest.approx((0.005, 0.015, 0.04))
    assert solar.fit(rates, drops, wide, 0.004, 0.001).high == MOST_RATE


def test_published_drops_are_of_one_digit():
    assert [solar.published_drop(suns) for suns in solar.PUBLISHED] == [0.001, 0.003, 0.003, 0.007]


def test_margins_are_of_the_right_class():
    scores = np.array([[5, 1, 3], [5, 1, 3], [2, 2, 0]])
    assert margins(scores, np.array([0, 1, 1])).tolist() == [2, -4, 0]
    assert scores[0].tolist() == [5, 1, 3]


def test_the_area_is_that_of_all_pairs():
    rng = np.random.default_rng(3)
    values = rng.integers(0, 6, 40).astype(float)
    wrong = rng.random((5, 40)) < 0.6 - 0.08 * values
    pairs = [
        1.0 if a < b else 0.5 if a == b else 0.0
        for a in np.broadcast_to(values, wrong.shape)[wrong]
        for b in np.broadcast_to(values, wrong.shape)[~wrong]
    ]
    assert auc(values, wrong) == pytest.approx(np.mean(pairs))
    low, high = auc_interval(values, wrong, 1)
    assert 0 < low < np.mean(pairs) < high < 1
    assert auc(np.arange(4.0), np.array([[True, True, False, False]])) == 1
    assert auc(np.arange(4.0), np.array([[False, False, True, True]])) == 0


def test_margins_that_say_nothing_have_half_the_area():
    rng = np.random.default_rng(5)
    low, high = auc_interval(rng.random(500), rng.random((8, 500)) < 0.05, 1)
    assert low < 0.5 < high and high - low < 0.2


def test_write_energies():
    """Butler's form gives the ratios of the textbook; the width is its inverse."""
    savings = [mram_tolerance.saving(i, butler_prefactor) for i in (1.5, 2, 3)]
    assert [f"{each:.2f}" for each in savings] == ["2.07", "2.03", "2.00"]
    ratio = mram_tolerance.width(1e-8) / mram_tolerance.width(1e-3)
    i = mram_tolerance.WRITE_CURRENT / mram_tolerance.JUNCTION.critical_current
    assert ratio == pytest.approx(mram_tolerance.saving(i))
    raw = mram_tolerance.coded_rate(1e-8)
    assert SECDED_72_64.residual_error_rate(raw) == pytest.approx(1e-8, rel=1e-6)
    for rate in (1e-8, 1e-3):
        made = mram_tolerance.cell(rate)
        assert rate < made.error_rate() < 1.1 * rate  # cells differ: above the nominal rate


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Runs an experiment once; returns its record, page and folder."""
    made = {}

    def run(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            seen = []
            job = Job(True, None, lambda done, total: seen.append((done, total)), folder)
            report = _registry.find(name).run(job)
            _report.write(name, report, True, folder)
            assert seen[-1][0] == seen[-1][1] and seen == sorted(seen)
            made[name] = folder
        folder = made[name]
        text = (folder / "report.json").read_text()
        return json.loads(text), (folder / "report.md").read_text(), folder

    return run


@pytest.mark.parametrize("name", NAMES)
def test_quick_runs_say_that_they_are_no_result(quick, name):
    record, page, folder = quick(name)
    assert record["quick"] and "**This is the quick run" in page and " verdict |" in page
    for finding in record["findings"]:
        if finding["interval"]:
            low, high = finding["interval"]
            assert finding["n"] > 0 and low <= finding["ours"] <= high
    assert all((folder / plot).stat().st_size > 5000 for plot in record["plots"])


def test_errors_harm_and_rates_are_paired(quick):
    record, _, folder = quick("rram-tolerance")
    rows = record["tables"][0]["rows"]
    assert [row[0] for row in rows] == ["0", *(f"{rate:g}" for rate in rram_tolerance.RATES)]
    for column in range(1, 5):
        accuracies = [float(row[column].split()[0]) for row in rows]
        assert accuracies[0] > 90 and accuracies[0] > accuracies[-2] > accuracies[-1] > 15
    aware = float(rows[-1][4].split()[0])
    assert aware > float(rows[-1][1].split()[0])  # trained with many errors, tested with more
    sweeps = [json.loads(path.read_text()) for path in folder.glob("quick/*/sweep/sweep.json")]
    assert len(sweeps) == 8
    flips = {tuple(point["flips_mean"] for point in each["points"]) for each in sweeps}
    assert len(flips) == 1  # every network has the same wrong cells
    assert len({each["digest"] for each in sweeps}) == 8


def test_weak_writes_save_half(quick):
    record, _, _ = quick("mram-tolerance")
    ours = {finding["quantity"]: finding for finding in record["findings"]}
    saved = ours["write energy at 1e-08 over 0.001, 50 uA"]
    assert saved["ours"] == pytest.approx(2.07, abs=0.005) and not saved["verdict"]
    assert "1.64 at 1e-06, 1.86 at 1e-07, 2.28 at 1e-09" in saved["note"]
    pulses = record["tables"][0]["rows"]
    widths, energies = [row[0] for row in pulses], [row[3] for row in pulses]
    assert widths == sorted(widths, reverse=True) and energies == sorted(energies, reverse=True)
    assert float(pulses[-1][6]) < float(pulses[1][6])


def test_small_margins_go_wrong(quick):
    record, _, _ = quick("solar")
    rates = [finding["ours"] for finding in record["findings"][:4]]
    assert rates == sorted(rates) and rates[1] == rates[2]  # 96.9 % twice
    area = next(f for f in record["findings"] if f["quantity"].startswith("area"))
    assert area["verdict"] == "holds" and area["interval"][0] > 0.8


def test_presentations_are_worth_their_number_and_their_training(quick):
    record, _, folder = quick("stochastic")
    accuracies, first, output, generators, costs = record["tables"]
    cells = [[float(cell.split()[0]) for cell in row if cell] for row in accuracies["rows"]]
    # P, then (a), (b), (c) added up in the first layer, and the same at the output.
    one, two, eight = cells
    assert [row[0] for row in cells] == [1, 2, 8] and len(eight) == 6 and len(two) == 7
    assert one[1:4] == one[4:] and one[2] == one[3]
    for few, more in ((one, two), (two, eight)):
        assert all(a < b for a, b in zip(few[1:6], more[1:6], strict=True))
    fixed = float(accuracies["title"].split("pixels ")[1].split()[0])
    assert fixed > 90 and fixed > max(eight[1:]) and one[2] > one[1] + 2
    matched = [row[3] for row in accuracies["rows"]]
    assert [row[1 + index] for index, row in enumerate(first["rows"])] == matched
    assert output["rows"][1][2] == accuracies["rows"][1][6]
    assert [row[1] for row in generators["rows"]] == matched
    assert float(generators["rows"][2][3].split()[0]) > eight[3] + 2  # low discrepancy
    losses = [f for f in record["findings"] if "accuracy lost" in f["quantity"]]
    assert [f["ours"] for f in losses] == pytest.approx([(fixed - eight[3]) / 100], abs=1e-4)
    assert len(list(folder.glob("quick/*/right.npz"))) == 2 * 5
    assert [row[0] for row in costs["rows"]][1:3] == ["bit by bit", "P = 1, first layer"]
    logic, energy = (
        [float(row[k].split(" ")[0].replace(",", "")) for row in costs["rows"]] for k in (2, 4)
    )
    assert logic[2] < logic[3] < logic[4] and energy[2] < energy[3] < energy[4]
    assert energy[2] < energy[0] and logic[2] == logic[5]
    assert costs["rows"][4][1] == accuracies["rows"][2][3]
    saved = [f for f in record["findings"] if "P = 8" in f["note"] and "fast model" in f["note"]]
    assert [f["ours"] for f in saved[::2]] == pytest.approx(
        [1 - logic[4] / logic[0], energy[0] / energy[4]], rel=0.05
    )


def test_measured_networks_are_not_measured_again(quick, tmp_path):
    _, _, folder = quick("stochastic")
    before = {path: path.stat().st_mtime_ns for path in folder.glob("quick/*/*")}
    report = stochastic.run(Job(True, folder=folder))
    _report.write("stochastic", report, True, tmp_path)
    assert before == {path: path.stat().st_mtime_ns for path in folder.glob("quick/*/*")}
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (folder / path.name).read_bytes(), path.name


def test_a_second_run_repeats_nothing_and_writes_the_same(quick, tmp_path):
    _, _, folder = quick("mram-tolerance")
    kept = [*folder.glob("quick/*/*.safetensors"), *folder.glob("quick/*/*/sweep.sqlite")]
    before = {path: path.stat().st_mtime_ns for path in kept}
    assert len(before) == 2 + 4 and not list(folder.glob("quick/*/checkpoint.pt"))
    report = mram_tolerance.run(Job(True, folder=folder))
    _report.write("mram-tolerance", report, True, tmp_path)
    assert before == {path: path.stat().st_mtime_ns for path in kept}
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (folder / path.name).read_bytes(), path.name


def test_a_training_that_was_stopped_continues(tmp_path):
    given = recipe("tolerance-quick")
    (whole,) = Bench(Job(True), tmp_path / "whole", 5).train([given])

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Bench(Job(True, progress=stop), tmp_path / "parts", 5).train([given])
    assert (tmp_path / "parts" / given.name / "checkpoint.pt").is_file()
    seen = []
    job = Job(True, progress=lambda done, total: seen.append(done))
    (network,) = Bench(job, tmp_path / "parts", 5).train([given])
    assert network.read_bytes() == whole.read_bytes()
    assert len(seen) == 4 and seen[-1] == 5  # three epochs, and those of the first run


def _mark(trained, folder):
    (folder / "mark").write_text(trained.recipe.name)


@pytest.mark.slow
def test_other_processes_train_the_same_networks(tmp_path):
    given, seen = [recipe("tolerance-quick", number) for number in range(3)], []
    here = Bench(Job(True), tmp_path / "here", 15).train(given)
    job = Job(False, progress=lambda done, total: seen.append(done))
    there = Bench(job, tmp_path / "there", 15).train(given, _mark)
    assert [path.read_bytes() for path in here] == [path.read_bytes() for path in there]
    assert [(path.parent / "mark").read_text() for path in there] == [each.name for each in given]
    assert seen == list(range(1, 16))
