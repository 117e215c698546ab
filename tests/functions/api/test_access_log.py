"""One line per request, fit to be read by people who must not know patients."""

import logging
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.functions.api.support import Caller


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The access log, as the fields of its records."""
    caplog.set_level(logging.INFO)
    return _Lines(caplog)


class _Lines(list[dict[str, Any]]):
    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        super().__init__()
        self._caplog = caplog

    def __iter__(self) -> Any:
        return iter([record.__dict__ for record in self._caplog.records if record.getMessage() == "request"])


def test_a_request_is_logged_with_route_status_time_and_clinic(aurora: Caller, lines: list[dict[str, Any]]) -> None:
    """By the route's template, so that requests can be counted and no id stands in the way."""
    channel_id = aurora.channel()
    answer = aurora.get(f"channels/{channel_id}?wait_for=connected")
    line = list(lines)[-1]
    assert line["method"] == "GET"
    assert line["route"] == "/v1/clinics/{clinic_id}/channels/{channel_id}"
    assert line["status"] == 200
    assert line["duration_ms"] >= 0
    assert line["clinic_id"] == aurora.clinic_id
    assert line["channel_id"] == channel_id
    assert line["request_id"] == answer.headers["x-request-id"]


def test_neither_query_nor_body_nor_key_is_logged(
    aurora: Caller, lines: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    """Numbers, texts and keys stay out of every record, also those of libraries."""
    channel_id = aurora.channel()
    aurora.get("messages?contact=%2B5511977770001")
    aurora.post(
        f"channels/{channel_id}/messages",
        {"to": "+5511977770001", "type": "text", "text": {"body": "private words"}},
    )
    assert [line["status"] for line in lines][-2:] == [200, 202]
    own = [record for record in caplog.records if not record.name.startswith(("httpx", "botocore", "urllib3"))]
    text = str([record.__dict__ for record in own])
    assert "977770001" not in text
    assert "private words" not in text
    assert aurora.key[-43:] not in text


def test_a_refusal_is_logged_with_its_code(aurora: Caller, brisa: Caller, lines: list[dict[str, Any]]) -> None:
    """The clinic of the log line is the caller's, not the one it asked for."""
    brisa.get(aurora.path("channels"))
    line = list(lines)[-1]
    assert line["error_code"] == "clinic_not_found"
    assert line["clinic_id"] == brisa.clinic_id


def test_health_is_not_logged(client: TestClient, lines: list[dict[str, Any]]) -> None:
    """Load balancers ask every few seconds."""
    assert client.get("/health").status_code == 200
    assert list(lines) == []


def test_an_unknown_path_is_logged_without_the_path(client: TestClient, lines: list[dict[str, Any]]) -> None:
    """A path that is no route may hold anything."""
    client.get("/5511977770001")
    assert list(lines)[-1]["route"] == "(none)"
