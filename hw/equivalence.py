# SPDX-License-Identifier: BSD-2-Clause
"""A proof that emitted Verilog does what the RTLIL does from which it was made.

The RTLIL, as Amaranth made it, and the Verilog with its memory files, as they lie on disk, are read
by Yosys, and nothing is flattened. For each module of the hierarchy and its counterpart:

1. ports and instances are the same, and by their names registers and memories; registers have the
   same initial values and clock edges, memories the same shape and contents, word by word;
2. with both cut open at registers, memories and instances, the same inputs, states, memory words
   and outputs of instances give the same outputs, next states, clocks, reads and writes of
   memories, and inputs of instances. Each bit is proven by SAT, for every value of what it depends
   on.

So both are the same system of equations, for the whole hierarchy, from the same initial state; as
the RTLIL has no combinational cycle, which Amaranth checks, it has one solution in every cycle: the
two designs give the same outputs for every sequence of inputs, of any length. Bits that Verilog
leaves undefined are free in the proof, so it holds whatever they are. Registers and memories that
nothing reads are left out on both sides; what only the RTLIL has of them is proven constant, or is
free, so that nothing depends on it. Black boxes are the same on both sides, whatever they do.

What the proof trusts is Yosys, which writes the Verilog, reads it and solves. That simulators and
synthesis read it in the same way is what simulation shows.
"""

import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .cuts import Cut, Difference, cut
from .verilog import Emitted, run_yosys

# A register becomes one without enable and reset, a memory one that is read without a clock.
READ = """\
{read}
proc -norom
pmuxtree
memory_collect
memory_nordff
dffunmap
opt_clean
write_json {side}.json
design -reset
"""
# Most of both sides is the same gates; what that leaves goes to SAT, in small cones.
PROVE = """\
read_json joined.json
simplemap
select -set logic t:* t:$equiv %d
opt_expr @logic
opt_merge @logic
opt_expr @logic
opt_merge @logic
scc -expect 0
equiv_simple
tee -q -o status.txt equiv_status
"""
SHOWN = 8


class EquivalenceError(RuntimeError):
    """Verilog that is not proven equal to its RTLIL; the message names module and signals."""


@dataclass(frozen=True)
class Proof:
    """What was proven equal: ``bits`` of registers, outputs and connections in ``modules`` modules,
    and ``words`` of memories, in ``seconds``."""

    modules: int
    bits: int
    words: int
    seconds: float

    def __str__(self) -> str:
        what = f"{self.modules} modules, {self.bits:,} bits, {self.words:,} memory words"
        return f"{what}, {self.seconds:.1f} s"


def prove(emitted: Emitted) -> Proof:
    """Proves what was written equal to the RTLIL that it was made from.

    Raises :class:`EquivalenceError` when it is not proven.
    """
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="twincell-") as scratch:
        here = Path(scratch)
        gold, gate = _read(emitted, here)
        free: dict[str, set[str]] = {name: set() for name in gold}
        while True:
            cuts = dict(_cuts(emitted, gold, gate, free))
            unproven = _unproven(emitted, cuts, here)
            # A register that is not constant after all is there, but nothing may depend on it.
            wrong = [(module, bit) for module, bit in unproven if bit in cuts[module].constants]
            if not wrong:
                break
            for module, bit in wrong:
                free[module].add(bit)
    if unproven:
        more = [f"and {len(unproven) - SHOWN} more"] if len(unproven) > SHOWN else []
        lines = [f"in module {module}, {bit}" for module, bit in unproven[:SHOWN]]
        raise EquivalenceError(
            "\n".join([f"{emitted.verilog} is not proven equal:", *lines, *more])
        )
    bits = sum(len(made.names) for made in cuts.values())
    words = sum(made.words for made in cuts.values())
    return Proof(len(cuts), bits, words, time.perf_counter() - start)


def _read(emitted: Emitted, here: Path) -> tuple[dict, dict]:
    """The modules of the RTLIL and of the Verilog, by name."""
    for path in (emitted.verilog, *emitted.memories):
        shutil.copy(path, here)
    (here / "gold.il").write_text(emitted.rtlil)
    gold = READ.format(read="read_rtlil gold.il", side="gold")
    gate = READ.format(read=f"read_verilog {emitted.verilog.name}", side="gate")
    _run(here, "read", gold + gate)
    sides = (json.loads((here / f"{side}.json").read_text()) for side in ("gold", "gate"))
    gold_modules, gate_modules = (side["modules"] for side in sides)
    # A top that is a keyword has another name in the Verilog only.
    original = emitted.verilog.stem.replace("-", "_")
    if emitted.top in gate_modules:
        gate_modules[original] = gate_modules.pop(emitted.top)
    return gold_modules, gate_modules


def _cuts(
    emitted: Emitted, gold: dict, gate: dict, free: dict[str, set[str]]
) -> Iterator[tuple[str, Cut]]:
    for name in gold.keys() ^ gate.keys():
        what = "missing" if name in gold else "one too many"
        raise EquivalenceError(f"{emitted.verilog}: module {name} is {what}")
    library = {name: module["ports"] for name, module in gold.items()}
    for name, module in gold.items():
        try:
            yield name, cut(module, gate[name], library, free[name])
        except Difference as error:
            raise EquivalenceError(f"{emitted.verilog}: in module {name}, {error}") from None


def _unproven(emitted: Emitted, cuts: dict[str, Cut], here: Path) -> list[tuple[str, str]]:
    """Runs Yosys over the cuts: what is not proven, as modules and names of bits.

    Raises :class:`EquivalenceError` when it did not look at every bit.
    """
    modules = {f"m{index}": name for index, name in enumerate(cuts)}
    joined = {key: cuts[name].joined() for key, name in modules.items()}
    (here / "joined.json").write_text(json.dumps({"modules": joined}))
    _run(here, "prove", PROVE)
    found, unproven, name, names = 0, [], "", []
    for line in (here / "status.txt").read_text().splitlines():
        if started := re.match(r"Found (\d+) \$equiv cells in (m\d+):", line):
            found += int(started[1])
            name = modules[started[2]]
            names = cuts[name].names
        elif failed := re.match(r"\s*Unproven \$equiv \\?equal(\d+):", line):
            unproven.append((name, names[int(failed[1])]))
    expected = sum(len(made.names) for made in cuts.values())
    if found != expected:
        raise EquivalenceError(f"{emitted.verilog}: Yosys compared {found} bits of {expected}")
    return unproven


def _run(here: Path, name: str, script: str) -> None:
    (here / f"{name}.ys").write_text(script)
    run = run_yosys(here, f"{name}.ys")
    if run.returncode:
        said = (run.stdout + run.stderr).strip().splitlines()[-12:]
        raise EquivalenceError("\n".join([f"Yosys failed (exit {run.returncode}):", *said]))
