# SPDX-License-Identifier: BSD-2-Clause
"""Files are whole or not there, and what cannot be written is named, with the reason."""

import re

import pytest

from twincell.model import files
from twincell.model.files import WriteError

NOWHERE = {
    "below a file": ("file/below", "Not a directory"),
    "where nothing can be": ("/proc/none", "No such file or directory"),
    "too long a name": (300 * "x", "File name too long"),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("a file")
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", NOWHERE)
def test_what_cannot_be_written_is_named(here, name):
    path, reason = NOWHERE[name]
    said = rf"^{re.escape(path)} cannot be written: {reason}\. "
    with pytest.raises(WriteError, match=said + "Choose another place$"):
        files.write_bytes(path, b"content")
    with pytest.raises(WriteError, match=said + "Give another$"):
        files.folder(path, "Give another")
    assert names(here) == ["file"]


def test_a_file_is_no_directory_nor_the_other_way_round(here):
    with pytest.raises(WriteError, match=r"^file cannot be written: Not a directory\. "):
        files.folder("file")
    (here / "folder").mkdir()
    with pytest.raises(WriteError, match=r"^folder cannot be written: Is a directory\. "):
        files.write_bytes("folder", b"content")
    assert names(here) == ["file", "folder"] and not names(here / "folder")


def test_a_file_that_fails_changes_nothing(here):
    with pytest.raises(ValueError, match="half"), files.replacing("file") as file:
        file.write(b"half")
        raise ValueError("half")
    assert (here / "file").read_text() == "a file" and names(here) == ["file"]
    assert files.folder("new/one").is_dir() and not names(here / "new" / "one")
    files.write_bytes("new/two/file", b"whole")
    assert (here / "new" / "two" / "file").read_bytes() == b"whole"
