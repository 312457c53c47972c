# SPDX-License-Identifier: BSD-2-Clause
"""Devices of a user's own: from a CSV file to a description, and wherever a device can be named."""

import json
from pathlib import Path

import numpy as np
import pytest

from twincell.model.devices import codec, fit
from twincell.model.devices.presets import PRESETS

EXAMPLE = Path(__file__).parents[2] / "docs" / "example-resistances.csv"


@pytest.fixture
def fitted(twincell, tmp_path):
    """The file of a device, fitted on the command line."""
    path = tmp_path / "mine.json"
    knobs = ("--condition", "weak", "--knob", "offset=0.05")
    assert twincell("devices", "fit", EXAMPLE, "-o", path, *knobs)[0] == 0
    return path


def test_the_presets_are_listed(twincell):
    code, out, _ = twincell("devices", "list", "--json")
    found = {each["name"]: each for each in json.loads(out)["devices"]}
    assert code == 0 and found.keys() == PRESETS.keys()
    assert found["rram-weak"]["error_rate"] == PRESETS["rram-weak"].cell.error_rate()
    assert "rram-weak-noisy" in twincell("devices", "list")[1]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_shown_and_written_whole(twincell, tmp_path, name):
    path = tmp_path / "device.json"
    report = json.loads(twincell("devices", "show", name, "-o", path, "--json")[1])
    cell = PRESETS[name].cell
    assert codec.load(path) == codec.from_dict(report["device"]) == cell
    assert np.array_equal(report["transitions"], cell.transitions())
    assert report["states"] == list(cell.states) and report["source"] == PRESETS[name].source
    again = json.loads(twincell("devices", "show", path, "--json")[1])
    assert all(again[key] == report[key] for key in ("device", "knobs", "transitions"))


def test_what_is_shown_keeps_its_tags(twincell):
    shown = " ".join(twincell("devices", "show", "rram-near-threshold")[1].split())
    assert "[own]" in shown and "threshold.supply" in shown and "sensed +1" in shown


@pytest.mark.parametrize("cell", ["1T1R", "2T2R", "2T2R-ternary"])
def test_measured_resistances_become_a_device(twincell, tmp_path, cell):
    path = tmp_path / "out" / "mine.json"
    knobs = {"offset": 0.1} | ({"threshold": 3e4} if "ternary" in cell else {})
    words = [word for name, value in knobs.items() for word in ("--knob", f"{name}={value}")]
    arguments = ("devices", "fit", EXAMPLE, "-o", path, "--condition", "strong", "--cell", cell)
    report = json.loads(twincell(*arguments, *words, "--json")[1])
    wanted = fit.fit(fit.read(EXAMPLE).of_condition("strong"))
    assert codec.load(path) == wanted.cell(cell, **knobs)
    assert report["HRS"]["sigma_interval"] == list(wanted.hrs.sigma_interval)
    assert report["LRS"]["anderson_darling_p"] == wanted.lrs.ad[1]
    assert report["error_rate"] == codec.load(path).error_rate()
    assert "KS p" in twincell(*arguments, *words)[1]


def test_a_reference_may_be_a_word(twincell, tmp_path):
    path = tmp_path / "mine.json"
    knobs = ("--cell", "1T1R", "--condition", "weak", "--knob", "reference=optimal")
    assert twincell("devices", "fit", EXAMPLE, "-o", path, *knobs)[0] == 0
    assert codec.load(path).reference == "optimal"


def test_a_file_draws_what_its_device_draws(twincell, network, tmp_path):
    """A preset under its name and in a file: the same errors."""
    path = tmp_path / "noisy.json"
    twincell("devices", "show", "rram-weak-noisy", "-o", path)
    drawn = [
        json.loads(
            twincell("errors", network, "--device", device, "-o", tmp_path / "e", "--json")[1]
        )
        for device in ("rram-weak-noisy", path)
    ]
    assert drawn[0] == drawn[1] and max(drawn[0]["rates"].values()) > 0


def test_a_fitted_device_is_verified(twincell, network, fitted):
    arguments = ("--simulator", "native", "--images", 50, "--seed", 3, "--json")
    code, out, _ = twincell("verify", network, "--device", fitted, *arguments)
    report = json.loads(out)
    assert code == 0 and report["mismatches"] == 0
    assert report["errors"]["device"] == str(fitted) and report["errors"]["ber"] is None
    assert sum(report["errors"]["synapses"].values()) > 0


def test_a_fitted_device_is_swept(twincell, fitted, tmp_path):
    def sweep(out, *options):
        arguments = ("--maps", 3, "--images", 40, "--out", tmp_path / out, "--json")
        code, text, _ = twincell("sweep", "digits-mlp", "--workers", 1, *options, *arguments)
        assert code == 0
        return json.loads(text)["points"]

    _, mine, weak = sweep("both", "--device", f"{fitted},rram-weak")
    assert (mine["device"], weak["device"]) == (str(fitted), "rram-weak")
    assert mine["ber"] == codec.load(fitted).error_rate() and mine["flips_mean"] > 0
    _, low, high = sweep("knob", "--device", fitted, "--knob", "offset=0,2")
    assert (low["knob"], high["knob"]) == (0, 2) and low["ber"] < mine["ber"] < high["ber"]


