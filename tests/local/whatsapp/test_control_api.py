"""The control API: shapes, errors that name the field, and pairing codes, without sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.whatsapp.accounts import other_form
from local.whatsapp.front_door import HttpRequest
from tests.local.whatsapp.companion import Bench, play

if TYPE_CHECKING:
    from pathlib import Path

CLINIC, PATIENT = "5511988880001", "5511977770001"


def test_phones_are_registered_once_in_either_form(tmp_path: Path) -> None:
    """201, then 200 for the same; the other form is the same person; another registration conflicts."""

    async def scenario(bench: Bench) -> None:
        body = {"number": "+5531977770002", "registered_as": "553177770002", "name": "Bia"}
        status, made = await bench.call("POST", "/phones", body)
        assert (status, made["number"], made["registered_as"]) == (201, "5531977770002", "553177770002")
        assert (await bench.call("POST", "/phones", body))[0] == 200
        status, problem = await bench.call("POST", "/phones", {"number": "5531977770002"})
        assert (status, problem["field"]) == (409, "number")
        assert (await bench.get("/phones/553177770002"))["name"] == "Bia"
        assert [phone["kind"] for phone in await bench.get("/phones")] == ["contact"]

    play(scenario, tmp_path)


@pytest.mark.parametrize(
    ("request_line", "body", "status", "field"),
    [
        ("POST /phones", {}, 422, "number"),
        ("POST /phones", {"number": "11 97777"}, 422, "number"),
        (f"POST /phones/{PATIENT}/messages", {"to": CLINIC}, 422, "text"),
        (f"POST /phones/{PATIENT}/messages", {"to": "5511900000000", "text": "?"}, 404, "to"),
        (f"POST /phones/{PATIENT}/messages", {"to": CLINIC, "text": "?", "damaged": "yes"}, 422, "damaged"),
        (f"POST /phones/{PATIENT}/typing", {"to": CLINIC, "state": "singing"}, 422, "state"),
        (f"POST /phones/{PATIENT}/read", {}, 422, "ids"),
        (f"POST /phones/{PATIENT}/read", {"ids": "A1"}, 422, "ids"),
        (f"POST /phones/{CLINIC}/scan", {"code": "hello"}, 410, "code"),
        (f"POST /phones/{CLINIC}/enter-code", {"code": "ABCD-EFGH"}, 410, "code"),
        (f"POST /phones/{CLINIC}/failure", {}, 422, "reason"),
        (f"POST /phones/{CLINIC}/ban", {"expire_s": 1.5}, 422, "expire_s"),
        ("POST /faults", {"loss": 2}, 422, "loss"),
        ("POST /faults", {"lozz": 1}, 422, "lozz"),
        ("GET /ledger?after=x", None, 422, "after"),
        ("GET /ledger/summary?by=moon", None, 422, "by"),
        ("GET /phones/5511900000000/messages", None, 404, "number"),
        ("GET /nowhere", None, 404, None),
        ("DELETE /health", None, 405, None),
    ],
)
def test_errors_are_problems_that_name_the_field(
    tmp_path: Path, request_line: str, body: object, status: int, field: str | None
) -> None:
    """Every refusal is a problem document with the status, a sentence and the field to blame."""

    async def scenario(bench: Bench) -> None:
        for number in (CLINIC, PATIENT):
            await bench.post("/phones", number=number)
        method, path = request_line.split(" ")
        answered, problem = await bench.call(method, path, body)
        assert (answered, problem["status"], problem.get("field")) == (status, status, field)
        assert problem["detail"]

    play(scenario, tmp_path)


@pytest.mark.parametrize("raw", [b"{", b"[1]", b"\xff"])
def test_bodies_that_are_no_json_objects(tmp_path: Path, raw: bytes) -> None:
    """A body that is not a JSON object is a 400, whatever its content type."""

    async def scenario(bench: Bench) -> None:
        response = await bench.simulator.control_api(HttpRequest("POST", "/phones", {}, raw))
        assert response.status == 400
        assert response.content_type == "application/problem+json"

    play(scenario, tmp_path)


def test_messages_are_paged_by_cursor_and_read_by_sender(tmp_path: Path) -> None:
    """A cursor continues after the last message seen; reading marks exactly that person's messages."""

    async def scenario(bench: Bench) -> None:
        for number in (CLINIC, PATIENT, "5511977770003"):
            await bench.post("/phones", number=number)
        for number in (PATIENT, "5511977770003", PATIENT):
            await bench.post(f"/phones/{number}/messages", to=CLINIC, text=f"de {number}")
        first, *rest = await bench.get(f"/phones/{CLINIC}/messages")
        assert await bench.get(f"/phones/{CLINIC}/messages?after={first['cursor']}") == rest
        assert await bench.post(f"/phones/{CLINIC}/read", **{"from": PATIENT}) == {"read": 2}
        sent = await bench.get(f"/phones/{PATIENT}/sent")
        assert all(message["delivered_at"] and message["read_at"] for message in sent)
        (unread,) = await bench.get("/phones/5511977770003/sent")
        assert unread["read_at"] is None

    play(scenario, tmp_path)


def test_phone_that_left_neither_receives_nor_sends(tmp_path: Path) -> None:
    """A deleted phone loses its companions and cannot write until it is registered again."""

    async def scenario(bench: Bench) -> None:
        await bench.post("/phones", number=PATIENT)
        clinic = bench.companion(CLINIC)
        status, left = await bench.call("DELETE", f"/phones/{CLINIC}")
        assert (status, left["on_whatsapp"], left["devices"]) == (200, False, [])
        assert clinic.stanzas("stream:error")[0].text("code") == "401"
        assert (await bench.call("POST", f"/phones/{CLINIC}/messages", {"to": PATIENT, "text": "?"}))[0] == 409
        await bench.post("/phones", number=CLINIC)
        await bench.post(f"/phones/{CLINIC}/messages", to=PATIENT, text="voltei")

    play(scenario, tmp_path)


def test_ledger_and_faults_reset(tmp_path: Path) -> None:
    """The ledger can be emptied; faults keep what is not named."""

    async def scenario(bench: Bench) -> None:
        await bench.post("/phones", number=PATIENT)
        bench.companion(CLINIC).write(PATIENT, "oi", "A1")
        assert len(await bench.get("/ledger?limit=1")) == 1
        assert (await bench.call("DELETE", "/ledger"))[0] == 200
        assert await bench.get("/ledger") == []
        await bench.post("/faults", latency_ms=50)
        faults = await bench.post("/faults", drop_acks=2)
        assert faults == {"latency_ms": 50, "loss": 0.0, "maintenance": False, "drop_acks": 2}
        assert (await bench.get("/health"))["status"] == "healthy"
        assert (await bench.get("/counters"))["stanza.message"] == 1

    play(scenario, tmp_path)


@pytest.mark.parametrize(
    ("number", "other"),
    [
        ("5511977770001", "551177770001"),
        ("551177770001", "5511977770001"),
        ("551133330001", None),
        ("15551234567", None),
        ("5511877770001", None),
    ],
)
def test_ninth_digit_is_added_and_taken_away(number: str, other: str | None) -> None:
    """Only Brazilian mobile numbers have a second form: landlines and foreign numbers have none."""
    assert other_form(number) == other
