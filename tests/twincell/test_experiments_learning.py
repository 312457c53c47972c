# SPDX-License-Identifier: BSD-2-Clause
"""Experiments about learning: how their trainings are run, and the quick runs."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from twincell.experiments import (
    _registry,
    _report,
    importance,
    mnist_fashion,
    permuted_mnist,
    stream,
    weak_reset,
    weak_reset_cifar10,
)
from twincell.experiments._imperfections import (
    CYCLES,
    FULL_MODEL,
    GROUPS,
    IDEAL,
    LINEAR,
    NAMED,
    ONLY,
    WITHOUT,
    imperfections,
    like,
    studied,
    switched,
)
from twincell.experiments._learning import (
    CORRELATION,
    FRACTION,
    RESULT,
    Training,
    at_the_end,
    mean_interval,
    measured,
    paired,
    recipe,
    train_all,
)
from twincell.experiments._networks import spread
from twincell.experiments._pool import _uninterrupted
from twincell.experiments._report import Job
from twincell.model.learning import CHECKPOINT
from twincell.model.learning.devices.fitted import Fitted
from twincell.model.learning.devices.ideal import Ideal
from twincell.model.learning.devices.weak_reset import WeakReset
from twincell.model.learning.tasks import held_out, task
from twincell.networks import UsageError

MODULE = "tests.support.trainings"
EXAMPLE = Path(weak_reset.__file__).parents[2] / "docs" / "example-pulse-trains.csv"


def test_intervals_of_means_are_students():
    values = [0.90, 0.93, 0.91]
    low, high = mean_interval(values)
    quantile = stats.t.ppf(0.975, 2)
    assert high - low == pytest.approx(2 * quantile * np.std(values, ddof=1) / np.sqrt(3))
    assert (low + high) / 2 == pytest.approx(np.mean(values))
    assert mean_interval([0.5, 0.5]) == (0.5, 0.5)
    with pytest.raises(ValueError, match=r"^An interval over trainings needs at least two, not 1$"):
        mean_interval([0.5])  # no single training decides anything
    assert spread([0.905, 0.925]) == "91.50 (90.50 to 92.50)" and spread([0.905]) == "90.50"


def test_intervals_stay_where_numbers_can_be():
    """Fisher's of correlations, those of logits of fractions."""
    values = [0.3, 0.9, 0.95]
    found = measured(values, CORRELATION)
    logs = np.arctanh(values)
    assert found.interval == pytest.approx(tuple(np.tanh(mean_interval(logs))))
    assert found.mean == pytest.approx(np.tanh(logs.mean()))
    found = measured(values, FRACTION)
    logits = [np.log(each / (1 - each)) for each in values]
    ends = 1 / (1 + np.exp(-np.array([np.mean(logits), *mean_interval(logits)])))
    assert (found.mean, *found.interval) == pytest.approx(tuple(ends))
    assert mean_interval(values)[1] > 1 > found.interval[1]
    assert measured([0.5, 0.5], FRACTION).interval == pytest.approx((0.5, 0.5))


def test_numbers_at_a_limit_count_as_half_a_step_from_it():
    """They make no interval narrower than numbers near it do."""
    at, near = (measured([0.7, 0.9, last], CORRELATION, step=0.1) for last in (1.0, 0.95))
    assert (at.mean, *at.interval) == pytest.approx((near.mean, *near.interval))
    assert at.trainings == (0.7, 0.9, 1.0)
    assert measured([0.7, 0.9, 0.9999], CORRELATION, step=0.1).interval == at.interval
    wide = measured([0.7, 0.9, 0.9999], CORRELATION).interval
    assert wide[0] < at.interval[0] and wide[1] > at.interval[1]


def test_numbers_that_are_all_at_a_limit_are_known_to_a_step():
    found = measured([1.0, 1.0, 1.0], CORRELATION, step=0.1)
    assert found.interval == pytest.approx((0.9, 1.0)) and found.above(0.95) == "undecided"
    assert measured([0.0, 0.0], FRACTION, step=0.01).interval == pytest.approx((0.0, 0.01))


