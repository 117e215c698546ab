"""What survives a restart: one SQLite file, committed before anything is told to anybody.

The simulator runs on one thread. Writes collect in an open transaction; the network commits it in the same
turn of the event loop, before the bytes caused by it leave. A killed process therefore never forgets what
a client saw acknowledged. (The file is in WAL mode without a sync per commit: a power cut may lose the
last moments, a killed process loses nothing.)
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Value = str | int | float | bytes | None

_SCHEMA = """
CREATE TABLE IF NOT EXISTS account (number TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS device (
    number TEXT NOT NULL, device INTEGER NOT NULL, document TEXT NOT NULL, PRIMARY KEY (number, device)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS prekey (
    number TEXT NOT NULL, device INTEGER NOT NULL, id INTEGER NOT NULL, public BLOB NOT NULL,
    PRIMARY KEY (number, device, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS queue (
    sequence INTEGER PRIMARY KEY, number TEXT NOT NULL, device INTEGER NOT NULL, key TEXT NOT NULL,
    stanza BLOB NOT NULL, UNIQUE (number, device, key)
);
CREATE TABLE IF NOT EXISTS session (
    number TEXT NOT NULL, address TEXT NOT NULL, sessions TEXT NOT NULL, PRIMARY KEY (number, address)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS received (
    sequence INTEGER PRIMARY KEY, number TEXT NOT NULL, id TEXT NOT NULL, sender TEXT NOT NULL, text TEXT,
    type TEXT NOT NULL, reply_to TEXT, received_at TEXT NOT NULL, read INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS received_by_number ON received (number, sequence);
CREATE INDEX IF NOT EXISTS received_by_id ON received (number, id);
CREATE TABLE IF NOT EXISTS sent (
    sequence INTEGER PRIMARY KEY, number TEXT NOT NULL, id TEXT NOT NULL, recipient TEXT NOT NULL, text TEXT,
    type TEXT NOT NULL, plaintext BLOB NOT NULL, sent_at TEXT NOT NULL, delivered_at TEXT, read_at TEXT,
    error TEXT
);
CREATE INDEX IF NOT EXISTS sent_by_number ON sent (number, sequence);
CREATE UNIQUE INDEX IF NOT EXISTS sent_by_id ON sent (number, id);
CREATE TABLE IF NOT EXISTS history (
    number TEXT NOT NULL, other TEXT NOT NULL, last_at INTEGER NOT NULL, PRIMARY KEY (number, other)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger (
    sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, direction TEXT NOT NULL, sender TEXT NOT NULL,
    recipient TEXT NOT NULL, device INTEGER NOT NULL, accepted_at TEXT, delivered_at TEXT,
    acknowledged_at TEXT, read_at TEXT, text TEXT, decrypted INTEGER NOT NULL DEFAULT 0, error TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS ledger_by_id ON ledger (id, sender, direction, device);
"""


class State:
    """The state file.

    Args:
        path: the SQLite file, or ``:memory:``.
    """

    def __init__(self, path: Path | str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_SCHEMA)
        self._open = False

    def _begin(self) -> None:
        if not self._open:
            self._connection.execute("BEGIN IMMEDIATE")
            self._open = True

    def execute(self, statement: str, values: Sequence[Value] = ()) -> int:
        """Run a writing statement inside the current transaction; returns the number of changed rows."""
        self._begin()
        return self._connection.execute(statement, values).rowcount

    def execute_many(self, statement: str, rows: Iterable[Sequence[Value]]) -> None:
        """Run a writing statement once for each row of values."""
        self._begin()
        self._connection.executemany(statement, rows)

    def query(self, statement: str, values: Sequence[Value] = ()) -> list[tuple[Value, ...]]:
        """Run a reading statement; sees what the current transaction wrote."""
        return self._connection.execute(statement, values).fetchall()

    def commit(self) -> None:
        """End the current transaction, if one is open."""
        if self._open:
            self._connection.execute("COMMIT")
            self._open = False

    def close(self) -> None:
        """Commit and close the file."""
        self.commit()
        self._connection.close()
