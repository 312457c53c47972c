# SPDX-License-Identifier: BSD-2-Clause
"""A network behind AXI-Stream packets and a register bank."""

import hashlib
import json
from dataclasses import asdict, dataclass, field

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetInserter, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from ...model import store
from ..network import Network
from .bank import Bank
from .fronts import AxiLite, Wishbone
from .loader import Loader
from .packets import ImageIn, PacketLayout, ScoresOut, whole_bytes
from .registers import RegisterMap, network_registers

# Port of the top for each port of the front end.
_PINS = {
    "axi": {
        name: f"s_axil_{name}"
        for name in (
            *("awaddr", "awvalid", "awready", "wdata", "wstrb", "wvalid", "wready"),
            *("bresp", "bvalid", "bready"),
            *("araddr", "arvalid", "arready", "rdata", "rresp", "rvalid", "rready"),
        )
    },
    "wishbone": {
        "cyc": "wb_cyc_i",
        "stb": "wb_stb_i",
        "we": "wb_we_i",
        "adr": "wb_adr_i",
        "dat_w": "wb_dat_i",
        "sel": "wb_sel_i",
        "dat_r": "wb_dat_o",
        "ack": "wb_ack_o",
        "err": "wb_err_o",
    },
}
_RESETS = {"low": "aresetn", "high": "areset"}


@dataclass(frozen=True)
class Edge:
    """Which standard buses a network gets.

    Parameters
    ----------
    bus : ``axi`` for AXI4-Lite or ``wishbone``; either has AXI-Stream for images and scores
    reset : ``low`` (``aresetn``) or ``high`` (``areset``); synchronous both
    """

    bus: str = "axi"
    reset: str = "low"

    def __post_init__(self):
        for name, allowed in (("bus", _PINS), ("reset", _RESETS)):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise TypeError(f"The {name} must be a string, not {value!r}")
            if value not in allowed:
                raise ValueError(f"The {name} is one of {', '.join(allowed)}, not {value!r}")

    @property
    def reset_name(self) -> str:
        """The reset's port."""
        return _RESETS[self.reset]


@dataclass(frozen=True)
class Identity:
    """Hashes, in hexadecimal, of what a wrapped network is; the bank holds the first 32 bits."""

    configuration: str
    weights: str
    build: str = field(init=False)

    def __post_init__(self):
        both = f"{self.configuration} {self.weights}".encode()
        object.__setattr__(self, "build", hashlib.sha256(both).hexdigest())

    @property
    def hashes(self) -> dict[str, str]:
        """What the header of the Verilog shows."""
        return {"Configuration": self.configuration, "Weights": self.weights}

    @classmethod
    def of(cls, network: Network, edge: Edge | None) -> "Identity":
        """The identity of a network behind an edge, or of its bare streams."""
        around = None if edge is None else asdict(edge)
        plan = {**asdict(network.plan), **network.about(), "edge": around}
        text = json.dumps(plan, sort_keys=True)
        return cls(hashlib.sha256(text.encode()).hexdigest(), store.digest(network.graph))


