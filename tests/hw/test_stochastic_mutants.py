# SPDX-License-Identifier: BSD-2-Clause
"""Bugs planted in stochastic inputs: each must be seen by the comparison with the model."""

import gc
from dataclasses import replace

import numpy as np
import pytest

from tests.hw.test_stochastic import near_images, presented, shown_scores
from tests.support.graphs import mlp, random_images
from tests.support.planted import planted
from twincell.hw import numbers
from twincell.hw.network import Network
from twincell.hw.numbers import Numbers
from twincell.hw.passes import Passes
from twincell.hw.plan import plan
from twincell.hw.planes import PlaneBuffer
from twincell.hw.stochastic import Chosen, Presenter
from twincell.hw.sums import Reads, Sums
from twincell.model import integer
from twincell.model.planes import Stochastic
from twincell.model.stochastic import start_register

# Place, function, text, what stands there instead, generator or accumulation that shows it.
PLANES = [
    (Numbers, "_sequence", "ahead[self.tail * fresh :]", "ahead[self.size * fresh :]", "lfsr"),
    (Numbers, "_sequence", "ahead[self.size * fresh :]", "ahead[self.tail * fresh :]", "taps"),
    (Numbers, "_sequence", "ahead[lane * fresh + place]", "ahead[lane + place]", "lfsr"),
    (Numbers, "_spread", "*reversed(list(counter))", "*counter", "low-discrepancy"),
    (Numbers, "_spread", "self.first_beat, start", "self.last, start", "low-discrepancy"),
    (Numbers, "_shared", "first[0] | ~first.any()", "first[0]", "shared"),
    (Numbers, "_shared", "self.step & self.first_beat", "self.step", "shared"),
    (Numbers, "compare", "Cat(top, ~value)", "Cat(0, ~value)", "lfsr"),
    (Numbers, "compare", "pixel >= value", "pixel > value", "shared"),
    (Numbers, "elaborate", "self.step & self.last)", "self.step & self.first_beat)", "lfsr"),
    (numbers, "_extended", "(WIDTH - FEEDBACK) * reach", "WIDTH - FEEDBACK", "lfsr"),
    (numbers, "_next_start", "START_FEEDBACK", "START_FEEDBACK + 1", "taps"),
    (Presenter, "elaborate", "number == self.end", "number == self.most - 1", "lfsr"),
    (Presenter, "elaborate", "advance & coming)", "advance)", "lfsr"),
    (Presenter, "_pixels", "write.en.eq(go & coming)", "write.en.eq(go)", "lfsr"),
    (Presenter, "_pixels", "Mux(was_fresh,", "Mux(coming,", "taps"),
]
NETWORKS = [
    (Chosen, "elaborate", "word == count", "word == count + 1", "first"),
    (Reads, "elaborate", "self.top if layer.equal", "layer.planes - 1 if layer.equal", "first"),
    (Reads, "elaborate", "Mux(self.last, 0, self.word", "Mux(self.done, 0, self.word", "first"),
    (PlaneBuffer, "elaborate", "self.end if", "self.folds - 1 if", "first"),
    (Sums, "_constants", "variant * layer.groups", "0 * layer.groups", "first"),
    (Sums, "_accumulate", "double = C(0, 1)", "pass", "head"),
    (Passes, "elaborate", "Mux(first, 0,", "Mux(arriving, 0,", "output"),
    (Passes, "elaborate", "stages[-1][neuron]", "stages[0][neuron]", "output"),
    (Passes, "elaborate", "self.valid & arriving", "self.valid", "output"),
    (Passes, "_walk", "group == self.groups - 1", "group == 0", "output"),
]  # fmt: skip

# A bench that is given up leaves a coroutine behind.
given_up = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def _wrong_planes(generator: str) -> bool:
    """Whether images of seven pixels, three a beat, show other bits than they must."""
    # The second starts where the state of `shared` would be 0.
    for seed in (1, next(seed for seed in range(10_000) if start_register(seed) % 256 == 0)):
        planes = Stochastic(8, (5,), seed, generator)
        images = near_images(planes, 7, 5)
        presenter = Presenter(planes, 7, 3, 5)
        try:
            shown, _ = presented(presenter, images, 4, patience=300)
        except AssertionError:
            return True
        finally:
            gc.collect()
        if not np.array_equal(shown, presenter.model(images, 4)):
            return True
    return False


def _wrong_scores(accumulate: str) -> bool:
    """The same of a network's scores, with partial folds and groups, or of a head alone."""
    rng = np.random.default_rng(4)
    alone = accumulate == "head"
    planes = Stochastic(8, (4, 2, 3), accumulate="first" if alone else accumulate)
    graph = mlp(rng, [13, 5] if alone else [13, 7, 5], planes)
    images = random_images(rng, graph, 6)
    planned = plan(graph)
    layers = tuple(replace(layer, lanes=4, neurons=2) for layer in planned.layers)
    network = Network(graph, replace(planned, layers=layers, pixels_per_beat=2))
    try:
        observed = shown_scores(network, images, 3, patience=2000)
    except AssertionError:
        return True
    finally:
        gc.collect()
    return not np.array_equal(observed.scores, integer.scores(graph, images, presentations=3))


@pytest.mark.parametrize("generator", ["lfsr", "taps", "low-discrepancy", "shared"])
def test_the_planes_are_right(generator):
    assert not _wrong_planes(generator)


@pytest.mark.parametrize("accumulate", ["first", "output", "head"])
def test_the_scores_are_right(accumulate):
    assert not _wrong_scores(accumulate)


@given_up
@pytest.mark.parametrize("bug", PLANES, ids=lambda bug: f"{bug[1]}: {bug[3]}")
def test_a_bug_of_the_planes_is_seen(monkeypatch, bug):
    owner, attribute, old, new, generator = bug
    monkeypatch.setattr(owner, attribute, planted(getattr(owner, attribute), old, new))
    assert _wrong_planes(generator)


@given_up
@pytest.mark.parametrize("bug", NETWORKS, ids=lambda bug: f"{bug[1]}: {bug[3]}")
def test_a_bug_of_the_network_is_seen(monkeypatch, bug):
    owner, attribute, old, new, accumulate = bug
    monkeypatch.setattr(owner, attribute, planted(getattr(owner, attribute), old, new))
    assert _wrong_scores(accumulate)
