# SPDX-License-Identifier: BSD-2-Clause
"""Sweeps: the same table however it is computed, and what is refused."""

import csv
import json
import os
import signal
import sqlite3
import sys
from dataclasses import replace
from functools import partial
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.support.graphs import mlp
from twincell import api
from twincell.hw.plan import Budget
from twincell.model import integer, store
from twincell.model.data import load
from twincell.model.devices import codec
from twincell.model.devices.presets import preset
from twincell.model.devices.resistive import Differential
from twincell.model.devices.rram import Lognormal, Resistance
from twincell.model.errors import ErrorMap
from twincell.model.files import WriteError
from twincell.model.planes import FixedPoint, Stochastic
from twincell.networks import UsageError
from twincell.sweeps import tasks, workers
from twincell.sweeps.intervals import two_way
from twincell.sweeps.ledger import FILE, Ledger
from twincell.sweeps.points import points

FILES = ("sweep.json", "sweep.csv", "sweep.svg")


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """A network for the digits, small and untrained; three of its classes share all weights."""
    path = tmp_path_factory.mktemp("net") / "small.safetensors"
    store.save(mlp(np.random.default_rng(3), [64, 24, 10], FixedPoint(5)), path)
    return path


def run(net, out, **options):
    given = {"ber": (1e-3, 0.05), "maps": 4, "dataset": "digits", "images": 101, "workers": 1}
    return api.sweep(net, out, **given | options)


def contents(folder):
    return [(folder / name).read_bytes() for name in FILES]


@pytest.mark.parametrize("transient", [(), (0, 2e-3)])
def test_the_table_is_what_its_definition_says(net, tmp_path, transient):
    budget = Budget(lanes=37)
    found = run(net, tmp_path, transient=transient, seed=5, budget=budget)
    graph, digits = api.load(net), load("digits")
    images, labels = digits.test_images[:101].reshape(-1, 64), digits.test_labels[:101]
    order = api.plan(graph, budget).read_order
    rates = [(b, t) for b in (1e-3, 0.05) for t in transient or (0.0,)]
    assert [(each.point.ber, each.point.transient) for each in found.points] == [(0, 0), *rates]
    clean = integer.labels(integer.scores(graph, images)) == labels
    assert found.points[0].accuracy == clean.mean() and found.points[0].maps == 1
    for index, (ber, read) in enumerate(rates, start=1):
        right, flips, correct = [], [], []
        for number in range(4):
            sequence = np.random.SeedSequence(5, spawn_key=(index, number))
            seed = int(sequence.generate_state(1, np.uint64)[0])
            errors = ErrorMap.draw(graph, seed, persistent=ber, transient=read)
            scores = integer.scores(graph, images, errors=errors, order=order)
            correct.append(integer.labels(scores) == labels)
            right.append(correct[-1].mean())
            flips.append(sum(errors.flips(graph).values()))
        point = found.points[index]
        assert point.accuracy == pytest.approx(np.mean(right), abs=1e-12)
        assert (point.worst, point.best) == (min(right), max(right))
        assert point.flips_mean == np.mean(flips)
        assert (point.read_flips_mean > 0) == (read > 0)
        seeds = np.random.SeedSequence(5, spawn_key=(index,))
        interval = two_way(np.array(correct, np.uint8), seeds)
        assert (point.low, point.high) == interval and point.low < point.accuracy < point.high


def test_presentations_are_those_asked_for(tmp_path):
    planes = Stochastic(5, (2, 7), seed=3)
    graph = mlp(np.random.default_rng(3), [64, 24, 10], planes)
    store.save(graph, tmp_path / "shown.safetensors")
    digits = load("digits")
    images, labels = digits.test_images[:101].reshape(-1, 64), digits.test_labels[:101]
    for asked, wanted in ((None, 2), (7, 7)):
        found = run(tmp_path / "shown.safetensors", tmp_path / f"{asked}", presentations=asked)
        scores = integer.scores(graph, images, presentations=wanted)
        assert found.points[0].accuracy == (integer.labels(scores) == labels).mean()
        assert found.presentations == found.as_dict()["presentations"] == wanted
    with pytest.raises(api.UsageError, match=r"another sweep: its presentations differ"):
        run(tmp_path / "shown.safetensors", tmp_path / "7")
    with pytest.raises(api.UsageError, match=r"supports 2, 7 presentations, not 3$"):
        run(tmp_path / "shown.safetensors", tmp_path / "3", presentations=3)


