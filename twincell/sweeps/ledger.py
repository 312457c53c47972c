# SPDX-License-Identifier: BSD-2-Clause
"""The ledger of a sweep: what is done, in one SQLite file that survives a kill at any moment.

Each outcome is a transaction of its own. Only the process that runs the sweep writes; it holds the
file's lock until it ends, however that happens.
"""

import hashlib
import json
import sqlite3
from pathlib import Path

import numpy as np

from ..model import files
from ..networks import UsageError
from .tasks import Outcome, Task

FORMAT = 2
FILE = "sweep.sqlite"

_TABLES = """
CREATE TABLE IF NOT EXISTS sweep (one INTEGER PRIMARY KEY CHECK (one = 1), identity TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outcome (
    point INTEGER, map INTEGER, correct BLOB NOT NULL, right INTEGER NOT NULL,
    flips INTEGER NOT NULL, read_flips INTEGER NOT NULL, PRIMARY KEY (point, map)
) WITHOUT ROWID;
"""


def key(identity: dict) -> str:
    """SHA-256 of all that decides the results of a sweep."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


class Ledger:
    """The outcomes of one sweep in a directory, which is made.

    Parameters
    ----------
    identity : plain data, all that decides the outcomes
    images : of each outcome
    fresh : whether to forget what is there

    Raises ``UsageError`` when the directory has the ledger of another sweep, a file that is no
    ledger, or a ledger that another process is writing; and ``OSError``.
    """

    def __init__(self, directory: Path, identity: dict, images: int, *, fresh: bool = False):
        self.path = files.folder(directory) / FILE
        self.images = images
        text = json.dumps(identity, sort_keys=True)
        try:
            self._database = self._open(fresh)
            try:
                self._claim(text)
                self.outcomes = self._read()
            except BaseException:
                self._database.close()
                raise
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise UsageError(f"Another sweep is writing to {self.path}") from None
            raise OSError(f"{self.path}: {error}") from None
        except sqlite3.DatabaseError as error:
            raise UsageError(
                f"{self.path} is not a whole ledger: {error}. Start over with --fresh"
            ) from None

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *exception: object) -> None:
        self._database.close()

    def add(self, outcome: Outcome) -> None:
        """Writes an outcome: a kill does not lose it; a power cut may lose the last ones.

        Raises ``WriteError`` when the disk does not take it.
        """
        right = int(outcome.bits(self.images).sum())
        row = (outcome.point, outcome.map, outcome.correct, right)
        try:
            with self._database:
                self._database.execute(
                    "INSERT OR REPLACE INTO outcome VALUES (?, ?, ?, ?, ?, ?)",
                    (*row, outcome.flips, outcome.read_flips),
                )
        except sqlite3.Error as error:
            raise files.WriteError(
                f"{self.path} cannot be written: {error}. What is done is kept: make room, and run "
                "the same command again"
            ) from error
        self.outcomes[outcome.point, outcome.map] = outcome

    def _open(self, fresh: bool) -> sqlite3.Connection:
        database = self._locked()
        if not fresh:
            return database
        try:
            database.execute("BEGIN IMMEDIATE")  # else each statement would be a transaction
            with database:
                database.execute("DROP TABLE IF EXISTS outcome")
                database.execute("DROP TABLE IF EXISTS sweep")
            return database
        except sqlite3.OperationalError:
            database.close()
            raise
        except sqlite3.DatabaseError:  # not a database at all
            database.close()
            for suffix in ("", "-wal", "-shm", "-journal"):
                self.path.with_name(FILE + suffix).unlink(missing_ok=True)
            return self._locked()

    def _locked(self) -> sqlite3.Connection:
        """A connection that takes the file's lock with its first transaction and keeps it."""
        database = sqlite3.connect(self.path, timeout=0)
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        return database

    def _claim(self, identity: str) -> None:
        """Enters the sweep, or checks that it is the one that is there."""
        # Set before any transaction, and without shared memory, as the lock is exclusive.
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.executescript(_TABLES)
        with self._database:
            self._database.execute("INSERT OR IGNORE INTO sweep VALUES (1, ?)", (identity,))
        (found,) = self._database.execute("SELECT identity FROM sweep").fetchone()
        if found != identity:
            there, wanted = json.loads(found), json.loads(identity)
            differing = [name for name in wanted if there.get(name) != wanted[name]]
            raise UsageError(
                f"{self.path} is of another sweep: its {' and '.join(differing)} differ. "
                "Choose another --out, or start over with --fresh"
            )

    def _read(self) -> dict[Task, Outcome]:
        rows = self._database.execute(
            "SELECT point, map, correct, flips, read_flips, right FROM outcome ORDER BY point, map"
        )
        found = {}
        for *values, right in rows:
            outcome = Outcome(*values)
            whole = len(outcome.correct) == -(-self.images // 8)
            if not whole or int(outcome.bits(self.images).sum()) != right:
                raise sqlite3.DatabaseError(f"point {outcome.point}, map {outcome.map} is damaged")
            found[outcome.point, outcome.map] = outcome
        return found

    def correctness(self, point: int, maps: int) -> np.ndarray:
        """Whether each image was classified rightly: uint8 (maps, images)."""
        return np.stack([self.outcomes[point, k].bits(self.images) for k in range(maps)])
