# SPDX-License-Identifier: BSD-2-Clause
"""Experiments: the registry, the report, and what the quick runs find."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import get_type_hints

import pytest

from twincell import progress
from twincell.experiments import _command, _registry, _report
from twincell.experiments._report import Finding, Job, Report, Table
from twincell.model import data
from twincell.networks import UsageError

NAMES = _registry.names()


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_an_experiment(name):
    found = _registry.find(name)
    assert found.SUMMARY.strip() and "\n" not in found.SUMMARY and callable(found.run)


def test_an_unknown_experiment_lists_the_names():
    with pytest.raises(UsageError) as refused:
        _registry.find("_report")
    assert str(refused.value) == f"'_report' is not an experiment: {', '.join(NAMES)}"


@pytest.mark.parametrize("name", [name for name in NAMES if _registry.find(name).DATA])
def test_a_missing_file_is_noticed_before_anything_begins(name, twincell, tmp_path, monkeypatch):
    """Also one that is read hours after the first."""
    module = _registry.find(name)
    monkeypatch.setattr(module, "run", lambda job: pytest.fail("it began"))
    checked = []
    monkeypatch.setattr(data, "_read_pinned", lambda path, sha256: checked.append(path))
    for folder in ("mnist", "fashion_mnist", "cifar10"):
        (tmp_path / folder).mkdir()
    files = {each: tmp_path / data._FOLDERS[each] for each in module.DATA}
    for last in files:  # all sets are there but for this one
        for each, folder in files.items():
            for file in data._FILES[each].values():
                (folder / file).unlink(missing_ok=True)
                if each != last:
                    (folder / file).touch()
        out = tmp_path / "out"
        words = ("experiments", "run", name, "--data", str(tmp_path), "--out", str(out))
        code, _, err = twincell(*words)
        assert code == 2 and f"No files of the data set {last} in {tmp_path}" in err
        assert not out.exists()
    assert {path.parent for path in checked} == {files[each] for each in module.DATA[:-1]}


def test_list(twincell):
    code, out, _ = twincell("experiments", "list", "--json")
    assert code == 0 and list(json.loads(out)["experiments"]) == NAMES
    assert "differential-ber" in twincell("experiments", "list")[1]
    code, _, err = twincell("experiments", "run", "no-such")
    assert code == 2 and err.startswith("twincell: 'no-such' is not an experiment: ")


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Runs an experiment once; returns its record, page and folder."""
    made = {}

    def run(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            report = _registry.find(name).run(Job(quick=True))
            _report.write(name, report, True, folder)
            made[name] = folder
        folder = made[name]
        return json.loads((folder / "report.json").read_text()), (folder / "report.md").read_text()

    return run


OURS = ("differential-ber", "ternary-errors")


@pytest.mark.parametrize("name", OURS)
def test_closed_forms_lie_in_the_intervals_of_drawn_cells(quick, name):
    record, page = quick(name)
    drawn = next(table for table in record["tables"] if table["title"].startswith("Drawn cells"))
    assert len(drawn["rows"]) >= 18 and {row[-1] for row in drawn["rows"]} == {"yes"}
    for finding in record["findings"]:
        if finding["interval"] and isinstance(finding["ours"], float):
            low, high = finding["interval"]
            assert finding["n"] and low <= finding["ours"] <= high
    assert "Published and ours" in page and record["quick"] is True


def test_differential_cells_and_codes(quick):
    record, _ = quick("differential-ber")
    ours = {finding["quantity"]: finding["ours"] for finding in record["findings"]}
    first, *_ = ours.values()
    assert 0.5 < first < 1.5  # as good as SECDED(8,4) where spreads are equal
    assert ours["the same, k = 4"] > 10
    assert 1.8 < ours["slope of ln 2T2R over ln 1T1R at 1e-4, k = 1"] < 2
    slopes = next(table for table in record["tables"] if table["title"].startswith("Slope"))
    for _, limit, *measured in slopes["rows"]:
        assert measured == sorted(measured) and measured[-1] < limit  # approached from below


def test_ternary_errors_are_of_neighbours(quick):
    record, _ = quick("ternary-errors")
    ours = {finding["quantity"]: finding["ours"] for finding in record["findings"]}
    assert ours["share of errors other than 0 read as +-1, equally likely weights"] < 1e-3
    others = next(table for table in record["tables"] if table["title"].startswith("Other"))
    swaps = [row[-1] for row in others["rows"]]
    assert swaps == sorted(swaps) and swaps[0] < 0.02 < 0.1 < swaps[-1] < 0.15
    windows = next(table for table in record["tables"] if table["title"].startswith("Sense times"))
    widths = [row[3] for row in windows["rows"]]
    assert widths == sorted(widths, reverse=True)  # wider at a lower supply


def _example() -> Report:
    figure, axes = _report.plot("squares", "x", "y")
    axes.plot([0, 1, 2], [0, 1, 4])
    finding = Finding("a|b", "1", "D", "nobody", 1234.5, _report.interval(1, 100), 100)
    table = Table("numbers", ("a", "b", "c"), [(1, 2.0, None), ("x", 1e-9, 10_000)])
    return Report("Example", ["One.", "Two."], 7, [finding], [table], {"squares": figure})


def test_a_report_is_the_same_bytes_twice(tmp_path):
    for folder in ("one", "two"):
        files = _report.write("example", _example(), False, tmp_path / folder)
        assert [path.name for path in files] == ["report.json", "report.md", "squares.svg"]
    for path in (tmp_path / "one").iterdir():
        content = path.read_bytes()
        assert content == (tmp_path / "two" / path.name).read_bytes()
        assert not re.search(rb"<dc:date>|matplotlib v", content), path.name


def test_the_page_of_a_report(tmp_path):
    _report.write("example", _example(), False, tmp_path)
    page = (tmp_path / "report.md").read_text()
    assert "| a\\|b | 1 | [D] | 1.23e+03 | 5.01e-05 to 0.072 | 100 | nobody |\n" in page
    assert "\n\n| a | b | c |\n|---|---|---|\n| 1 | 2 |  |\n| x | 1e-09 | 10,000 |\n" in page
    assert "![squares.svg](squares.svg)" in page and "seed 7." in page
    assert "\n\n\n" not in page


def test_a_report_of_trainings_names_their_seeds(tmp_path):
    report = replace(_example(), seed=range(1, 4), confidence=0.95)
    _report.write("example", report, False, tmp_path)
    page = (tmp_path / "report.md").read_text()
    record = json.loads((tmp_path / "report.json").read_text())
    assert "run example`, seeds 1, 2, 3.\n" in page and "hold with 95 % confidence" in page
    assert record["seed"] == [1, 2, 3] and record["confidence"] == 0.95
    assert set(record["versions"]) == {"twincell", "numba", "numpy", "scipy", "torch"}


def test_run_writes_and_prints_the_report(twincell, tmp_path, monkeypatch):
    fake = type("Fake", (), {"SUMMARY": "-", "run": staticmethod(lambda job: _example())})
    monkeypatch.setattr(_registry, "find", lambda name: fake)
    arguments = ("experiments", "run", "example", "--quick", "--out", tmp_path)
    code, out, err = twincell(*arguments, "--json")
    record = json.loads(out)
    assert code == 0 and err == "" and record["seed"] == 7 and record["quick"] is True
    assert record["findings"][0]["interval"] == list(_report.interval(1, 100))
    assert str(tmp_path / "squares.svg") in record["files"]
    written = json.loads((tmp_path / "report.json").read_text())
    assert written == {key: value for key, value in record.items() if key != "files"}
    code, out, _ = twincell(*arguments)
    assert code == 0 and "Example" in out and "1.23e+03" in out


FREE = "ternary-errors"  # of data sets
REFUSED = {
    "no data": ("stream", "--data", "{}/none", "There is no directory {}/none. Give --data DIR or "
                "set TWINCELL_DATA=DIR, where DIR/mnist, DIR/fashion_mnist and DIR/cifar10 hold "
                "the files of data sets"),
    "data in a file": ("stream", "--data", "{}/file", "There is no directory {}/file. Give"),
    "no cost": ("weak-reset", "--cost", "{}/none", "{}/none: No such file or directory. --cost "
                "takes a TOML file with source, energy (joule a pulse) and endurance (pulses)"),
    "a folder of costs": ("weak-reset-cifar10", "--cost", "{}", "{}: Is a directory. --cost takes"),
    "out in proc": (FREE, "--out", "/proc/none", "/proc/none cannot be written: No such file or "
                    "directory. Give another folder: --out DIR"),
    "out is a file": (FREE, "--out", "{}/file", "{}/file cannot be written: Not a directory."),
    "out below a file": (FREE, "--out", "{}/file/a/b", "{}/file/a/b cannot be written: Not a"),
    "out too long": (FREE, "--out", "{}/a/" + 300 * "b", " cannot be written: File name too"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_or_written_is_said_before_anything_starts(
    twincell, tmp_path, monkeypatch, case
):
    """And leaves nothing behind."""
    name, option, value, message = (word.replace("{}", str(tmp_path)) for word in REFUSED[case])
    found = _registry.find(name)
    monkeypatch.setattr(found, "run", lambda job: pytest.fail("It has started"))
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    code, out, err = twincell("experiments", "run", name, option, value)
    assert (code, out) == (2, "") and err.startswith("twincell: ") and err.count("\n") == 1
    assert message in err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_run_that_fails_leaves_no_empty_folders(twincell, tmp_path, monkeypatch):
    def fail(job):
        assert job.folder.is_dir()
        if write:
            (job.folder / "kept").touch()
        raise UsageError("fails")

    monkeypatch.setattr(_registry, "find", lambda name: type("Fake", (), {"run": fail, "DATA": ()}))
    (tmp_path / "old").mkdir()
    for write in (False, True):
        out = tmp_path / "old" / "a" / "b"
        result = twincell("experiments", "run", "fake", "--out", out)
        assert result == (2, "", "twincell: fails\n")
        assert [path.name for path in tmp_path.rglob("*")] == ["old", *["a", "b", "kept"] * write]


def test_the_help_of_costs_names_all_experiments_that_take_them():
    taking = [name for name in NAMES if getattr(_registry.find(name), "BY_PULSES", False)]
    assert list(_command.PULSED) == taking
    (option,) = get_type_hints(_command.run, include_extras=True)["cost"].__metadata__
    assert option.help.endswith(": of weak-reset and weak-reset-cifar10.")


@pytest.fixture
def clock(monkeypatch):
    """Minutes since it began, by which progress is told; they may be set."""
    now = SimpleNamespace(minutes=0.0)
    monkeypatch.setattr(progress, "monotonic", lambda: 1e6 + 60 * now.minutes)
    return now


def test_without_a_terminal_a_line_says_every_few_minutes_how_far_it_is(clock, capsys):
    expected = {
        0: None,
        2: None,
        3: "job: 3 of 1,000, 3 min so far, about 16 h 37 min left",  # one in a minute
        5: None,
        7: "job: 7 of 1,000, 7 min so far, about 16 h 33 min left",
        70: "job: 70 of 1,000, 1 h 10 min so far, about 15 h 30 min left",
        1000: "job: 1,000 of 1,000, 16 h 40 min so far",
    }
    with progress.working("job") as tell:
        for clock.minutes, line in expected.items():
            tell(clock.minutes, 1000)
            assert capsys.readouterr() == ("", f"{line}\n" if line else "")


def test_the_time_left_is_that_of_this_run_and_of_this_part(clock, capsys):
    with progress.working("job") as tell:
        tell(500, 600)  # by earlier runs
        for clock.minutes, done, total, line in (
            (4, 500, 600, "job: 500 of 600, 4 min so far"),
            (10, 510, 600, "job: 510 of 600, 10 min so far, about 1 h 30 min left"),
            (20, 1, 50, "job: 1 of 50, 20 min so far"),  # another part
            (30, 6, 50, "job: 6 of 50, 30 min so far, about 1 h 28 min left"),
            (40, 2, 50, "job: 2 of 50, 40 min so far"),  # again, of the same length
        ):
            tell(done, total)
            assert capsys.readouterr() == ("", f"{line}\n")


def test_lines_of_progress_keep_apart_from_the_report(twincell, clock, tmp_path, monkeypatch):
    def run(job):
        for clock.minutes in (0, 5):
            job.progress(1 + clock.minutes, 8)
        return _example()

    monkeypatch.setattr(_registry, "find", lambda name: type("Fake", (), {"run": run, "DATA": ()}))
    code, out, err = twincell("experiments", "run", "fake", "--json", "--out", tmp_path)
    assert code == 0 and json.loads(out)["seed"] == 7
    assert err == "fake: 6 of 8, 5 min so far, about 2 min left\n"


def test_a_terminal_has_a_bar_and_no_lines(clock, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes what follows for a terminal
    monkeypatch.setenv("TERM", "xterm")
    with progress.working("job") as tell:
        for clock.minutes in (0, 5):
            tell(clock.minutes, 10)
    out, err = capsys.readouterr()
    assert out == "" and "━" in err and "job" in err and "so far" not in err


def test_malformed_reports_are_refused():
    with pytest.raises(ValueError, match=r"^The tag is one of R, CODE, 3P, D, -, not 'M'$"):
        Finding("x", "1", "M", "nobody", 1.0)
    with pytest.raises(ValueError, match=r"^Table 'x' has rows of other than 2 cells$"):
        Table("x", ("a", "b"), [(1,)])
