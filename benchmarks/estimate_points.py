# SPDX-License-Identifier: BSD-2-Clause
"""The design points that the fast model of area is fitted to, and those that are held back."""

from dataclasses import dataclass

from twincell.hw.arrays.emulated import EmulatedArrays
from twincell.hw.arrays.macro import macro_arrays
from twincell.hw.arrays.macro_timing import Timing
from twincell.hw.estimate import fast
from twincell.hw.estimate.designs import PoolUnit, Unit
from twincell.hw.estimate.features import pool_terms, presenter_terms, terms
from twincell.hw.estimate.sensed import sensed_array
from twincell.hw.estimate.synthesis import Cells, Part
from twincell.hw.layer_plan import Arrangement, LayerPlan
from twincell.hw.network import digital_array
from twincell.hw.pool_plan import PoolPlan
from twincell.hw.stochastic import Presenter
from twincell.hw.window import Window
from twincell.model.nodes import Fill
from twincell.model.planes import Stochastic
from twincell.model.stochastic import Generator

MAKERS = {
    "sensed": sensed_array,
    "digital": digital_array,
    "macro": macro_arrays(),
    "emulated": EmulatedArrays(None),
}


class Planned:
    """A point with a plan, and ``beat`` elements of a beat that come to it, 0 for a word."""

    plan: LayerPlan | PoolPlan
    beat: int

    @property
    def beats(self) -> int:
        """Elements of a beat that come to it."""
        return self.beat or self.plan.word


class Layer(Planned):
    """What is the same of all layers, with an ``array`` of MAKERS."""

    plan: LayerPlan
    array: str

    @property
    def unit(self) -> Unit:
        """It as hardware."""
        return Unit(self.plan, self.beats, MAKERS[self.array])

    @property
    def terms(self) -> dict[tuple[Part, str], dict[str, float]]:
        """Terms of its formulas."""
        return terms(self.plan, self.array, self.beats)

    def cells(self, coefficients: dict) -> dict[Part, Cells]:
        """What the fast model says."""
        return fast.cells(self.plan, self.array, self.beats, coefficients)


@dataclass(frozen=True)
class Point(Layer):
    """A layer by itself.

    Parameters
    ----------
    lanes, neurons : of a read
    folds, groups : reads of a vector; with ``short`` inputs of the last fold missing
    planes, ternary, parallel : of the layer
    equal : whether its planes are random ones, all of weight 1
    passes : of an image, of random planes that are added up at the output
    array : one of MAKERS
    beat : elements of a beat that come to it; lanes by default
    head : whether it is an output layer
    rows : inputs on rows
    """

    lanes: int
    neurons: int
    folds: int = 2
    groups: int = 2
    short: int = 0
    planes: int = 1
    ternary: bool = False
    parallel: bool = False
    array: str = "sensed"
    beat: int = 0
    head: bool = False
    rows: bool = False
    equal: bool = False
    passes: int = 1

    @property
    def plan(self) -> LayerPlan:
        """Its plan."""
        return LayerPlan(
            "head" if self.head else "layer",
            0,
            self.folds * self.lanes - self.short,
            self.groups * self.neurons,
            self.planes,
            self.ternary,
            self.lanes,
            self.neurons,
            Arrangement.ROWS if self.rows else Arrangement.COLUMNS,
            Timing().cycles_per_read if self.array == "macro" else 1,
            (self.planes,) if self.equal else (self.passes,) if self.passes > 1 else (),
            self.equal,
            self.parallel,
        )

    @property
    def load(self) -> int:
        """What it adds to a synthesis, about."""
        return 200 + 8 * self.lanes * self.neurons * (self.planes if self.parallel else 1)


