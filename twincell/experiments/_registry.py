# SPDX-License-Identifier: BSD-2-Clause
"""The experiments by name, read from the files of this folder."""

import pkgutil
from importlib import import_module
from typing import Protocol

from ..networks import UsageError
from ._report import Job, Report

PACKAGE = __name__.rpartition(".")[0]


class Experiment(Protocol):
    """What the module of an experiment holds."""

    SUMMARY: str
    DATA: tuple[str, ...]  # sets that a full run needs

    @staticmethod
    def run(job: Job) -> Report: ...


def names() -> list[str]:
    """Names of all experiments."""
    package = import_module(PACKAGE)
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name.replace("_", "-") for name in found if not name.startswith("_"))


def find(name: str) -> Experiment:
    """The experiment of a name; raises ``UsageError`` that lists the names."""
    if name not in (known := names()):
        raise UsageError(f"{name!r} is not an experiment: {', '.join(known)}")
    module: Experiment = import_module(f"{PACKAGE}.{name.replace('-', '_')}")  # type: ignore
    return module
