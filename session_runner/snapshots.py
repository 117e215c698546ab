"""When credentials are put into the vault: paired, first connected, changed (at most once a minute), ended."""

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from recado.kernel.errors import DataErasedError, ServiceUnavailableError
from session_runner.convergence import Phase
from session_runner.host_errors import HostError
from session_runner.incarnations import Incarnation
from session_runner.vault import VaultBusyError
from session_runner.vault_object import VaultDamagedError

if TYPE_CHECKING:
    from session_runner.sessions import Session

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
        session: the session; its actor does the saving.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._saved_at: float | None = None
        self._fingerprint: str | None = None

    def notice(self, fingerprint: str | None) -> None:
        """Take note of what the credentials looked like a moment ago; changed ones are saved when it is time."""
        if fingerprint is not None and fingerprint != self._fingerprint:
            self._session.post(self.save_if_due)

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
        now = self._session.around.clock.monotonic()
        if self._saved_at is None or now - self._saved_at >= SAVE_GAP_SECONDS:
            await self._save_running()

    async def save(self, incarnation: Incarnation, *, clean: bool) -> None:
        """Put a snapshot into the vault. When that fails, the live file goes on and the next occasion tries again.

        Raises:
            VaultFencedError: a newer owner has written.
        """
        session = self._session
        path = session.credentials.snapshot_path()
        try:
            fingerprint = await incarnation.snapshot(path)
            await session.around.blocking(session.credentials.save, path, clean=clean)
        except HostError as error:
            session.around.logger.warning("no snapshot was taken", extra=session.fields(code=error.code))
        except _NOT_SAVED:
            session.around.logger.exception("a snapshot was not saved", extra=session.fields())
        else:
            self._saved_at = session.around.clock.monotonic()
            self._fingerprint = fingerprint

    async def _save_running(self) -> None:
        session = self._session
        running = session.incarnation if session.view.phase is Phase.RUNNING else None
        if running is not None and session.around.lease_held():
            await self.save(running, clean=False)
