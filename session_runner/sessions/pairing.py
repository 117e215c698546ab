"""Pairing: in a disposable host, because an unfinished pairing cannot be ended otherwise (neonize hangs in it).

Once the phone has linked the device, the number is claimed for the channel; only then are the credentials kept and
handed to an ordinary host. A number that belongs to somebody else is unlinked again, and nothing said of whose it is.
"""

import asyncio
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from recado.channels.model import ChannelState, UnexpectedNumberError
from recado.channels.proxies import ProxyNotAllowedError
from recado.kernel.clock import from_text
from recado.kernel.errors import ChannelNotFoundError, NumberInUseError, ServiceUnavailableError
from session_runner.hosts.errors import HostError
from session_runner.sessions.convergence import Phase
from session_runner.sessions.failure_policy import pairing_policy
from session_runner.sessions.incarnations import Incarnation
from session_runner.sessions.snapshots import Snapshots
from session_runner.sessions.standing import Standing

CLAIM_SECONDS = 60.0
MOST_HOSTS = 5  # that die under one request to pair

P = ParamSpec("P")
T = TypeVar("T")


class Pairing:
    """Carries a session from a request to pair to stored credentials, or to a reported end.

    Args:
        standing: the session's standing; its actor calls everything here.
        snapshots: keeps the credentials of a new link.
    """

    def __init__(self, standing: Standing, snapshots: Snapshots) -> None:
        self._standing = standing
        self._snapshots = snapshots
        self._lost_for = standing.view.pairing_requested_at
        self._lost = 0

    async def begin(self) -> None:
        """Start what the channel's pairing request asks for."""
        standing = self._standing
        request = standing.channel.pairing
        if request is None:
            raise RuntimeError("no pairing was requested")
        try:
            proxy = await standing.around.blocking(standing.around.channels.proxy_of, standing.channel)
        except (ProxyNotAllowedError, OSError):
            standing.view.pairing_requested_at = request.requested_at
            await self._ended("proxy_unreachable")
            return
        await standing.around.blocking(standing.credentials.fresh)
        self._snapshots.forget()
        seat = await standing.around.pool.place_pairing(standing.channel.channel_id)
        incarnation = standing.begin_incarnation(seat, Phase.PAIRING)
        standing.view.pairing_requested_at = request.requested_at
        # The item says so since the request; that it has begun is a fact of its own, which webhooks tell.
        if standing.view.reported is not ChannelState.PAIRING:
            await standing.report(ChannelState.PAIRING, "")
        try:
            await incarnation.pair(standing.credentials.database, request.method, request.phone, proxy)
        except HostError as error:
            standing.around.logger.warning("pairing did not start", extra=standing.fields(code=error.code))
            # That a host has died is told by the pool, and the pairing begun anew.
            if error.code != "host_gone":
                await self._ended(f"start_{error.code}")

    async def end(self) -> None:
        """Break off a pairing that is no longer wanted: its host is killed, nothing is kept."""
        standing = self._standing
        incarnation, standing.incarnation = standing.incarnation, None
        standing.view.phase = Phase.ABSENT
        standing.view.pairing_requested_at = None
        if incarnation is not None:
            standing.around.pool.leave(standing.channel.channel_id, incarnation.seat)
        await standing.around.blocking(standing.credentials.wipe)
        await self._hide_code()

    async def on_host_lost(self) -> None:
        """Pair again after a pause, not without end: the request still stands, the dead host's code does not."""
        standing = self._standing
        request = standing.view.pairing_requested_at
        if request != self._lost_for:
            self._lost_for, self._lost = request, 0
        self._lost += 1
        if self._lost >= MOST_HOSTS:
            await self._ended("host_lost")
            return
        standing.view.not_before = standing.around.clock.monotonic() + standing.around.backoff.least
        await self.end()

    async def on_notice(self, kind: str, notice: dict[str, Any], incarnation: Incarnation) -> None:
        """Take a notice of the disposable host."""
        if incarnation is not self._standing.incarnation or self._standing.view.phase is not Phase.PAIRING:
            return
        if kind == "pairing_code":
            await self._code(notice, incarnation)
        elif kind == "paired":
            await self._paired(notice, incarnation)
        elif kind == "pairing_ended":
            await self._ended(str(notice["reason"]))

    async def _code(self, notice: dict[str, Any], incarnation: Incarnation) -> None:
        standing = self._standing
        channel = standing.channel
        await standing.around.blocking(
            standing.around.channels.put_pairing_code,
            channel.clinic_id,
            channel.channel_id,
            notice["method"],
            notice["code"],
            from_text(notice["expires_at"]),
        )
        await standing.around.facts.qr_ready(channel, incarnation.id, notice["method"], notice["expires_at"])

    async def _hide_code(self) -> None:
        standing = self._standing
        channel = standing.channel
        await standing.around.blocking(
            standing.around.channels.remove_pairing_code, channel.clinic_id, channel.channel_id
        )

    async def _paired(self, notice: dict[str, Any], incarnation: Incarnation) -> None:
        standing = self._standing
        channel = standing.channel
        phone, lid = str(notice["phone"]), str(notice["lid"])
        try:
            await self._insist(standing.around.channels.claim_number, channel.clinic_id, channel.channel_id, phone, lid)
        except NumberInUseError:
            await self._reject(incarnation, "number_in_use")
            return
        except UnexpectedNumberError:
            await self._reject(incarnation, "unexpected_number")
            return
        except (ServiceUnavailableError, ChannelNotFoundError) as error:
            standing.around.logger.exception("the linked number could not be claimed", extra=standing.fields())
            await self._reject(incarnation, error.code, ChannelState.FAILED)
            return
        standing.view.paired = True
        standing.credentials.paired()
        await incarnation.stop()
        await self._snapshots.save(incarnation, clean=False)
        await incarnation.leave()
        standing.incarnation = None
        standing.view.phase = Phase.ABSENT
        standing.view.not_before = 0.0
        await self._hide_code()
        standing.nudge()

    async def _reject(self, incarnation: Incarnation, reason: str, state: ChannelState = ChannelState.REJECTED) -> None:
        standing = self._standing
        standing.around.logger.warning("pairing rejected", extra=standing.fields(reason=reason))
        try:
            await incarnation.log_out()
        except HostError as error:
            standing.around.logger.warning(
                "the rejected device was not unlinked", extra=standing.fields(code=error.code)
            )
        await self.end()
        await standing.give_up(state, reason)

    async def _ended(self, reason: str) -> None:
        standing = self._standing
        await self.end()
        policy, code = pairing_policy(reason)
        await standing.give_up(policy.state or ChannelState.FAILED, code)

    async def _insist(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        end = loop.time() + CLAIM_SECONDS
        while True:
            try:
                return await self._standing.around.blocking(function, *args, **kwargs)
            except ServiceUnavailableError:
                if loop.time() >= end:
                    raise
                await asyncio.sleep(0.5)
