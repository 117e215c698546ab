"""What every refusal looks like, whatever is wrong with a request."""

import json
import logging

import pytest
from fastapi.testclient import TestClient

from recado.clinics import service as clinics
from recado.kernel.errors import ServiceUnavailableError
from tests.functions.api.support import Caller, assert_problem

_SECRET_WORDS = "patient words"


def test_an_unknown_path_is_a_problem(client: TestClient) -> None:
    """404 without a route."""
    assert_problem(client.get("/v2/nothing"), 404, "route_not_found")
    assert_problem(client.get("/v1/clinics/"), 404, "route_not_found")


def test_a_wrong_method_is_405_with_the_right_ones_named(client: TestClient) -> None:
    """RFC 9110: a 405 carries Allow."""
    answer = client.put("/v1/clinics")
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]


@pytest.mark.parametrize("body", [b"{", b'{"name": }', b"\xff\xfe", b"[" * 100_000, b'{"name": "x"} trailing'])
def test_a_body_that_is_no_json_is_400(platform: Caller, body: bytes) -> None:
    """Also for invalid UTF-8 and for nesting that no parser takes."""
    answer = platform.post("/v1/clinics", content=body, headers={"Content-Type": "application/json"})
    assert_problem(answer, 400, "malformed_body")


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"7", b"null"])
def test_json_that_is_no_object_is_refused(platform: Caller, body: bytes) -> None:
    """Any JSON but an object."""
    answer = platform.post("/v1/clinics", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.json()["code"] in {"malformed_body", "invalid_request"}


def test_json_under_another_content_type_is_400_with_the_remedy(platform: Caller) -> None:
    """What curl sends by default is no JSON; the answer says what to add."""
    answer = platform.post(
        "/v1/clinics", content=b'{"name": "x"}', headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert "application/json" in assert_problem(answer, 400, "malformed_body")["detail"]


def test_a_missing_body_is_refused(platform: Caller) -> None:
    """An empty request to an operation that needs a body."""
    assert_problem(platform.post("/v1/clinics"), 422, "invalid_request", "body")


def test_a_body_over_256_kib_is_413(platform: Caller) -> None:
    """One byte too many, with and without a declared length."""
    body = b'{"name": "' + b"x" * (256 * 1024) + b'"}'
    headers = {"Content-Type": "application/json"}
    assert_problem(platform.post("/v1/clinics", content=body, headers=headers), 413, "body_too_large")
    pieces = iter([body[:1000], body[1000:]])
    assert_problem(platform.post("/v1/clinics", content=pieces, headers=headers), 413, "body_too_large")


def test_a_nested_field_is_named_as_a_dotted_path(aurora: Caller) -> None:
    """As integrators see it in their own body."""
    channel_id = aurora.channel()
    answer = aurora.post(f"channels/{channel_id}/messages", {"to": "+5511977770001", "type": "text", "text": {}})
    assert_problem(answer, 422, "invalid_request", "text.body")


def test_a_refusal_never_repeats_what_was_sent(aurora: Caller) -> None:
    """Bodies hold what patients are told; they come back in no error."""
    channel_id = aurora.channel()
    body = {
        "to": _SECRET_WORDS,
        "type": "text",
        "text": {"body": _SECRET_WORDS, _SECRET_WORDS: 1},
        "ttl": _SECRET_WORDS,
    }
    answer = aurora.post(f"channels/{channel_id}/messages", body)
    assert answer.status_code == 422
    values = json.dumps([failure["detail"] for failure in answer.json()["errors"]])
    assert _SECRET_WORDS not in values


def test_half_of_a_surrogate_pair_is_refused_not_a_failure(platform: Caller) -> None:
    """JSON can say what UTF-8 cannot; that is the sender's mistake."""
    answer = platform.post("/v1/clinics", content=b'{"name": "\\ud83d"}', headers={"Content-Type": "application/json"})
    assert_problem(answer, 422, "invalid_request", "name")


def test_what_nobody_foresaw_is_a_500_that_leaks_nothing(
    platform: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the answer nor the log repeats an exception's text; the log has its type and where it happened."""

    def explode(*_: object) -> None:
        raise RuntimeError(_SECRET_WORDS)

    monkeypatch.setattr(clinics, "list_clinics", explode)
    with caplog.at_level(logging.INFO):
        answer = platform.get("/v1/clinics")
    problem = assert_problem(answer, 500, "internal_error")
    assert _SECRET_WORDS not in answer.text
    logged = [record for record in caplog.records if record.getMessage() == "unforeseen error"]
    assert logged
    assert logged[0].__dict__["error_types"] == ["RuntimeError"]
    assert logged[0].__dict__["request_id"] == problem["request_id"]
    assert _SECRET_WORDS not in json.dumps([record.__dict__ for record in caplog.records], default=str)


def test_a_store_that_does_not_answer_is_503(platform: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers may try again."""

    def unavailable(*_: object) -> None:
        raise ServiceUnavailableError

    monkeypatch.setattr(clinics, "list_clinics", unavailable)
    assert_problem(platform.get("/v1/clinics"), 503, "service_unavailable")


def test_every_answer_has_an_id_and_is_kept_by_no_cache(aurora: Caller) -> None:
    """Answers hold patients' data."""
    answer = aurora.get("channels")
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
