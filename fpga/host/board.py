# SPDX-License-Identifier: BSD-2-Clause
"""A connected board: its registers by name, its memories, its images and its runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ...hw.arrays import settings
from ...hw.arrays.gaps import DIGITS
from ...hw.edges.registers import MAGIC
from ...hw.layer_plan import Arrangement, LayerPlan
from ...hw.loading import Target
from ...hw.window import Window
from ...model.errors import ErrorMap
from ...model.generators import start_of_image
from ...model.graph import Graph
from ...model.nodes import Conv
from ...model.planes import Stochastic
from ...model.stochastic import start_register
from ..description import Description, EmulatedAt
from .session import LinkError, Session

STANDSTILL = 10.0  # seconds, besides those of the images inside, in which nothing changes
_NO_ERRORS = (1 << 31, 1 << 31, 1 << 31)  # registers of a generator that draws nothing


@dataclass(frozen=True)
class Counters:
    """What a board has counted.

    Parameters
    ----------
    images : that left
    cycles : with an image inside
    reads, flips : of each emulated array, and the bits that read errors flipped in it, modulo 2^32
    """

    images: int
    cycles: int
    reads: tuple[int, ...]
    flips: tuple[int, ...]


class Standstill(LinkError):
    """A board that answers, and whose images go no further."""


class WrongBoard(LinkError):
    """Something answers, but it is not the build that is described; nothing was changed there."""


class Board:
    """A board that runs a build.

    What it holds is remembered, so that nothing is sent twice; :meth:`connect` forgets it.

    Parameters
    ----------
    session : to the board
    about : the description of its build
    graph : its network

    Methods raise what :class:`~.session.Session` raises.
    """

    def __init__(self, session: Session, about: Description, graph: Graph):
        self.session, self.about, self.graph = session, about, graph
        self.targets = [
            Target(t.name, t.kind, t.rows, t.bits, t.lowest, t.highest, t.width)
            for t in about.targets
        ]
        self._lines: dict[int, np.ndarray] = {}  # of each target, as far as it is known
        self._rates: dict[int, float] = {}  # whose tables the arrays of these indices have
        self._images: dict[int, bytes] = {}  # by slot
        self.programmed = 0  # lines written
        # Every layer may hold an image whose reads are wrong in all bits; an error takes a cycle
        # for each digit of the gap before it.
        slowest = max(pace.cycles_per_image for pace in about.paces)
        slowest *= 1 + DIGITS * max((e.bits_per_read for e in about.emulated), default=0)
        self._patience = STANDSTILL + len(about.reads) * slowest / about.clock

    def connect(self) -> None:
        """Begins a session and makes sure that this is the build.

        What ran is ended; memories keep what they hold. Raises :class:`WrongBoard`.
        """
        names = ("MAGIC", "LAYOUT", "CONFIGURATION", "BUILD")
        first = self._at("MAGIC")
        found = dict(zip(names, self.session.begin(first, len(names)), strict=True))
        wanted = {name: self.about.register(name).value for name in names}
        if found["MAGIC"] != MAGIC:
            raise WrongBoard(f"What answers is no twincell board (magic {found['MAGIC']:#010x})")
        if found["LAYOUT"] != wanted["LAYOUT"]:
            raise WrongBoard(
                f"The board's registers are of layout {found['LAYOUT']}, this host knows "
                f"{wanted['LAYOUT']}; load a bitstream that this twincell has built"
            )
        for name, what in (("CONFIGURATION", "another network or plan"), ("BUILD", "weights")):
            if found[name] != wanted[name]:
                raise WrongBoard(
                    f"The board runs another build ({what} differ: {found[name]:08x}, not "
                    f"{wanted[name]:08x}); load {self.about.board}'s bitstream of this build"
                )
        self._lines, self._rates, self._images = {}, {}, {}
        self.pulse("CONTROL", "SOFT_RESET")
        self.clear()

    def read(self, name: str) -> int:
        """A register."""
        return self.session.read(self._at(name))[0]

    def write(self, name: str, word: int) -> None:
        """A register, on its way."""
        self.session.write(self._at(name), [word])

    def pulse(self, name: str, field: str) -> None:
        """Writes one field of a register, and 0 to the others."""
        self.write(name, self.about.register(name)[field].mask)

    def clear(self) -> None:
        """Sets the counters to 0."""
        self.pulse("CONTROL", "CLEAR")

    @contextmanager
    def held(self) -> Iterator[None]:
        """No image is inside and none enters, so that memories can be loaded."""
        self.pulse("CONTROL", "HOLD")
        self._wait("STATUS", "HELD", 1)
        yield
        self.write("CONTROL", 0)
        self.session.flush()

    def load(self, target: int, lines: np.ndarray) -> int:
        """Loads a memory, uint32 (rows, words); only rows that differ from what it holds are sent.

        Returns how many.
        """
        known = self._lines.pop(target, None)
        changed = np.ones(len(lines), bool) if known is None else (known != lines).any(axis=1)
        for first, stop in _stretches(changed):
            self._load(target, first, lines[first:stop].reshape(-1).tolist())
        self._lines[target] = lines
        self.programmed += int(changed.sum())
        return int(changed.sum())

    def program(self, sensed: Graph) -> int:
        """Loads the word lines of all emulated arrays with a network's weights as they are sensed.

        Returns how many word lines were written. Constants stay those of the build. Raises
        ``ValueError`` for a network of another shape, before anything is sent.
        """
        lines = {
            array.word_lines: self.targets[array.word_lines].lines(self._bits(array, sensed))
            for array in self.about.emulated
        }
        with self.held():
            return sum(self.load(target, rows) for target, rows in lines.items())

    def show(self, presentations: int | None, image: int = 0) -> None:
        """Chooses how often images are shown; the next image is number ``image``.

        Read errors are drawn after it, see :meth:`draw`. Inputs that are not stochastic have
        nothing to choose. Raises ``ValueError`` for a number that the network does not support.
        """
        count, planes = self.graph.presentations(presentations), self.graph.input.planes
        if not isinstance(planes, Stochastic):
            return
        (target,) = (k for k, each in enumerate(self.targets) if each.kind == "presentations")
        with self.held():
            self._load(target, 0, [count, start_register(planes.seed, image)])

    def draw(self, errors: ErrorMap | None, image: int = 0) -> None:
        """Gives the arrays rate and seed of their read errors; the next image is number ``image``.

        A table that an array already has is not sent again.
        """
        with self.held():
            for index, array in enumerate(self.about.emulated):
                layer = None if errors is None else errors.layers.get(array.node)
                rate = 0.0 if layer is None else layer.rate
                start = _NO_ERRORS if layer is None else start_of_image(layer.start, image)
                words = settings.words(rate, start)
                rows = slice(settings.CONTROL, None)
                if rate and self._rates.get(index) != rate:
                    self._rates.pop(index, None)
                    rows = slice(0, None)
                self._load(array.read_errors, rows.start, words[rows].tolist())
                if rate:
                    self._rates[index] = rate

    def upload(self, images: np.ndarray) -> int:
        """Fills the slots from the first on; what they hold already is not sent.

        Returns how many images were sent. Raises ``ValueError`` for more images than slots.
        """
        if len(images) > self.slots:
            raise ValueError(f"The board holds {self.slots} images, not {len(images)}")
        words = self.about.encode(images)
        new = np.array([self._images.get(k) != w.tobytes() for k, w in enumerate(words)], bool)
        for first, stop in _stretches(new):
            for slot in range(first, stop):
                self._images.pop(slot, None)
            self.write("IMAGE_SLOT", first)
            part = words[first:stop]
            self.session.write(self._at("IMAGE_DATA"), part.reshape(-1).tolist(), step=False)
            self._images |= {first + k: each.tobytes() for k, each in enumerate(part)}
        self.session.flush()
        return int(new.sum())

    @property
    def slots(self) -> int:
        """Images that it holds."""
        return self.about.capacity.slots

    def run(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Runs the images of the first slots: scores (count, classes) and labels, int64.

        Raises :class:`Standstill` when no result comes for longer than the slowest image takes.
        """
        self.write("RUN_FIRST", 0)
        self.write("RUN_COUNT", count)
        self.pulse("RUN", "START")
        state, size = self.about.register("RUN_STATE"), self.about.results.words
        found: list[int] = []
        end = self._deadline()
        while len(found) < count * size:
            asked = self._now()
            word = self.session.read(state.offset)[0]
            if state["REFUSED"].of(word):
                raise LinkError("The board refused to start a run: one is on its way")
            waiting = min(state["WORDS"].of(word), count * size - len(found))
            if waiting:
                found += self.session.read(self._at("RESULT_DATA"), waiting, step=False)
                end = self._deadline()
            elif asked > end:
                raise Standstill(f"The run stands still after {len(found) // size} images")
        words = np.array(found, np.uint32).reshape(count, size)
        return self.about.results.decode(words)

    def counters(self) -> Counters:
        """Since the last :meth:`clear`."""
        arrays = [
            self.session.read(self._at(f"A{k}_READS"), 2) for k in range(len(self.about.emulated))
        ]
        low, high = self.session.read(self._at("BUSY"), 2)
        reads, flips = (tuple(each[k] for each in arrays) for k in range(2))
        return Counters(self.read("IMAGES"), high << 32 | low, reads, flips)

    def programmings(self, array: int) -> np.ndarray:
        """How often each word line of an emulated array was programmed, int64, at most 65,535.

        Raises ``KeyError`` when the build does not count that.
        """
        target = self.targets[self.about.emulated[array].word_lines]
        self.write("WEAR_ARRAY", array)
        found = []
        for row in range(target.rows):
            self.write("WEAR_ROW", row)
            found.append(self.read("WEAR_COUNT"))
        return np.array(found)

    def _load(self, target: int, row: int, words: list[int]) -> None:
        """Rows of a memory, from one on."""
        self.write("LOAD_TARGET", target)
        self.write("LOAD_ROW", row)
        self.session.write(self._at("LOAD_DATA"), words, step=False)

    def _at(self, name: str) -> int:
        return self.about.register(name).offset

    def _wait(self, name: str, field: str, value: int) -> None:
        register = self.about.register(name)
        end, asked = self._deadline(), self._now()
        while register[field].of(self.session.read(register.offset)[0]) != value:
            if asked > end:
                raise Standstill(f"{name}.{field} does not become {value}")
            asked = self._now()

    def _now(self) -> float:
        return self.session.transport.now()

    def _deadline(self) -> float:
        """When what is inside the board must have moved on."""
        return self._now() + self._patience

    def _bits(self, array: EmulatedAt, graph: Graph) -> np.ndarray:
        """The word lines of an array, uint8 (rows, bits)."""
        reads = self.about.read_order.array(array.node)
        node = graph.nodes[array.node] if array.node < len(graph.nodes) else None
        weights = getattr(node, "weights", None)
        found = None if weights is None else (weights.outputs, weights.fan_in)
        if found != (reads.outputs, reads.inputs):
            raise ValueError(
                f"The board's {array.name} has {reads.outputs} neurons of {reads.inputs} inputs; "
                f"{graph.name} has another shape"
            )
        shape = graph.values[array.node - 1].shape
        layer = LayerPlan(
            name=array.name,
            node=array.node,
            inputs=reads.inputs,
            outputs=reads.outputs,
            planes=1,
            ternary=weights.ternary,
            lanes=reads.lanes,
            neurons=reads.neurons,
            arrangement=Arrangement.COLUMNS if reads.by_neuron else Arrangement.ROWS,
            channels=reads.channels,
            window=Window.of(node, shape) if isinstance(node, Conv) else None,
        )
        sign, active = layer.contents(weights)
        return sign if active is None else np.hstack([sign, active])


def _stretches(wanted: np.ndarray) -> list[tuple[int, int]]:
    """(start, stop) of the runs of true."""
    edges = np.flatnonzero(np.diff(np.r_[False, wanted, False].astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
