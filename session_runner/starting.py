"""Starting a stored session: credentials first, then a seat on a host; what becomes of it comes as notices."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from recado.channels.model import ChannelState
from recado.kernel.errors import DataErasedError
from session_runner.convergence import Phase
from session_runner.credentials import Found
from session_runner.host_errors import HostError
from session_runner.incarnations import Incarnation
from session_runner.reconnect import Fate
from session_runner.vault_object import VaultDamagedError

if TYPE_CHECKING:
    from session_runner.sessions import Session


class Starting:
    """Starts a session.

    Args:
        session: the session; its actor calls everything here.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._asking: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Have the credentials ready, take a seat and ask the host; its answer is not waited for here.

        Raises:
            VaultFencedError: a newer owner has claimed the credentials.
        """
        session = self._session
        try:
            found = await session.around.blocking(session.credentials.restore)
        except VaultDamagedError as error:
            session.around.logger.exception("the vault's object cannot be used", extra=session.fields(cause=str(error)))
            await session.give_up(ChannelState.FAILED, "vault_damaged")
            return
        except DataErasedError:
            await session.unlink("data_erased")
            return
        if found is Found.NOTHING:
            await session.unlink("credentials_lost")
            return
        if found is Found.RESTORED:
            session.snapshots.forget()
        if session.view.reported is not ChannelState.CONNECTING:
            await session.report(ChannelState.CONNECTING, "")
        await session.around.start_pacer.pass_through()
        if session.closing:
            return
        seat = await session.around.pool.place(session.channel.channel_id)
        self._asking = asyncio.create_task(self._ask(session.settle_on(seat, Phase.RUNNING)))

    async def _ask(self, incarnation: Incarnation) -> None:
        session = self._session
        try:
            await incarnation.start(session.credentials.database)
        except HostError as error:
            if error.code != "host_gone" and incarnation.seat.alive:
                session.around.logger.warning("session did not start", extra=session.fields(code=error.code))
                session.post(partial(self._failed, error.code, incarnation))

    async def _failed(self, code: str, incarnation: Incarnation) -> None:
        session = self._session
        if incarnation is not session.incarnation:
            return
        if code == "not_paired":
            await session.end("credentials_lost")
            await session.unlink("credentials_lost")
        else:
            await session.meet(Fate.START_FAILED, {"reason": f"start_{code}"}, incarnation)
