# SPDX-License-Identifier: BSD-2-Clause
"""``twincell board run`` and ``sweep``: on simulated boards, and what they refuse."""

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.support.graphs import lenet, mlp
from tests.support.link import full_port
from twincell import board_link, board_measure
from twincell.board_measure import Way
from twincell.cli import app
from twincell.fpga.host.board import Standstill
from twincell.fpga.host.experiment import Measured
from twincell.hw.plan import Budget
from twincell.model import store
from twincell.model.planes import FixedPoint, Stochastic
from twincell.sweeps.ledger import FILE
from twincell.sweeps.sweep import sweep

RATES = [(None, None), (0.02, None), (None, 0.01), (0.05, 0.05)]


def call(*words):
    done = CliRunner().invoke(app, ["board", *map(str, words)])
    return done.exit_code, done.stdout, done.stderr


def port(device, product="iCEBreaker V1.0e", serial="a", vendor=0x0403, pid=0x6010):
    return SimpleNamespace(
        device=device,
        vid=vendor,
        pid=pid,
        serial_number=serial,
        product=product,
        manufacturer="1BitSquared",
        location=None,
    )


@pytest.fixture(autouse=True, scope="module")
def sized_once():
    """A network is sized for a board once, as that takes a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(board_link.placed, "size", cache(board_link.placed.size))
        patch.setattr(board_link, "load", cache(board_link.load))
        yield


@pytest.fixture
def ports(monkeypatch):
    """The serial ports of this machine, as the test wants them."""
    found = []
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: found)
    return found


def test_what_a_run_would_do(ports):
    # A bridge with two ports programs by the first; another device is of no interest.
    ports += [
        port("/dev/ttyUSB0"),
        port("/dev/ttyUSB10"),
        port("/dev/ttyUSB9"),
        port("/dev/x", "?"),
    ]
    code, out, _ = call("run", "icebreaker", "--images", 100, "--seed", 3, "--dry-run", "--json")
    report = json.loads(out)
    assert code == 0 and report["port"] == "/dev/ttyUSB10"
    assert (report["network"], report["images"], report["seed"]) == ("digits-small", 100, 3)
    assert report["image_bytes"] == 100 * 64 and report["baud"] == 1e6
    code, out, _ = call("run", "icebreaker", "--images", 1, "--simulate", "--dry-run")
    assert code == 0 and "simulated" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nosuch"], "There is no board 'nosuch'; there are icebreaker, "),
        (["icebreaker"], "No iCEBreaker, iCE40 UP5K is connected by USB"),
        (["icebreaker", "--port", "/dev/nosuch"], "The port /dev/nosuch cannot be opened at 1e+06"),
        (["icebreaker", "--port", "x", "--simulate"], "A simulated board has no port; leave out"),
        (["colorlight-5a75b"], "The Colorlight 5A-75B V7.0, ECP5 25F has no USB bridge: name the"),
        (["icebreaker", "--port", "x", "--simulate", "--dry-run"], "A simulated board has no port"),
        (["icebreaker", "--wear", "--simulate"], "icebreaker does not count programmings; leave "),
        (["icebreaker", "--ber", "0.7"], "--ber is 0 to 0.5, not 0.7"),
        (["icebreaker", "--net", "nosuch"], "'nosuch' is neither a network file nor in the zoo: "),
    ],
)
def test_what_is_refused(ports, words, message):
    code, out, err = call("run", *words, "--images", 5)
    assert code == 2 and not out
    assert err.startswith(f"twincell: {message}")


@pytest.mark.parametrize(
    ("module", "package", "words"),
    [
        ("amaranth_boards", "amaranth-boards", ["build", "icebreaker", "--dry-run"]),
        ("cobs", "cobs", ["build", "icebreaker", "--dry-run"]),
        ("serial", "pyserial", ["run", "icebreaker", "--images", "1", "--dry-run"]),
    ],
)
def test_a_package_of_the_extra_that_is_not_there(module, package, words):
    block = f"import sys; sys.modules[{module!r}] = None; sys.argv[1:] = {['board', *words]}"
    done = subprocess.run(
        [sys.executable, "-c", f"{block}; from twincell.cli import main; main()"],
        capture_output=True,
        text=True,
    )
    remedy = f"{sys.executable} -m pip install 'twincell[fpga]'"
    wanted = f"twincell: {package} is missing; install it with: {remedy}\n"
    assert (done.returncode, done.stderr) == (3, wanted)


def test_a_port_that_takes_nothing(ports, monkeypatch):
    monkeypatch.setattr("twincell.fpga.host.transport.WRITE_TIMEOUT", 0.05)
    with full_port() as path:
        code, out, err = call("run", "icebreaker", "--images", 5, "--port", path)
    assert code == 2 and not out
    message = f"The port {path} takes no more bytes; does the board's USB bridge hang?"
    assert err == f"twincell: {message}\n"


def test_it_never_guesses_between_two_boards(ports):
    ports += [port("/dev/ttyUSB0", serial="one"), port("/dev/ttyUSB1", serial="two")]
    code, _, err = call("run", "icebreaker", "--images", 5, "--dry-run")
    assert code == 2
    assert "2 boards can be the icebreaker: one (/dev/ttyUSB0), two (/dev/ttyUSB1)" in err
    words = ["run", "icebreaker", "--images", 5, "--dry-run", "--json"]
    code, out, _ = call(*words, "--serial", "two")
    assert code == 0 and json.loads(out)["port"] == "/dev/ttyUSB1"
    code, _, err = call(*words, "--serial", "three")
    assert code == 2 and err == (
        "twincell: No iCEBreaker, iCE40 UP5K with serial number three is connected by USB; there "
        "are one (/dev/ttyUSB0), two (/dev/ttyUSB1); name its --port, or measure without a board "
        "by --simulate\n"
    )


def test_what_a_sweep_would_take(tmp_path):
    words = ["sweep", "icebreaker", "--transient", "0,1e-3,1e-2", "--maps", 10, "--out", tmp_path]
    code, out, _ = call(*words, "--images", 3000, "--dry-run", "--json")
    report = json.loads(out)
    assert code == 0 and not list(tmp_path.iterdir())
    assert (report["error_maps"], report["image_slots"]) == (21, 2048)
    # Two parts, so the read errors are sent twice; the images, once for up to 128 maps.
    words_of_errors = 324 * 4 * 2
    assert report["bytes_to_board"] == 3000 * 64 + 21 * 2 * words_of_errors
    assert report["bytes_from_board"] == 21 * 3000 * 24
    # Results are read while the next images are computed, which takes longer here.
    reading, computing = report["seconds_reading"], report["seconds_computing"]
    assert reading == pytest.approx(21 * 3000 * 24 * 10 / 1e6 / 0.75)
    assert computing == pytest.approx(21 * 3000 * 5120 / 12e6) and computing > reading
    assert report["projected_seconds"] == report["seconds_writing"] + computing
    code, out, _ = call(
        "sweep", "colorlight-5a75b", *words[2:], "--images", 360, "--dry-run", "--json"
    )
    report = json.loads(out)
    assert report["seconds_computing"] < report["seconds_reading"]
    assert report["projected_seconds"] == report["seconds_writing"] + report["seconds_reading"]
    for option in ("--images", "--lanes", "--maps"):
        assert call(*words, "--dry-run", option, "0")[0] == 2
    code, _, err = call("run", "icebreaker", "--images", 361, "--simulate", "--dry-run")
    assert code == 2 and "is 1 to 360 of digits, not 361" in err
    code, _, err = call(*words, "--dry-run")
    assert code == 2 and err == "twincell: Say how many images to project for: --images N\n"


def test_how_often_images_are_shown(tmp_path):
    """What is not simulated of it: that the number reaches the plan, and what is refused."""
    path = tmp_path / "shown.safetensors"
    planes = Stochastic(4, (1, 3), seed=2)
    store.save(mlp(np.random.default_rng(1), [64, 24, 10], planes), path)
    words = ["icebreaker", "--net", path, "--images", 5, "--dry-run", "--json"]
    for asked, wanted in (((), 1), (("--presentations", 3), 3)):
        code, out, _ = call("run", *words, "--simulate", *asked)
        assert code == 0 and json.loads(out)["presentations"] == wanted
    sweeps = ["sweep", *words, "--ber", "0.01", "--out", tmp_path, "--presentations"]
    code, out, _ = call(*sweeps, 3)
    third = json.loads(out)["seconds_computing"]
    code, out, _ = call(*sweeps, 1)
    assert third > 2 * json.loads(out)["seconds_computing"]
    code, _, err = call(*sweeps, 2)
    assert code == 2 and err.endswith("supports 1, 3 presentations, not 2\n")
    code, _, err = call("run", "icebreaker", "--images", 5, "--presentations", 1, "--dry-run")
    assert code == 2 and "digits-small has no stochastic input" in err


def test_a_sweep_of_something_else_is_not_continued(tmp_path):
    """What software or a simulation has found is not what a board has shown."""
    words = ["sweep", "icebreaker", "--ber", "0.01", "--maps", 1, "--images", 5, "--out", tmp_path]
    sweep("digits-small", tmp_path, ber=(0.01,), maps=1, images=5)
    for way in (["--port", "/dev/nosuch"], ["--simulate"]):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(board_measure.board_link, "measuring", lambda *_: nullcontext())
            code, out, err = call(*words, *way)
        assert code == 2 and not out and "another sweep: its instrument differ" in err


def test_a_directory_without_a_build(tmp_path, monkeypatch):
    code, _, err = call("run", tmp_path, "--images", 2, "--simulate")
    remedy = f"`twincell board build BOARD --out {tmp_path}` makes a build there"
    reason = f"{tmp_path / 'board.json'} cannot be read: No such file or directory"
    assert (code, err) == (2, f"twincell: {reason}. {remedy}\n")
    # The name of a board is one, whatever else there is of this name.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "icebreaker").mkdir()
    assert board_link.machine("icebreaker").lanes == 9


def test_a_directory_is_a_whole_build(tmp_path):
    machine = board_link.machine("icebreaker")
    machine.about.write(tmp_path / "board.json")
    network = tmp_path / "digits-small.safetensors"
    store.save(machine.graph, network)
    found = board_link.machine(str(tmp_path))
    assert (found.lanes, found.net) == (machine.lanes, "digits-small") and found.lanes == 9
    with pytest.raises(
        board_link.UsageError, match=r"with 9 lanes; give neither --net nor --lanes"
    ):
        board_link.machine(str(tmp_path), lanes=9)
    other = mlp(np.random.default_rng(1), [64, 24, 10], Stochastic(4, (1, 3), seed=2))
    store.save(other, network)
    with pytest.raises(
        board_link.UsageError, match=r"is not the network of .*board\.json; build it"
    ):
        board_link.machine(str(tmp_path))


@pytest.mark.slow
def test_wear_of_a_board():
    words = ["colorlight-5a75b", "--images", 3, "--ber", 0.01, "--wear", "--simulate", "--json"]
    code, out, _ = call("run", *words)
    worn = {"least": 1, "mean": 1.0, "most": 1}
    wanted = {"layer1": {"word_lines": 256, **worn}, "head": {"word_lines": 1280, **worn}}
    assert code == 0 and json.loads(out)["programmings"] == wanted


@pytest.mark.slow
def test_a_simulated_board_at_four_rates_over_a_pseudo_terminal():
    """360 digits, persistent and read errors: no mismatch, and every counter as predicted."""
    start = "from twincell.cli import main; main()"
    served = subprocess.Popen(
        [sys.executable, "-c", start, "board", "twin", "icebreaker", "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        said = json.loads("".join(iter(served.stdout.readline, "}\n")) + "}")
        for seed, (ber, transient) in enumerate(RATES):
            options = [("--ber", ber), ("--transient", transient), ("--seed", seed)]
            words = [word for option in options if option[1] is not None for word in option]
            words += ["--images", 360, "--port", said["port"], "--json"]
            code, out, err = call("run", "icebreaker", *words)
            report = json.loads(out)
            assert code == 0, err
            assert (report["mismatches"], report["images"]) == (0, 360)
            assert report["flips"] == report["expected_flips"]
            assert report["reads"] == report["expected_reads"]
            assert (report["flips"] > 0) == (transient is not None)
            assert (report["wrong_synapses"] > 0) == (ber is not None)
    finally:
        served.send_signal(signal.SIGINT)
        served.stdout.close()
        assert served.wait(60) == 130


@pytest.mark.slow
def test_a_sweep_on_a_board_is_the_sweep_in_software(tmp_path):
    """Interrupted and continued, the files are equal to the byte."""
    options = {"ber": (0.02,), "transient": (0.01, 0.05), "maps": 2, "images": 60, "seed": 4}
    machine = board_link.machine("icebreaker")
    way = Way(simulate=True)
    left = iter(range(3))

    def interrupted(done, total):
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        board_measure.measured_sweep(machine, way, tmp_path / "a", progress=interrupted, **options)
    found, _ = board_measure.measured_sweep(machine, way, tmp_path / "a", **options)
    assert 0 < found.evaluated < 5
    budget = Budget(lanes=machine.board.lanes, clock=machine.board.clock)
    sweep(machine.net, tmp_path / "b", budget=budget, **options)
    for name in ("sweep.json", "sweep.csv", "sweep.svg"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_difference_is_an_exit_code(monkeypatch):
    """A board that flips a bit too many."""
    measured = Measured([], [], 0, 7, 9, 1, 6, 9, ("flips of head 7 of 6",))
    assert not measured.exact and replace(measured, miscounted=()).exact
    assert not replace(measured, miscounted=(), mismatches=1).exact
    text = board_measure.difference(measured)
    assert text == "0 of 0 images differ; not as predicted: flips of head 7 of 6"

    def wrong(*_, **__):
        return {"mismatches": 1}, False

    monkeypatch.setattr(board_measure, "run", wrong)
    assert call("run", "icebreaker", "--images", 5, "--simulate", "--json")[0] == 1


class Bench:
    """Measures as the reference does, but for the third map."""

    presentations, recovered = None, 0

    def __init__(self, machine):
        self.board, self.measured = SimpleNamespace(about=machine.about), 0

    def measure(self, images, maps):
        for _ in maps:
            self.measured += 1
            wrong = int(self.measured == 3)
            blank = np.zeros((len(images), 10), int), np.zeros(len(images), int)
            yield Measured(*blank, wrong, 0, 0, 0, 0, 0, ("reads of head 3 of 4",) * wrong)


def test_a_sweep_ends_at_the_first_map_that_differs(monkeypatch, tmp_path):
    """With exit code 1; what was exact before is kept, and the map is not."""

    def measuring(machine, *_):
        return nullcontext(Bench(machine))

    monkeypatch.setattr(board_link, "measuring", measuring)
    words = ("--ber", "0.01", "--maps", 4, "--images", 20, "--simulate", "--out", tmp_path)
    code, _, err = call("sweep", "icebreaker", *words)
    said = "Point 1, map 1: 1 of 20 images differ; not as predicted: reads of head 3 of 4"
    assert code == 1 and said in " ".join(err.split())
    rows = sqlite3.connect(tmp_path / FILE).execute("SELECT point, map FROM outcome").fetchall()
    assert rows == [(0, 0), (1, 0)]


def test_a_board_that_hangs_is_an_exit_code(monkeypatch):
    """As hardware is that hangs in simulation."""

    def hanging(*_, **__):
        with board_link.failures():
            raise Standstill("The run stands still after 3 images")

    monkeypatch.setattr(board_measure, "run", hanging)
    code, _, err = call("run", "icebreaker", "--images", 5, "--simulate")
    assert code == 1 and err == "twincell: The run stands still after 3 images\n"


def test_no_torch():
    """The host of a board imports no torch."""
    text = "import sys; import twincell.board_measure; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", text]).returncode == 0


@pytest.mark.slow
def test_convolutions_on_a_board(tmp_path):
    """Of one channel and of three: what the host writes and what it expects have another order."""
    path = tmp_path / "lenet.safetensors"
    store.save(lenet(np.random.default_rng(1), FixedPoint(4)), path)
    for net in ("digits-conv", path):
        words = ["ulx3s-85f", "--net", net, "--lanes", 60, "--images", 4, "--simulate", "--json"]
        code, out, _ = call("run", *words, "--ber", 0.02, "--transient", 0.001)
        found = json.loads(out)
        assert code == 0 and found["mismatches"] == 0
        assert found["flips"] == found["expected_flips"] > 0 and found["wrong_synapses"] > 0