def test_claims_of_means_and_of_every_training():
    values = [0.56, 0.58, 0.49, 0.55, 0.57, 0.55]
    low, high = measured(values, FRACTION).interval
    assert 0.5 < low < high < 0.6
    assert measured(values, FRACTION, every=False).above(0.5) == "holds"
    assert measured(values, FRACTION).above(0.5) == "undecided"  # one training is below
    found = measured(values, FRACTION, every=False)
    assert found.between(0.5, 0.6) == "holds" and found.between(0.55, 0.6) == "undecided"
    assert found.between(0.6, 0.7) == found.between(0.4, 0.5) == "fails"


def test_differences_are_taken_training_by_training():
    found = paired([0.9, 0.8, 0.7], [0.8, 0.7, 0.6])
    assert found.mean == pytest.approx(0.1) and found.n == 3
    assert found.trainings == pytest.approx((0.1, 0.1, 0.1))
    assert found.above(0.0) == "holds" and found.below(0.05) == "fails"
    assert paired([0.9, 0.7], [0.8, 0.75]).above(0.0) == "undecided"


@pytest.mark.parametrize("quick", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_trainings_go_on_where_they_were_left(tmp_path, quick):
    """Here and in processes: those that are done are not done again, a failure is raised."""
    seen = []
    job = Job(quick, None, lambda done, total: seen.append((done, total)), tmp_path)
    root = tmp_path / ("quick" if quick else "trainings")
    root.mkdir()
    (root / "fail-b").touch()
    with pytest.raises(RuntimeError, match=r"^b fails$"):
        train_all(job, MODULE, ["a", "b"], 1, 3, "x")  # of two seeds any might be first
    (root / "fail-b").unlink()
    found = train_all(job, MODULE, ["a", "b"], 2, 3, "x")
    assert found == {case: [{"case": case, "seed": seed} for seed in (1, 2)] for case in ("a", "b")}
    assert seen[-1] == (12, 12)
    ran = {path.parent.name: path.read_text() for path in root.glob("*/ran")}
    assert set(ran) == {"a-1", "a-2", "b-1", "b-2"} and len(ran["b-1"]) == 2
    assert not quick or ran["a-1"] == "x"  # processes are ended by a failure
    left = root / "a-1" / CHECKPOINT  # by one that was killed behind its result
    left.touch()
    assert train_all(job, MODULE, ["a"], 1, 3, "x") == {"a": [{"case": "a", "seed": 1}]}
    assert (root / "a-1" / RESULT).is_file() and (root / "a-1" / "ran").read_text() == ran["a-1"]
    assert not left.exists()


_KILLED = """
import os, signal, time
from twincell.experiments._pool import _workers
if __name__ == "__main__":
    with _workers(2) as (ticks, pool):
        ticks.put(0)
        waiting = pool.submit(time.sleep, 100)
        pool.submit(os.getpid).result()
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_the_process_that_started_them(tmp_path):
    """All of them hold the standard output, so its end is theirs."""
    script = tmp_path / "killed.py"
    script.write_text(_KILLED)
    killed = subprocess.run([sys.executable, script], capture_output=True, timeout=30)
    assert killed.returncode == -signal.SIGKILL


_QUICK = """
import signal, sys
from types import SimpleNamespace

if __name__ == "__mp_main__":  # a worker: torch, of which it asks no more than this, is slow
    sys.modules["torch"] = SimpleNamespace(get_num_threads=int, set_num_threads=id)
else:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it in the background
"""
_ENDED = """
import multiprocessing, os, threading, time
from twincell.experiments._pool import finish

class Training:
    epochs, done = 2, False

    def __init__(self, seconds):
        self.seconds = seconds

    def run(self, progress):
        progress()
        time.sleep(self.seconds)
        raise ValueError

def attempt(seconds, before=lambda: None):
    try:
        before()
        finish([Training(seconds)] * 6, here=False, advance=lambda epochs: None)
    except BaseException as error:
        print(type(error).__name__, multiprocessing.active_children())

def interrupt_workers():
    for process in multiprocessing.active_children():
        os.kill(process.pid, signal.SIGINT)

if __name__ == "__main__":
    for _ in range(5):
        attempt(0)
    attempt(1, threading.Timer(0.2, interrupt_workers).start)  # this process ends them, not Ctrl-C
    for delay in (0, 0.03, 0.1, 0.2, 0.3, 0.5, 1):
        attempt(60, threading.Timer(delay, os.killpg, (0, signal.SIGINT)).start)
"""


def test_workers_end_in_silence_where_one_fails_or_all_are_interrupted(tmp_path):
    """Many times: whatever they were just doing, and at once."""
    script = tmp_path / "ended.py"
    script.write_text(_QUICK + _ENDED)
    ended = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=50, start_new_session=True
    )
    assert ended.stderr == ""
    assert ended.stdout == 6 * "ValueError []\n" + 7 * "KeyboardInterrupt []\n"


def test_an_interrupt_waits_where_it_must_whatever_threads_there_are():
    """A terminal's bar has a thread of its own, which may get the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    going = threading.Event()
    thread = threading.Thread(target=going.wait)
    thread.start()
    done = False
    with pytest.raises(KeyboardInterrupt), _uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        done = True
    going.set()
    assert done
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


_KILLED_WORKER = """
import os
from twincell.experiments._pool import finish
from twincell.networks import UsageError

class Training:
    epochs, done = 2, False

    def run(self, progress):
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    try:
        finish([Training()] * 3, here=False, advance=lambda epochs: None)
    except UsageError as error:
        print(error)
"""


def test_a_worker_that_the_system_ends_is_told(tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(_QUICK + _KILLED_WORKER)
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=50)
    assert ended.stdout.startswith("A training was ended from outside") and ended.stderr == ""


_COMMAND = """
import time
from dataclasses import dataclass
from pathlib import Path
from twincell.experiments._pool import finish
from twincell.model.data import DataError

@dataclass
class Training:
    marks: Path
    epochs = 4

    @property
    def done(self):
        return self.marks.is_file() and len(self.marks.read_text()) == self.epochs

    def run(self, progress):
        if (self.marks.parent / "missing").exists():
            raise DataError("no images")
        while not self.done:
            with self.marks.open("a") as marks:
                marks.write("x")
            progress()
            time.sleep(60 if (self.marks.parent / "slow").exists() else 0)

DATA = ()

def run(job):
    finish([Training(job.folder / name) for name in "abc"], here=False, advance=lambda epochs: None)
    return Report("Ended", [], 1, [])

if __name__ == "__main__":
    from twincell import cli
    from twincell.experiments import _registry
    from twincell.experiments._report import Report
    _registry.find = lambda name: sys.modules["__main__"]
    cli.main()
"""


def _size(path):
    return path.stat().st_size if path.exists() else 0


def test_a_run_that_fails_or_is_interrupted_says_so_in_a_line_and_goes_on(tmp_path):
    script, out = tmp_path / "command.py", tmp_path / "out"
    script.write_text(_QUICK + _COMMAND)
    out.mkdir()
    command = [sys.executable, script, "experiments", "run", "fake", "--json", "--out", out]

    def ended(interrupt_at=None):
        """Exit code, output and errors; Ctrl-C is pressed when a file has content."""
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )
        try:
            if interrupt_at:
                while process.poll() is None and not _size(interrupt_at):
                    time.sleep(0.05)
                os.killpg(process.pid, signal.SIGINT)
            output, errors = process.communicate(timeout=40)
        finally:
            process.kill()
        return process.returncode, output, errors

    (out / "missing").touch()
    assert ended() == (2, "", "twincell: no images\n")
    (out / "missing").rename(out / "slow")
    assert ended(interrupt_at=out / "a") == (130, "", "twincell: interrupted\n")
    assert (out / "a").read_text() == "x"
    (out / "slow").unlink()
    code, output, errors = ended()
    assert (code, errors) == (0, "") and json.loads(output)["title"] == "Ended"
    assert [(out / name).read_text() for name in "abc"] == 3 * ["xxxx"]


