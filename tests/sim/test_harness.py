# SPDX-License-Identifier: BSD-2-Clause
"""cocotb on Icarus and on Verilator: the same scores and cycles as the native runner and the model,
every planted bug found, and a waveform of failures only."""

import json
import shlex
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support import builds
from tests.support.builds import build, needs_icarus
from twincell.sim import harness, native
from twincell.sim.bench_run import run_bench
from twincell.sim.results import SWEEP, BuildError, Hang, Pauses, SimulationError, TimedOut

SIMULATORS = [pytest.param("icarus", marks=needs_icarus), "verilator"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(tmp_path_factory.mktemp("harness") / "build")


@pytest.fixture
def simulate(built, tmp_path):
    """Runs the bench in a directory of the test's own."""

    def run(directory=built.directory, simulator="icarus", **options):
        return harness.run(
            directory,
            built.images,
            built.scores,
            simulator=simulator,
            **{"work": tmp_path / "work", "timeout": 300, **options},
        )

    return run


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("pauses", SWEEP, ids=str)
def test_every_score_under_pauses(built, simulate, tmp_path, simulator, pauses):
    result = simulate(simulator=simulator, pauses=pauses, seed=4)
    np.testing.assert_array_equal(result.scores, built.scores)
    np.testing.assert_array_equal(result.labels, built.scores.argmax(axis=1))
    assert (result.waves, result.replay) == (None, "")
    assert result.cycles > result.finished[-2] and result.seconds > 0
    assert not (tmp_path / "work").exists()  # nothing is left of a run that passed
    if pauses == Pauses():
        assert result.steady_cycles_per_image == built.tally.input_beats
        exact = native.run(built.directory, built.images)
        np.testing.assert_array_equal(result.finished, exact.finished)


@needs_icarus
def test_both_simulators_agree_in_every_cycle(simulate):
    found = [
        simulate(simulator=simulator, pauses=SWEEP[3], seed=8)
        for simulator in ("icarus", "verilator")
    ]
    np.testing.assert_array_equal(found[0].finished, found[1].finished)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_wrong_score_leaves_a_waveform_and_a_replay(built, simulate, tmp_path, simulator):
    broken = built.broken(tmp_path / "build", *builds.WRONG_SUM)
    result = simulate(broken, simulator, pauses=SWEEP[3], seed=2)
    wrong = result.mismatches(built.scores)
    np.testing.assert_array_equal(wrong, native.run(broken, built.images).mismatches(built.scores))
    assert wrong.any() and not wrong[0].any()
    assert result.waves is not None and result.waves.parent == tmp_path / "work"
    assert result.waves.stat().st_size > 500
    command = shlex.split(result.replay)
    replay = subprocess.run(command, capture_output=True, text=True)
    assert replay.returncode == 1
    first = int(np.flatnonzero(wrong.any(axis=1))[0])
    assert f"image {first}: scores {result.scores[first].tolist()}" in replay.stdout
    job = json.loads((tmp_path / "work" / "job.json").read_text())
    assert (job["seed"], job["pauses"]) == (2, [0.5, 0.5])


@needs_icarus
def test_a_wrong_label_is_seen(built, simulate, tmp_path):
    broken = built.broken(tmp_path / "build", *builds.WRONG_LABEL)
    result = simulate(broken, waves=False)
    np.testing.assert_array_equal(result.scores, built.scores)
    assert result.mismatches(built.scores).any()
    assert result.waves is None and result.replay
    assert not list(tmp_path.rglob("waves.*"))


@needs_icarus
def test_wrong_expectations_are_seen(built, tmp_path):
    """The bench itself compares: one score of one image is enough."""
    scores = built.scores.copy()
    scores[7, 3] += 1
    result = harness.run(built.directory, built.images, scores, work=tmp_path, waves=False)
    np.testing.assert_array_equal(np.argwhere(result.mismatches(scores)), [[7, 3]])
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert len(verdict["answers"]) == 1 and verdict["answers"][0].startswith("image 7: scores [")


@needs_icarus
@pytest.mark.parametrize(
    ("bug", "pauses", "message"),
    [
        ("DROPPED_O_READY", SWEEP[2], "o: the payload changed before the transfer, cycle"),
        ("DROPPED_I_VALID", SWEEP[1], "too many beats: "),
        ("FALLING_VALID", SWEEP[2], "o: valid fell before the transfer, cycle"),
        ("X_VALID", SWEEP[0], "o: valid is "),
    ],
)
def test_breaches_of_the_contract(built, simulate, tmp_path, bug, pauses, message):
    broken = built.broken(tmp_path / "build", *getattr(builds, bug))
    with pytest.raises(SimulationError) as caught:
        simulate(broken, pauses=pauses)
    text = str(caught.value)
    assert text.startswith(f"The hardware misbehaves: {message}")
    assert f"({pauses}, seed 0; waveform: {tmp_path / 'work' / 'waves.fst'}; replay: " in text
    assert caught.value.waves == tmp_path / "work" / "waves.fst"
    assert caught.value.waves.exists() and caught.value.replay in text


@needs_icarus
def test_unknown_bits_are_seen(built, simulate, tmp_path):
    """A score with an X is wrong, whatever the X might have been."""
    broken = built.broken(
        tmp_path / "build", r"assign _(\w+)_ = read__data\[0\] \?", r"assign _\1_ = 1'bx ?"
    )
    result = simulate(broken, waves=False)
    assert result.mismatches(built.scores)[1:].any()


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_hang_is_reported(built, simulate, tmp_path, simulator):
    broken = built.broken(tmp_path / "build", *builds.DEAF)
    with pytest.raises(Hang) as caught:
        simulate(broken, simulator, hang_after=300, waves=False)
    text = str(caught.value)
    moved = "nothing moved for 300 cycles; 0 of 120 beats in, 0 of 72 out"
    assert text.startswith(f"The hardware hangs: {moved} (source 0, sink 0, seed 0; replay: ")


@needs_icarus
def test_a_simulator_that_does_not_end_is_ended(built, simulate, tmp_path):
    broken = built.broken(tmp_path / "build", *builds.DEAF)
    with pytest.raises(TimedOut, match=r"^The simulator was ended after 3 s: give fewer images"):
        simulate(broken, hang_after=10**9, timeout=3)
    _wait(lambda: not _processes(tmp_path))  # it was killed, but may not have ended


@needs_icarus
def test_waves_on_demand(simulate, tmp_path):
    result = simulate(waves=True)
    assert result.waves == tmp_path / "work" / "waves.fst" and result.waves.exists()
    assert result.replay == ""


@needs_icarus
def test_what_does_not_compile(built, simulate, tmp_path):
    broken = built.broken(tmp_path / "build", "endmodule", "endmodul")
    with pytest.raises(BuildError, match=r"(?s)^icarus failed \(exit \d+\):\n.*syntax error"):
        simulate(broken)


def test_the_expected_scores_have_a_shape(built):
    expected = r"^Expected scores \(24, 5\), not \(23, 5\)$"
    with pytest.raises(ValueError, match=expected):
        harness.run(built.directory, built.images, built.scores[1:])


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_play_for_any_component(built, tmp_path, simulator):
    network = native.codec(built.directory)
    beats = network.encode(built.images[:8])
    played = harness.play(
        built.directory, beats, 24, simulator=simulator, pauses=SWEEP[3], seed=1, work=tmp_path
    )
    np.testing.assert_array_equal(network.decode(played.beats)[0], built.scores[:8])
    assert (np.diff(played.stamps) > 0).all() and played.cycles == played.stamps[-1] + 1


@needs_icarus
def test_right_scores_of_what_nobody_asked_are_no_pass(simulate, monkeypatch):
    """The scoreboard sees both sides: what entered may be wrong where what left is right."""
    told = "image 3 entered with pixels that nobody sent"
    run = harness._Job.run
    monkeypatch.setattr(harness._Job, "run", lambda *given: replace(run(*given), answers=[told]))
    with pytest.raises(SimulationError, match=rf"^The hardware misbehaves: {told} \(source 0, "):
        simulate()


@needs_icarus
def test_a_bench_that_does_not_compile_has_not_failed(built, tmp_path):
    broken = built.broken(tmp_path / "build", "endmodule", "endmodul")
    with pytest.raises(BuildError, match=r"^stream on icarus failed \(exit 2, seed 0\):"):
        run_bench(broken, "stream", {}, tmp_path / "work", simulator="icarus")


@needs_icarus
def test_the_simulator_ends_with_the_process_that_asked_for_it(built, simulate, tmp_path):
    """However that one ends: a terminal that is closed, or a kill that it never sees."""
    broken = built.broken(tmp_path / "build", *builds.DEAF)
    work = tmp_path / "work"
    with pytest.raises(TimedOut):
        simulate(broken, hang_after=10**9, timeout=3)
    imports = "from pathlib import Path; from twincell.sim import jobs"
    code = f"{imports}; jobs.execute(Path({str(work)!r}), 600)"
    asking = subprocess.Popen([sys.executable, "-c", code])
    try:
        _wait(lambda: any("vvp" in line for line in _processes(tmp_path)))
    finally:
        asking.kill()
        asking.wait()
    _wait(lambda: not _processes(tmp_path))


def _processes(folder) -> list[str]:
    """Command lines of the processes that work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append((process / "cmdline").read_text())
    return found


def _wait(until) -> None:
    end = time.monotonic() + 120
    while not until():
        assert time.monotonic() < end
        time.sleep(0.05)
