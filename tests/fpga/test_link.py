# SPDX-License-Identifier: BSD-2-Clause
"""The link in hardware against its reference, byte by byte."""

import numpy as np
import pytest

from tests.support import simulate
from tests.support.link import REGISTERS, Board, Registers
from twincell.fpga import frames
from twincell.fpga.frames import Answer, FrameError, Opcode, Request, Status
from twincell.fpga.responder import Responder

MAGIC, A, B, LOG, SUM, QUEUE, LAST = (
    REGISTERS[name].offset for name in ("MAGIC", "A", "B", "LOG", "SUM", "QUEUE", "LAST")
)


def read(sequence, address, count=1, **more):
    return Request(Opcode.READ, sequence, address, count, **more).encode()


def write(sequence, address, *words, **more):
    return Request(Opcode.WRITE, sequence, address, len(words), words=words, **more).encode()


def begin(sequence):
    return Request(Opcode.BEGIN, sequence, 0, 4).encode()


def answers(line: bytes) -> list[Answer]:
    *packets, rest = line.split(b"\0")
    assert not rest
    return [Answer.decode(packet) for packet in packets]


def exchange(line: bytes, pauses: str = "none", seed: int = 0) -> list[Answer]:
    """The answers of the hardware, which must be the reference's to the byte."""
    expected = Responder(Registers()).feed(line)
    found, _ = simulate.play(Board(), list(line), len(expected), pauses=pauses, seed=seed)
    assert bytes(found) == expected
    return answers(expected)


def body(first, sequence, address, count, flags, words=b""):
    """A frame with a right CRC, whatever else is wrong."""
    return frames.pack(
        bytes((first, sequence, *address.to_bytes(2, "little"), count, flags)) + words
    )


@pytest.mark.parametrize("pauses", ["none", "both"])
def test_a_session(pauses):
    words = range(1, 8)
    found = exchange(
        begin(7)
        + write(8, A, 0x12345678, 0)
        + read(9, A, 2)
        + write(10, LOG, *words, step=False)
        + read(11, SUM)
        + read(12, QUEUE, 5, step=False)
        + write(13, LAST, 0xFFFFFFFF),
        pauses,
    )
    assert [each.status for each in found] == [Status.OK] * 7
    assert found[0].words == tuple(r.value for r in REGISTERS.registers[:4])
    assert found[2].words == (0x12345678, 0)
    assert found[5].words == (0, 1, 2, 3, 4)
    assert [each.count for each in found] == [4, 2, 2, 7, 1, 5, 1]


def test_repeats_change_nothing_and_are_answered():
    found = exchange(
        begin(255)
        + write(0, LOG, 5) * 3
        + read(1, QUEUE, 2, step=False) * 3
        + read(2, SUM)
        + begin(2) * 2
        + read(3, QUEUE)
    )
    assert found[1] == found[2] == found[3]
    assert found[4] == found[5] == found[6]
    assert found[7].words == (5,) and found[-1].words == (2,)


def test_what_is_refused():
    found = exchange(
        read(5, A)  # before any session
        + begin(5)
        + read(7, A)  # one was lost
        + write(6, LOG, 1, 2, 13, 4, step=False)  # 13 is refused
        + write(7, A, 1)  # so this is not carried out
        + write(6, LOG, 1, 2, 13, 4, step=False)  # the stored answer
        + begin(9)
        + read(10, SUM)
        + write(11, LAST, 1, 2)  # beyond the last address
        + begin(1)
        + read(2, A, 1, version=2)
        + read(2, A)
    )
    statuses = [(each.status, each.count) for each in found]
    assert statuses == [
        (Status.NOT_BEGUN, 0),
        (Status.OK, 4),
        (Status.ORDER, 5),
        (Status.REFUSED, 2),
        (Status.HALTED, 6),
        (Status.REFUSED, 2),
        (Status.OK, 4),
        (Status.OK, 1),
        (Status.REFUSED, 1),
        (Status.OK, 4),
        (Status.VERSION, 1),
        (Status.OK, 1),
    ]
    assert found[7].words == (4,) and found[-1].words == (0,)


