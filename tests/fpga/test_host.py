# SPDX-License-Identifier: BSD-2-Clause
"""The host and a whole simulated board: programmed, run, predicted, lost and found again."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.support import instrument as support
from tests.support.graphs import mlp
from tests.support.link import Registers
from twincell.fpga import frames
from twincell.fpga.description import describe
from twincell.fpga.host.board import Board, WrongBoard
from twincell.fpga.host.experiment import Experiment
from twincell.fpga.host.session import (
    BoardReset,
    BusError,
    LinkError,
    LinkLost,
    ProtocolError,
    Session,
)
from twincell.fpga.host.transport import PipeTransport, Transport, TransportError
from twincell.fpga.responder import Responder
from twincell.fpga.top import Emulator
from twincell.hw.verilog import emit
from twincell.model import integer
from twincell.model.errors import ErrorMap
from twincell.model.planes import Accumulate, FixedPoint, Stochastic
from twincell.sim.twin import Twin

CLOCKS_PER_BIT = 6
SLOTS = 8


class Build:
    """A small emulator on disk, and what describes it."""

    def __init__(self, folder, case: support.Case):
        self.folder, self.case = folder, case
        top = Emulator(self.case.network(), clocks_per_bit=CLOCKS_PER_BIT, slots=SLOTS)
        emit(top, folder, name="emulator")
        options = {"clock": 12e6, "clocks_per_bit": CLOCKS_PER_BIT}
        self.about = describe(top.instrument, board="test", **options)

    def twin(self) -> Twin:
        return Twin(self.folder, clocks_per_bit=CLOCKS_PER_BIT, clock=self.about.clock, short=True)

    def board(self, transport: Transport) -> Board:
        return Board(Session(transport, timeout=0.002), self.about, self.case.graph)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    return Build(tmp_path_factory.mktemp("emulator"), support.case())


class Mains(Transport):
    """A twin whose power and whose plug can be pulled."""

    def __init__(self, build: Build):
        self.build, self.twin = build, build.twin()
        self.baud = self.twin.baud
        self.writes = 0
        self.past = 0.0  # seconds of the twins before this one
        self.cut = self.pulled = -1  # the write at which it happens

    def now(self) -> float:
        return self.past + self.twin.cycles / self.twin.clock

    def read(self, timeout: float) -> bytes:
        return self.twin.read(timeout)

    def write(self, content: bytes) -> None:
        self.writes += 1
        if self.writes == self.cut:
            self.past = self.now()
            self.twin.close()
            self.twin = self.build.twin()
        if self.writes == self.pulled:
            raise TransportError("The port is gone")
        self.twin.write(content)

    def reopen(self) -> None:
        self.twin.read(0.01)

    def close(self) -> None:
        self.twin.close()


def maps(graph):
    rates = [(0, 0), (0.1, 0), (0, 0.02), (0.05, 0.1), (0, 0.02)]
    return [None] + [
        ErrorMap.draw(graph, seed, persistent=ber, transient=rate)
        for seed, (ber, rate) in enumerate(rates)
    ]


def test_measurements_are_as_predicted(build):
    """Images that fit are sent once; those that do not, part by part, under every map."""
    graph, images = build.case.graph, build.case.images
    with PipeTransport(build.twin()) as transport:
        for count in (SLOTS, 12):
            board = build.board(transport)
            found = list(Experiment(board).measure(images[:count], maps(graph)))
            assert [each.mismatches for each in found] == [0] * 6
            assert all(each.exact and len(each.scores) == count for each in found)
            assert [each.flips > 0 for each in found] == [False, False, False, True, True, True]
            assert found[3].flips != found[5].flips  # another seed
            different = [(each.scores != found[0].scores).any() for each in found]
            assert different == [False, False, True, True, True, True]


class Wrong(Board):
    """A board that is not the reference's in one place."""

    what = "nothing"

    def run(self, count):
        scores, labels = super().run(count)
        if self.what == "score":
            scores[2, 1] += 1
        if self.what == "label":
            labels[3] ^= 1
        return scores, labels

    def counters(self):
        found = super().counters()
        first, *others = found.reads
        changed = {
            "reads": {"reads": (first + 1, others[0] - 1, *others[1:])},  # the sum is right
            "flips": {"flips": (found.flips[0] + 1, *found.flips[1:])},
            "images": {"images": found.images - 1},
        }
        return replace(found, **changed.get(self.what, {}))


