# SPDX-License-Identifier: BSD-2-Clause
"""Networks with stochastic inputs as Verilog: native, in cocotb, with errors, between resets."""

import os
from dataclasses import replace

import numpy as np
import pytest

from tests.support.builds import needs_icarus
from tests.support.graphs import mlp, random_images
from twincell import api
from twincell.hardware import simulated
from twincell.hw.network import Network
from twincell.hw.plan import Budget
from twincell.hw.verilog import emit
from twincell.model import data, integer, reference, store
from twincell.model.errors import ErrorMap
from twincell.model.planes import Accumulate, Generator, Stochastic
from twincell.sim import native
from twincell.sim.bench_run import run_bench
from twincell.sim.images import codec
from twincell.sim.results import SWEEP

COUNTS = (4, 1, 3)
CASES = [
    (Accumulate.FIRST, Generator.LFSR, False),
    (Accumulate.OUTPUT, Generator.TAPS, True),
    (Accumulate.OUTPUT, Generator.SHARED, False),
    (Accumulate.FIRST, Generator.LOW_DISCREPANCY, True),
]
QUICK = 2


class Case:
    """A network on emulated arrays as Verilog, its images, and its errors."""

    def __init__(self, directory, accumulate: Accumulate, generator: Generator, ternary: bool):
        rng = np.random.default_rng(3)
        planes = Stochastic(8, COUNTS, seed=9, generator=generator, accumulate=accumulate)
        self.directory = directory
        self.graph = mlp(rng, [23, 14, 9, 5], planes, ternary)
        self.errors = ErrorMap.draw(self.graph, 5, persistent=0.01, transient=0.02)
        self.network, _ = self.simulated(None)
        self.images = random_images(rng, self.graph, 40)
        about = {"network": self.network.about()}
        emit(self.network, directory, name="shown", about=about)

    def simulated(self, presentations: int | None):
        budget = Budget(lanes=60)
        return simulated(self.graph, budget, "emulated", self.errors, presentations)

    def scores(
        self, presentations: int, first: int, images: int, *, loaded: bool = True
    ) -> np.ndarray:
        """Scores of images from the first on, which is also their index; without the read errors
        where nothing is ``loaded``."""
        shown = self.images[first : first + images]
        options = {"presentations": presentations, "first_image": first}
        errors = {"errors": self.errors, "order": self.network.plan.read_order}
        if not loaded:
            still = {n: replace(each, rate=0.0) for n, each in self.errors.layers.items()}
            errors = {"errors": ErrorMap(still, self.errors.shapes)}
        found = integer.scores(self.graph, shown, **options, **errors)
        torch = reference.scores(self.graph, shown, **options, **errors)
        assert np.array_equal(torch.numpy(), found)
        return found


def _cases():
    for index, case in enumerate(CASES):
        marks = () if index < QUICK else pytest.mark.slow
        yield pytest.param(case, marks=marks, id=f"{case[0]}-{case[1]}")


@pytest.fixture(scope="module", params=_cases())
def case(request, tmp_path_factory):
    return Case(tmp_path_factory.mktemp("shown") / "build", *request.param)


def test_native_with_errors(case):
    """Every number of presentations, each under other pauses."""
    for pauses, presentations in zip(SWEEP[1:], COUNTS, strict=True):
        _, prologue = case.simulated(presentations)
        options = {"prologue": prologue, "pauses": pauses, "seed": presentations}
        result = native.run(case.directory, case.images, **options)
        wanted = case.scores(presentations, 0, len(case.images))
        assert not result.mismatches(wanted).any()


def _episodes(network: Network, errors: ErrorMap) -> list[dict]:
    """Images under every number of presentations, and resets with images inside."""
    plan = [
        {"presentations": 3, "first": 5, "images": 6, "idle": 0.0, "stall": 0.5},
        {"presentations": 1, "first": 20, "images": 5, "idle": 0.4, "stall": 0.4, "reset": 25},
        {"presentations": 4, "first": 0, "images": 4, "idle": 0.0, "stall": 0.0},
        {"presentations": 1, "first": 9, "images": 7, "idle": 0.0, "stall": 0.7},
        {"presentations": 3, "first": 1, "images": 5, "idle": 0.0, "stall": 0.2, "reset": 61},
        # What a reset returns to: the first number of presentations, image 0, no read errors.
        {"presentations": 4, "first": 0, "images": 4, "idle": 0.2, "stall": 0.2, "loaded": False},
        {"presentations": 4, "first": 0, "images": 3, "idle": 0.5, "stall": 0.5},
    ]
    for episode in plan:
        count, first = episode["presentations"], episode["first"]
        lines = network.presentation_lines(count, first) + network.read_error_lines(errors, first)
        episode["lines"] = lines if episode.get("loaded", True) else []
    return plan


@pytest.mark.parametrize(
    "simulator",
    [pytest.param("icarus", marks=needs_icarus), pytest.param("verilator", marks=pytest.mark.slow)],
)
def test_presentations_change_between_images_and_resets(case, simulator, tmp_path):
    network = codec(case.directory)
    planned = _episodes(case.network, case.errors)
    options = {
        "input_beats": network.input_beats,
        "output_beats": network.output_beats,
        "episodes": planned,
    }
    vectors = {"beats": network.encode(case.images)}
    record = run_bench(
        case.directory, "presentations", vectors, tmp_path, simulator=simulator, options=options
    )
    for episode, beats in zip(planned, record["beats"], strict=True):
        wanted = case.scores(
            episode["presentations"], episode["first"], episode["images"],
            loaded=episode.get("loaded", True),
        )  # fmt: skip
        whole = len(beats) // network.output_beats
        assert whole == len(wanted) or "reset" in episode
        if whole:
            payloads = network.output.from_integers(beats[: whole * network.output_beats])
            found, labels = network.decode(payloads)
            assert np.array_equal(found, wanted[:whole])
            assert np.array_equal(labels, integer.labels(wanted[:whole]))


FASHION = [784, 1024, 1024, 10]


@pytest.mark.slow
@pytest.mark.skipif("TWINCELL_DATA" not in os.environ, reason="TWINCELL_DATA is not set")
@pytest.mark.parametrize("accumulate", list(Accumulate))
@pytest.mark.parametrize("generator", list(Generator))
def test_fashion(generator, accumulate, tmp_path):
    """Random weights of the zoo's shape: the LFSR on all test images, the others on 1,000."""
    planes = Stochastic(8, (1, 3, 8), seed=2, generator=generator, accumulate=accumulate)
    path = tmp_path / "fashion.safetensors"
    store.save(mlp(np.random.default_rng(7), FASHION, planes), path)
    images = len(data.load("fashion-mnist").test_images) if generator == "lfsr" else 1000
    for presentations in planes.presentations:
        result = api.verify(
            path,
            images,
            simulator="native",
            dataset="fashion-mnist",
            presentations=presentations,
        )
        assert result.passed and result.images == images and result.as_planned