@dataclass(frozen=True)
class Convolved(Layer):
    """A convolution by itself.

    Parameters
    ----------
    channels, size, kernel, stride, padding, fill : of its windows
    lanes, neurons : of a read
    groups : of neurons
    planes, ternary, parallel : of the layer
    array : one of MAKERS
    beat : elements of a beat that come to it; a word by default
    """

    channels: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    lanes: int
    neurons: int
    groups: int = 2
    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0)
    fill: str = "minus"
    planes: int = 1
    ternary: bool = False
    parallel: bool = False
    array: str = "sensed"
    beat: int = 0

    @property
    def plan(self) -> LayerPlan:
        """Its plan."""
        window = Window(
            self.channels, self.size, self.kernel, self.stride, self.padding, Fill(self.fill)
        )
        return LayerPlan(
            "layer",
            0,
            self.channels * window.taps,
            self.groups * self.neurons,
            self.planes,
            self.ternary,
            self.lanes,
            self.neurons,
            parallel=self.parallel,
            channels=self.channels,
            window=window,
        )

    @property
    def load(self) -> int:
        """What it adds to a synthesis, about."""
        return 400 + 8 * self.lanes * (self.neurons + 1) * (self.planes if self.parallel else 1)


@dataclass(frozen=True)
class Pooled(Planned):
    """A pooling by itself.

    Parameters
    ----------
    channels, shape, kernel, stride : of its windows
    size : channels of a cycle
    beat : elements of a beat that come to it; a word by default
    """

    channels: int
    shape: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    size: int
    beat: int = 0

    @property
    def plan(self) -> PoolPlan:
        """Its plan."""
        padding = (0,) * len(self.shape)
        window = Window(self.channels, self.shape, self.kernel, self.stride, padding)
        return PoolPlan("pool", 0, window, self.size)

    @property
    def unit(self) -> PoolUnit:
        """It as hardware."""
        return PoolUnit(self.plan, self.beats)

    @property
    def load(self) -> int:
        """What it adds to a synthesis, about."""
        return 300 + 8 * self.size

    @property
    def terms(self) -> dict[tuple[Part, str], dict[str, float]]:
        """Terms of its formula."""
        return {(Part.CONTROL, "pool"): pool_terms(self.plan, self.beats)}

    def cells(self, coefficients: dict) -> dict[Part, Cells]:
        """What the fast model says."""
        return {Part.CONTROL: fast.pool_cells(self.plan, self.beats, coefficients)}


@dataclass(frozen=True)
class Drawn:
    """What draws the planes of a stochastic input.

    Parameters
    ----------
    size : pixels of a beat
    pixels, most : of an image, and presentations
    bits, generator : of a pixel's numbers
    """

    size: int
    pixels: int
    most: int
    generator: str
    bits: int = 8

    @property
    def planes(self) -> Stochastic:
        """Of the input."""
        return Stochastic(self.bits, (self.most,), generator=self.generator)

    @property
    def load(self) -> int:
        """What it adds to a synthesis, about."""
        return 200 + 24 * self.size * self.bits

    @property
    def unit(self) -> Presenter:
        """It as hardware."""
        return Presenter(self.planes, self.pixels, self.size, self.most)

    @property
    def terms(self) -> dict[tuple[Part, str], dict[str, float]]:
        """Terms of its formula."""
        made = presenter_terms(self.planes, self.pixels, self.size, self.most)
        return {(Part.RANDOM, self.generator): made}

    def cells(self, coefficients: dict) -> dict[Part, Cells]:
        """What the fast model says."""
        found = fast.presenter_cells(self.planes, self.pixels, self.size, self.most, coefficients)
        return {Part.RANDOM: found}