def test_workers_change_nothing(net, tmp_path):
    for count in (1, 2, 4):
        assert run(net, tmp_path / str(count), workers=count, transient=(1e-3,)).evaluated == 9
    assert contents(tmp_path / "1") == contents(tmp_path / "2") == contents(tmp_path / "4")


def test_a_dask_cluster_changes_nothing(net, tmp_path):
    distributed = pytest.importorskip("distributed")
    run(net, tmp_path / "here", transient=(1e-3,))
    options = {"n_workers": 2, "threads_per_worker": 2, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options, processes=False) as cluster:
        done = run(
            net, tmp_path / "dask", transient=(1e-3,), workers=None, dask=cluster.scheduler_address
        )
    assert done.evaluated == 9 and contents(tmp_path / "here") == contents(tmp_path / "dask")


def test_a_killed_worker_loses_only_its_task(net, tmp_path, monkeypatch):
    crew = []

    class Watched(workers._Worker):
        def __init__(self):
            super().__init__()
            crew.append(self)

    def kill(done: int, total: int) -> None:
        if done in (2, 4):  # the first two workers are at work, or about to be
            os.kill(crew[done // 2 - 1]._process.pid, signal.SIGKILL)

    monkeypatch.setattr(workers, "_Worker", Watched)
    found = run(net, tmp_path / "killed", workers=2, maps=12, progress=kill)
    assert len(crew) > 2 and found.evaluated == 25
    run(net, tmp_path / "whole", maps=12)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_a_task_that_kills_every_worker(net, tmp_path, monkeypatch):
    """Both workers die of a task each, and either may be the first to have done so three times."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    said = r"3 workers have died of point [01], map 0, .* code 1\. Are 2 workers"
    with pytest.raises(api.UsageError, match=said):
        run(net, tmp_path, workers=2)


def test_a_sweep_continues_where_it_was_interrupted(net, tmp_path):
    def interrupt(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(net, tmp_path / "parts", progress=interrupt)
    seen = []
    assert run(net, tmp_path / "parts", progress=lambda *each: seen.append(each)).evaluated == 4
    assert seen[0] == (5, 9) and seen[-1] == (9, 9)
    assert run(net, tmp_path / "parts").evaluated == 0
    run(net, tmp_path / "whole")
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_an_interrupt_keeps_what_is_done(net, tmp_path, twincell, monkeypatch):
    engine_run, calls = tasks.Engine.run, []

    def interrupted(self, task):
        calls.append(task)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return engine_run(self, task)

    arguments = ("sweep", net, "--ber", "1e-3", "--maps", 6, "--dataset", "digits", "--json")
    with monkeypatch.context() as patch:
        patch.setattr(tasks.Engine, "run", interrupted)
        assert twincell(*arguments, "--out", tmp_path) == (130, "", "twincell: interrupted\n")
    code, out, err = twincell(*arguments, "--out", tmp_path)
    report = json.loads(out)
    assert code == 0 and err == "" and report["evaluated_maps"] == 4
    assert [point["maps"] for point in report["points"]] == [1, 6]


def test_more_maps_continue_a_sweep(net, tmp_path):
    run(net, tmp_path / "parts", maps=2)
    assert run(net, tmp_path / "parts", maps=5).evaluated == 6
    run(net, tmp_path / "whole", maps=5)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    run(net, tmp_path / "fewer", maps=2)
    run(net, tmp_path / "parts", maps=2)
    assert contents(tmp_path / "parts") == contents(tmp_path / "fewer")


def test_devices(net, tmp_path):
    found = run(net, tmp_path / "names", ber=(), device=("rram-strong", "rram-weak"))
    cell = preset("rram-weak").cell
    assert found.points[2].point.ber == cell.error_rate()
    graph = api.load(net)
    seed = tasks.map_seed(0, 2, 3)
    flips = ErrorMap.draw(graph, seed, persistent=cell.transitions()).flips(graph)
    with Ledger(tmp_path / "names", *_identity(tmp_path / "names")) as ledger:
        assert ledger.outcomes[2, 3].flips == sum(flips.values())
    knob = ("cycles", (1e3, 1e9))
    found = run(net, tmp_path / "knob", ber=(), device=("rram-weak",), knob=knob)
    assert [each.point.knob for each in found.points] == [None, 1e3, 1e9]
    fresh, worn = found.points[1:]
    assert fresh.point.ber == cell.error_rate() < worn.point.ber
    assert "cycles" in (tmp_path / "knob" / "sweep.svg").read_text()
    path = "resistance.cycles", (1e9,)  # as `twincell devices show` prints it
    assert points(device=("rram-weak",), knob=path)[1].ber == worn.point.ber


def test_knobs_of_parts_that_have_the_same_name(tmp_path):
    """Two states have a spread each: which one is meant must be said."""
    states = {"lrs": Lognormal.of(6e3, 0.12), "hrs": Lognormal.of(80e3, 0.5)}
    cell = Differential(Resistance(**states), offset=0.05)
    codec.save(cell, tmp_path / "mine.json")
    mine = (str(tmp_path / "mine.json"),)
    for name in states:
        found = points(device=mine, knob=(f"resistance.{name}.sigma", (0.3, 0.9)))
        sigmas = [getattr(each.cell.resistance, name).sigma for each in found[1:]]
        assert sigmas == [0.3, 0.9]
    with pytest.raises(UsageError, match=r"knob 'sigma', but .*resistance\.lrs\.sigma, .*offset"):
        points(device=mine, knob=("sigma", (0.3,)))


def test_a_cell_that_reading_destroys_is_refused(tmp_path):
    cell = preset("stt-mram").cell
    current = 0.98 * cell.write.junction.critical_current
    codec.save(replace(cell, read_current=current, read_time=1e-7), tmp_path / "hot.json")
    message = "A read of this cell errs at a rate of 1, more than 0.5: lower its noise"
    with pytest.raises(api.UsageError, match=f"^{message}"):
        points(device=(str(tmp_path / "hot.json"),))


def _identity(folder):
    database = sqlite3.connect(folder / FILE)
    (text,) = database.execute("SELECT identity FROM sweep").fetchone()
    database.close()
    return json.loads(text), json.loads(text)["images"]


def test_the_files_say_the_same(net, tmp_path):
    run(net, tmp_path, transient=(0.0, 1e-3))
    report = json.loads((tmp_path / "sweep.json").read_text())
    with (tmp_path / "sweep.csv").open() as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert rows == report["points"] and len(rows) == 5
    text = (tmp_path / "sweep.svg").read_text()
    ElementTree.fromstring(text)
    assert "rate of persistent errors" in text and "<dc:date>" not in text


def test_a_rate_of_zero_is_no_place_on_a_logarithmic_axis(net, tmp_path):
    run(net, tmp_path, ber=(0.0, 1e-2), transient=(0.0, 1e-3))
    assert (
        "only rate of read errors 0.001" in (tmp_path / "sweep.svg").read_text()
    )  # and no warning


# --- the ledger -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"ber": (1e-3, 0.06)}, "points"),
        ({"images": 100}, "data and images"),
    ],
)
def test_the_ledger_of_another_sweep_is_refused(net, tmp_path, change, named):
    run(net, tmp_path)
    with pytest.raises(api.UsageError, match=f"is of another sweep: its {named} differ. Choose"):
        run(net, tmp_path, **change)
    assert run(net, tmp_path).evaluated == 0
    assert run(net, tmp_path, **change, fresh=True).evaluated == 9
    assert run(net, tmp_path, **change).evaluated == 0


def test_the_order_of_reads_matters_for_read_errors_alone(net, tmp_path):
    run(net, tmp_path / "still")
    assert run(net, tmp_path / "still", budget=Budget(lanes=20)).evaluated == 0
    run(net, tmp_path / "reads", transient=(1e-3,))
    with pytest.raises(api.UsageError, match="its order of reads differ"):
        run(net, tmp_path / "reads", transient=(1e-3,), budget=Budget(lanes=20))


def test_a_file_that_is_no_ledger(net, tmp_path):
    (tmp_path / FILE).write_bytes(b"no ledger" * 1000)
    with pytest.raises(api.UsageError, match=r"is not a whole ledger: .* Start over with --fresh"):
        run(net, tmp_path)
    assert run(net, tmp_path, fresh=True).evaluated == 9


class Failing(sqlite3.Connection):
    """A disk that takes a number of statements of a kind."""

    kind, left = "", 0

    def execute(self, statement, *values):
        if statement.startswith(self.kind):
            if not Failing.left:
                raise sqlite3.OperationalError("disk I/O error")
            Failing.left -= 1
        return super().execute(statement, *values)


@pytest.fixture
def failing(monkeypatch):
    def fail(kind, left):
        Failing.kind, Failing.left = kind, left
        monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Failing))

    return fail


def test_a_new_beginning_forgets_all_or_nothing(net, tmp_path, failing, monkeypatch):
    """Outcomes without their identity could be taken for those of another sweep."""
    run(net, tmp_path)
    with monkeypatch.context():
        failing("DROP", 1)
        with pytest.raises(OSError, match=r"sweep\.sqlite: disk I/O error$"):
            run(net, tmp_path, seed=3, fresh=True)
    failing("none", 0)
    with pytest.raises(api.UsageError, match=r"is of another sweep: its seed differ"):
        run(net, tmp_path, seed=3)
    assert run(net, tmp_path).evaluated == 0


def test_a_full_disk_keeps_what_is_done(net, tmp_path, failing, twincell):
    failing("INSERT OR REPLACE", 5)
    with pytest.raises(
        WriteError, match=r"sqlite cannot be written: disk I/O error\. What is done"
    ):
        run(net, tmp_path)
    failing("none", 0)
    assert run(net, tmp_path).evaluated == 4


def test_a_task_that_fails_here_is_told_as_one_that_fails_elsewhere(net, tmp_path, monkeypatch):
    def fails(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(tasks.Engine, "run", fails)
    said = r"^Point 0, map 0, failed: MemoryError\('no room'\); take fewer images"
    with pytest.raises(UsageError, match=said):
        run(net, tmp_path)


def test_a_damaged_row(net, tmp_path):
    run(net, tmp_path)
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("UPDATE outcome SET right = right + 1 WHERE point = 1 AND map = 2")
    database.close()
    with pytest.raises(api.UsageError, match="not a whole ledger: point 1, map 2 is damaged"):
        run(net, tmp_path)


def test_two_sweeps_in_one_directory(net, tmp_path):
    def second(done: int, total: int) -> None:
        if done == 3:
            with pytest.raises(api.UsageError, match="Another sweep is writing to"):
                run(net, tmp_path)
            with pytest.raises(api.UsageError, match="Another sweep is writing to"):
                run(net, tmp_path, fresh=True)

    assert run(net, tmp_path, progress=second).evaluated == 9


# --- refusals -------------------------------------------------------------------------------------

BAD = [
    ((), "A sweep needs rates or devices: give --ber, --transient or --device"),
    (("--ber", ""), "A sweep needs rates or devices"),
    (("--ber", "1e-3,,1"), "--ber takes numbers between commas, not '1e-3,,1'"),
    (("--ber", "many"), "--ber takes numbers between commas, not 'many'"),
    (("--ber", "0.6"), "--ber is 0 to 0.5, not 0.6"),
    (("--ber", "nan"), "--ber is 0 to 0.5, not nan"),
    (("--ber=-0.1",), "--ber is 0 to 0.5, not -0.1"),
    (("--ber", "0.1,0.1"), "--ber has 0.1 twice"),
    (("--transient", "1e-9"), "--transient is 0 or 5.96046e-08 to 0.5, not 1e-09"),
    (("--ber", "0.1", "--device", "rram-weak"), "leave out --ber and --transient"),
    (("--device", "cats"), "'cats' is not a device: rram-strong"),
    (("--device", "rram-near-threshold"), "has 3 states, but node 1 of random has binary weights"),
    (("--ber", "0.1", "--knob", "cycles=1"), "A knob belongs to one device"),
    (("--device", "rram-weak", "--knob", "cycles"), "--knob takes NAME=VALUE,VALUE, not 'cycles'"),
    (("--device", "rram-weak", "--knob", "cats=1"), "rram-weak has no knob 'cats', but"),
    (("--device", "rram-weak", "--knob", "cycles="), "--knob cycles has no values"),
    (("--device", "rram-weak", "--knob", "cycles=-1"), "cycles is -1"),
    (("--ber", "0.1", "--maps", 0), "--maps must be 1 to 1048576, not 0"),
    (("--ber", "0.1", "--workers", 0), "--workers must be 1 to 1024, not 0"),
    (("--ber", "0.1", "--seed", -1), "--seed must be 0 to 18446744073709551615, not -1"),
    (("--ber", "0.1", "--images", 0), "test images is 1 to 360 of digits, not 0"),
    (("--ber", "0.1", "--images", 361), "test images is 1 to 360 of digits, not 361"),
    (("--ber", "0.1", "--dataset", "cats"), "'cats' is not a data set"),
    (("--ber", "0.1", "--dataset", "random"), "A sweep needs labelled images"),
    (("--transient", "0.1", "--lanes", 0), "Lanes must be a positive integer, not 0"),
    (
        ("--ber", "0.1", "--out", "/proc/no"),
        "/proc/no cannot be written: No such file or directory",
    ),
    (("--ber", "0.1", "--dask", "tcp://127.0.0.1:1", "--workers", 2), "leave out --workers"),
    (("--ber", "0.1", "--dask", "nowhere"), "No Dask scheduler at 'nowhere'"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=lambda value: str(value)[:40])
def test_bad_requests(twincell, net, tmp_path, arguments, message):
    given = ["sweep", net, "--out", tmp_path / "out", "--dataset", "digits", *arguments]
    code, out, err = twincell(*given)
    assert (code, out) == (2, ""), err
    assert message in err and "Traceback" not in err and err.count("twincell:") == 1
    assert err.startswith("twincell: ")


def test_an_unwritable_directory(twincell, net, tmp_path):
    (tmp_path / "file").write_text("")
    given = ("sweep", net, "--ber", "0.1", "--dataset", "digits", "--out", tmp_path / "file")
    code, _, err = twincell(*given)
    where = tmp_path / "file"
    assert code == 2 and err.startswith(f"twincell: {where} cannot be written: Not a directory.")


def test_dask_that_is_not_installed(twincell, net, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    given = ("sweep", net, "--ber", "0.1", "--dataset", "digits", "--out", tmp_path)
    code, _, err = twincell(*given, "--dask", "tcp://127.0.0.1:1")
    assert code == 3 and "pip install 'twincell[dask]'" in err


def test_points_start_with_that_without_errors():
    assert [each.ber for each in points((0.1, 0.0, 0.01))] == [0.0, 0.1, 0.01]
    grid = points((0.0, 0.1), (0.0, 0.2))
    pairs = [(each.ber, each.transient) for each in grid]
    assert pairs == [(0, 0), (0, 0.2), (0.1, 0), (0.1, 0.2)]


@pytest.mark.slow
def test_a_dask_cluster_of_processes(net, tmp_path):
    distributed = pytest.importorskip("distributed")
    run(net, tmp_path / "here")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options, processes=True) as cluster:
        run(net, tmp_path / "dask", workers=None, dask=cluster.scheduler_address)
    assert contents(tmp_path / "here") == contents(tmp_path / "dask")
