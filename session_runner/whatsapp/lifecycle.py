"""What the connection's own events mean for the session, as the ``session_event`` notices of the host."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from session_runner.whatsapp.event_codes import EventCode

# WhatsApp's codes of temporary bans (whatsmeow, types/events): neonize numbers them anew.
_BAN_CODES = {
    "SEND_TO_TOO_MANY_PEOPLE": 101,
    "BLOCKED_BY_USERS": 102,
    "CREATED_TOO_MANY_GROUPS": 103,
    "SENT_TOO_MANY_SAME_MESSAGE": 104,
    "BROADCAST_LIST": 106,
}


class SessionState(StrEnum):
    """Where one incarnation of a session stands."""

    STARTING = "starting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"  # the library reconnects by itself
    LOGGED_OUT = "logged_out"
    REPLACED = "replaced"
    BANNED = "banned"
    OUTDATED = "outdated"
    CONNECT_FAILURE = "connect_failure"
    PUMP_ENDED = "pump_ended"  # the native call returned unasked; what WhatsApp thinks is unknown
    STOPPED = "stopped"

    @property
    def is_over(self) -> bool:
        """Say whether this incarnation will never be connected again."""
        return self not in {SessionState.STARTING, SessionState.CONNECTED, SessionState.DISCONNECTED}


@dataclass(frozen=True, slots=True)
class Change:
    """A connection event: the notice to give, and the state it leads to (None: unchanged)."""

    event: str
    state: SessionState | None = None
    details: dict[str, Any] = field(default_factory=dict)


def change_of(code: int, event: Any) -> Change | None:
    """Return what a connection event means, or None if the code is not one.

    Args:
        code: the event's number.
        event: the decoded protobuf.
    """
    read = _READERS.get(code)
    return read(event) if read else None


def end_reason(text: str, *, through_proxy: bool) -> str:
    """Return why the native call returned, from the library's words.

    Args:
        text: its words.
        through_proxy: whether the session dials through a proxy of its own; what fails then is laid to the proxy,
            because nothing tells whether WhatsApp or the proxy's way to it failed.
    """
    if "dial" in text:
        return "proxy_unreachable" if through_proxy else "unreachable"
    return "unencodable_event" if "required field" in text else "other"


def _logged_out(event: Any) -> Change:
    details = {"reason": _failure_name(event), "on_connect": event.OnConnect}
    return Change("logged_out", SessionState.LOGGED_OUT, details)


def _banned(event: Any) -> Change:
    name = type(event).TempBanReason.Name(event.Code)
    return Change("banned", SessionState.BANNED, {"code": _BAN_CODES[name], "expire_seconds": event.Expire})


def _connect_failure(event: Any) -> Change:
    return Change("connect_failure", SessionState.CONNECT_FAILURE, {"reason": _failure_name(event)})


def _failure_name(event: Any) -> str:
    enumeration = type(event).DESCRIPTOR.fields_by_name["Reason"].enum_type
    return str(enumeration.values_by_number[event.Reason].name.lower())


_READERS: dict[int, Callable[[Any], Change]] = {
    EventCode.CONNECTED: lambda _event: Change("connected", SessionState.CONNECTED),
    EventCode.DISCONNECTED: lambda _event: Change("disconnected", SessionState.DISCONNECTED),
    EventCode.LOGGED_OUT: _logged_out,
    EventCode.STREAM_REPLACED: lambda _event: Change("replaced", SessionState.REPLACED),
    EventCode.TEMPORARY_BAN: _banned,
    EventCode.CLIENT_OUTDATED: lambda _event: Change("outdated", SessionState.OUTDATED),
    EventCode.CONNECT_FAILURE: _connect_failure,
    EventCode.KEEPALIVE_TIMEOUT: lambda event: Change("keepalive_timeout", details={"errors": event.ErrorCount}),
    EventCode.KEEPALIVE_RESTORED: lambda _event: Change("keepalive_restored"),
    EventCode.IDENTITY_CHANGE: lambda _event: Change("identity_changed"),
}
