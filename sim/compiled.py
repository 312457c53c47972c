# SPDX-License-Identifier: BSD-2-Clause
"""The cache of compiled simulations and of what build flows have made: a directory each, the least
recently used dropped first."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from ..hw import tools
from ..model import files

LIMIT = 2 << 30  # bytes
KEPT = 3600  # seconds after its last use for which a simulation stays, whatever the limit


def use(home: Path, *, limit: int = LIMIT) -> Path:
    """Marks a simulation as used now, or makes room for one that will be compiled.

    Of the others, the least recently used are removed until the whole cache is below ``limit``
    bytes; what was used within the last hour may be running and stays. Raises
    :class:`~twincell.model.files.WriteError` when the cache cannot be written.
    """
    if home.exists():
        with suppress(OSError):  # a cache that can only be read
            os.utime(home)
    else:
        files.folder(home.parent, tools.cache_remedy())
    _prune(home, limit)
    return home


def _prune(home: Path, limit: int) -> None:
    entries = []
    for entry in tools.cache_directory().glob("*/*"):
        try:
            size = sum(file.stat().st_size for file in entry.rglob("*") if file.is_file())
            entries.append((entry.stat().st_mtime, size, entry))
        except OSError:  # another process removed it
            continue
    total = sum(size for _, size, _ in entries)
    for used, size, entry in sorted(entries):
        if total <= limit or used > time.time() - KEPT:
            return
        if entry != home:
            shutil.rmtree(entry, ignore_errors=True)
            total -= size
