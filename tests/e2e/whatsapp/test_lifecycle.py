"""Pairing, logins and everything that can end a session, seen by the real client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.whatsapp.conftest import CLINIC, PATIENT
from tests.e2e.whatsapp.harness import RealClient, RunningSimulator, eventually

pytestmark = pytest.mark.e2e

NewClient = Callable[[str], RealClient]


def _devices(simulator: RunningSimulator) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = simulator.get(f"/phones/{CLINIC}")["devices"]
    return found


def test_pairing_with_eight_letters(simulator: RunningSimulator, new_client: NewClient) -> None:
    """Another number and wrong letters are refused; the right ones, typed in on the phone, link the companion."""
    waiting = new_client("clinic")
    waiting.event("qr")
    code = waiting.do("pair_phone", number=CLINIC)
    status, problem = simulator.call("POST", "/phones/5511900000009/enter-code", {"code": code})
    assert (status, problem["field"]) == (410, "code")
    mistyped = ("A" if code[0] != "A" else "B") + code[1:]
    status, problem = simulator.call("POST", f"/phones/{CLINIC}/enter-code", {"code": mistyped})
    assert (status, problem["field"]) == (410, "code")
    assert simulator.post(f"/phones/{CLINIC}/enter-code", code=code) == {"linked": True, "device": 1}
    waiting.event("Connected")


def test_code_is_good_once(simulator: RunningSimulator, new_client: NewClient) -> None:
    """Codes that are no codes, and a code that was used, are refused with a 4xx that names the field."""
    waiting = new_client("clinic")
    code = waiting.event("qr")["code"]
    for bad in ("hello", "https://wa.me/settings/linked_devices#a,b,c,d,e"):
        status, problem = simulator.call("POST", f"/phones/{CLINIC}/scan", {"code": bad})
        assert (status, problem["field"]) == (410, "code")
    assert simulator.post(f"/phones/{CLINIC}/scan", code=code)["linked"]
    status, _ = simulator.call("POST", f"/phones/{CLINIC}/scan", {"code": code})
    assert status == 410


def test_unlinked_by_the_phone(simulator: RunningSimulator, client: RealClient, new_client: NewClient) -> None:
    """Unlinking logs the client out at once, and a fresh pairing gets the next device number."""
    simulator.post(f"/phones/{CLINIC}/unlink")
    assert client.event("LoggedOut") == {"event": "LoggedOut", "on_connect": False}
    assert _devices(simulator) == []
    new_client("again").pair(CLINIC)
    assert [device["device"] for device in _devices(simulator)] == [2]


def test_logout_by_the_client(simulator: RunningSimulator, client: RealClient) -> None:
    """A client that logs itself out is no longer listed."""
    client.do("logout")
    assert eventually(lambda: _devices(simulator) == [], "the device is gone")


@pytest.mark.parametrize(
    ("action", "body", "event"),
    [
        ("ban", {"code": 101, "expire_s": 600}, {"name": "TemporaryBan", "code": 1, "expire": 600}),
        ("outdated", {}, {"name": "ClientOutdated"}),
        ("failure", {"reason": 403}, {"name": "LoggedOut", "on_connect": True}),
        ("failure", {"reason": 409}, {"name": "ConnectFailure"}),
        ("replace", {}, {"name": "StreamReplaced"}),
    ],
)
def test_events_that_end_a_session(
    simulator: RunningSimulator, client: RealClient, action: str, body: dict[str, Any], event: dict[str, Any]
) -> None:
    """Bans, refusals and replacement reach the client as the event they are, and it stays away."""
    simulator.post(f"/phones/{CLINIC}/{action}", **body)
    seen = client.event(event["name"])
    if "on_connect" in event:
        assert seen["on_connect"] is event["on_connect"]
    if "expire" in event:
        assert 590 <= seen["expire"] <= 600
    assert client.is_quiet("Connected", for_s=1)
    assert [device["connected"] for device in _devices(simulator)] == [False]


@pytest.mark.parametrize(
    ("action", "body"), [("drop", {}), ("stream-error", {"code": 503}), ("stream-error", {"code": 515})]
)
def test_events_a_client_comes_back_from(
    simulator: RunningSimulator, client: RealClient, action: str, body: dict[str, Any]
) -> None:
    """A broken line or a stream error is followed by a new login without a scan."""
    simulator.post(f"/phones/{CLINIC}/{action}", **body)
    client.event("Connected")
    client.do("send", to=PATIENT, text="de volta")
    assert simulator.get("/counters")["login"] == 2


def test_ban_is_lifted(simulator: RunningSimulator, client: RealClient, new_client: NewClient) -> None:
    """Once the ban is lifted a restarted client is let in."""
    simulator.post(f"/phones/{CLINIC}/ban", code=102, expire_s=600)
    client.event("TemporaryBan")
    client.kill()
    simulator.post(f"/phones/{CLINIC}/unban")
    new_client("clinic").event("Connected")


def test_same_device_twice_replaces_the_older(
    simulator: RunningSimulator, client: RealClient, new_client: NewClient
) -> None:
    """A second login of the same device wins, and the first is told that it was replaced."""
    newer = new_client("clinic")
    newer.event("Connected")
    client.event("StreamReplaced")
    newer.do("send", to=PATIENT, text="do mais novo")
    eventually(lambda: simulator.texts(PATIENT) == ["do mais novo"], "the newer login works")


def test_maintenance_and_back(simulator: RunningSimulator, client: RealClient) -> None:
    """Under maintenance logins are refused; afterwards the client comes back by itself."""
    simulator.post("/faults", maintenance=True)
    client.event("Disconnected")
    eventually(lambda: simulator.get("/counters").get("login.refused.503"), "a login is refused")
    simulator.post("/faults", maintenance=False)
    client.event("Connected")


def test_refused_send(simulator: RunningSimulator, client: RealClient) -> None:
    """A send error reaches the caller with its code and stands in the ledger; the next send works."""
    simulator.post(f"/phones/{CLINIC}/send-error", code=463, count=1)
    with pytest.raises(RuntimeError, match="463"):
        client.do("send", to=PATIENT, text="recusada")
    client.do("send", to=PATIENT, text="aceita")
    eventually(lambda: simulator.texts(PATIENT) == ["aceita"], "only the second arrives")
    errors = [row["error"] for row in simulator.get("/ledger")]
    assert errors == ["463", None]


def test_held_stanzas_replayed_twice_arrive_once(simulator: RunningSimulator, client: RealClient) -> None:
    """Held messages come after the release; a replayed stanza does not become a second message."""
    simulator.post(f"/phones/{CLINIC}/hold")
    held = simulator.write(PATIENT, CLINIC, "segurada")
    assert client.is_quiet("Message", for_s=0.5)
    simulator.post(f"/phones/{CLINIC}/replay", times=2)
    client.event("Message", id=held)
    assert client.is_quiet("Message", for_s=0.5)


def test_lost_ack_is_survived_by_a_new_connection(simulator: RunningSimulator, client: RealClient) -> None:
    """A frame sent again after a lost ack and a broken line is delivered once."""
    client.do("send", to=PATIENT, text="primeira")
    simulator.post("/faults", drop_acks=1)
    client.begin("send", to=PATIENT, text="sem confirmação")
    eventually(lambda: simulator.get("/counters").get("ack.dropped"), "the ack is dropped")
    simulator.post(f"/phones/{CLINIC}/drop")
    client.expect(lambda report: report.get("done") == "send", "the end of the send")
    assert simulator.texts(PATIENT) == ["primeira", "sem confirmação"]
    assert simulator.get("/counters")["message.resent"] == 1
    assert simulator.get("/ledger/summary")["from_client"]["accepted"] == 2
