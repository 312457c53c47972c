# SPDX-License-Identifier: BSD-2-Clause
"""The array of a real 2T2R memory macro: its controller, and the macro as a black box."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from ...model import nodes
from ...model.errors import ErrorMap
from ...model.generators import Registers, gap_table
from ..layer_plan import LayerPlan
from .contents import packed
from .macro_control import MacroControl
from .macro_members import control_members
from .macro_timing import Timing
from .pins import BlackBox
from .signature import ArraySignature
from .updates import PulseTrains


@dataclass(frozen=True)
class ReadErrors:
    """Transient errors of the behavioural model: see :mod:`twincell.model.errors`.

    Parameters
    ----------
    rate : of a latched bit, 0 for none
    start : the generator's registers at image 0
    reads : of an image
    """

    rate: float = 0.0
    start: Registers = (0, 0, 0)
    reads: int = 1


@dataclass(frozen=True)
class ProgramErrors:
    """Devices of the behavioural model that a SET or RESET leaves in the other state.

    Every device that a pulse goes to takes one word of taus88, column by column, BL before BLb; it
    fails when the word is below ``rate * 2^32``.

    Parameters
    ----------
    rate : of a pulse on a device
    start : the generator's registers
    """

    rate: float = 0.0
    start: Registers = (0, 0, 0)

    @property
    def bound(self) -> int:
        """Words below it make a failure."""
        return min(round(self.rate * 2**32), 2**32 - 1)


class MacroArray(wiring.Component):
    """A memory macro behind :class:`~.signature.ArraySignature`.

    Reads take ``cycles_per_read`` cycles each and leave in order; a word line takes several pulses
    to be programmed. See :class:`~.macro_control.MacroControl` for both, and for the further
    members: durations, retry limit, reports and counters, which need not be connected.

    Parameters
    ----------
    sign : uint8 (rows, columns), the signs as they are sensed at power-up
    active : uint8 of the same shape for ternary weights, ``None`` for binary ones
    name : of its files
    timing, retries, formed : see :class:`~.macro_control.MacroControl`
    update_bits : of a signed count of pulses, see :class:`~.updates.PulseTrains`; ``None`` for a
        memory that does not learn
    read_errors, program_errors : of the behavioural model
    macro : what has the macro's pins: called with rows, columns and the model's parameters

    Members
    -------
    i_update, update_limit : In, where it learns: ``i`` and ``limit`` of the pulse trains
    updating : Out(1), where it learns: from the cycle after an update was taken to the end of its
        last pulse, and while a word line is programmed
    """

    def __init__(
        self,
        sign: np.ndarray,
        active: np.ndarray | None = None,
        *,
        name: str = "macro",
        timing: Timing | None = None,
        retries: int = 3,
        formed: bool = True,
        update_bits: int | None = None,
        read_errors: ReadErrors | None = None,
        program_errors: ProgramErrors | None = None,
        macro: Callable[[int, int, dict], wiring.Component] = BlackBox,
    ):
        self.contents = packed(sign, active)
        rows, columns = np.shape(sign)
        self.ternary = active is not None
        self.name = name
        self.read_errors = read_errors or ReadErrors()
        self.program_errors = program_errors or ProgramErrors()
        self.timing_defaults = timing or Timing()
        self.formed = formed
        self.control = MacroControl(
            rows,
            columns,
            ternary=self.ternary,
            timing=timing,
            retries=retries,
            formed=formed,
            learns=update_bits is not None,
        )
        self.macro = macro(rows, columns, self.parameters(rows, columns))
        learns = update_bits is not None
        members = {
            **ArraySignature(rows, columns).members,
            **control_members(rows, columns, self.timing_defaults, retries, learns=learns),
        }
        self.trains = None
        if update_bits is not None:
            self.trains = PulseTrains(rows, columns, update_bits)
            members["i_update"] = self.trains.signature.members["i"]
            members["update_limit"] = self.trains.signature.members["limit"]
            members["updating"] = wiring.Out(1)
        super().__init__(members)

    @property
    def cycles_per_read(self) -> int:
        """Cycles from one read to the next."""
        return self.timing_defaults.cycles_per_read

    @property
    def latency(self) -> int:
        """Cycles from the acceptance of a read to its result."""
        return self.control.latency

    def devices(self) -> tuple[np.ndarray, np.ndarray]:
        """Which BL and BLb devices are LRS at power-up: uint8 (rows, columns) each.

        +1 is LRS on BL and HRS on BLb, -1 the reverse, 0 HRS on both. Where nothing was formed, all
        are HRS.
        """
        columns = self.control.columns
        sign = self.contents[:, :columns]
        if not self.formed:
            return np.zeros_like(sign), np.zeros_like(sign)
        active = self.contents[:, columns:] if self.ternary else np.ones_like(sign)
        return sign & active, (1 - sign) & active

    def parameters(self, rows: int, columns: int) -> dict:
        """Parameters of the behavioural model."""
        found: dict = {"ROWS": rows, "COLUMNS": columns, "TERNARY": int(self.ternary)}
        found["CONTENTS"] = f"{self.name}.contents.mem"
        found["FORMED"] = int(self.formed)
        if self.read_errors.rate:
            digits = len(gap_table(self.read_errors.rate))
            found |= {"ERRORS": f"{self.name}.errors.mem", "DIGITS": digits}
            found["READS"] = self.read_errors.reads
        if self.program_errors.rate:
            found["FAILURES"] = f"{self.name}.failures.mem"
        return found

    def elaborate(self, platform):
        m = Module()
        m.submodules.control = control = self.control
        m.submodules.macro = macro = self.macro
        connect(m, control.pins, macro.pins)
        if self.trains is not None:
            m.submodules.trains = trains = self.trains
            connect(m, flipped(self.i_update), trains.i)
            connect(m, trains.o, control.i_weak)
            m.d.comb += [
                trains.limit.eq(self.update_limit),
                self.updating.eq(trains.o.valid | control.programming),
            ]
        for name, member in self.signature.members.items():
            if name in ("i_update", "update_limit", "updating"):
                continue
            inner, outer = getattr(control, name), getattr(self, name)
            if not member.is_port:
                source = name in ("i", "i_program")
                connect(m, *((flipped(outer), inner) if source else (inner, flipped(outer))))
            elif member.flow is wiring.In:
                m.d.comb += inner.eq(outer)
            else:
                m.d.comb += outer.eq(inner)
        return m


def macro_arrays(
    errors: ErrorMap | None = None, **options
) -> Callable[[nodes.Dense | nodes.Conv | nodes.Head, LayerPlan], MacroArray]:
    """A maker of the arrays of a network, for :class:`~..network.Network`.

    Plan the network with ``Budget(cycles_per_read=timing.cycles_per_read)``.

    Parameters
    ----------
    errors : whose read errors are the model's, for images of the plan's first number of
        presentations; the persistent ones are those of the graph, see
        :meth:`~twincell.model.errors.ErrorMap.sensed`. ``None`` for none.
    options : further arguments of :class:`MacroArray`
    """

    def make(node: nodes.Dense | nodes.Conv | nodes.Head, layer: LayerPlan) -> MacroArray:
        found = None if errors is None else errors.layers.get(layer.node)
        first = layer.shown(layer.presentations[0]) if layer.presentations else layer
        given = None if found is None else ReadErrors(found.rate, found.start, first.reads)
        return MacroArray(
            *layer.contents(node.weights),
            name=f"{layer.name}-macro",
            read_errors=given,
            **options,
        )

    return make
