"""The use cases of messages: accepting, sending, recording what was seen, listing.

Every function is bound to a clinic and a channel by its arguments; none reads across clinics.
"""

from recado.messages.service.accepting import accept, outbox_counter, outbox_rows, repeated
from recado.messages.service.listing import Filters, list_channel, list_chat, list_clinic
from recado.messages.service.observing import confirm_result, record_inbound, record_phone_sent
from recado.messages.service.policies import change_send_policy, send_policy
from recado.messages.service.publication import keep_poison, mark_handled, mark_published, unhandled, unpublished
from recado.messages.service.reaching import ReachGate
from recado.messages.service.reading import get
from recado.messages.service.receipts import (
    Receipt,
    ReceiptResult,
    TakenReceipt,
    apply_receipt,
    forget_parked,
    take_parked,
)
from recado.messages.service.sending import (
    begin_send,
    hold,
    record_expired,
    record_failed,
    record_sent,
    record_suppressed,
    record_uncertain,
    requeue,
    settle,
)
from recado.messages.service.settling import decide, resend_in_place

__all__ = [
    "Filters",
    "ReachGate",
    "Receipt",
    "ReceiptResult",
    "TakenReceipt",
    "accept",
    "apply_receipt",
    "begin_send",
    "change_send_policy",
    "confirm_result",
    "decide",
    "forget_parked",
    "get",
    "hold",
    "keep_poison",
    "list_channel",
    "list_chat",
    "list_clinic",
    "mark_handled",
    "mark_published",
    "outbox_counter",
    "outbox_rows",
    "record_expired",
    "record_failed",
    "record_inbound",
    "record_phone_sent",
    "record_sent",
    "record_suppressed",
    "record_uncertain",
    "repeated",
    "requeue",
    "resend_in_place",
    "send_policy",
    "settle",
    "take_parked",
    "unhandled",
    "unpublished",
]
