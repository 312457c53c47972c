# SPDX-License-Identifier: BSD-2-Clause
"""A network and the register bank that controls it: what every edge has in common."""

from collections.abc import Sequence

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..network import Network
from .bank import Bank, BusSignature, members_of
from .identity import Identity
from .loader import Loader
from .network_map import network_registers
from .registers import Register

# What the source of the images says of them.
EVENTS = ("held", "begun", "short", "long")


class Controlled(wiring.Component):
    """A network behind a register bank; images and scores pass without a further cycle.

    Reset, and the soft reset of the bank, drop the images inside and set the arrays' counters to 0.
    Word lines, constants and programmings stay as they were loaded; read errors and presentations
    return to what was built.

    Parameters
    ----------
    network : loadable
    identity : of the build, for the bank
    more : registers of what is around it, whose members of the bank become members of this

    Members
    -------
    bus : In(:class:`~.bank.BusSignature`)
    i, o : the network's
    hold : Out(1), no further image may begin
    soft_reset : Out(1), what is around the network drops its images too
    held, begun, short, long : In(1), see :class:`~.packets.ImageIn`
    """

    def __init__(self, network: Network, identity: Identity, *, more: Sequence[Register] = ()):
        if not network.loadable:
            raise ValueError(f"The network {network.graph.name!r} must be loadable")
        self.network = network
        self.more = tuple(more)
        self.targets = [each.target for each in network.loadables]
        self.registers = network_registers(
            configuration=int(identity.configuration[:8], 16),
            build=int(identity.build[:8], 16),
            targets=self.targets,
            emulated=[each["name"] for each in network.about().get("emulated", [])],
            programmings=network.wear is not None,
            more=more,
        )
        found = network.signature.members
        members = {
            "bus": In(BusSignature()),
            "i": found["i"],
            "o": found["o"],
            "hold": Out(1),
            "soft_reset": Out(1),
            **{event: In(1) for event in EVENTS},
        }
        for register in more:
            members |= members_of(register)
        super().__init__(members)

    def elaborate(self, platform):
        # i -> network -> o, and bus -> bank -> loader -> network
        m = Module()
        m.submodules.network = ResetInserter(self.soft_reset)(self.network)
        m.submodules.bank = bank = Bank(self.registers)
        m.submodules.loader = loader = Loader(self.targets)
        connect(m, flipped(self.i), self.network.i)
        connect(m, self.network.o, flipped(self.o))
        connect(m, flipped(self.bus), bank.bus)
        connect(m, loader.o, self.network.load)
        m.d.comb += self.soft_reset.eq(bank.control[0])
        for register in self.more:
            for name, member in members_of(register).items():
                outside, inside = getattr(self, name), getattr(bank, name)
                m.d.comb += inside.eq(outside) if member.flow is In else outside.eq(inside)
        self._load(m, bank, loader)
        self._count(m, bank)
        if self.network.counting:
            self._count_reads(m, bank)
        if self.network.wear is not None:
            self._ask_programmings(m, bank)
        return m

    def _load(self, m: Module, bank: Bank, loader: Loader) -> None:
        """The loading window; a line on its way holds the next image back."""
        m.d.comb += [
            loader.target.eq(bank.load_target),
            loader.row.eq(bank.load_row),
            loader.restart.eq(bank.load_target_written | bank.load_row_written),
            loader.put.eq(bank.load_data_put),
            loader.word.eq(bank.load_data_data),
            loader.allowed.eq(bank.status[1]),
            bank.load_data_ready.eq(loader.ready),
            bank.load_data_refused.eq(loader.not_allowed | loader.no_place),
            bank.load_row_step.eq(loader.collected),
            self.hold.eq(bank.control[2] | loader.o.valid),
        ]

    def _count(self, m: Module, bank: Bank) -> None:
        """Images inside, the counters and the errors."""
        inside = Signal(16)
        finished = Signal()
        idle = Signal()
        load = self.network.load
        m.d.comb += [
            finished.eq(self.o.valid & self.o.ready & self.o.payload.last),
            idle.eq(inside == 0),
            bank.status[0].eq(idle),
            bank.status[1].eq(idle & self.held),
            bank.status[2].eq(load.valid),
            bank.errors_set[0].eq(self.short),
            bank.errors_set[1].eq(self.long),
            bank.errors_set[2].eq(bank.load_data_put & bank.load_data_refused & ~bank.status[1]),
            bank.errors_set[3].eq(bank.load_data_put & bank.load_data_refused & bank.status[1]),
        ]
        m.d.sync += inside.eq(inside + self.begun - finished)
        with m.If(self.soft_reset):
            m.d.sync += inside.eq(0)
        clear = bank.control[1]
        for name, event in (
            ("images", finished),
            ("short_packets", self.short),
            ("long_packets", self.long),
            ("loaded_lines", load.valid & load.ready),
        ):
            count = Signal(32, name=name)
            m.d.comb += getattr(bank, name).eq(count)
            with m.If(clear):
                m.d.sync += count.eq(0)
            with m.Elif(event):
                m.d.sync += count.eq(count + 1)
        for name, event in (("cycles", ~clear), ("busy", ~idle)):
            count, high = Signal(64, name=name), Signal(32, name=f"{name}_high")
            m.d.comb += [getattr(bank, name).eq(count[:32]), getattr(bank, f"{name}_high").eq(high)]
            with m.If(clear):
                m.d.sync += count.eq(0)
            with m.Elif(event):
                m.d.sync += count.eq(count + 1)
            with m.If(getattr(bank, f"{name}_seen")):
                m.d.sync += high.eq(count[32:])

    def _count_reads(self, m: Module, bank: Bank) -> None:
        """The counters of the emulated arrays, which are the arrays' own."""
        m.d.comb += self.network.clear.eq(bank.control[1])
        for index in range(len(self.network.counting)):
            for name in ("cycles", "reads", "flips"):
                count = self.network.counters[index][name]
                m.d.comb += getattr(bank, f"a{index}_{name}").eq(count)

    def _ask_programmings(self, m: Module, bank: Bank) -> None:
        """A word line's programmings: the write that asks is acknowledged with the answer."""
        ask, answer = self.network.i_wear, self.network.o_wear
        rows = Signal(range(max(self.network.wear.rows) + 1))
        with m.Switch(bank.wear_array):
            for index, count in enumerate(self.network.wear.rows):
                with m.Case(index):
                    m.d.comb += rows.eq(count)
        asked = Signal()
        m.d.comb += [
            ask.payload.array.eq(bank.wear_array),
            ask.payload.row.eq(bank.wear_row_data),
            ask.valid.eq(bank.wear_row_put & ~bank.wear_row_refused & ~asked),
            answer.ready.eq(1),
            bank.wear_row_refused.eq(bank.wear_row_data >= rows),
            bank.wear_row_ready.eq(answer.valid),
        ]
        count = Signal.like(answer.payload)
        m.d.comb += bank.wear_count.eq(count)
        with m.If(answer.valid):
            m.d.sync += [asked.eq(0), count.eq(answer.payload)]
        with m.Elif(ask.valid & ask.ready):
            m.d.sync += asked.eq(1)
