# SPDX-License-Identifier: BSD-2-Clause
"""A network behind AXI-Stream packets and a register bank."""

from dataclasses import asdict, dataclass

from amaranth.hdl import ClockDomain, DomainRenamer, Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from ..network import Network
from .controlled import EVENTS, Controlled
from .fronts import AxiLite, Wishbone
from .identity import Identity
from .packets import ImageIn, PacketLayout, ScoresOut

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


class Wrapper(wiring.Component):
    """A network with AXI-Stream in and out and a register bank, all on one clock.

    A packet on ``s_axis`` is an image, and becomes one packet of scores on ``m_axis``, as
    :class:`~.packets.PacketLayout` says; a packet of the wrong length is completed or cut by
    :class:`~.packets.ImageIn`, counted, and gives a packet too. Neither side adds a cycle to the
    network's own.

    Reset, and the soft reset of the bank, drop the images inside; the next beat begins an image.
    Whoever resets in the middle of a packet restarts its source too, or its rest is taken for an
    image and completed. Word lines and constants stay as they were loaded; read errors and
    presentations return to what was built.

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
        self.network = network
        self.arrays = network.arrays
        self.edge = edge
        self.identity = Identity.of(network, edge)
        self.controlled = Controlled(network, self.identity)
        self.registers = self.controlled.registers
        self.layout = PacketLayout.of(network)
        self.front = AxiLite() if edge.bus == "axi" else Wishbone()
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
        # s_axis -> images -> controlled network -> scores -> m_axis, and front -> its bank
        m = Module()
        m.domains.edge = domain = ClockDomain(local=True)
        domain.clk, domain.rst = Signal(name="clk"), Signal(name="rst")
        reset = getattr(self, self.edge.reset_name)
        m.d.comb += [
            domain.clk.eq(self.aclk),
            domain.rst.eq(~reset if self.edge.reset == "low" else reset),
        ]
        m.submodules.controlled = controlled = self.controlled
        self.images = images = ImageIn(self.layout)
        self.scores = ScoresOut(self.layout, controlled.o.payload.shape())
        m.submodules.images = ResetInserter(controlled.soft_reset)(images)
        m.submodules.scores = self.scores
        m.submodules.front = self.front
        connect(m, images.o, controlled.i)
        connect(m, controlled.o, self.scores.i)
        connect(m, self.front.bus, controlled.bus)
        m.d.comb += [
            images.hold.eq(controlled.hold),
            *(getattr(controlled, each).eq(getattr(images, each)) for each in EVENTS),
        ]
        self._pins(m)
        return DomainRenamer("edge")(m)  # not `sync`, which a design around it has

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

    def about(self) -> dict:
        """What a host needs to know of the edge, as plain data for ports.json."""
        return {
            "bus": self.edge.bus,
            "clock": "aclk",
            "reset": self.edge.reset_name,
            "reset_active": self.edge.reset,
            "identity": asdict(self.identity),
            "packets": self.layout.as_dict(),
            "targets": [{**asdict(each), "words": each.words} for each in self.controlled.targets],
        }
