# SPDX-License-Identifier: BSD-2-Clause
"""Reading ports.json, and fields to payload bytes and back."""

import json
import re

import numpy as np
import pytest

from tests.support.builds import build
from twincell.hw import ports as written
from twincell.sim import ports
from twincell.sim.ports import Field, PortsError, Stream

STREAM = Stream(
    name="o",
    direction="out",
    payload="o__payload",
    valid="o__valid",
    ready="o__ready",
    width=3 * 7 + 5 + 1 + 64 + 64 + 70,
    fields=(
        Field("scores", 0, 7, True, 3),
        Field("label", 21, 5, False, None),
        Field("last", 26, 1, False, None),
        Field("most", 27, 64, False, None),
        Field("least", 91, 64, True, None),
        Field("wide", 155, 70, False, None),
    ),
)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(tmp_path_factory.mktemp("ports") / "build")


def random_fields(beats):
    rng = np.random.default_rng(1)
    fields = {
        "scores": rng.integers(-64, 64, (beats, 3)),
        "label": rng.integers(0, 32, beats),
        "last": rng.integers(0, 2, beats),
        "most": rng.integers(0, 1 << 64, beats, dtype=np.uint64),
        "least": rng.integers(-(1 << 63), 1 << 63, beats),
        "wide": rng.integers(0, 2, (beats, 70), dtype=np.uint8),
    }
    fields["scores"][0], fields["scores"][1] = -64, 63
    return fields


def test_pack_places_every_bit():
    fields = random_fields(50)
    beats = STREAM.pack(**fields)
    assert beats.shape == (50, STREAM.bytes) and beats.dtype == np.uint8
    for n, found in enumerate(STREAM.integers(beats)):
        expected = sum((int(s) & 127) << 7 * k for k, s in enumerate(fields["scores"][n]))
        expected |= int(fields["label"][n]) << 21 | int(fields["last"][n]) << 26
        expected |= int(fields["most"][n]) << 27 | (int(fields["least"][n]) % (1 << 64)) << 91
        expected |= sum(int(bit) << k for k, bit in enumerate(fields["wide"][n])) << 155
        assert found == expected


def test_unpack_is_the_inverse():
    fields = random_fields(50)
    found = STREAM.unpack(STREAM.pack(**fields))
    assert found.keys() == fields.keys()
    for name, values in fields.items():
        np.testing.assert_array_equal(found[name], values)
    beats = STREAM.pack(**fields)
    np.testing.assert_array_equal(STREAM.from_integers(STREAM.integers(beats)), beats)


def test_values_are_taken_modulo_their_width():
    fields = random_fields(2)
    wrapped = {**fields, "label": fields["label"] + 32, "scores": fields["scores"] + 128}
    np.testing.assert_array_equal(STREAM.pack(**wrapped), STREAM.pack(**fields))


def test_every_field_must_be_given():
    expected = "Stream o has the fields scores, label, last, most, least, wide; given were label"
    with pytest.raises(ValueError, match=f"^{expected}$"):
        STREAM.pack(label=np.zeros(3))


def test_no_beats():
    assert STREAM.from_integers([]).shape == (0, STREAM.bytes)
    assert STREAM.unpack(np.zeros((0, STREAM.bytes), np.uint8))["scores"].shape == (0, 3)


def test_reads_what_emission_writes(built):
    assert (ports.FORMAT, ports.VERSION) == (written.FORMAT, written.VERSION)
    found = ports.read(built.directory)
    assert found.top == "tally_net" and found.source == built.directory / "tally-net.v"
    assert found.memories == ("tally-net.signs.mem",)
    assert (found.clock, found.reset) == ("clk", "rst")
    assert found.stream("i").fields == (Field("payload", 0, 5, False, 3),)
    assert found.stream("o").direction == "out"
    with pytest.raises(PortsError, match=r"^tally_net has no stream 'x'; its streams: i, o$"):
        found.stream("x")


def spoiled(directory, built, **changes):
    text = json.loads((built.directory / "ports.json").read_text())
    directory.joinpath("ports.json").write_text(json.dumps({**text, **changes}))
    return directory


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "is not twincell.ports version 1; build the network again"),
        ({"format": "x"}, "is not twincell.ports version 1; build the network again"),
        ({"streams": {"i": {}}}, "is damaged: KeyError('fields')"),
        ({"streams": 3}, "is damaged: AttributeError"),
        ({"verilog": "../a.v"}, "names a file outside its directory: '../a.v'"),
        ({"memories": ["/etc/passwd"]}, "names a file outside its directory: '/etc/passwd'"),
    ],
)
def test_damage_is_named(tmp_path, built, changes, message):
    with pytest.raises(PortsError, match=re.escape(message)):
        ports.read(spoiled(tmp_path, built, **changes))


def test_no_build_directory(tmp_path):
    expected = f"{tmp_path} holds no ports.json; it is not a build directory"
    with pytest.raises(PortsError, match=f"^{re.escape(expected)}$"):
        ports.read(tmp_path)
    (tmp_path / "ports.json").write_text("{")
    with pytest.raises(PortsError, match="is not JSON"):
        ports.read(tmp_path)
