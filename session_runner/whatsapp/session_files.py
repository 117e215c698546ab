"""What a session file tells without the session: whose it is, whether it is worth keeping, and a snapshot of it."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from session_runner.hosts.errors import HostError
from session_runner.whatsapp.native_database import NativeDatabase, NativeDatabaseError
from session_runner.whatsapp.parties import Party, party_from_texts

# What a restored copy must not be without: the device, the keys others were promised, who is who, and app state.
# Signal sessions are left out on purpose: they change with every message, and an unclean restore drops them anyway.
_FINGERPRINT = """
SELECT (SELECT group_concat(jid || ',' || ifnull(lid, '') || ',' || push_name || ',' || signed_pre_key_id, ';')
        FROM whatsmeow_device),
       (SELECT count(*) || ',' || ifnull(max(key_id), 0) || ',' || ifnull(sum(uploaded), 0) FROM whatsmeow_pre_keys),
       (SELECT count(*) FROM whatsmeow_identity_keys),
       (SELECT count(*) FROM whatsmeow_lid_map),
       (SELECT group_concat(name || version, ',') FROM (SELECT name, version FROM whatsmeow_app_state_version
                                                         ORDER BY jid, name)),
       (SELECT count(*) FROM whatsmeow_app_state_sync_keys)
"""


@dataclass(frozen=True, slots=True)
class Device:
    """The linked device a session file holds. ``jid`` and ``lid`` carry the device number."""

    jid: str
    lid: str | None

    @property
    def party(self) -> Party:
        """Return the device's own number."""
        return party_from_texts(self.jid, self.lid)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A consistent copy of a session file."""

    path: Path
    size: int
    sha256: str
    fingerprint: str


def device_of(path: Path) -> Device | None:
    """Return the device in a session file; None if there is no file, no schema, or the device was logged out."""
    if not path.exists():
        return None
    with NativeDatabase(path) as database:
        return _device(database)


def take_snapshot(path: Path, target: Path) -> Snapshot:
    """Copy a session file, which may be in use, into one file that is consistent by itself.

    Raises:
        HostError: ``not_paired`` - the device is gone (a log-out deletes it): no copy to replace a good one with;
            ``invalid_request`` - ``target`` exists.
        NativeDatabaseError: SQLite refused; nothing is left at ``target``.
    """
    if device_of(path) is None:
        raise HostError("not_paired", "the session file holds no device")
    if target.exists():
        raise HostError("invalid_request", "the target of a snapshot must not exist")
    try:
        with NativeDatabase(path) as database:
            database.query("VACUUM INTO ?", str(target))
        with NativeDatabase(target) as copy:
            # Of the copy, not of the original: the original may have changed since, even been logged out.
            fingerprint = _fingerprint(copy) if _device(copy) else None
        target.chmod(0o600)
        with target.open("rb") as file:
            os.fsync(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    if fingerprint is None:
        target.unlink()
        raise HostError("not_paired", "the device was logged out meanwhile")
    return Snapshot(target, target.stat().st_size, digest, fingerprint)


def checkpoint(path: Path) -> None:
    """Bring what the write-ahead log holds into the file itself; the library never closes its handles."""
    with NativeDatabase(path) as database:
        database.query("PRAGMA wal_checkpoint(TRUNCATE)")


class SessionStore:
    """A session's own file, kept open for questions. It is an ``AddressBook``."""

    def __init__(self, path: Path) -> None:
        self._database = NativeDatabase(path)

    def lid_of(self, phone_digits: str) -> str | None:
        """Return the digits of the LID that belongs to a phone number."""
        return self._one("SELECT lid FROM whatsmeow_lid_map WHERE pn = ?", phone_digits)

    def phone_of(self, lid_digits: str) -> str | None:
        """Return the digits of the phone number that belongs to a LID."""
        return self._one("SELECT pn FROM whatsmeow_lid_map WHERE lid = ?", lid_digits)

    def fingerprint(self) -> str:
        """Return a text that changes whenever a new snapshot is worth taking."""
        return _fingerprint(self._database)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _one(self, statement: str, parameter: str) -> str | None:
        rows = self._database.query(statement, parameter)
        return str(rows[0][0]) if rows else None


def _device(database: NativeDatabase) -> Device | None:
    if not database.query("SELECT 1 FROM sqlite_master WHERE name = 'whatsmeow_device'"):
        return None
    rows = database.query("SELECT jid, lid FROM whatsmeow_device")
    if len(rows) > 1:
        raise NativeDatabaseError("a session file holds one device")
    return Device(str(rows[0][0]), rows[0][1]) if rows else None


def _fingerprint(database: NativeDatabase) -> str:
    return hashlib.sha256(repr(database.query(_FINGERPRINT)).encode()).hexdigest()[:32]