CSV = "state,resistance_ohm\n"
GOOD = CSV + "".join(f"LRS,{5000 + k}\nHRS,{50_000 + k}\n" for k in range(20))
FITS = [
    ("", (), "column state is missing"),
    ("a,b\n1,2\n", (), "column state is missing"),
    (CSV, (), "has no rows"),
    (CSV + "LRS,5e3,7\n", (), "csv:2: not 2 values"),
    (CSV + "MRS,5e3\n", (), "csv:2: state is 'MRS', not LRS or HRS"),
    (CSV + "LRS,-5\n", (), "csv:2: resistance_ohm is '-5', not a number from 1 to 1e12"),
    (CSV + "LRS,nan\n", (), "csv:2: resistance_ohm is 'nan'"),
    (CSV + "LRS,5000\n" * 20, (), "LRS has 20 values of 1 sizes; a fit needs 8, not all equal"),
    (GOOD[: GOOD.index("HRS,")], (), "LRS has 1 values of 1 sizes"),
    (GOOD.replace("LRS", "X").replace("HRS", "LRS").replace("X", "HRS"), (), "there is no window"),
    (None, (), "several conditions: choose one of strong, weak"),
    (None, ("--condition", "best"), "no condition 'best', only strong, weak"),
    (GOOD, ("--cell", "ST-MRAM"), "A fitted cell is one of 1T1R, 2T2R, 2T2R-ternary, not"),
    (GOOD, ("--cell", "2T2R-ternary"), "give threshold=OHM as a knob"),
    (GOOD, ("--knob", "offset"), "--knob takes NAME=VALUE, not 'offset'"),
    (GOOD, ("--knob", "=1"), "--knob takes NAME=VALUE, not '=1'"),
    (GOOD, ("--knob", "speed=1"), "unknown speed; resistance, offset, noise exist"),
    (GOOD, ("--knob", "resistance=1"), "--knob resistance"),
    (GOOD, ("--knob", "type=1T1R"), "--knob type"),
    (GOOD, ("--knob", "offset=11"), "offset is 11 ln ohm, outside 0 to 10 ln ohm"),
    (GOOD, ("--knob", "offset=nan"), "offset is nan ln ohm, outside 0 to 10"),
    (GOOD, ("--knob", "offset=much"), "offset must be a number in ln ohm, not 'much'"),
    (GOOD, ("--cell", "1T1R", "--knob", "reference=mine"), "reference is ohm, equal-tail or"),
    (GOOD, ("--confidence", 1), "The confidence is above 0 and below 1, not 1"),
    (GOOD, ("--confidence", "nan"), "The confidence is above 0 and below 1, not nan"),
    (GOOD, ("--seed", -1), "Invalid value for '--seed'"),
]


@pytest.mark.parametrize("case", range(len(FITS)))
def test_measurements_that_make_no_device(twincell, tmp_path, case):
    text, options, message = FITS[case]
    measured, out = tmp_path / "measured.csv", tmp_path / "mine.json"
    measured.write_text(EXAMPLE.read_text() if text is None else text)
    code, said, err = twincell("devices", "fit", measured, "-o", out, *options)
    assert (code, said) == (2, "") and "Traceback" not in err
    assert message in " ".join(err.split())
    assert not out.exists()


WEAK = codec.to_dict(PRESETS["rram-weak"].cell)
FILES = [
    (b"", "is not JSON"),
    (b"\xff\xfe{", "is not JSON"),
    (b"[1, 2]", "device: expected a dictionary with a type, not [1, 2]"),
    (b'{"type": "flash"}', "device.type is one of 1T1R"),
    (json.dumps(WEAK | {"offset": -1}).encode(), "offset is -1 ln ohm, outside 0 to 10"),
    (json.dumps(WEAK | {"offset": 10**400}).encode(), "offset is inf ln ohm, outside 0 to 10"),
    (json.dumps(WEAK | {"offset": float("nan")}).encode(), "offset is nan ln ohm"),
    (b'{"type": "2T2R", "resistance": ' * 800 + b"1" + b"}" * 800, "nested too deeply"),
    (b" " * 70_000, "is larger than 65536 bytes"),
]


@pytest.mark.parametrize("case", range(len(FILES)))
@pytest.mark.parametrize("command", ["verify", "sweep", "show"])
def test_files_that_describe_no_device(twincell, network, tmp_path, command, case):
    content, message = FILES[case]
    path = tmp_path / "device.json"
    path.write_bytes(content)
    arguments = {
        "verify": ("verify", network, "--device", path),
        "sweep": ("sweep", "digits-mlp", "--device", path, "--out", tmp_path / "out"),
        "show": ("devices", "show", path),
    }[command]
    code, out, err = twincell(*arguments)
    assert (code, out) == (2, "") and "Traceback" not in err
    assert f"{path}" in err and message in " ".join(err.split())
    assert not (tmp_path / "out").exists()


def test_devices_that_are_not_there(twincell, network, tmp_path):
    for arguments in (
        ("devices", "show", tmp_path / "none.json"),
        ("devices", "show", tmp_path),
        ("devices", "show", "/dev/zero"),
        ("verify", network, "--device", tmp_path / "none.json"),
    ):
        code, _, err = twincell(*arguments)
        assert code == 2 and "is not a device: rram-strong, " in err and ", or a file" in err
    code, _, err = twincell("devices", "fit", tmp_path / "none.csv", "-o", tmp_path / "x")
    assert code == 2 and "none.csv cannot be read: No such file or directory" in err
    code, _, err = twincell("devices", "show", "rram-weak", "-o", network / "inner")
    assert code == 2 and str(network) in err
