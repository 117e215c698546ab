"""A session's credentials on this task's disk and in the vault: restored, claimed, saved, buried.

The live file belongs to the host that runs the session; nothing here opens it. Each channel has a private directory
(0700) that holds the live file alone, because SQLite keeps its write-ahead log beside it.
"""

import shutil
from enum import StrEnum
from pathlib import Path

from recado.kernel.errors import DataErasedError
from session_runner.vault.object import Kind
from session_runner.vault.vault import Stored, Vault
from session_runner.whatsapp.restore import prepare_unclean

_DIRECTORY_MODE = 0o700
_FILE_MODE = 0o600


class Found(StrEnum):
    """What there was to start a session with."""

    LIVE = "live"
    RESTORED = "restored"
    NOTHING = "nothing"


class Credentials:
    """The credentials of one channel; blocking, one call at a time.

    Args:
        root: the directory under which every channel has its own.
        vault: the vault, under our epoch.
        clinic_id: the clinic.
        channel_id: the channel.
    """

    def __init__(self, root: Path, vault: Vault, clinic_id: str, channel_id: str) -> None:
        self._directory = root / channel_id
        self._vault = vault
        self._clinic_id = clinic_id
        self._channel_id = channel_id
        self._stored: Stored | None = None
        self._known = False
        self._live = False

    @property
    def database(self) -> Path:
        """The live file."""
        return self._directory / "live" / "session.db"

    @property
    def unsaved(self) -> bool:
        """Whether the vault holds no snapshot of the present link."""
        return self._stored is None or self._stored.kind is Kind.TOMBSTONE

    def restore(self) -> Found:
        """Have the live file ready: the one this process used before, or else the vault's, claimed under our epoch.

        Raises:
            VaultDamagedError: the vault's object cannot be used.
            DataErasedError: the clinic's data key was erased.
            VaultFencedError: a newer owner has claimed it.
        """
        if self._live:
            if self._stored is not None and self._stored.clean:
                # The live file goes on from here, so the vault's copy is no longer all there is.
                self._stored = self._vault.claim(self._clinic_id, self._channel_id, self._stored)
            return Found.LIVE
        stored = self._read()
        if stored is None or stored.kind is Kind.TOMBSTONE:
            return Found.NOTHING
        claimed = self._vault.claim(self._clinic_id, self._channel_id, stored)
        # If anybody wrote between our read and our claim, be it the same snapshot, the session was or is in use: that
        # it ended cleanly is no longer known.
        clean = stored.clean and claimed.sequence == stored.sequence + 1
        self._stored = claimed
        if claimed.kind is Kind.TOMBSTONE:
            return Found.NOTHING
        self.fresh()
        _write(self.database, claimed.snapshot)
        if not clean:
            prepare_unclean(self.database)
        self._live = True
        return Found.RESTORED

    def fresh(self) -> None:
        """Have an empty private directory, for a pairing or a restored file."""
        self._live = False
        shutil.rmtree(self._directory, ignore_errors=True)
        for directory in (self._directory, self.database.parent):
            directory.mkdir(mode=_DIRECTORY_MODE, parents=True)

    def paired(self) -> None:
        """Take note that the live file holds a new link."""
        self._live = True

    def save(self, snapshot_path: Path, *, clean: bool) -> None:
        """Put a snapshot file into the vault and delete the file.

        Raises:
            VaultFencedError: a newer owner has written.
        """
        try:
            snapshot = snapshot_path.read_bytes()
        finally:
            snapshot_path.unlink(missing_ok=True)
        over = self._stored if self._known else self._read()
        self._stored = self._vault.save(self._clinic_id, self._channel_id, snapshot, over=over, clean=clean)

    def snapshot_path(self) -> Path:
        """Return where the host may write a snapshot."""
        return self._directory / "snapshot.db"

    def bury(self) -> None:
        """End the link: a tombstone in the vault, nothing on the disk. Nothing is written where nothing was stored.

        Raises:
            VaultFencedError: a newer owner has written.
        """
        try:
            over = self._stored if self._known else self._read()
            if over is not None and over.kind is not Kind.TOMBSTONE:
                self._stored = self._vault.bury(self._clinic_id, self._channel_id, over=over)
        except DataErasedError:
            # Nobody can read what the vault holds: it needs no tombstone, and none could be written.
            self._stored = None
        self.wipe()

    def wipe(self) -> None:
        """Remove the live file and its directory."""
        self._live = False
        shutil.rmtree(self._directory, ignore_errors=True)

    def _read(self) -> Stored | None:
        self._stored = self._vault.read(self._clinic_id, self._channel_id)
        self._known = True
        return self._stored


def _write(path: Path, snapshot: bytes) -> None:
    path.touch(mode=_FILE_MODE)
    path.write_bytes(snapshot)
