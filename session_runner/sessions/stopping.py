"""Stopping an incarnation, and making the end of a link known."""

from recado.channels.model import ChannelState, Desired
from session_runner.sessions.convergence import Phase
from session_runner.sessions.snapshots import Snapshots
from session_runner.sessions.standing import Standing


class Stopping:
    """Stops one session's incarnations.

    Args:
        standing: the session's standing; its actor calls everything here.
        snapshots: for the last one.
    """

    def __init__(self, standing: Standing, snapshots: Snapshots) -> None:
        self._standing = standing
        self._snapshots = snapshots

    async def end(self, reason: str, *, clean: bool = False, lost_by: str | None = None) -> None:
        """Stop the running incarnation, if there is one, and give its seat back.

        Args:
            reason: for the log.
            clean: write the final snapshot, marked as complete.
            lost_by: for the metrics, when it is to be connected again at once.
        """
        standing = self._standing
        incarnation, standing.incarnation = standing.incarnation, None
        phase, standing.view.phase = standing.view.phase, Phase.ABSENT
        standing.set_connected(connected=False, cause=lost_by)
        if incarnation is None:
            return
        standing.around.logger.info("session ends", extra=standing.fields(reason=reason))
        await incarnation.stop()
        if clean and phase is Phase.RUNNING and incarnation.seat.alive:
            await self._snapshots.save(incarnation, clean=True)
        await incarnation.leave()

    async def unlink(self, reason: str) -> None:
        """Make the end of the link known: tombstone, number given up, ``logged_out``."""
        standing = self._standing
        channel = standing.channel
        await standing.around.blocking(standing.credentials.bury)
        await standing.around.blocking(standing.around.channels.release_number, channel.clinic_id, channel.channel_id)
        standing.view.paired = False
        if channel.desired is Desired.CONNECTED:
            await standing.give_up(ChannelState.LOGGED_OUT, reason)
        else:
            await standing.report(ChannelState.LOGGED_OUT, reason)
