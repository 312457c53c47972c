# SPDX-License-Identifier: BSD-2-Clause
"""How a network is computed: lanes, folds, word lines and cycles. Arithmetic, no hardware.

A layer of ``n`` inputs and ``m`` outputs reads its array once in ``cycles_per_read`` cycles. A read
covers ``lanes`` inputs of ``neurons`` neurons, so a vector takes
``planes * ceil(n / lanes) * ceil(m / neurons)`` reads. Layers work on successive images at the same
time, so an image takes as many cycles as the slowest layer. A convolution is read for each of its
windows, tap by tap, and ``lanes`` are channels of a tap, or all channels of a column of taps.

A stochastic image is shown in presentations, whose number is chosen at run time. Added up in the
first layer they are its planes; added up at the output, every layer reads its array once more for
each. Plans hold for the greatest number, and :meth:`Plan.shown` for any other.
"""

import bisect
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from ..model.checks import is_positive
from ..model.graph import Graph
from ..model.nodes import Conv, Flatten, Head, MaxPool
from ..model.planes import Stochastic
from ..model.reads import ReadOrder
from .gearbox import beats
from .layer_plan import Arrangement, LayerPlan
from .pool_plan import PoolPlan
from .window import Window

DEFAULT_LANES = 512
MAX_LANES = 1 << 16  # of one layer
MAX_CYCLES = 1 << 60  # a rate that leaves more is met by any plan

Stage = LayerPlan | PoolPlan


class FirstLayer(StrEnum):
    """How a layer takes fixed-point pixels."""

    SERIAL = "serial"  # bit-planes, a read for each
    PARALLEL = "parallel"  # whole pixels, one read for all bits


class PlanError(ValueError):
    """A network or a budget that does not fit; the message names the number that does not."""


@dataclass(frozen=True)
class Budget:
    """What a network may cost, or how fast it must be.

    Parameters
    ----------
    lanes : XNORs a cycle of all layers together; with nothing else given, the fastest network that
        stays within them is planned
    images_per_second : with it, the smallest network that reaches this rate at ``clock``
    clock : in hertz
    arrangement : of every layer, or of each in order
    cycles_per_read : of the arrays: 1 for a digital memory, more for a macro with phases
    first_layer : how fixed-point pixels are taken; ``parallel`` takes one read where ``serial``
        takes one for each bit, and adders as wide as a pixel, see :mod:`~.parallel`
    """

    lanes: int | None = None
    images_per_second: float | None = None
    clock: float = 100e6
    arrangement: Arrangement | str | tuple[Arrangement | str, ...] = Arrangement.COLUMNS
    cycles_per_read: int = 1
    first_layer: FirstLayer | str = FirstLayer.SERIAL

    def __post_init__(self):
        one = not isinstance(self.arrangement, tuple | list)
        given = (self.arrangement,) if one else tuple(self.arrangement)
        allowed = tuple(str(each) for each in Arrangement)
        for each in given:
            if each not in allowed:
                raise PlanError(f"The arrangement is one of {', '.join(allowed)}, not {each!r}")
        made = tuple(Arrangement(each) for each in given)
        object.__setattr__(self, "arrangement", made[0] if one else made)
        layers = tuple(str(each) for each in FirstLayer)
        if self.first_layer not in layers:
            raise PlanError(f"The first layer is {' or '.join(layers)}, not {self.first_layer!r}")
        object.__setattr__(self, "first_layer", FirstLayer(self.first_layer))
        lanes, rate, clock = self.lanes, self.images_per_second, self.clock
        if lanes is not None and (type(lanes) is not int or lanes < 1):
            raise PlanError(f"Lanes must be a positive integer, not {lanes!r}")
        cycles = self.cycles_per_read
        if type(cycles) is not int or cycles < 1:
            raise PlanError(f"Cycles per read must be a positive integer, not {cycles!r}")
        if rate is not None and not is_positive(rate):
            raise PlanError(f"Images per second must be a positive number, not {rate!r}")
        if not is_positive(clock):
            raise PlanError(f"The clock must be a positive number of hertz, not {clock!r}")


