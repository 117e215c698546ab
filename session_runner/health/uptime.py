"""How long connections last and how long it takes to get one back. Pure: moments in, durations out."""

from dataclasses import dataclass


@dataclass(slots=True)
class Uptime:
    """One session's connections; moments are monotonic seconds.

    Attributes:
        connected_at: since when it is connected; None when it is not.
        lost_at: since when it is to be connected again; None when nobody waits for that.
        cause: how the connection was lost, a short word from a closed set.
    """

    connected_at: float | None = None
    lost_at: float | None = None
    cause: str = ""

    def wanted(self, now: float, cause: str) -> None:
        """A connection is wanted from now on that this process has not lost itself."""
        self.lost_at, self.cause = now, cause

    def connected(self, now: float) -> tuple[float, str] | None:
        """It is connected; return the seconds since the loss and its cause when this is a recovery."""
        if self.connected_at is not None:
            return None
        self.connected_at = now
        lost_at, self.lost_at = self.lost_at, None
        return None if lost_at is None else (now - lost_at, self.cause)

    def disconnected(self, now: float, cause: str | None) -> float | None:
        """It is not connected; return the connection's seconds when it was.

        Args:
            now: the moment.
            cause: how it was lost; None when it was ended on purpose and nobody waits for it to come back.
        """
        connected_at, self.connected_at = self.connected_at, None
        if connected_at is None:
            return None
        if cause is not None:
            self.wanted(now, cause)
        return now - connected_at

    def written_off(self) -> None:
        """Nobody waits for the connection any more: what comes later is not a recovery."""
        self.lost_at = None
