"""What every step up the ladder writes, whoever takes it."""

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


def stands_before(status: MessageStatus) -> Condition:
    """Return the condition that the ladder allows the stored message to come to this status."""
    return MessageItem.status.is_in(*predecessors(status))
