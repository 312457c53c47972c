# SPDX-License-Identifier: BSD-2-Clause
"""What a verification showed."""

from dataclasses import asdict, dataclass

STEADY_IMAGES = 16  # fewer may not show the steady state


@dataclass(frozen=True)
class Difference:
    """The first image whose scores are not all the same, and how to see it again.

    ``verilog`` is the directory in which the failing Verilog is kept, with ``waves`` if there are.
    """

    image: int
    hardware: list[int]
    integer: list[int]
    torch: list[int]
    replay: str
    verilog: str
    waves: str | None


@dataclass(frozen=True)
class Injected:
    """The errors of a run.

    Parameters
    ----------
    ber, transient, device, stuck, file : what was asked for, see :class:`~.injection.Injection`
    digest : SHA-256 of the errors
    synapses : sensed wrong, by the node's index
    reads : bits that read errors flipped in columns in use, by the node's index
    """

    ber: float | None
    transient: float | None
    device: str | None
    stuck: float | None
    file: str | None
    digest: str
    synapses: dict[int, int]
    reads: dict[int, int]


@dataclass(frozen=True)
class Verification:
    """What a simulation of the generated Verilog showed.

    ``mismatches`` counts the scores that differ from either reference, a wrong label counting as
    one. ``cycles_per_image`` is measured in steady state, ``None`` where two images do not show it;
    ``expected_cycles_per_image`` is the plan's, or the mean cycles of a layer whose read errors are
    emulated where these make it the slowest.
    """

    network: str
    simulator: str
    array: str
    data: str
    images: int
    presentations: int | None
    scores: int
    mismatches: int
    accuracy: float | None
    cycles_per_image: float | None
    planned_cycles_per_image: int
    expected_cycles_per_image: float
    lanes: int
    memory_bits: int
    images_per_second: float
    clock_cycles_per_second: float
    emit_seconds: float
    compile_seconds: float
    simulation_seconds: float
    pauses: str
    seed: int
    errors: Injected | None
    first_difference: Difference | None

    @property
    def as_planned(self) -> bool | None:
        """Whether the measured cycles equal the plan; ``None`` with pauses, with few images, or
        where read errors are emulated, which takes cycles of its own."""
        measured = self.cycles_per_image
        if self.array == "emulated" and self.errors is not None and self.errors.reads:
            return None
        if self.pauses != "none" or measured is None or self.images < STEADY_IMAGES:
            return None
        return measured == self.planned_cycles_per_image

    @property
    def passed(self) -> bool:
        """Whether every score is right and, where it was measured, the pace is the plan's."""
        return self.mismatches == 0 and self.as_planned is not False

    def as_dict(self) -> dict:
        """The same as plain data, for JSON."""
        return asdict(self) | {"as_planned": self.as_planned}
