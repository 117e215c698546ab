"""What a process of the runner saw and has not yet handed on: an SQLite file that survives any crash of its writer.

Each writing process has its own file; the supervisor's publisher reads them all, gives each row its sequence,
sends it to the ingest queue and deletes it. Write-ahead logging with ``synchronous=FULL`` means that ``append``
returns only after the row is on the disk (https://www.sqlite.org/pragma.html#pragma_synchronous).
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from recado.kernel.clock import Clock, SystemClock, from_text, to_text
from recado.kernel.ids import Prefix, derived_id

_BUSY_SECONDS = 30.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS journal (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    entry_id TEXT UNIQUE,
    clinic_id TEXT NOT NULL,
    channel_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    fact_at TEXT NOT NULL,
    observed_at TEXT NOT NULL,
    data TEXT NOT NULL,
    sequence INTEGER
)
"""
_COLUMNS = "number, entry_id, clinic_id, channel_id, kind, fact_at, observed_at, data, sequence"


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One fact that waits to be published. ``number`` rises in the order of writing, within one file."""

    number: int
    entry_id: str
    clinic_id: str
    channel_id: str
    kind: str
    fact_at: datetime
    observed_at: datetime
    data: dict[str, Any]
    sequence: int | None


class Journal:
    """One journal file. Threads may share an instance; one other process may have the file open as well."""

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute(_SCHEMA)

    def append(  # noqa: PLR0917 - the parts of an entry, in its order
        self,
        clinic_id: str,
        channel_id: str,
        kind: str,
        identity: tuple[str, ...],
        fact_at: datetime,
        data: dict[str, Any],
        *,
        numbered: bool = False,
    ) -> JournalRow:
        """Write a fact and return once it is on the disk.

        A fact whose id is still pending is not written again; the row that is there is returned.

        Args:
            clinic_id: whose fact it is.
            channel_id: the channel it was seen on.
            kind: the entry's kind, as ``message.received``.
            identity: what makes the fact unique within clinic, channel and kind.
            fact_at: the fact's own time (WhatsApp's), which its id carries; timezone-aware.
            data: the entry's data, JSON.
            numbered: add the row's number to the identity, for facts that nothing else makes unique.

        Raises:
            sqlite3.Error: the row is not on the disk (full, read-only, locked for more than 30 s).
        """
        observed_at = self._clock.now()
        with self._transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO journal (clinic_id, channel_id, kind, fact_at, observed_at, data)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (clinic_id, channel_id, kind, to_text(fact_at), to_text(observed_at), _to_json(data)),
            )
            number = int(cursor.lastrowid or 0)
            parts = (*identity, str(number)) if numbered else identity
            entry_id = derived_id(Prefix.EVENT, fact_at, clinic_id, channel_id, kind, *parts)
            present = connection.execute(
                f"SELECT {_COLUMNS} FROM journal WHERE entry_id = ?",  # noqa: S608 - a constant
                (entry_id,),
            ).fetchone()
            if present is None:
                connection.execute("UPDATE journal SET entry_id = ? WHERE number = ?", (entry_id, number))
            else:
                connection.execute("DELETE FROM journal WHERE number = ?", (number,))
        if present is not None:
            return _row(present)
        return JournalRow(number, entry_id, clinic_id, channel_id, kind, fact_at, observed_at, data, None)

    def pending(self, limit: int = 100) -> list[JournalRow]:
        """Return the oldest rows that wait to be published, at most ``limit``."""
        with self._lock:
            found = self._connection.execute(
                f"SELECT {_COLUMNS} FROM journal ORDER BY number LIMIT ?",  # noqa: S608 - a constant
                (limit,),
            ).fetchall()
        return [_row(columns) for columns in found]

    def assign_sequences(self, sequences: Mapping[int, int]) -> None:
        """Give rows (by number) their channel's sequence; a row keeps the first it was given.

        Kept on the disk, so that a row published twice around a crash is the same entry both times.
        """
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE journal SET sequence = ? WHERE number = ? AND sequence IS NULL",
                [(sequence, number) for number, sequence in sequences.items()],
            )

    def mark_published(self, numbers: Iterable[int]) -> None:
        """Delete rows that the ingest queue has taken."""
        with self._transaction() as connection:
            connection.executemany("DELETE FROM journal WHERE number = ?", [(number,) for number in numbers])

    def count(self) -> int:
        """Return how many rows wait."""
        with self._lock:
            return int(self._connection.execute("SELECT count(*) FROM journal").fetchone()[0])

    def close(self) -> None:
        """Close the file; nothing is lost without it."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                # A commit that failed (disk full) leaves the transaction open, which would block every later one.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


def _to_json(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def _row(columns: tuple[Any, ...]) -> JournalRow:
    number, entry_id, clinic_id, channel_id, kind, fact_at, observed_at, data, sequence = columns
    return JournalRow(
        number,
        entry_id,
        clinic_id,
        channel_id,
        kind,
        from_text(fact_at),
        from_text(observed_at),
        json.loads(data),
        sequence,
    )
