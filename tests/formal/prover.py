# SPDX-License-Identifier: BSD-2-Clause
"""Runs SymbiYosys over a specification: an Amaranth component of Assert, Assume and Cover."""

import subprocess
import sysconfig
import tempfile
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Module
from amaranth.hdl._ir import PortDirection

from twincell.sim.toolchain import base_environment

JOB = """\
[options]
mode {mode}
depth {depth}
[engines]
smtbmc yices
[script]
read_rtlil top.il
prep -top top
[files]
top.il
"""


def outcome(specification, *, mode: str, depth: int) -> str:
    """``PASS`` or ``FAIL``, over all values of the signals ``specification.free``.

    ``mode`` is ``prove`` (induction), ``bmc`` (the first ``depth`` cycles) or ``cover``.
    Registers start at their initial values; the reset is never active.
    """
    clock = ClockDomain("sync", reset_less=True)
    top = Module()
    top.domains += clock
    top.submodules.spec = specification
    ports = {"clk": (clock.clk, PortDirection.Input)}
    for name, signal in specification.free.items():
        if len(signal):  # the solver has no words of no bits
            ports[name] = (signal, PortDirection.Input)
    text = rtlil.convert(top, name="top", ports=ports, emit_src=False)
    scripts = Path(sysconfig.get_path("scripts"))
    with tempfile.TemporaryDirectory(prefix="twincell-") as scratch:
        here = Path(scratch)
        (here / "top.il").write_text(text)
        (here / "job.sby").write_text(JOB.format(mode=mode, depth=depth))
        tools = ("yosys", "yosys-smtbmc", "yosys-witness")
        options = [
            word
            for flag, tool in zip(("--yosys", "--smtbmc", "--witness"), tools, strict=True)
            for word in (flag, str(scripts / f"yowasp-{tool}"))
        ]
        run = subprocess.run(
            [str(scripts / "yowasp-sby"), "-f", *options, "job.sby"],
            cwd=here,
            env=base_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        said = run.stdout + run.stderr
        status = here / "job" / "status"
        word = status.read_text().split()[0] if status.exists() else "ERROR"
    assert word in ("PASS", "FAIL"), f"{word}:\n{said[-3000:]}"
    return word