def test_what_was_trained_by_another_recipe_is_trained_anew(tmp_path):
    """Also results of earlier versions, which have no recipe."""
    job, ran = Job(quick=True, folder=tmp_path), tmp_path / "quick" / "a-1" / "ran"
    for made, times in (("x", 1), ("x", 1), ("y", 2), ("y", 2)):
        train_all(job, MODULE, ["a"], 1, 3, made)
        assert len(ran.read_text()) == times
    (ran.parent / RESULT).write_text('{"case": "a", "seed": 1}')
    assert train_all(job, MODULE, ["a"], 1, 3, "y") == {"a": [{"case": "a", "seed": 1}]}
    assert len(ran.read_text()) == 3


def test_a_recipe_is_all_that_a_training_depends_on():
    made = recipe(1, stream.QUICK, "label", "metas")
    assert made == (
        "version 1, data 'digits', hidden (96,), pieces 6, epochs 4, batch 20, rate 0.02"
    )
    assert recipe(2, stream.QUICK, "label", "metas") != made
    assert recipe(1, replace(stream.QUICK, rate=0.01), "label", "metas") != made
    assert recipe(1, replace(stream.QUICK, seeds=9, metas=()), "label", "metas") == made


def test_checkpoints_of_another_recipe_are_refused(tmp_path, monkeypatch):
    """The whole way: an experiment that was stopped, and goes on with another size."""
    monkeypatch.setattr(stream, "QUICK", replace(stream.QUICK, pieces=2, seeds=1, hidden=(8,)))

    def stop(done, total):
        if done == stream.QUICK.epochs + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream.run(Job(quick=True, folder=tmp_path, progress=stop))
    monkeypatch.setattr(stream, "QUICK", replace(stream.QUICK, rate=0.01))
    with pytest.raises(UsageError, match=r"learning\.pt is of another optimizer and identity\. "):
        stream.run(Job(quick=True, folder=tmp_path))


