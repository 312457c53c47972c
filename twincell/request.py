# SPDX-License-Identifier: BSD-2-Clause
"""What a verification is asked for, and the command line that asks for it again."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .hw.layer_plan import Arrangement
from .hw.plan import Budget, FirstLayer
from .injection import Injection
from .networks import UsageError
from .sim.results import SWEEP

SIMULATORS = ("verilator", "icarus", "native")
PAUSES = dict(zip(("none", "source", "sink", "both"), SWEEP, strict=True))


@dataclass(frozen=True, eq=False)
class Request:
    """All but the images; for the fields see :func:`.verification.verify`.

    Raises ``UsageError`` for an unknown simulator or kind of pauses.
    """

    net: str | Path
    simulator: str
    budget: Budget
    dataset: str | None
    directory: Path | None
    array: str
    injection: Injection
    presentations: int | None
    pauses: str
    seed: int

    def __post_init__(self):
        _choice("simulator", self.simulator, SIMULATORS)
        _choice("kind of pauses", self.pauses, PAUSES)

    def command(self, images: int, errors: bool) -> str:
        """The command line for the first ``images``, with or without ``errors``."""
        words: list[object] = ["twincell", "verify", self.net, "--images", images]
        words += ["--simulator", self.simulator, *self._planned]
        if self.dataset is not None:
            words += ["--dataset", self.dataset]
        if self.directory is not None:
            words += ["--data", self.directory]
        if self.presentations is not None:
            words += ["--presentations", self.presentations]
        if errors or self.array != "digital":
            words += ["--array", self.array, *self.injection.options]
        words += ["--pauses", self.pauses, "--seed", self.seed]
        if errors and self.injection.seed != self.seed:
            words += ["--error-seed", self.injection.seed]
        return shlex.join(map(str, words))

    @property
    def _planned(self) -> list[object]:
        """The options of the budget."""
        budget, words = self.budget, []
        if budget.lanes is not None:
            words += ["--lanes", budget.lanes]
        if budget.images_per_second is not None:
            words += ["--rate", budget.images_per_second, "--clock", budget.clock / 1e6]
        if budget.arrangement != Arrangement.COLUMNS:
            given = budget.arrangement
            words += ["--arrangement", given if isinstance(given, str) else ",".join(given)]
        if budget.first_layer != FirstLayer.SERIAL:
            words += ["--first-layer", budget.first_layer]
        return words


def _choice(name: str, value: str, allowed: Iterable[str]) -> None:
    if value not in allowed:
        raise UsageError(f"The {name} is one of {', '.join(allowed)}, not {value!r}")
