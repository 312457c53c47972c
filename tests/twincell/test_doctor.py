# SPDX-License-Identifier: BSD-2-Clause
"""What ``twincell doctor`` says of the tools that only boards need."""

import re
import sys
import tomllib
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from twincell import doctor, reports


def project() -> dict:
    """What pyproject.toml says of the project."""
    return tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


def packages(requirements: list[str]) -> set[str]:
    """Their names, without versions and options."""
    return {re.split(r"[^\w.-]", each, maxsplit=1)[0] for each in requirements}


def test_every_package_of_boards_is_looked_at():
    named = packages(project()["optional-dependencies"]["fpga"])
    assert {package for package, _ in doctor.BOARDS.values()} == named | {
        "apycula"
    }  # which nextpnr's package for Gowin brings


def test_what_boards_need_is_optional(monkeypatch):
    """Each tool has its use and its remedy, and none of them makes the rest unhealthy."""
    version = metadata.version
    packages = {package for package, _ in doctor.BOARDS.values()}

    def without_boards(name):
        if name in packages:
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_boards)
    monkeypatch.setattr(doctor, "find_library", lambda name: None)
    tools = doctor.doctor()
    missing = {tool.name: tool for tool in tools if tool.version is None and not tool.required}
    missing.pop("icarus", None)
    assert {*missing} == {*doctor.BOARDS, "libusb", "libftdi"}
    assert missing["cobs"].use == "frames of boards' links"
    assert missing["cobs"].remedy == f"{sys.executable} -m pip install 'twincell[fpga]'"
    assert missing["libusb"].use == "for openFPGALoader"
    assert missing["libusb"].remedy == "apt-get install libusb-1.0-0"
    assert doctor.healthy(tools)


@pytest.mark.parametrize("name", doctor.BOARDS)
def test_a_package_of_boards_that_is_there(name):
    found = doctor._of_boards(name, *doctor.BOARDS[name])
    assert found.version == metadata.version(doctor.BOARDS[name][0]) and not found.required


def test_everything_that_the_project_needs_is_looked_at(capsys):
    found = {tool.name: tool for tool in doctor.doctor()}
    assert packages(project()["dependencies"]) <= found.keys()
    missing = replace(found["cobs"], version=None, remedy=doctor.INSTALL)
    reports.put({}, reports.doctor_table([missing]), False)
    assert "'twincell[fpga]'" in capsys.readouterr().out.replace("\n", "").replace(" ", "")