def test_without_a_folder_nothing_is_kept():
    assert train_all(Job(quick=True), MODULE, ["c"], 1, 3, "x") == {"c": [{"case": "c", "seed": 1}]}


def test_a_best_value_at_the_end_of_the_grid_is_said():
    assert at_the_end(4.0, (2.0, 4.0, 8.0), "rate") == ""
    assert at_the_end(8.0, (2.0, 4.0, 8.0), "rate").startswith(" The rate, 8, is the greatest ")
    assert at_the_end(2.0, (2.0, 4.0, 8.0), "rate").startswith(" The rate, 2, is the least ")


DEVICES = weak_reset.FULL.devices(WeakReset())


def test_devices_are_trained_at_the_rate_of_what_they_are_compared_with():
    found = {row: [{"accuracy": float(index)}] * 2 for index, row in enumerate(DEVICES)}
    place = {row: index for index, row in enumerate(DEVICES)}
    assert imperfections(WeakReset()) == NAMED
    for name in NAMED:
        without, only = f"{WITHOUT}-{name}", f"{ONLY}-{name}"
        assert weak_reset._gain(found, name).mean == place[without] - place[like(without)]
        assert weak_reset._cost(found, name).mean == place[like(only)] - place[only]
    assert like(FULL_MODEL) == FULL_MODEL
    assert like(LINEAR) == like(IDEAL) == IDEAL
    assert (FULL_MODEL, IDEAL, *(f"{WITHOUT}-{name}" for name in NAMED),
                       *(f"{ONLY}-{name}" for name in NAMED), LINEAR) == DEVICES  # fmt: skip
    without = tuple(f"{WITHOUT}-{name}" for name in GROUPS)
    assert weak_reset_cifar10.FULL.devices(WeakReset()) == (FULL_MODEL, IDEAL, *without)


def _runs(of, *values):
    """Trainings of two seeds which found these values, in thousandths."""
    return [of([value / 1000 + seed * 1e-4 for value in values]) for seed in (0, 1)]


