"""The Lambda entry point, with the events that API Gateway sends."""

import base64
import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recado.channels import service as channels
from recado.channels.model import PairingMethod
from tests.functions.api.support import Caller, receive
from tests.support.aws import ENVIRONMENT

_ROOT = Path(__file__).parents[3]
_CONTEXT = SimpleNamespace(
    function_name="recado-test-api",
    memory_limit_in_mb=1024,
    invoked_function_arn="arn:aws:lambda:sa-east-1:123456789012:function:recado-test-api",
    aws_request_id="6f3c1d7e-0000-4000-8000-000000000001",
    get_remaining_time_in_millis=lambda: 20_000,
)
_SAMPLE_CLINIC, _SAMPLE_CHANNEL = "cli_01kb1v00000000000000000000", "chn_01kb1v00000000000000000000"

Handle = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def handle(aurora: Caller) -> Handle:
    """Lambda's call of the handler."""
    from functions.api.handler import handler  # noqa: PLC0415 - its loggers want the test's settings

    def call(event: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = handler(event, _CONTEXT)
        return json.loads(json.dumps(answer))  # type: ignore[no-any-return]

    return call


def _sample(name: str, caller: Caller, channel_id: str = _SAMPLE_CHANNEL) -> dict[str, Any]:
    """Return a sample event, told of this test's clinic, channel and key."""
    text = (_ROOT / "events" / "http" / f"{name}.json").read_text(encoding="utf-8")
    key = json.loads(text)["headers"].get("Authorization", "Bearer none").removeprefix("Bearer ")
    told = text.replace(_SAMPLE_CLINIC, caller.clinic_id).replace(_SAMPLE_CHANNEL, channel_id).replace(key, caller.key)
    event: dict[str, Any] = json.loads(told)
    return event


def test_a_message_is_accepted_and_repeated(aurora: Caller, handle: Handle) -> None:
    """The whole way of a send with its Idempotency-Key, and again."""
    event = _sample("send_message", aurora, aurora.channel())
    first, again = handle(event), handle(event)
    assert (first["statusCode"], first["isBase64Encoded"]) == (202, False)
    assert json.loads(first["body"])["to"] == {"input": "(11) 97777-0001", "e164": "+5511977770001"}
    assert again["body"] == first["body"]
    assert again["headers"]["idempotency-replayed"] == "true"


def test_query_strings_arrive(aurora: Caller, handle: Handle) -> None:
    """API Gateway takes them apart; the application gets them whole."""
    channel_id = aurora.channel()
    message_id = receive(aurora, channel_id, "Confirmo")
    answer = handle(_sample("list_messages", aurora))
    body = json.loads(answer["body"])
    assert [message["message_id"] for message in body["data"]] == [message_id]


def test_a_body_may_come_as_base64(aurora: Caller, handle: Handle) -> None:
    """API Gateway does that for what it takes for binary."""
    event = _sample("send_message", aurora, aurora.channel())
    event["body"], event["isBase64Encoded"] = base64.b64encode(event["body"].encode()).decode(), True
    assert handle(event)["statusCode"] == 202


def test_problems_leave_as_text(aurora: Caller, handle: Handle) -> None:
    """problem+json must not be sent as base64, which API Gateway would pass on as it is."""
    event = _sample("send_message", aurora)
    answer = handle(event)
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (404, False)
    assert answer["headers"]["content-type"] == "application/problem+json"
    assert json.loads(answer["body"])["code"] == "channel_not_found"


def test_pictures_leave_as_base64(aurora: Caller, handle: Handle) -> None:
    """The only way for bytes through a proxy response."""
    channel_id = aurora.channel()
    aurora.post(f"channels/{channel_id}/connect")
    channel = channels.get(aurora.clinic_id, channel_id)
    assert channel.pairing is not None
    expires_at = channel.pairing.requested_at.replace(year=2099)
    channels.put_pairing_code(aurora.clinic_id, channel_id, PairingMethod.QR, "2@AbC", expires_at)
    answer = handle(_sample("qr_png", aurora, channel_id))
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, True)
    assert base64.b64decode(answer["body"]).startswith(b"\x89PNG")


def test_health_answers_through_the_handler(aurora: Caller, handle: Handle) -> None:
    """Without a key."""
    assert handle(_sample("health", aurora))["statusCode"] == 200


def test_log_lines_carry_the_gateways_request_id_and_no_body(
    aurora: Caller, handle: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One id from the gateway's log to ours; the event itself is never logged."""
    event = _sample("send_message", aurora, aurora.channel())
    written = io.StringIO()
    for output in logging.getLogger("api").handlers:
        monkeypatch.setattr(output, "stream", written)
    handle(event)
    printed = written.getvalue()
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    requests = [line for line in lines if line.get("message") == "request"]
    assert [line["correlation_id"] for line in requests] == [event["requestContext"]["requestId"]]
    assert "Consulta" not in printed
    assert "97777" not in printed
    assert aurora.key[-43:] not in printed


def test_each_request_is_counted_by_stage_component_and_outcome(
    aurora: Caller, handle: Handle, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dimension per clinic would cost more than the clinic."""
    handle(_sample("health", aurora))
    capsys.readouterr()
    handle(_sample("send_message", aurora))
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    (written,) = [line for line in printed if "Requests4xx" in line]
    assert written["RequestMilliseconds"][0] > 0
    assert written["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["stage", "component"]]
    assert (written["stage"], written["component"]) == ("test", "api")


def test_a_request_that_waits_is_no_measure_of_speed(
    aurora: Caller, handle: Handle, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pairing code that was asked for with ``wait=20`` may take 20 s; that must not ring the alarm on latency."""
    event = _sample("health", aurora)
    handle({**event, "queryStringParameters": {"wait": "20"}, "multiValueQueryStringParameters": {"wait": ["20"]}})
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert [line for line in printed if "WaitMilliseconds" in line]
    assert not [line for line in printed if "RequestMilliseconds" in line]


def test_importing_the_handler_connects_to_nothing() -> None:
    """A cold start makes no AWS client and draws no QR code before a request needs it."""
    program = (
        "import sys, boto3\n"
        "def refuse(*_, **__): raise SystemExit('an AWS client was made at import')\n"
        "boto3.client = boto3.resource = boto3.session.Session.client = refuse\n"
        "import botocore.session; botocore.session.Session.create_client = refuse\n"
        "import functions.api.handler\n"
        "heavy = {'fastapi_offline', 'aws_xray_sdk', 'jwt', 'moto', 'pytest'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    _run(program)


def test_tracing_is_loaded_when_asked_for() -> None:
    """And takes the handler as it is."""
    _run("import sys, functions.api.handler\nassert 'aws_xray_sdk' in sys.modules\n", RECADO_TRACING="true")


def _run(program: str, **settings: str) -> None:
    paths = f"{_ROOT}:{_ROOT / 'layers/core/python'}"
    environment = {"PYTHONPATH": paths, "PATH": "/usr/bin:/bin", **ENVIRONMENT, **settings}
    finished = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=_ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
