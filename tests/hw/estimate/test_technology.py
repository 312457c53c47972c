# SPDX-License-Identifier: BSD-2-Clause
"""The table of areas and energies, and tables of users."""

import json
import re

import pytest

from twincell.hw.estimate.technology import TableError, Technology, default_table, read_table

TAGS = {"read", "third party", "derived", "recalled", "ours"}


def test_every_entry_says_where_it_comes_from():
    table = default_table()
    nodes = {entry["area_um2"]["node"] for entry in table["cell"].values() if "area_um2" in entry}
    assert nodes  # some are of one node only
    for node in table["node"]:
        for entry in Technology(table, int(node), "rram-2t2r").sources():
            assert entry["tag"] in TAGS, entry
            assert entry["source"] and entry["value"] > 0, entry


def test_cells_scale_with_the_node_or_belong_to_one():
    table = default_table()
    large, small = (Technology(table, node, "rram-2t2r") for node in (130, 28))
    assert large.cell_area() / small.cell_area() == pytest.approx((130 / 28) ** 2)
    assert large.cell_area() == pytest.approx(60 * 0.13**2)
    assert Technology(table, 22, "rram-1t1r-22").cell_area() == 0.0486
    with pytest.raises(TableError, match=r"^The cell rram-1t1r-22 is of 22 nm, not 130 nm$"):
        Technology(table, 130, "rram-1t1r-22")


def test_energies_scale_but_programming_does_not():
    table = default_table()
    reference, other = (Technology(table, node, "rram-2t2r") for node in (45, 130))
    assert reference.energy("adder_bit") == pytest.approx(6.25e-15)
    scale = 130 / 45 * (1.2 / 0.9) ** 2
    assert other.energy("adder_bit") == pytest.approx(6.25e-15 * scale)
    assert other.energy("pulse") == reference.energy("pulse")
    cells = 100
    assert reference.charge("bit_line_cell", cells) == pytest.approx(0.12e-15 * cells * 0.81)


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_a_table_replaces_entries_and_adds_cells(tmp_path, suffix):
    entry = {"value": 1.5, "tag": "measured", "source": "our probe station"}
    path = tmp_path / f"mine.{suffix}"
    if suffix == "json":
        cell = {"area": entry, "devices": 2}
        path.write_text(json.dumps({"energy": {"gate": entry}, "cell": {"mine": cell}}))
    else:
        fields = 'value = 1.5, tag = "measured", source = "our probe station"'
        path.write_text(
            f"[energy]\ngate = {{ {fields} }}\n[cell.mine]\narea = {{ {fields} }}\ndevices = 2\n"
        )
    used = Technology(read_table(path), 45, "mine")
    assert used.energy("gate") == pytest.approx(1.5e-15)
    assert used.energy("adder_bit") == pytest.approx(6.25e-15)
    assert used.cell_area() == pytest.approx(1.5 * 45**2 * 1e-6)
    assert default_table()["energy"]["gate"]["value"] != 1.5


BLOCKS = 'block_rows = {{ value = {}, tag = "", source = "" }}'
AREA = 'area = {{ value = {}, tag = "", source = "" }}\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = 9", "has version 9; 1 can be read"),
        ("[energies]", "energies is unknown; there are version, node, cell"),
        ("[energy]\nspeed = 1", "energy: speed is unknown"),
        ("[energy]\ngate = 2.0", "energy: gate must be a section or an entry, not 2.0"),
        ("[energy]\ngate = { value = 2.0 }", "energy: gate lacks tag, source"),
        ('[energy]\ngate = { value = -1, tag = "", source = "" }', "0 or more, not -1"),
        ('[energy]\ngate = { value = inf, tag = "", source = "" }', "0 or more, not inf"),
        ('[energy]\ngate = { value = nan, tag = "", source = "" }', "0 or more, not nan"),
        ('[energy]\ngate = { value = true, tag = "", source = "" }', "0 or more, not True"),
        (f'[energy]\ngate = {{ value = 1{400 * "0"}, tag = "", source = "" }}', "0 or more, not 1"),
        (f"[energy]\nnode = 1{400 * '0'}", "energy: node must be a positive number, not 1"),
        ("[periphery]\n" + BLOCKS.format(0), "block_rows must have an integer from 1, not 0"),
        ("[periphery]\n" + BLOCKS.format(0.5), "block_rows must have an integer from 1, not 0.5"),
        ("[cell.mine]\n" + AREA.format(0) + "devices = 2", "area must have a finite value above 0"),
        ("[cell.mine]\n" + AREA.format(1) + "devices = -2", "must be an integer from 0, not -2"),
        ('[energy]\nnode = "x"', "energy: node must be a positive number, not 'x'"),
        ("[energy]\nsupply = 0", "energy: supply must be a positive number, not 0"),
        ("[energy]\nnode = -130", "energy: node must be a positive number, not -130"),
        ("[energy]\nsupply = true", "energy: supply must be a positive number, not True"),
        ("[cell.mine]\ndevices = 2", "has area, devices or area_um2, devices, not devices"),
        ("[cell", "is no table"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, text, said):
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(TableError, match=re.escape(said)):
        read_table(path)


def test_unknown_nodes_and_cells():
    with pytest.raises(TableError, match=r"^The table has no node '7': 180, 130, 45, 28, 22$"):
        Technology(default_table(), 7, "rram-2t2r")
    with pytest.raises(TableError, match=r"^The table has no cell 'dram': rram-2t2r"):
        Technology(default_table(), 130, "dram")
