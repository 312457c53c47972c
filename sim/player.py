# SPDX-License-Identifier: BSD-2-Clause
"""Compiles the *player* of a generated top: its Verilog, turned into C++ by Verilator.

The player, ``player.cpp``, feeds a file of beats into stream ``i`` and records the beats of stream
``o`` with their cycles.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from .ports import Ports, read
from .results import BuildError
from .verilated import Program

PLAYER = Path(__file__).with_name("player.cpp")
WRAPPER = "twincell_player_"  # a module name that no network has

_EDGES = {
    "in": "  input [{1}:0] {0}_payload, input {0}_valid, output {0}_ready",
    "out": "  output [{1}:0] {0}_payload, output {0}_valid, input {0}_ready",
}


@dataclass(frozen=True)
class Player:
    """A compiled top: run it in its build directory, where the memory files are."""

    binary: Path
    ports: Ports
    seconds: float


def compile_player(build: Path, *, trace: bool = False, short: bool = False) -> Player:
    """The player of a build directory, compiled unless a cached one has the same sources; for
    ``short`` runs it is compiled sooner and is a little slower."""
    ports, start = read(build), time.perf_counter()
    wrapper, flags = _wrapper(ports), _flags(ports, trace)
    binary = Program(ports, (wrapper, WRAPPER), "player", PLAYER, flags, short).binary()
    return Player(binary, ports, time.perf_counter() - start)


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
