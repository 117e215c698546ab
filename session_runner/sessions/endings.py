"""The ways a link ends on our side: logged out as asked, given up unconfirmed, the channel deleted."""

from collections.abc import Callable

from recado.channels.model import ChannelState
from session_runner.hosts.errors import HostError
from session_runner.outbox.sender import Sender
from session_runner.sessions.convergence import ENDING_SECONDS
from session_runner.sessions.standing import Standing
from session_runner.sessions.stopping import Stopping


class Endings:
    """Ends a session's link.

    Args:
        standing: the session's standing; its actor calls everything here.
        stopping: stops the incarnation first.
        sender: what was accepted before is still sent.
        gone: called when the channel exists no more.
    """

    def __init__(self, standing: Standing, stopping: Stopping, sender: Sender, gone: Callable[[], None]) -> None:
        self._standing = standing
        self._stopping = stopping
        self._sender = sender
        self._gone = gone

    async def log_out(self) -> None:
        """Send what was accepted before the request, bounded in time, then unlink the device."""
        standing = self._standing
        incarnation = standing.incarnation
        if incarnation is None:
            return
        last = standing.channel.drain_sequence
        if last and not await self._sender.drained(last, ENDING_SECONDS):
            if standing.closing:
                return
            standing.around.logger.warning("logged out with messages left in the outbox", extra=standing.fields())
        try:
            await incarnation.log_out()
        except HostError as error:
            standing.around.logger.warning("the device was not unlinked", extra=standing.fields(code=error.code))
            if not self._time_is_up():
                await self._stopping.end("logout_failed")
                standing.view.not_before = standing.around.clock.monotonic() + standing.around.backoff.least
                return
            await self.forget()
            return
        await self._stopping.end("logged_out")
        await self._stopping.unlink("requested")

    async def forget(self) -> None:
        """Give the credentials up without WhatsApp's word: the device may stay listed on the phone until removed."""
        await self._stopping.end("forgotten")
        await self._stopping.unlink("requested_unconfirmed")

    async def delete(self) -> None:
        """Remove what is left of the channel."""
        standing = self._standing
        channel = standing.channel
        await self._sender.close()
        await self._sender.fail_all("channel_deleted")
        await standing.around.blocking(standing.credentials.bury)
        await standing.around.blocking(standing.around.channels.finish_delete, channel.clinic_id, channel.channel_id)
        await standing.report(ChannelState.DELETED, "requested")
        self._gone()

    def _time_is_up(self) -> bool:
        standing = self._standing
        since = standing.view.ending_since
        return since is not None and standing.around.clock.monotonic() - since >= ENDING_SECONDS