@dataclass(frozen=True)
class Plan:
    """How a graph is computed.

    Parameters
    ----------
    network : the graph's name
    layers : in order; the last is the head
    pixels, pixel_bits : of an image
    pixels_per_beat : pixels of a beat of the input stream
    presentations : of an image, the numbers that can be chosen; empty unless it is stochastic
    pools : max-poolings between the layers
    channels : where pixels come position by position, those of each; 0 where they come in order
    """

    network: str
    layers: tuple[LayerPlan, ...]
    pixels: int
    pixel_bits: int
    pixels_per_beat: int
    presentations: tuple[int, ...] = ()
    pools: tuple[PoolPlan, ...] = ()
    channels: int = 0

    def shown(self, presentations: int | None) -> "Plan":
        """The plan as it works with a number of presentations, ``None`` for the first of those that
        can be chosen; it holds for the greatest.

        Raises :class:`PlanError` for a number that cannot be chosen.
        """
        if presentations is None and not self.presentations:
            return self
        chosen = self.presentations[0] if presentations is None else presentations
        if chosen not in self.presentations:
            allowed = ", ".join(map(str, self.presentations)) or "no"
            raise PlanError(f"{self.network} supports {allowed} presentations, not {chosen}")
        layers = tuple(layer.shown(chosen) for layer in self.layers)
        pools = tuple(pool.shown(chosen) for pool in self.pools)
        return replace(self, layers=layers, pools=pools, presentations=(chosen,))

    def suits(self, graph: Graph) -> bool:
        """Whether it is a plan of such a graph: of its image, layers and poolings, whatever their
        size, and of presentations that the graph supports."""
        counts, supported = self.presentations, _presentations(graph)
        if bool(counts) != bool(supported) or not set(counts) <= set(supported):
            return False
        return (
            (self.pixels, self.pixel_bits) == (graph.values[0].size, graph.input.planes.bits)
            and [layer.on_one_lane for layer in self.layers] == list(_layers(graph, counts))
            and [replace(pool, size=1) for pool in self.pools]
            == list(_one_channel_pools(graph, counts))
        )

    @property
    def input_beats(self) -> int:
        """Beats of an image on the input stream."""
        return beats(self.pixels, self.pixels_per_beat)

    @cached_property
    def cycles_per_image(self) -> int:
        """Cycles between images in steady state: those of the slowest layer. Showing an image takes
        no longer."""
        return max(stage.cycles for stage in self.stages)

    @property
    def stages(self) -> list[Stage]:
        """Layers and poolings in order."""
        return sorted([*self.layers, *self.pools], key=lambda stage: stage.node)

    @property
    def cycles_by_presentations(self) -> dict[int, int]:
        """The same for each number of presentations."""
        return {count: self.shown(count).cycles_per_image for count in self.presentations}

    @property
    def read_order(self) -> ReadOrder:
        """The order in which all arrays are read."""
        return ReadOrder(tuple(layer.array_reads for layer in self.layers))

    @property
    def lanes(self) -> int:
        """XNORs a cycle of all layers."""
        return sum(layer.columns for layer in self.layers)

    @property
    def memory_bits(self) -> int:
        """Bits of all arrays."""
        return sum(layer.memory_bits for layer in self.layers)

    def images_per_second(self, clock: float) -> float:
        """Rate in steady state at a clock in hertz."""
        return clock / self.cycles_per_image


def plan(graph: Graph, budget: Budget | None = None) -> Plan:
    """The plan of ``graph`` within ``budget`` (default: DEFAULT_LANES lanes).

    Raises :class:`PlanError` when a node has no hardware, or when the budget does not fit.
    """
    budget = budget or Budget(lanes=DEFAULT_LANES)
    if budget.lanes is None and budget.images_per_second is None:
        budget = replace(budget, lanes=DEFAULT_LANES)
    counts = _presentations(graph)
    menus = [_foldings(layer) for layer in _arranged(list(_layers(graph, counts)), budget)]
    if budget.images_per_second is None:
        layers = _fastest(menus, budget.lanes or DEFAULT_LANES)
    else:
        layers = _smallest(menus, budget)
    pools = _pools(graph, layers, budget)
    planes, pixels = graph.input.planes, graph.values[0].size
    # Each presentation takes all beats of the image.
    stages = [*layers, *pools]
    most = min(
        max(stage.shown(count).cycles for stage in stages) // count for count in counts or (1,)
    )
    # Beats of a size that divides the first stage's words need no odd gearbox.
    first = min(stages, key=lambda stage: stage.node)
    sizes = [size for size in _divisors(first.word) if beats(pixels, size) <= most]
    spatial = isinstance(first, PoolPlan) or first.window is not None
    channels = graph.input.shape[0] if spatial else 0
    if counts and channels > 1:  # whose random numbers come in another order than its pixels
        raise PlanError(f"{graph.name}: a stochastic image of {channels} channels has no hardware")
    return Plan(graph.name, tuple(layers), pixels, planes.bits, min(sizes), counts, pools, channels)


