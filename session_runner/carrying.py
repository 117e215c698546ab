"""The channels of the shard and the session that carries each: found, read again, told what happens, ended."""

import asyncio
from collections.abc import Callable
from typing import Any

from recado.channels.model import Channel, ChannelState, Desired
from recado.kernel.errors import ChannelNotFoundError, ServiceUnavailableError
from session_runner.hosts.pool import Seat
from session_runner.ports import Surroundings
from session_runner.sessions.session import Session

AGAIN_SECONDS = 1.0


class Carrying:
    """Carries every channel of the shard.

    Args:
        around: what the sessions share; asked for when the first of them is made.
    """

    def __init__(self, around: Callable[[], Surroundings]) -> None:
        self._surroundings = around
        self._closing = False
        self.sessions: dict[str, Session] = {}

    @property
    def _around(self) -> Surroundings:
        return self._surroundings()

    @property
    def states(self) -> list[ChannelState]:
        """The channels' states."""
        return [session.state for session in self.sessions.values()]

    @property
    def wanted_states(self) -> list[ChannelState]:
        """The states of the channels that are linked to a phone and meant to be connected."""
        return [
            session.state
            for session in self.sessions.values()
            if session.channel.desired is Desired.CONNECTED and session.channel.paired_at is not None
        ]

    async def begin(self) -> None:
        """Read the shard's channels, for as long as it takes until they can be read, and carry each."""
        while not self._closing:
            try:
                await self._read()
            except ServiceUnavailableError:
                self._around.logger.warning("the shard's channels could not be read, trying again")
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return

    async def reread(self) -> None:
        """Read the channels again and again: a command may get lost, what is desired does not."""
        while True:
            await asyncio.sleep(self._around.reread_seconds)
            try:
                await self._read()
            except Exception:
                self._around.logger.exception("the shard's channels could not be read again")

    async def find(self, clinic_id: str, channel_id: str) -> Session | None:
        """Return the session of a clinic's channel on this shard, None if there is no such channel."""
        around = self._around
        if channel_id not in self.sessions:
            try:
                channel = await around.blocking(around.channels.get, clinic_id, channel_id)
            except ChannelNotFoundError:
                return None
            if channel.shard_id != around.shard_id:
                return None
            if channel_id not in self.sessions:
                self._carry(channel)
        session = self.sessions.get(channel_id)
        return session if session and session.channel.clinic_id == clinic_id else None

    async def end(self, seconds: float) -> None:
        """End every session in order, each within so many seconds."""
        self._closing = True
        sessions = list(self.sessions.values())
        results = await asyncio.gather(*(session.shut_down(seconds) for session in sessions), return_exceptions=True)
        for session, result in zip(sessions, results, strict=True):
            if isinstance(result, BaseException):
                self._around.logger.error(
                    "session not ended cleanly", extra=session.fields(cause=type(result).__name__), exc_info=result
                )

    def on_notice(self, notice: dict[str, Any]) -> None:
        """Hand a host's notice to the session that it is about."""
        if session := self.sessions.get(str(notice.get("channel_id"))):
            session.on_notice(notice)

    def on_lost(self, channel_id: str, seat: Seat) -> None:
        """Tell a session that its host is gone."""
        if session := self.sessions.get(channel_id):
            session.on_host_lost(seat)

    async def _read(self) -> None:
        around = self._around
        for channel in await around.blocking(around.channels.list_for_shard, around.shard_id):
            if channel.channel_id in self.sessions:
                self.sessions[channel.channel_id].nudge()
            else:
                self._carry(channel)

    def _carry(self, channel: Channel) -> None:
        if not self._closing:
            session = self.sessions[channel.channel_id] = Session(channel, self._around, self._let_go)
            session.begin()
            session.nudge()

    def _let_go(self, channel_id: str) -> None:
        self.sessions.pop(channel_id, None)
