# SPDX-License-Identifier: BSD-2-Clause
"""What a layer is made of, counted from its plan: the terms of the fast model of area.

Each part has a few terms that follow from its structure, such as bits of adders and of registers.
A term times what it takes in transistors, fitted to syntheses, gives the area; see
:mod:`~.fast`.
"""

import math
from collections.abc import Sequence

from ...model.nodes import Fill
from ...model.planes import Stochastic
from ...model.stochastic import WIDTH, Generator
from ..gearbox import beats, factors
from ..layer_plan import LayerPlan
from ..numbers import sequence_bits
from ..plan import Stage
from ..pool_plan import PoolPlan
from ..window import Window
from .synthesis import Part

ARRAYS = ("sensed", "digital", "macro", "emulated")
ORDINARY = ("digital", "emulated")  # weights in SRAM, with nothing to sense and no pulses

Terms = dict[str, float]


def form_of(layer: LayerPlan, array: str) -> str:
    """How a layer counts: ``parallel``, or ``stored`` and ``agree`` of :mod:`~..counts`."""
    if layer.parallel:
        return "parallel"
    return "stored" if array == "digital" and not layer.ternary else "agree"


def terms(layer: LayerPlan, array: str, beat: int) -> dict[tuple[Part, str], Terms]:
    """Terms of each part and the name of its formula.

    Parameters
    ----------
    layer : the plan
    array : one of ARRAYS
    beat : elements of a beat that come to its gearbox
    """
    form = form_of(layer, array)
    counting, delay = _COUNTING[form](layer)
    found = {
        (Part.POPCOUNT, form): counting,
        (Part.ACCUMULATE, "doubling" if _doubling(layer) else "plain"): _accumulate(layer),
        (Part.CONTROL, "head" if layer.name == "head" else "layer"): _control(layer, beat, delay),
    }
    if array != "sensed":
        kind = f"{array} ternary" if layer.ternary else array
        found[Part.ARRAYS, kind] = _array(layer)
    return found


def _bits(most: int) -> int:
    return max(most.bit_length(), 1)


def tree(widths: list[int], late: int, levels: int, level: int = 1) -> tuple[int, int, int]:
    """Bits of adders and of registers of :func:`~..popcount.add_up`, and its cycles."""
    adders = registers = cycles = 0
    while True:
        if level and (level % levels == 0 or len(widths) == 1):
            registers += sum(widths) + late
            cycles += 1
        if len(widths) == 1:
            return adders, registers, cycles
        level += 1
        pairs = [widths[start : start + 2] for start in range(0, len(widths), 2)]
        widths = []
        for pair in pairs:
            carry = len(pair) == 2 and late > 0
            late -= carry
            widths.append(_bits(sum((1 << width) - 1 for width in pair) + carry))
            adders += max(pair) * (len(pair) == 2)


