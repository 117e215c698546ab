"""Starting a stored session: credentials first, then a seat on a host; what becomes of it comes as notices."""

import asyncio
from functools import partial

from recado.channels.model import ChannelState
from recado.channels.proxies import ProxyNotAllowedError
from recado.kernel.errors import DataErasedError, ServiceUnavailableError
from session_runner.hosts.errors import HostError
from session_runner.sessions.convergence import Phase
from session_runner.sessions.failure_policy import POLICIES, Event
from session_runner.sessions.fates import Fates
from session_runner.sessions.incarnations import Incarnation
from session_runner.sessions.reconnect import Fate
from session_runner.sessions.snapshots import Snapshots
from session_runner.sessions.standing import Standing
from session_runner.sessions.stopping import Stopping
from session_runner.vault.credentials import Found
from session_runner.vault.object import VaultDamagedError


class Starting:
    """Starts a session.

    Args:
        standing: the session's standing; its actor calls everything here.
        stopping: ends a link whose credentials are gone.
        snapshots: forgets what it knew of another file.
        fates: meets what goes wrong.
    """

    def __init__(self, standing: Standing, stopping: Stopping, snapshots: Snapshots, fates: Fates) -> None:
        self._standing = standing
        self._stopping = stopping
        self._snapshots = snapshots
        self._fates = fates
        self._asking: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Have credentials and proxy ready, take a seat and ask the host; its answer is not waited for here.

        Raises:
            VaultFencedError: a newer owner has claimed the credentials.
        """
        standing = self._standing
        found = await self._restored()
        if found is None:
            return
        if found is Found.RESTORED:
            self._snapshots.forget()
        if standing.view.reported is not ChannelState.CONNECTING:
            await standing.report(ChannelState.CONNECTING, "")
        await standing.around.start_line.pass_through(urgent=await self._has_queued_messages())
        if standing.closing:
            return
        try:
            # Resolved and judged anew for each start: what a name leads to may have changed.
            proxy = await standing.around.blocking(standing.around.channels.proxy_of, standing.channel)
        except ProxyNotAllowedError:
            await self._fates.judge(Fate.PROXY_NOT_ALLOWED, {})
            return
        except OSError:
            await self._fates.judge(Fate.PUMP_ENDED, {"reason": Event.PROXY_UNREACHABLE.value})
            return
        seat = await standing.around.pool.place(standing.channel.channel_id)
        self._asking = asyncio.create_task(self._ask(standing.begin_incarnation(seat, Phase.RUNNING), proxy))

    async def _restored(self) -> Found | None:
        standing = self._standing
        try:
            found = await standing.around.blocking(standing.credentials.restore)
        except VaultDamagedError as error:
            standing.around.logger.exception(
                "the vault's object cannot be used", extra=standing.fields(cause=str(error))
            )
            policy = POLICIES[Event.VAULT_DAMAGED]
            await standing.give_up(policy.state or ChannelState.FAILED, policy.reason)
            return None
        except DataErasedError:
            await self._stopping.unlink(POLICIES[Event.DATA_ERASED].reason)
            return None
        if found is Found.NOTHING:
            await self._stopping.unlink(POLICIES[Event.CREDENTIALS_LOST].reason)
            return None
        return found

    async def _has_queued_messages(self) -> bool:
        standing = self._standing
        if not standing.around.start_line.busy:
            return False  # nobody to go before
        channel = standing.channel
        rows = standing.around.messages.outbox_rows
        try:
            return bool(await standing.around.blocking(rows, channel.clinic_id, channel.channel_id, 1))
        except ServiceUnavailableError:
            return False

    async def _ask(self, incarnation: Incarnation, proxy: str | None) -> None:
        standing = self._standing
        try:
            await incarnation.start(standing.credentials.database, proxy)
        except HostError as error:
            if error.code != "host_gone" and incarnation.seat.alive:
                standing.around.logger.warning("session did not start", extra=standing.fields(code=error.code))
                standing.post(partial(self._failed, error.code, incarnation))

    async def _failed(self, code: str, incarnation: Incarnation) -> None:
        if incarnation is not self._standing.incarnation:
            return
        if code == "not_paired":
            reason = POLICIES[Event.CREDENTIALS_LOST].reason
            await self._stopping.end(reason)
            await self._stopping.unlink(reason)
        else:
            await self._fates.meet(Fate.START_FAILED, {"reason": f"start_{code}"}, incarnation)
