# SPDX-License-Identifier: BSD-2-Clause
"""Streams in cocotb: a source and a sink that pause at random, and a monitor.

All of them act right after a rising clock edge: what they read is what the registers saw at that
edge, and what they write is seen at the next. A transfer is an edge at which valid and ready are 1.
While nothing can happen they wait for valid or ready to rise instead of waking up at each edge.
"""

from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from cocotb.triggers import RisingEdge

from .ports import Stream

_KNOWN = str.maketrans("xXzZuUwW-lLhH", "000000000" + "0011")
_UNKNOWN = str.maketrans("01xXzZuUwW-lLhH", "00" + "1" * 9 + "0000")


class _End:
    """The signals of one stream of the top."""

    def __init__(self, dut, clock, stream: Stream):
        self.clock = clock
        self.stream = stream
        self.payload: Any = getattr(dut, stream.payload)
        self.valid: Any = getattr(dut, stream.valid) if stream.valid else None
        self.ready: Any = getattr(dut, stream.ready) if stream.ready else None

    def is_valid(self) -> bool:
        return self.valid is None or self.valid.value == 1

    def is_ready(self) -> bool:
        return self.ready is None or self.ready.value == 1


class StreamSource(_End):
    """Offers payloads in order; before each it idles for as many cycles as the dice say."""

    def __init__(self, dut, clock, stream: Stream, random: Random, idle: float = 0.0):
        super().__init__(dut, clock, stream)
        self.random, self.idle = random, idle
        if self.valid is not None:
            self.valid.value = 0
        self.payload.value = 0

    async def send(self, payloads: Iterable[int]) -> None:
        """Sends payloads; starts right after a clock edge, and returns at the last transfer."""
        for payload in payloads:
            while self.idle and self.random.random() < self.idle:
                self._rest()
                await RisingEdge(self.clock)
            self.payload.value = payload
            if self.valid is not None:
                self.valid.value = 1
            await self._taken()
        self._rest()

    async def _taken(self) -> None:
        await RisingEdge(self.clock)
        while not self.is_ready():
            await RisingEdge(self.ready)
            await RisingEdge(self.clock)

    def _rest(self) -> None:
        # Nobody may rely on a payload that is not valid, so it is noise.
        if self.valid is not None:
            self.valid.value = 0
            self.payload.value = self.random.getrandbits(self.stream.width)


class StreamSink(_End):
    """Is ready except in cycles that the dice choose."""

    def __init__(self, dut, clock, stream: Stream, random: Random, stall: float = 0.0):
        super().__init__(dut, clock, stream)
        self.random, self.stall = random, stall
        if self.ready is not None:
            self.ready.value = 0

    async def run(self) -> None:
        """Drives ready for ever; starts right after a clock edge."""
        if self.ready is None:
            return
        while self.stall:
            self.ready.value = int(self.random.random() >= self.stall)
            await RisingEdge(self.clock)
            if not self.is_valid():
                await RisingEdge(self.valid)
        self.ready.value = 1


class StreamMonitor(_End):
    """Reports every transfer, and every breach of the contract.

    Parameters
    ----------
    transfer : called with the payload, and a mask of its bits that are X or Z
    breach : called with a description when valid falls or the payload changes before a transfer,
        or valid is X
    patient : sleep through long waits for ready. A breach that heals before ready rises then goes
        unseen, so this is for streams that our own source drives.
    """

    def __init__(
        self,
        dut,
        clock,
        stream: Stream,
        transfer: Callable[[int, int], None],
        breach: Callable[[str], None],
        patient: bool = False,
    ):
        super().__init__(dut, clock, stream)
        self.transfer, self.breach, self.patient = transfer, breach, patient
        self.count = 0

    async def run(self) -> None:
        """Watches for ever."""
        waiting = None
        while True:
            await RisingEdge(self.clock)
            if not self.is_valid():
                if waiting is not None:
                    self.breach(f"{self.stream.name}: valid fell before the transfer")
                    waiting = None
                if self.valid.value != 0:
                    self.breach(f"{self.stream.name}: valid is {self.valid.value}")
                await RisingEdge(self.valid)
                continue
            offered = str(self.payload.value)
            if waiting is not None and offered != waiting:
                self.breach(f"{self.stream.name}: the payload changed before the transfer")
            if self.is_ready():
                waiting = None
                self.count += 1
                self.transfer(
                    int(offered.translate(_KNOWN), 2), int(offered.translate(_UNKNOWN), 2)
                )
            else:
                waiting = offered
                if self.patient:
                    await RisingEdge(self.ready)
