# SPDX-License-Identifier: BSD-2-Clause
"""The pins of a 2T2R memory macro: one table, from which everything that names them is made.

The black box in the netlist, its stub for synthesis, the header of the behavioural model and the
table of docs/macro.md are generated from ``PINS``.
"""

from collections.abc import Mapping
from typing import NamedTuple

from amaranth.hdl import ClockSignal, Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

MODULE = "twincell_macro"


class Pin(NamedTuple):
    """One pin, as the macro sees it.

    Parameters
    ----------
    name : in Verilog
    direction : ``input`` or ``output``
    width : ``1``, ``rows`` or ``columns``
    meaning : when it is high
    """

    name: str
    direction: str
    width: str
    meaning: str

    def bits(self, rows: int, columns: int) -> int:
        """Its width in a macro of that size."""
        return {"1": 1, "rows": rows, "columns": columns}[self.width]


CLOCK = Pin("clk", "input", "1", "clock of the controller; a self-timed macro leaves it open")

PINS = (
    Pin("wl", "input", "rows", "word lines, decoded: at most one is high"),
    Pin("pre", "input", "1", "both outputs of every sense amplifier are precharged"),
    Pin("sen", "input", "1", "the sense amplifiers let the two branches race, and hold the result"),
    Pin("x", "input", "columns", "straight: BL discharges QN, BLb discharges Q; the input is 1"),
    Pin("xn", "input", "columns", "crossed: BL discharges Q, BLb discharges QN; the input is 0"),
    Pin("verify", "input", "1", "the read checks a programming; for macros that then use a margin"),
    Pin("hv", "input", "1", "the level shifters pass the programming voltages"),
    Pin("v_form", "input", "1", "voltages of FORMING"),
    Pin("v_set", "input", "1", "voltages of SET"),
    Pin("v_reset", "input", "1", "voltages of RESET"),
    Pin("v_weak", "input", "1", "voltages of a weak RESET"),
    Pin(
        "sl", "input", "1", "the source line is driven, bit lines are grounded: RESET, weak or not"
    ),
    Pin("bl", "input", "columns", "the column's BL device is connected to the driver"),
    Pin("blb", "input", "columns", "the column's BLb device is connected to the driver"),
    Pin("pulse", "input", "1", "the driver is on"),
    Pin("q", "output", "columns", "Q: low when it was discharged"),
    Pin("qn", "output", "columns", "QN: low when it was discharged"),
)


def pins_signature(rows: int, columns: int) -> wiring.Signature:
    """The pins as the controller sees them."""
    return wiring.Signature(
        {
            pin.name: (Out if pin.direction == "input" else In)(pin.bits(rows, columns))
            for pin in PINS
        }
    )


class BlackBox(wiring.Component):
    """A macro of which only the pins are known.

    Parameters
    ----------
    rows, columns : word lines, and cells on each
    parameters : of the behavioural model

    Members
    -------
    pins : In, see ``PINS``
    """

    played = False  # whether a test bench drives the outputs, and not the behavioural model

    def __init__(self, rows: int, columns: int, parameters: Mapping):
        self.parameters = dict(parameters)
        super().__init__({"pins": In(pins_signature(rows, columns))})

    def elaborate(self, platform):
        m = Module()
        ports = {f"{pin.direction[0]}_{pin.name}": getattr(self.pins, pin.name) for pin in PINS}
        parameters = {f"p_{name}": value for name, value in self.parameters.items()}
        m.submodules.macro = Instance(MODULE, **parameters, i_clk=ClockSignal(), **ports)
        return m


class PlayedMacro(BlackBox):
    """A macro whose outputs a test bench drives in simulation, with a device model of its own."""

    played = True


def verilog_header(parameters: Mapping[str, str]) -> str:
    """``module ... (pins);`` in Verilog: parameters with their defaults, then the table."""
    size = {"1": "", "rows": "[ROWS-1:0] ", "columns": "[COLUMNS-1:0] "}
    lines = [f"  parameter {name} = {value}" for name, value in parameters.items()]
    pins = [
        f"  {pin.direction} {size[pin.width]}{pin.name}{',' if pin is not PINS[-1] else ''}"
        f"  // {pin.meaning}"
        for pin in (CLOCK, *PINS)
    ]
    return "\n".join([f"module {MODULE} #(", ",\n".join(lines), ") (", *pins, ");"])


def markdown_table() -> str:
    """The table of the documentation."""
    rows = [f"| `{p.name}` | {p.direction} | {p.width} | {p.meaning} |" for p in (CLOCK, *PINS)]
    return "\n".join(["| pin | direction | width | high when |", "|---|---|---|---|", *rows]) + "\n"
