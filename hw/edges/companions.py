# SPDX-License-Identifier: BSD-2-Clause
"""What goes beside the Verilog: register files, timing constraints, a FuseSoC core, a Vivado
packaging script and Verilator's lint waiver."""

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from ..verilog import Emitted
from .wrapper import Wrapper

# Rules that the text breaks by its nature, with the reason. Everything else must hold.
WAIVERS = {
    "DECLFILENAME": "one file holds the whole hierarchy, and is named after the network",
    "PROCASSINIT": "registers have a power-up value beside the one that reset gives them",
    "UNUSEDSIGNAL": "slices and ports of a hierarchy of parts: the parts have more than is used",
    "WIDTHEXPAND": "operands of different widths are extended as the language says",
    "WIDTHTRUNC": "the upper bits of a sum or a shift are dropped on purpose",
}


@dataclass(frozen=True)
class Names:
    """File names of one build, all beginning with the network's name."""

    name: str

    def __getitem__(self, suffix: str) -> str:
        return f"{self.name}{suffix}"

    @property
    def registers(self) -> str:
        """The register map as JSON."""
        return self["-registers.json"]


def texts(
    emitted: Emitted, name: str, *, clock: float, wrapper: Wrapper | None = None
) -> dict[str, str]:
    """The companions of an emission, by their names; :func:`~..verilog.emit` writes them.

    A bare network gets constraints, core and waiver; a wrapped one the register files and the
    packaging script as well. The bytes depend on the arguments alone, not on the directory.

    Parameters
    ----------
    emitted : what will be emitted
    name : of the files, the same as for the emission
    clock : in hertz, for the constraints
    wrapper : the top that was emitted, when it is not a bare network
    """
    names = Names(name)
    made = {
        names[".sdc"]: constraints(clock, "clk" if wrapper is None else "aclk"),
        names[".vlt"]: waiver(emitted.verilog.name, [path.name for path in _stubs(emitted)]),
        names[".core"]: core(emitted, names),
    }
    if wrapper is not None:
        registers = wrapper.registers
        made |= {
            names.registers: json.dumps(registers.as_dict(), indent=2) + "\n",
            names["-registers.h"]: registers.c_header(emitted.top),
            names["-registers.md"]: registers.markdown(f"Registers of {name}"),
            names[".tcl"]: packaging(emitted, wrapper, names),
        }
    return made


def constraints(clock: float, port: str) -> str:
    """Synopsys design constraints: the clock."""
    if not clock > 0:
        raise ValueError(f"The clock must be a positive number of hertz, not {clock!r}")
    period = f"{1e9 / clock:.3f}"
    return (
        f"# {clock / 1e6:g} MHz, in nanoseconds. Delays of inputs and outputs are the board's.\n"
        f"create_clock -name {port} -period {period} [get_ports {port}]\n"
    )


def _stubs(emitted: Emitted) -> list[Path]:
    """Stubs of what the Verilog leaves out."""
    return [path for path in emitted.models if path.name.endswith(".stub.v")]


def waiver(verilog: str, stubs: list[str]) -> str:
    """Verilator's configuration: one line a rule, for this file only, and one for each stub."""
    lines = ["`verilator_config"]
    for rule, reason in WAIVERS.items():
        lines += [f"// {reason}", f'lint_off -rule {rule} -file "*{verilog}"']
    for stub in stubs:
        lines += ["// nothing is inside", f'lint_off -file "*{stub}"']
    return "\n".join(lines) + "\n"


def core(emitted: Emitted, names: Names) -> str:
    """A FuseSoC core (CAPI2) with a default and a lint target."""
    memories = [f"      - {path.name} : {{file_type : user}}" for path in emitted.memories]
    lines = [
        "CAPI=2:",
        f"name : twincell:networks:{emitted.top}:{version('twincell')}",
        f"description : The network {names.name}, generated",
        "filesets :",
        "  rtl :",
        "    files :",
        *(
            f"      - {path.name} : {{file_type : verilogSource}}"
            for path in (emitted.verilog, *_stubs(emitted))
        ),
        *memories,
        "  constraints :",
        "    files :",
        f"      - {names['.sdc']} : {{file_type : SDC}}",
        "  waiver :",
        "    files :",
        f"      - {names['.vlt']} : {{file_type : vlt}}",
        "targets :",
        "  default :",
        "    filesets : [rtl, constraints]",
        f"    toplevel : {emitted.top}",
        "  lint :",
        "    filesets : [waiver, rtl]",
        f"    toplevel : {emitted.top}",
        "    default_tool : verilator",
        "    tools :",
        "      verilator :",
        "        mode : lint-only",
        "        verilator_options : [-Wall]",
    ]
    return "\n".join(lines) + "\n"


def packaging(emitted: Emitted, wrapper: Wrapper, names: Names) -> str:
    """A Tcl script that packages the wrapped network as an IP for Vivado's catalogue."""
    buses = ["s_axis", "m_axis", *(["s_axil"] if wrapper.edge.bus == "axi" else [])]
    reset, active = wrapper.edge.reset_name, wrapper.edge.reset.upper()
    files = [emitted.verilog.name, *(path.name for path in emitted.memories), names[".sdc"]]
    listed = " \\\n  ".join(f"[file join $here {{{file}}}]" for file in files[:-1])
    associate = [f"ipx::associate_bus_interfaces -busif {bus} -clock aclk $core" for bus in buses]
    return (
        "\n".join(
            [
                "# Packages an IP: vivado -mode batch -source THIS -tclargs PART ROOT",
                "set here [file dirname [file normalize [info script]]]",
                "if {$argc != 2} { error {usage: -tclargs PART ROOT} }",
                "lassign $argv part root",
                f"create_project -in_memory -part $part {emitted.top}",
                f"add_files -norecurse [list \\\n  {listed}]",
                f"add_files -fileset constrs_1 -norecurse [file join $here {{{files[-1]}}}]",
                f"set_property top {emitted.top} [current_fileset]",
                "update_compile_order -fileset sources_1",
                "ipx::package_project -root_dir $root -vendor twincell -library networks \\",
                "  -taxonomy /UserIP -import_files -set_current true",
                "set core [ipx::current_core]",
                f"set_property name {emitted.top} $core",
                f"set_property version {'.'.join(version('twincell').split('.')[:2])} $core",
                f"set_property display_name {{{names.name}}} $core",
                f"ipx::infer_bus_interface {reset} xilinx.com:signal:reset_rtl:1.0 $core",
                f"set reset_if [ipx::get_bus_interfaces {reset} -of_objects $core]",
                "set polarity [ipx::add_bus_parameter POLARITY $reset_if]",
                f"set_property value ACTIVE_{active} $polarity",
                *associate,
                f"ipx::associate_bus_interfaces -clock aclk -reset {reset} $core",
                "ipx::create_xgui_files $core",
                "ipx::update_checksums $core",
                "ipx::check_integrity $core",
                "ipx::save_core $core",
            ]
        )
        + "\n"
    )
