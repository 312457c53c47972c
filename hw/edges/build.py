# SPDX-License-Identifier: BSD-2-Clause
"""One call from a planned graph to a directory that other tools take: Verilog and companions."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...model.graph import Graph
from ..equivalence import Proof
from ..network import ArrayFactory, Network
from ..plan import Plan
from ..verilog import Emitted, emit
from . import companions
from .identity import Identity
from .wrapper import Edge, Wrapper

STREAM = {"bus": "stream", "clock": "clk", "reset": "rst", "reset_active": "high"}


@dataclass(frozen=True)
class Built(Emitted):
    """The files of one build, and the proof that the Verilog equals its RTLIL, if there is one."""

    proof: Proof | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them."""
        return (self.verilog, *self.memories, self.ports, *self.models, *self.companions)


def build(
    graph: Graph,
    plan: Plan,
    directory: Path,
    *,
    edge: Edge | None,
    clock: float,
    arrays: ArrayFactory | None = None,
    **emission,
) -> Built:
    """Writes a network, bare (``edge=None``) or behind standard buses.

    Parameters
    ----------
    graph, plan : the network
    directory : of all files
    edge : the buses; ``None`` for the bare streams ``i`` and ``o``
    clock : in hertz, for the timing constraints
    arrays : what the network's arrays are, see :class:`~..network.Network`
    emission : further arguments of :func:`~..verilog.emit`
    """
    network = Network(graph, plan, arrays=arrays, loadable=edge is not None)
    wrapper = None if edge is None else Wrapper(network, edge)
    described: dict = STREAM
    if wrapper is not None:
        described = {**wrapper.about(), "registers": companions.Names(graph.name).registers}
    emitted = emit(
        wrapper or network,
        directory,
        name=graph.name,
        about={"network": network.about(), "edge": described},
        hashes=Identity.of(network, edge).hashes,
        beside=partial(companions.texts, name=graph.name, clock=clock, wrapper=wrapper),
        **emission,
    )
    return Built(**vars(emitted))
