# SPDX-License-Identifier: BSD-2-Clause
"""The weak RESET of hafnium-oxide RRAM: small, cumulative, noisy growth of the resistance.

Law and numbers are [CODE]: read in the source code that the authors of "Model of the Weak Reset
Process in HfOx Resistive Memory for Deep Learning Frameworks" (IEEE TED, 2021, arXiv 2107.06064)
published, Atreya95/Learning-with-memory-device-imperfections. After t pulses of one fixed kind
since the last SET,

    R = R0 exp(w_mean + w_RTN + w_pink)
    w_mean = c1 + m1 min(t, t*) + m2 max(t - t*, 0)

* R0, c1, m1, t*, m2 are drawn once for each device, independently.
* w_RTN: a two-state Markov chain that steps with each pulse; while high,
  ``w_RTN = U1 U2 amp`` with new uniform U1, U2 at every evaluation, and amp of the device.
* w_pink = coupling * sum b_k x_k: noise with a spectrum of 1/f by a filter of Kasdin's kind,
  ``b_0 = 1, b_k = b_(k-1) (k - 1/2) / k``. Each pulse shifts a uniform number into x, which
  starts at 0; without a pulse nothing shifts. Its mean is not 0.

Fractions of a pulse (rounding off) enter t and the chain; the filter shifts when t passes a whole
number. Voltage and width of the pulse are not part of the model.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ...devices.knobs import kinds, knob
from .laws import Exponential, Law, LogNormal, Normal
from .memory import LearningDevice, Memory
from .pulsing import give


@dataclass(frozen=True, kw_only=True)
class WeakReset(LearningDevice):
    """A weak-RESET device; each imperfection is switched by its own flag.

    Parameters
    ----------
    slope_spread : whether m1, t* and m2 differ from device to device
    initial_spread : whether R0 and c1 do
    telegraph : random telegraph noise
    pink : 1/f noise
    initial_ohm : R0, ohm
    initial_shift : c1, ln ohm
    slope, knee, tail : m1 in ln ohm per pulse, t* in pulses, m2 in ln ohm per pulse
    telegraph_up, telegraph_down : probabilities per pulse of low to high and high to low
    telegraph_bound : the largest amp, which is uniform from 0, ln ohm
    pink_coupling : ln ohm per unit of the filter's output
    taps : length of the filter
    set_redraws : whether a SET draws a new R0
    """

    IMPERFECTIONS: ClassVar[tuple[str, ...]] = (
        "slope_spread", "initial_spread", "telegraph", "pink", "limited", "rounded",
    )  # fmt: skip

    slope_spread: bool = True
    initial_spread: bool = True
    telegraph: bool = True
    pink: bool = True
    initial_ohm: Law = field(default=Normal(6252, 7897, 6988, 381.7), metadata=kinds(Law))
    initial_shift: Law = field(
        default=Normal(-0.15, 0.15, 0.005293141020227579, 0.05320804175540371), metadata=kinds(Law)
    )
    slope: Law = field(
        default=Exponential(3.74e-5, 0.0076, 6.564678011593196e-4, 3.7415768289771944e-05),
        metadata=kinds(Law),
    )
    knee: Law = field(
        default=LogNormal(41, 2000, 542.5385224079308, 0.8033817700570505), metadata=kinds(Law)
    )
    tail: Law = field(default=Exponential(0, 1.3e-4, 2.8890516951651312e-05), metadata=kinds(Law))
    telegraph_up: float = knob(0, 0.5, "per pulse", 0.0008)
    telegraph_down: float = knob(0, 0.5, "per pulse", 0.002)
    telegraph_bound: float = knob(0, 10, "ln ohm", 0.5)
    pink_coupling: float = knob(0, 10, "ln ohm", 2.5e-2)
    taps: int = 15
    set_redraws: bool = False

    def __post_init__(self):
        super().__post_init__()
        if isinstance(self.taps, bool) or not isinstance(self.taps, int):
            raise TypeError(f"taps must be an integer, not {self.taps!r}")
        if not 1 <= self.taps <= 1024:
            raise ValueError(f"taps is {self.taps}, outside 1 to 1024")

    def memory(self, shape: tuple[int, ...], seed: int) -> "WeakResetMemory":
        return WeakResetMemory(self, shape, seed)

    def filter(self) -> Tensor:
        """b_0 to b_(taps-1), float64."""
        steps = torch.arange(1, self.taps, dtype=torch.float64)
        return torch.cat([torch.ones(1, dtype=torch.float64), ((steps - 0.5) / steps).cumprod(0)])


def two_slopes(pulses: Tensor, slope: Tensor, knee: Tensor, tail: Tensor) -> Tensor:
    """``slope min(t, knee) + tail max(t - knee, 0)``: continuous, and never falling."""
    knee = knee.to(torch.float64)
    return slope * torch.minimum(pulses, knee) + tail * (pulses - knee).clamp(min=0)


def _flat(*values: Tensor) -> tuple[np.ndarray, ...]:
    return tuple(each.view(-1).numpy() for each in values)


class WeakResetMemory(Memory):
    """The weak-RESET devices of a layer.

    Members besides :class:`Memory`'s: ``initial_ohm``, ``initial_shift``, ``slope``, ``knee``,
    ``tail`` (float32) and ``age``, pulses since the last SET (float64), all (2, *shape). With
    telegraph noise ``high`` (bool), ``bound`` (float32) and ``telegraph`` (w_RTN, float64); with
    pink noise ``pink`` (w_pink, float64) and ``history``, float32 (2, *shape, taps), the newest
    number first.
    """

    STREAMS = ("flips", "amplitudes", "pink", "sets")

    device: WeakReset
    initial_ohm: Tensor
    initial_shift: Tensor
    slope: Tensor
    knee: Tensor
    tail: Tensor
    age: Tensor
    high: Tensor
    bound: Tensor
    telegraph: Tensor
    pink: Tensor
    history: Tensor

    def __init__(self, device: WeakReset, shape: tuple[int, ...], seed: int):
        super().__init__(device, shape, seed)
        size = (2, *shape)
        for name in ("initial_ohm", "initial_shift", "slope", "knee", "tail"):
            spread = device.initial_spread if name.startswith("initial") else device.slope_spread
            law = getattr(device, name)
            drawn = law.draw(size, self._generator(name)) if spread else None
            self.register_buffer(name, torch.full(size, law.nominal) if drawn is None else drawn)
        self.register_buffer("age", torch.zeros(size, dtype=torch.float64))
        if device.telegraph:
            bound = torch.rand(size, generator=self._generator("bound")) * device.telegraph_bound
            self.register_buffer("bound", bound)
            self.register_buffer("high", torch.zeros(size, dtype=torch.bool))
            self.register_buffer("telegraph", torch.zeros(size, dtype=torch.float64))
        if device.pink:
            self.register_buffer("history", torch.zeros(*size, device.taps))
            self.register_buffer("pink", torch.zeros(size, dtype=torch.float64))
        self._give(torch.zeros_like(self.age), everywhere=True)

    def mean(self) -> Tensor:
        """w_mean, float64 (2, *shape)."""
        return self.initial_shift + two_slopes(self.age, self.slope, self.knee, self.tail)

    def _pulse(self, counts: Tensor) -> None:
        self._give(counts, everywhere=False)

    def _give(self, counts: Tensor, everywhere: bool) -> None:
        device, none = self.device, torch.empty(0)
        laws = self.initial_ohm, self.initial_shift, self.slope, self.knee, self.tail
        chain = none.bool(), none, none.double()
        if device.telegraph:
            chain = self.high, self.bound, self.telegraph
        filtered = none.view(0, device.taps), none.double()
        if device.pink:
            filtered = self.history.view(-1, device.taps), self.pink
        give(
            _flat(counts)[0], everywhere, _flat(self.age)[0], _flat(*laws), _flat(*chain),
            (device.telegraph_up, device.telegraph_down),
            (filtered[0].numpy(), _flat(filtered[1])[0]),
            (device.pink_coupling * device.filter()).numpy(),
            self._seeds(bool(counts.max() > 0)), _flat(self.ln_ohm)[0],
        )  # fmt: skip

    def _seeds(self, pulsed: bool) -> np.ndarray:
        """Seeds of this update's flips, amplitudes and filters; only what happens draws one."""
        device = self.device
        happens = {"flips": device.telegraph and pulsed, "amplitudes": device.telegraph,
                   "pink": device.pink and pulsed}  # fmt: skip
        seeds = [
            int(torch.randint(1 << 62, (), generator=self.streams[name])) if each else 0
            for name, each in happens.items()
        ]
        return np.array(seeds, dtype=np.uint64)

    def _set(self, synapses: Tensor) -> None:
        chosen = synapses.expand(2, *self.shape)
        self.age[chosen] = 0
        if self.device.telegraph:
            self.high[chosen] = False
            self.telegraph[chosen] = 0
        if self.device.pink:
            self.history[chosen] = 0
            self.pink[chosen] = 0
        if self.device.set_redraws and self.device.initial_spread:
            shape = (int(chosen.sum()),)
            self.initial_ohm[chosen] = self.device.initial_ohm.draw(shape, self.streams["sets"])
        fresh = self.initial_ohm[chosen].double().log() + self.initial_shift[chosen]
        self.ln_ohm[chosen] = fresh
