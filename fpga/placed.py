# SPDX-License-Identifier: BSD-2-Clause
"""An emulator sized for a board, and its pins there."""

from dataclasses import dataclass
from functools import cached_property

from amaranth.build import Platform, ResourceError
from amaranth.hdl import ClockDomain, Elaboratable, Module
from amaranth.lib import io

from ..hw.arrays.emulated import EmulatedArrays
from ..hw.network import Network
from ..hw.plan import Budget, Plan, plan
from ..model.graph import Graph
from . import clocks, uart
from .buffer import WORD, BlockStore
from .clocks import PlatformClock
from .instrument import StoreFactory
from .memory import memories
from .spram import SpramStore
from .targets import Board, BoardError
from .top import Emulator

# No build of docs/results/boards.md takes less, nor for a column more. Synthesis tells the rest.
LEAST_LOGIC, LEAST_LOGIC_OF_COLUMN = 2500, 6


@dataclass(frozen=True)
class Fit:
    """What an emulator takes of a board's block RAM, as an estimate: synthesis may make logic of a
    small memory.

    Parameters
    ----------
    network, buffer : blocks without the image buffer, and those of the image buffer, which are 0
        where it lies in single-port memory
    available : on the device
    slots : images that the buffer holds in what the network leaves
    """

    network: int
    buffer: int
    available: int
    slots: int

    @property
    def total(self) -> int:
        """Blocks with the image buffer."""
        return self.network + self.buffer


@dataclass(frozen=True)
class _Needs:
    """What a network with some lanes takes of a board, and the images that are held beside it.

    ``logic`` is the least; ``blocks`` are without the image buffer, ``buffer`` its own; ``slots``
    are 0 when the block RAM does not do.
    """

    plan: Plan
    logic: int
    blocks: int
    buffer: int
    slots: int

    def missing(self, board: Board) -> str | None:
        """What does not fit, ``None`` when everything does."""
        device = board.device
        if self.logic > device.logic:
            return f"takes at least {self.logic} logic cells; {board.name} has {device.logic}"
        if self.slots < 1:
            image = " and an image" if self.blocks <= device.ram.count else ""
            has = f"{board.name} has {device.ram.count}"
            return f"takes {self.blocks} block RAMs{image}; {has}"
        return None


@dataclass(frozen=True)
class Sized:
    """A network planned for a board.

    Parameters
    ----------
    board : where
    graph, plan : the network
    fit : what it takes
    """

    board: Board
    graph: Graph
    plan: Plan
    fit: Fit

    @property
    def clocks_per_bit(self) -> int:
        """Of the UART; raises :class:`BoardError` when the board's clock does not divide."""
        try:
            return uart.clocks_per_bit(self.board.clock, self.board.baud)
        except ValueError as error:
            raise BoardError(f"{self.board.name}: {error}") from None

    @property
    def images_per_second(self) -> float:
        """Of the network in steady state without read errors, at the board's clock."""
        return self.plan.images_per_second(self.board.clock)

    @cached_property
    def emulator(self) -> Emulator:
        """The hardware."""
        return emulator(self.board, self.graph, self.plan, self.clocks_per_bit, self.fit.slots)


def size(board: Board, graph: Graph, lanes: int | None = None) -> Sized:
    """Plans a network for a board and gives its image buffer all memory that is left.

    Parameters
    ----------
    lanes : of all layers together; by default the board's

    Raises :class:`BoardError` with the number that does not fit, and what would, and for a clock
    that the board cannot have; ``PlanError``.
    """
    clocks.check(board.make_platform(), board.clock)
    wanted = board.lanes if lanes is None else lanes
    needs = _needs(board, graph, wanted)
    missing = needs.missing(board)
    if missing is not None:
        remedy = _remedy(board, graph, wanted)
        raise BoardError(f"{graph.name} with {wanted} lanes {missing}. {remedy}")
    fit = Fit(needs.blocks, needs.buffer, board.device.ram.count, needs.slots)
    sized = Sized(board, graph, needs.plan, fit)
    memories(sized.emulator)  # Amaranth warns of hardware that nobody has looked at
    return sized


def _remedy(board: Board, graph: Graph, lanes: int) -> str:
    """What would fit: other lanes, or the board's own network."""
    for other in (lanes // 2, lanes // 4, 2 * lanes, board.lanes):
        enough = other > len(graph.nodes) and other != lanes
        if enough and _needs(board, graph, other).missing(board) is None:
            return f"{other} lanes fit"
    return f"{board.network} fits here, and a larger board would hold {graph.name}"


def _needs(board: Board, graph: Graph, lanes: int) -> _Needs:
    """With a plan of so many lanes."""
    planned = plan(graph, Budget(lanes=lanes, clock=board.clock))
    logic = LEAST_LOGIC + LEAST_LOGIC_OF_COLUMN * planned.lanes
    made = emulator(board, graph, planned, 4, 1)
    found = memories(made)
    ram = board.device.ram
    taken = sum(ram.blocks(each.rows, each.width) for each in found if "store" not in each.path)
    free = ram.count - taken
    words = board.device.single_port or (ram.words(free) if free > 0 else 0)
    image = made.instrument.image_words
    slots = words // image if free >= 0 else 0
    buffer = 0 if board.device.single_port else ram.blocks(slots * image, WORD)
    return _Needs(planned, logic, taken, buffer, slots)


def emulator(
    board: Board,
    graph: Graph,
    planned: Plan,
    clocks_per_bit: int,
    slots: int,
    *,
    store: StoreFactory | None = None,
) -> Emulator:
    """The hardware for a board; ``store`` makes another image buffer than the board's."""
    arrays = EmulatedArrays(wear=board.programmings)
    network = Network(graph, planned, loadable=True, arrays=arrays)
    store = store or (SpramStore if board.device.single_port else BlockStore)
    return Emulator(network, clocks_per_bit=clocks_per_bit, slots=slots, store=store)


class OnBoard(Elaboratable):
    """An emulator and a board's pins: UART 0, LED 0 where there is one, and the clock.

    Parameters
    ----------
    emulator : whose clock is ``clock``
    clock : in hertz
    """

    def __init__(self, emulator: Emulator, clock: float):
        self.emulator = emulator
        self.clock = clock

    def elaborate(self, platform: Platform):
        m = Module()
        m.submodules.emulator = emulator = self.emulator
        if self.clock != platform.default_clk_frequency:
            m.domains.sync = ClockDomain()
            m.submodules.clock = PlatformClock(self.clock)
        uart = platform.request("uart", 0, dir="-")
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.d.comb += [emulator.rx.eq(rx.i), tx.o.eq(emulator.tx)]
        try:
            pin = platform.request("led", 0, dir="-")
        except ResourceError:  # the board has none, or its UART has taken the pin
            return m
        m.submodules.led = led = io.Buffer("o", pin)
        m.d.comb += led.o.eq(emulator.led)
        return m
