"""The demo's webhook receiver: honest about what it could verify, and misbehaving on request."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from local.receiver import Behaviour, Receiver, Secrets, line, main, port_in
from recado.webhooks.signing import new_secret, signed_headers

EVENT = {
    "id": "evt_1",
    "type": "message.received",
    "channel_id": "chn_1",
    "data": {"direction": "inbound", "from": {"e164": "+5511977770001", "lid": None}, "text": {"body": "Confirmo"}},
}
BODY = json.dumps(EVENT).encode()


def signed(*secrets: str) -> dict[str, str]:
    return signed_headers("evt_1", datetime.now(UTC), BODY, secrets)


def visit(receiver: Receiver, visitor: Callable[..., Awaitable[None]]) -> None:
    async def through() -> None:
        async with TestClient(TestServer(receiver.application(), host="127.0.0.1")) as client:
            await visitor(client)

    asyncio.run(through())


def test_a_verified_webhook_is_printed_with_its_text_and_answered_200(capsys: pytest.CaptureFixture[str]) -> None:
    secret = new_secret()

    async def send(client: TestClient) -> None:  # type: ignore[type-arg]
        assert (await client.post("/", data=BODY, headers=signed(secret))).status == 200

    visit(Receiver(Secrets(None, [secret])), send)
    assert capsys.readouterr().out == '✓ signature  evt_1  message.received  chn_1  from +5511977770001  "Confirmo"\n'


def test_a_webhook_no_secret_verifies_is_marked_and_refused(capsys: pytest.CaptureFixture[str]) -> None:
    async def send(client: TestClient) -> None:  # type: ignore[type-arg]
        assert (await client.post("/", data=BODY, headers=signed(new_secret()))).status == 401
        assert (await client.post("/", data=BODY)).status == 401
        assert (await client.post("/", data=b"\xff not json")).status == 401

    visit(Receiver(Secrets(None, [new_secret()])), send)
    lines = capsys.readouterr().out.splitlines()
    assert [one.startswith("✗ signature") for one in lines] == [True, True, True]


def test_a_secret_told_while_running_is_used_and_kept_privately(tmp_path: Path) -> None:
    secret, path = new_secret(), tmp_path / "folder" / "secrets.json"

    async def tell(client: TestClient) -> None:  # type: ignore[type-arg]
        assert (await client.post("/", data=BODY, headers=signed(secret))).status == 401
        assert (await client.post("/secrets", data=json.dumps({"secret": secret}))).status == 201
        assert (await client.post("/", data=BODY, headers=signed(secret))).status == 200
        assert (await client.post("/secrets", data='{"secret":"not one"}')).status == 422

    visit(Receiver(Secrets(path, [])), tell)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Secrets(path, []).known == [secret]


def test_it_fails_and_dawdles_as_often_as_it_is_told() -> None:
    secret = new_secret()
    receiver = Receiver(Secrets(None, [secret]))

    async def misbehave(client: TestClient) -> None:  # type: ignore[type-arg]
        told = await client.post("/behaviour", json={"status": 503, "retry_after": 7, "times": 2})
        assert told.status == 200
        for _ in range(2):
            answer = await client.post("/", data=BODY, headers=signed(secret))
            assert (answer.status, answer.headers["retry-after"]) == (503, "7")
        assert (await client.post("/", data=BODY, headers=signed(secret))).status == 200
        assert (await client.post("/behaviour", json={"status": 9000})).status == 422
        await client.post("/behaviour", json={"delay_s": 0.2})
        began = asyncio.get_running_loop().time()
        await client.post("/", data=BODY, headers=signed(secret))
        assert asyncio.get_running_loop().time() - began >= 0.2

    visit(receiver, misbehave)
    assert receiver.behaviour == Behaviour(delay_s=0.2)


def test_everything_received_is_recorded(tmp_path: Path) -> None:
    secret, path = new_secret(), tmp_path / "received.jsonl"

    async def send(client: TestClient) -> None:  # type: ignore[type-arg]
        await client.post("/hook?a=1", data=BODY, headers=signed(secret))
        await client.post("/", data="nonsense")

    visit(Receiver(Secrets(None, [secret]), path), send)
    first, second = (json.loads(text) for text in path.read_text().splitlines())
    assert (first["path"], first["verified"], first["plain_signature"], first["answered"]) == (
        "/hook?a=1",
        True,
        True,
        200,
    )
    assert first["body"] == EVENT
    assert first["headers"]["webhook-id"] == "evt_1"
    assert (second["verified"], second["body"]) == (False, "nonsense")


def test_during_a_rotation_either_secret_verifies() -> None:
    new, old = new_secret(), new_secret()
    for known in (new, old):
        assert Secrets(None, [known]).verify(BODY, signed(new, old)) == known


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            {"id": "evt_1", "type": "channel.connected", "channel_id": "chn_1", "data": {"state": "connected"}},
            "✓ signature  evt_1  channel.connected  chn_1  connected",
        ),
        (
            {
                "id": "evt_1",
                "type": "message.failed",
                "channel_id": "chn_1",
                "data": {"direction": "outbound", "to": {"e164": None, "lid": "1@lid"}, "code": "463", "text": None},
            },
            "✓ signature  evt_1  message.failed  chn_1  to 1@lid  463",
        ),
        ({"id": "evt_1", "type": "webhook.ping", "channel_id": None, "data": {}}, "✓ signature  evt_1  webhook.ping"),
        ([], "✓ signature  not a webhook"),
    ],
)
def test_each_kind_of_event_has_its_line(event: object, expected: str) -> None:
    assert line(json.dumps(event).encode(), verified=True) == expected


def test_the_port_is_taken_from_the_stacks_environment(tmp_path: Path) -> None:
    environment = tmp_path / "env"
    assert port_in(environment) == 8070
    environment.write_text("export RECADO_URL=http://127.0.0.1:8080\nexport RECEIVER_URL='http://127.0.0.1:8071'\n")
    assert port_in(environment) == 8071


def test_a_taken_port_is_said_and_not_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def occupy(client: TestClient) -> None:  # type: ignore[type-arg]
        arguments = ["--port", str(client.port), "--env", str(tmp_path / "env")]
        assert await asyncio.to_thread(_run_main, arguments) == 1

    visit(Receiver(Secrets(None, [])), occupy)


def _run_main(arguments: list[str]) -> int:
    return subprocess.run(
        [sys.executable, "-m", "local.receiver", *arguments], capture_output=True, timeout=30, check=False
    ).returncode


def test_the_command_listens_on_loopback_and_stops_cleanly(tmp_path: Path) -> None:
    secret = new_secret()
    process = subprocess.Popen(
        [sys.executable, "-m", "local.receiver", "--port", "0", "--env", str(tmp_path / "env"), "--secret", secret],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", greeting)
        assert address is not None
        request = urllib.request.Request(address.group(), data=BODY, headers=signed(secret))  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
            assert answer.status == 200
        assert process.stdout.readline().startswith("✓ signature  evt_1")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.wait()


def test_main_refuses_unknown_options() -> None:
    with pytest.raises(SystemExit):
        main(["--no-such-option"])
