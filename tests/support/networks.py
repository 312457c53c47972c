# SPDX-License-Identifier: BSD-2-Clause
"""A network component as a function: images in, scores out, in Amaranth's simulator."""

from dataclasses import dataclass

import numpy as np

from tests.support.simulate import play
from twincell.hw.network import Network


@dataclass(frozen=True)
class Observed:
    """Scores (images, classes), labels, and the cycle in which each image's last beat left."""

    scores: np.ndarray
    labels: np.ndarray
    finished: np.ndarray


def run(
    network: Network,
    images: np.ndarray,
    *,
    pauses: str = "none",
    seed: int = 0,
    **options,
) -> Observed:
    about = network.about()
    flat = images.reshape(len(images), -1)
    if about.get("channels"):  # position by position
        flat = flat.reshape(len(flat), about["channels"], -1).swapaxes(1, 2).reshape(flat.shape)
    beats = _encode(flat, about)
    count = len(images) * about["output_beats"]
    found, cycles = play(network, beats, count, pauses=pauses, seed=seed, **options)
    score_bits, count = network.head.score_shape.width, about["scores_per_beat"]
    scores = np.array(
        [[_signed(beat >> score_bits * k, score_bits) for k in range(count)] for beat in found]
    )
    rest = [beat >> score_bits * count for beat in found]
    label_bits = (max(about["classes"], 2) - 1).bit_length()
    last = np.array([bits >> label_bits for bits in rest]).reshape(len(images), -1)
    assert (last[:, :-1] == 0).all() and (last[:, -1] == 1).all(), "last marks the wrong beat"
    ends = slice(about["output_beats"] - 1, None, about["output_beats"])
    return Observed(
        scores.reshape(len(images), -1)[:, : about["classes"]],
        np.array([bits & ((1 << label_bits) - 1) for bits in rest])[ends],
        np.array(cycles)[ends],
    )


def _encode(images: np.ndarray, about: dict) -> list[int]:
    size, bits = about["pixels_per_beat"], about["pixel_bits"]
    padding = about["input_beats"] * size - about["pixels"]
    padded = np.pad(images, [(0, 0), (0, padding)]).reshape(-1, size)
    return packed(padded, bits)


def packed(rows: np.ndarray, bits: int) -> list[int]:
    """Rows of elements as integers, the first element lowest."""
    return [sum(int(each) << (bits * k) for k, each in enumerate(row)) for row in rows]


def image_words(images: np.ndarray, bits: int, lanes: int) -> list[int]:
    """Images (N, channels, *size) as words of ``lanes`` pixels, position by position."""
    flat = images.reshape(*images.shape[:2], -1).transpose(0, 2, 1).reshape(-1, lanes)
    return packed(flat, bits)


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