def _presentations(graph: Graph) -> tuple[int, ...]:
    """The numbers of presentations that a graph supports; none unless its input is stochastic."""
    planes = graph.input.planes
    return planes.presentations if isinstance(planes, Stochastic) else ()


def _layers(graph: Graph, presentations: tuple[int, ...]) -> Iterator[LayerPlan]:
    """Each layer on a single lane, with a choice of presentations; raises PlanError for what has no
    hardware."""
    channels = 0  # of what comes position by position
    for index, node, value, _ in graph.steps():
        match node:
            case Flatten() | MaxPool():
                if isinstance(node, MaxPool):
                    channels = value.shape[0]
                continue
            case _:
                weights, planes = node.weights, value.planes
                equal = isinstance(planes, Stochastic) and not planes.repeated
                shown = presentations if equal or graph.repeated else ()
                window = None
                if isinstance(node, Conv):
                    if equal:
                        where = f"{graph.name}: node {index} (Conv)"
                        raise PlanError(
                            f"{where} has no hardware that adds up presentations; accumulate them "
                            "at the output"
                        )
                    window, channels = Window.of(node, value.shape), value.shape[0]
                yield LayerPlan(
                    name="head" if isinstance(node, Head) else f"layer{index}",
                    node=index,
                    inputs=weights.fan_in,
                    outputs=weights.outputs,
                    planes=max(shown) if equal else 1 if graph.repeated else planes.bits,
                    ternary=weights.ternary,
                    lanes=1,
                    neurons=1,
                    presentations=shown,
                    equal=equal,
                    channels=channels,
                    window=window,
                )
                channels = weights.outputs if isinstance(node, Conv) else 0


def _pools(graph: Graph, layers: list[LayerPlan], budget: Budget) -> tuple[PoolPlan, ...]:
    """Each pooling, as small as it can be to keep pace with the layers, or with the budget's rate;
    raises PlanError where it cannot keep pace with the rate."""
    cycles = max(layer.cycles for layer in layers)
    if budget.images_per_second is not None:
        cycles, wanted = _wanted(budget)
    found = []
    for one in _one_channel_pools(graph, _presentations(graph)):
        channels = graph.values[one.node - 1].shape[0]
        sizes = [replace(one, size=size) for size in _divisors(channels)]
        found.append(next((each for each in sizes if each.cycles <= cycles), sizes[-1]))
        if budget.images_per_second is not None and found[-1].cycles > cycles:
            raise PlanError(f"{wanted}, but {one.name} takes at least {found[-1].cycles}")
    return tuple(found)


def _one_channel_pools(graph: Graph, presentations: tuple[int, ...]) -> Iterator[PoolPlan]:
    """Each pooling, a channel a cycle, with a choice of presentations."""
    shown = presentations if graph.repeated else ()
    for index, node, value, _ in graph.steps():
        if isinstance(node, MaxPool):
            window = Window.of(node, value.shape)
            yield PoolPlan(f"pool{index}", index, window, presentations=shown)


def _arranged(layers: list[LayerPlan], budget: Budget) -> list[LayerPlan]:
    """The layers with the budget's arrangement, or each with its own."""
    given = budget.arrangement
    arrangements = (given,) * len(layers) if isinstance(given, Arrangement) else given
    if len(arrangements) != len(layers):
        raise PlanError(f"{len(arrangements)} arrangements for {len(layers)} layers")
    cycles = budget.cycles_per_read
    parallel = budget.first_layer is FirstLayer.PARALLEL
    first = layers[0]
    if parallel and (first.equal or first.planes == 1):
        raise PlanError(f"A parallel first layer takes pixels of 2 bits or more, {first.name} bits")
    return [
        replace(
            layer,
            arrangement=each,
            cycles_per_read=cycles,
            parallel=parallel and layer is first,
        )
        for layer, each in zip(layers, arrangements, strict=True)
    ]


