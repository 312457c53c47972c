# SPDX-License-Identifier: BSD-2-Clause
"""The board's end of the host link: frames to accesses of the register bank's bus."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from ..hw.edges.bank import BusSignature
from .executor import Executor
from .framing import PLACES, Deframer, Framer


class Link(wiring.Component):
    """Carries out requests, see :mod:`~.frames`, each exactly once and in order.

    A request is carried out after its CRC was found right, and its answer leaves as one frame. The
    next request may arrive meanwhile and waits; then no byte is taken. The last answer is kept: a
    request that repeats the last one in order is answered with it, and reads and writes nothing.
    So whoever repeats until an answer arrives loses no write and reads no queue twice.

    Memory: two frames of requests and one of answers, 768 bytes.

    Members
    -------
    i : In(stream of bytes), from the line
    o : Out(stream of bytes), to the line
    bus : Out(:class:`~twincell.hw.edges.bank.BusSignature`)
    """

    def __init__(self):
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "o": Out(stream.Signature(8)),
                "bus": Out(BusSignature()),
            }
        )

    def elaborate(self, platform):
        # bytes -> deframer -> requests (two places) -> executor -> answers -> framer -> bytes
        m = Module()
        m.submodules.deframer = deframer = Deframer()
        m.submodules.requests = requests = Memory(shape=8, depth=2 * PLACES, init=[])
        m.submodules.executor = executor = Executor()
        m.submodules.answers = answers = Memory(shape=8, depth=PLACES, init=[])
        m.submodules.framer = framer = Framer()
        connect(m, flipped(self.i), deframer.i)
        connect(m, executor.bus, flipped(self.bus))
        connect(m, framer.o, flipped(self.o))

        half = Signal()  # the place that the deframer fills
        arrive = requests.write_port()
        fetch = requests.read_port()
        m.d.comb += [
            arrive.addr.eq(Cat(deframer.length, half)),
            arrive.data.eq(deframer.data),
            arrive.en.eq(deframer.put),
            fetch.addr.eq(Cat(executor.address, ~half)),
            fetch.en.eq(1),
            executor.data.eq(fetch.data),
            executor.frame.eq(deframer.frame),
            executor.length.eq(deframer.length),
            deframer.done.eq(executor.take),
        ]
        m.d.sync += half.eq(half ^ executor.take)

        keep = answers.write_port()
        send = answers.read_port()
        m.d.comb += [
            keep.addr.eq(executor.place),
            keep.data.eq(executor.byte),
            keep.en.eq(executor.put),
            send.addr.eq(framer.address),
            send.en.eq(~keep.en),  # the answer is written before it is sent
            framer.data.eq(send.data),
            framer.start.eq(executor.send),
            framer.first.eq(executor.first),
            framer.end.eq(executor.end),
            executor.sent.eq(framer.done),
        ]
        return m
