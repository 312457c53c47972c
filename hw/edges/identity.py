# SPDX-License-Identifier: BSD-2-Clause
"""What tells one build from another."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

from ...model import store
from ..network import Network

_OF_CONVOLUTIONS = ("channels", "window", "pools")


@dataclass(frozen=True)
class Identity:
    """Hashes, in hexadecimal, of what a network and its surroundings are; a register bank holds the
    first 32 bits."""

    configuration: str
    weights: str
    build: str = field(init=False)

    def __post_init__(self):
        both = f"{self.configuration} {self.weights}".encode()
        object.__setattr__(self, "build", hashlib.sha256(both).hexdigest())

    @property
    def hashes(self) -> dict[str, str]:
        """What the header of the Verilog shows."""
        return {"Configuration": self.configuration, "Weights": self.weights}

    @classmethod
    def of(cls, network: Network, edge: Any | None) -> "Identity":
        """The identity of a network behind an edge, a dataclass, or of its bare streams."""
        around = None if edge is None else asdict(edge)
        plan = asdict(network.plan, dict_factory=_set)
        plan = {**plan, **network.about(), "edge": around}
        text = json.dumps(plan, sort_keys=True)
        return cls(hashlib.sha256(text.encode()).hexdigest(), store.digest(network.graph))


def _set(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """The fields, without those that only networks with convolutions have: others keep the identity
    that they had before there were any."""
    return {name: value for name, value in fields if value or name not in _OF_CONVOLUTIONS}
