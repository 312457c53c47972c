# SPDX-License-Identifier: BSD-2-Clause
"""Files that are whole or not there."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file that becomes ``path`` when the block ends, and nothing when it fails.

    Whoever reads ``path`` meanwhile finds the old content whole. Directories are made. Raises
    ``OSError`` when the file cannot be written.
    """
    path = Path(path)
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


def write_bytes(path: str | Path, content: bytes) -> None:
    """Replaces ``path`` by ``content`` at once; raises ``OSError`` when it cannot be written."""
    with replacing(path) as file:
        file.write(content)
