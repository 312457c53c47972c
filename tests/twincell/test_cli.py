# SPDX-License-Identifier: BSD-2-Clause
"""The command line: reports, exit codes and messages."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import mlp, random_graph
from twincell import api, reports, verification
from twincell.hw.plan import Budget, plan
from twincell.model import store, training
from twincell.model.graph import Graph
from twincell.model.nodes import Conv, Flatten, Head, Input, MaxPool, Weights
from twincell.model.planes import Binary
from twincell.networks import first_images


def test_doctor_finds_what_the_tests_need(twincell):
    code, out, _ = twincell("doctor", "--json")
    tools = {tool["name"]: tool for tool in json.loads(out)["tools"]}
    assert code == 0 and tools["verilator"]["version"] and tools["torch"]["version"]


def test_doctor_names_the_remedy_of_a_missing_tool(twincell, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda *arguments, **options: None)
    code, out, _ = twincell("doctor")
    assert code == 3 and "missing: apt-get install perl" in out


def test_info(twincell, network):
    code, out, _ = twincell("info", network, "--json")
    report = json.loads(out)
    assert code == 0 and report["synapses"] == 12 * 6 + 6 * 3
    assert report["digest"] == store.digest(api.load(network))
    assert "FixedPoint, 3 bits" in twincell("info", network)[1]


def test_plan(twincell, network):
    code, out, _ = twincell("plan", network, "--lanes", 10, "--json")
    report = json.loads(out)
    planned = api.plan(api.load(network), Budget(lanes=10))
    assert code == 0 and report["cycles_per_image"] == planned.cycles_per_image
    assert report["lanes"] == planned.lanes <= 10
    assert "cycles per image" in twincell("plan", network, "--rate", 1e6)[1]


def test_build_writes_what_it_reports(twincell, network, tmp_path):
    code, out, _ = twincell("build", network, "--out", tmp_path / "out", "--json")
    report = json.loads(out)
    assert code == 0
    for name, size in report["files"].items():
        assert (tmp_path / "out" / name).stat().st_size == size
    assert "ports.json" in report["files"] and "random.v" in report["files"]


def test_build_proves_what_it_wrote(twincell, network, tmp_path, monkeypatch):
    arguments = ("build", network, "--out", tmp_path, "--prove")
    code, out, _ = twincell(*arguments, "--json")
    proof = json.loads(out)["proof"]
    assert code == 0 and proof.keys() == {"modules", "bits", "words", "seconds"}
    assert "proven equal" in twincell(*arguments)[1]
    assert json.loads(twincell(*arguments[:-1], "--json")[1])["proof"] is None
    prove = api.prove

    def sabotaged(built):
        text = built.verilog.read_text()
        built.verilog.write_text(text.replace(" + ", " - ", 1))
        return prove(built)

    monkeypatch.setattr(api, "prove", sabotaged)
    code, out, err = twincell(*arguments)
    assert (code, out) == (1, "") and "random.v is not proven equal:\nin module random." in err


@pytest.mark.parametrize("edge", ["axi", "wishbone"])
def test_build_with_an_edge(twincell, network, tmp_path, edge):
    arguments = ("build", network, "--out", tmp_path, "--edge", edge, "--reset", "high", "--json")
    code, out, _ = twincell(*arguments)
    files = json.loads(out)["files"]
    assert code == 0 and {"random-registers.h", "random.core", "random.tcl"} <= files.keys()
    about = json.loads((tmp_path / "ports.json").read_text())["about"]["edge"]
    assert (about["bus"], about["reset"]) == (edge, "areset")
    code, _, err = twincell(*arguments[:-1], "--edge", "pci")
    assert code == 2 and "The edge is one of stream, axi, wishbone, not 'pci'" in err


def test_verify_reports_every_field(twincell, network):
    arguments = ("verify", network, "--simulator", "native", "--images", 50, "--seed", 3, "--json")
    code, out, err = twincell(*arguments)
    report = json.loads(out)
    assert code == 0 and err == ""
    assert report["images"] == 50 and report["scores"] == 150 and report["mismatches"] == 0
    assert report["cycles_per_image"] == report["planned_cycles_per_image"]
    assert report["data"] == "random" and report["accuracy"] is None and report["seed"] == 3
    assert report["images_per_second"] > 0 and report["clock_cycles_per_second"] > 0


def test_plan_expects_the_cycles_of_read_errors(twincell, network):
    def plan(*options):
        return json.loads(twincell("plan", network, *options, "--json")[1])

    digital, emulated, macro = plan(), plan("--transient", 0.2), plan("--array", "macro")
    assert digital["array"] == "digital" and emulated["array"] == "emulated"
    assert digital["expected_cycles_per_image"] == digital["cycles_per_image"]
    assert emulated["expected_cycles_per_image"] > emulated["cycles_per_image"]
    assert emulated["cycles_per_image"] == digital["cycles_per_image"]
    assert macro["cycles_per_image"] == 4 * digital["cycles_per_image"]


def test_a_pooling_can_be_the_slowest():
    rng = np.random.default_rng(2)
    graph = Graph(
        (
            Input((1, 8, 8), Binary()),
            Conv(Weights(rng.integers(0, 2, (2, 1, 3, 3))), np.full((1, 1, 2), 5)),
            MaxPool((3, 3), (1, 1), np.zeros(2, int)),
            Flatten(),
            Head(Weights(rng.integers(0, 2, (3, 32))), np.zeros((1, 3), int)),
        ),
        "pooled",
    )
    planned = plan(graph, Budget(lanes=200))
    assert planned.pools[0].cycles > max(layer.cycles for layer in planned.layers)
    report = reports.plan_dict(planned, 1e8)
    assert report["expected_cycles_per_image"] == report["cycles_per_image"]


def test_names_and_paths_are_shown_as_they_are(capsys):
    """Square brackets are markup to the library that prints, and an error where none is open."""
    shown = reports.pairs("net in out[/x]", {"a[b]": "[red]", "none": None, "share": 0.1234567})
    reports.put({}, shown, False)
    out = capsys.readouterr().out
    assert "net in out[/x]" in out and "a[b]" in out and "[red]" in out
    assert "none" not in out and "0.123457" in out


def test_training_goes_on_and_starts_over(twincell, tmp_path, monkeypatch):
    recipe, out = tmp_path / "small.toml", tmp_path / "out"
    text = """
