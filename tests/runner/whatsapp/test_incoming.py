"""The event callback: nothing is lost when mapping fails, and catching up is told from being live."""

import base64
from typing import Any

import pytest
from neonize.proto import Neonize_pb2 as n

from session_runner.whatsapp.event_codes import EventCode
from session_runner.whatsapp.incoming import Incoming
from session_runner.whatsapp.lifecycle import Change
from session_runner.whatsapp.mapping import Fact
from tests.runner.whatsapp.protobufs import OWN_LID, OWN_PHONE, info, jid, message, receipt, source
from tests.support.clock import FixedClock


class Book:
    def lid_of(self, phone_digits: str) -> str | None:
        return None

    def phone_of(self, lid_digits: str) -> str | None:
        return None


class BrokenBook(Book):
    def phone_of(self, lid_digits: str) -> str | None:
        raise RuntimeError("5511977770001 cannot be looked up")


class Heard:
    """What one incarnation journalled and told."""

    def __init__(self, clock: FixedClock, book: Book | None = None) -> None:
        self.facts = list[Fact]()
        self.changes = list[Change]()
        self.incoming = Incoming(book or Book(), self.facts.append, self.changes.append, clock)

    def handle(self, code: int, event: Any) -> None:
        self.incoming.handle(code, event if isinstance(event, bytes) else event.SerializeToString())


@pytest.fixture
def heard(clock: FixedClock) -> Heard:
    return Heard(clock)


def test_messages_and_receipts_are_journalled(heard: Heard) -> None:
    """Each becomes one fact."""
    heard.handle(EventCode.MESSAGE, message())
    heard.handle(EventCode.RECEIPT, receipt())
    assert [fact.kind for fact in heard.facts] == ["message.received", "message.receipt"]


def test_ignored_events_are_counted_by_reason(heard: Heard) -> None:
    """What is no concern of a clinic leaves a number."""
    heard.handle(EventCode.MESSAGE, message(message_info=info(source(jid("1", "g.us"), group=True))))
    heard.handle(EventCode.CALL_OFFER, b"not even decoded")
    assert heard.facts == []
    assert heard.incoming.ignored == {"group": 1, "call": 1}


def test_an_event_that_cannot_be_decoded_is_journalled_as_it_is(heard: Heard) -> None:
    """Garbage is not lost: the bytes go to the journal with the reason."""
    heard.handle(EventCode.MESSAGE, b"\xff\xff")
    (fact,) = heard.facts
    assert fact.kind == "message.unmapped"
    assert fact.data["event_code"] == 17
    assert "DecodeError" in fact.data["reason"]
    assert base64.b64decode(fact.data["raw"]) == b"\xff\xff"


def test_an_event_that_cannot_be_mapped_is_journalled_without_numbers_in_the_log(
    clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure on the way (here: the store) keeps the event; the log names its type only."""
    heard = Heard(clock, BrokenBook())
    event = message()
    heard.handle(EventCode.MESSAGE, event)
    (fact,) = heard.facts
    assert fact.kind == "message.unmapped"
    assert base64.b64decode(fact.data["raw"]) == event.SerializeToString()
    assert "RuntimeError" in caplog.text
    assert "5511977770001" not in caplog.text
    assert "Bom dia" not in caplog.text


def test_an_unknown_event_is_journalled(heard: Heard) -> None:
    """A number no event has is kept too."""
    heard.handle(999, b"x")
    assert heard.facts[0].data["event_code"] == 999


def test_a_huge_event_that_cannot_be_mapped_is_told_without_its_bytes(heard: Heard) -> None:
    """An entry must fit into a queue message."""
    heard.handle(EventCode.MESSAGE, b"\xff" * 100_000)
    assert heard.facts[0].data["raw"] is None


def test_the_device_event_tells_the_own_number(heard: Heard) -> None:
    """Own addresses come without the device, even where the library leaves it in the user part."""
    device = n.Device(
        JID=jid(f"{OWN_PHONE}:4", "s.whatsapp.net"),
        LID=jid(OWN_LID, "lid", 4),
        Platform="",
        BussinessName="",
        PushName="",
        Initialized=True,
    )
    heard.handle(EventCode.DEVICE, device)
    heard.handle(EventCode.MESSAGE, message())
    assert heard.facts[0].data["to"] == {"e164": f"+{OWN_PHONE}", "lid": f"{OWN_LID}@lid"}


def test_messages_are_late_until_the_server_says_caught_up(clock: FixedClock) -> None:
    """Between the preview and the end of the offline queue, and while not connected, messages are late."""
    heard = Heard(clock)
    offline = []

    def one() -> None:
        now = int(clock.now().timestamp() * 1000)
        heard.handle(EventCode.MESSAGE, message(message_info=info(Timestamp=now)))
        offline.append(heard.facts[-1].data["offline"])

    one()
    heard.handle(EventCode.CONNECTED, n.Connected(status=True))
    one()
    heard.handle(
        EventCode.OFFLINE_SYNC_PREVIEW,
        n.OfflineSyncPreview(Total=2, AppDataChanges=0, Message=2, Notifications=0, Receipts=0),
    )
    one()
    heard.handle(EventCode.OFFLINE_SYNC_COMPLETED, n.OfflineSyncCompleted(Count=2))
    one()
    heard.handle(EventCode.DISCONNECTED, n.Disconnected(status=True))
    one()
    assert offline == [True, False, True, False, True]


def test_keepalive_failures_are_told_and_counted(heard: Heard) -> None:
    """A silent connection shows in the status before anything else does."""
    heard.handle(EventCode.KEEPALIVE_TIMEOUT, n.KeepAliveTimeout(ErrorCount=2, LastSuccess=0))
    assert heard.incoming.keepalive_failures == 2
    heard.handle(EventCode.KEEPALIVE_RESTORED, n.KeepAliveRestored())
    assert heard.incoming.keepalive_failures == 0
    assert [change.event for change in heard.changes] == ["keepalive_timeout", "keepalive_restored"]


def test_waits_for_silence(heard: Heard) -> None:
    """Quiet is a while without an event, not a moment without one."""
    assert heard.incoming.wait_until_quiet(0.02, timeout=2)
    assert not heard.incoming.wait_until_quiet(10, timeout=0.05)
