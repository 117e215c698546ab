"""Pins of what we use of neonize: an upgrade that changes any of it fails here, not in production."""

import ctypes
import importlib.metadata
from typing import Any

import pytest
from neonize import _binder
from neonize.events import EVENT_TO_INT
from neonize.proto import Neonize_pb2 as n
from neonize.proto.waCompanionReg import WAWebProtobufsCompanionReg_pb2 as companion
from neonize.proto.waE2E import WAWebProtobufsE2E_pb2 as e2e

from session_runner.whatsapp import native
from session_runner.whatsapp.event_codes import EventCode

C = ctypes.c_char_p
INT = ctypes.c_int
POINTER = ctypes.c_void_p


def test_is_the_pinned_version() -> None:
    """Everything here was measured with this version, Python part and library."""
    assert importlib.metadata.version("neonize") == "0.5.2"
    assert _binder.gocode.GetVersion() == b"0.5.2"


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        (
            "Neonize",
            [
                *(C, C, C, INT, INT, C),
                *(_binder.func_string, _binder.func_string, _binder.func_callback_bytes, _binder.func_callback_bytes2),
                *(C, INT, C, INT, C, INT),
                ctypes.POINTER(_binder._CProxySettings),
            ],
            POINTER,
        ),
        ("Stop", [C], None),
        ("Disconnect", [C], INT),
        ("SendMessage", [C, C, INT, C, INT], ctypes.POINTER(_binder.Bytes)),
        ("PairPhone", [C, C, INT], ctypes.POINTER(_binder.Bytes)),
        ("IsOnWhatsApp", [C, C], ctypes.POINTER(_binder.Bytes)),
        ("MarkRead", [C, C, INT, C, INT, C, INT, C], POINTER),
        ("SendChatPresence", [C, C, INT, INT, INT], POINTER),
        ("Logout", [C], POINTER),
    ],
)
def test_entry_points_take_what_we_pass(name: str, arguments: list[Any], result: Any) -> None:
    """Argument and result types of each native call."""
    function = getattr(native.library, name)
    assert list(function.argtypes) == arguments
    assert function.restype is result
    # Results come back as bytes, freed: the library's own hooks do that. Stop has no result: what the hook frees then
    # is whatever the register holds, which on arm64 aborts the process.
    assert (function.errcheck is not None) is (name not in {"Disconnect", "Stop"})


@pytest.mark.parametrize(
    ("callback", "arguments"),
    [
        (_binder.func_string, (POINTER, POINTER)),
        (_binder.func_callback_bytes, (C, POINTER, INT, INT)),
        (_binder.func_callback_bytes2, (POINTER, INT)),
    ],
)
def test_callbacks_get_what_we_read(callback: Any, arguments: tuple[Any, ...]) -> None:
    """Argument types of the QR, status, event and log callbacks."""
    assert callback._argtypes_ == arguments
    assert callback._restype_ is None


@pytest.mark.parametrize(
    "name",
    [
        *("open_v2", "close_v2", "busy_timeout", "errmsg", "prepare_v2", "bind_text", "step", "finalize"),
        *("column_count", "column_type", "column_int64", "column_double", "column_blob", "column_bytes"),
    ],
)
def test_the_library_exports_its_sqlite(name: str) -> None:
    """Snapshots need the very SQLite instance that the sessions use."""
    assert getattr(_binder.gocode, f"sqlite3_{name}")


