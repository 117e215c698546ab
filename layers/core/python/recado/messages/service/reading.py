"""Reading one message."""

from recado.kernel.errors import MessageNotFoundError
from recado.kernel.ids import Prefix, is_id
from recado.messages.model import Message
from recado.messages.table import MessageItem, message_key


def get(clinic_id: str, channel_id: str, message_id: str, *, consistent: bool = True) -> Message:
    """Return a message of this channel.

    Raises:
        MessageNotFoundError: no such message in this channel of this clinic.
    """
    item = find_item(clinic_id, channel_id, message_id, consistent=consistent)
    if item is None:
        raise MessageNotFoundError
    return item.message()


def find_item(clinic_id: str, channel_id: str, message_id: str, *, consistent: bool = True) -> MessageItem | None:
    """Return a message as stored, or None."""
    if not is_id(Prefix.MESSAGE, message_id):
        return None
    return MessageItem.find(*message_key(clinic_id, channel_id, message_id), consistent=consistent)