def test_malformed_requests():
    words = frames.words_to_bytes(range(61))
    wrong = (
        [body(0x10 | opcode, 2, A, 1, 1) for opcode in (0, *range(4, 16))]
        + [body(0x11, 2, address, 1, 1) for address in (1, 2, 0x1000, 0x8000)]
        + [body(0x11, 2, A, count, 1) for count in (0, 61, 64, 124, 255)]
        + [body(0x11, 2, A, 1, flags) for flags in (2, 3, 128)]
        + [body(0x11, 2, A, 1, 1, words[:size]) for size in (1, 4, 240, 244)]
        + [body(0x12, 2, A, 2, 1, words[:size]) for size in (0, 4, 7, 9, 12)]
        + [body(0x12, 2, A, 61, 1, words), body(0x12, 2, A, 64, 1, b"")]
    )
    found = exchange(begin(1) + b"".join(wrong) + read(2, A))
    assert [each.status for each in found] == [Status.OK, *[Status.MALFORMED] * len(wrong), 0]


def test_garbage_and_resynchronisation():
    rng = np.random.default_rng(3)
    frame = write(2, LOG, 0, 1 << 31, 0x01010101, step=False)
    damaged = [
        frame[:k] + bytes([frame[k] ^ 1 << k % 8]) + frame[k + 1 :] for k in range(len(frame))
    ]
    line = (
        bytes(5) + frame[4:] + begin(1) + b"".join(damaged) + bytes(3)
        + rng.integers(0, 256, 700, np.uint8).tobytes()
        + b"\1" * 300 + b"\0" + b"\xff" * 600 + b"\0" + b"\x08short\x01\0"
        + b"".join(frames.pack(bytes(range(size))) for size in range(6))  # with right CRCs
        + frame + read(3, SUM)
    )  # fmt: skip
    found = exchange(line, seed=3)
    # A delimiter that was made by the damage ends an empty frame; nothing else is answered.
    assert [each.status for each in found] == [Status.OK] * 3


def test_the_longest_frames():
    words = [int(w) for w in np.random.default_rng(1).integers(0, 1 << 32, 60)]
    zeros = [0] * 60
    found = exchange(
        begin(0)
        + write(1, B, *words, step=False)
        + read(2, B, 60, step=False)
        + write(3, B, *zeros, step=False)
        + read(4, B, 60, step=False)
        + read(5, MAGIC, 4)
    )
    assert found[2].words == (words[-1],) * 60 and found[4].words == (0,) * 60


@pytest.mark.parametrize("pauses", ["none", "both"])
def test_random_frames_damaged_at_random(pauses):
    """Whatever arrives, the hardware says what the reference says."""
    rng = np.random.default_rng(len(pauses))
    line, sequence = begin(0), 0
    for _ in range(40):
        kind = rng.integers(0, 8)
        if kind == 0:
            line += begin(int(rng.integers(0, 256)))
            continue
        sequence = int(sequence + rng.choice([0, 1, 1, 1, 2])) % 256
        count = int(rng.integers(1, 6))
        if kind < 4:
            frame = read(sequence, int(rng.choice([0, A, SUM, QUEUE, LAST])), count, step=kind == 1)
        else:
            words = [int(w) for w in rng.integers(10, 16, count)]
            frame = write(sequence, int(rng.choice([A, LOG, LAST])), *words, step=kind == 4)
        damaged = bytearray(frame)
        for _ in range(int(rng.choice([0, 0, 0, 1, 2]))):
            at = int(rng.integers(0, len(damaged)))
            match rng.integers(0, 3):
                case 0:
                    damaged[at] = int(rng.integers(0, 256))
                case 1:
                    del damaged[at]
                case _:
                    damaged.insert(at, int(rng.integers(0, 256)))
        line += bytes(damaged)
    exchange(line + b"\0" + begin(0), pauses)


def test_frames_in_python():
    request = Request(Opcode.WRITE, 3, A, 2, words=(1, 0x80000000))
    assert frames.unpack(request.encode()[:-1])[0] == 0x12
    answer = Answer(Opcode.READ, 9, Status.OK, 2, (7, 8))
    assert Answer.decode(answer.encode()[:-1]) == answer
    with pytest.raises(FrameError, match=r"^Not COBS: "):
        Answer.decode(b"\x09abc")
    with pytest.raises(FrameError, match=r"^The CRC of 4 bytes is wrong$"):
        Answer.decode(b"\x05abcd")
    with pytest.raises(FrameError, match=r"^14 bytes are not an answer$"):
        Answer.decode(frames.pack(b"\x11234567890")[:-1])
    with pytest.raises(
        ValueError, match=r"^An address is a multiple of 4 up to 0xffc, not 0x1002$"
    ):
        Request(Opcode.READ, 0, 0x1002, 1)
    with pytest.raises(ValueError, match=r"^A frame has 1 to 60 words, not 61$"):
        Request(Opcode.READ, 0, 0, 61)
    with pytest.raises(ValueError, match=r"^1 words for a WRITE of 2$"):
        Request(Opcode.WRITE, 0, 0, 2, words=(1,))
