"""The job store: jobs and their events in SQLite, so that nothing that was acknowledged is lost.

WAL with synchronous=NORMAL survives the death of the process at any moment; a power cut may lose the last transactions,
which the results on disk make good. The file must lie on a local disk: WAL does not work on network drives.

Values here are plain rows; what they mean is `jobs`' matter. Used from one thread only, see `background`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from platelight.errors import OutputError

EVENTS_KEPT = 10_000
SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS job(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  key TEXT NOT NULL UNIQUE,
  digest TEXT NOT NULL,
  recipe BLOB NOT NULL,
  body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS event(
  job TEXT NOT NULL,
  number INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY(job, number)
) WITHOUT ROWID;
"""


class Store:
    """Rows of jobs and events. Raises `OutputError` where the disk is full or the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._told():
            # One thread uses it; the check would be in the way of handing it to that thread.
            self._db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000", "secure_delete=OFF"):
                self._db.execute(f"PRAGMA {pragma}")
            self._open()

    def _open(self) -> None:
        found = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if found > SCHEMA_VERSION:
            raise OutputError(
                f"{self.path}: written by a newer Platelight (version {found}); use that, or another --home"
            )
        with self._transaction():  # a write: on a network drive WAL is accepted and the first write fails
            for statement in SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def add(
        self, job: str, key: str, digest: str, recipe: bytes, body: bytes, events: Sequence[tuple[int, bytes]]
    ) -> int:
        """A new job; returns its number."""
        with self._told(), self._transaction():
            row = self._db.execute(
                "INSERT INTO job(id, key, digest, recipe, body) VALUES(?,?,?,?,?) RETURNING number",
                (job, key, digest, recipe, body),
            ).fetchone()
            self._events(job, events)
        return int(row[0])

    def save(self, changes: Mapping[str, tuple[bytes, Sequence[tuple[int, bytes]]]]) -> None:
        """Jobs as they are now, by id, each with its new events."""
        with self._told(), self._transaction():
            for job, (body, events) in changes.items():
                self._db.execute("UPDATE job SET body=? WHERE id=?", (body, job))
                self._events(job, events)

    def _events(self, job: str, events: Sequence[tuple[int, bytes]]) -> None:
        self._db.executemany("INSERT INTO event VALUES(?,?,?)", [(job, number, body) for number, body in events])
        if events and events[-1][0] > EVENTS_KEPT:
            self._db.execute("DELETE FROM event WHERE job=? AND number<=?", (job, events[-1][0] - EVENTS_KEPT))

    def remove(self, job: str) -> None:
        """Forgets a job and its events."""
        with self._told(), self._transaction():
            self._db.execute("DELETE FROM job WHERE id=?", (job,))
            self._db.execute("DELETE FROM event WHERE job=?", (job,))

    def jobs(self) -> list[tuple[int, str, str, str, bytes]]:
        """(number, id, key, digest, body) of all jobs, oldest first."""
        with self._told():
            return list(self._db.execute("SELECT number, id, key, digest, body FROM job ORDER BY number"))

    def recipe(self, job: str) -> bytes:
        """The packed recipe of a job; empty where it is unknown."""
        with self._told():
            row = self._db.execute("SELECT recipe FROM job WHERE id=?", (job,)).fetchone()
        return bytes(row[0]) if row else b""

    def events(self, job: str, after: int, most: int) -> list[tuple[int, bytes]]:
        """(number, body) of at most `most` events that follow number `after`."""
        with self._told():
            found = self._db.execute(
                "SELECT number, body FROM event WHERE job=? AND number>? ORDER BY number LIMIT ?", (job, after, most)
            )
            return [(int(number), bytes(body)) for number, body in found]

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            raise OutputError(f"{self.path}: the job store cannot be used: {error}") from error


def integrity(path: Path) -> Any:
    """What SQLite says of the file's integrity; "ok" where it is whole."""
    db = sqlite3.connect(path)
    try:
        return db.execute("PRAGMA integrity_check").fetchone()[0]
    finally:
        db.close()
