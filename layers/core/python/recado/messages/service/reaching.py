"""The gate that protects a number: no more strangers a day than its age allows, and none while WhatsApp forbids them.

Both are kept in DynamoDB, because a task may end at any moment and the next one must not begin to count anew. Each is
read once by a process and then remembered: the shard's lease makes it the only one that writes them.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pynamodb.expressions.condition import size

from recado.aws.models import ConditionFailedError
from recado.kernel.clock import Clock, SystemClock
from recado.messages.gate import Approach, Verdict
from recado.messages.limits import (
    HELD_BY_BUDGET,
    HELD_BY_LOCK,
    LOCKED_FOR,
    REACHOUT_LOCK,
    SendLimits,
    day_of,
    is_cold,
    next_day,
)
from recado.messages.model import Message
from recado.messages.service.accepting import to_the_millisecond
from recado.messages.table import ColdCountItem, SendLockItem, channel_partition, epoch_seconds

COUNT_KEPT = timedelta(days=2)
_ALLOWED = Verdict(allowed=True)


@dataclass(slots=True)
class _Known:
    """What this process has read or written of one channel."""

    locked_until: datetime | None = None
    day: str = ""
    counted: set[str] = field(default_factory=set)
    spent: int | None = None
    """The budget that was found to be spent on that day."""


class ReachGate:
    """Holds messages to strangers back; whoever has written is answered at any time.

    Args:
        limits: the daily budget of strangers by a channel's age.
        clock: the time.
    """

    def __init__(self, limits: SendLimits, clock: Clock | None = None) -> None:
        self._limits = limits
        self._clock = clock or SystemClock()
        self._channels: dict[tuple[str, str], _Known] = {}

    def may_send(self, message: Message, approach: Approach) -> Verdict:
        """Return whether a message may be sent now.

        A stranger who may be written to is counted here, once a day however many messages they get, and stays counted
        if the message then fails.

        Raises:
            ServiceUnavailableError: the store does not answer; nothing may be sent to a stranger then.
        """
        now = self._clock.now()
        own = self._own_lock(message, approach, now)
        if own is not None:
            return own
        known = self._known(message)
        budget = self._limits.cold_budget(approach.paired_at, now)
        locked = known.locked_until is not None and known.locked_until > now
        if not locked and budget is None:
            return _ALLOWED
        if not is_cold(approach.contact(), now, answers=approach.answers):
            return _ALLOWED
        if locked:
            return Verdict(allowed=False, reason=HELD_BY_LOCK, not_before=known.locked_until)
        if budget is None or self._count(message, approach.chat, budget, known, now):
            return _ALLOWED
        return Verdict(allowed=False, reason=HELD_BY_BUDGET, not_before=next_day(now))

    def after_refusal(self, message: Message, code: str) -> Verdict | None:
        """Take note of error 463: strangers wait for 24 hours from now, and so does this message, whoever it is for.

        Raises:
            ServiceUnavailableError: the store does not answer.
        """
        if code != REACHOUT_LOCK:
            return None
        now = to_the_millisecond(self._clock.now())
        until = now + LOCKED_FOR
        SendLockItem(
            pk=channel_partition(message.clinic_id, message.channel_id),
            sk=SendLockItem.sort_key,
            not_before=until,
            expires_at=epoch_seconds(until),
        ).store()
        self._known(message).locked_until = until
        return Verdict(allowed=False, reason=HELD_BY_LOCK, not_before=until)

    def _own_lock(self, message: Message, approach: Approach, now: datetime) -> Verdict | None:
        """Keep to the end of the lock that this very message met, unless there was a sign of its recipient since."""
        until = message.not_before
        if message.held_reason != HELD_BY_LOCK or until is None or until <= now:
            return None
        if approach.contact().heard_of_since(until - LOCKED_FOR):
            return None
        return Verdict(allowed=False, reason=HELD_BY_LOCK, not_before=until)

    def _known(self, message: Message) -> _Known:
        key = (message.clinic_id, message.channel_id)
        if key not in self._channels:
            lock = SendLockItem.find(channel_partition(*key), SendLockItem.sort_key, now=self._clock.now())
            self._channels[key] = _Known(lock.not_before if lock else None)
        return self._channels[key]

    def _count(self, message: Message, chat: str, budget: int, known: _Known, now: datetime) -> bool:
        """Count a stranger for today; say whether the budget had room or they are counted already."""
        day, name = day_of(now), hashlib.sha256(chat.encode()).hexdigest()[:16]
        if known.day != day:
            known.day, known.counted, known.spent = day, set(), None
        if name in known.counted:
            return True
        if known.spent == budget or budget <= 0:
            return False
        item = ColdCountItem(
            pk=channel_partition(message.clinic_id, message.channel_id), sk=f"{ColdCountItem.prefix}{day}"
        )
        room = ColdCountItem.chats.does_not_exist() | (size("chats") < budget)  # type: ignore[no-untyped-call]
        try:
            item.change(
                [
                    ColdCountItem.chats.add({name}),
                    ColdCountItem.expires_at.set(epoch_seconds(next_day(now) + COUNT_KEPT)),
                ],
                room & ~ColdCountItem.chats.contains(name),
            )
        except ConditionFailedError:
            stored = ColdCountItem.find(item.pk, item.sk, now=now)
            known.counted = set(stored.chats or ()) if stored else set()
            if name not in known.counted:
                known.spent = budget
            return name in known.counted
        known.counted = set(item.chats or ())
        return True
