# SPDX-License-Identifier: BSD-2-Clause
"""The command line as a function, and a network for it."""

import numpy as np
import pytest

from tests.support.graphs import mlp
from twincell import cli
from twincell.model import store
from twincell.model.planes import FixedPoint


@pytest.fixture
def twincell(monkeypatch, capsys):
    """Runs a command line; returns its exit code, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["twincell", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return int(stopped.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def network(tmp_path):
    """The file of a tiny network."""
    path = tmp_path / "tiny.safetensors"
    store.save(mlp(np.random.default_rng(0), [12, 6, 3], FixedPoint(3)), path)
    return path
