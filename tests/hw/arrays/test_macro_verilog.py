# SPDX-License-Identifier: BSD-2-Clause
"""The macro's model in Verilog against its twin in Python: any pins, allowed or not."""

import json
import shutil
import subprocess

import numpy as np
import pytest

from twincell.hw.arrays.macro import MacroArray, ProgramErrors, ReadErrors
from twincell.hw.arrays.macro_files import MODEL, STUB, memories, model, stub
from twincell.hw.arrays.macro_model import MacroModel
from twincell.hw.arrays.pins import CLOCK, MODULE, PINS, markdown_table
from twincell.hw.verilog import emit, run_yosys
from twincell.model.generators import start

INPUTS = [pin for pin in PINS if pin.direction == "input"]
QUIET = dict.fromkeys([pin.name for pin in INPUTS], 0)

BENCH = """\
module bench;
  reg clk = 0;
  reg [{bits}-1:0] pins [0:{edges}-1];
  reg [{bits}-1:0] now;
  wire [{columns}-1:0] q, qn;
  integer at, row;
  {module} #({parameters}) macro (.clk(clk), {connections}, .q(q), .qn(qn));
  initial begin
    $readmemb("pins.mem", pins);
    for (at = 0; at < {edges}; at = at + 1) begin
      now = pins[at];
      #5 clk = 1;
      #5 $display("edge %b %b %0d", q, qn, macro.violations);
      clk = 0;
    end
    for (row = 0; row < {rows}; row = row + 1)
      $display("row %b %b", macro.bl_lrs[row], macro.blb_lrs[row]);
    $finish;
  end
endmodule
"""


def _read(rng, rows, columns):
    """The pins of an ordinary read."""
    full = (1 << columns) - 1
    x, enable = (int(rng.integers(0, full + 1)) for _ in range(2))
    steer = {"x": x & enable, "xn": ~x & enable, "verify": int(rng.random() < 0.2)}
    line = {"wl": 1 << int(rng.integers(rows))}
    steps = [{"pre": 1}, {"pre": 1, **line}, {"sen": 1, **line}, {"sen": 1}]
    return [{**QUIET, **steer, **step} for step in steps]


def _pulse(rng, rows, columns):
    """The pins of an ordinary pulse of some width."""
    full = 1 << columns
    mode = str(rng.choice(["v_form", "v_set", "v_reset", "v_weak"]))
    bl, blb = (int(rng.integers(full)) for _ in range(2))
    choice = {**QUIET, mode: 1, "bl": bl, "blb": blb, "sl": int(mode in ("v_reset", "v_weak"))}
    choice["wl"] = 1 << int(rng.integers(rows))
    on = [{**choice, "hv": 1, "pulse": 1}] * int(rng.integers(1, 4))
    return [choice, {**choice, "hv": 1}, *on, {**choice, "hv": 1}, choice, QUIET]


def _sequence(rng, rows, columns, length):
    """Reads and pulses, with now and then a pin that is wrong for a cycle."""
    found: list[dict[str, int]] = []
    while len(found) < length:
        found += (_read if rng.random() < 0.6 else _pulse)(rng, rows, columns)
    for step in range(len(found)):
        if rng.random() < 0.02:
            pin = INPUTS[int(rng.integers(len(INPUTS)))]
            bit = 1 << int(rng.integers(pin.bits(rows, columns)))
            found[step] = {**found[step], pin.name: found[step][pin.name] ^ bit}
    return found


