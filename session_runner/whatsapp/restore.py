"""Making a restored copy of a session file safe to connect with. For files that nobody has open; loads no neonize."""

import sqlite3
from contextlib import closing
from pathlib import Path


def prepare_unclean(path: Path) -> int:
    """Drop the Signal sessions from a copy that may be older than the last message sent, and return how many.

    Such a copy would use message keys a second time: the first messages sent would vanish silently, though receipted.
    Without sessions both sides build new ones with the next message, and nothing is lost in either direction.

    Args:
        path: the session file; nobody may have it open.

    Raises:
        sqlite3.Error: not a session file.
    """
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True)) as connection, connection:
        return connection.execute("DELETE FROM whatsmeow_sessions").rowcount