def _said(findings):
    return [(round(1000 * each.ours, 1), each.verdict) for each in findings]


def test_the_published_claim_is_held_against_every_group():
    accuracies = dict.fromkeys(DEVICES, 900) | {IDEAL: 990, f"{WITHOUT}-device-to-device": 950}
    accuracies |= {f"{WITHOUT}-cycle-to-cycle": 960, f"{WITHOUT}-rounding": 850}
    found = {row: _runs(lambda each: {"accuracy": each[0]}, at) for row, at in accuracies.items()}
    said = weak_reset._findings(found, weak_reset.TED)
    assert _said(said[:4]) == [(-10, "fails"), (50, "holds"), (100, "holds"), (90, "")]
    others = [each.quantity.partition(" over removing ")[2] for each in said[:3]]
    assert others == list(GROUPS[1:])


def test_which_way_permuted_tasks_point():
    """The mean of the tasks, and the last of them."""
    at = {
        "m0": (500, 970), "m0.5": (600, 960), "m1": (700, 950), "m1.35": (750, 940),
        "m7.2": (740, 800), "elastic": (752, 900), "shuffled": (550, 900), "real0": (600, 970),
        "real1.35": (605, 970), "real7.2": (590, 970),
    }  # fmt: skip
    found = {
        f"{case}-1024": _runs(lambda row: {"matrix": [row]}, *[2 * mean - last, last])
        for case, (mean, last) in at.items()
    }
    said = permuted_mnist._findings(found, permuted_mnist.FULL, 1.35)
    assert _said(said) == [
        (250, "holds"), (170, "holds"), (5, "holds"), (-10, "holds"), (2, "holds"), (200, "holds"),
    ]  # fmt: skip
    assert "means over seeds fall with every m" in said[1].note
    found["m7.2-1024"] = found["m0-1024"]
    said = permuted_mnist._findings(found, permuted_mnist.FULL, 7.2)
    assert _said(said)[:2] == [(0, "fails"), (0, "fails")]
    assert "the best and the greatest that was tried" in said[0].quantity
    assert "means over seeds do not fall with every m" in said[1].note


def test_which_way_two_sets_and_streams_point():
    def matrix(row):
        return {"matrix": [[1.0], row], "export": {"images": 10_000}}

    order = mnist_fashion.ORDERS[0]
    kinds = {"plain": (150, 880), "meta": (800, 870), "m3.75": (980, 820)}
    found = {f"{order}-{kind}": _runs(matrix, *at) for kind, at in kinds.items()}
    said = _said(mnist_fashion._findings(order, found, mnist_fashion.FULL))
    assert [said[k] for k in (0, 1, 4, 5)] == [(650, "holds"), (10, ""), (830, "holds"), (60, "")]
    aims = [verdict for _, verdict in said[2:4] + said[6:8]]
    assert aims == ["fails", "holds", "holds", "fails"]

    cases = {"m0": 850, "m2.5": 870, stream.WHOLE: 875}
    found = {case: _runs(lambda at: {"accuracies": at}, at) for case, at in cases.items()}
    said = _said(stream._findings(found, stream.FULL))
    assert said == [(20, "holds"), (5, "holds"), (800, "")]


def test_each_imperfection_is_in_one_group():
    flags = [flag for name in GROUPS for flag in NAMED[name]]
    assert sorted(flags) == sorted(WeakReset.IMPERFECTIONS)
    assert switched(WeakReset(), FULL_MODEL) == WeakReset()
    only = switched(WeakReset(), f"{ONLY}-{CYCLES}")
    assert only == WeakReset().only("telegraph", "pink")
    assert isinstance(switched(WeakReset(), LINEAR), Ideal)