def _foldings(layer: LayerPlan) -> list[LayerPlan]:
    """Foldings of which none is both no larger and faster than another, smallest first.

    With inputs on rows, all outputs are side by side before a read covers a second input.
    """
    if layer.window is None:
        pairs = itertools.product(_sizes(layer.inputs), _sizes(layer.outputs))
    else:  # words of channels, and beats that are as many for every window
        taps = layer.channels * layer.window.kernel[0]  # of a column
        lanes = sorted({*_divisors(layer.channels), taps})
        pairs = itertools.product(lanes, _divisors(layer.outputs))
    by_rows = layer.arrangement is Arrangement.ROWS
    every = [
        replace(layer, lanes=lanes, neurons=neurons)
        for lanes, neurons in pairs
        if lanes * neurons <= MAX_LANES and not (by_rows and lanes > 1 and neurons < layer.outputs)
    ]
    every.sort(key=lambda folding: (folding.columns, folding.cycles, folding.overhead))
    best: list[LayerPlan] = []
    for folding in every:
        if not best or folding.cycles < best[-1].cycles:
            best.append(folding)
    return best


def _within(menu: list[LayerPlan], cycles: int) -> LayerPlan | None:
    """The smallest folding of at most ``cycles``."""
    return next((folding for folding in menu if folding.cycles <= cycles), None)


def _fastest(menus: list[list[LayerPlan]], lanes: int) -> list[LayerPlan]:
    """The foldings of fewest cycles within ``lanes``."""

    def fit(cycles: int) -> list[LayerPlan] | None:
        chosen = [folding for menu in menus if (folding := _within(menu, cycles)) is not None]
        fits = len(chosen) == len(menus) and sum(folding.columns for folding in chosen) <= lanes
        return chosen if fits else None

    targets = sorted({folding.cycles for menu in menus for folding in menu})
    # Whatever fits in some cycles fits in more.
    first = bisect.bisect_left(targets, True, key=lambda cycles: fit(cycles) is not None)
    if first == len(targets):
        raise PlanError(f"{lanes} lanes are not enough: {len(menus)} layers need one each")
    return fit(targets[first]) or []


def _smallest(menus: list[list[LayerPlan]], budget: Budget) -> list[LayerPlan]:
    """The smallest foldings that reach the budget's rate."""
    cycles, wanted = _wanted(budget)
    layers = []
    for menu in menus:
        folding = _within(menu, cycles)
        if folding is None:
            least = menu[-1]
            limit = f"{least.cycles}, with {least.columns} lanes"
            raise PlanError(f"{wanted}, but {least.name} takes at least {limit}")
        layers.append(folding)
    lanes = sum(layer.columns for layer in layers)
    if budget.lanes is not None and lanes > budget.lanes:
        raise PlanError(f"{wanted} and so take {lanes} lanes, more than the {budget.lanes} allowed")
    return layers


def _wanted(budget: Budget) -> tuple[int, str]:
    """Cycles of an image at the budget's rate, and a message's beginning that says so."""
    rate = budget.images_per_second or 0.0
    # The rate may be clock / n, of which rounding could leave a little less than n.
    cycles = math.floor(min(budget.clock / rate, MAX_CYCLES) * (1 + 2**-50))
    clock = f"{budget.clock / 1e6:g} MHz"
    return cycles, f"{rate:g} images per second at {clock} leave {cycles} cycles an image"


def _divisors(n: int) -> list[int]:
    small = [d for d in range(1, math.isqrt(n) + 1) if n % d == 0]
    return sorted({*small, *(n // d for d in small)})


def _sizes(n: int) -> list[int]:
    """Sizes of a beat worth having for ``n`` elements: powers of two, and what divides ``n``."""
    return sorted({*_divisors(n), *(1 << k for k in range(n.bit_length()) if 1 << k <= n)})
