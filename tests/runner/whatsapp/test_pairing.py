"""The watch over a pairing: it ends once, for one reason, and never waits for ever."""

import threading
from typing import Any

import pytest

from session_runner.hosts.errors import HostError
from session_runner.whatsapp import pairing as module
from session_runner.whatsapp.pairing import Pairing, PairingMethod


class Watched:
    """A pairing with what it told and how it ended."""

    def __init__(self, method: PairingMethod = PairingMethod.QR, answer: str | HostError = "ABCD-EFGH") -> None:
        self.notices: list[tuple[str, dict[str, Any]]] = []
        self.reasons: list[str] = []
        self.told = threading.Event()
        self.asked: list[str] = []
        self._answer = answer
        self.pairing = Pairing(method, "+5511988880001", self._request_code, self._notify, self._end)

    def _request_code(self, phone: str) -> str:
        self.asked.append(phone)
        if isinstance(self._answer, HostError):
            raise self._answer
        return self._answer

    def _notify(self, kind: str, fields: dict[str, Any]) -> None:
        self.notices.append((kind, fields))
        self.told.set()

    def _end(self, reason: str) -> None:
        self.reasons.append(reason)
        self.told.set()


def test_each_qr_code_is_told_with_its_end() -> None:
    """Codes are told as they come."""
    watched = Watched()
    watched.pairing.on_qr_code("https://wa.me/settings/linked_devices#1")
    watched.pairing.on_qr_code("https://wa.me/settings/linked_devices#2")
    assert [fields["code"][-1] for _, fields in watched.notices] == ["1", "2"]
    assert watched.notices[0][1]["expires_at"] > watched.notices[1][1]["expires_at"]
    watched.pairing.fail("done")


def test_letters_are_asked_for_once_and_qr_codes_not_told() -> None:
    """With letters, QR codes rotate unseen."""
    watched = Watched(PairingMethod.CODE)
    for _ in range(3):
        watched.pairing.on_qr_code("https://wa.me/…")
    assert watched.told.wait(5)
    assert watched.asked == ["+5511988880001"]
    assert [fields["code"] for _, fields in watched.notices] == ["ABCD-EFGH"]
    watched.pairing.fail("done")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("info query returned status 429: rate-overlimit", "rate_limited"), ("bad-request", "code_refused")],
)
def test_refused_letters_end_it(text: str, reason: str) -> None:
    """Without letters there is nothing to enter."""
    watched = Watched(PairingMethod.CODE, HostError("refused", text))
    watched.pairing.on_qr_code("https://wa.me/…")
    assert watched.told.wait(5)
    assert watched.reasons == [reason]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("timeout", "timeout"),
        ("err-client-outdated", "client_outdated"),
        ("err-scanned-without-multidevice", "not_multidevice"),
        ("passkey-request", "passkey_required"),
        ("error", "error"),
        ("something new", "error"),
    ],
)
def test_the_librarys_last_word_ends_it(status: str, reason: str) -> None:
    """Each status is a reason; passkeys, which neonize cannot answer, are named."""
    watched = Watched()
    watched.pairing.on_login_status(status)
    watched.pairing.on_login_status("timeout")
    assert watched.reasons == [reason]


def test_silence_after_the_last_code_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library says nothing when codes are used up on a dropped connection: the watch does."""
    monkeypatch.setattr(module, "_FIRST_CODE_SECONDS", 0.01)
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.01)
    watched = Watched()
    watched.pairing.begin()
    watched.pairing.on_qr_code("https://wa.me/…")
    watched.told.clear()
    assert watched.told.wait(5)
    assert watched.reasons == ["timeout"]


def test_a_scan_without_a_login_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linked on the phone but never connected: ended too."""
    monkeypatch.setattr(module, "_CONNECTED_WITHIN_SECONDS", 0.01)
    watched = Watched()
    watched.pairing.on_login_status("success")
    assert watched.told.wait(5)
    assert watched.reasons == ["not_connected"]


def test_success_is_final() -> None:
    """Once connected nothing ends it, and a second connection does not complete it again."""
    watched = Watched()
    watched.pairing.on_login_status("success")
    assert watched.pairing.connected()
    assert not watched.pairing.connected()
    watched.pairing.fail("timeout")
    assert watched.reasons == []


def test_an_ended_pairing_is_not_completed() -> None:
    """A connection that comes too late completes nothing: the process is on its way out."""
    watched = Watched()
    watched.pairing.fail("timeout")
    assert not watched.pairing.connected()