def test_any_device_is_studied_as_the_published_one_is(twincell, tmp_path):
    """Its own imperfections are switched, those that it has."""
    assert studied(None) == studied("weak-reset") == WeakReset()
    quiet = studied("weak-reset-mean")
    assert set(NAMED) - set(imperfections(quiet)) == {CYCLES, "telegraph", "pink"}
    path = EXAMPLE
    mine = studied(str(path))
    assert isinstance(mine, Fitted)
    names = ("pulse-limit", "rounding", "spread", "noise")
    assert tuple(imperfections(mine)) == names
    assert switched(mine, "without-noise") == mine.without("noise")
    rows = weak_reset_cifar10.FULL.devices(mine)
    assert rows == (FULL_MODEL, IDEAL, *(f"{WITHOUT}-{name}" for name in names))
    said = weak_reset._own(rows)
    assert said.startswith("The imperfections of the device are switched off one at a time: pulse-")
    assert "spread, noise; the ideal" in said and "linear" not in said and "alone" not in said
    assert "in a linear device" in weak_reset._own(weak_reset.FULL.devices(mine))
    broken = tmp_path / "trains.csv"
    broken.write_text("device,pulse\n")
    for given, said in (
        ("flash", "'flash' is no learning device: weak-reset, "),
        (str(broken), "trains.csv"),
    ):
        code, _, error = twincell("experiments", "run", "weak-reset", "--quick", "--device", given)
        assert code == 2 and said in error
    code, _, error = twincell("experiments", "run", "solar", "--quick", "--device", str(path))
    assert code == 2 and "solar gives no pulses: --device is of weak-reset and weak-" in error


@pytest.mark.parametrize("content", ['{"recipe": "cut of', "[]", "\0"])
def test_a_damaged_result_is_told(tmp_path, content):
    training = Training(weak_reset.__name__, "full@2", 1, True, None, tmp_path, 2, "recipe")
    training.result.write_text(content)
    with pytest.raises(
        UsageError, match=r"result\.json is no result of a training; remove it, and"
    ):
        _ = training.done


def test_a_device_that_has_changed_meanwhile_is_refused(tmp_path):
    """A training reads the file itself, maybe an hour after the recipe was written."""
    path = tmp_path / "trains.csv"
    path.write_bytes(EXAMPLE.read_bytes())
    begun = recipe(weak_reset.VERSION, weak_reset.QUICK) + f", {studied(str(path))}"
    path.write_text(path.read_text().replace("D01,0,7605", "D01,0,7606"))
    training = Training(weak_reset.__name__, "full@2", 1, True, None, tmp_path, 2, begun, str(path))
    with pytest.raises(UsageError, match=r"trains\.csv has changed since the run began; start it"):
        weak_reset.trained(training, lambda epoch: None)


@pytest.mark.slow
def test_a_study_of_ones_own_device(tmp_path, monkeypatch):
    path = EXAMPLE
    small = replace(weak_reset.QUICK, hidden=(12,), epochs=2, rates=(8.0,))
    monkeypatch.setattr(weak_reset, "QUICK", small)
    job = Job(quick=True, folder=tmp_path, device=str(path))
    report = weak_reset.run(job)
    assert report.title == "Training by pulses: digits"
    said = [finding.quantity for finding in report.findings]
    assert said[0] == "ideal device less full model"
    assert (
        "what removing noise gains" in said and "what spread alone costs the ideal device" in said
    )
    assert all(finding.source == str(studied(str(path))) for finding in report.findings)
    assert not any(finding.verdict for finding in report.findings)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob(f"quick/**/{RESULT}")}
    recipes = {json.loads(path.read_text())["recipe"] for path in written}
    assert len(recipes) == 1 and "Fitted(24 devices" in min(recipes)
    published = weak_reset.run(replace(job, device="weak-reset"))  # which it is in any case
    assert published.findings[0].verdict and published.findings[0].source == weak_reset.TED
    weak_reset.run(job)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob(f"quick/**/{RESULT}")}
    assert written.items() < kept.items()  # no device takes the place of another


