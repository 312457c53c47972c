# SPDX-License-Identifier: BSD-2-Clause
"""Training: the same bits whether interrupted or not, and checkpoints that are never half."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from twincell.model.augmentation import distort
from twincell.model.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from twincell.model.data import Dataset
from twincell.model.planes import BINARY, FixedPoint
from twincell.model.recipe import Augmentation, Recipe, RecipeError
from twincell.model.store import digest, load
from twincell.model.training import CHECKPOINT, Epoch, Trained, train


def lines(count: int, train: int) -> Dataset:
    """6x6 images of three kinds: a bright row, a bright column, neither; in 4-bit noise."""
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 3, count).astype(np.uint8)
    images = rng.integers(0, 7, (count, 6, 6)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        place = rng.integers(6)
        image[place] += np.uint8(8 * (label == 0))
        image[:, place] += np.uint8(8 * (label == 1))
    parts = images[:train], labels[:train], images[train:], labels[train:]
    return Dataset("shapes", *parts, 4, 3, "made")


@pytest.fixture(scope="module")
def shapes() -> Dataset:
    """300 images to train with and 100 to test."""
    return lines(400, 300)


def _recipe(**changes) -> Recipe:
    fields = {
        "name": "shapes", "data": "digits", "seed": 5, "hidden": [48],
        "training": {"epochs": 4, "batch": 32, "learning_rate": 0.01},
        "augmentation": {"shift": 0.5, "elastic": 0.3},
    }  # fmt: skip
    for key, value in changes.items():
        fields[key] = fields[key] | value if isinstance(value, dict) and key in fields else value
    return Recipe.model_validate(fields)


def _assert_same(one: Trained, other: Trained) -> None:
    assert one.history == other.history
    assert digest(one.graph) == digest(other.graph)
    states = one.model.state_dict(), other.model.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def _interrupted(recipe: Recipe, directory: Path, data: Dataset, after: int) -> None:
    def stop(epoch: Epoch) -> None:
        if epoch.number == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, directory, data=data, progress=stop)


@pytest.mark.parametrize("weights", ["binary", "ternary"])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, shapes, weights):
    recipe = _recipe(weights=weights, training={"validation": 50, "warmup": 1.5})
    whole = train(recipe, tmp_path / "whole", data=shapes)
    torch.rand(3)  # the global random state plays no part
    for after in (1, 3):
        _interrupted(recipe, tmp_path / "parts", shapes, after)
    resumed = []
    parts = train(recipe, tmp_path / "parts", data=shapes, progress=resumed.append)
    assert [epoch.number for epoch in resumed] == [4]
    _assert_same(whole, parts)
    _assert_same(whole, train(recipe, tmp_path / "parts", data=shapes))


CONVOLUTIONS = [
    {"channels": 8, "padding": 1, "pool": 2},
    {"channels": 12, "kernel": 2, "fill": "plus"},
]


@pytest.mark.parametrize("channels", [1, 2])
def test_convolutions_learn_and_resume(tmp_path, shapes, channels):
    """Of images with and without an axis of channels; the second channel is the first, mirrored."""
    data = shapes
    if channels == 2:
        both = (
            np.stack([images, images[..., ::-1]], axis=1)
            for images in (data.train_images, data.test_images)
        )
        data = replace(data, **dict(zip(("train_images", "test_images"), both, strict=True)))
    recipe = _recipe(
        convolutions=CONVOLUTIONS, hidden=[], training={"epochs": 20},
        augmentation={"shift": 0.2, "mirror": 0.2}, errors={"persistent": 0.001, "maps": 2},
    )  # fmt: skip
    _interrupted(recipe, tmp_path / "parts", data, 2)
    trained = train(recipe, tmp_path / "parts", data=data)
    assert trained.accuracy > 0.75 and min(trained.with_errors) > 0.7
    shapes_ = [value.shape for value in trained.graph.values]
    assert shapes_ == [(channels, 6, 6), (8, 6, 6), (8, 3, 3), (12, 2, 2), (48,), (3,)]
    _assert_same(trained, train(recipe, tmp_path / "whole", data=data))


def test_images_that_are_too_small_are_refused(tmp_path, shapes):
    recipe = _recipe(convolutions=[*CONVOLUTIONS, {"channels": 4}])
    with pytest.raises(RecipeError, match=r"^convolutions.2 leaves nothing of images of 2 x 2$"):
        train(recipe, tmp_path, data=shapes)


def test_training_learns_and_leaves_the_random_state_alone(tmp_path, shapes):
    before = torch.random.get_rng_state()
    recipe = _recipe(training={"epochs": 20}, augmentation={"shift": 0.0, "elastic": 0.0})
    trained = train(recipe, tmp_path, data=shapes)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert trained.accuracy > 0.8
    low, high = trained.interval
    assert 0 < low < trained.accuracy < high < 1
    assert trained.graph.input.planes == FixedPoint(4)
    assert trained.graph.input.shape == (36,)


def test_the_seed_and_starting_over_matter(tmp_path, shapes):
    recipe = _recipe(training={"epochs": 1})
    one = train(recipe, tmp_path, data=shapes)
    _assert_same(one, train(recipe, tmp_path, data=shapes, resume=False))
    other = train(_recipe(seed=6, training={"epochs": 1}), tmp_path / "6", data=shapes)
    assert digest(one.graph) != digest(other.graph)


def test_binary_planes_and_validation(tmp_path, shapes):
    recipe = _recipe(
        input={"planes": "binary", "threshold": 7},
        training={"validation": 100, "schedule": "constant"},
    )
    trained = train(recipe, tmp_path, data=shapes)
    assert trained.graph.input.planes == BINARY
    assert all(epoch.validation is not None for epoch in trained.history)
    assert trained.images == 100


def test_too_few_images_are_refused(tmp_path, shapes):
    recipe = _recipe(training={"validation": 290})
    with pytest.raises(ValueError, match="300 training images are too few for a batch of 32 "):
        train(recipe, tmp_path, data=shapes)


def test_a_checkpoint_of_another_run_is_refused(tmp_path, shapes):
    recipe = _recipe(training={"epochs": 1})
    train(recipe, tmp_path, data=shapes)
    with pytest.raises(CheckpointError, match=r"checkpoint.pt is of another recipe\. Delete it"):
        train(_recipe(seed=6), tmp_path, data=shapes)
    with pytest.raises(CheckpointError, match="is of another data set"):
        train(recipe, tmp_path, data=replace(shapes, train_images=shapes.train_images // 2))
    train(_recipe(seed=6, training={"epochs": 1}), tmp_path, data=shapes, resume=False)


class _Evil:
    def __reduce__(self):
        return Path.touch, (Path("evil"),)


def test_a_damaged_checkpoint_is_refused(tmp_path, shapes, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = _recipe(training={"epochs": 1})
    path = tmp_path / CHECKPOINT
    train(recipe, tmp_path, data=shapes)
    whole = path.read_bytes()
    damaged = (b"", whole[:-100], whole[: len(whole) // 2], b"text", pickle.dumps(_Evil()))
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r" is not a whole checkpoint\. Delete it, or"):
            train(recipe, tmp_path, data=shapes)
    for content in ([1, 2], {"format": 2}, {"format": 1, "run": {}}, {"format": 1, "run": 5}):
        torch.save(content, path)
        with pytest.raises(CheckpointError, match=r"is not a whole checkpoint|is of another"):
            train(recipe, tmp_path, data=shapes)
    assert not Path("evil").exists()
    path.write_bytes(whole)
    train(recipe, tmp_path, data=shapes)


def test_an_interrupted_write_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    path, run = tmp_path / CHECKPOINT, {"recipe": "r"}
    save_checkpoint(path, run, {"epoch": 1})

    def broken(content, file):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, run, {"epoch": 2})
    assert [file.name for file in tmp_path.iterdir()] == [CHECKPOINT]
    (tmp_path / f".{CHECKPOINT}.killed").write_bytes(b"half")  # by nobody who could remove it
    assert load_checkpoint(path, run) == {"epoch": 1}
    assert [file.name for file in tmp_path.iterdir()] == [CHECKPOINT]


def test_nothing_is_printed_without_a_terminal(tmp_path, shapes, capfd):
    train(_recipe(training={"epochs": 1}), tmp_path, data=shapes)
    assert capfd.readouterr() == ("", "")


def test_a_bar_without_colour_on_a_terminal(tmp_path, shapes, capfd, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes the stream for a terminal
    monkeypatch.setenv("NO_COLOR", "1")
    train(_recipe(training={"epochs": 2}), tmp_path, data=shapes)
    out, err = capfd.readouterr()
    assert out == ""
    assert "train shapes: epoch 2, accuracy 0." in err
    assert "\x1b[3" not in err  # no colour


def test_a_network_is_published_with_its_record(tmp_path, shapes):
    trained = train(_recipe(training={"epochs": 2}), tmp_path, data=shapes)
    path = trained.publish(tmp_path / "zoo")
    assert digest(load(path)) == digest(trained.graph)
    record = json.loads(path.with_suffix(".json").read_text())
    assert record == trained.record()
    assert record["correct"] / record["test_images"] == record["accuracy"]
    assert record["network"] == path.stem == "shapes"


def _spot() -> torch.Tensor:
    images = torch.zeros(200, 9, 9)
    images[:, 4, 4] = 200
    return images


def test_distortions_move_a_spot_within_their_limits():
    draws = torch.Generator().manual_seed(1)
    moved = distort(_spot(), Augmentation(shift=2.0), draws)
    assert torch.equal(moved, moved.round())
    assert moved.min() >= 0 and moved.max() <= 200
    rows, columns = (moved.sum(dim=axis) > 0 for axis in (2, 1))
    for seen in (rows, columns):
        assert seen.any(dim=0).tolist() == [2 <= place <= 6 for place in range(9)]
    turned = distort(_spot(), Augmentation(rotation=90.0, scale=0.5, shear=0.5), draws)
    assert (turned.flatten(1).argmax(dim=1) == 40).all()  # the centre stays


def test_channels_are_distorted_alike():
    options, image = Augmentation(shift=2.0, rotation=20.0, mirror=0.5), _spot()
    one, both = (
        distort(given, options, torch.Generator().manual_seed(3))
        for given in (image, torch.stack([image, 2 * image], dim=1))
    )
    assert torch.equal(both[:, 0], one) and not torch.equal(one, image)
    assert both.shape == (len(image), 2, *image.shape[1:])


def test_mirrored_images_change_sides():
    images = torch.arange(12.0).reshape(1, 3, 4).repeat(400, 1, 1)
    draws = torch.Generator().manual_seed(1)
    found = distort(images, Augmentation(mirror=0.25), draws)
    turned = (found == images.flip(-1)).all(dim=(1, 2))
    assert torch.equal(turned, ~(found == images).all(dim=(1, 2))) and 70 < turned.sum() < 130
    assert torch.equal(distort(images, Augmentation(mirror=1.0), draws), images.flip(-1))


def test_no_distortion_changes_nothing():
    images = _spot()
    draws = torch.Generator().manual_seed(1)
    assert distort(images, Augmentation(), draws) is images
    # Maps that hardly move are the identity after rounding.
    assert torch.equal(distort(images, Augmentation(shift=1e-4), draws), images)