P = Point
# Small enough for many syntheses; each parameter over a range of 8 to 64.
GRID = [
    # the XNOR done by sense amplifiers
    P(4, 1), P(8, 1, 4, 8), P(8, 4), P(16, 2), P(32, 1), P(64, 1, 2, 4), P(128, 1), P(16, 8, 1, 3),
    P(32, 4, 3, 2, short=5), P(64, 3), P(256, 1, 1, 2), P(8, 16), P(24, 2, beat=4),
    P(32, 2, beat=1), P(16, 1, 16, 16), P(1, 16, 20, 1, rows=True), P(1, 32, 8, 1, rows=True),
    P(2, 8, 5, 1, rows=True),
    # planes one after another
    P(8, 1, planes=8), P(16, 2, planes=8), P(16, 4, 2, 2, planes=4), P(32, 2, planes=2),
    P(32, 4, 1, 2, planes=8), P(64, 1, planes=8, beat=16), P(8, 8, 3, 2, planes=8, beat=2),
    # whole pixels
    P(4, 1, planes=8, parallel=True), P(8, 2, planes=8, parallel=True),
    P(16, 1, planes=8, parallel=True), P(16, 4, planes=4, parallel=True),
    P(32, 1, planes=8, parallel=True, beat=8), P(8, 1, planes=2, parallel=True),
    P(8, 4, planes=8, parallel=True, short=3), P(4, 2, planes=8, parallel=True, ternary=True),
    # ternary
    P(8, 1, ternary=True), P(16, 4, ternary=True), P(64, 1, ternary=True),
    P(16, 2, planes=4, ternary=True),
    # output layers
    P(8, 1, groups=10, head=True), P(16, 2, groups=5, head=True), P(32, 5, head=True),
    P(8, 10, groups=1, head=True), P(64, 1, groups=10, head=True),
    P(8, 4, groups=3, planes=8, head=True),
    # ordinary memory, stored signs
    P(8, 1, array="digital"), P(16, 4, array="digital"), P(32, 2, array="digital"),
    P(64, 2, array="digital"), P(64, 1, 2, 4, short=7, array="digital"),
    P(24, 8, 1, 2, array="digital"), P(8, 4, planes=8, array="digital"),
    P(16, 1, groups=10, array="digital", head=True), P(8, 2, ternary=True, array="digital"),
    P(32, 2, ternary=True, array="digital"), P(16, 4, ternary=True, array="digital"),
    # macros with their control, and the emulator of one
    P(8, 1, array="macro"), P(16, 4, array="macro"), P(32, 1, 8, 8, array="macro"),
    P(8, 2, ternary=True, array="macro"), P(32, 1, ternary=True, array="macro"),
    P(8, 1, array="emulated"), P(16, 4, array="emulated"), P(32, 1, 8, 8, array="emulated"),
    P(8, 2, ternary=True, array="emulated"), P(32, 1, ternary=True, array="emulated"),
    # random planes, added up in the first layer
    P(8, 1, 4, 8, planes=8, equal=True), P(16, 2, planes=3, equal=True),
    P(16, 4, 2, 2, planes=2, equal=True), P(32, 1, planes=4, beat=8, equal=True),
    P(8, 8, 3, 2, planes=8, beat=2, equal=True), P(64, 1, planes=16, equal=True),
    P(16, 1, groups=10, planes=4, equal=True, head=True),
    P(8, 2, planes=4, equal=True, ternary=True),
    P(16, 2, planes=8, equal=True, array="digital"),
    # random planes, added up at the output
    P(16, 2, passes=8), P(8, 1, groups=10, passes=8, head=True),
    P(16, 2, groups=5, passes=4, head=True), P(32, 5, passes=2, head=True),
    P(8, 10, groups=1, passes=16, head=True), P(64, 1, groups=10, passes=3, head=True),
    P(24, 1, 4, 10, passes=100, head=True), P(16, 4, groups=3, passes=8, head=True),
    P(8, 2, groups=5, passes=8, ternary=True, head=True),
    P(16, 1, groups=10, passes=8, array="digital", head=True),
]  # fmt: skip
HELD_BACK = [
    P(12, 3), P(48, 2, 3, 3), P(96, 1), P(20, 6, beat=5), P(1, 24, 10, 1, rows=True),
    P(12, 3, planes=6), P(24, 3, 2, 2, planes=8, beat=8), P(48, 1, planes=3),
    P(12, 2, planes=8, parallel=True), P(24, 1, planes=6, parallel=True, beat=4),
    P(24, 3, ternary=True), P(24, 3, groups=4, head=True), P(12, 7, groups=1, head=True),
    P(12, 3, array="digital"), P(48, 2, 3, 3, array="digital"),
    P(24, 2, ternary=True, array="digital"), P(24, 2, array="macro"), P(24, 2, array="emulated"),
    P(24, 2, planes=5, equal=True), P(12, 3, planes=8, equal=True),
    P(48, 1, planes=3, beat=12, equal=True), P(24, 2, groups=5, planes=6, equal=True, head=True),
    P(24, 1, groups=10, passes=6, head=True), P(12, 5, passes=12, head=True),
    P(20, 10, groups=1, passes=5, head=True), P(48, 2, groups=4, passes=3, head=True),
]  # fmt: skip
C = Convolved
# Convolutions and poolings; images of one and two axes.
CONVOLVED = [
    C(8, (8, 8), (3, 3), 8, 2), C(8, (14, 14), (3, 3), 4, 4, padding=(1, 1)),
    C(16, (8, 8), (3, 3), 16, 1, 8, padding=(1, 1), fill="plus"),
    C(4, (28, 28), (5, 5), 4, 2, 4), C(8, (16, 16), (3, 3), 8, 2, stride=(2, 2)),
    C(16, (6, 6), (2, 2), 1, 8, 1), C(8, (30,), (5,), 8, 2, stride=(1,), padding=(2,)),
    C(16, (100,), (3,), 4, 4, stride=(2,), padding=(0,)),
    C(8, (10, 10), (3, 3), 8, 2, padding=(1, 1), fill="absent"),
    C(16, (7, 7), (3, 3), 4, 2, 4, padding=(1, 1), fill="absent"),
    C(4, (8, 8), (3, 3), 4, 4, padding=(1, 1), ternary=True),
    C(1, (28, 28), (3, 3), 1, 8, 1, planes=8, padding=(1, 1)),
    C(3, (32, 32), (3, 3), 3, 4, 4, planes=8, padding=(1, 1)),
    C(3, (16, 16), (3, 3), 3, 2, planes=4, parallel=True, padding=(1, 1)),
    # a column of taps in a read
    C(4, (8, 8), (3, 3), 12, 4, padding=(1, 1)), C(16, (8, 8), (3, 3), 48, 2),
    C(8, (12, 12), (5, 5), 40, 1, 4, padding=(2, 2), fill="absent"),
    C(1, (28, 28), (3, 3), 3, 8, 1, planes=8, padding=(1, 1)),
    # memory and macros
    C(8, (8, 8), (3, 3), 8, 4, padding=(1, 1), array="digital"),
    C(8, (8, 8), (3, 3), 24, 2, padding=(1, 1), fill="absent", array="digital"),
    C(8, (8, 8), (3, 3), 8, 2, padding=(1, 1), array="emulated"),
    C(8, (8, 8), (3, 3), 8, 2, padding=(1, 1), array="macro"),
    Pooled(8, (8, 8), (2, 2), (2, 2), 8), Pooled(16, (14, 14), (2, 2), (2, 2), 4),
    Pooled(32, (12, 12), (3, 3), (2, 2), 8), Pooled(16, (50,), (2,), (2,), 16),
    Pooled(6, (24, 24), (2, 2), (2, 2), 1, beat=3), Pooled(64, (8, 8), (2, 2), (2, 2), 32),
    Pooled(4, (7, 7), (3, 3), (1, 1), 4, beat=1),
]  # fmt: skip
CONVOLVED_HELD_BACK = [
    C(12, (9, 9), (3, 3), 6, 3, padding=(1, 1)), C(6, (20, 20), (5, 5), 6, 2, 3),
    C(24, (12,), (4,), 12, 2, stride=(1,), padding=(1,), fill="absent"),
    C(6, (11, 11), (3, 3), 18, 2, padding=(1, 1)), C(3, (24, 24), (3, 3), 3, 6, planes=6),
    C(12, (6, 6), (2, 2), 12, 2, ternary=True), C(6, (9, 9), (3, 3), 6, 4, 3, array="digital"),
    C(6, (9, 9), (3, 3), 18, 2, padding=(1, 1), fill="plus", array="emulated"),
    Pooled(12, (10, 10), (2, 2), (2, 2), 6), Pooled(24, (15, 15), (3, 3), (3, 3), 12),
    Pooled(10, (40,), (3,), (2,), 10),
]  # fmt: skip
# Random planes: size of a beat, pixels and presentations, for each generator.
DRAWN = [
    Drawn(size, pixels, most, str(generator))
    for generator in Generator
    for size, pixels, most in ((1, 784, 8), (4, 784, 3), (16, 784, 1), (16, 64, 8))
]
DRAWN_HELD_BACK = [Drawn(8, 784, 8, str(generator)) for generator in Generator]
