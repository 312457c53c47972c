# SPDX-License-Identifier: BSD-2-Clause
"""The middle of the host link: a request becomes accesses of the bus, and an answer."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..hw.edges.bank import BusSignature
from .frames import (
    ANSWER,
    ANSWER_BYTES,
    MAX_WORDS,
    REQUEST_BYTES,
    STEP,
    VERSION,
    Opcode,
    Status,
)
from .framing import PLACES, Checksum

# A refusal has its own place behind the longest answer, which so stays to be sent again.
_REFUSAL = PLACES - ANSWER_BYTES
_HEADER = REQUEST_BYTES - 4


class Executor(wiring.Component):
    """Judges a request, carries it out and writes its answer.

    A word takes about 40 cycles when it is read and 10 when it is written, besides the bus's own.

    Members
    -------
    frame, length : In, a request waits
    take : Out(1), takes it: from the next cycle on its bytes can be read
    address : Out(8), of a byte that ``data`` holds in the next cycle
    data : In(8)
    bus : Out(:class:`~twincell.hw.edges.bank.BusSignature`)
    put : Out(1), ``byte`` belongs into ``place``
    place, byte : Out(8)
    send : Out(1), the answer is from place ``first`` up to the one before ``end``
    first, end : Out(8)
    sent : In(1), and has left
    """

    def __init__(self):
        super().__init__(
            {
                "frame": In(1),
                "length": In(8),
                "take": Out(1),
                "address": Out(8),
                "data": In(8),
                "bus": Out(BusSignature()),
                "put": Out(1),
                "place": Out(8),
                "byte": Out(8),
                "send": Out(1),
                "first": Out(8),
                "end": Out(8),
                "sent": In(1),
            }
        )
        self._header = [Signal(8, name=f"header{k}") for k in range(_HEADER)]
        self._length = Signal(8)
        self._word = Signal(32)  # bytes enter at the top and leave at the bottom
        self._left = Signal(range(5))  # bytes to move
        self._done = Signal(range(MAX_WORDS + 1))
        self._status = Signal(Status)
        self._last = Signal(8)  # sequence number of the last request in order
        self._begun = Signal()
        self._halted = Signal()
        self._refused = Signal()
        self._stored = Signal(8)  # where the kept answer ends

    def elaborate(self, platform):
        # A request is fetched, judged and carried out word by word; its answer grows meanwhile.
        m = Module()
        m.submodules.checksum = checksum = Checksum()
        writes = Signal()
        m.d.comb += [
            writes.eq(self._header[0][:4] == Opcode.WRITE),
            self.byte.eq(self._word[:8]),
            checksum.data.eq(self.byte),
            self.first.eq(Mux(self._refused, _REFUSAL, 0)),
            self.end.eq(Mux(self._refused, 0, self._stored)),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.take.eq(self.frame)
                m.d.sync += [self._length.eq(self.length), self.address.eq(0)]
                with m.If(self.frame):
                    m.next = "HEADER"
            with m.State("HEADER"):
                self._fetch_header(m)
            with m.State("JUDGE"):
                m.d.comb += checksum.start.eq(1)
                self._judge(m, self._well_formed(m, writes))
            self._push(m, checksum, "REFUSAL", then="CHECKSUM")
            self._push(m, checksum, "ANSWER", then="WORD")
            with m.State("WORD"):
                self._next_word(m, writes)
            self._fetch_word(m)
            with m.State("ACCESS"):
                self._access(m, writes)
            self._push(m, checksum, "END", then="CHECKSUM")
            self._push_checksum(m, checksum)
            with m.State("SEND"):
                m.d.comb += self.send.eq(1)
                m.next = "SENDING"
            with m.State("SENDING"), m.If(self.sent):
                m.next = "IDLE"
        return m

    def _fetch_header(self, m: Module) -> None:
        """A byte each cycle, which comes one cycle after its address."""
        with m.Switch(self.address):
            for index, part in enumerate(self._header):
                with m.Case(index + 1):
                    m.d.sync += part.eq(self.data)
        with m.If(self.address == _HEADER):
            m.next = "JUDGE"
        with m.Else():
            m.d.sync += self.address.eq(self.address + 1)

    def _well_formed(self, m: Module, writes: Signal) -> Signal:
        """Whether this version's rules allow the header and the length."""
        first, _, low, high, count, flags = self._header
        right = Signal()
        expected = Mux(writes, Cat(Const(0, 2), count[:6]) + REQUEST_BYTES, REQUEST_BYTES)
        m.d.comb += right.eq(
            first[:4].matches(*Opcode)
            & (count != 0)
            & (count <= MAX_WORDS)
            & (flags <= STEP)
            & (low[:2] == 0)
            & (high[4:] == 0)
            & (self._length == expected)
        )
        return right

    def _judge(self, m: Module, well_formed: Signal) -> None:
        """Refuses the request, sends the last answer again, or begins to carry it out."""
        first, sequence, *_ = self._header
        next_one = Signal(8)
        m.d.comb += next_one.eq(self._last + 1)
        m.d.sync += [self._done.eq(0), self._left.eq(2), self.place.eq(0)]
        m.d.sync += [self._status.eq(Status.OK), self._refused.eq(0)]
        head = Cat(first[:3], Const(ANSWER >> 3, 1), Const(VERSION, 4), sequence)
        m.d.sync += self._word.eq(Cat(head, Const(0, 8), self._last))
        m.next = "ANSWER"
        with m.If(first[4:] != VERSION):
            self._refuse(m, Status.VERSION)
        with m.Elif(~well_formed):
            self._refuse(m, Status.MALFORMED)
        with m.Elif(first[:4] == Opcode.BEGIN):
            m.d.sync += [self._begun.eq(1), self._halted.eq(0), self._last.eq(sequence)]
        with m.Elif(~self._begun):
            self._refuse(m, Status.NOT_BEGUN)
        with m.Elif(sequence == self._last):
            m.next = "SEND"
        with m.Elif(self._halted):
            self._refuse(m, Status.HALTED)
        with m.Elif(sequence == next_one):
            m.d.sync += self._last.eq(sequence)
        with m.Else():
            self._refuse(m, Status.ORDER)

    def _refuse(self, m: Module, status: Status) -> None:
        m.d.sync += [
            self._refused.eq(1),
            self.place.eq(_REFUSAL),
            self._left.eq(4),
            self._word[16:24].eq(status),
        ]
        m.next = "REFUSAL"

    def _next_word(self, m: Module, writes: Signal) -> None:
        """After the answer's beginning and after each word; at last status and count."""
        status = Cat(self._status, Const(0, 5))
        finished = (self._done == self._header[4]) | (self._status != Status.OK)
        m.d.sync += self._left.eq(4)
        with m.If(finished):
            m.d.sync += [self._left.eq(2), self._word.eq(Cat(status, self._done))]
            m.next = "END"
        with m.Elif(writes):
            m.next = "FETCH"
        with m.Else():
            m.next = "ACCESS"

    def _fetch_word(self, m: Module) -> None:
        """Four bytes of the request, two cycles each."""
        with m.State("FETCH"):
            m.next = "SHIFT"
        with m.State("SHIFT"):
            m.d.sync += [
                self._word.eq(Cat(self._word[8:], self.data)),
                self.address.eq(self.address + 1),
                self._left.eq(self._left - 1),
            ]
            m.next = "FETCH"
            with m.If(self._left == 1):
                m.next = "ACCESS"

    def _access(self, m: Module, writes: Signal) -> None:
        """One word; beyond the last address there is none."""
        _, _, low, high, _, flags = self._header
        bus = self.bus
        beyond = high[4]
        m.d.comb += [
            bus.stb.eq(~beyond),
            bus.we.eq(writes),
            bus.address.eq(Cat(low[2:], high[:4])),
            bus.data.eq(self._word),
            bus.select.eq(0b1111),
        ]
        m.d.sync += self._left.eq(4)
        with m.If(beyond | (bus.ack & bus.error)):
            m.d.sync += [self._status.eq(Status.REFUSED), self._halted.eq(1)]
            m.next = "WORD"
        with m.Elif(bus.ack):
            word = Cat(low[2:], high)
            m.d.sync += [
                self._done.eq(self._done + 1),
                word.eq(word + flags[0]),
                self._word.eq(bus.read),
            ]
            m.next = "ANSWER"
            with m.If(writes):
                m.next = "WORD"

    def _push(self, m: Module, checksum: Checksum, state: str, *, then: str) -> None:
        """The lowest bytes of the word become the answer's next."""
        with m.State(state):
            with m.If(self._left == 0):
                m.d.sync += self._left.eq(4)
                m.next = then
            with m.Elif(~checksum.busy):
                m.d.comb += [checksum.put.eq(1), self.put.eq(1)]
                self._advance(m)

    def _push_checksum(self, m: Module, checksum: Checksum) -> None:
        with m.State("CHECKSUM"):
            with m.If(self._left == 0):
                m.next = "SEND"
                with m.If(~self._refused):
                    m.d.sync += self._stored.eq(self.place)
            with m.Elif(~checksum.busy):
                m.d.comb += checksum.give.eq(1)
                m.next = "GIVEN"
        with m.State("GIVEN"), m.If(~checksum.busy):
            m.d.comb += [self.byte.eq(checksum.byte), self.put.eq(1)]
            self._advance(m)
            m.next = "CHECKSUM"

    def _advance(self, m: Module) -> None:
        m.d.sync += [
            self._word.eq(self._word >> 8),
            self.place.eq(self.place + 1),
            self._left.eq(self._left - 1),
        ]
