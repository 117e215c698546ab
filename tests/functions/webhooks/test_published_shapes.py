"""What the documentation promises of a webhook: its schema, its sample, and the snippets that verify it."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from recado.kernel.envelopes import Event
from recado.messages.model import Direction, Message, MessageType, Party, Source
from recado.messages.status import MessageStatus
from recado.webhooks.body import body_of, message_id_of, shows_phone
from recado.webhooks.events import CHANNEL_TYPES, MESSAGE_TYPES
from recado.webhooks.signing import new_secret, signed_headers
from tests.functions.webhook_attempts.receivers import receiving, saying

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
SNIPPETS = dict(re.findall(r"<!-- snippet:([a-z-]+) -->\n```[a-z]+\n(.*?)```", DOCUMENT, re.DOTALL))
PUBLISHED: dict[str, Any] = json.loads((ROOT / "events" / "schemas" / "webhook.schema.json").read_text())
SCHEMA = Draft202012Validator(PUBLISHED, format_checker=Draft202012Validator.FORMAT_CHECKER)
BUS_SAMPLES = sorted((ROOT / "events" / "eventbridge").glob("*.json"))
BODY = '{"type":"message.received","data":{"text":{"body":"Confirmo às 14h 👍"}}}'.encode()


def bus_event(path: Path) -> Event:
    return Event.from_mapping(json.loads(path.read_text())["detail"])


def message_of(event: Event) -> Message:
    """The message that the sample event is about."""
    return Message(
        clinic_id=event.clinic_id,
        channel_id=event.channel_id,
        message_id=event.data["message_id"],
        direction=Direction(event.data["direction"]),
        status=MessageStatus.READ,
        type=MessageType(event.data["type"]),
        source=Source(event.data["source"]),
        created_at=event.timestamp,
        sender=Party(e164="+5511977770001", lid="900000001@lid"),
        to=Party(input="(11) 97777-0001", e164="+5511977770001"),
        text="Confirmo",
        context_whatsapp_id="3A00",
        timestamp=event.timestamp,
    )


def test_the_schema_is_one() -> None:
    """The published schema is itself valid."""
    Draft202012Validator.check_schema(PUBLISHED)


@pytest.mark.parametrize("sample", BUS_SAMPLES, ids=lambda path: path.stem)
def test_the_body_of_every_kind_of_event_is_as_published(sample: Path) -> None:
    """Each event that can be on the bus becomes a body of the schema, with and without its message still stored."""
    event = bus_event(sample)
    SCHEMA.validate(json.loads(body_of(event)))
    if message_id_of(event):
        SCHEMA.validate(json.loads(body_of(event, message=message_of(event))))
    if shows_phone(event):
        SCHEMA.validate(json.loads(body_of(event, phone="+5511988880001")))


def test_the_catalogue_the_schema_the_document_and_the_bus_name_the_same_events() -> None:
    """No event type is missing or invented in any of the four places."""
    catalogue = MESSAGE_TYPES | CHANNEL_TYPES
    assert set(PUBLISHED["properties"]["type"]["enum"]) == catalogue | {"webhook.ping"}
    assert {path.stem for path in BUS_SAMPLES} == catalogue
    rows = [line for line in DOCUMENT.splitlines() if line.startswith(("| `message.", "| `channel."))]
    documented: set[str] = set()
    for row in rows:
        first, *more = re.findall(r"`([a-z_.]+)`", row.split("|")[1])
        family = first.partition(".")[0]
        documented |= {first, *(name if name.startswith(family) else f"{family}{name}" for name in more)}
    assert documented == catalogue


def test_the_schema_lets_a_text_through_only_where_it_belongs() -> None:
    """A text in an event about a message's fate, or a code in a pairing event, would be refused."""
    event = bus_event(ROOT / "events" / "eventbridge" / "message.delivered.json")
    body = json.loads(body_of(event, message=message_of(event)))
    body["data"]["text"] = {"body": "Confirmo"}
    assert not SCHEMA.is_valid(body)
    code = json.loads(body_of(bus_event(ROOT / "events" / "eventbridge" / "channel.qr_ready.json")))
    assert SCHEMA.is_valid(code)
    code["data"]["code"] = "https://wa.me/settings/linked_devices#secret"
    assert not SCHEMA.is_valid(code)


def test_the_sample_request_is_of_the_schema_and_signed_with_its_secret() -> None:
    """The sample can be used as a test vector by whoever writes a receiver."""
    sample = json.loads((ROOT / "events" / "http" / "webhook_message_received.json").read_text())
    body = json.loads(sample["body"])
    SCHEMA.validate(body)
    at = datetime.fromtimestamp(int(sample["headers"]["webhook-timestamp"]), UTC)
    signed = signed_headers(body["id"], at, sample["body"].encode(), [sample["secret"]])
    assert signed | {"user-agent": "any"} == sample["headers"] | {"user-agent": "any"}
    for value in sample["headers"].values():
        assert value in DOCUMENT


