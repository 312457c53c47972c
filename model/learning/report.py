# SPDX-License-Identifier: BSD-2-Clause
"""What learning did to the devices: pulses, wear and energy."""

import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import torch
from rich.table import Table
from torch import Tensor, nn

from ..devices.knobs import Knobs, knob
from .devices.memory import Memory
from .networks import memories


@dataclass(frozen=True)
class PulseCost(Knobs):
    """What a pulse costs; numbers have to come with their source. What is ``None`` is not known,
    and neither is what would follow from it.

    Parameters
    ----------
    source : where the numbers come from
    energy : of one pulse
    set_energy : of one SET of one device
    endurance : pulses that a device stands
    set_endurance : SETs that it stands
    """

    source: str
    energy: float | None = knob(0, 1, "J", None)
    set_energy: float | None = knob(0, 1, "J", None)
    endurance: float | None = knob(1, 1e18, "pulses", None)
    set_endurance: float | None = knob(1, 1e18, "SETs", None)

    def __post_init__(self):
        super().__post_init__()
        if not isinstance(self.source, str) or not self.source.strip():
            raise ValueError("A pulse cost needs the source of its numbers")
        if self.energy is None and self.endurance is None:
            raise ValueError(
                "A pulse cost needs an energy in joule, an endurance in pulses or both"
            )

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """From a TOML file with these names; raises ``ValueError`` that names the file."""
        try:
            fields = tomllib.loads(Path(path).read_text(encoding="utf-8"))
            if unknown := fields.keys() - cls.__dataclass_fields__.keys():
                known = ", ".join(cls.__dataclass_fields__)
                raise ValueError(f"{min(unknown)!r} is not part of a pulse cost: {known}")
            return cls(**({"source": ""} | fields))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from None

    def energy_of(self, pulses: float, sets: int = 0) -> float | None:
        """Joule, for pulses and for SETs of single devices."""
        return _total((pulses, self.energy), (sets, self.set_energy))

    def wear_of(self, pulses: float, sets: int = 0) -> float | None:
        """Used fraction of the endurance of a device after so many pulses and SETs."""
        pulse, each_set = (
            None if most is None else 1 / most for most in (self.endurance, self.set_endurance)
        )
        return _total((pulses, pulse), (sets, each_set))


def _total(*terms: tuple[float, float | None]) -> float | None:
    """Numbers times what each costs; ``None`` where that is not known of something that is
    there."""
    if any(number and each is None for number, each in terms):
        return None
    return sum(number * each for number, each in terms if each is not None)


@dataclass(frozen=True)
class LayerPulses:
    """The devices of one layer, two for each synapse.

    ``pulses`` are all of their life, ``start`` those of them that made the first weights random.
    ``histogram`` counts devices by their pulses: ``histogram[k]`` have at least ``edges[k]`` and
    fewer than ``edges[k + 1]``; the last bin has no end. ``silent`` and ``clamped`` are fractions
    of the updates that were not 0. ``energy`` is in joule, ``wear`` the fraction of its endurance
    that the most worn device has used; ``None`` where the cost does not say it.
    """

    name: str
    devices: int
    pulses: float
    start: float
    mean: float
    most: float
    sets: int
    edges: tuple[int, ...]
    histogram: tuple[int, ...]
    updates: int
    silent: float
    clamped: float
    energy: float | None
    wear: float | None


@dataclass(frozen=True)
class PulseReport:
    """All layers of a network, and their cost."""

    layers: tuple[LayerPulses, ...]
    cost: PulseCost | None

    @property
    def pulses(self) -> float:
        """Pulses of all devices together."""
        return sum(layer.pulses for layer in self.layers)

    @property
    def energy(self) -> float | None:
        """Energy of all pulses and SETs, joule; ``None`` where the cost does not say it."""
        known = [layer.energy for layer in self.layers if layer.energy is not None]
        return sum(known) if len(known) == len(self.layers) else None

    @property
    def wear(self) -> float | None:
        """Used fraction of the endurance of the most worn device; ``None`` where the cost does not
        say it."""
        known = [layer.wear for layer in self.layers if layer.wear is not None]
        return max(known) if len(known) == len(self.layers) else None

    def record(self) -> dict:
        """Plain data, for JSON."""
        return {
            "layers": [asdict(layer) for layer in self.layers],
            "pulses": self.pulses,
            "energy_joule": self.energy,
            "wear": self.wear,
            "cost": None if self.cost is None else asdict(self.cost),
        }

    def table(self) -> Table:
        """One row for each layer."""
        columns = ("layer", "devices", "pulses", "mean", "most", "sets", "silent", "clamped")
        table = Table(
            *columns, "energy", "wear", title="Pulses", caption=self.cost and self.cost.source
        )
        for layer in self.layers:
            energy = "-" if layer.energy is None else f"{layer.energy:.3g} J"
            wear = "-" if layer.wear is None else f"{layer.wear:.2g}"
            table.add_row(
                layer.name, f"{layer.devices:,}", f"{layer.pulses:,.0f}", f"{layer.mean:,.1f}",
                f"{layer.most:,.0f}", f"{layer.sets:,}", f"{layer.silent:.1%}",
                f"{layer.clamped:.1%}", energy, wear,
            )  # fmt: skip
        return table


def pulse_report(network: nn.Module, cost: PulseCost | None = None) -> PulseReport:
    """Counts what the memories of ``network`` went through since they were made.

    Raises ``ValueError`` when it has none.
    """
    found = memories(network)
    if not found:
        raise ValueError("The network's layers have no memories")
    most = max(float(memory.pulses.max()) for memory in found.values())
    edges = _edges(most)
    return PulseReport(
        tuple(_layer(name, memory, edges, cost) for name, memory in found.items()), cost
    )


def _layer(
    name: str, memory: Memory, edges: tuple[int, ...], cost: PulseCost | None
) -> LayerPulses:
    pulses, sets = memory.pulses, int(memory.sets.sum())
    total, most, updates = float(pulses.sum()), float(pulses.max()), int(memory.updates)
    energy = cost and cost.energy_of(total, 2 * sets)
    return LayerPulses(
        name, pulses.numel(), total, float(memory.start_pulses), float(pulses.mean()), most, sets,
        edges, _histogram(pulses, edges), updates, int(memory.silent) / max(updates, 1),
        int(memory.clamped) / max(updates, 1), energy, cost and _wear(memory, cost),
    )  # fmt: skip


def _wear(memory: Memory, cost: PulseCost) -> float | None:
    """Of the most worn device: of those with the same number of SETs that with most pulses."""
    most = memory.pulses.amax(dim=0)
    found = [
        cost.wear_of(float(most[memory.sets == sets].max()), sets)
        for sets in memory.sets.unique().tolist()
    ]
    known = [wear for wear in found if wear is not None]
    return max(known) if len(known) == len(found) else None


def _edges(most: float) -> tuple[int, ...]:
    """0, 1, 2, 5, 10, 20, 50 and so on, as far as there are devices."""
    steps = (digit * 10**power for power in range(18) for digit in (1, 2, 5))
    return 0, *(step for step in steps if step <= most)


def _histogram(pulses: Tensor, edges: tuple[int, ...]) -> tuple[int, ...]:
    inner = torch.tensor(edges[1:], dtype=torch.float64)
    bins = torch.bucketize(pulses.flatten(), inner, right=True)
    return tuple(torch.bincount(bins, minlength=len(edges)).tolist())