def test_what_is_not_as_predicted_is_told(build):
    graph, images = build.case.graph, build.case.images[:5]
    names = [each.name for each in build.about.emulated]
    with PipeTransport(build.twin()) as transport:
        board = Wrong(Session(transport, timeout=0.002), build.about, graph)
        for what, mismatches, counters in (
            ("nothing", 0, []),
            ("score", 1, []),
            ("label", 1, []),
            ("reads", 0, [f"reads of {name}" for name in names[:2]]),
            ("flips", 0, [f"flips of {names[0]}"]),
            ("images", 0, ["images 4 of 5"]),
        ):
            board.what = what
            (found,) = Experiment(board).measure(images, [maps(graph)[4]])
            assert found.exact == (what == "nothing") and found.mismatches == mismatches
            assert len(found.miscounted) == len(counters)
            assert all(a.startswith(b) for a, b in zip(found.miscounted, counters, strict=True))


@pytest.mark.parametrize("accumulate", list(Accumulate))
def test_presentations_are_chosen_by_the_host(accumulate, tmp_path):
    """Each number of them on the same board, with errors, and images in several parts."""
    build = Build(tmp_path, support.case(Stochastic(3, (3, 1, 8), seed=9, accumulate=accumulate)))
    graph, images = build.case.graph, build.case.images
    assert [each.presentations for each in build.about.paces] == [3, 1, 8]
    errors, clean = [None, maps(graph)[4]], []
    with PipeTransport(build.twin()) as transport:
        for count in (8, 1, None):
            board = build.board(transport)
            experiment = Experiment(board, presentations=count)
            found = list(experiment.measure(images, errors))
            assert all(each.exact and len(each.scores) == len(images) for each in found)
            assert found[0].reads == len(images) * sum(build.about.pace(count).reads)
            shown = integer.scores(graph, images, presentations=count)
            assert np.array_equal(found[0].scores, shown)
            clean.append(shown)
        board = Experiment(build.board(transport), presentations=2)
        with pytest.raises(ValueError, match=r"^random supports 3, 1, 8 presentations, not 2$"):
            next(board.measure(images, [None]))
    assert all(np.any(one != other) for one, other in itertools.combinations(clean, 2))


def test_nothing_is_sent_twice(build):
    graph, images = build.case.graph, build.case.images[:SLOTS]
    with PipeTransport(build.twin()) as transport:
        board = build.board(transport)
        experiment = Experiment(board)
        list(experiment.measure(images, [None]))
        assert board.upload(images) == 0
        assert board.program(graph) == 0
        changed = images.copy()
        changed[[2, 3, 6]] ^= 1
        assert board.upload(changed) == 3
        errors = ErrorMap.draw(graph, 3, persistent=0.01)
        rows = board.program(errors.sensed(graph))
        assert 0 < rows < sum(t.rows for t in board.targets if t.kind == "word lines")
        assert next(iter(experiment.measure(images, [errors]))).exact
        board.connect()
        assert board.upload(images) == SLOTS
        total = sum(t.rows for t in board.targets if t.kind == "word lines")
        assert board.program(graph) == total
        worn = sum(int(board.programmings(k).sum()) for k in range(len(build.about.emulated)))
        assert worn == board.programmed == 2 * total + 1 * rows


@pytest.mark.parametrize("at", [3, 20, 40])
def test_a_board_that_loses_power_or_its_port_is_set_up_again(build, at):
    graph, images = build.case.graph, build.case.images
    errors = maps(graph)[4]
    for what in ("cut", "pulled"):
        with Mains(build) as transport:
            setattr(transport, what, at)
            experiment = Experiment(build.board(transport))
            (found,) = experiment.measure(images, [errors])
            assert found.exact and len(found.scores) == len(images)
            assert experiment.recovered == 1 and transport.writes > at


def test_a_board_that_was_reset_is_noticed(build):
    with Mains(build) as transport:
        board = build.board(transport)
        board.connect()
        transport.cut = transport.writes + 1
        with pytest.raises(BoardReset, match=r"^The board was reset since the session began$"):
            board.read("IMAGES")
        with pytest.raises(LinkError, match=r"^The session was not begun, or it broke; begin it"):
            board.read("IMAGES")


