# SPDX-License-Identifier: BSD-2-Clause
"""Images to beats, and beats to scores and labels."""

import numpy as np
import pytest

from tests.support.builds import build, codec_of
from twincell.sim.images import codec
from twincell.sim.ports import PortsError


@pytest.mark.parametrize("bits", [1, 2, 5, 7, 8, 9, 15, 16])
@pytest.mark.parametrize(("pixels", "per_beat"), [(1, 1), (13, 3), (8, 8), (10, 16), (7, 1)])
def test_encode_is_what_a_loop_says(bits, pixels, per_beat):
    network = codec_of(pixels, bits, per_beat)
    images = np.random.default_rng(bits).integers(0, 1 << bits, (6, pixels))
    images[0] = (1 << bits) - 1
    found = network.input.integers(network.encode(images))
    expected = []
    for image in images:
        padded = [*map(int, image), *[0] * (network.input_beats * per_beat - pixels)]
        for at in range(0, len(padded), per_beat):
            beat = padded[at : at + per_beat]
            expected.append(sum(pixel << bits * j for j, pixel in enumerate(beat)))
    assert found == expected


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, bool])
def test_images_of_any_shape_and_integer_type(dtype):
    network = codec_of(12, 1, 5)
    images = np.random.default_rng(0).integers(0, 2, (4, 1, 3, 4)).astype(dtype)
    flat = images.reshape(4, 12).astype(np.int64)
    np.testing.assert_array_equal(network.encode(images), network.encode(flat))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 5), int), "An image has 4 pixels, not 5"),
        (np.zeros((2, 4)), "Pixels must be integers, not float64"),
        (np.full((2, 4), 8), "Pixels are 0 to 7, not 8 to 8"),
        (np.full((2, 4), -1), "Pixels are 0 to 7, not -1 to -1"),
    ],
)
def test_images_that_are_refused(images, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        codec_of(4, 3, 2).encode(images)


@pytest.mark.parametrize(("classes", "per_beat"), [(1, 1), (5, 2), (10, 10), (7, 3), (3, 8)])
def test_decode_drops_what_means_nothing(classes, per_beat):
    network = codec_of(4, 1, 4, classes, per_beat)
    rng = np.random.default_rng(classes)
    scores = rng.integers(-256, 256, (6, classes))
    labels = rng.integers(0, classes, 6)
    beats = network.output_beats
    padded = rng.integers(-256, 256, (6, beats * per_beat))
    padded[:, :classes] = scores
    marked = rng.integers(0, classes, (6, beats))
    marked[:, -1] = labels
    last = np.tile(np.arange(beats) == beats - 1, 6).astype(int)
    packed = network.output.pack(
        scores=padded.reshape(-1, per_beat), label=marked.reshape(-1), last=last
    )
    found = network.decode(packed)
    np.testing.assert_array_equal(found[0], scores)
    np.testing.assert_array_equal(found[1], labels)


def test_a_misplaced_last_spoils_the_label():
    network = codec_of(4, 1, 4, classes=4, scores_per_beat=2)
    last = np.array([0, 1, 1, 1, 0, 0])
    beats = network.output.pack(scores=np.zeros((6, 2), int), label=np.full(6, 3), last=last)
    assert network.decode(beats)[1].tolist() == [3, -1, -1]


def test_a_build_directory(tmp_path):
    built = build(tmp_path)
    network = codec(tmp_path)
    assert network.planned_cycles == network.input_beats == 5
    assert network.encode(built.images).shape == (24 * 5, network.input.bytes)
    scores, labels = network.decode(np.zeros((6, network.output.bytes), np.uint8))
    assert scores.shape == (2, 5) and labels.tolist() == [-1, -1]


def test_what_is_no_network(tmp_path):
    build(tmp_path)
    text = (tmp_path / "ports.json").read_text()
    (tmp_path / "ports.json").write_text(text.replace('"network"', '"other"'))
    with pytest.raises(PortsError, match="holds no network"):
        codec(tmp_path)
    (tmp_path / "ports.json").write_text(text.replace('"classes"', '"kinds"'))
    with pytest.raises(PortsError, match="The description of the network lacks 'classes'"):
        codec(tmp_path)
    (tmp_path / "ports.json").write_text(text.replace('"pixel_bits": 5', '"pixel_bits": 4'))
    expected = "Stream i is 15 bits wide, but a beat is 3 pixels of 4 bits"
    with pytest.raises(PortsError, match=f"^{expected}$"):
        codec(tmp_path)
