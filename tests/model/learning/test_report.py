# SPDX-License-Identifier: BSD-2-Clause
"""Pulses, wear and energy of a network's devices."""

import json
from io import StringIO

import pytest
import torch
from rich.console import Console
from torch import nn

from twincell.model.layers import BinaryLinear
from twincell.model.learning.devices.weak_reset import WeakReset
from twincell.model.learning.networks import give_memories
from twincell.model.learning.report import PulseCost, pulse_report

COST = PulseCost(
    "measured on wafer 3", energy=2e-12, set_energy=1e-10, endurance=1e4, set_endurance=1e6
)


@pytest.fixture
def network() -> nn.Sequential:
    made = nn.Sequential(BinaryLinear(3, 2), BinaryLinear(2, 1))
    give_memories(made, WeakReset(), 1)
    first, second = made[0].memory, made[1].memory
    first.update(torch.tensor([[0.0, 0.3, 1.0], [2.0, -5.0, 20.0]]))
    first.update(torch.tensor([[0.0, 0.0, 0.0], [0.0, -5.0, 0.2]]))
    second.set(torch.tensor([[True, False]]))
    return made


def test_pulses_are_counted(network):
    report = pulse_report(network, COST)
    first, second = report.layers
    assert (first.name, first.devices, first.pulses, first.most) == ("0", 12, 27, 14)
    assert first.mean == 27 / 12
    assert first.edges == second.edges == (0, 1, 2, 5, 10)
    assert first.histogram == (8, 1, 1, 0, 2)  # 1, 2, 10 and 14 pulses, and 8 without any
    assert second.histogram == (4, 0, 0, 0, 0)
    assert (first.updates, first.silent, first.clamped) == (7, 2 / 7, 1 / 7)
    assert (second.updates, second.silent, second.sets) == (0, 0.0, 1)
    assert first.energy == pytest.approx(27 * 2e-12)
    assert second.energy == pytest.approx(2e-10)
    assert report.energy == pytest.approx(27 * 2e-12 + 2e-10)
    assert report.wear == first.wear == 14 / 1e4
    assert report.pulses == 27


def test_sets_wear_as_well():
    network = nn.Sequential(BinaryLinear(3, 2))
    give_memories(network, WeakReset(), 1)
    memory = network[0].memory
    memory.pulse(torch.tensor([[10.0, 0.0, -4.0], [0.0, 0.0, 0.0]]))
    often = torch.tensor([[False, False, True], [False, True, False]])
    for _ in range(3):
        memory.set(often)
    cost = PulseCost("assumed", endurance=1000, set_endurance=100)
    # 4 pulses and 3 SETs wear more than 10 pulses alone.
    assert pulse_report(network, cost).wear == pytest.approx(4 / 1000 + 3 / 100)
    cost = PulseCost("assumed", endurance=1000, set_endurance=1e9)
    assert pulse_report(network, cost).wear == pytest.approx(10 / 1000)


def test_what_a_cost_does_not_say_is_not_known(network):
    found = pulse_report(network, PulseCost("energy alone", energy=2e-12))
    first, second = found.layers
    assert first.energy == pytest.approx(27 * 2e-12)
    assert second.energy is None and found.energy is None  # it was SET
    assert first.wear is second.wear is found.wear is None
    found = pulse_report(network, PulseCost("endurance alone", endurance=1e4))
    assert found.layers[0].wear == 14 / 1e4 and found.layers[0].energy is None
    assert found.wear is None  # what SETs do is not known


def test_pulses_of_the_start_are_counted_apart():
    network = nn.Sequential(BinaryLinear(30, 20))
    give_memories(network, WeakReset(), 1, start=5)
    (fresh,) = pulse_report(network).layers
    assert fresh.pulses == fresh.start > 0 and fresh.most == 5 and fresh.updates == 0
    network[0].memory.update(torch.ones(20, 30))
    (layer,) = pulse_report(network).layers
    assert (layer.start, layer.pulses) == (fresh.start, fresh.pulses + 600)


def test_a_report_is_plain_data_and_a_table(network):
    record = json.loads(json.dumps(pulse_report(network, COST).record()))
    assert record["pulses"] == 27 and record["wear"] == 14 / 1e4
    assert record["cost"]["source"] == "measured on wafer 3"
    assert record["layers"][0]["histogram"] == [8, 1, 1, 0, 2]
    shown = StringIO()
    Console(file=shown, width=120).print(pulse_report(network, COST).table())
    for text in ("measured on wafer 3", "28.6%", "14.3%", "5.4e-11 J", "0.0014"):
        assert text in shown.getvalue()


def test_no_cost_is_made_up(network):
    report = pulse_report(network)
    assert report.energy is None and report.wear is None and report.cost is None
    assert report.record()["energy_joule"] is None
    shown = StringIO()
    Console(file=shown, width=120).print(report.table())
    assert " J" not in shown.getvalue()


def test_a_cost_is_read_from_a_file(tmp_path):
    path = tmp_path / "cost.toml"

    def refused(text, message):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            PulseCost.read(path)

    path.write_text('source = "wafer 3"\nenergy = 2e-12\nendurance = 10_000\n')
    found = PulseCost.read(path)
    assert found == PulseCost("wafer 3", energy=2e-12, endurance=1e4)
    assert found.energy_of(1e6) == pytest.approx(2e-6) and found.wear_of(100) == 0.01
    refused('source = "me"', r"cost\.toml: A pulse cost needs an energy in joule, an endurance in")
    refused("energy = 1e-12", r"cost\.toml: A pulse cost needs the source of its numbers$")
    refused('source = "x"\npower = 1', r"cost\.toml: 'power' is not part of a pulse cost: source, ")
    refused('source = "x"\nenergy = "1 pJ"', r"cost\.toml: energy ")
    refused("source =", r"cost\.toml: ")


def test_bad_costs_and_networks_without_devices_are_refused():
    with pytest.raises(ValueError, match=r"^A pulse cost needs the source of its numbers$"):
        PulseCost(" ", energy=1e-12)
    with pytest.raises(ValueError, match=r"^energy is -1 J, outside 0 to 1 J$"):
        PulseCost("guess", energy=-1)
    with pytest.raises(ValueError, match=r"^The network's layers have no memories$"):
        pulse_report(nn.Sequential(BinaryLinear(2, 2)))
