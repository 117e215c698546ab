"""The status ladder of a message: which step may follow which, and nothing else.

``queued → sending → sent → delivered → read`` is the good way; ``failed``, ``uncertain``, ``expired`` and
``suppressed`` are the others. An inbound message is ``received`` and stays so.
"""

from collections.abc import Mapping
from enum import StrEnum


class MessageStatus(StrEnum):
    """Where a message stands."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    UNCERTAIN = "uncertain"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    RECEIVED = "received"


# ``sending → queued`` only when the driver proved that nothing went out. ``uncertain`` is left by evidence (a late
# result, a receipt) or by the clinic's decision: to send again, or to call it failed. A read receipt may overtake the
# delivery receipt, or be the only one (WhatsApp sends no delivery receipt to a chat that is open), so ``sent → read``
# is a step of its own.
TRANSITIONS: Mapping[MessageStatus, frozenset[MessageStatus]] = {
    MessageStatus.QUEUED: frozenset(
        {MessageStatus.SENDING, MessageStatus.FAILED, MessageStatus.EXPIRED, MessageStatus.SUPPRESSED}
    ),
    MessageStatus.SENDING: frozenset(
        {MessageStatus.QUEUED, MessageStatus.SENT, MessageStatus.FAILED, MessageStatus.UNCERTAIN}
    ),
    MessageStatus.UNCERTAIN: frozenset(
        {
            MessageStatus.QUEUED,
            MessageStatus.FAILED,
            MessageStatus.SENT,
            MessageStatus.DELIVERED,
            MessageStatus.READ,
        }
    ),
    MessageStatus.SENT: frozenset({MessageStatus.DELIVERED, MessageStatus.READ}),
    MessageStatus.DELIVERED: frozenset({MessageStatus.READ}),
    MessageStatus.READ: frozenset(),
    MessageStatus.FAILED: frozenset(),
    MessageStatus.EXPIRED: frozenset(),
    MessageStatus.SUPPRESSED: frozenset(),
    MessageStatus.RECEIVED: frozenset(),
}

# What evidence may do besides to a message that was put back after it had been uncertain: the first try may turn out
# to have gone out before anybody begins the second, which then never happens.
PROVED: Mapping[MessageStatus, frozenset[MessageStatus]] = {MessageStatus.QUEUED: frozenset({MessageStatus.SENT})}

_UNSETTLED = frozenset({MessageStatus.QUEUED, MessageStatus.SENDING})


def may_follow(current: MessageStatus, following: MessageStatus, *, resent: bool = False) -> bool:
    """Say whether a message may go from ``current`` to ``following`` in one step.

    Args:
        current: where it stands.
        following: where it would stand then.
        resent: it was put back at least once after it had been uncertain, so that evidence of a former try may come.
    """
    return following in TRANSITIONS[current] or (resent and following in PROVED.get(current, ()))


def predecessors(status: MessageStatus) -> tuple[MessageStatus, ...]:
    """Return the statuses from which this one is reached in one step, in the order of the ladder."""
    return tuple(current for current in MessageStatus if status in TRANSITIONS[current])


def is_settled(status: MessageStatus) -> bool:
    """Say whether nothing is left for a sender to do: the outbox row of such a message may go."""
    return status not in _UNSETTLED