def test_event_numbers_are_neonizes() -> None:
    """Each code announces the event that we decode under it."""
    expected = {
        EventCode.DEVICE: n.Device,
        EventCode.CONNECTED: n.Connected,
        EventCode.KEEPALIVE_TIMEOUT: n.KeepAliveTimeout,
        EventCode.KEEPALIVE_RESTORED: n.KeepAliveRestored,
        EventCode.LOGGED_OUT: n.LoggedOut,
        EventCode.STREAM_REPLACED: n.StreamReplaced,
        EventCode.TEMPORARY_BAN: n.TemporaryBan,
        EventCode.CONNECT_FAILURE: n.ConnectFailure,
        EventCode.CLIENT_OUTDATED: n.ClientOutdated,
        EventCode.STREAM_ERROR: n.StreamError,
        EventCode.DISCONNECTED: n.Disconnected,
        EventCode.HISTORY_SYNC: n.HistorySync,
        EventCode.MESSAGE: n.Message,
        EventCode.RECEIPT: n.Receipt,
        EventCode.IDENTITY_CHANGE: n.IdentityChange,
        EventCode.OFFLINE_SYNC_PREVIEW: n.OfflineSyncPreview,
        EventCode.OFFLINE_SYNC_COMPLETED: n.OfflineSyncCompleted,
        EventCode.CALL_OFFER: n.CallOffer,
        EventCode.CALL_OFFER_NOTICE: n.CallOfferNotice,
        EventCode.UNDECRYPTABLE_MESSAGE: n.UndecryptableMessage,
    }
    assert set(expected) == set(EventCode)
    assert {code: EVENT_TO_INT[event] for code, event in expected.items()} == {code: code for code in EventCode}


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (n.JID, {"User": 1, "RawAgent": 2, "Device": 3, "Integrator": 4, "Server": 5, "IsEmpty": 6}),
        (n.Device, {"JID": 1, "LID": 2}),
        (n.MessageSource, {"Chat": 1, "Sender": 2, "IsFromMe": 3, "SenderAlt": 6, "RecipientAlt": 7}),
        (n.MessageInfo, {"MessageSource": 1, "ID": 2, "Pushname": 5, "Timestamp": 6, "Category": 7}),
        (n.Message, {"Info": 1, "Message": 2, "IsEdit": 9}),
        (n.Receipt, {"MessageSource": 1, "MessageIDs": 2, "Timestamp": 3, "Type": 4}),
        (n.UndecryptableMessage, {"Info": 1, "DecryptFailMode": 3}),
        (n.LoggedOut, {"OnConnect": 1, "Reason": 2}),
        (n.TemporaryBan, {"Code": 1, "Expire": 2}),
        (n.ConnectFailure, {"Reason": 1}),
        (n.KeepAliveTimeout, {"ErrorCount": 1}),
        (n.OfflineSyncPreview, {"Total": 1}),
        (n.LogEntry, {"Message": 1, "Level": 2, "Name": 3}),
        (n.SendMessageReturnFunction, {"Error": 1, "SendResponse": 2}),
        (n.SendResponse, {"Timestamp": 1, "ID": 2, "Chat": 7}),
        (n.IsOnWhatsAppReturnFunction, {"IsOnWhatsAppResponse": 1, "Error": 2}),
        (n.IsOnWhatsAppResponse, {"Query": 1, "JID": 2, "IsIn": 3}),
        (n.PairPhoneParams, {"phone": 1, "showPushNotification": 2, "clientType": 3, "clientDisplayName": 4}),
        (n.PairPhoneReturnFunction, {"Code": 1, "Error": 2}),
        (companion.DeviceProps, {"os": 1, "platformType": 3}),
        (e2e.Message, {"conversation": 1, "senderKeyDistributionMessage": 2, "extendedTextMessage": 6}),
        (e2e.Message, {"protocolMessage": 12, "messageContextInfo": 35}),
        (e2e.ExtendedTextMessage, {"text": 1, "contextInfo": 17}),
        (e2e.ContextInfo, {"stanzaID": 1, "participant": 2, "quotedMessage": 3}),
        (e2e.ProtocolMessage, {"key": 1, "type": 2}),
    ],
)
def test_protobuf_fields_keep_their_numbers(message: Any, fields: dict[str, int]) -> None:
    """A renamed or renumbered field would be read as empty."""
    present = message.DESCRIPTOR.fields_by_name
    assert {name: present[name].number for name in fields} == fields


@pytest.mark.parametrize(
    ("enumeration", "names"),
    [
        (
            n.Receipt.ReceiptType,
            {
                *("DELIVERED", "SENDER", "RETRY", "READ", "READ_SELF", "PLAYED", "PLAYED_SELF", "SERVER_ERROR"),
                *("INACTIVE", "PEER_MSG", "HISTORY_SYNC"),
            },
        ),
        (n.UndecryptableMessage.DecryptFailModeT, {"DECRYPT_FAIL_SHOW", "DECRYPT_FAIL_HIDE"}),
        (
            n.TemporaryBan.TempBanReason,
            {
                *("SEND_TO_TOO_MANY_PEOPLE", "BLOCKED_BY_USERS", "CREATED_TOO_MANY_GROUPS"),
                *("SENT_TOO_MANY_SAME_MESSAGE", "BROADCAST_LIST"),
            },
        ),
    ],
)
def test_enumerations_have_the_names_we_know(enumeration: Any, names: set[str]) -> None:
    """A new name needs a decision."""
    assert set(enumeration.keys()) == names