def test_a_refused_word_ends_the_session_and_says_where(build):
    with PipeTransport(build.twin()) as transport:
        board = build.board(transport)
        board.connect()
        board.write("LOAD_TARGET", 0)
        # Without HOLD nothing can be loaded.
        board.session.write(build.about.register("LOAD_DATA").offset, [1, 2], step=False)
        message = r"^The board refused word 0 of 2, a WRITE at 0x088$"
        with pytest.raises(BusError, match=message):
            board.session.flush()
        board.connect()
        assert board.read("IMAGES") == 0


def other(about, **values):
    registers = tuple(
        each.model_copy(update={"value": values.get(each.name, each.value)})
        for each in about.registers
    )
    return about.model_copy(update={"registers": registers})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"BUILD": 1},
            r"^The board runs another build \(weights differ: [0-9a-f]{8}, not 00000001",
        ),
        ({"CONFIGURATION": 2}, r"^The board runs another build \(another network or plan differ: "),
        ({"LAYOUT": 9}, r"^The board's registers are of layout 1, this host knows 9; load a bit"),
    ],
)
def test_another_build_is_refused(build, values, message):
    with PipeTransport(build.twin()) as transport:
        board = build.board(transport)
        board.about = other(build.about, **values)
        with pytest.raises(WrongBoard, match=message):
            board.connect()


class Answering(Transport):
    """Something that answers in Python, in no time."""

    baud = 1e6

    def __init__(self, feed):
        self.feed, self.heard = feed, b""

    def now(self):
        return 0.0

    def read(self, timeout):
        heard, self.heard = self.heard, b""
        return heard

    def write(self, content):
        self.heard += self.feed(content)

    def reopen(self):
        pass

    def close(self):
        pass


@pytest.mark.parametrize("version", [0, 2])
def test_another_version_of_the_protocol(build, version):
    board = build.board(Answering(Responder(Registers(), version).feed))
    message = f"^The board speaks version {version} of the protocol, this host version 1; build the"
    with pytest.raises(ProtocolError, match=message):
        board.connect()


@pytest.mark.parametrize(
    ("feed", "error", "message"),
    [
        (lambda line: b"", LinkLost, r"^No answer to 8 attempts \(0 bytes so far\); is this the"),
        (
            lambda line: line,
            LinkLost,
            r"^No answer to 8 attempts \(\d+ bytes so far\); is this the",
        ),
        (lambda line: b"login: " * 99, LinkLost, r"^No answer to 8 attempts \(\d+ bytes so far\)"),
    ],
)
def test_what_is_no_board(build, feed, error, message):
    """Silence, an echo, and a stream of text."""
    with pytest.raises(error, match=message):
        build.board(Answering(feed)).connect()


def test_a_device_of_another_kind(build):
    class Zeros:
        def read(self, address):
            return 5

    with pytest.raises(
        WrongBoard, match=r"^What answers is no twincell board \(magic 0x00000005\)"
    ):
        build.board(Answering(Responder(Zeros()).feed)).connect()


@pytest.mark.parametrize("length", [1, 7, 200])
def test_half_a_frame_at_power_up(build, length):
    frame = frames.Request(frames.Opcode.WRITE, 1, 0x100, 60, words=(0xFFFFFFFF,) * 60).encode()
    with PipeTransport(build.twin()) as transport:
        transport.write(frame[-length - 1 : -1])
        board = build.board(transport)
        board.connect()
        assert board.session.statistics.timeouts == 0
        assert board.read("IMAGES") == 0


def test_a_network_of_another_shape_is_refused_before_anything_is_sent(build):
    graph, images = build.case.graph, build.case.images[:3]
    other = mlp(np.random.default_rng(1), [23, 13, 5], FixedPoint(3))
    with PipeTransport(build.twin()) as transport:
        board = build.board(transport)
        said = "^The board's layer1 has 14 neurons of 23 inputs; random has another shape$"
        with pytest.raises(ValueError, match=said):
            board.program(other)
        (found,) = Experiment(board).measure(images, [None])  # which a board on hold would not do
        assert np.array_equal(found.scores, integer.scores(graph, images))


def test_more_images_than_slots(build):
    with PipeTransport(build.twin()) as transport:
        board = build.board(transport)
        with pytest.raises(ValueError, match=r"^The board holds 8 images, not 12$"):
            board.upload(build.case.images)
        assert np.array_equal(build.about.encode(build.case.images[:1]).shape, (1, 6))
