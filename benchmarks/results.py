# SPDX-License-Identifier: BSD-2-Clause
"""Where benchmarks leave what they found."""

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from twincell.model.files import write_bytes

RESULTS = Path(__file__).parent.parent / "docs" / "results"


def add_output(parser: ArgumentParser) -> None:
    """The options of :func:`put`."""
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help="to docs/results")


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions of what a measurement depends on."""
    return {package: version(package) for package in packages}


def hardware_versions(tools: Sequence[str]) -> dict[str, str]:
    """The same where hardware is made, by such tools."""
    return versions(("amaranth", "twincell", *tools))


def made_with(results: dict) -> str:
    """What a page says of ``results["versions"]``."""
    return ", ".join(f"{name} {number}" for name, number in results["versions"].items())


def put(name: str, results: dict, page: str, *, as_json: bool, write: bool) -> None:
    """Prints results as JSON or as their page; ``write`` replaces ``name``.json and .md in
    docs/results."""
    text = json.dumps(results, indent=2) + "\n"
    if write:
        write_bytes(RESULTS / f"{name}.json", text.encode())
        write_bytes(RESULTS / f"{name}.md", page.encode())
    print(text if as_json else page, end="")
