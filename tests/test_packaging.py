# SPDX-License-Identifier: BSD-2-Clause
"""The packaging list, the import arrow and the licence lines."""

import ast
import importlib
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("model", "hw", "sim", "fpga", "twincell", "zoo")
# What each folder may import; nothing imports against the arrow.
ARROW = {
    "model": {"model"},
    "hw": {"model", "hw"},
    "sim": {"model", "hw", "sim"},
    "fpga": {"model", "hw", "fpga"},
    "twincell": {"model", "hw", "sim", "fpga", "twincell", "zoo"},
    "zoo": set(),
}
TORCHLESS = ("hw", "sim", "fpga", "model/devices")
# Where a memory learns, its devices are PyTorch's own.
LEARNS = {ROOT / "sim" / "learning.py", ROOT / "sim" / "benches" / "learning.py"}
# These run where torch is not installed: on a board's host, in a bench, in a lint job.
WITHOUT_TORCH = [
    *sorted({p for folder in TORCHLESS for p in (ROOT / folder).rglob("*.py")} - LEARNS),
    *(ROOT / "model" / f"{name}.py" for name in (
        "checks", "data", "generators", "graph", "integer", "kernels", "nodes", "packing",
        "planes", "recipe", "store",
    )),
]  # fmt: skip


def _modules() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def _package(path: Path) -> list[str]:
    """Dotted package of a file: ['twincell', 'hw', 'arrays']."""
    parts = list(path.relative_to(ROOT).parent.parts)
    return parts if parts[0] == "twincell" else ["twincell", *parts]


def _imports(path: Path) -> set[str]:
    """Absolute dotted names of what a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = _package(path)
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *(node.module or "").split(".")] if node.module else base
            found |= {".".join([*module, alias.name]) for alias in node.names}
    return found


def _folder(name: str) -> str | None:
    """The folder of this project that a dotted name lies in."""
    parts = name.split(".")
    if parts[0] != "twincell":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in FOLDERS else "twincell"


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrow(path):
    folder = path.relative_to(ROOT).parts[0]
    reached = {_folder(name) for name in _imports(path)} - {None}
    assert reached <= ARROW[folder], f"{path} imports {reached - ARROW[folder]}"


@pytest.mark.parametrize("path", WITHOUT_TORCH, ids=lambda path: str(path.relative_to(ROOT)))
def test_needs_no_torch(path):
    assert not {name for name in _imports(path) if name.split(".")[0] == "torch"}


def test_every_package_has_its_line():
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {".".join(_package(path)) for path in _modules() if path.name == "__init__.py"}
    assert set(setup["packages"]) == found
    with_files = {".".join(_package(path)) for path in _modules()}
    assert with_files <= found, "a folder without __init__.py is left out of the package"


def test_a_bare_import_of_a_folder_fails():
    for folder in ("hw", "model", "sim", "fpga"):
        with pytest.raises(ImportError):
            importlib.import_module(folder)


def test_every_file_states_its_licence():
    written = [*_modules(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    for path in written:
        first = path.read_text().partition("\n")[0]
        assert first == "# SPDX-License-Identifier: BSD-2-Clause", path


def test_every_data_file_is_installed():
    """A file beside the code that no pattern names is there in a checkout and nowhere else."""
    given = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    named = set()
    for package, patterns in given["package-data"].items():
        parts = package.split(".")[1:]
        base = ROOT.joinpath(*parts) if parts[0] in FOLDERS else ROOT.joinpath("twincell", *parts)
        named |= {path for pattern in patterns for path in base.glob(pattern)}
    there = {path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()}
    data = {p for p in there if p.suffix != ".py" and "__pycache__" not in p.parts}
    assert named == data
