# SPDX-License-Identifier: BSD-2-Clause
"""Images as AXI-Stream packets of a wrapped network, and its packets as scores and labels.

The layout is read from the ``edge`` entry of ``ports.json``. A packet is one row of bytes.
"""

import json
from dataclasses import fields
from pathlib import Path

import numpy as np

from ..hw.edges.packets import PacketLayout
from ..model.reads import by_position, flat_pixels
from .ports import PortsError, read


class PacketCodec(PacketLayout):
    """Translates between images and the packets of one wrapped network."""

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Unsigned pixels (N, ...) to packets, uint8 (N, bytes); pixels beyond the last are 0.

        Raises ``ValueError`` when an image has another size or a pixel leaves its range.
        """
        pixels = flat_pixels(images, self.pixels, self.pixel_bits)
        padded = np.zeros((len(pixels), self.input_beats * self.pixels_per_beat), dtype="<u8")
        padded[:, : self.pixels] = by_position(pixels, self.channels)
        octets = padded[..., None].view(np.uint8)[..., : self.pixel_bytes]
        return octets.reshape(len(pixels), padded.shape[1] * self.pixel_bytes)

    def decode(self, packets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Packets, uint8 (N, bytes), to scores int64 (N, classes) and labels int64 (N,)."""
        packets = np.asarray(packets, dtype=np.uint8)
        if packets.ndim != 2 or packets.shape[1] != self.packet_bytes:
            raise ValueError(f"A packet has {self.packet_bytes} bytes, not {packets.shape}")
        cut = self.classes * self.score_bytes
        scores = _integers(packets[:, :cut].reshape(-1, self.classes, self.score_bytes))
        unused = 64 - 8 * self.score_bytes
        return (scores << unused) >> unused, _integers(packets[:, None, cut:])[:, 0]


def _integers(octets: np.ndarray) -> np.ndarray:
    """Little-endian bytes along the last axis as int64."""
    widened = np.zeros((*octets.shape[:-1], 8), dtype=np.uint8)
    widened[..., : octets.shape[-1]] = octets
    return widened.view("<i8")[..., 0].astype(np.int64)


def edge(build: Path) -> dict:
    """The ``edge`` entry of a build directory; raises :class:`PortsError` where there is none."""
    ports = read(build)
    found = ports.about.get("edge", {})
    if "packets" not in found:
        raise PortsError(f"{build} has bare streams, no packets; build it with an edge")
    return found


def codec(build: Path) -> PacketCodec:
    """The codec of a build directory."""
    sizes = edge(build)["packets"]
    return PacketCodec(**{each.name: sizes[each.name] for each in fields(PacketCodec)})


def registers(build: Path) -> dict[str, dict]:
    """The registers of a build directory by name."""
    text = (Path(build) / edge(build)["registers"]).read_text()
    return {register["name"]: register for register in json.loads(text)["registers"]}
