# SPDX-License-Identifier: BSD-2-Clause
"""The inner loop of the weak RESET, compiled: what pulses do to each device, in one pass.

Random numbers are those of the splitmix64 sequence of a seed: each update has seeds of its own, one
for each source of chance.
"""

import math

import numpy as np
from numba import njit

from ...generators import SPLITMIX_STEP, splitmix

_POWERS = 64  # of the chain's matrix that are tabulated: more pulses than an update gives


@njit(inline="always")
def _next(states, source):
    """The next word of one source of chance, of which ``states`` are overwritten."""
    states[source] += SPLITMIX_STEP
    return splitmix(states[source])


@njit(inline="always")
def _uniform(word):
    """0 to below 1, with 53 random bits."""
    return (word >> np.uint64(11)) * 2.0**-53


@njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def flip(pulses, high, up, down, powers):
    """Probability that the telegraph chain has left its state after ``pulses``: an off-diagonal
    element of the power of its transition matrix. ``powers`` are those of ``1 - up - down``."""
    both = up + down
    if both == 0:
        return 0.0
    whole = int(pulses)
    stays = powers[whole] if whole == pulses and whole < len(powers) else (1 - both) ** pulses
    return (down if high else up) / both * (1 - stays)


@njit(cache=True, nogil=True)
def powers_of(base):
    """The first powers of a number, float64."""
    powers = np.empty(_POWERS)
    for exponent in range(_POWERS):
        powers[exponent] = base**exponent
    return powers


@njit(inline="always")
def _shift(history, steps, states, source):
    """Moves a filter's numbers on by ``steps``; new ones, uniform with 24 bits, come in."""
    taps = len(history)
    for tap in range(taps - 1, steps - 1, -1):
        history[tap] = history[tap - steps]
    for tap in range(min(steps, taps)):
        history[tap] = np.float32(_next(states, source) >> np.uint64(40)) * np.float32(2.0**-24)


@njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def give(counts, everywhere, age, laws, chain, rates, filtered, weights, states, ln_ohm):
    """Gives each device its pulses and evaluates it; the others would stay as they are, unless they
    are high.

    Without a noise its arrays are empty.

    Parameters
    ----------
    counts, age, ln_ohm : pulses now, pulses so far, and the outcome, float64 (n,)
    everywhere : whether devices without a pulse are evaluated too
    laws : R0, c1, m1, t* and m2 of each device, float32 (n,)
    chain : states, largest amplitudes and amplitudes now of the telegraph noise
    rates : up and down, the chain's probabilities
    filtered : histories (n, taps) and outputs of the pink noise
    weights : of the filter, float64 (taps,), coupling included
    states : seeds of flips, amplitudes and the filter, uint64 (3,), overwritten
    """
    high, bound, telegraph = chain
    history, pink = filtered
    initial, shift, slope, knee, tail = laws
    powers = powers_of(1 - rates[0] - rates[1])
    for index in range(len(counts)):
        count = counts[index]
        if count > 0:
            before = math.floor(age[index])
            age[index] += count
            if len(high):
                chance = flip(count, high[index], rates[0], rates[1], powers)
                high[index] ^= _uniform(_next(states, 0)) < chance
            if len(pink):
                steps = min(math.floor(age[index]) - before, history.shape[1])
                if steps:
                    _shift(history[index], steps, states, 2)
                    total = 0.0
                    for tap in range(history.shape[1]):
                        total += weights[tap] * history[index, tap]
                    pink[index] = total
        noisy = len(high) and high[index]
        if not (everywhere or noisy or count > 0):
            continue
        mean = slope[index] * min(age[index], knee[index])
        mean += tail[index] * max(age[index] - knee[index], 0.0)
        found = math.log(np.float64(initial[index])) + (shift[index] + mean)
        if len(high):
            telegraph[index] = 0.0
            if noisy:
                product = _uniform(_next(states, 1)) * _uniform(_next(states, 1))
                telegraph[index] = product * bound[index]
            found += telegraph[index]
        if len(pink):
            found += pink[index]
        ln_ohm[index] = found