def test_energy_and_wear_of_a_training(tmp_path):
    path = tmp_path / "cost.toml"
    path.write_text('source = "wafer 3"\nenergy = 2e-12\nendurance = 1e4\n')
    layers = [
        {"pulses": 900.0, "start": 100.0, "most": 50.0},
        {"pulses": 300.0, "start": 0.0, "most": 70.0},
    ]
    found = {row: [{"pulses": {"layers": layers}}] * 3 for row in DEVICES}
    table = weak_reset._wear(found, weak_reset._cost_of_pulses(Job(cost=path)))
    assert "wafer 3" in table.title
    for row in table.rows:
        assert row[1:] == (1100, pytest.approx(2.2e-9), 70, pytest.approx(0.7))
    path.write_text("energy = 2e-12")
    with pytest.raises(UsageError, match=r"cost\.toml: A pulse cost needs the source"):
        weak_reset.run(Job(quick=True, cost=path))
    assert "parametric" in weak_reset._cost_of_pulses(Job()).source


def test_costs_that_make_no_sense_are_refused(twincell, tmp_path):
    path = tmp_path / "cost.toml"
    path.write_text("energy = 2e-12")
    run = ("experiments", "run", "--quick", "--out", tmp_path / "out", "--cost")
    assert twincell(*run, path, "weak-reset")[::2] == (
        2, f"twincell: {path}: A pulse cost needs the source of its numbers\n",
    )  # fmt: skip
    code, _, error = twincell(*run, path, "stream")
    assert (
        code == 2
        and "stream gives no pulses: --cost is of weak-reset and weak-reset-cifar10" in error
    )
    assert twincell(*run, tmp_path / "none.toml", "weak-reset")[0] == 2
    assert not (tmp_path / "out").exists()


def test_images_are_held_out_of_the_training_set():
    from twincell.model.data import load

    whole = task(load("digits"))
    used, kept = held_out(whole, 200)
    assert len(used.train_images) + 200 == len(whole.train_images) == len(kept.train_images)
    assert (kept.test_images == whole.train_images[-200:]).all()
    assert used.test_images is whole.test_images
    with pytest.raises(ValueError, match=r"^digits: 1 to 1436 images can be held out, not 1437$"):
        held_out(whole, 1437)


def test_the_quadratic_task_of_the_importance_experiment():
    tasks = [importance._quadratic(500, seed) for seed in (1, 2)]
    assert all(each["correlation"] > 0.94 and abs(each["slope"] - 1) < 0.1 for each in tasks)


def _refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "importance",
        "mnist-fashion",
        "permuted-mnist",
        "stream",
        "stream-cifar10",
        "weak-reset",
        "weak-reset-cifar10",
    ],
)
def test_quick_runs(tmp_path, name):
    report = _registry.find(name).run(Job(quick=True, folder=tmp_path))
    _report.write(name, report, True, tmp_path)
    record = json.loads((tmp_path / "report.json").read_text(), parse_constant=_refuse)
    page = (tmp_path / "report.md").read_text()
    assert "quick run" in page and all(f["n"] for f in record["findings"])
    exports = [table for table in record["tables"] if table["title"].startswith("The networks as")]
    assert len(exports) == 1
    binary = {case for case in record["trainings"] if not case.startswith("real")}
    assert {row[0] for row in exports[0]["rows"]} == binary and binary, "not all are exported"
    for table in exports:
        assert {tuple(row[-2:]) for row in table["rows"]} == {(0, 0)}, "scores differ"
    assert record["confidence"] == 0.95 and "95 % confidence" in page
    assert f"--quick`, seeds {', '.join(map(str, record['seed']))}." in page
    for runs in record["trainings"].values():
        assert [run["seed"] for run in runs] == record["seed"] and len(runs[0]) > 1
    if name == "importance":
        assert record["quadratic"]["correlation"] > 0.9
        assert record["quadratic"]["slope"] == pytest.approx(1, abs=0.1)
    if name.startswith("weak-reset"):
        assert "parametric, no source is known" in page and "![pulses.svg]" in page
        assert re.search(
            r"The rate of (4|8) pulses a step for the full model, .* The best rate", page
        )
    if name == "mnist-fashion":
        assert record["findings"][0]["ours"] > 0.2  # forgotten without metaplasticity
