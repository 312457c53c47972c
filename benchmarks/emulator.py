# SPDX-License-Identifier: BSD-2-Clause
"""Area, speed and cycles of emulated memories on ECP5.

    python benchmarks/emulator.py [--seeds 1,2,3] [--json] [--write]

Every pin of a unit has a register in front of it or behind it, so that all paths are timed; these
registers are not counted. Tools, device and LUT4 are those of ``area.py``. An array of ordinary
memory stands beside the emulated ones: what they have more is the emulation.
"""

import argparse
import sys
from collections.abc import Callable

import numpy as np
from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect
from area_tools import TOOLS, add_options, heading, measured, report
from results import hardware_versions

from twincell.hw.arrays.cycles import expected_cycles
from twincell.hw.arrays.digital import DigitalArray
from twincell.hw.arrays.emulated import EmulatedArray
from twincell.hw.arrays.gaps import QUEUE_DEPTH, Gaps
from twincell.hw.arrays.mask import Masks
from twincell.hw.queue import Queue
from twincell.model.generators import gap_table, start

ROWS, READS, RATE = 128, 128, 1e-3
RATES = (2**-24, 1e-6, 1e-3, 0.02, 0.1, 0.5)


class Registered(wiring.Component):
    """A component with a register at every pin; ``registers`` is how many bits these have."""

    def __init__(self, part: wiring.Component):
        self.part = part
        self.pins = {
            "__".join(map(str, path)): (Value.cast(value), member.flow)
            for path, member, value in part.signature.flatten(part)
            if isinstance(Value.cast(value), Signal)
        }
        self.registers = sum(len(pin) for pin, _ in self.pins.values())
        super().__init__(
            {name: wiring.Member(flow, len(pin)) for name, (pin, flow) in self.pins.items()}
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.part = self.part
        for name, (pin, flow) in self.pins.items():
            outside = getattr(self, name)
            m.d.sync += pin.eq(outside) if flow is In else outside.eq(pin)
        return m


class MaskSource(wiring.Component):
    """The generator of masks alone, of a fixed rate: gaps, queue and masks."""

    def __init__(self, bits: int):
        self.gaps = Gaps(READS * bits, bits, gap_table(RATE), start(0))
        self.masks = Masks(READS, bits)
        super().__init__(
            {
                "restart": In(1),
                "waiting": In(1),
                "leaves": In(1),
                "done": Out(1),
                "mask": Out(bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.gaps, m.submodules.masks = gaps, masks = self.gaps, self.masks
        m.submodules.queue = queue = Queue(gaps.o.payload.shape(), QUEUE_DEPTH)
        connect(m, gaps.o, queue.i)
        connect(m, queue.o, masks.i)
        m.d.comb += [
            gaps.running.eq(1),
            gaps.second.eq(1),
            gaps.count.eq(len(gap_table(RATE))),
            gaps.restart.eq(self.restart),
            masks.restart.eq(self.restart),
            masks.waiting.eq(self.waiting),
            masks.leaves.eq(self.leaves),
            self.done.eq(masks.done),
            self.mask.eq(masks.mask),
        ]
        return m


def _array(kind: type, columns: int, ternary: bool, **options) -> wiring.Component:
    rng = np.random.default_rng(0)
    sign, active = rng.integers(0, 2, (2, ROWS, columns))
    return kind(sign, active if ternary else None, **options)


def _emulated(columns: int, ternary: bool = False) -> wiring.Component:
    return _array(EmulatedArray, columns, ternary, reads=READS, rate=RATE, start=start(0))


UNITS: dict[str, Callable[[], wiring.Component]] = {
    "masks alone, 64 bits, fixed rate": lambda: MaskSource(64),
    "digital, binary, 64 columns": lambda: _array(DigitalArray, 64, False),
    "emulated, binary, 64 columns": lambda: _emulated(64),
    "digital, binary, 256 columns": lambda: _array(DigitalArray, 256, False),
    "emulated, binary, 256 columns": lambda: _emulated(256),
    "digital, ternary, 64 columns": lambda: _array(DigitalArray, 64, True),
    "emulated, ternary, 64 columns": lambda: _emulated(64, True),
}


def measure(seeds: list[int]) -> dict:
    """Every unit, and cycles a read at every rate."""
    found = {}
    for name, make in UNITS.items():
        unit = Registered(make())
        figures = measured(unit, "ecp5", seeds)
        found[name] = {**figures, "ff": figures["ff"] - unit.registers}
    cycles = {
        str(rate): {
            "digits": len(gap_table(rate)),
            "cycles": round(expected_cycles(rate, 1024, 64) / 1024, 3),
        }
        for rate in RATES
    }
    return {
        "seeds": seeds,
        "versions": hardware_versions(TOOLS[:2]),
        "units": found,
        "cycles": cycles,
    }


def markdown(results: dict) -> str:
    """A table of the units, and one of the cycles a read."""
    lines = [
        *heading("Emulated memories", "bench-emulator", results),
        f"LFE5U-25F speed 6, `-nowidelut`, out of context. Arrays have {ROWS} word lines, {READS}",
        f"reads an image, a rate of {RATE:g} at power-up and settings that can be loaded.",
        "Registers at the pins are not counted. Block RAM to pin bounds the speed of an array.",
        "",
        "| unit | LUT4 | packed | FF | RAM | MHz |",
        "|---|---|---|---|---|---|",
    ]
    for name, e in results["units"].items():
        figures = [e["lut4"], e["comb"], e["ff"], e["block_rams"], e["mhz"]]
        lines.append(f"| {name} | {' | '.join(map(str, figures))} |")
    lines += [
        "",
        "Cycles a read of 64 bits, with 1024 reads an image offered without a pause. A gap takes",
        "a cycle a digit, a read one cycle and one more for each of its errors; the slower of the",
        "two bounds.",
        "",
        "| rate | errors a read | digits | cycles a read |",
        "|---|---|---|---|",
    ]
    for rate, e in results["cycles"].items():
        errors = f"{64 * float(rate):.3g}"
        lines.append(f"| {float(rate):.3g} | {errors} | {e['digits']} | {e['cycles']:g} |")
    return "\n".join([*lines, ""])


def main() -> int:
    """Measures, prints, and with ``--write`` replaces docs/results/emulator.json and .md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_options(parser)
    return report("emulator", TOOLS[:2], parser.parse_args(), measure, markdown)


if __name__ == "__main__":
    sys.exit(main())