def _verilog(directory, array: MacroArray, sequence):
    """What Icarus says of a sequence: the lines of each edge, the rows at the end, the messages."""
    rows, columns = array.control.rows, array.control.columns
    widths = [pin.bits(rows, columns) for pin in INPUTS]
    words = [
        "".join(f"{step[pin.name]:0{width}b}" for pin, width in zip(INPUTS, widths, strict=True))
        for step in sequence
    ]
    top, connections = sum(widths), []
    for pin, width in zip(INPUTS, widths, strict=True):
        connections.append(f".{pin.name}(now[{top - 1}:{top - width}])")
        top -= width
    values = array.parameters(rows, columns)
    quoted = {k: f'"{v}"' if isinstance(v, str) else v for k, v in values.items()}
    text = BENCH.format(
        bits=sum(widths),
        edges=len(words),
        rows=rows,
        columns=columns,
        module=MODULE,
        parameters=", ".join(f".{name}({value})" for name, value in quoted.items()),
        connections=", ".join(connections),
    )
    files = {**memories([array]), MODEL: model(), "bench.v": text, "pins.mem": "\n".join(words)}
    for name, content in files.items():
        (directory / name).write_text(content)
    command = ["iverilog", "-g2012", "-o", "bench.vvp", "bench.v", MODEL]
    subprocess.run(command, cwd=directory, check=True)
    done = subprocess.run(
        ["vvp", "bench.vvp"], cwd=directory, check=True, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    pick = {kind: [line for line in lines if line.startswith(kind)] for kind in ("edge", "row")}
    said = [line.split(": ", 2)[2] for line in lines if line.startswith("ERROR: ")]
    return pick["edge"], pick["row"], said


def _python(array: MacroArray, sequence):
    """The same of the twin."""
    twin, width, edges = MacroModel(array), array.control.columns, []
    for step in sequence:
        twin.edge(step)
        bits = [f"{v:0{width}b}" if v >= 0 else "x" * width for v in (twin.q, twin.qn)]
        edges.append(f"edge {bits[0]} {bits[1]} {len(twin.violations)}")
    rows = [
        "row " + " ".join("".join(map(str, devices[row][::-1])) for devices in (twin.bl, twin.blb))
        for row in range(twin.rows)
    ]
    return edges, rows, twin.violations


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not on PATH")
@pytest.mark.parametrize("ternary", [False, True])
@pytest.mark.parametrize("formed", [False, True])
def test_the_model_equals_its_twin_at_every_edge(tmp_path, ternary, formed):
    rng = np.random.default_rng(9 + ternary)
    sign = rng.integers(0, 2, (5, 7))
    array = MacroArray(
        sign,
        rng.integers(0, 2, sign.shape) if ternary else None,
        formed=formed,
        read_errors=ReadErrors(0.05, start(3), 11),
        program_errors=ProgramErrors(0.2, start(4)),
    )
    sequence = _sequence(rng, 5, 7, 6000)
    edges, rows, said = _verilog(tmp_path, array, sequence)
    wanted = _python(array, sequence)
    assert edges == wanted[0] and rows == wanted[1]
    assert said == wanted[2]
    assert len(set(said)) >= 9, "some rules were never broken"


def test_stub_and_model_have_the_pins_of_the_table():
    for text in (stub(), model()):
        header = text[text.index(f"module {MODULE}") : text.index(");")]
        for pin in (CLOCK, *PINS):
            size = {"1": "", "rows": "[ROWS-1:0] ", "columns": "[COLUMNS-1:0] "}[pin.width]
            assert f"  {pin.direction} {size}{pin.name}" in header
            assert f"| `{pin.name}` | {pin.direction} | {pin.width} |" in markdown_table()
    assert "(* blackbox *)" in stub() and STUB != MODEL


def test_two_macros_of_one_name_are_refused():
    arrays = [MacroArray(np.zeros((2, 2)), name="same") for _ in range(2)]
    with pytest.raises(ValueError, match=r"^Two macros are called 'same'; their files would"):
        memories(arrays)


def test_synthesis_keeps_the_black_box_and_its_pins(tmp_path):
    array = MacroArray(np.zeros((5, 7)), name="cells")
    emit(array, tmp_path, name="array")
    script = f"read_verilog array.v {STUB}\nsynth -flatten -top array\ncheck -assert\n"
    (tmp_path / "synth.ys").write_text(script + "write_json array.json\n")
    done = run_yosys(tmp_path, "synth.ys")
    assert done.returncode == 0, done.stderr[-2000:]
    cells = json.loads((tmp_path / "array.json").read_text())["modules"]["array"]["cells"]
    (macro,) = [cell for cell in cells.values() if cell["type"].endswith(MODULE)]
    widths = {name: len(bits) for name, bits in macro["connections"].items()}
    assert widths == {pin.name: pin.bits(5, 7) for pin in (CLOCK, *PINS)}
