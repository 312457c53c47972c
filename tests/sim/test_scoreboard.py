# SPDX-License-Identifier: BSD-2-Clause
"""Framer, model and scoreboard, without a simulator."""

import numpy as np
import pytest

from tests.support.builds import codec_of
from twincell.sim.scoreboard import Model, Scoreboard

NETWORK = codec_of(pixels=4, bits=3, per_beat=2, classes=3, scores_per_beat=2)
IMAGES = np.array([[1, 2, 3, 4], [7, 7, 7, 7], [0, 0, 0, 0]])
SCORES = np.array([[5, -3, 2], [0, 9, 9], [-1, -2, -3]])
LABELS = np.array([0, 1, 0])


def beats_in():
    beats = NETWORK.input.integers(NETWORK.encode(IMAGES))
    return [tuple(beats[at : at + 2]) for at in range(0, len(beats), 2)]


def beats_out(scores=SCORES, labels=LABELS, surplus=0):
    padded = np.full((3, 4), surplus)
    padded[:, :3] = scores
    last = np.tile([0, 1], 3)
    packed = NETWORK.output.pack(
        scores=padded.reshape(-1, 2), label=np.repeat(labels, 2), last=last
    )
    beats = NETWORK.output.integers(packed)
    return [beats[at : at + 2] for at in range(0, len(beats), 2)]


@pytest.fixture
def board():
    return Scoreboard(NETWORK, Model(beats_in(), SCORES, LABELS))


def play(board, entering, leaving, unknown=0):
    for image_in, image_out in zip(entering, leaving, strict=True):
        for beat in image_in:
            board.entering(beat, 0)
        for beat in image_out:
            board.leaving(beat, unknown)
    return board.finish()


def test_equal(board):
    assert play(board, beats_in(), beats_out(surplus=77)) == []
    assert (board.entered, board.left) == (3, 3)


def test_every_score_counts(board):
    scores = SCORES.copy()
    scores[1, 2] = 8  # the label stays right
    expected = "image 1: scores [0, 9, 8], label 1 instead of [0, 9, 9], label 1"
    assert play(board, beats_in(), beats_out(scores)) == [expected]


def test_the_label_counts(board):
    assert len(play(board, beats_in(), beats_out(labels=np.array([0, 2, 0])))) == 1


def test_the_model_answers_what_entered(board):
    """A source that sends other pixels is found out, whatever leaves."""
    wrong = beats_in()
    wrong[1] = (wrong[1][0], wrong[1][1] ^ 1)
    found = play(board, wrong, beats_out())
    assert found == ["image 1 entered with pixels that nobody sent"]


def test_swapped_images_are_told_apart(board):
    """Images that enter in another order must leave in that order."""
    order = [1, 0, 2]
    entering, leaving = beats_in(), beats_out()
    assert play(board, [entering[k] for k in order], [leaving[k] for k in order]) == []


def test_early_and_lost_images(board):
    image = beats_out()[0]
    for beat in image:
        board.leaving(beat, 0)
    for beat in (*beats_in()[0], beats_in()[1][0]):
        board.entering(beat, 0)
    board.leaving(image[0], 0)
    assert board.finish() == [
        "image 0 left before it had entered",
        "1 images entered and never left",
        "a part of an image entered: 1 beats",
        "a part of an image left: 1 beats",
    ]


def test_unknown_bits_count_where_they_matter(board):
    surplus = 0b111111111 << 9  # the second score of a beat: surplus in the last beat only
    entering, leaving = beats_in(), beats_out()
    for beat in entering[0]:
        board.entering(beat, 0)
    board.leaving(leaving[0][0], 0)
    board.leaving(leaving[0][1], surplus)
    assert board.problems == []
    for beat in entering[1]:
        board.entering(beat, 0)
    board.leaving(leaving[1][0], surplus)
    board.leaving(leaving[1][1], 0)
    assert len(board.problems) == 1


def test_equal_images_with_different_answers():
    """Answers go by an image's number when its pixels occur twice."""
    images = [(1, 2), (1, 2)]
    model = Model(images, np.array([[1], [2]]), np.array([0, 0]))
    found = [model(index, (1, 2)) for index in (0, 1, 5)]
    assert [int(each.scores[0]) for each in found if each] == [1, 2, 1]
    assert model(0, (2, 1)) is None
