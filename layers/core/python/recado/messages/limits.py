"""How fast, how many and to whom a channel may send. Pure: no clock and no chance inside.

Why there are limits at all, and where the figures come from, is in ``docs/ban-risk.md``.
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from recado.contacts.model import Acquaintance, Contact

HOUR_SECONDS = 3600.0
LOCKED_FOR = timedelta(hours=24)
"""How long no stranger is written to after WhatsApp's error 463; its own end of the lock is not told to this client."""

REACHOUT_LOCK = "463"
"""WhatsApp's error for "this account may start no new chats for now"; the message provably did not go out."""

LONG_TEXT_CHARACTERS = 200

HELD_BY_LOCK = "reachout_locked"
HELD_BY_BUDGET = "cold_budget"
HELD_BY_HOUR = "hourly_limit"


@dataclass(frozen=True, slots=True)
class SendLimits:
    """The limits of every channel of an installation; the defaults are for the real network.

    Attributes:
        gap: least and most seconds between two sends of a channel, drawn anew for each.
        per_hour: most sends of a channel in any sixty minutes; None for no limit.
        cold_per_day: pairs of (days since pairing, strangers who may be written to in a day from then on), rising;
            empty for no limit.
        typing: least and most seconds for which typing is shown before a text; the longer the text, the longer.
    """

    gap: tuple[float, float] = (3.0, 8.0)
    per_hour: int | None = 200
    cold_per_day: tuple[tuple[int, int], ...] = ((0, 5), (7, 10), (14, 20))
    typing: tuple[float, float] = (1.0, 4.0)

    @property
    def are_none(self) -> bool:
        """Whether nothing ever waits, so that the order of sending is that of acceptance."""
        return self.gap[1] == 0 and self.per_hour is None and not self.cold_per_day and self.typing[1] == 0

    def cold_budget(self, paired_at: datetime | None, now: datetime) -> int | None:
        """Return how many strangers a channel may write to on this day, None for any number.

        Args:
            paired_at: when the channel was linked; a channel of which that is not known counts as new.
            now: the moment.
        """
        if not self.cold_per_day:
            return None
        age = (now - paired_at).days if paired_at else 0
        place = bisect_right([days for days, _ in self.cold_per_day], max(age, 0))
        return self.cold_per_day[place - 1][1] if place else 0

    def typing_seconds(self, text: str, fraction: float) -> float:
        """Return for how long typing is shown before a text; ``fraction`` in [0, 1] is the jitter."""
        least, most = self.typing
        share = min(len(text) / LONG_TEXT_CHARACTERS, 1.0)
        return least + (most - least) * share * (0.75 + 0.25 * fraction)


UNLIMITED = SendLimits(gap=(0.0, 0.0), per_hour=None, cold_per_day=(), typing=(0.0, 0.0))


@dataclass(slots=True)
class Pace:
    """When a channel may send next: a bucket that holds one token and gets the next after a drawn time.

    It lives in memory: after a restart the first message waits for nothing, and the hour counts anew.
    """

    limits: SendLimits
    _next: float = float("-inf")
    _sent: deque[float] = field(default_factory=deque)

    def note(self, now: float, fraction: float) -> None:
        """Note that something was handed over at ``now`` (monotonic seconds); ``fraction`` in [0, 1] is the jitter."""
        least, most = self.limits.gap
        self._next = now + least + (most - least) * fraction
        if self.limits.per_hour is not None:
            self._sent.append(now)

    def gap_left(self, now: float) -> float:
        """Return for how many seconds the next send still keeps its distance from the last."""
        return max(self._next - now, 0.0)

    def hour_left(self, now: float) -> float:
        """Return for how many seconds the hour's limit still forbids a send."""
        limit = self.limits.per_hour
        if limit is None:
            return 0.0
        while self._sent and self._sent[0] <= now - HOUR_SECONDS:
            self._sent.popleft()
        return self._sent[-limit] + HOUR_SECONDS - now if len(self._sent) >= limit else 0.0


def is_cold(contact: Contact, now: datetime, *, answers: bool) -> bool:
    """Say whether a message goes to somebody who never had to do with the clinic's number.

    Args:
        contact: the recipient.
        now: the moment.
        answers: the message quotes one of theirs.
    """
    return not answers and contact.acquaintance(now) is Acquaintance.STRANGER


def day_of(now: datetime) -> str:
    """Return the name of the day (UTC) a budget is for."""
    return f"{now:%Y%m%d}"


def next_day(now: datetime) -> datetime:
    """Return when the next budget begins."""
    return (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
