# SPDX-License-Identifier: BSD-2-Clause
"""Gates, registers and area of a component by real synthesis, for each of its parts.

Component -> RTLIL -> Yosys, to a library of inverters, NAND2, NOR2 and registers of one kind
(``abc -g cmos2``), or to the cells of a Liberty file. Modules that stay modules are the layers and,
in them, what :data:`PARTS` names; constants and what is unused still cross their borders
(``opt_hier``), so the sum differs from a flat synthesis by about 2 %. Modules that are equal are
synthesized once and counted as often as they are used. Memories stay memories: their control is
synthesized, their bits are not counted.
"""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from amaranth.lib import wiring

from ..arrays.macro_files import STUB, stub
from ..arrays.pins import MODULE
from ..verilog import Ports, run_yosys, to_rtlil
from .sensed import Sensed

TOP = "top"
# Transistors as `stat -tech cmos` counts them; a gate equivalent is a NAND2.
TRANSISTORS = {"$_NOT_": 2, "$_NAND_": 4, "$_NOR_": 4, "$_DFF_P_": 16}
GATE_EQUIVALENT = TRANSISTORS["$_NAND_"]

_SCRIPT = """\
read_rtlil in.il
hierarchy -top top
proc
opt_expr
opt_clean
opt_hier
flatten
opt_hier
synth -run begin:fine
opt_hier
opt -fast -full
opt -undriven -fine
techmap
opt -fast
dffunmap
simplemap
{mapped}
opt_clean
delete t:$scopeinfo
tee -q -o stat.json stat {figures} -json
"""
_GENERIC = {"mapped": "abc -g cmos2", "figures": "-tech cmos"}
# dfflibmap maps resets that the file has no register for to gates by itself.
_LIBERTY = {
    "mapped": "dfflibmap -liberty cells.lib\nabc -liberty cells.lib",
    "figures": "-liberty cells.lib",
}


class SynthesisError(RuntimeError):
    """Yosys failed, or mapped to what cannot be counted; the message ends with what it said."""


class Part(StrEnum):
    """What a piece of hardware is for."""

    ARRAYS = "arrays"
    POPCOUNT = "popcount"
    ACCUMULATE = "accumulate"
    RANDOM = "random"
    CONTROL = "control"


# Modules that stay modules, below a layer.
PARTS = {
    r"\.sums\.array": Part.ARRAYS,
    r"\.sums\.counting(\.(popcount|tree)\d*)?": Part.POPCOUNT,
    r"\.sums\.accumulator\d+": Part.ACCUMULATE,
    r"\.passes": Part.ACCUMULATE,
}
# What stands beside the layers to show them random planes.
BESIDE = ("presenter", "chosen")
_WORDS = "_words"  # ends the name of the gearbox in front of a layer


@dataclass(frozen=True)
class Cells:
    """What a synthesis gave.

    Parameters
    ----------
    transistors : of gates and registers of the generic library; 0 with a Liberty file
    registers : bits
    area : of the cells of a Liberty file, in its unit, usually um^2; ``None`` without
    """

    transistors: int = 0
    registers: int = 0
    area: float | None = None

    def __add__(self, other: "Cells") -> "Cells":
        areas = [each.area for each in (self, other) if each.area is not None]
        return Cells(
            self.transistors + other.transistors,
            self.registers + other.registers,
            sum(areas) if areas else None,
        )

    @property
    def gate_equivalents(self) -> float:
        """NAND2 of as many transistors."""
        return self.transistors / GATE_EQUIVALENT


Synthesis = dict[tuple[str, Part], Cells]  # by the layer's name and the part


def source(component: wiring.Component) -> str:
    """The RTLIL that is synthesized, with one of each module and the parts marked."""
    return _kept(_shared(to_rtlil(component, TOP, _pins(component))))


def synthesize(component: wiring.Component, *, liberty: Path | None = None) -> Synthesis:
    """Cells of a network by layer and part; what belongs to no layer has the name "".

    Parameters
    ----------
    component : whose submodules are layers, as those of :class:`~..network.Network`
    liberty : a file of cells to map to; by default the generic library

    Raises :class:`SynthesisError` when Yosys fails, as it does for a file that it cannot read, and
    when something is left that is no cell of the library.
    """
    if liberty is not None and not liberty.is_file():
        raise SynthesisError(f"There is no Liberty file {liberty}")
    with tempfile.TemporaryDirectory(prefix="twincell-") as scratch:
        here = Path(scratch)
        (here / "in.il").write_text(source(component))
        if liberty is not None:
            (here / "cells.lib").write_bytes(liberty.read_bytes())
        (here / STUB).write_text(stub())
        script = f"read_verilog -lib {STUB}\n"
        script += _SCRIPT.format(**(_GENERIC if liberty is None else _LIBERTY))
        (here / "synth.ys").write_text(script)
        run = run_yosys(here, "synth.ys")
        if run.returncode or not (here / "stat.json").exists():
            said = (run.stdout + run.stderr).strip().splitlines()[-8:]
            raise SynthesisError("\n".join([f"Yosys failed (exit {run.returncode}):", *said]))
        stat = json.loads((here / "stat.json").read_text())
    modules = {name.removeprefix("\\"): module for name, module in stat["modules"].items()}
    found: Synthesis = {}
    for layer, name, times in _used(modules, TOP):
        key = layer, part_of(name)
        found[key] = found.get(key, Cells()) + _cells(name, modules, times)
    return found