name = "small"
data = "digits"
seed = 1
hidden = [8]
training = { epochs = 2, batch = 500, learning_rate = 1e-2 }
"""
    recipe.write_text(text)
    code, said, _ = twincell("train", recipe, "--out", out, "--json")
    report = json.loads(said)
    assert code == 0 and report["epochs"] == 2 and report["test_images"] == 360
    assert json.loads((out / "small.json").read_text()) == report
    assert (out / "small.toml").read_text() == text
    network = out / "small.safetensors"
    assert first_images(network, store.load(network), 2).source == "digits"
    digest = store.digest(store.load(network))

    epochs, epoch = [], training._Run.epoch
    monkeypatch.setattr(
        training._Run, "epoch", lambda run, number: epochs.append(number) or epoch(run, number)
    )
    assert twincell("train", recipe, "--out", out)[0] == 0 and epochs == []
    assert twincell("train", recipe, "--out", out, "--fresh")[0] == 0 and epochs == [0, 1]
    assert store.digest(store.load(network)) == digest
    recipe.write_text(text.replace("[8]", "[9]"))
    code, _, said = twincell("train", recipe, "--out", out)
    path = out / "checkpoint.pt"
    remedy = "Delete it, or train in another directory, or start over with --fresh"
    assert (code, said) == (2, f"twincell: {path} is of another recipe. {remedy}\n")


def test_the_demo_is_a_verification_of_the_digits(twincell, monkeypatch):
    asked = []

    def verify(net, *arguments, **options):
        options.pop("progress")
        asked.append((net, arguments, options))
        raise api.UsageError("seen")

    monkeypatch.setattr(api, "verify", verify)
    assert twincell("demo")[0] == twincell("verify", "digits-mlp", "--simulator", "native")[0] == 2
    assert asked[0] == asked[1]


def test_build_with_other_arrays(twincell, network, tmp_path):
    def build(out, *options):
        code, text, _ = twincell("build", network, "--out", tmp_path / out, *options, "--json")
        assert code == 0
        return json.loads(text)["files"]

    assert {"twincell_macro.stub.v", "layer1-macro.contents.mem"} <= build(
        "m", "--array", "macro"
    ).keys()
    rates = ("--ber", 0.1, "--transient", 0.01)
    memories = [
        {path.name: path.read_bytes() for path in (tmp_path / out).glob("*.mem")}
        for out, seed in (("a", 1), ("b", 1), ("c", 2))
        if build(out, *rates, "--seed", seed)
    ]
    assert memories[0] == memories[1] != memories[2]


@pytest.mark.parametrize("simulator", ["native", "icarus"])
def test_verify_injects_errors(twincell, network, tmp_path, simulator):
    """Saved errors are replayed, and are those of the same rates and seed."""
    file = tmp_path / "errors.safetensors"
    rates = ("--ber", 0.05, "--transient", 0.02, "--stuck", 0.1, "--seed", 9)
    code, out, _ = twincell("errors", network, "--out", file, *rates, "--json")
    drawn = json.loads(out)
    assert code == 0 and sum(drawn["synapses"].values()) > 0
    run = ("verify", network, "--simulator", simulator, "--images", 40, "--json")
    code, out, _ = twincell(*run, "--errors", file)
    replayed = json.loads(out)
    code_again, out, _ = twincell(*run, *rates)
    report = json.loads(out)
    assert code == code_again == 0
    assert report["array"] == "emulated" and report["mismatches"] == 0
    assert report["errors"]["digest"] == replayed["errors"]["digest"] == drawn["digest"]
    assert report["errors"]["synapses"] == replayed["errors"]["synapses"] == drawn["synapses"]
    assert report["errors"]["reads"] == replayed["errors"]["reads"]
    assert sum(report["errors"]["reads"].values()) > 0 and report["as_planned"] is None
    assert "synapses sensed wrong" in twincell(*run[:-1], *rates)[1]


@pytest.mark.parametrize("simulator", ["native", "verilator"])
def test_verify_tells_where_the_hardware_differs(
    twincell, network, tmp_path, monkeypatch, simulator
):
    """The weights of the first layer are stored inverted."""
    emit = verification.emit

    def sabotage(*arguments, **options):
        emitted = emit(*arguments, **options)
        contents = next(path for path in emitted.memories if "layer1.sums.array" in path.name)
        contents.write_text(contents.read_text().translate(str.maketrans("01", "10")))
        return emitted

    monkeypatch.setattr(verification, "emit", sabotage)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    arguments = ("verify", network, "--images", 20, "--simulator", simulator, "--lanes", 30)
    code, out, _ = twincell(*arguments, "--json")
    assert code == 1
    report = json.loads(out)
    first = report["first_difference"]
    assert report["mismatches"] > 0 and first["integer"] == first["torch"] != first["hardware"]
    assert first["replay"] == (
        f"twincell verify {network} --images 20 --simulator {simulator} --lanes 30"
        " --pauses none --seed 0"
    )
    assert Path(first["waves"]).is_relative_to(first["verilog"])
    assert Path(first["waves"]).stat().st_size > 0
    assert "First difference: image" in twincell(*arguments)[1]


@pytest.mark.parametrize("simulator", ["native", "verilator"])
def test_verify_keeps_the_verilog_of_hardware_that_hangs(
    twincell, network, tmp_path, monkeypatch, simulator
):
    emit = verification.emit

    def deafen(*arguments, **options):
        emitted = emit(*arguments, **options)
        text = emitted.verilog.read_text()
        deaf = re.sub(r"^  assign i__ready = .*;$", "  assign i__ready = 1'b0;", text, flags=re.M)
        assert deaf != text
        emitted.verilog.write_text(deaf)
        return emitted

    monkeypatch.setattr(verification, "emit", deafen)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    arguments = ("verify", network, "--images", 2, "--simulator", simulator)
    code, out, err = twincell(*arguments)
    assert (code, out) == (1, "") and "hangs" in err
    kept = re.search(r"The Verilog is kept in (\S+); repeat with: (.*)", err)
    assert kept and (Path(kept[1]) / "random.v").is_file()
    assert kept[2].startswith(f"twincell verify {network} --images 2 --simulator {simulator}")


def test_hardware_off_the_planned_pace_is_a_failure(twincell, network, monkeypatch):
    verified = api.verify(network, 20, simulator="native")
    assert verified.as_planned and verified.passed
    pace = verified.planned_cycles_per_image + 1
    slower = dataclasses.replace(verified, cycles_per_image=float(pace))
    assert slower.as_planned is False and not slower.passed
    assert dataclasses.replace(slower, pauses="sink").passed  # stalls are not the hardware's
    monkeypatch.setattr(api, "verify", lambda *arguments, **options: slower)
    assert twincell("verify", network)[0] == 1


def _conv_network(folder):
    for seed in range(100):
        graph = random_graph(np.random.default_rng(seed))
        added = getattr(graph.input.planes, "accumulate", None)
        if added == "first" and any(isinstance(node, Conv) for node in graph.nodes):
            path = folder / "conv.safetensors"
            store.save(Graph(graph.nodes, "conv"), path)
            return path
    raise AssertionError("no random graph adds up presentations in a convolution")


def test_bad_requests_give_one_message_and_a_code(twincell, network, tmp_path, monkeypatch):
    monkeypatch.delenv("TWINCELL_DATA", raising=False)
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not a network")
    recipe = tmp_path / "bad.toml"
    recipe.write_text("name = 3\n")
    wide = tmp_path / "wide.safetensors"
    store.save(mlp(np.random.default_rng(0), [784, 4, 2], Binary()), wide)
    cases = [
        (("verify", tmp_path / "no.safetensors"), "There is no network file"),
        (("info", broken), "not a whole safetensors file"),
        (("plan", network, "--lanes", 1), "1 lanes are not enough: 2 layers need one each"),
        (("plan", network, "--rate", 1e12), "leave 0 cycles an image"),
        (("plan", network, "--lanes", "many"), "valid integer"),
        (("plan", _conv_network(tmp_path)), "has no hardware that adds up presentations"),
        (("verify", wide, "--dataset", "mnist"), "TWINCELL_DATA"),
        (("train", recipe, "--out", tmp_path), "name"),
    ]
    for arguments, message in cases:
        code, out, err = twincell(*arguments)
        assert code == 2, (arguments, err)
        assert message in err.replace("\n", " "), (arguments, err)
        assert out == "" and "Traceback" not in err


def test_a_missing_simulator_is_exit_code_3(twincell, network, monkeypatch):
    monkeypatch.setattr("twincell.sim.toolchain.shutil.which", lambda *a, **k: None)
    code, _, err = twincell("verify", network, "--simulator", "icarus", "--images", 2)
    assert code == 3 and "apt-get install iverilog" in err


def test_an_interrupt_is_exit_code_130(twincell, network, monkeypatch):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("twincell.api.load", interrupt)
    code, _, err = twincell("info", network)
    assert code == 130 and err == "twincell: interrupted\n"
