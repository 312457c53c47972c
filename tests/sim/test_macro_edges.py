# SPDX-License-Identifier: BSD-2-Clause
"""A network on macros behind standard buses: lint, and word lines programmed at run time."""

import subprocess
from dataclasses import replace

import pytest

from tests.support.builds import QUICK
from tests.support.edges import Wrapped, images, network
from twincell.hw.arrays.macro import macro_arrays
from twincell.hw.arrays.macro_timing import Timing
from twincell.hw.edges.build import build
from twincell.hw.edges.wrapper import Edge
from twincell.hw.plan import Budget, plan
from twincell.sim import edges, toolchain

SIZES, BITS = (11, 6, 3), 2
TIMING = Timing(set=3, reset=2, settle=1)


@pytest.fixture(scope="module")
def wrapped(tmp_path_factory):
    graph = network(1, SIZES, BITS, False)
    planned = plan(graph, Budget(20, cycles_per_read=TIMING.cycles_per_read))
    directory = tmp_path_factory.mktemp("edge")
    made = build(
        graph,
        planned,
        directory,
        edge=Edge("axi"),
        clock=50e6,
        arrays=macro_arrays(timing=TIMING),
    )
    assert all(path.exists() for path in made.files)
    # Its lines are those of digital memories, which read in a cycle.
    layers = tuple(replace(layer, cycles_per_read=1) for layer in planned.layers)
    return Wrapped(graph, replace(planned, layers=layers), directory)


def test_other_weights_are_programmed_into_the_macros(wrapped, tmp_path):
    other = network(2, SIZES, BITS, False)
    shown = images(wrapped.graph, 30, 3)
    vectors = {
        "packets": wrapped.codec.encode(shown),
        "before": wrapped.answers(wrapped.graph, shown),
        "after": wrapped.answers(other, shown),
        **wrapped.lines(other),
    }
    assert (vectors["before"] != vectors["after"]).any(axis=1).all()
    edges.play(wrapped.directory, "edge_load", vectors, tmp_path, simulator=QUICK, seed=4)


def test_verilog_and_stub_pass_lint(wrapped):
    tool, here = toolchain.verilator(), wrapped.directory
    (waiver,) = here.glob("*.vlt")
    files = [waiver.name, f"{waiver.stem}.v", "twincell_macro.stub.v"]
    command = [str(tool.binary), "--lint-only", "-Wall", "--top-module", waiver.stem, *files]
    done = subprocess.run(command, cwd=here, env=tool.environment(), capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr[-2000:]
    core = next(here.glob("*.core")).read_text()
    assert "twincell_macro.stub.v : {file_type : verilogSource}" in core
    assert "twincell_macro.model.v" not in core
