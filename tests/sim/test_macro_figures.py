# SPDX-License-Identifier: BSD-2-Clause
"""What docs/macro.md shows is what the table and the simulations say."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from twincell.hw.arrays.pins import markdown_table
from twincell.sim.macro_figures import scenes, write
from twincell.sim.timing_diagram import svg

DOCS = Path(__file__).parents[2] / "docs"


def test_the_figures_are_those_of_the_simulation(tmp_path):
    for path in write(tmp_path):
        assert path.read_text() == (DOCS / "figures" / path.name).read_text(), path.name
        assert f"figures/{path.name}" in (DOCS / "macro.md").read_text()
        ET.parse(path)


def test_the_table_of_pins_is_on_the_page():
    assert markdown_table() in (DOCS / "macro.md").read_text()


def test_the_retry_pulses_the_failing_column_alone():
    found = scenes()["macro-retry.svg"].samples()
    checked = [q for q, state in zip(found["q"], found["state"], strict=True) if state == "CHECK"]
    assert len(checked) == 2 and checked[0] != 0b0101 and checked[1] == 0b0101
    pulsed = [
        bl | blb
        for bl, blb, pulse in zip(found["bl"], found["blb"], found["pulse"], strict=True)
        if pulse
    ]
    assert pulsed[0] == 0b1111 and pulsed[-1] == checked[0] ^ 0b0101
    plain = scenes()["macro-program.svg"].samples()
    assert plain["state"].count("DECIDE") == 1


@pytest.mark.parametrize("value", [0, 1])
def test_a_level_is_up_where_the_value_is_one(value):
    drawn = svg("t", {"a": [value, 1 - value]}, {"a": 1})
    first, second = (30 + 16, 30 + 2) if value == 0 else (30 + 2, 30 + 16)
    assert f'points="74,{first} 116,{first} 116,{second} 158,{second}"' in drawn
