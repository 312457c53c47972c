# SPDX-License-Identifier: BSD-2-Clause
"""The controller of a 2T2R memory macro: it reads and programs word lines, pin by pin."""

from amaranth.hdl import C, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Out

from .macro_members import LINE, RETRY_BITS, Operation, control_members
from .macro_timing import DURATION_BITS, Timing
from .pins import pins_signature
from .signature import ArraySignature


class MacroControl(wiring.Component):
    """Phases of reads and of programming for a macro of the pins of :mod:`.pins`.

    *A read* goes through PRECHARGE, WORD_LINE, SENSE and LATCH. The next may begin when the last
    cycle of LATCH is over, so reads follow each other every ``timing.cycles_per_read`` cycles, and
    a result leaves ``latency`` cycles after its read was accepted. LATCH lasts until the result
    before has left.

    *A programming* of a word line is, when the line was never formed, FORMING of its BL and of its
    BLb devices; then RESET of every device that must be high-resistive and SET of the others, in
    this order, so that no formed cell is LRS on both sides in between; then a read that verifies.
    Columns that read wrong are programmed again, up to ``retries`` times. A pulse goes through
    SELECT, RAISE, PULSE, LOWER and RELEASE: voltages and columns are chosen before the level
    shifters are switched on, and kept until they are off. A programming is accepted between two
    reads, before a read that waits.

    All pins are registers and are 0 after a reset. A reset ends a pulse at once; the word line is
    then marked ``incomplete`` until it has been programmed again. What is known of word lines
    survives a reset, but not a loss of power.

    Parameters
    ----------
    rows, columns : of the macro
    ternary : whether a cell that does not discharge in time is a zero
    timing, retries : values of the registers where nothing is connected
    formed : whether the macro is delivered formed

    Members
    -------
    i, o, i_program : see :class:`~.signature.ArraySignature`; ``active`` is ignored unless ternary
    pins : Out, see :mod:`.pins`
    timing : In, durations; 0 acts as 1. They may change while nothing is read or programmed.
    retries : In, of a programming
    line, line_state : In, Out, a word line and, a cycle later, how often it was programmed (up to
        65535), whether it is formed, and whether its programming was cut off
    programming : Out(1), between the acceptance of a word line and ``done``
    done : Out(1), for a cycle: a programming has ended
    report : Out, of the last programming: row, columns that still read wrong, retries
    retried, failures : Out, retries of all programmings, and programmings that failed
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        *,
        ternary: bool = False,
        timing: Timing | None = None,
        retries: int = 3,
        formed: bool = True,
    ):
        most = (1 << RETRY_BITS) - 1
        if type(retries) is not int or not 0 <= retries <= most:
            raise ValueError(f"A programming is retried 0 to {most} times, not {retries!r}")
        self.rows = rows
        self.columns = columns
        self.ternary = ternary
        self.defaults = timing or Timing()
        self.formed = formed
        super().__init__(
            {
                **ArraySignature(rows, columns).members,
                "pins": Out(pins_signature(rows, columns)),
                **control_members(rows, columns, self.defaults, retries),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from the acceptance of a read to its result: a register each before and behind the
        macro."""
        return self.defaults.cycles_per_read + 2

    def elaborate(self, platform):
        m = Module()
        # The states drive `self._next`, the pins of the next cycle; the pins are registers.
        self._next = pins_signature(self.rows, self.columns).create()
        self._row = Signal(range(max(self.rows, 2)))
        self._line_on = Signal()
        self._inputs, self._enable = Signal(self.columns), Signal(self.columns)
        self._targets = Signal(self.columns), Signal(self.columns)  # BL, BLb devices to be LRS
        self._pending = Signal(self.columns)  # columns being programmed
        self._operation = Signal(Operation)
        self._verifying = Signal()
        self._taken = Signal()  # the pins show the end of LATCH in the next cycle
        self._clock_phases(m)
        self._remember_lines(m)
        bl, blb = self._columns_to_pulse(m)
        with m.If(self.done):
            m.d.sync += self.done.eq(0)
        with m.FSM(name="state") as states:
            with m.State("IDLE"):
                self._accept(m)
            self._read_states(m)
            self._pulse_states(m, bl, blb)
            self._decide_states(m)
        self.state, self.states = states.state, states.decoding
        self._register_pins(m)
        self._results(m)
        return m

    def _clock_phases(self, m: Module) -> None:
        """A counter: ``_over`` is high in the last cycle of a state that lasts ``_duration``."""
        self._duration, self._over = Signal(DURATION_BITS), Signal()
        elapsed = Signal(DURATION_BITS)
        m.d.comb += self._over.eq(elapsed + 1 >= self._duration)
        m.d.sync += elapsed.eq(Mux(self._over, 0, elapsed + 1))

    def _register_pins(self, m: Module) -> None:
        pins, coming = self.pins, self._next
        m.d.comb += coming.wl.eq(Mux(self._line_on, 1 << self._row, 0))
        for name, member in pins.signature.members.items():
            if member.flow is Out:
                m.d.sync += getattr(pins, name).eq(getattr(coming, name))

    # --- reads ------------------------------------------------------------------------------------

    def _accept(self, m: Module) -> None:
        """In the cycle before a read or a programming may begin."""
        m.d.comb += [self.i_program.ready.eq(1), self.i.ready.eq(~self.i_program.valid)]
        m.next = "IDLE"
        with m.If(self.i_program.valid):
            sign, active = self.i_program.payload.sign, self.i_program.payload.active
            whole = active if self.ternary else C(-1, self.columns)
            bl, blb = self._targets
            m.d.sync += [
                self._row.eq(self.i_program.payload.row),
                bl.eq(sign & whole),
                blb.eq(~sign & whole),
                self._pending.eq(-1),
                self.report.retries.eq(0),
            ]
            m.next = "LOOK_UP"
        with m.Elif(self.i.valid):
            m.d.sync += [
                self._row.eq(self.i.payload.row),
                self._inputs.eq(self.i.payload.inputs),
                self._enable.eq(self.i.payload.enable),
            ]
            m.next = "PRECHARGE"

    def _read_states(self, m: Module) -> None:
        timing, coming = self.timing, self._next
        enable = self._enable | self._verifying.replicate(self.columns)
        inputs = self._inputs | self._verifying.replicate(self.columns)
        steer = [coming.x.eq(inputs & enable), coming.xn.eq(~inputs & enable)]
        steer.append(coming.verify.eq(self._verifying))
        with m.State("PRECHARGE"):
            m.d.comb += [*steer, coming.pre.eq(1), self._duration.eq(timing.precharge)]
            with m.If(self._over):
                m.next = "WORD_LINE"
        with m.State("WORD_LINE"):
            m.d.comb += [*steer, coming.pre.eq(1), self._line_on.eq(1)]
            m.d.comb += self._duration.eq(timing.word_line)
            with m.If(self._over):
                m.next = "SENSE"
        with m.State("SENSE"):
            m.d.comb += [*steer, coming.sen.eq(1), self._line_on.eq(1)]
            m.d.comb += self._duration.eq(timing.sense)
            with m.If(self._over):
                m.next = "LATCH"
        waits = self.o.valid & ~self.o.ready
        with m.State("LATCH"):
            m.d.comb += [*steer, coming.sen.eq(1), self._duration.eq(timing.latch)]
            with m.If(self._over & self._verifying):
                m.next = "CHECK"
            with m.Elif(self._over & ~waits):
                m.d.comb += self._taken.eq(1)
                self._accept(m)
            with m.Elif(self._over):
                m.next = "WAIT"
        with m.State("WAIT"):
            m.d.comb += [*steer, coming.sen.eq(1)]
            with m.If(~waits):
                m.d.comb += self._taken.eq(1)
                self._accept(m)

    def _results(self, m: Module) -> None:
        """Takes the latched outputs, a cycle after the state that asked for it."""
        pins, taken, enable = self.pins, Signal(), Signal(self.columns)
        m.d.sync += [taken.eq(self._taken), enable.eq(self._enable)]
        agree, active = Signal(self.columns), Signal(self.columns)
        # Q discharged means disagree, QN discharged agree; a cell that did neither is zero.
        m.d.comb += [
            agree.eq((pins.q & ~pins.qn if self.ternary else pins.q) & enable),
            active.eq((pins.q ^ pins.qn if self.ternary else C(-1, self.columns)) & enable),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(taken):
            m.d.sync += [
                self.o.valid.eq(1),
                self.o.payload.agree.eq(agree),
                self.o.payload.active.eq(active),
            ]

    # --- programming ------------------------------------------------------------------------------

    def _remember_lines(self, m: Module) -> None:
        """A memory of what is known of each word line."""
        fresh = {"programmings": 0, "formed": int(self.formed), "incomplete": 0}
        depth = max(self.rows, 2)
        m.submodules.lines = memory = Memory(shape=LINE, depth=depth, init=[fresh] * depth)
        asked, own, write = memory.read_port(), memory.read_port(), memory.write_port()
        self._known, self._note, self._noting = own.data, write.data, write.en
        m.d.comb += [
            asked.addr.eq(self.line),
            self.line_state.eq(asked.data),
            own.addr.eq(Mux(self.programming, self._row, self.i_program.payload.row)),
            write.addr.eq(self._row),
        ]

    def _pulse_states(self, m: Module, bl: Signal, blb: Signal) -> None:
        coming, operation = self._next, self._operation
        forming = (operation == Operation.FORM_BL) | (operation == Operation.FORM_BLB)
        resetting = operation == Operation.RESET
        select = [
            self._line_on.eq(1),
            coming.v_form.eq(forming),
            coming.v_set.eq(operation == Operation.SET),
            coming.v_reset.eq(resetting),
            coming.sl.eq(resetting),
            coming.bl.eq(bl),
            coming.blb.eq(blb),
        ]
        width = Mux(forming, self.timing.form, Mux(resetting, self.timing.reset, self.timing.set))
        settle = self._duration.eq(self.timing.settle)
        for state, following, drive in (
            ("SELECT", "RAISE", [settle]),
            ("RAISE", "PULSE", [settle, coming.hv.eq(1)]),
            ("PULSE", "LOWER", [self._duration.eq(width), coming.hv.eq(1), coming.pulse.eq(1)]),
            ("LOWER", "RELEASE", [settle, coming.hv.eq(1)]),
        ):
            with m.State(state):
                m.d.comb += [*select, *drive]
                with m.If(self._over):
                    m.next = following
        with m.State("RELEASE"):
            m.d.comb += [*select, settle]
            with m.If(self._over):
                m.next = "SELECT"
                with m.Switch(operation):
                    with m.Case(Operation.FORM_BL):
                        m.d.sync += operation.eq(Operation.FORM_BLB)
                    with m.Case(Operation.FORM_BLB):
                        m.d.comb += [self._noting.eq(1), self._note.eq(self._known)]
                        m.d.comb += self._note.formed.eq(1)
                        m.d.sync += operation.eq(Operation.RESET)
                    with m.Case(Operation.RESET):
                        m.d.sync += operation.eq(Operation.SET)
                    with m.Case(Operation.SET):
                        m.d.sync += self._verifying.eq(1)
                        m.next = "PRECHARGE"

    def _columns_to_pulse(self, m: Module) -> tuple[Signal, Signal]:
        """The devices of each side that the present pulse goes to."""
        found = []
        for side, target in zip(
            (Operation.FORM_BL, Operation.FORM_BLB), self._targets, strict=True
        ):
            devices = Signal(self.columns)
            with m.Switch(self._operation):
                with m.Case(side):
                    m.d.comb += devices.eq(-1)
                with m.Case(Operation.RESET):
                    m.d.comb += devices.eq(~target & self._pending)
                with m.Case(Operation.SET):
                    m.d.comb += devices.eq(target & self._pending)
            found.append(devices)
        return found[0], found[1]

    def _decide_states(self, m: Module) -> None:
        """What comes before the first pulse and after a verifying read."""
        pins, known = self.pins, self._known
        bl, blb = self._targets
        worn = known.programmings.all()
        with m.State("LOOK_UP"):
            m.d.sync += self.programming.eq(1)
            m.d.comb += [
                self._noting.eq(1),
                self._note.eq(known),
                self._note.incomplete.eq(1),
                self._note.programmings.eq(known.programmings + ~worn),
            ]
            m.d.sync += self._operation.eq(Mux(known.formed, Operation.RESET, Operation.FORM_BL))
            m.next = "SELECT"
        with m.State("CHECK"):
            wrong = (pins.q ^ ~blb) | (pins.qn ^ ~bl) if self.ternary else pins.q ^ bl
            m.d.sync += [self._pending.eq(wrong), self._verifying.eq(0)]
            m.next = "DECIDE"
        with m.State("DECIDE"):
            m.next = "IDLE"
            with m.If(self._pending.any() & (self.report.retries < self.retries)):
                m.d.sync += [
                    self.report.retries.eq(self.report.retries + 1),
                    self.retried.eq(self.retried + 1),
                    self._operation.eq(Operation.RESET),
                ]
                m.next = "SELECT"
            with m.Else():
                m.d.comb += [self._noting.eq(1), self._note.eq(known)]
                m.d.comb += self._note.incomplete.eq(0)
                m.d.sync += [
                    self.programming.eq(0),
                    self.done.eq(1),
                    self.report.row.eq(self._row),
                    self.report.failed.eq(self._pending),
                    self.failures.eq(self.failures + self._pending.any()),
                ]
