# SPDX-License-Identifier: BSD-2-Clause
"""The pieces that say whether a simulated network is right; they know nothing of simulators.

Beats that the monitors see are framed into images. The model answers an image that *entered*, as
the input monitor saw it, with the scores that it must get; the scoreboard keeps these in a queue
and compares them with the images that leave, every score and the label.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .images import Codec


class Framer:
    """Gathers beats and hands on ``length`` at a time."""

    def __init__(self, length: int, done: Callable[[list[tuple[int, int]]], None]):
        self.length, self.done = length, done
        self.beats: list[tuple[int, int]] = []

    def __call__(self, payload: int, unknown: int) -> None:
        self.beats.append((payload, unknown))
        if len(self.beats) == self.length:
            beats, self.beats = self.beats, []
            self.done(beats)


@dataclass(frozen=True, eq=False)
class Answer:
    """Scores and label of an image."""

    scores: np.ndarray
    label: int


class Model:
    """Answers images by looking them up among those whose answers were computed beforehand."""

    def __init__(self, images: Sequence[tuple[int, ...]], scores: np.ndarray, labels: np.ndarray):
        self.answers = [Answer(s, int(label)) for s, label in zip(scores, labels, strict=True)]
        self.places: dict[tuple[int, ...], list[int]] = {}
        for index, image in enumerate(images):
            self.places.setdefault(tuple(image), []).append(index)

    def __call__(self, index: int, image: Sequence[int]) -> Answer | None:
        """The answer to an image that entered as number ``index``; ``None`` if it is unknown."""
        places = self.places.get(tuple(image))
        if places is None:
            return None
        # Equal images may differ in their answers once errors depend on the image's number.
        return self.answers[index if index in places else places[0]]


class Scoreboard:
    """Compares what left with what had to leave, in order."""

    def __init__(self, codec: Codec, model: Model):
        self.codec, self.model = codec, model
        self.expected: deque[Answer | None] = deque()
        self.entered = self.left = 0
        self.problems: list[str] = []
        self.entering = Framer(codec.input_beats, self._enter)
        self.leaving = Framer(codec.output_beats, self._leave)

    def _enter(self, beats: list[tuple[int, int]]) -> None:
        answer = self.model(self.entered, [payload for payload, _ in beats])
        if answer is None or any(unknown for _, unknown in beats):
            self.problems.append(f"image {self.entered} entered with pixels that nobody sent")
        self.expected.append(answer)
        self.entered += 1

    def _leave(self, beats: list[tuple[int, int]]) -> None:
        number, self.left = self.left, self.left + 1
        if not self.expected:
            self.problems.append(f"image {number} left before it had entered")
            return
        answer = self.expected.popleft()
        if answer is None:
            return
        # Unknown bits must not matter: the image is right with all of them 0 and all of them 1.
        for fill in (0, 1) if any(unknown for _, unknown in beats) else (0,):
            values = [payload | (unknown if fill else 0) for payload, unknown in beats]
            found = self.codec.decode(self.codec.output.from_integers(values))
            scores, label = found[0][0], int(found[1][0])
            if (scores != answer.scores).any() or label != answer.label:
                self.problems.append(
                    f"image {number}: scores {scores.tolist()}, label {label} instead of "
                    f"{answer.scores.tolist()}, label {answer.label}"
                )
                return

    def finish(self) -> list[str]:
        """All problems; what is left in the queues is one too."""
        if self.expected:
            self.problems.append(f"{len(self.expected)} images entered and never left")
        for framer, verb in ((self.entering, "entered"), (self.leaving, "left")):
            if framer.beats:
                self.problems.append(f"a part of an image {verb}: {len(framer.beats)} beats")
        return self.problems
