# SPDX-License-Identifier: BSD-2-Clause
"""Files that are whole or not there."""

import errno
import glob
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


class WriteError(OSError):
    """A file or directory that cannot be written; the message names it, the reason and a remedy."""


def folder(path: str | Path, remedy: str = "Choose another place") -> Path:
    """``path`` as a directory, made if need be, in which files can be written.

    Raises :class:`WriteError`, whose message ends with ``remedy``.
    """
    path = Path(path)
    with _told(path, remedy):
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    return path


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file that becomes ``path`` when the block ends, and nothing when it fails.

    Whoever reads ``path`` meanwhile finds the old content whole. Directories are made. Raises
    :class:`WriteError` when the file cannot be written.
    """
    path = Path(path)
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial = Path(temporary)
            partial.chmod(0o644)  # mkstemp made it private
            partial.replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def clear_partial(path: str | Path) -> None:
    """Removes what :func:`replacing` left of ``path`` where its process was killed. Nobody may be
    writing it."""
    path = Path(path)
    for partial in path.parent.glob(f".{glob.escape(path.name)}.*"):
        partial.unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Replaces ``path`` by ``content`` at once; raises :class:`WriteError` when it cannot be
    written."""
    with replacing(path) as file:
        file.write(content)


@contextmanager
def _told(path: Path, remedy: str = "Choose another place") -> Iterator[None]:
    """Says of what the system refuses which file or directory was to be written."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        if isinstance(error, FileExistsError):  # where a directory would be made
            reason = os.strerror(errno.ENOTDIR)
        raise WriteError(f"{path} cannot be written: {reason}. {remedy}") from error
