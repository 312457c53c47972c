# SPDX-License-Identifier: BSD-2-Clause
"""Recipes: every bad field is reported with its path."""

import re
from pathlib import Path

import pytest

from twincell.model.planes import Stochastic
from twincell.model.recipe import Recipe, RecipeError

ZOO = Path(__file__).parents[2] / "zoo"
GOOD = """
name = "net"
data = "digits"
seed = 3
hidden = [16, 8]

[training]
epochs = 2
batch = 32
learning_rate = 1e-3
"""


def _read(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "net.toml"
    path.write_text(text)
    return Recipe.read(path)


def test_defaults(tmp_path):
    recipe = _read(tmp_path, GOOD)
    assert recipe.hidden == (16, 8)
    assert recipe.weights == "binary"
    assert recipe.input.planes == "fixed-point"
    assert recipe.training.schedule == "cosine"
    assert recipe.augmentation.shift == 0


@pytest.mark.parametrize("path", sorted(ZOO.glob("*.toml")), ids=lambda path: path.stem)
def test_the_zoo_is_readable(path):
    assert Recipe.read(path).name == path.stem


def test_every_bad_field_is_listed(tmp_path):
    text = GOOD.replace("epochs = 2", "epochs = 0\nmomentum = 0.9").replace("[16, 8]", "[16, 0]")
    text = text.replace('"digits"', '"imagenet"').replace("seed = 3", 'seed = "3"')
    with pytest.raises(RecipeError) as caught:
        _read(tmp_path, text)
    first, *lines = str(caught.value).splitlines()
    assert first == f"{tmp_path / 'net.toml'} is not a recipe:"
    assert sorted(line.split(":")[0].strip() for line in lines) == [
        "data", "hidden.1", "seed", "training.epochs", "training.momentum",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "section, message",
    [
        ('planes = "binary"', "threshold belongs to binary planes, which need it"),
        ('planes = "stochastic"', "presentations belong to stochastic planes, which need them"),
        ("presentations = [3]", "presentations belong to stochastic planes, which need them"),
        ('planes = "stochastic"\npresentations = []', r"input.presentations: .*at least 1 item"),
        ('planes = "stochastic"\npresentations = [3, 0]', r"input.presentations.1: .*equal to 1"),
        ('planes = "stochastic"\npresentations = [3, 3]', r"presentations = \[3, 3\] repeat"),
        ('shown = "grey"', "shown belongs to stochastic planes"),
        ('accumulate = "output"', "accumulate belongs to stochastic planes"),
        ("seed = 1", "seed belongs to stochastic planes"),
        ('planes = "stochastic"\npresentations = [3]\nshown = "gray"', "should be 'grey'"),
        ('planes = "stochastic"\npresentations = [3]\nshown = 0', "greater than or equal to 1"),
        ('planes = "stochastic"\npresentations = [3]\ngenerator = "dice"', "'lfsr'"),
        ('planes = "stochastic"\npresentations = [3]\naccumulate = "last"', "'first' or 'output'"),
        ("threshold = 3", "threshold belongs to binary planes, which need it"),
        ('planes = "binary"\nthreshold = 3\nlow = 0.0', "low and high belong to fixed-point"),
        ("low = 1.0", "low = 1.0 must be less than high = 1.0"),
        ("low = nan", "input.low: Input should be a finite number"),
    ],
)
def test_input_fields_must_agree(tmp_path, section, message):
    with pytest.raises(RecipeError, match=message):
        _read(tmp_path, f"{GOOD}\n[input]\n{section}\n")


def test_stochastic_planes(tmp_path):
    given = 'planes = "stochastic"\npresentations = [8, 3]\ngenerator = "taps"\nseed = 5'
    recipe = _read(tmp_path, f"{GOOD}\n[input]\n{given}\n")
    assert recipe.input.shown is None and recipe.input.accumulate is None
    assert recipe.input.stochastic(5) == Stochastic(5, (8, 3), 5, "taps")
    assert _read(tmp_path, GOOD).input.stochastic(5) is None


CONVOLVED = 'seed = 3\nconvolutions = [{ channels = 4, padding = 1, fill = "minus" }]'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("[16, 8]", "[]"), "a network needs hidden layers, or convolutions"),
        (GOOD.replace("seed = 3", CONVOLVED.replace("padding = 1", "padding = 3")),
         "convolutions.0: Value error, padding = 3 must be less than kernel = 3"),
        (GOOD.replace("seed = 3", CONVOLVED.replace("minus", "zero")), "convolutions.0.fill: "),
        (GOOD.replace("seed = 3", CONVOLVED) + "[input]\nlow = 0.0\n",
         "convolutions.0 reads -1 outside of images, which must be input.low, not 0.0"),
        (GOOD.replace("seed = 3", CONVOLVED)
         + '[input]\nplanes = "stochastic"\npresentations = [3]\n',
         "stochastic planes belong to networks without convolutions"),
    ],
)  # fmt: skip
def test_convolutions_that_do_not_fit(tmp_path, text, message):
    with pytest.raises(RecipeError, match=re.escape(message)):
        _read(tmp_path, text)


def test_convolutions_alone_are_a_network(tmp_path):
    recipe = _read(tmp_path, GOOD.replace("seed = 3", CONVOLVED).replace("[16, 8]", "[]"))
    assert recipe.convolutions[0].side(8) == 8 and recipe.convolutions[0].kernel == 3


def test_a_missing_section_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"training: Field required"):
        _read(tmp_path, GOOD.split("[training]")[0])


def test_other_files_are_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"net.toml is not TOML: "):
        _read(tmp_path, "name = [")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match=r"bytes.toml is not TOML: "):
        Recipe.read(tmp_path / "bytes.toml")
    with pytest.raises(RecipeError, match=r"none.toml cannot be read: No such file"):
        Recipe.read(tmp_path / "none.toml")


def test_a_recipe_is_frozen(tmp_path):
    with pytest.raises(ValueError, match="frozen"):
        _read(tmp_path, GOOD).seed = 4  # type: ignore[misc]
