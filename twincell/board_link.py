# SPDX-License-Identifier: BSD-2-Clause
"""A board to measure on: which build it runs, and the way to it: a port, or its simulated twin."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .fpga import flow, placed, targets, tools
from .fpga.buffer import BlockStore
from .fpga.description import FILE, Description, DescriptionError, describe
from .fpga.host.board import Board, Standstill
from .fpga.host.experiment import Experiment
from .fpga.host.ports import uart_port
from .fpga.host.session import LinkError, Session
from .fpga.host.transport import PipeTransport, SerialTransport, Transport
from .fpga.program import NotConnected
from .fpga.targets import BoardError
from .hw.edges.identity import Identity
from .hw.verilog import emit
from .model import store
from .model.graph import Graph
from .networks import Mismatch, UsageError, chosen_presentations, load, zoo
from .sim.twin import Twin

SIMULATED_CLOCKS_PER_BIT = 4  # the line is no more than it must be of what is simulated
SIMULATED_TIMEOUT = 0.01  # seconds of simulated time: there is no adapter that holds bytes back


@dataclass(frozen=True)
class Machine:
    """A build for a board.

    Parameters
    ----------
    board : which
    graph, net : its network, and its name or file
    about : its description
    lanes : of its plan
    """

    board: targets.Board
    graph: Graph
    net: str
    about: Description
    lanes: int

    def twin(self, directory: Path) -> Twin:
        """Its simulation, from power-up; the Verilog goes to ``directory``.

        The image buffer is block RAM, whatever the board has. Raises ``UsageError`` when it would
        not be this build.
        """
        sized = placed.size(self.board, self.graph, self.lanes)
        divider = SIMULATED_CLOCKS_PER_BIT
        top = placed.emulator(
            self.board, self.graph, sized.plan, divider, sized.fit.slots, store=BlockStore
        )
        about = describe(
            top.instrument, board=self.board.name, clock=self.about.clock, clocks_per_bit=divider
        )
        if about.build != self.about.build:
            raise UsageError(
                f"What would be simulated is not that build of {self.about.board}: another version "
                "of twincell has made it; build it again"
            )
        emit(top, directory, name="emulator")
        return Twin(directory, clocks_per_bit=divider, clock=self.about.clock)


def machine(board: str, net: str | None = None, lanes: int | None = None) -> Machine:
    """The build in a directory; or the one that is made for a board of this name.

    Parameters
    ----------
    board : name of a board, or directory of a build
    net, lanes : see :func:`~.fpga.placed.size`; a directory knows them

    Raises ``UsageError`` for what is neither, ``GraphError`` and ``PlanError``.
    """
    with failures():
        directory = Path(board)
        named = board in targets.BOARDS or not directory.is_dir()
        if named and not (directory / FILE).is_file():
            chosen = targets.board(board)
            net = net or chosen.network
            sized = placed.size(chosen, load(net), lanes)
            return Machine(chosen, sized.graph, net, flow.description(sized), sized.plan.lanes)
        about = Description.read(directory / FILE)
        if net is not None or lanes is not None:
            raise UsageError(
                f"{directory} is a build of {about.network} with {about.lanes} lanes; give neither "
                "--net nor --lanes"
            )
        file = directory / f"{about.network}.safetensors"
        graph = store.load(file)
        if Identity(about.configuration, store.digest(graph)).build != about.build:
            raise UsageError(f"{file} is not the network of {directory / FILE}; build it again")
        # In the zoo a network has its data set beside it.
        known = about.network in zoo() and store.digest(load(about.network)) == store.digest(graph)
        name = about.network if known else str(file)
        return Machine(targets.board(about.board), graph, name, about, about.lanes)


@dataclass(frozen=True)
class Way:
    """How a board is reached: a port, a USB bridge's serial number, or in simulation.

    Raises ``UsageError`` for a port in simulation.
    """

    port: str | None = None
    serial: str | None = None
    simulate: bool = False

    def __post_init__(self):
        if self.simulate and (self.port or self.serial):
            raise UsageError("A simulated board has no port; leave out --simulate, or the port")


@contextmanager
def measuring(machine: Machine, way: Way, presentations: int | None = None) -> Iterator[Experiment]:
    """What measures on a board, with so many presentations of each image, where the network has
    them, by default its first number.

    Raises ``UsageError`` when it is not clear which board is meant, and ``OSError``.
    """
    presentations = chosen_presentations(machine.graph, presentations)
    timeout = {"timeout": SIMULATED_TIMEOUT} if way.simulate else {}
    with _opened(machine, way) as transport:
        board = Board(Session(transport, **timeout), machine.about, machine.graph)
        yield Experiment(board, presentations=presentations)


@contextmanager
def _opened(machine: Machine, way: Way) -> Iterator[Transport]:
    """The board's port, the one found by its USB bridge, or its simulated twin."""
    if way.simulate:
        with (
            tempfile.TemporaryDirectory(prefix="twincell-") as folder,
            failures(),
            PipeTransport(machine.twin(Path(folder))) as transport,
        ):
            yield transport
        return
    with failures():
        port = way.port or found_port(machine, way.serial)
        transport = SerialTransport(port, int(machine.about.baud))
    with failures(), transport:
        yield transport


def found_port(machine: Machine, serial: str | None) -> str:
    """The port of the one connected board of this kind; raises ``UsageError``."""
    from serial.tools import list_ports

    with failures():
        try:
            return uart_port(machine.board, list_ports.comports(), serial)
        except NotConnected as error:
            remedy = "name its --port, or measure without a board by --simulate"
            raise UsageError(f"{error}; {remedy}") from None


@contextmanager
def failures() -> Iterator[None]:
    """What goes wrong with a board and on the way to it, as usage errors; a board that hangs is a
    :class:`Mismatch`. Raises ``ToolMissing`` for a package that is not there."""
    try:
        with tools.extra():
            yield
    except Standstill as error:
        raise Mismatch(str(error)) from None
    except (BoardError, DescriptionError, LinkError) as error:
        raise UsageError(str(error)) from None
