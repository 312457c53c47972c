# SPDX-License-Identifier: BSD-2-Clause
"""The Python of the pages runs as it stands there, links lead somewhere, tables are complete."""

import json
import re
import types
import typing
from enum import StrEnum
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel

from twincell import cli
from twincell.model.planes import Stochastic
from twincell.model.recipe import Convolution, Recipe

ROOT = Path(__file__).parent.parent
UNIONS = typing.Union, types.UnionType
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_on_the_page_runs(page, tmp_path, monkeypatch):
    blocks = re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks, f"{page.name} has no Python"
    monkeypatch.chdir(tmp_path)
    exec(compile("\n".join(blocks), str(page), "exec"), {"__name__": page.stem})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#:]*)(#[^)]*)?\)", page.read_text()):
        found = page.parent / target if target else page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE)
            named = [re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings]
            assert anchor[1:] in named, f"{target}{anchor}"


def commands(page: Path) -> list[list[str]]:
    """The words of every command line of `twincell` on a page."""
    text = page.read_text()
    shell = "\n".join(re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    lines = re.findall(r"^twincell .*$", shell.replace("\\\n", " "), re.MULTILINE)
    lines += re.findall(r"`(twincell [^`]*)`", text)
    return [line.partition("#")[0].split()[1:] for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_on_the_page_exist(page):
    assert page.name != "README.md" or len(commands(page)) > 20
    for words in commands(page):
        command = typer.main.get_command(cli.app)
        known = {name for param in command.params for name in param.opts} | {"--help"}
        for word in words:
            if word in getattr(command, "commands", {}):
                command = command.commands[word]
                known |= {name for param in command.params for name in param.opts}
            elif word.startswith("-"):
                assert word.partition("=")[0] in known, f"{word} of {' '.join(words)}"
            else:
                assert not hasattr(command, "commands"), f"{word} of {' '.join(words)}"


@pytest.mark.parametrize("name", ["digits-mlp", "digits-conv", "mnist-mlp", "fashion-mlp"])
def test_accuracies_in_the_readme_are_those_of_the_zoo(name):
    measured = json.loads((ROOT / "zoo" / f"{name}.json").read_text())
    (row,) = re.findall(
        rf"^\| `{name}`, .* test images, .*$", (ROOT / "README.md").read_text(), re.M
    )
    assert f" {measured['correct']:,} of {measured['test_images']:,} " in row
    low, high = (100 * end for end in measured["wilson_95"])
    digits = 1 if measured["test_images"] < 1000 else 2
    assert f"{100 * measured['accuracy']:.{digits}f} % (" in row
    assert f"{low:.{digits}f} to {high:.{digits}f})" in row


def fields(model: type[BaseModel], prefix: str = "") -> dict[str, typing.Any]:
    """Every key of a recipe and its field, those of sections by their path."""
    found = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        kinds = typing.get_args(kind) if typing.get_origin(kind) in UNIONS else (kind,)
        section = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if section:
            found |= fields(section[0], f"{prefix}{name}.")
        else:
            found[prefix + name] = field
    return found


def words(annotation: object) -> set[str]:
    """The words that a field takes."""
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return set(map(str, annotation))
    parts = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return set(parts)
    inside = typing.get_origin(annotation) in (*UNIONS, typing.Annotated)
    return set().union(*map(words, parts)) if inside else set()


def test_every_key_of_a_recipe_is_on_its_page():
    page = (ROOT / "docs" / "training.md").read_text()
    network, convolution = page.split("A table of `convolutions`:")
    # What is `None` in a recipe has these defaults elsewhere, or none.
    planes = {f"input.{each}": getattr(Stochastic(8, (1,)), each)
              for each in ("accumulate", "generator", "seed")}  # fmt: skip
    told = {"input.threshold": "none", "input.presentations": "none", "convolutions": "none",
            "input.shown": "the first of `presentations`"}  # fmt: skip
    for text, model in ((network, Recipe), (convolution, Convolution)):
        rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line[:3] == "| `"]
        listed = {}
        for keys, values, default, *_ in rows:
            names = re.findall("`(.*?)`", keys)
            listed |= {
                name: (set(re.findall("`(.*?)`", values)) - {"kernel"}, given)
                for name, given in zip(names, (default.split(", ") * 2)[: len(names)], strict=True)
            }
        known = fields(model)
        assert listed.keys() == known.keys()
        for name, field in known.items():
            allowed, default = listed[name]
            assert name == "name" or allowed == words(field.annotation), name
            if name in told:
                assert default == told[name]
            elif field.is_required():
                assert default == "-", name
            else:
                given = planes.get(name, field.default)
                assert default == (f"`{given}`" if isinstance(given, str) else f"{given:g}"), name
