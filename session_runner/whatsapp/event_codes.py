"""The numbers under which the native library announces events, as far as we subscribe to them.

neonize keeps them in ``neonize.events.EVENT_TO_INT``; a contract test compares both.
"""

from enum import IntEnum


class EventCode(IntEnum):
    """The events we subscribe to. ``DEVICE`` comes by itself when the event pump starts."""

    DEVICE = 0
    CONNECTED = 3
    KEEPALIVE_TIMEOUT = 4
    KEEPALIVE_RESTORED = 5
    LOGGED_OUT = 6
    STREAM_REPLACED = 7
    TEMPORARY_BAN = 8
    CONNECT_FAILURE = 9
    CLIENT_OUTDATED = 10
    STREAM_ERROR = 11
    DISCONNECTED = 12
    HISTORY_SYNC = 13
    MESSAGE = 17
    RECEIPT = 18
    IDENTITY_CHANGE = 24
    OFFLINE_SYNC_PREVIEW = 26
    OFFLINE_SYNC_COMPLETED = 27
    CALL_OFFER = 36
    CALL_OFFER_NOTICE = 40
    UNDECRYPTABLE_MESSAGE = 44


# An event the library cannot encode kills the event pump, so nothing is subscribed to that nobody reads or counts.
SUBSCRIBED = bytes(code for code in EventCode if code is not EventCode.DEVICE)

# Read by nobody yet: counted by their code, their payload is not even decoded.
COUNTED_ONLY: dict[int, str] = {
    EventCode.CALL_OFFER: "call",
    EventCode.CALL_OFFER_NOTICE: "call",
    EventCode.STREAM_ERROR: "stream_error",
}
