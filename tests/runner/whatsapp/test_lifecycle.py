"""Connection events mean what WhatsApp's protocol says they mean."""

import pytest
from neonize.proto import Neonize_pb2 as n

from session_runner.whatsapp.event_codes import EventCode
from session_runner.whatsapp.lifecycle import Change, SessionState, change_of
from tests.runner.whatsapp.protobufs import jid

NODE = n.Node(Tag="failure")


@pytest.mark.parametrize(
    ("code", "event", "expected"),
    [
        (EventCode.CONNECTED, n.Connected(status=True), Change("connected", SessionState.CONNECTED)),
        (EventCode.DISCONNECTED, n.Disconnected(status=True), Change("disconnected", SessionState.DISCONNECTED)),
        (
            EventCode.LOGGED_OUT,
            n.LoggedOut(OnConnect=True, Reason=n.ConnectFailureReason.MAIN_DEVICE_GONE),
            Change("logged_out", SessionState.LOGGED_OUT, {"reason": "main_device_gone", "on_connect": True}),
        ),
        (EventCode.STREAM_REPLACED, n.StreamReplaced(), Change("replaced", SessionState.REPLACED)),
        (
            EventCode.TEMPORARY_BAN,
            n.TemporaryBan(Code=n.TemporaryBan.TempBanReason.BROADCAST_LIST, Expire=3600),
            Change("banned", SessionState.BANNED, {"code": 106, "expire_seconds": 3600}),
        ),
        (EventCode.CLIENT_OUTDATED, n.ClientOutdated(), Change("outdated", SessionState.OUTDATED)),
        (
            EventCode.CONNECT_FAILURE,
            n.ConnectFailure(Reason=n.ConnectFailureReason.BAD_USER_AGENT, Message="", Raw=NODE),
            Change("connect_failure", SessionState.CONNECT_FAILURE, {"reason": "bad_user_agent"}),
        ),
        (
            EventCode.KEEPALIVE_TIMEOUT,
            n.KeepAliveTimeout(ErrorCount=3, LastSuccess=1),
            Change("keepalive_timeout", None, {"errors": 3}),
        ),
        (
            EventCode.IDENTITY_CHANGE,
            n.IdentityChange(JID=jid("1", "lid"), Timestamp=1, Implicit=True),
            Change("identity_changed"),
        ),
    ],
)
def test_reads_connection_events(code: EventCode, event: object, expected: Change) -> None:
    """Event, state and details of each."""
    assert change_of(code, event) == expected


def test_every_ban_reason_has_whatsapps_code() -> None:
    """A reason without a code would fail the mapping of a ban, of all things."""
    codes = set()
    for value in n.TemporaryBan.TempBanReason.values():
        change = change_of(EventCode.TEMPORARY_BAN, n.TemporaryBan(Code=value, Expire=1))
        assert change is not None
        codes.add(change.details["code"])
    assert codes == {101, 102, 103, 104, 106}


def test_only_three_states_can_still_connect() -> None:
    """All others end the incarnation."""
    alive = {state for state in SessionState if not state.is_over}
    assert alive == {SessionState.STARTING, SessionState.CONNECTED, SessionState.DISCONNECTED}
