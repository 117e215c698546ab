"""Pairing: in a disposable host, because an unfinished pairing cannot be ended otherwise (neonize hangs in it).

Once the phone has linked the device, the number is claimed for the channel; only then are the credentials kept and
handed to an ordinary host. A number that belongs to somebody else is unlinked again, and nothing said of whose it is.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from recado.channels.model import ChannelState, UnexpectedNumberError
from recado.kernel.clock import from_text
from recado.kernel.errors import ChannelNotFoundError, NumberInUseError, ServiceUnavailableError
from session_runner.convergence import Phase
from session_runner.host_errors import HostError
from session_runner.incarnations import Incarnation

if TYPE_CHECKING:
    from session_runner.sessions import Session

CLAIM_SECONDS = 60.0
_STATES = {"timeout": ChannelState.DISCONNECTED, "client_outdated": ChannelState.OUTDATED}

P = ParamSpec("P")
T = TypeVar("T")


class Pairing:
    """Carries a session from a request to pair to stored credentials, or to a reported end.

    Args:
        session: the session; its actor calls everything here.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session

    async def begin(self) -> None:
        """Start what the channel's pairing request asks for."""
        session = self._session
        request = session.channel.pairing
        if request is None:
            raise RuntimeError("no pairing was requested")
        await session.around.blocking(session.credentials.fresh)
        session.snapshots.forget()
        seat = await session.around.pool.place_pairing(session.channel.channel_id)
        incarnation = session.settle_on(seat, Phase.PAIRING)
        session.view.pairing_requested_at = request.requested_at
        # The item says so since the request; that it has begun is a fact of its own, which webhooks tell.
        if session.view.reported is not ChannelState.PAIRING:
            await session.report(ChannelState.PAIRING, "")
        try:
            await incarnation.pair(session.credentials.database, request.method, request.phone)
        except HostError as error:
            session.around.logger.warning("pairing did not start", extra=session.fields(code=error.code))
            await self._ended(f"start_{error.code}")

    async def end(self) -> None:
        """Break off a pairing that is no longer wanted: its host is killed, nothing is kept."""
        session = self._session
        incarnation, session.incarnation = session.incarnation, None
        session.view.phase = Phase.ABSENT
        session.view.pairing_requested_at = None
        if incarnation is not None:
            session.around.pool.leave(session.channel.channel_id, incarnation.seat)
        await session.around.blocking(session.credentials.wipe)
        await self._hide_code()

    async def on_host_lost(self) -> None:
        """Pair again after a pause: the request still stands, the dead host's code does not."""
        session = self._session
        session.view.not_before = session.around.clock.monotonic() + session.around.backoff.least
        await self.end()

    async def on_notice(self, kind: str, notice: dict[str, Any], incarnation: Incarnation) -> None:
        """Take a notice of the disposable host."""
        if incarnation is not self._session.incarnation or self._session.view.phase is not Phase.PAIRING:
            return
        if kind == "pairing_code":
            await self._code(notice, incarnation)
        elif kind == "paired":
            await self._paired(notice, incarnation)
        elif kind == "pairing_ended":
            await self._ended(str(notice["reason"]))

    async def _code(self, notice: dict[str, Any], incarnation: Incarnation) -> None:
        session = self._session
        channel = session.channel
        await session.around.blocking(
            session.around.channels.put_pairing_code,
            channel.clinic_id,
            channel.channel_id,
            notice["method"],
            notice["code"],
            from_text(notice["expires_at"]),
        )
        await session.around.facts.qr_ready(channel, incarnation.id, notice["method"], notice["expires_at"])

    async def _hide_code(self) -> None:
        session = self._session
        channel = session.channel
        await session.around.blocking(
            session.around.channels.remove_pairing_code, channel.clinic_id, channel.channel_id
        )

    async def _paired(self, notice: dict[str, Any], incarnation: Incarnation) -> None:
        session = self._session
        channel = session.channel
        phone, lid = str(notice["phone"]), str(notice["lid"])
        try:
            await self._insist(session.around.channels.claim_number, channel.clinic_id, channel.channel_id, phone, lid)
        except NumberInUseError:
            await self._reject(incarnation, "number_in_use")
            return
        except UnexpectedNumberError:
            await self._reject(incarnation, "unexpected_number")
            return
        except (ServiceUnavailableError, ChannelNotFoundError) as error:
            session.around.logger.exception("the linked number could not be claimed", extra=session.fields())
            await self._reject(incarnation, error.code, ChannelState.FAILED)
            return
        session.view.paired = True
        session.credentials.paired()
        await incarnation.stop()
        await session.snapshots.save(incarnation, clean=False)
        await incarnation.leave()
        session.incarnation = None
        session.view.phase = Phase.ABSENT
        session.view.not_before = 0.0
        await self._hide_code()
        session.nudge()

    async def _reject(self, incarnation: Incarnation, reason: str, state: ChannelState = ChannelState.REJECTED) -> None:
        session = self._session
        session.around.logger.warning("pairing rejected", extra=session.fields(reason=reason))
        try:
            await incarnation.log_out()
        except HostError as error:
            session.around.logger.warning("the rejected device was not unlinked", extra=session.fields(code=error.code))
        await self.end()
        await session.give_up(state, reason)

    async def _ended(self, reason: str) -> None:
        session = self._session
        await self.end()
        state = _STATES.get(reason, ChannelState.FAILED)
        await session.give_up(state, "pairing_timed_out" if reason == "timeout" else f"pairing_{reason}")

    async def _insist(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        end = loop.time() + CLAIM_SECONDS
        while True:
            try:
                return await self._session.around.blocking(function, *args, **kwargs)
            except ServiceUnavailableError:
                if loop.time() >= end:
                    raise
                await asyncio.sleep(0.5)