class Wrapper(wiring.Component):
    """A network with AXI-Stream in and out and a register bank, all on one clock.

    A packet on ``s_axis`` is an image, and becomes one packet of scores on ``m_axis``, as
    :class:`~.packets.PacketLayout` says; a packet of the wrong length is completed or cut by
    :class:`~.packets.ImageIn`, counted, and gives a packet too. Neither side adds a cycle to the
    network's own.

    Reset, and the soft reset of the bank, drop the images inside; the next beat begins an image.
    Whoever resets in the middle of a packet restarts its source too, or its rest is taken for an
    image and completed. Memories keep what was loaded.

    Parameters
    ----------
    network : loadable
    edge : which buses

    Members
    -------
    aclk, aresetn or areset : In(1)
    s_axis_tdata, s_axis_tvalid, s_axis_tready, s_axis_tlast : pixels
    m_axis_tdata, m_axis_tkeep, m_axis_tvalid, m_axis_tready, m_axis_tlast : scores and label
    s_axil_* or wb_* : the register bank, see :class:`~.fronts.AxiLite`, :class:`~.fronts.Wishbone`
    """

    def __init__(self, network: Network, edge: Edge):
        if not isinstance(network, Network) or not isinstance(edge, Edge):
            raise TypeError(f"A wrapper takes a Network and an Edge, not {network!r} and {edge!r}")
        if not network.loadable:
            raise ValueError(f"The network {network.graph.name!r} must be loadable")
        self.network = network
        self.arrays = network.arrays
        self.edge = edge
        self.identity = Identity.of(network, edge)
        self.registers: RegisterMap = network_registers(
            configuration=int(self.identity.configuration[:8], 16),
            build=int(self.identity.build[:8], 16),
        )
        self.layout = _layout(network)
        self.front = AxiLite() if edge.bus == "axi" else Wishbone()
        self.targets = [each.target for each in network.loadables]
        pins = {port: self.front.signature.members[name] for name, port in _PINS[edge.bus].items()}
        super().__init__(
            {
                "aclk": In(1),
                edge.reset_name: In(1),
                "s_axis_tdata": In(self.layout.input_bytes * 8),
                "s_axis_tvalid": In(1),
                "s_axis_tready": Out(1),
                "s_axis_tlast": In(1),
                "m_axis_tdata": Out(self.layout.output_bytes * 8),
                "m_axis_tkeep": Out(self.layout.output_bytes),
                "m_axis_tvalid": Out(1),
                "m_axis_tready": In(1),
                "m_axis_tlast": Out(1),
                **pins,
            }
        )

    def elaborate(self, platform):
        # s_axis -> images -> network -> scores -> m_axis, and front -> bank -> loader -> network
        m = Module()
        m.domains.sync = ClockDomain()
        reset = getattr(self, self.edge.reset_name)
        m.d.comb += [
            ClockSignal().eq(self.aclk),
            ResetSignal().eq(~reset if self.edge.reset == "low" else reset),
        ]
        soft = Signal()
        network = self.network
        self.images = ImageIn(self.layout)
        self.scores = ScoresOut(self.layout, network.o.payload.shape())
        m.submodules.images = ResetInserter(soft)(self.images)
        m.submodules.network = ResetInserter(soft)(network)
        m.submodules.scores = self.scores
        m.submodules.front = self.front
        m.submodules.bank = bank = Bank(self.registers)
        m.submodules.loader = loader = Loader(self.targets)
        connect(m, self.images.o, network.i)
        connect(m, network.o, self.scores.i)
        connect(m, self.front.bus, bank.bus)
        connect(m, loader.o, network.load)
        m.d.comb += soft.eq(bank.control[0])
        self._pins(m)
        self._load(m, bank, loader)
        self._count(m, bank, soft)
        return m

    def _pins(self, m: Module) -> None:
        """The flat ports of the top."""
        i, o = self.images.i, self.scores.o
        m.d.comb += [
            i.payload.bytes.eq(self.s_axis_tdata),
            i.payload.last.eq(self.s_axis_tlast),
            i.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(i.ready),
            self.m_axis_tdata.eq(o.payload.bytes),
            self.m_axis_tkeep.eq(o.payload.keep),
            self.m_axis_tlast.eq(o.payload.last),
            self.m_axis_tvalid.eq(o.valid),
            o.ready.eq(self.m_axis_tready),
        ]
        for name, port in _PINS[self.edge.bus].items():
            inside, outside = getattr(self.front, name), getattr(self, port)
            takes = self.signature.members[port].flow is In
            m.d.comb += inside.eq(outside) if takes else outside.eq(inside)

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
            bank.load_row_step.eq(loader.written),
            self.images.hold.eq(bank.control[2] | loader.o.valid),
        ]

    def _count(self, m: Module, bank: Bank, soft: Signal) -> None:
        """Images inside, the counters and the errors."""
        images, o = self.images, self.scores.o
        inside = Signal(16)
        finished = Signal()
        idle = Signal()
        m.d.comb += [
            finished.eq(o.valid & o.ready & o.payload.last),
            idle.eq(inside == 0),
            bank.status[0].eq(idle),
            bank.status[1].eq(idle & images.held),
            bank.status[2].eq(self.network.load.valid),
            bank.errors_set[0].eq(images.short),
            bank.errors_set[1].eq(images.long),
            bank.errors_set[2].eq(bank.load_data_put & bank.load_data_refused & ~bank.status[1]),
            bank.errors_set[3].eq(bank.load_data_put & bank.load_data_refused & bank.status[1]),
        ]
        m.d.sync += inside.eq(inside + images.begun - finished)
        with m.If(soft):
            m.d.sync += inside.eq(0)
        clear = bank.control[1]
        for name, event in (
            ("images", finished),
            ("short_packets", images.short),
            ("long_packets", images.long),
            ("loaded_lines", self.network.load.valid & self.network.load.ready),
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

    def about(self) -> dict:
        """What a host needs to know of the edge, as plain data for ports.json."""
        return {
            "bus": self.edge.bus,
            "clock": "aclk",
            "reset": self.edge.reset_name,
            "reset_active": self.edge.reset,
            "identity": asdict(self.identity),
            "packets": self.layout.as_dict(),
            "targets": [{**asdict(each), "words": each.words} for each in self.targets],
        }


def _layout(network: Network) -> PacketLayout:
    about, score = network.about(), network.head.score_shape.width
    classes = about["classes"]
    return PacketLayout(
        pixels=about["pixels"],
        pixel_bits=about["pixel_bits"],
        pixel_bytes=whole_bytes(about["pixel_bits"]),
        pixels_per_beat=about["pixels_per_beat"],
        input_beats=about["input_beats"],
        classes=classes,
        score_bits=score,
        score_bytes=whole_bytes(score),
        scores_per_beat=about["scores_per_beat"],
        output_beats=about["output_beats"],
        label_bytes=whole_bytes(max(classes - 1, 1).bit_length()),
    )
