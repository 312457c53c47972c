# SPDX-License-Identifier: BSD-2-Clause
"""Compiles the *player* of a generated top: its Verilog, turned into C++ by Verilator.

The player, ``player.cpp``, feeds a file of beats into stream ``i`` and records the beats of stream
``o`` with their cycles. It knows nothing of weights: memory files are read when it starts, so that
networks of one shape share one compilation, which is cached by the content of its sources.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import compiled, toolchain
from .ports import Ports, read
from .results import BuildError

PLAYER = Path(__file__).with_name("player.cpp")
WRAPPER = "twincell_player_"  # a module name that no network has

_VERILATOR_FLAGS = (
    *("--cc", "--exe", "--top-module", WRAPPER, "--prefix", "Vplayer", "-Mdir", "obj", "-O3"),
    *("--x-assign", "fast", "--x-initial", "fast", "--no-timing", "-Wno-lint", "-Wno-style"),
)
# Hashes of weights stand there, and networks of one shape should share one compilation.
_HEADER = re.compile(r"\A(//.*\n)+")
_EDGES = {
    "in": "  input [{1}:0] {0}_payload, input {0}_valid, output {0}_ready",
    "out": "  output [{1}:0] {0}_payload, output {0}_valid, input {0}_ready",
}
_OPTIMISE = "-O2 -march=native"  # -O3 compiles twice as long for a few percent


@dataclass(frozen=True)
class Player:
    """A compiled top: run it in its build directory, where the memory files are."""

    binary: Path
    ports: Ports
    seconds: float


def compile_player(build: Path, *, trace: bool = False) -> Player:
    """The player of a build directory, compiled unless a cached one has the same sources."""
    ports, tool = read(build), toolchain.verilator()
    start = time.perf_counter()
    wrapper, flags = _wrapper(ports), _flags(ports, trace)
    key = hashlib.sha256()
    for part in (
        _HEADER.sub("", ports.source.read_text()),
        *(model.read_text() for model in ports.sources[1:]),
        wrapper,
        PLAYER.read_text(),
        " ".join((*_VERILATOR_FLAGS, *flags, _OPTIMISE)),
        tool.version,
        toolchain.compiler_version(),
    ):
        key.update(part.encode() + b"\0")
    home = compiled.use(toolchain.cache_directory() / "native" / key.hexdigest()[:32])
    if not (home / "player").exists():
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".build-") as scratch:
            _compile(Path(scratch), ports, wrapper, flags, tool)
            home.mkdir(exist_ok=True)
            (Path(scratch) / "player").replace(home / "player")
    return Player(home / "player", ports, time.perf_counter() - start)


def _wrapper(ports: Ports) -> str:
    """A module of fixed port names around the top, since C++ names of double underscores differ."""
    i, o = ports.stream("i"), ports.stream("o")
    if (i.direction, o.direction) != ("in", "out"):
        raise BuildError(f"{ports.top}: stream i must be an input and o an output")
    played = {name: ports.streams[name] for name in ("i", "o", "load") if name in ports.streams}
    pins = [(ports.clock, "clk"), (ports.reset, "rst")]
    for name, each in played.items():
        pins += [(getattr(each, p), f"{name}_{p}") for p in ("payload", "valid", "ready")]
    pins += [(n, f"{p['width']}'d0") for n, p in ports.others.items() if p["direction"] == "in"]
    connections = ", ".join(f".{name}({pin})" for name, pin in pins if name)
    constants = [
        f"assign {wire} = 1'b1;"
        for wire, name in (("i_ready", i.ready), ("o_valid", o.valid))
        if name is None
    ]
    edges = [_EDGES[each.direction].format(name, each.width - 1) for name, each in played.items()]
    return "\n".join(
        [
            f"module {WRAPPER}(input clk, input rst,",
            ",\n".join(edges) + ");",
            *constants,
            f"{ports.top} top ({connections});",
            "endmodule\n",
        ]
    )


def _flags(ports: Ports, trace: bool) -> tuple[str, ...]:
    i, o = ports.stream("i"), ports.stream("o")
    mask = 0xFF >> (-i.width % 8)
    load = ports.streams["load"].bytes if "load" in ports.streams else 0
    sizes = f"-DIN_BYTES={i.bytes} -DOUT_BYTES={o.bytes} -DIN_MASK={mask} -DLOAD_BYTES={load}"
    return ("-CFLAGS", sizes + (" -DTRACE" if trace else ""), *(["--trace"] if trace else []))


def _compile(
    here: Path, ports: Ports, wrapper: str, flags: Sequence[str], tool: toolchain.Verilator
) -> None:
    """Compiles in ``here``, which then holds the binary ``player``."""
    (here / "wrapper.v").write_text(wrapper)
    shutil.copy(ports.source, here / "design.v")
    shutil.copy(PLAYER, here / "player.cpp")
    for model in ports.sources[1:]:
        shutil.copy(model, here / model.name)
    sources = ["design.v", *ports.models, "wrapper.v", "player.cpp"]
    jobs = str(os.cpu_count() or 1)
    optimise = [f"OPT_FAST={_OPTIMISE}", f"OPT_GLOBAL={_OPTIMISE}", "OPT_SLOW=-O1"]
    for command in (
        [str(tool.binary), *_VERILATOR_FLAGS, *flags, *sources],
        ["make", "-C", "obj", "-f", "Vplayer.mk", "-j", jobs, *optimise],
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
            raise BuildError("\n".join([f"{ports.source} does not compile:", *said]))
    (here / "obj" / "Vplayer").replace(here / "player")
