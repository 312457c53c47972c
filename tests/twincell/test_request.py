# SPDX-License-Identifier: BSD-2-Clause
"""The command line of a verification asks for the same verification."""

import shlex
from pathlib import Path

import pytest

from twincell import api
from twincell.hw.plan import Budget
from twincell.injection import Injection
from twincell.networks import UsageError
from twincell.request import Request

PLAIN = {
    "net": "digits-mlp", "simulator": "native", "budget": Budget(), "dataset": None,
    "directory": None, "array": "digital", "injection": Injection(), "presentations": None,
    "pauses": "none", "seed": 0,
}  # fmt: skip
OTHERS = [
    {},
    {"simulator": "icarus", "dataset": "random", "directory": Path("a b"), "pauses": "both"},
    {"presentations": 3, "seed": 9, "injection": Injection(seed=9)},
    {"budget": Budget(lanes=30, arrangement=("rows", "columns"), first_layer="parallel")},
    {"budget": Budget(images_per_second=2500.0, clock=25e6, arrangement="rows")},
    {"array": "emulated", "injection": Injection(ber=1e-3, transient=2e-2, stuck=0.1)},
    {"array": "macro", "injection": Injection(device="rram-weak")},
    {"array": "digital", "injection": Injection(file=Path("some errors"))},
]


@pytest.mark.parametrize("changed", OTHERS)
def test_the_command_asks_for_the_same(twincell, changed, monkeypatch):
    asked = Request(**PLAIN | changed)
    words = shlex.split(asked.command(7, errors=asked.injection != Injection()))
    seen = {}

    def verify(net, images, **options):
        seen.update(options, net=net, images=images)
        raise UsageError("seen")

    monkeypatch.setattr(api, "verify", verify)
    assert twincell(*words[1:])[0] == 2
    seen.pop("progress")
    assert seen.pop("images") == 7
    seen["array"] = seen["array"] or "digital"
    assert seen == vars(asked)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [("simulator", "vcs", "simulator"), ("pauses", "long", "kind of pauses")],
)
def test_choices_are_named(name, value, told):
    with pytest.raises(UsageError, match=rf"^The {told} is one of .*, not '{value}'$"):
        Request(**PLAIN | {name: value})


def test_the_errors_keep_their_own_seed(twincell, monkeypatch):
    """In Python they have one; the command that repeats a run then names it."""
    asked = Request(**PLAIN | {"injection": Injection(ber=0.01, seed=7), "seed": 0})
    words = shlex.split(asked.command(5, errors=True))
    assert words[-4:] == ["--seed", "0", "--error-seed", "7"]
    assert "--error-seed" not in asked.command(5, errors=False)
    seen = {}

    def verify(*_, **options):
        seen.update(options)
        raise UsageError("seen")

    monkeypatch.setattr(api, "verify", verify)
    assert twincell(*words[1:])[0] == 2
    assert (seen["seed"], seen["injection"]) == (0, asked.injection)
