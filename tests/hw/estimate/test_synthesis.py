# SPDX-License-Identifier: BSD-2-Clause
"""Syntheses are counted by layer and part, without and with a Liberty file."""

import re

import numpy as np
import pytest

from tests.support.graphs import mlp
from twincell.hw.estimate import synthesis
from twincell.hw.estimate.designs import Unit, Units
from twincell.hw.estimate.sensed import sensed_array
from twincell.hw.estimate.synthesis import Cells, Part, SynthesisError, part_of, synthesize
from twincell.hw.layer_plan import LayerPlan
from twincell.hw.network import Network, digital_array
from twincell.hw.plan import Budget, plan
from twincell.model.planes import FixedPoint

# Five cells of areas that tell them apart.
LIBERTY = """\
library(tiny) {
  time_unit : "1ns"; capacitive_load_unit(1, pf);
  cell(BUF) { area : 4; pin(A) { direction : input; }
    pin(Y) { direction : output; function : "A"; } }
  cell(INV) { area : 3; pin(A) { direction : input; }
    pin(Y) { direction : output; function : "!A"; } }
  cell(NAND2) { area : 5; pin(A) { direction : input; } pin(B) { direction : input; }
    pin(Y) { direction : output; function : "!(A*B)"; } }
  cell(NOR2) { area : 7; pin(A) { direction : input; } pin(B) { direction : input; }
    pin(Y) { direction : output; function : "!(A+B)"; } }
  cell(DFF) { area : 23; ff(IQ, IQN) { clocked_on : "CK"; next_state : "D"; }
    pin(CK) { direction : input; clock : true; } pin(D) { direction : input; }
    pin(Q) { direction : output; function : "IQ"; } }
}
"""


def _unit(lanes: int = 3, neurons: int = 2, array=sensed_array) -> Unit:
    return Unit(LayerPlan("layer", 0, 2 * lanes, neurons, 1, False, lanes, neurons), lanes, array)


@pytest.fixture(scope="module")
def one() -> synthesis.Synthesis:
    """Three layers, of which two are equal."""
    return synthesize(Units({"a": _unit(), "b": _unit(), "c": _unit(7, 2, digital_array)}))


def test_equal_layers_have_equal_cells_each(one):
    parts = {part for _, part in one}
    assert parts == {Part.ARRAYS, Part.POPCOUNT, Part.ACCUMULATE, Part.CONTROL}
    for part in (Part.POPCOUNT, Part.ACCUMULATE, Part.CONTROL):
        assert one["a", part] == one["b", part]
        assert one["a", part].transistors > 0
    assert ("a", Part.ARRAYS) not in one  # it is outside


def test_registers_are_those_of_the_design(one):
    # The count of two lanes has two bits for each neuron, and a carry beside; so has a total ...
    unit = _unit()
    total = len(unit.layer.sums.totals[0])
    assert one["a", Part.POPCOUNT].registers == 2 * (2 + 1)
    assert one["a", Part.ACCUMULATE].registers == 2 * total
    # ... and an array of ordinary memory keeps the inputs of a read once, and a valid bit.
    assert one["c", Part.ARRAYS].registers == 7 + 1


def test_what_adds_up_passes_accumulates():
    # Four scores in two groups, and five passes.
    layer = LayerPlan("head", 0, 2, 4, 1, False, 1, 2, presentations=(5,))
    unit = Unit(layer, 1, sensed_array)
    head, sums = unit.layer, unit.layer.sums.totals
    totals = len(sums) * (len(sums[0]) + 1)  # and the bit below each
    ring = 4 * head.score_shape.width
    walks = 2 * (1 + 3)  # of groups and passes
    found = synthesize(Units({"d": unit}))
    assert found["d", Part.ACCUMULATE].registers == totals + ring + walks + 1  # and a valid bit


def test_liberty(tmp_path):
    path = tmp_path / "tiny.lib"
    path.write_text(LIBERTY)
    generic = synthesize(Units({"a": _unit()}))
    mapped = synthesize(Units({"a": _unit()}), liberty=path)
    for key, cells in generic.items():
        assert mapped[key].transistors == 0
        least = 23 * cells.registers
        assert mapped[key].area is not None and mapped[key].area >= least
    area = mapped["a", Part.ACCUMULATE].area or 0
    # A NAND2 of the generic library is one here as well, so areas follow its counts.
    gates = generic["a", Part.ACCUMULATE].transistors - 16 * generic["a", Part.ACCUMULATE].registers
    logic = area - 23 * generic["a", Part.ACCUMULATE].registers
    assert gates / 4 * 3 < logic < gates / 4 * 8


def test_files_that_are_no_liberty(tmp_path):
    with pytest.raises(SynthesisError, match=r"^There is no Liberty file .*none\.lib$"):
        synthesize(Units({}), liberty=tmp_path / "none.lib")
    (tmp_path / "empty.lib").write_text("library(empty) { }\n")
    with pytest.raises(SynthesisError):
        synthesize(Units({"a": _unit()}), liberty=tmp_path / "empty.lib")


def test_parts_by_path():
    assert part_of("top.layer1.sums.array") is Part.ARRAYS
    assert part_of("top.layer1.sums.counting.popcount3") is Part.POPCOUNT
    assert part_of("top.layer1.sums.counting.tree0") is Part.POPCOUNT
    assert part_of("top.head.sums.accumulator11") is Part.ACCUMULATE
    assert part_of("top.head") is Part.CONTROL
    assert part_of("top.layer1_words") is Part.CONTROL


def test_sums_of_cells():
    assert Cells(4, 1) + Cells(8, 2) == Cells(12, 3)
    assert Cells(area=2.5) + Cells(area=1.5) == Cells(area=4.0)
    assert Cells(10).gate_equivalents == 2.5


@pytest.mark.slow
def test_parts_add_up_to_a_flat_synthesis(monkeypatch):
    """Modules that stay modules cost a few per cent against one flat network, and no more."""
    graph = mlp(np.random.default_rng(0), [24, 16, 5], FixedPoint(4))
    network = Network(graph, plan(graph, Budget(lanes=64)))
    parts = sum(cells.transistors for cells in synthesize(network).values())
    kept = re.compile("attribute .keep_hierarchy 1\n")
    found = synthesis._kept
    monkeypatch.setattr(synthesis, "_kept", lambda text: kept.sub("", found(text)))
    network = Network(graph, plan(graph, Budget(lanes=64)))
    flat = sum(cells.transistors for cells in synthesize(network).values())
    assert 0.97 < parts / flat < 1.06