def _agree(layer: LayerPlan) -> tuple[Terms, int]:
    lanes = max(layer.lanes * (1 + layer.ternary) - 1, 1)
    leaves = -(-(lanes + 1) // 4)
    first = min(3 * leaves, lanes)
    widths = [_bits(min(3, first - start)) for start in range(0, first, 3)]
    adders, registers, cycles = tree(widths, lanes - first, 2)
    each = layer.neurons
    carries = cycles * (layer.lanes * (1 + layer.ternary) > 1)
    return {
        "adder bits": each * adders,
        "full adders": each * sum(min(3, first - k) - 1 for k in range(0, first, 3)) / 2,
        "register bits": each * (registers + carries),
        "lanes": each * layer.lanes * layer.ternary,
        "neurons": each,
    }, cycles


def _stored(layer: LayerPlan) -> tuple[Terms, int]:
    lanes = max(layer.lanes - 1, 1)
    slices = -(-(lanes + 1) // 8)
    sliced = lanes - (slices - 1)
    steps = -(-sliced // slices) // 2
    adders, registers, cycles = tree([2 if steps > 1 else steps + 1] * slices, slices - 1, 1, 0)
    each = layer.neurons
    return {
        "adder bits": each * adders,
        "register bits": each * registers,
        "steps": each * slices * steps,
        "lanes": each * lanes,
        "late lanes": each * (slices - 1) * (steps + 1),
        "shared lanes": lanes,
    }, steps + 1 + cycles


def _parallel(layer: LayerPlan) -> tuple[Terms, int]:
    count = layer.lanes * (1 + layer.ternary)
    adders, registers, cycles = tree([layer.planes] * count, 0, 2)
    each = layer.neurons
    return {
        "adder bits": each * adders,
        "register bits": each * registers,
        "product bits": each * layer.lanes * layer.planes,
        "ternary bits": each * layer.lanes * layer.planes * layer.ternary,
    }, cycles


_COUNTING = {"agree": _agree, "stored": _stored, "parallel": _parallel}


def total_bits(layer: LayerPlan) -> int:
    """Bits of a running total."""
    most = (layer.inputs + layer.folds * layer.lanes * layer.ternary) * layer.plane_weight
    return 1 + (most + 1).bit_length()


def score_bits(layer: LayerPlan) -> int:
    """Bits of a score of a head: a total of binary weights comes without its lowest bit, and that
    of several passes is wider."""
    return total_bits(layer) + (not layer.ternary) + (layer.passes - 1).bit_length()


def ring_bits(layer: LayerPlan) -> int:
    """Registers of the ring in which :class:`~..passes.Passes` keeps the scores of a head."""
    repeated = layer.name == "head" and layer.passes > 1
    return layer.groups * layer.neurons * score_bits(layer) * repeated


def _doubling(layer: LayerPlan) -> bool:
    """Whether planes of growing weight come one after another."""
    return layer.plane_reads > 1 and not layer.equal


def _accumulate(layer: LayerPlan) -> Terms:
    most = layer.lanes * (1 + layer.ternary) * (((1 << layer.planes) - 1) if layer.parallel else 1)
    each = layer.neurons
    found: Terms = {
        "total bits": each * total_bits(layer),
        "repeated bits": each * total_bits(layer) * (layer.reads_per_group > 1),
        "count bits": each * _bits(most),
        "doublings": each * (layer.planes - 1) * _doubling(layer),
        "neurons": each,
        "single lanes": each * (most == 1),
    }
    return found if _doubling(layer) else found | _passes(layer)


def _passes(layer: LayerPlan) -> Terms:
    """What adds up the scores of several passes: a ring, an adder for each neuron, and two walks
    through groups and passes."""
    ring = ring_bits(layer)
    walk = (layer.groups - 1).bit_length() + (layer.passes - 1).bit_length()
    return {
        "ring bits": ring,
        "score adder bits": ring // layer.groups,
        "walk bits": 2 * walk * (ring > 0),
    }


def _control(layer: LayerPlan, beat: int, delay: int) -> Terms:
    each, ahead = layer.neurons, min(delay, 3)
    counters = sum(_bits(n - 1) for n in (layer.folds, layer.groups, layer.plane_reads))
    counters += _bits(layer.rows - 1)
    if layer.equal and layer.planes > 1:
        counters += (layer.planes * layer.folds - 1).bit_length()
    found: Terms = {
        "one": 1,
        "choices of a plane": layer.lanes * layer.planes * _doubling(layer),
        "gearbox bits": gearbox_bits(layer, beat),
        "constant bits": each * total_bits(layer) * max(ahead - 1, 0),
        "held bits": layer.lanes * layer.planes if layer.parallel else 0,
        "counter bits": counters,
        "neurons": each,
        "padded lanes": _masked(layer) * layer.lanes,
    }
    if layer.name == "head":
        found["score bits"] = each * score_bits(layer)
        found["levels"] = score_bits(layer) * each * _bits(each - 1)
        return found
    return found | _window(layer.window, layer.word * layer.planes, layer.tap_rows)


def _masked(layer: LayerPlan) -> bool:
    """Whether some lanes do not count in some reads."""
    absent = layer.window is not None and layer.window.fill is Fill.ABSENT
    return absent or layer.folds * layer.lanes != layer.inputs


def _window(window: Window | None, word: int, rows: int) -> Terms:
    """What reads windows, see :class:`~..window.WindowBuffer`: words of so many bits, of so many
    rows at once."""
    found: Terms = dict.fromkeys(("window counter bits", "filled bits", "joined bits"), 0)
    if window is not None:
        found["window counter bits"] = _window_counters(window, rows)
        found["filled bits"] = rows * word * any(window.padding)
        found["joined bits"] = window.slots * rows * word * (rows > 1)
    return found


def _window_counters(window: Window, rows: int) -> int:
    """Bits that count the positions and rows that come in, are kept and are looked at."""
    image, places, kernel = window.size, window.outputs, window.kernel
    coming = sum((n - 1).bit_length() for n in image[1:]) + 5 * window.slots.bit_length()
    tapping = sum((n - 1).bit_length() for n in (kernel[0] // rows, *kernel[1:]))
    walking = (places[0] - 1).bit_length() + sum(n.bit_length() for n in image)
    classes = window.classes.shape if window.border_classes > 1 else ()
    borders = sum(n.bit_length() for n in classes)
    return coming + tapping + walking + borders


def pool_terms(pool: PoolPlan, beat: int) -> Terms:
    """Terms of a pooling, see :class:`~..pool.Pool`, and of the gearbox in front of it.

    Parameters
    ----------
    pool : the plan
    beat : elements of a beat that come to its gearbox
    """
    found: Terms = {
        "bits": pool.size,
        "chosen bits": pool.size * (pool.groups > 1),
        "word bits": (pool.groups - 1).bit_length(),
        "gearbox bits": gearbox_bits(pool, beat),
        "window counter bits": _window_counters(pool.window, 1),
    }
    return found


def presenter_terms(planes: Stochastic, pixels: int, size: int, most: int) -> Terms:
    """Terms of what draws the planes of a stochastic input; see :class:`~..stochastic.Presenter`.

    Parameters
    ----------
    planes : bits of a pixel and generator
    pixels, size : of an image, and of a beat
    most : presentations
    """
    return {
        "one": 1,
        "compared bits": size * planes.bits,
        "kept bits": size * planes.bits * (most > 1),
        "counter bits": _bits(beats(pixels, size) - 1) + _bits(most - 1),
    }


def random_bits(planes: Stochastic, pixels: int, size: int, presentations: int) -> int:
    """Bits that are made for the numbers of an image, an XOR each: see :mod:`~..numbers`.

    Parameters
    ----------
    planes : bits of a pixel and generator
    pixels, size : of an image, and of a beat
    presentations : of the image
    """
    steps = presentations * beats(pixels, size)
    match planes.generator:
        case Generator.SHARED:  # a state for each presentation
            return presentations * planes.bits
        case Generator.LOW_DISCREPANCY:  # and every number is XORed with a counter
            counter = min((presentations - 1).bit_length(), planes.bits)
            return steps * (sequence_bits(planes, size) + size * counter)
        case _:
            return steps * sequence_bits(planes, size)


def random_states(
    planes: Stochastic, pixels: int, size: int, presentations: int
) -> tuple[int, int]:
    """Registers of the random state, and how often they are given another for an image."""
    if planes.generator is Generator.SHARED:
        return planes.bits, presentations
    return WIDTH, presentations * beats(pixels, size)


def compared_bits(planes: Stochastic, pixels: int, presentations: int) -> int:
    """Bits of pixels that are compared with those of a number, for an image."""
    return presentations * pixels * planes.bits


def popcount_bits(layer: LayerPlan) -> float:
    """Bits of the adders that count, for energy: those of a tree, in whatever form. The products
    of whole pixels take an XNOR a bit, of two and a half gates where an adder has nine."""
    if layer.parallel:
        found, _ = _parallel(layer)
        return found["adder bits"] + found["product bits"] * 2.5 / 9
    found, _ = _agree(layer)
    return found["adder bits"] + found["full adders"] * 2


def gearbox_bits(stage: Stage, beat: int) -> int:
    """Bits of the registers of the gearbox in front of a layer or pooling."""
    joined, made = factors(stage.elements, beat, stage.word)
    bits = joined * beat * stage.pixel_bits if joined > 1 else 0
    if joined > 1 and made > 1:
        bits *= 2
    if made > 1:
        bits += made * stage.word * stage.pixel_bits
    return bits


def _array(layer: LayerPlan) -> Terms:
    return {
        "one": 1,
        "lanes": layer.lanes,
        "columns": layer.columns,
        "row bits": _bits(layer.rows - 1),
        "padded columns": layer.columns * float(_masked(layer)),
    }


def buffer_bits(stage: Stage) -> int:
    """Memory bits of the input buffer: rows of an image, or two vectors, each a power of two of
    words."""
    word = stage.word * stage.pixel_bits
    if stage.window is not None:
        row = math.prod(stage.window.size[1:])
        words = stage.window.channels // stage.word
        places = 1 << (row - 1).bit_length() << (words - 1).bit_length()
        banks = buffers(stage)  # each of two words at least
        return banks * max(stage.window.slots // banks * places, 2) * word
    words = stage.folds * (stage.planes if stage.equal else 1)
    return (2 << (words - 1).bit_length()) * word


def buffers(stage: Stage) -> int:
    """Memories of the input buffer, which are all read at once."""
    together = isinstance(stage, LayerPlan) and stage.tap_rows > 1
    return stage.window.slots if together and stage.window is not None else 1


def constant_bits(layer: LayerPlan) -> int:
    """Memory bits of the thresholds or offsets."""
    variants = len(layer.presentations) if layer.equal else 1
    if layer.window is not None:
        variants = layer.window.border_classes
    return max(layer.groups * variants, 2) * layer.neurons * total_bits(layer)


def outbox_bits(layer: LayerPlan) -> int:
    """Memory bits of the queue at the output, a few beats; about."""
    width = (
        layer.neurons
        if layer.name != "head"
        else layer.neurons * score_bits(layer) + _bits(layer.outputs - 1) + 1
    )
    return 4 * width


def beats_of(stages: Sequence[Stage], pixels_per_beat: int) -> list[int]:
    """Elements of a beat that come to each layer or pooling."""
    return [pixels_per_beat, *(stage.beat for stage in stages[:-1])]
