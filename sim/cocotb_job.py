# SPDX-License-Identifier: BSD-2-Clause
"""Runs one cocotb job: ``python -m twincell.sim.cocotb_job JOB.json [--waves] [--watched]``.

It is a process of its own because cocotb's runner reads the environment, behaves differently under
pytest and leaves by ``SystemExit``. Exit code 0 means that the bench passed, 1 that it failed; any
other means that it did not run. With ``--watched`` it ends, with the simulator, when its standard
input does: when the process that started it has ended, however that came.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from . import jobs, ports, toolchain

TIMESCALE = ("1ns", "1ps")
BUILD_ARGS = {
    "icarus": [],
    "verilator": [
        *("-Wno-lint", "-Wno-style", "-O3", "--x-assign", "fast", "--x-initial", "fast"),
        # cocotb has every signal public, and fields of one vector then look like a loop.
        *("-Wno-UNOPTFLAT", "-CFLAGS", "-O2"),
    ],
}


def main(arguments: list[str]) -> int:
    """Builds, unless that is cached, and runs the bench in the job's directory."""
    start = time.perf_counter()
    path = Path(arguments[0]).resolve()
    job = json.loads(path.read_text())
    waves = "--waves" in arguments[1:]
    simulator = job["simulator"]
    top = ports.read(job["build"])
    home = Path(job["cache"] + ("-waves" if waves else ""))
    tool = toolchain.icarus() if simulator == "icarus" else toolchain.verilator()
    os.environ.clear()
    os.environ.update(tool.environment())
    runner = get_runner(simulator)
    binary = "sim.vvp" if simulator == "icarus" else top.top
    if not (home / binary).exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".build-") as scratch:
            runner.build(
                sources=[source.resolve() for source in top.sources],
                hdl_toplevel=top.top,
                build_args=BUILD_ARGS[simulator],
                build_dir=scratch,
                timescale=TIMESCALE,
                waves=waves,
            )
            home.mkdir(exist_ok=True)
            (Path(scratch) / binary).replace(home / binary)

    work = path.parent
    (work / "compiled.json").write_text(json.dumps(time.perf_counter() - start))
    for memory in top.memories:
        shutil.copy(top.directory / memory, work / memory)
    results = work / "results.xml"
    waving = {
        "icarus": {"plusargs": [f"+dumpfile_path={job['waves']}"]},
        "verilator": {"test_args": ["--trace-file", job["waves"]]},
    }
    runner.test(
        test_module=job["bench"],
        hdl_toplevel=top.top,
        hdl_toplevel_lang="verilog",
        build_dir=home,
        test_dir=work,
        results_xml=str(results),
        seed=job["seed"],
        waves=waves,
        extra_env={
            "TWINCELL_JOB": str(path),
            # Rewriting asserts costs seconds when a bench imports large packages.
            "COCOTB_REWRITE_ASSERTION_FILES": "",
            "COCOTB_ANSI_OUTPUT": "0",
        },
        **(waving[simulator] if waves else {}),
    )
    tests, failed = get_results(results)
    return int(failed > 0 or tests == 0)


def _watch() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    if jobs.WATCHED in sys.argv:
        threading.Thread(target=_watch, daemon=True).start()
    try:
        sys.exit(main(sys.argv[1:]))
    except Exception as error:  # the runner's RuntimeError says that a command failed
        print(f"cocotb_job: {error!r}", file=sys.stderr)
        sys.exit(2)
