"""When credentials are put into the vault: paired, first connected, changed (at most once a minute), ended."""

from botocore.exceptions import BotoCoreError, ClientError

from recado.kernel.errors import DataErasedError, ServiceUnavailableError
from session_runner.hosts.errors import HostError
from session_runner.sessions.convergence import Phase
from session_runner.sessions.incarnations import Incarnation
from session_runner.sessions.standing import Standing
from session_runner.vault.object import VaultDamagedError
from session_runner.vault.vault import VaultBusyError

SAVE_GAP_SECONDS = 60.0
_NOT_SAVED = (
    ClientError,
    BotoCoreError,
    VaultBusyError,
    VaultDamagedError,
    DataErasedError,
    ServiceUnavailableError,
)


class Snapshots:
    """Saves a session's credentials.

    Args:
        standing: the session's standing; its actor does the saving.
    """

    def __init__(self, standing: Standing) -> None:
        self._standing = standing
        self._saved_at: float | None = None
        self._fingerprint: str | None = None

    def notice(self, fingerprint: str | None) -> None:
        """Take note of what the credentials looked like a moment ago; changed ones are saved when it is time."""
        if fingerprint is not None and fingerprint != self._fingerprint:
            self._standing.post(self.save_if_due)

    def forget(self) -> None:
        """The file was restored or made anew: nothing of it is saved under our epoch yet."""
        self._saved_at = None
        self._fingerprint = None

    async def save_first(self) -> None:
        """Save unless this file has been saved before."""
        if self._saved_at is None:
            await self._save_running()

    async def save_if_due(self) -> None:
        """Save unless that was done a moment ago."""
        now = self._standing.around.clock.monotonic()
        if self._saved_at is None or now - self._saved_at >= SAVE_GAP_SECONDS:
            await self._save_running()

    async def save(self, incarnation: Incarnation, *, clean: bool) -> None:
        """Put a snapshot into the vault. When that fails, the live file goes on and the next occasion tries again.

        Raises:
            VaultFencedError: a newer owner has written.
        """
        standing = self._standing
        path = standing.credentials.snapshot_path()
        try:
            fingerprint = await incarnation.snapshot(path)
            await standing.around.blocking(standing.credentials.save, path, clean=clean)
        except HostError as error:
            standing.around.logger.warning("no snapshot was taken", extra=standing.fields(code=error.code))
        except _NOT_SAVED:
            standing.around.logger.exception("a snapshot was not saved", extra=standing.fields())
        else:
            self._saved_at = standing.around.clock.monotonic()
            self._fingerprint = fingerprint

    async def _save_running(self) -> None:
        standing = self._standing
        running = standing.incarnation if standing.view.phase is Phase.RUNNING else None
        if running is not None and standing.around.lease_held():
            await self.save(running, clean=False)