def run(command: list[str], folder: Path, **variables: str) -> bool:
    """Run a snippet that ends well if it believes the webhook, and badly if it does not."""
    given = [f"{name}={value}" for name, value in variables.items()]
    finished = subprocess.run(
        ["env", *given, *command], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert finished.returncode == 0 or "not from Recado" in finished.stdout + finished.stderr, finished.stderr
    return finished.returncode == 0


def in_python(folder: Path, body: bytes, headers: Mapping[str, str], secret: str) -> bool:
    return _python("python", folder, body, headers, secret)


def in_python_with_the_library(folder: Path, body: bytes, headers: Mapping[str, str], secret: str) -> bool:
    return _python("python-library", folder, body, headers, secret)


def _python(name: str, folder: Path, body: bytes, headers: Mapping[str, str], secret: str) -> bool:
    call = f"""
try:
    verify({body!r}, {dict(headers)!r}, {secret!r})
except Exception:
    raise SystemExit("not from Recado")
"""
    (folder / "snippet.py").write_text(SNIPPETS[name] + call)
    return run([sys.executable, "snippet.py"], folder)


def in_node(folder: Path, body: bytes, headers: Mapping[str, str], secret: str) -> bool:
    call = f"verify(require('fs').readFileSync('body'), {json.dumps(dict(headers))}, {json.dumps(secret)});\n"
    (folder / "body").write_bytes(body)
    (folder / "snippet.js").write_text(SNIPPETS["node"] + call)
    return run(["node", "snippet.js"], folder)


def in_php(folder: Path, body: bytes, headers: Mapping[str, str], secret: str) -> bool:
    call = (
        f"verify(file_get_contents('body'), json_decode({json.dumps(json.dumps(dict(headers)))}, true), '{secret}');\n"
    )
    (folder / "body").write_bytes(body)
    (folder / "snippet.php").write_text("<?php\n" + SNIPPETS["php"] + call)
    return run(["php", "snippet.php"], folder)


def in_shell(folder: Path, body: bytes, headers: Mapping[str, str], secret: str) -> bool:
    (folder / "body").write_bytes(body)
    variables = {name.replace("-", "_"): value for name, value in headers.items()}
    return run(["sh", "-c", SNIPPETS["shell"]], folder, secret=secret, **variables)


VERIFIERS: list[Any] = [
    in_python,
    in_python_with_the_library,
    pytest.param(in_node, marks=pytest.mark.skipif(shutil.which("node") is None, reason="no node here")),
    pytest.param(in_php, marks=pytest.mark.skipif(shutil.which("php") is None, reason="no php here")),
    pytest.param(in_shell, marks=pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")),
]


@pytest.mark.parametrize("believes", VERIFIERS)
def test_each_documented_snippet_believes_recado_and_nobody_else(believes: Any, tmp_path: Path) -> None:
    """A genuine webhook passes, also during a rotation; an altered body and another secret do not."""
    secret, former = new_secret(), new_secret()
    headers = signed_headers("evt_1", datetime.now(UTC), BODY, [secret, former])
    assert believes(tmp_path, BODY, headers, secret)
    assert believes(tmp_path, BODY, headers, former)
    assert not believes(tmp_path, BODY.replace(b"14h", b"15h"), headers, secret)
    assert not believes(tmp_path, BODY, headers, new_secret())


@pytest.mark.parametrize("believes", VERIFIERS[:-1])
def test_the_snippets_that_look_at_the_clock_refuse_what_is_old(believes: Any, tmp_path: Path) -> None:
    """A webhook recorded and sent again after five minutes is refused."""
    secret = new_secret()
    headers = signed_headers("evt_1", datetime.fromtimestamp(1_700_000_000, UTC), BODY, [secret])
    assert not believes(tmp_path, BODY, headers, secret)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_the_documented_check_of_the_plain_signature_works(tmp_path: Path) -> None:
    """The hex HMAC of the raw body under the whole secret is what the document says it is."""
    secret = new_secret()
    signature = signed_headers("evt_1", datetime.now(UTC), BODY, [secret])["x-webhook-signature"]
    (tmp_path / "body").write_bytes(BODY)
    check = SNIPPETS["shell-plain"].rstrip() + " || { echo 'not from Recado'; false; }"
    assert run(["sh", "-c", check], tmp_path, secret=secret, x_webhook_signature=signature)
    assert not run(["sh", "-c", check], tmp_path, secret=new_secret(), x_webhook_signature=signature)


@pytest.mark.skipif(shutil.which("openssl") is None or shutil.which("curl") is None, reason="no openssl or curl here")
def test_the_documented_way_to_sign_a_request_oneself_satisfies_a_verifier(tmp_path: Path) -> None:
    """What curl sends by the document's lines is believed by the document's Python lines."""
    secret = new_secret()
    with receiving(saying(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")) as receiver:
        address = f"http://127.0.0.1:{receiver.port}/"
        assert run(["sh", "-c", SNIPPETS["curl"]], tmp_path, secret=secret, RECEIVER_URL=address)
    head, _, body = receiver.requests[0].partition(b"\r\n\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
    # Lowering the line would spoil the signature's base64.
    headers["webhook-signature"] = next(
        line.split(": ", 1)[1] for line in head.decode().split("\r\n") if line.lower().startswith("webhook-signature")
    )
    assert in_python(tmp_path, body, headers, secret)


def test_every_snippet_of_the_document_is_tried_here() -> None:
    """A snippet that is added to the document without a test is noticed."""
    assert set(SNIPPETS) == {"python", "python-library", "node", "php", "shell", "shell-plain", "curl"}
