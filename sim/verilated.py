# SPDX-License-Identifier: BSD-2-Clause
"""Programs that Verilator makes of a generated top, compiled once and cached by their sources.

A program is the Verilog behind a wrapper module of fixed port names, and a C++ file that drives it.
It knows nothing of weights: memory files are read when it starts, so that networks of one shape
share one compilation.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..hw import tools
from . import compiled, toolchain
from .ports import Ports
from .results import BuildError

_FLAGS = (
    *("--cc", "--exe", "-Mdir", "obj", "-O3"),
    *("--x-assign", "fast", "--x-initial", "fast", "--no-timing", "-Wno-lint", "-Wno-style"),
)
# Hashes of weights stand there, and networks of one shape should share one compilation.
_HEADER = re.compile(r"\A(//.*\n)+")
_OPTIMISE = "-O2 -march=native"  # -O3 compiles twice as long for a few percent
_OPTIMISE_SHORT = "-O1 -march=native"  # compiles in about half the time, runs an eighth slower
_OPTIMISE_LIBRARY = "-O1"  # Verilator's own, where no time is spent; ccache has it once for all


@dataclass(frozen=True)
class Program:
    """What is compiled.

    Parameters
    ----------
    ports : of the top
    wrapper : Verilog of the module around it, and its name
    name : of the binary; the class in C++ is ``V<name>``
    main : the C++ file
    flags : of Verilator, besides those of all programs
    short : whether it runs so shortly that it had better be compiled soon than be fast
    """

    ports: Ports
    wrapper: tuple[str, str]
    name: str
    main: Path
    flags: Sequence[str] = ()
    short: bool = False

    @property
    def optimise(self) -> list[str]:
        """What make is told of the C++ compiler's optimisation."""
        fast = _OPTIMISE_SHORT if self.short else _OPTIMISE
        return [f"OPT_FAST={fast}", f"OPT_GLOBAL={_OPTIMISE_LIBRARY}", "OPT_SLOW=-O1"]

    @property
    def all_flags(self) -> list[str]:
        """What Verilator is told."""
        return [*_FLAGS, "--top-module", self.wrapper[1], "--prefix", f"V{self.name}", *self.flags]

    def binary(self) -> Path:
        """The program, compiled unless a cached one has the same sources.

        Raises ``ToolMissing``, and ``BuildError`` when the Verilog does not compile.
        """
        tool = toolchain.verilator()
        key = hashlib.sha256()
        for part in (
            _HEADER.sub("", self.ports.source.read_text()),
            *(model.read_text() for model in self.ports.sources[1:]),
            self.wrapper[0],
            self.main.read_text(),
            " ".join((*self.all_flags, *self.optimise)),
            tool.version,
            toolchain.compiler_version(),
        ):
            key.update(part.encode() + b"\0")
        home = compiled.use(tools.cache_directory() / "native" / key.hexdigest()[:32])
        if not (home / self.name).exists():
            with tempfile.TemporaryDirectory(dir=home.parent, prefix=".build-") as scratch:
                self._compile(Path(scratch), tool)
                home.mkdir(exist_ok=True)
                (Path(scratch) / self.name).replace(home / self.name)
        return home / self.name

    def _compile(self, here: Path, tool: toolchain.Verilator) -> None:
        """Compiles in ``here``, which then holds the binary."""
        (here / "wrapper.v").write_text(self.wrapper[0])
        shutil.copy(self.ports.source, here / "design.v")
        shutil.copy(self.main, here / self.main.name)
        for model in self.ports.sources[1:]:
            shutil.copy(model, here / model.name)
        sources = ["design.v", *self.ports.models, "wrapper.v", self.main.name]
        jobs = str(os.cpu_count() or 1)
        for command in (
            [str(tool.binary), *self.all_flags, *sources],
            ["make", "-C", "obj", "-f", f"V{self.name}.mk", "-j", jobs, *self.optimise],
        ):
            done = subprocess.run(
                command,
                cwd=here,
                env=tool.environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                said = (done.stdout + done.stderr).strip().splitlines()[-15:]
                raise BuildError("\n".join([f"{self.ports.source} does not compile:", *said]))
        (here / "obj" / f"V{self.name}").replace(here / self.name)
