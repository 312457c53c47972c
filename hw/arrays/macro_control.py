# SPDX-License-Identifier: BSD-2-Clause
"""The controller of a 2T2R memory macro: it reads and programs word lines, pin by pin."""

from amaranth.hdl import C, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .macro_lines import LineRecords
from .macro_members import RETRY_BITS, Operation, control_members
from .macro_timing import DURATION_BITS, Timing
from .pins import pins_signature
from .signature import ArraySignature
from .updates import weak_stream


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

    *A weak RESET*, where the memory learns, is one pulse on any of a word line's devices. It is
    accepted as a programming is, behind one that waits, and the next may begin when it is over. The
    pulse is counted before it is given.

    All pins are registers and are 0 after a reset. A reset ends a pulse at once; the word line is
    then marked ``incomplete`` until it has been programmed again. What is known of word lines
    survives a reset, but not a loss of power.

    Parameters
    ----------
    rows, columns : of the macro
    ternary : whether a cell that does not discharge in time is a zero
    timing, retries : values of the registers where nothing is connected
    formed : whether the macro is delivered formed
    learns : whether it takes weak RESET pulses

    Members
    -------
    i, o, i_program : see :class:`~.signature.ArraySignature`; ``active`` is ignored unless ternary
    i_weak : In(:func:`~.updates.weak_stream`), where it learns
    pins : Out, see :mod:`.pins`
    timing : In, durations; 0 acts as 1. They may change while nothing is read or programmed.
    retries : In, of a programming
    line, line_state : In, Out, a word line and, a cycle later, how often it was programmed (up to
        65535), whether it is formed, whether its programming was cut off, and its weak pulses
    programming : Out(1), between the acceptance of a word line and ``done``; during a weak pulse
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
        learns: bool = False,
    ):
        most = (1 << RETRY_BITS) - 1
        if type(retries) is not int or not 0 <= retries <= most:
            raise ValueError(f"A programming is retried 0 to {most} times, not {retries!r}")
        self.rows = rows
        self.columns = columns
        self.ternary = ternary
        self.defaults = timing or Timing()
        self.learns = learns
        self.records = LineRecords(rows, formed=formed, learns=learns)
        members = {
            **ArraySignature(rows, columns).members,
            "pins": Out(pins_signature(rows, columns)),
            **control_members(rows, columns, self.defaults, retries, learns=learns),
        }
        if learns:
            members["i_weak"] = In(weak_stream(rows, columns))
        super().__init__(members)

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
        self._inputs = Signal(self.columns)
        self._enable = Signal(self.columns)
        # BL and BLb devices that become LRS, or that get a weak pulse.
        self._targets = tuple(Signal(self.columns, name=f"{bit}_targets") for bit in ("bl", "blb"))
        self._pending = Signal(self.columns)  # columns being programmed
        self._operation = Signal(Operation)
        self._weak = Signal()  # a weak pulse, and not a programming
        self._verifying = Signal()
        self._taken = Signal()  # the pins show the end of LATCH in the next cycle
        self._clock_phases(m)
        self._remember_lines(m)
        self._width_of_pulses(m)
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
        self._duration = Signal(DURATION_BITS)
        self._over = Signal()
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
        pulse = self.i_weak.valid if self.learns else C(0, 1)
        m.d.comb += [
            self.i_program.ready.eq(1),
            self.i.ready.eq(~self.i_program.valid & ~pulse),
        ]
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
                self._weak.eq(0),
                self.programming.eq(1),
                self.report.retries.eq(0),
            ]
            m.next = "LOOK_UP"
        with m.Elif(pulse):
            if self.learns:
                m.d.comb += self.i_weak.ready.eq(1)
                weak, (bl, blb) = self.i_weak.payload, self._targets
                m.d.sync += [self._row.eq(weak.row), bl.eq(weak.bl), blb.eq(weak.blb)]
            m.d.sync += [self._weak.eq(1), self.programming.eq(1)]
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
        pins = self.pins
        taken = Signal()
        enable = Signal(self.columns)
        m.d.sync += [taken.eq(self._taken), enable.eq(self._enable)]
        agree = Signal(self.columns)
        active = Signal(self.columns)
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
        m.submodules.lines = records = self.records
        self._known, self._note, self._noting = records.known, records.note, records.write
        offered = self.i_program.payload.row
        if self.learns:
            offered = Mux(self.i_program.valid, offered, self.i_weak.payload.row)
        m.d.comb += [
            records.line.eq(self.line),
            self.line_state.eq(records.line_state),
            records.row.eq(Mux(self.programming, self._row, offered)),
            records.own.eq(self._row),
        ]

    def _pulse_states(self, m: Module, bl: Signal, blb: Signal) -> None:
        coming, operation = self._next, self._operation
        forming = (operation == Operation.FORM_BL) | (operation == Operation.FORM_BLB)
        resetting, weak = operation == Operation.RESET, operation == Operation.WEAK
        select = [
            self._line_on.eq(1),
            coming.v_form.eq(forming),
            coming.v_set.eq(operation == Operation.SET),
            coming.v_reset.eq(resetting),
            coming.v_weak.eq(weak),
            coming.sl.eq(resetting | weak),
            coming.bl.eq(bl),
            coming.blb.eq(blb),
        ]
        settle, high = self._duration.eq(self.timing.settle), coming.hv.eq(1)
        pulse = [self._duration.eq(self._width), coming.pulse.eq(1)]
        for state, following, drive in (
            ("SELECT", "RAISE", [settle]),
            ("RAISE", "PULSE", [settle, high]),
            ("PULSE", "LOWER", [*pulse, high]),
            ("LOWER", "RELEASE", [settle, high]),
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
                    with m.Case(Operation.WEAK):
                        m.d.sync += self.programming.eq(0)
                        m.next = "IDLE"

    def _width_of_pulses(self, m: Module) -> None:
        self._width = Signal(DURATION_BITS)
        with m.Switch(self._operation):
            with m.Case(Operation.FORM_BL, Operation.FORM_BLB):
                m.d.comb += self._width.eq(self.timing.form)
            with m.Case(Operation.RESET):
                m.d.comb += self._width.eq(self.timing.reset)
            with m.Case(Operation.SET):
                m.d.comb += self._width.eq(self.timing.set)
            with m.Case(Operation.WEAK):
                m.d.comb += self._width.eq(self.timing.weak)

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
                with m.Case(Operation.WEAK):
                    m.d.comb += devices.eq(target)
            found.append(devices)
        return found[0], found[1]

    def _decide_states(self, m: Module) -> None:
        """What comes before the first pulse and after a verifying read."""
        pins, known = self.pins, self._known
        bl, blb = self._targets
        with m.State("LOOK_UP"):
            m.d.comb += [self._noting.eq(1), self._note.eq(known)]
            m.next = "SELECT"
            with m.If(self._weak):
                if self.learns:
                    m.d.comb += self._note.weak.eq(known.weak + ~known.weak.all())
                m.d.sync += self._operation.eq(Operation.WEAK)
            with m.Else():
                programmings = known.programmings
                m.d.comb += [
                    self._note.incomplete.eq(1),
                    self._note.programmings.eq(programmings + ~programmings.all()),
                ]
                first = Mux(known.formed, Operation.RESET, Operation.FORM_BL)
                m.d.sync += self._operation.eq(first)
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