def _pins(component: wiring.Component) -> Ports:
    """Pins of the arrays that are outside."""
    found = {}
    for index, array in enumerate(getattr(component, "arrays", ())):
        if isinstance(array, Sensed):
            found |= {f"array{index}__{name}": pin for name, pin in array.pins().items()}
    return found


def part_of(module: str) -> Part:
    """What a module is for, by its path."""
    if module.removeprefix(f"{TOP}.") in BESIDE:
        return Part.RANDOM
    below = re.sub(rf"^{TOP}(\.[^.]+)?", "", module)
    return next((part for path, part in PARTS.items() if re.fullmatch(path, below)), Part.CONTROL)


def _modules(text: str) -> Iterator[str]:
    """The modules of RTLIL, with their attributes."""
    yield from re.findall(r"(?:^attribute .*\n)*^module .*?^end\n", text, re.MULTILINE | re.DOTALL)


def _name(module: str) -> str:
    found = re.search(r"^module (\\\S+)", module, re.MULTILINE)
    if found is None:
        raise SynthesisError(f"RTLIL has a module without a name: {module[:80]!r}")
    return found[1]


def _shared(text: str) -> str:
    """The RTLIL with one of each module, those that are equal but for the name being replaced by
    the first of them."""
    modules = {_name(module): module for module in _modules(text)}
    while True:
        first: dict[str, str] = {}
        found = {}
        for name, module in modules.items():
            body = module.replace(f"module {name}\n", "module\n", 1)
            # A layer stays itself: its name tells what its parts are counted for.
            kept = first.setdefault(body, name) if name.count(".") > 1 else name
            if kept != name:
                found[name] = kept
        if not found:
            return "".join(modules.values())
        modules = {
            name: _replaced(module, found) for name, module in modules.items() if name not in found
        }


def _replaced(module: str, found: Mapping[str, str]) -> str:
    """A module whose parts are those that stand for them."""

    def other(use: re.Match) -> str:
        return f"{use[1]}{found.get(use[2], use[2])} "

    return re.sub(r"^(\s*cell )(\\\S+) ", other, module, flags=re.MULTILINE)


def _kept(text: str) -> str:
    """The RTLIL with the modules marked that stay modules."""
    below = "|".join(PARTS)
    kept = re.compile(rf"^module (?=\\{TOP}\.[^.\s]+((?:{below}))?$)", re.MULTILINE)
    return kept.sub("attribute \\\\keep_hierarchy 1\nmodule ", text)


def _used(modules: dict, name: str, layer: str = "", times: int = 1) -> Iterator:
    """Layer, name and number of the modules that a module is made of, itself included."""
    yield layer, name, times
    for kind, count in modules[name]["num_cells_by_type"].items():
        if kind in modules:
            inside = layer or kind.rpartition(".")[2].removesuffix(_WORDS)
            yield from _used(modules, kind, inside, times * count)


def _cells(name: str, modules: dict, times: int) -> Cells:
    module = modules[name]
    by_type = module["num_cells_by_type"]
    used = {kind: count for kind, count in by_type.items() if kind in modules}
    # Memories and black boxes are counted elsewhere.
    logic = {
        kind: count
        for kind, count in by_type.items()
        if kind not in used and kind not in ("$mem_v2", MODULE)
    }
    if "area" in module:
        strange = [kind for kind in logic if kind.startswith("$")]
        # The area of a module has that of those in it, which are counted on their own.
        inside = sum(modules[kind]["area"] * count for kind, count in used.items())
        cells = Cells(0, 0, (module["area"] - inside) * times)
    else:
        strange = [kind for kind in logic if kind not in TRANSISTORS]
        transistors = sum(TRANSISTORS.get(kind, 0) * count for kind, count in logic.items())
        cells = Cells(transistors * times, logic.get("$_DFF_P_", 0) * times)
    if strange:
        raise SynthesisError(f"{name}: the library has no cell for {', '.join(strange)}")
    return cells
