# SPDX-License-Identifier: BSD-2-Clause
"""A training step through generated Verilog: devices at the pins end where PyTorch's do."""

import shutil

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from twincell.model.data import load
from twincell.model.layers import Pixels, mlp
from twincell.model.learning.devices.memory import BL, BLB
from twincell.model.learning.devices.presets import preset
from twincell.model.learning.networks import memories
from twincell.model.learning.optimizers import PulseAdam
from twincell.sim.learning import Learned, learn

COUNTED = ("updates", "silent", "clamped")  # of the rounding, before there are pulses


def _copy(memory) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in memory.state_dict().items()}


def _assert_equal(learned: Learned, memory, counts: np.ndarray) -> None:
    state = memory.state_dict()
    assert learned.state.keys() == state.keys()
    for name in state.keys() - set(COUNTED):
        assert torch.equal(learned.state[name], state[name]), name
    assert np.array_equal(learned.weights, memory.weights().numpy())
    assert learned.pulses.tolist() == np.abs(counts).max(axis=1).tolist()


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not on PATH")
def test_a_device_at_the_pins_takes_the_pulses_of_an_update():
    """All noises on; the third word line gets nothing, the fourth the greatest counts."""
    memory = preset("weak-reset").device.memory((4, 40), 7)
    memory.randomize(30)
    before = _copy(memory)
    counts = np.random.default_rng(3).integers(-14, 15, (4, 40))
    counts[2], counts[3] = 0, 14
    memory.pulse(torch.from_numpy(counts))
    given = torch.from_numpy(counts).double()  # as `Memory.update` returns them
    learned = learn("weak-reset", 7, before, given, simulator="icarus", idle=0.3)
    _assert_equal(learned, memory, counts)
    assert (learned.weights[3] == 1).sum() > (learned.weights[2] == 1).sum()
    grown = (learned.state["ln_ohm"] - before["ln_ohm"])[BL].mean(dim=1)
    assert grown[3] > grown[2] + 0.01


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not on PATH")
def test_a_limit_cuts_counts():
    memory = preset("weak-reset").device.memory((3, 12), 5)
    before = _copy(memory)
    counts = np.random.default_rng(1).integers(-15, 16, (3, 12))
    cut = np.clip(counts, -4, 4)
    memory.pulse(torch.from_numpy(cut))
    learned = learn("weak-reset", 5, before, counts, limit=4, simulator="icarus")
    _assert_equal(learned, memory, cut)


def test_counts_and_limits_that_do_not_fit_are_refused():
    memory = preset("weak-reset").device.memory((1, 2), 7)
    said = r"^Updates are counts \(rows, columns\) from -7 to 7, not"
    with pytest.raises(ValueError, match=said):
        learn("weak-reset", 7, _copy(memory), np.array([[8, 0]]), bits=4)
    for limit in (8, -1):
        with pytest.raises(ValueError, match=rf"^An update has 0 to 7 pulses, not {limit}$"):
            learn("weak-reset", 7, _copy(memory), np.array([[7, 0]]), bits=4, limit=limit)
    with pytest.raises(ValueError, match=r"^Updates are whole pulses, not fractions"):
        learn("weak-reset", 7, _copy(memory), np.array([[1.9, 0.0]]))


def test_devices_that_are_not_those_of_the_state_are_refused():
    memory, counts = preset("weak-reset").device.memory((1, 2), 7), np.zeros((1, 2))
    with pytest.raises(ValueError, match=r"^'flash' is not a learning device: weak-reset, "):
        learn("flash", 7, _copy(memory), counts)
    for device, given in (("ideal", counts), ("weak-reset", np.zeros((2, 2)))):
        with pytest.raises(ValueError, match=rf"^The state is not of {device} devices \("):
            learn(device, 7, _copy(memory), given)


@pytest.mark.slow
def test_a_training_step_of_the_digits_network():
    """The 40th step of a real training: every layer's pulses go through the Verilog."""
    digits = load("digits")
    torch.manual_seed(1)
    network = mlp(64, (128, 128), 10, Pixels(5, -1.0, 1.0))
    optimizer = PulseAdam(network, preset("weak-reset").device, seed=1)
    rng = np.random.default_rng(0)
    for _ in range(40):
        chosen = rng.integers(0, len(digits.train_images), 100)
        images = torch.from_numpy(digits.train_images[chosen].reshape(100, -1))
        before = {name: _copy(memory) for name, memory in memories(network).items()}
        optimizer.zero_grad()
        labels = torch.from_numpy(digits.train_labels[chosen]).long()
        cross_entropy(network(images), labels).backward()
        optimizer.step()
    total = 0
    for name, memory in memories(network).items():
        given = memory.pulses - before[name]["pulses"]
        counts = (given[BL] - given[BLB]).numpy().astype(np.int64)
        learned = learn("weak-reset", memory.seed, before[name], counts)
        _assert_equal(learned, memory, counts)
        total += np.abs(counts).sum()
    assert total > 1000
