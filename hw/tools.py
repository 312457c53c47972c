# SPDX-License-Identifier: BSD-2-Clause
"""Tools that simulation and build flows call: where they keep things, those that come from pip, and
what is said when one is not there."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from ..model import files


class ToolMissing(RuntimeError):
    """A tool that this needs is not there; ``install`` is the command that installs it."""

    def __init__(self, tool: str, install: str):
        super().__init__(f"{tool} is missing; install it with: {install}")
        self.tool = tool
        self.install = install


def cache_directory() -> Path:
    """Where what was made is kept: ``twincell`` in XDG_CACHE_HOME or ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "twincell"


def cache_remedy(variable: str = "XDG_CACHE_HOME") -> str:
    """What helps where a cache, which a variable of the environment moves, cannot be written."""
    return f"Set {variable} to a directory that can"


def run(
    statement: str, arguments: Sequence[str], directory: Path
) -> subprocess.CompletedProcess[str]:
    """Runs a tool that is a Python package in a directory; paths in its arguments are relative.

    YoWASP maps a private directory over the temporary one, where an absolute output would vanish;
    a mount table of the user's would hide this directory.

    Parameters
    ----------
    statement : in Python, what runs the tool with this process's arguments

    Raises :class:`~twincell.model.files.WriteError` where it fails because YoWASP, which keeps
    itself compiled in a cache, cannot write it.
    """
    done = subprocess.run(
        [sys.executable, "-c", statement, *arguments],
        cwd=directory,
        env={name: value for name, value in os.environ.items() if name != "YOWASP_MOUNT"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode and "Traceback" in done.stderr:
        if own := os.environ.get("YOWASP_CACHE_DIR"):
            files.folder(own, cache_remedy("YOWASP_CACHE_DIR"))
        else:
            files.folder(platformdirs.user_cache_dir("YoWASP", appauthor=False), cache_remedy())
    return done
