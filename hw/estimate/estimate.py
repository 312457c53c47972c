# SPDX-License-Identifier: BSD-2-Clause
"""Area, energy and latency of a plan: counts times the entries of a table.

Counts of logic come from the fast model or from a synthesis; those of cells, memory bits, reads and
cycles are exact. What is not in it: wires between parts, clock trees and pads, leakage, and what
programs an array unless its control is part of it (``--array macro``). All registers are clocked in
every cycle. See :mod:`~.energy` and :mod:`~.latency` for these two.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...model.planes import BINARY, Planes, Stochastic
from ..layer_plan import LayerPlan
from ..plan import Plan
from ..pool_plan import PoolPlan
from . import fast
from .activity import Activity, LayerActivity
from .energy import energy, pool_energy
from .features import ORDINARY, beats_of, buffer_bits, constant_bits, outbox_bits
from .latency import latency
from .synthesis import BESIDE, GATE_EQUIVALENT, Cells, Part, Synthesis
from .technology import Technology


@dataclass(frozen=True)
class LayerEstimate:
    """What one layer takes, or a pooling, whose logic is control.

    Parameters
    ----------
    name : of the layer
    logic : gates and registers of each part
    synapses, cell_area : cells of the array, used or not, and their area in um^2
    memory_bits : of buffers, thresholds and queues
    area : of each part in um^2, memories included
    energy : of each part for an image, J
    reads, cycles : an image; of a pooling the reads of its buffer
    """

    name: str
    logic: Mapping[Part, Cells]
    synapses: int
    cell_area: float
    memory_bits: int
    area: Mapping[Part, float]
    energy: Mapping[Part, float]
    reads: int
    cycles: int

    def as_dict(self) -> dict:
        """As plain data."""
        return {
            "name": self.name,
            "transistors": {str(part): round(c.transistors) for part, c in self.logic.items()},
            "registers": {str(part): round(c.registers) for part, c in self.logic.items()},
            "synapses": self.synapses,
            "cell_area_um2": self.cell_area,
            "memory_bits": self.memory_bits,
            "area_um2": {str(part): value for part, value in self.area.items()},
            "energy_j": {str(part): value for part, value in self.energy.items()},
            "reads": self.reads,
            "cycles": self.cycles,
        }


@dataclass(frozen=True)
class Estimate:
    """What a plan takes at a node of a technology.

    Parameters
    ----------
    plan, array, technology, clock : what was estimated; the clock in hertz
    layers : in order, poolings among them
    activity : measured, or ``None`` when the table's was assumed
    synthesized : ``None`` for the fast model, else what was mapped to
    """

    plan: Plan
    array: str
    technology: Technology
    clock: float
    layers: tuple[LayerEstimate, ...]
    activity: Activity | None = None
    synthesized: str | None = None

    @property
    def area(self) -> dict[Part, float]:
        """Of each part, um^2."""
        return _sum(layer.area for layer in self.layers)

    @property
    def energy(self) -> dict[Part, float]:
        """Of each part for an image, J."""
        return _sum(layer.energy for layer in self.layers)

    @property
    def transistors(self) -> float:
        """Of logic, without those of memory cells; 0 with a Liberty file."""
        return sum(cells.transistors for layer in self.layers for cells in layer.logic.values())

    @property
    def latency(self) -> int:
        """Cycles of an image alone through all layers, but for the few of their pipelines."""
        return latency(self.plan)

    @property
    def programming(self) -> float:
        """Of programming every cell once with a pulse for each device, J; 0 in ordinary memory."""
        if self.array in ORDINARY:
            return 0.0
        cells = sum(layer.synapses for layer in self.layers)
        return cells * self.technology.devices * self.technology.energy("pulse")

    def as_dict(self) -> dict:
        """As plain data, with every source."""
        rate = self.plan.images_per_second(self.clock)
        area, energy = self.area, self.energy
        held, grid = (fast.calibration()[name] for name in ("held_back", "grid"))
        return {
            "network": self.plan.network,
            "array": self.array,
            "node_nm": self.technology.node,
            "cell": self.technology.cell,
            "clock_hz": self.clock,
            "area_um2": sum(area.values()),
            "transistors": round(self.transistors),
            "gate_equivalents": round(self.transistors / GATE_EQUIVALENT),
            "energy_per_image_j": sum(energy.values()),
            "power_w": sum(energy.values()) * rate,
            "programming_j": self.programming,
            "cycles_per_image": self.plan.cycles_per_image,
            "latency_cycles": self.latency,
            "images_per_second": rate,
            "parts": {
                str(part): {"area_um2": area[part], "energy_j": energy[part]} for part in Part
            },
            "layers": [layer.as_dict() for layer in self.layers],
            "activity": _activity_dict(self.activity),
            "model": {
                "kind": "synthesis" if self.synthesized else "fast model",
                "library": self.synthesized,
                "held_back": held,
                "grid": grid,
            },
            "sources": self.technology.sources(),
        }


def _activity_dict(activity: Activity | None) -> dict:
    if activity is None:
        return {"images": 0, "layers": None}
    return {"images": activity.images, "layers": [vars(layer) for layer in activity.layers]}


def _sum(each: Iterable[Mapping[Part, float]]) -> dict[Part, float]:
    found = dict.fromkeys(Part, 0.0)
    for values in each:
        for part, value in values.items():
            found[part] += value
    return found


def estimate(
    plan: Plan,
    technology: Technology,
    *,
    array: str = "sensed",
    clock: float = 100e6,
    planes: Planes = BINARY,
    activity: Activity | None = None,
    synthesis: Synthesis | None = None,
    library: str = "generic",
) -> Estimate:
    """The estimate of a plan.

    Parameters
    ----------
    plan : how the network is computed; of a stochastic input, with one number of presentations
    technology : node, cells and table
    array : one of :data:`~.features.ARRAYS`
    clock : in hertz
    planes : of the input
    activity : measured on images; without it the table's shares are assumed
    synthesis : of the network with these arrays; without it the fast model is used
    library : what it was mapped to
    """
    beats = beats_of(plan.stages, plan.pixels_per_beat)
    drawn = planes if isinstance(planes, Stochastic) else None
    measured = iter(activity.layers if activity else [_assumed(technology)] * len(plan.layers))
    layers = []
    for stage, beat in zip(plan.stages, beats, strict=True):
        if isinstance(stage, PoolPlan):
            layers.append(_pool(plan, stage, technology, beat, synthesis))
            continue
        logic = _logic(stage.name, fast.cells(stage, array, beat), synthesis)
        if drawn is not None:
            logic[Part.RANDOM] = _presenter(plan, drawn, synthesis)
        layers.append(_layer(plan, stage, array, technology, logic, next(measured), drawn))
        drawn = None
    made = None if synthesis is None else library
    return Estimate(plan, array, technology, clock, tuple(layers), activity, made)


def _assumed(technology: Technology) -> LayerActivity:
    popcount = technology.value("activity", "popcount")
    return LayerActivity(popcount, technology.value("activity", "accumulate"))


def _logic(
    name: str, modelled: dict[Part, Cells], synthesis: Synthesis | None
) -> dict[Part, Cells]:
    """Cells of each part of a layer: synthesized, or as the fast model has them."""
    if synthesis is None:
        return modelled
    found = {part: cells for (layer, part), cells in synthesis.items() if layer == name}
    # A Liberty file's registers are not told apart: the model's are clocked.
    return {
        part: cells
        if cells.registers
        else Cells(cells.transistors, modelled.get(part, Cells()).registers, cells.area)
        for part, cells in found.items()
    }


def _presenter(plan: Plan, planes: Stochastic, synthesis: Synthesis | None) -> Cells:
    """What draws the planes of a stochastic input."""
    most = max(plan.presentations)
    modelled = fast.presenter_cells(planes, plan.pixels, plan.pixels_per_beat, most)
    if synthesis is None:
        return modelled
    found = Cells()
    for (name, _), cells in synthesis.items():
        found += cells if name in BESIDE else Cells()
    return found if found.registers else Cells(0, modelled.registers, found.area)


def _layer(
    plan: Plan,
    layer: LayerPlan,
    array: str,
    technology: Technology,
    logic: dict[Part, Cells],
    measured: LayerActivity,
    drawn: Stochastic | None,
) -> LayerEstimate:
    cells = layer.memory_bits if array in ORDINARY else layer.rows * layer.columns
    memory = buffer_bits(layer) + constant_bits(layer) + outbox_bits(layer)
    sram = _sram_area(technology)
    cell_area = cells * (sram if array in ORDINARY else technology.cell_area())
    area = {part: _logic_area(each, technology) for part, each in logic.items()}
    area[Part.ARRAYS] = area.get(Part.ARRAYS, 0.0) + cell_area
    if array not in ORDINARY:
        area[Part.ARRAYS] += _periphery(layer, technology)
    area[Part.CONTROL] = area.get(Part.CONTROL, 0.0) + memory * sram
    if drawn is not None:
        held = plan.pixels * drawn.bits * (max(plan.presentations) > 1)
        memory += held
        area[Part.RANDOM] += held * sram
    used = energy(plan, layer, array, technology, logic, measured, drawn)
    return LayerEstimate(
        layer.name, logic, cells, cell_area, memory, area, used, layer.reads, layer.cycles
    )


def _pool(
    plan: Plan, pool: PoolPlan, technology: Technology, beat: int, synthesis: Synthesis | None
) -> LayerEstimate:
    logic = _logic(pool.name, {Part.CONTROL: fast.pool_cells(pool, beat)}, synthesis)
    cells, memory = logic[Part.CONTROL], buffer_bits(pool)
    area = _logic_area(cells, technology) + memory * _sram_area(technology)
    used = pool_energy(plan, pool, technology, cells)
    return LayerEstimate(
        pool.name,
        logic,
        0,
        0.0,
        memory,
        {Part.CONTROL: area},
        {Part.CONTROL: used},
        pool.reads,
        pool.cycles,
    )


def _sram_area(technology: Technology) -> float:
    """Of a bit, with what a memory has around it."""
    return technology.cell_area("sram") * technology.value("periphery", "sram_factor")


def _logic_area(cells: Cells, technology: Technology) -> float:
    if cells.area is not None:
        return cells.area
    return cells.gate_equivalents * technology.gate_area


def _periphery(layer: LayerPlan, technology: Technology) -> float:
    """Sense amplifiers of every block of word lines, and drivers of the word lines."""
    blocks = -(-layer.rows // int(technology.value("periphery", "block_rows")))
    amplifiers = layer.columns * blocks * technology.value("periphery", "sense_amplifier")
    drivers = layer.rows * technology.value("periphery", "word_line")
    return (amplifiers + drivers) / GATE_EQUIVALENT * technology.gate_area
