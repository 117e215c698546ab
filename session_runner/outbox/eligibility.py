"""Which row of an outbox goes next: replies first, then known contacts, then strangers, each chat in its own order."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from recado.contacts.model import Acquaintance, Contact
from recado.messages.model import OutboxRow

LOOK_AGAIN_AFTER = timedelta(minutes=10)
"""How often a held chat is looked at while nothing new comes for it: its recipient may have written meanwhile."""

CONTACT_GOOD_FOR = timedelta(seconds=60)

ReadContacts = Callable[[Collection[str]], Mapping[str, Contact]]


@dataclass(frozen=True, slots=True)
class _HeldChat:
    look_at: datetime
    last: int


class Holds:
    """The chats that the gate holds, remembered between passes so that each pass need not ask again."""

    def __init__(self) -> None:
        self._held: dict[str, _HeldChat] = {}

    def hold(self, chat: str, until: datetime, last: int, now: datetime) -> None:
        """Leave a chat alone until then, unless a row beyond ``last`` comes for it."""
        self._held[chat] = _HeldChat(min(until, now + LOOK_AGAIN_AFTER), last)

    def holds(self, chat: str, last: int, now: datetime) -> bool:
        """Say whether a chat, whose last row this is, is still to be left alone."""
        held = self._held.get(chat)
        return held is not None and last <= held.last and now < held.look_at

    def soonest(self, chats: Collection[str], now: datetime) -> float:
        """Return after how many seconds one of these chats has to be looked at again."""
        waits = [(self._held[chat].look_at - now).total_seconds() for chat in chats if chat in self._held]
        return max(min(waits), 0.1) if waits else float("inf")

    def keep_only(self, chats: Collection[str]) -> None:
        """Forget chats that have no rows any more."""
        self._held = {chat: held for chat, held in self._held.items() if chat in chats}


class Contacts:
    """What is known of the recipients, read for many at once and remembered for a minute."""

    def __init__(self, read: ReadContacts) -> None:
        self._read = read
        self._known: dict[str, tuple[Contact, datetime]] = {}

    def look_up(self, chats: Collection[str], now: datetime) -> None:
        """Read what is not known of these; blocks."""
        missing = [chat for chat in chats if self._fresh(chat, now) is None]
        if missing:
            self._known.update({chat: (contact, now) for chat, contact in self._read(missing).items()})

    def of(self, chat: str, now: datetime) -> Contact:
        """Return what is known of a recipient; blocks if that has to be read."""
        self.look_up([chat], now)
        return self._known[chat][0]

    def forget(self, chat: str) -> None:
        """Read it anew the next time: something has come for it."""
        self._known.pop(chat, None)

    def keep_only(self, chats: Collection[str]) -> None:
        """Forget chats that have no rows any more."""
        self._known = {chat: known for chat, known in self._known.items() if chat in chats}

    def _fresh(self, chat: str, now: datetime) -> Contact | None:
        contact, read_at = self._known.get(chat, (None, now))
        return contact if now - read_at < CONTACT_GOOD_FOR else None


class LineUp:
    """The rows of an outbox as they were read, by chat.

    Args:
        rows: all rows, in the order of their sequence.
    """

    def __init__(self, rows: Iterable[OutboxRow]) -> None:
        self._rows = {row.sequence: row for row in rows}
        self._mortal = {row.sequence: row for row in self._rows.values() if row.expires_at is not None}
        self._chats: dict[str, list[OutboxRow]] = defaultdict(list)
        for row in self._rows.values():
            self._chats[row.chat].append(row)
        self._passed_over: set[str] = set()

    @property
    def chats(self) -> Collection[str]:
        """The chats that have rows."""
        return self._chats.keys()

    def last(self, chat: str) -> int:
        """Return the sequence of a chat's last row."""
        return self._chats[chat][-1].sequence

    def expired(self, now: datetime) -> list[OutboxRow]:
        """Return the rows that outlived their time, wherever they stand: none of them is sent."""
        return [row for row in self._mortal.values() if row.is_expired(now)]

    def candidates(self, holds: Holds, now: datetime, last: int | None = None) -> Iterator[OutboxRow]:
        """Yield the first row of each chat that need not wait, in the order of their sequence.

        Args:
            holds: the chats that the gate holds.
            now: the moment.
            last: no row beyond this sequence; None for all.
        """
        seen = set(self._passed_over)
        for row in self._rows.values():
            if last is not None and row.sequence > last:
                return
            if row.chat in seen:
                continue
            seen.add(row.chat)
            if not holds.holds(row.chat, self.last(row.chat), now):
                yield row

    def next_of(self, candidates: Collection[OutboxRow], acquaintance: Callable[[str], Acquaintance]) -> OutboxRow:
        """Return the row that goes next.

        A chat counts as waiting for us if its recipient wrote lately or if any of its rows answers them.
        """

        def rank(row: OutboxRow) -> tuple[Acquaintance, int]:
            answers = any(other.answers for other in self._chats[row.chat])
            return Acquaintance.WAITING if answers else acquaintance(row.chat), row.sequence

        return min(candidates, key=rank)

    def remove(self, row: OutboxRow) -> None:
        """Take a row out that has come to its end."""
        del self._rows[row.sequence]
        self._mortal.pop(row.sequence, None)
        rows = self._chats[row.chat]
        rows.remove(row)
        if not rows:
            del self._chats[row.chat]

    def pass_over(self, chat: str) -> None:
        """Leave a chat alone for the rest of this pass."""
        self._passed_over.add(chat)
