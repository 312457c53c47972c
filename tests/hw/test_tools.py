# SPDX-License-Identifier: BSD-2-Clause
"""Tools from pip run where their files are; what is said where YoWASP's cache cannot be written."""

import pytest

from twincell.hw import tools
from twincell.model.files import WriteError


def test_a_tool_runs_in_its_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("YOWASP_MOUNT", "/hidden=/")
    code = "import os, sys; print(os.getcwd(), sys.argv[1:], 'YOWASP_MOUNT' in os.environ)"
    done = tools.run(code, ["a", "b"], tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path} ['a', 'b'] False\n")


@pytest.mark.parametrize(
    ("variable", "where"),
    [("XDG_CACHE_HOME", "/proc/none/YoWASP"), ("YOWASP_CACHE_DIR", "/proc/none")],
)
def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch, variable, where):
    monkeypatch.delenv("YOWASP_CACHE_DIR", raising=False)
    monkeypatch.setenv(variable, "/proc/none")
    fails = "open('/proc/none/cache', 'w')"
    remedy = rf"Set {variable} to a directory that can$"
    with pytest.raises(WriteError, match=rf"^{where} cannot be written: No such .*\. {remedy}"):
        tools.run(fails, [], tmp_path)
    # What fails for reasons of its own, says so itself.
    assert tools.run("exit('wrong input')", [], tmp_path).stderr == "wrong input\n"
    monkeypatch.setenv(variable, str(tmp_path))
    assert tools.run(fails, [], tmp_path).returncode == 1
