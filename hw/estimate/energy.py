# SPDX-License-Identifier: BSD-2-Clause
"""Energy of an image, layer by layer: how often each event happens times the entry of a table.

Registers are clocked while the slowest layer works, in every cycle of an image.
"""

from collections.abc import Mapping

from ...model.planes import Stochastic
from ..layer_plan import LayerPlan
from ..plan import Plan, Stage
from ..pool_plan import PoolPlan
from .activity import LayerActivity
from .features import (
    ORDINARY,
    buffer_bits,
    buffers,
    compared_bits,
    constant_bits,
    popcount_bits,
    random_bits,
    random_states,
    ring_bits,
    score_bits,
    total_bits,
)
from .synthesis import Cells, Part
from .technology import Technology

SRAM_BITS = 8 * 8192  # of the memory whose energy the table has


def energy(
    plan: Plan,
    layer: LayerPlan,
    array: str,
    technology: Technology,
    logic: Mapping[Part, Cells],
    measured: LayerActivity,
    drawn: Stochastic | None,
) -> dict[Part, float]:
    """Energy of an image in a layer by part, J.

    Parameters
    ----------
    plan, layer : of the network, and of the layer
    array : one of :data:`~.features.ARRAYS`
    technology : node and table
    logic : gates and registers of each part
    measured : how much toggles
    drawn : the planes that are drawn for the layer, of a stochastic input
    """
    clock = technology.energy("register_clock") * plan.cycles_per_image
    idle = technology.value("activity", "control") * plan.cycles_per_image
    adder, toggle = technology.energy("adder_bit"), technology.energy("register_toggle")
    found = {part: cells.registers * clock for part, cells in logic.items()}
    for part in (Part.CONTROL, Part.ARRAYS):
        found.setdefault(part, 0.0)

    counts = measured.popcount * layer.reads
    found[Part.POPCOUNT] += logic[Part.POPCOUNT].registers * counts * toggle
    found[Part.POPCOUNT] += popcount_bits(layer) * counts * adder

    totals = measured.accumulate * layer.reads
    scores = measured.accumulate * layer.passes * layer.groups  # which the ring takes
    ring = ring_bits(layer)
    found[Part.ACCUMULATE] += (logic[Part.ACCUMULATE].registers - ring) * totals * toggle
    found[Part.ACCUMULATE] += layer.neurons * total_bits(layer) * totals * adder
    found[Part.ACCUMULATE] += ring * scores * toggle
    found[Part.ACCUMULATE] += layer.neurons * score_bits(layer) * scores * adder * (ring > 0)

    for part in (Part.CONTROL, Part.ARRAYS):
        found[part] += _toggling(logic.get(part, Cells()), technology) * idle
    found[Part.CONTROL] += _buffered(layer, technology)
    found[Part.CONTROL] += _constants(layer, technology)
    found[Part.ARRAYS] += _reads(layer, array, technology)
    if drawn is not None:
        found[Part.RANDOM] += _drawing(plan, drawn, logic[Part.RANDOM], idle, technology)
    return found


def pool_energy(plan: Plan, pool: PoolPlan, technology: Technology, cells: Cells) -> float:
    """Energy of an image in a pooling, J.

    Parameters
    ----------
    plan, pool : of the network, and of the pooling
    technology : node and table
    cells : gates and registers
    """
    clock = cells.registers * technology.energy("register_clock")
    idle = technology.value("activity", "control") * _toggling(cells, technology)
    return (clock + idle) * plan.cycles_per_image + _buffered(pool, technology)


def _toggling(cells: Cells, technology: Technology) -> float:
    """Energy of every gate and register bit when it toggles."""
    gates = _gates(cells, technology) * technology.energy("gate")
    return cells.registers * technology.energy("register_toggle") + gates


def _gates(cells: Cells, technology: Technology) -> float:
    """Gate equivalents; of a Liberty file's cells by the area of one."""
    if cells.area is not None:
        return cells.area / technology.gate_area
    return cells.gate_equivalents


def _drawing(
    plan: Plan, planes: Stochastic, cells: Cells, idle: float, technology: Technology
) -> float:
    """Energy of drawing the bits of an image, of comparing and keeping its pixels, and of what
    toggles in registers; their clock is counted with that of all others."""
    shown = max(plan.presentations)
    image = plan.pixels, plan.pixels_per_beat, shown
    share = technology.value("activity", "random")
    drawn = random_bits(planes, *image) * share * technology.energy("random_bit")
    compared = compared_bits(planes, plan.pixels, shown) * share
    state, moves = random_states(planes, *image)
    toggled = state * moves * share + (cells.registers - state) * idle
    held = plan.pixels * planes.bits
    moved = held * shown * (shown > 1)  # written once, read for each presentation but the first
    return (
        drawn
        + compared * technology.energy("compared_bit")
        + toggled * technology.energy("register_toggle")
        + moved * _sram(held, technology)
    )


def _reads(layer: LayerPlan, array: str, technology: Technology) -> float:
    """Energy of reading an array for an image."""
    if array in ORDINARY:
        return layer.reads * layer.bits_per_read * _sram(layer.memory_bits, technology)
    rows = min(layer.rows, int(technology.value("periphery", "block_rows")))
    sense = technology.energy("sense_latch") + technology.charge("bit_line_cell", rows)
    line = technology.charge("word_line_cell", layer.columns * technology.devices)
    return layer.reads * (layer.columns * sense + line)


def _buffered(stage: Stage, technology: Technology) -> float:
    """Energy of the input buffer for an image."""
    # A read takes a word of whole pixels, of which bit-serial layers use a bit each, from every
    # memory.
    memories = buffers(stage)
    read = stage.reads * memories * stage.word * stage.pixel_bits
    written = stage.elements * stage.planes * stage.passes
    return (read + written) * _sram(buffer_bits(stage) // memories, technology)


def _constants(layer: LayerPlan, technology: Technology) -> float:
    """Energy of the thresholds or offsets for an image."""
    groups = layer.passes * layer.positions * layer.groups
    return groups * layer.neurons * total_bits(layer) * _sram(constant_bits(layer), technology)


def _sram(bits: int, technology: Technology) -> float:
    """Energy of a bit of a memory: as the square root of its size."""
    return technology.energy("sram_bit") * (bits / SRAM_BITS) ** 0.5
