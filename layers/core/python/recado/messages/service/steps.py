"""What every step up the ladder writes, whoever takes it."""

from datetime import datetime

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from recado.messages.model import StatusChange
from recado.messages.status import MessageStatus, predecessors
from recado.messages.table import MessageItem


def writes(change: StatusChange) -> list[Action]:
    """Return the update actions that put a message on a status and add the line to its history."""
    code = MessageItem.code.set(change.code) if change.code else MessageItem.code.remove()
    history = MessageItem.history.set(MessageItem.history.append([change]))
    return [MessageItem.status.set(change.status), history, code]


def holds(reason: str, not_before: datetime) -> list[Action]:
    """Return the update actions that say why a queued message does not go out yet, and until when at least."""
    return [MessageItem.held_reason.set(reason), MessageItem.not_before.set(not_before)]


def holds_no_more() -> list[Action]:
    """Return the update actions that take that back."""
    return [MessageItem.held_reason.remove(), MessageItem.not_before.remove()]


def stands_before(status: MessageStatus) -> Condition:
    """Return the condition that the ladder allows the stored message to come to this status."""
    return MessageItem.status.is_in(*predecessors(status))
