# SPDX-License-Identifier: BSD-2-Clause
"""Named cells, and cells as JSON."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from twincell.model.devices import codec
from twincell.model.devices.cell import Cell
from twincell.model.devices.knobs import Knobs
from twincell.model.devices.presets import PRESETS, preset
from twincell.model.devices.rram import Programming, Technology


@pytest.mark.parametrize("name", PRESETS)
def test_presets_say_what_they_are(name):
    chosen = preset(name)
    assert chosen.name == name and isinstance(chosen.cell, Cell)
    assert chosen.description and chosen.validity
    assert any(tag in chosen.source for tag in ("[R", "[CODE", "[3P]", "[D]", "[own]"))
    matrix = chosen.cell.transitions()
    assert matrix.shape == (len(chosen.cell.states),) * 2
    assert np.allclose(matrix.sum(axis=1), 1) and (matrix >= 0).all()
    assert 0 < chosen.cell.error_rate() < 0.1


def test_presets_are_what_their_sources_say():
    rates = {name: chosen.cell.error_rate() for name, chosen in PRESETS.items()}
    assert f"{rates['rram-weak']:.1e}" == "3.3e-02"
    assert rates["rram-strong"] < rates["rram-1t1r"] < rates["rram-1t1r-weak"]
    assert rates["rram-weak"] < rates["rram-weak-worn"]
    strong, weak = (preset(name).cell.write for name in ("stt-mram", "stt-mram-weak"))
    assert 1.9 < strong.energy / weak.energy < 2.2
    ternary = preset("rram-near-threshold").cell
    assert ternary.zero_read_as_one() > 1e3 * ternary.swapped() > 0


def test_an_unknown_preset_lists_the_names():
    with pytest.raises(ValueError) as refused:
        preset("rram")
    assert str(refused.value) == f"'rram' is not a device: {', '.join(PRESETS)}"


@pytest.mark.parametrize("name", PRESETS)
def test_json_round_trip(name, tmp_path):
    cell = preset(name).cell
    path = tmp_path / "cell.json"
    path.write_text(json.dumps(codec.to_dict(cell)))
    read = codec.load(path)
    assert read == cell and np.array_equal(read.transitions(), cell.transitions())


def test_every_device_class_has_a_type():
    def below(kind):
        return {kind}.union(*map(below, kind.__subclasses__()))

    concrete = {
        kind
        for kind in below(Knobs) - {Knobs}
        if kind.__module__.startswith("twincell.model.devices.")
        and not getattr(kind, "__abstractmethods__", None)
    }
    assert concrete == {*codec.CELLS.values(), *codec.PARTS.values()}
    for kind in concrete:
        knobs = [each for each in dataclasses.fields(kind) if "unit" in each.metadata]
        assert all(each.metadata["low"] < each.metadata["high"] for each in knobs)


PROGRAMMING = {
    "type": "programming",
    "compliance_current": 1e-4,
    "reset_voltage": 2.5,
    "reset_width": 1e-7,
}


@pytest.mark.parametrize(
    "description, message",
    [
        (3, "device: expected a dictionary with a type, not 3"),
        ({}, "device.type is one of 1T1R, 2T2R, 2T2R-ternary, ST-MRAM"),
        ({"type": ["2T2R"]}, "device.type is one of 1T1R, "),
        ({"type": "2T2R"}, "device: resistance missing"),
        ({"type": "2T2R", "resistance": 3},
         "device: resistance must be Resistance or Programming, not 3"),
        ({"type": "2T2R", "resistance": {"type": "lognormal", "mu": 3, "sigma": 1}},
         "device: resistance must be Resistance or Programming, not Lognormal"),
        (PROGRAMMING, "device: the type is one of 1T1R, 2T2R, 2T2R-ternary, ST-MRAM"),
        ({"type": "2T2R", "resistance": PROGRAMMING, "ofset": 0.1},
         "device: unknown ofset; resistance, offset, noise exist"),
        ({"type": "2T2R", "resistance": PROGRAMMING | {"volts": 1}},
         "device.resistance: unknown volts; compliance_current, reset_voltage"),
        ({"type": "2T2R", "resistance": PROGRAMMING | {"reset_voltage": 9}},
         "device.resistance: reset_voltage is 9 V, outside 1 to 3 V"),
        ({"type": "2T2R", "resistance": PROGRAMMING | {"reset_voltage": "2"}},
         "device.resistance: reset_voltage must be a number in V, not '2'"),
        ({"type": "1T1R", "resistance": PROGRAMMING, "reference": None},
         "device: reference must be a number in ohm, not None"),
    ],
)  # fmt: skip
def test_descriptions_that_are_no_cell(description, message):
    with pytest.raises(codec.DeviceError) as refused:
        codec.from_dict(description)
    assert str(refused.value).startswith(message)


def test_files_that_are_no_cell(tmp_path):
    path = tmp_path / "cell.json"
    for text in ("{", "[" * 100_000, '{"type": "2T2R", '):
        path.write_text(text[:60_000])
        with pytest.raises(codec.DeviceError, match="is not JSON"):
            codec.load(path)
    path.write_text(" " * (codec.MAX_BYTES + 1))
    with pytest.raises(codec.DeviceError, match="is larger than 65536 bytes"):
        codec.load(path)
    with pytest.raises(OSError):
        codec.load(tmp_path / "none.json")


def test_each_knob_works_in_its_direction():
    base = Programming(100e-6, 2.2, 100e-9, 1e4)

    def changed(**knobs):
        return dataclasses.replace(base, **knobs)

    more = changed(compliance_current=200e-6)
    assert more.lrs.mu < base.lrs.mu and more.lrs.sigma < base.lrs.sigma
    for stronger in (changed(reset_voltage=2.6), changed(reset_width=1e-6)):
        assert stronger.hrs.mu > base.hrs.mu and stronger.hrs.sigma > base.hrs.sigma
        assert stronger.lrs == base.lrs and stronger.reset_energy > base.reset_energy
    assert changed(cycles=1e9).hrs.mu < base.hrs.mu
    assert base.energy == base.set_energy + base.reset_energy
    assert base.reset_energy == pytest.approx(2.2**2 * 100e-9 / 5e3)
    assert base.set_energy == pytest.approx(1.0 * 100e-6 * 100e-9)
    other = changed(technology=Technology(set_product=0.6))
    assert other.lrs.median == pytest.approx(6e3)


def test_the_page_lists_every_preset_and_knob():
    page = (Path(__file__).parents[3] / "docs" / "devices.md").read_text()
    for chosen in PRESETS.values():
        rates = f"{chosen.cell.error_rate():.2g} | {chosen.cell.read_error_rate():.2g}"
        assert f"| `{chosen.name}` | {chosen.description} | {rates} |\n" in page
    for name, kind in {**codec.CELLS, **codec.PARTS}.items():
        for each in dataclasses.fields(kind):
            if "unit" in each.metadata:
                low, high, unit = (each.metadata[key] for key in ("low", "high", "unit"))
                row = f"| {name} | `{each.name}` | {low:g} to {high:g} | {unit} |"
                assert row in page, row
