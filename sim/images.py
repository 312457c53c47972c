# SPDX-License-Identifier: BSD-2-Clause
"""Images as beats of a network's input stream, and output beats as scores and labels.

An image is ``ceil(pixels / pixels_per_beat)`` input beats, its pixels in flatten order or, for a
convolution, position by position, and the last beat padded with zeros; and
``ceil(classes / scores_per_beat)`` output beats, its scores in class order. Surplus scores of the
last beat mean nothing; the label counts on the beat whose ``last`` is 1.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..model.reads import by_position, flat_pixels
from .ports import Ports, PortsError, Stream, read


@dataclass(frozen=True)
class Codec:
    """Translates between images and the beats of one generated network."""

    ports: Ports
    pixels: int
    pixel_bits: int
    pixels_per_beat: int
    input_beats: int
    classes: int
    output_beats: int
    planned_cycles: int | None = None
    channels: int = 0

    @property
    def input(self) -> Stream:
        """The stream of pixels."""
        return self.ports.stream("i")

    @property
    def output(self) -> Stream:
        """The stream of scores."""
        return self.ports.stream("o")

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Unsigned pixels (N, ...) to beats, uint8 (N * input_beats, bytes).

        Raises ``ValueError`` when an image has another size or a pixel leaves its range.
        """
        pixels = flat_pixels(images, self.pixels, self.pixel_bits)
        padded = np.zeros((len(pixels), self.input_beats * self.pixels_per_beat), dtype="<u2")
        padded[:, : self.pixels] = by_position(pixels, self.channels)
        elements = padded.reshape(-1, self.pixels_per_beat)
        if self.pixel_bits in (8, 16):
            return np.ascontiguousarray(elements, dtype=f"<u{self.pixel_bits // 8}").view(np.uint8)
        bits = np.unpackbits(elements.view(np.uint8), axis=1, bitorder="little")
        bits = bits.reshape(len(elements), self.pixels_per_beat, 16)[:, :, : self.pixel_bits]
        return np.packbits(bits.reshape(len(elements), -1), axis=1, bitorder="little")

    def decode(self, beats: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Beats, uint8 (N * output_beats, bytes), to scores int64 (N, classes) and labels (N,).

        A label is -1 where the beats' ``last`` marks are not where they belong.
        """
        found = self.output.unpack(beats)
        scores = found["scores"].reshape(-1, self.output_beats * found["scores"].shape[1])
        last = found["last"].reshape(-1, self.output_beats)
        labels = found["label"].reshape(-1, self.output_beats)[:, -1]
        framed = (last[:, -1] == 1) & (last[:, :-1] == 0).all(axis=1)
        return scores[:, : self.classes], np.where(framed, labels, -1)


def codec(build: Path) -> Codec:
    """The codec of a build directory; raises ``PortsError`` when it holds no network."""
    ports = read(build)
    about = ports.about.get("network")
    if not isinstance(about, dict):
        raise PortsError(f"{build} holds no network: its ports.json says nothing of one")
    try:
        made = Codec(
            ports=ports,
            pixels=about["pixels"],
            pixel_bits=about["pixel_bits"],
            pixels_per_beat=about["pixels_per_beat"],
            input_beats=about["input_beats"],
            classes=about["classes"],
            output_beats=about["output_beats"],
            planned_cycles=about.get("planned_cycles_per_image"),
            channels=about.get("channels", 0),
        )
    except KeyError as error:
        raise PortsError(f"The description of the network lacks {error}") from None
    if made.input.width != made.pixels_per_beat * made.pixel_bits:
        raise PortsError(
            f"Stream i is {made.input.width} bits wide, but a beat is "
            f"{made.pixels_per_beat} pixels of {made.pixel_bits} bits"
        )
    return made
