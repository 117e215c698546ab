"""The clinic dashboard asks the logs: the lines it asks for are written, with the fields it names."""

import ast
import logging
import re
from types import SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from functions.api import access_log
from functions.recorder import recording
from functions.webhook_attempts import handler as webhook_attempts
from infra.constructs.clinic_dashboard import API_LINE, ATTEMPT_LINE, NO_CLINIC, RECORDED_LINE, STATE_LINE, VAULT_LINE
from local.stack.state import CHECKOUT
from recado.webhooks.commands import AttemptRequest
from recado.webhooks.service.attempts import AttemptResult
from session_runner.sessions.standing import Standing
from session_runner.vault import usage as vault_usage
from tests.infra.template import Templates
from tests.infra.test_observability import bodies

# Made by CloudWatch, by Powertools for every line, or by the query itself.
_GIVEN = {"timestamp", "message", "level", "requests", "facts", "attempts", "bytes", "p50", "p99"}
_WORDS = {"filter", "stats", "fields", "sort", "limit", "by", "bin", "count", "sum", "pct", "as", "desc", "in"}


@pytest.fixture
def asked(prod: Templates) -> dict[str, set[str]]:
    """The fields that the dashboard's queries name, by the message of the lines they are about."""
    found: dict[str, set[str]] = {}
    for widget in bodies(prod)["recado-prod-clinic"]["widgets"]:
        query = widget["properties"]["query"]
        about = re.search(r'filter message = "([^"]+)"', query)
        bare = re.sub(r"SOURCE '[^']*'|\"[^\"]*\"", "", query)
        names = set(re.findall(r"[a-z_][a-z_0-9]*", bare)) - _WORDS - _GIVEN
        found.setdefault(about[1] if about else "", set()).update(names - {"m", "h"})
    return found


def _of(caplog: pytest.LogCaptureFixture, message: str) -> dict[str, Any]:
    (line,) = [record.__dict__ for record in caplog.records if record.getMessage() == message]
    return line


@pytest.fixture(autouse=True)
def _listening(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_every_query_is_about_a_line_that_is_tried_below(asked: dict[str, set[str]]) -> None:
    """A new kind of line needs a test of its own here."""
    assert set(asked) == {"", API_LINE, RECORDED_LINE, ATTEMPT_LINE, STATE_LINE, VAULT_LINE}


def test_the_apis_line(asked: dict[str, set[str]], caplog: pytest.LogCaptureFixture) -> None:
    """One for each request, with the clinic that authentication found."""
    request: Any = SimpleNamespace(
        scope={"path": "/v1/clinics", "route": SimpleNamespace(path="/v1/clinics/{clinic_id}")},
        path_params={},
        method="GET",
        state=SimpleNamespace(clinic_id=NO_CLINIC, request_id="req_1", error_code="not_found"),
    )
    access_log._log(request, 404, 0.1)
    line = _of(caplog, API_LINE)
    assert asked[API_LINE] <= line.keys()
    assert line["clinic_id"] == NO_CLINIC


def test_the_recorders_line(asked: dict[str, set[str]], caplog: pytest.LogCaptureFixture) -> None:
    """One for each fact that is done."""
    entry: Any = SimpleNamespace(
        clinic_id=NO_CLINIC,
        channel_id="chn_1",
        shard_id="shard-001",
        entry_id="evt_1",
        kind="message.received",
        sequence=1,
    )
    recording._tell_done([entry])
    line = _of(caplog, RECORDED_LINE)
    assert asked[RECORDED_LINE] <= line.keys()
    assert line["clinic_id"] == NO_CLINIC


def test_the_line_of_an_attempt(
    asked: dict[str, set[str]], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for each HTTP try."""
    monkeypatch.setattr("recado.webhooks.service.attempt", lambda _request: AttemptResult.DELIVERED)
    body = AttemptRequest(NO_CLINIC, "whk_1", "dlv_1", 1).to_json()
    webhook_attempts._attempt(SQSRecord({"body": body}))
    line = _of(caplog, ATTEMPT_LINE)
    assert asked[ATTEMPT_LINE] <= line.keys()
    assert line["clinic_id"] == NO_CLINIC


def test_the_vaults_line(asked: dict[str, set[str]], caplog: pytest.LogCaptureFixture) -> None:
    """One for each write, with what it cost."""
    vault_usage.tell(vault_usage.Usage(NO_CLINIC, "chn_1", "snapshot", clean=True, puts=2, sent_bytes=10, stored=True))
    line = _of(caplog, VAULT_LINE)
    assert asked[VAULT_LINE] <= line.keys()
    assert line["clinic_id"] == NO_CLINIC


def test_the_line_of_a_channels_state(asked: dict[str, set[str]]) -> None:
    """One for each change; every line about a session has its clinic and channel, the shard is the process's own."""
    standing: Any = SimpleNamespace(channel=SimpleNamespace(clinic_id=NO_CLINIC, channel_id="chn_1"))
    known = set(Standing.fields(standing, state="connected", reason="x"))
    source = (CHECKOUT / "session_runner" / "sessions" / "standing.py").read_text(encoding="utf-8")
    calls = [
        call
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call) and call.args and ast.unparse(call.args[0]) == repr(STATE_LINE)
    ]
    assert [ast.unparse(keyword.value) for keyword in calls[0].keywords] == [
        "self.fields(state=state.value, reason=reason)"
    ]
    assert asked[STATE_LINE] - {"shard_id"} <= known
    supervisor = (CHECKOUT / "session_runner" / "supervisor.py").read_text(encoding="utf-8")
    assert "append_keys(shard_id=" in supervisor
