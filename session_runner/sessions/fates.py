"""Following the rules: what happened to a session is ruled on, reported, and acted upon."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from recado.channels.model import ChannelState
from session_runner.sessions.convergence import Phase
from session_runner.sessions.incarnations import Incarnation
from session_runner.sessions.reconnect import Fate, History, Ruling, rule
from session_runner.sessions.snapshots import Snapshots
from session_runner.sessions.standing import Standing
from session_runner.sessions.stopping import Stopping


@dataclass(slots=True)
class Fates:
    """Meets one session's fates; its actor calls everything here.

    Args:
        standing: the session's standing.
        stopping: stops an incarnation that is over.
        snapshots: saves what is connected for the first time.
    """

    standing: Standing
    stopping: Stopping
    snapshots: Snapshots
    history: History = field(default_factory=History)

    def forget_attempts(self) -> None:
        """Somebody has asked anew: nothing has been tried for them yet."""
        self.history = self.history.anew()
        self.standing.view.not_before = 0.0

    async def meet(self, fate: Fate, detail: dict[str, Any], incarnation: Incarnation) -> None:
        """Rule on what has happened to an incarnation, and follow the ruling; an earlier one's fate is passed over."""
        standing = self.standing
        if incarnation is standing.incarnation and standing.view.phase is Phase.RUNNING:
            await self.judge(fate, detail)

    async def judge(self, fate: Fate, detail: dict[str, Any]) -> None:
        """Rule on what has happened to the session, and follow the ruling."""
        standing = self.standing
        around = standing.around
        ruling, self.history = rule(
            fate,
            detail,
            self.history,
            now=around.clock.monotonic(),
            ours=around.lease_held(),
            backoff=around.backoff,
            fraction=around.chance.random(),
            most_attempts=around.connect_attempts,
        )
        if fate is not Fate.CONNECTED:
            standing.count_error(fate.value)
        if ruling.gives_up or ruling.banned_for is not None:
            standing.uptime.written_off()
        await self._follow(ruling)
        if fate is Fate.CONNECTED:
            await standing.put_liveness(around.clock.now())
            await self.snapshots.save_first()
        else:
            await standing.put_liveness(None)

    async def _follow(self, ruling: Ruling) -> None:
        standing = self.standing
        view, now = standing.view, standing.around.clock.now()
        retry_at = None
        if ruling.banned_for is not None:
            view.banned_until = now + timedelta(seconds=ruling.banned_for)
        if ruling.retry_after is not None:
            view.not_before = standing.around.clock.monotonic() + ruling.retry_after
            retry_at = now + timedelta(seconds=ruling.retry_after)
        if ruling.forgets:
            await self.stopping.end(ruling.reason)
            await self.stopping.unlink(ruling.reason)
            return
        if ruling.gives_up:
            view.gave_up_version = standing.channel.desired_version
        if ruling.state is view.reported is ChannelState.CONNECTED:
            return
        version = standing.channel.desired_version if ruling.clears_desired else None
        await standing.report(ruling.state, ruling.reason, desired_version=version, retry_at=retry_at)
        if ruling.stop:
            await self.stopping.end(ruling.reason)
