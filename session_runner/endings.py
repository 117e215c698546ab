"""The ways a link ends on our side: logged out as asked, given up unconfirmed, the channel deleted."""

from typing import TYPE_CHECKING

from recado.channels.model import ChannelState
from session_runner.convergence import ENDING_SECONDS
from session_runner.host_errors import HostError

if TYPE_CHECKING:
    from session_runner.sessions import Session


class Endings:
    """Ends a session's link.

    Args:
        session: the session; its actor calls everything here.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session

    async def log_out(self) -> None:
        """Send what was accepted before the request, bounded in time, then unlink the device."""
        session = self._session
        incarnation = session.incarnation
        if incarnation is None:
            return
        last = session.channel.drain_sequence
        if last and not await session.sender.drained(last, ENDING_SECONDS):
            if session.closing:
                return
            session.around.logger.warning("logged out with messages left in the outbox", extra=session.fields())
        try:
            await incarnation.log_out()
        except HostError as error:
            session.around.logger.warning("the device was not unlinked", extra=session.fields(code=error.code))
            if not self._time_is_up():
                await session.end("logout_failed")
                session.view.not_before = session.around.clock.monotonic() + session.around.backoff.least
                return
            await self.forget()
            return
        await session.end("logged_out")
        await session.unlink("requested")

    async def forget(self) -> None:
        """Give the credentials up without WhatsApp's word: the device may stay listed on the phone until removed."""
        session = self._session
        await session.end("forgotten")
        await session.unlink("requested_unconfirmed")

    async def delete(self) -> None:
        """Remove what is left of the channel."""
        session = self._session
        channel = session.channel
        await session.sender.close()
        await session.sender.fail_all("channel_deleted")
        await session.around.blocking(session.credentials.bury)
        await session.around.blocking(session.around.channels.finish_delete, channel.clinic_id, channel.channel_id)
        await session.report(ChannelState.DELETED, "requested")
        session.gone()

    def _time_is_up(self) -> bool:
        session = self._session
        since = session.view.ending_since
        return since is not None and session.around.clock.monotonic() - since >= ENDING_SECONDS
