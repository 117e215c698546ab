"""What we send, and what the library's error texts mean for the message."""

import pytest

from session_runner.hosts.errors import HostError, NotSentError, RefusedError, UnknownOutcomeError
from session_runner.whatsapp.native import loggable
from session_runner.whatsapp.sending import Quoted, address, call_failure, send_failure, text_message


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("server returned error 463", RefusedError, "server_error"),
        ("no LID found for 5511900000000@s.whatsapp.net from server", RefusedError, "recipient_unknown"),
        (
            "failed to save cached sessions: failed to store cached sessions: transaction: commit: disk I/O error",
            NotSentError,
            "disk_full",
        ),
        ("failed to send message node: websocket not connected", NotSentError, "not_connected"),
        ("failed to get device list: failed to send usync query: x", NotSentError, "not_connected"),
        ("failed to get user info for 1@lid to fill LID cache: x", NotSentError, "not_connected"),
        ("the store doesn't contain a device JID", NotSentError, "not_connected"),
        ("websocket not connected", UnknownOutcomeError, "unknown"),
        ("timed out waiting for message send response", UnknownOutcomeError, "timeout"),
        ("websocket disconnected before message send x", UnknownOutcomeError, "disconnected_while_sending"),
        ("something new", UnknownOutcomeError, "unknown"),
    ],
)
def test_a_failed_send_is_certain_only_where_it_is(text: str, kind: type[HostError], code: str) -> None:
    """Only steps before the message went to the socket prove that it never left; all that is new is unknown."""
    failure = send_failure(text)
    assert type(failure) is kind
    assert failure.code == code


def test_the_servers_code_is_kept() -> None:
    """463, 479 …: the clinic sees WhatsApp's number."""
    assert send_failure("server returned error 479").detail == {"status": "479"}


def test_errors_survive_the_wire_and_hold_no_numbers() -> None:
    """The supervisor gets the same error back; numbers in the library's text are masked."""
    failure = send_failure("failed to get user info for 5511977770001@s.whatsapp.net to fill LID cache: x")
    again = HostError.from_data(failure.to_data())
    assert type(again) is NotSentError
    assert (again.code, again.message, again.detail) == (failure.code, failure.message, failure.detail)
    assert "5511977770001" not in again.message


def test_other_calls_tell_a_lost_connection_apart() -> None:
    """Not connected can be tried later; a refusal cannot."""
    assert call_failure("failed to send usync query: websocket not connected").code == "not_connected"
    assert call_failure("info query returned status 429: rate-overlimit").code == "refused"


@pytest.mark.parametrize("text", ["5511977770001@s.whatsapp.net", "938928894547328@lid"])
def test_people_have_addresses(text: str) -> None:
    """Numbers and LIDs."""
    jid = address(text)
    assert f"{jid.User}@{jid.Server}" == text


@pytest.mark.parametrize(
    "text", ["1203630@g.us", "status@broadcast", "5511977770001", "5511977770001:3@s.whatsapp.net", ""]
)
def test_others_have_none(text: str) -> None:
    """Groups, broadcasts, devices and bare numbers are refused before anything is sent."""
    with pytest.raises(RefusedError, match="invalid"):
        address(text)


def test_a_reply_carries_what_it_answers() -> None:
    """WhatsApp shows the quoted text from the message itself."""
    message = text_message("Sim", Quoted("3A01", "5511977770001@s.whatsapp.net", "Tem horário?"))
    context = message.extendedTextMessage.contextInfo
    assert (context.stanzaID, context.participant) == ("3A01", "5511977770001@s.whatsapp.net")
    assert context.quotedMessage.conversation == "Tem horário?"
    assert text_message("oi", None).conversation == "oi"


def test_log_lines_hold_no_stanzas_and_no_numbers() -> None:
    """What follows a '<' is a stanza; runs of digits are numbers."""
    assert loggable('Unhandled from 5511977770001: <message id="3A"/>') == "Unhandled from 55*******0001: "
