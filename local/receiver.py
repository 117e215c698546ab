"""``python -m local.receiver``: receives webhooks on this machine, verifies them and prints a line for each.

A secret is shown once, when its endpoint is made. Beside a local stack the receiver opens it in the stack's own tables;
elsewhere it must be told, with ``--secret`` or while it runs with
``curl http://127.0.0.1:8070/secrets -d '{"secret":"whsec_…"}'``, and keeps what it was told in a private file.
A webhook that no known secret verifies is printed with ``✗`` and answered 401.

For tests, ``POST /behaviour`` makes it fail or dawdle: ``{"status": 500, "delay_s": 2, "retry_after": 3, "times": 1}``;
``--record`` writes everything it receives to a file, one JSON object a line.
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import re
import signal
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from local.stack_secrets import secrets_of_clinic
from recado.kernel.errors import RecadoError

_HOST = "127.0.0.1"
_DEFAULT_PORT = 8070
_ADDRESS = re.compile(r"RECEIVER_URL=['\"]?http://127\.0\.0\.1:(\d+)")
_LARGEST_BODY = 1 << 20


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid")

    secret: str = Field(pattern=r"^whsec_[A-Za-z0-9+/]+={0,2}$")


class Behaviour(BaseModel):
    """How webhooks are answered; after ``times`` answers, all is well again."""

    model_config = ConfigDict(extra="forbid")

    status: int = Field(default=HTTPStatus.OK, ge=200, le=599)
    delay_s: float = Field(default=0, ge=0, le=120)
    retry_after: int | None = Field(default=None, ge=0)
    times: int | None = Field(default=None, ge=1)


class Secrets:
    """The secrets the receiver was told, kept in a file that only its owner can read."""

    def __init__(self, path: Path | None, given: list[str]) -> None:
        self._path = path
        kept: list[str] = json.loads(path.read_text()) if path is not None and path.exists() else []
        self.known = list(dict.fromkeys(kept + given))

    def add(self, secret: str) -> None:
        """Learn a secret, and keep it for the next start."""
        if secret in self.known:
            return
        self.known.append(secret)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            self._path.write_text(json.dumps(self.known, indent=1))

    def verify(self, body: bytes, headers: dict[str, str]) -> str | None:
        """Return the secret that verifies a webhook (Standard Webhooks), None if none does."""
        for secret in self.known:
            try:
                Webhook(secret).verify(body, headers, json_parse=False)
            except (WebhookVerificationError, ValueError):
                continue
            return secret
        return None


@dataclass
class Receiver:
    """What the receiver knows and does."""

    secrets: Secrets
    record: Path | None = None
    stack: Path | None = None
    behaviour: Behaviour = field(default_factory=Behaviour)

    def application(self) -> web.Application:
        """Return the HTTP application: webhooks on every path but ``/secrets`` and ``/behaviour``."""
        application = web.Application(client_max_size=_LARGEST_BODY)
        application.router.add_post("/secrets", self._learn)
        application.router.add_post("/behaviour", self._behave)
        application.router.add_post("/{path:.*}", self._receive)
        return application

    async def _learn(self, request: web.Request) -> web.Response:
        try:
            told = _Told.model_validate_json(await request.read())
        except ValidationError:
            return web.json_response({"error": 'send {"secret": "whsec_…"}'}, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        self.secrets.add(told.secret)
        return web.json_response({"known": len(self.secrets.known)}, status=HTTPStatus.CREATED)

    async def _behave(self, request: web.Request) -> web.Response:
        try:
            self.behaviour = Behaviour.model_validate_json(await request.read())
        except ValidationError as error:
            return web.json_response({"error": str(error)}, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        return web.json_response(self.behaviour.model_dump())

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        secret = self.secrets.verify(body, headers) or await asyncio.to_thread(self._verify_anew, body, headers)
        plain = secret is not None and _plain_signature_fits(secret, body, headers)
        behaviour = self._next_behaviour()
        status = behaviour.status if secret is not None else HTTPStatus.UNAUTHORIZED.value
        print(line(body, verified=secret is not None), flush=True)
        self._write(
            {
                "received_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "path": request.path_qs,
                "verified": secret is not None,
                "plain_signature": plain,
                "answered": status,
                "headers": headers,
                "body": _decoded(body),
            }
        )
        await asyncio.sleep(behaviour.delay_s)
        answer = {"retry-after": str(behaviour.retry_after)} if behaviour.retry_after is not None else {}
        return web.Response(status=status, headers=answer)

    def _verify_anew(self, body: bytes, headers: dict[str, str]) -> str | None:
        """Verify with what the stack beside us knows by now; an endpoint may be new, or its secret rotated."""
        event = _decoded(body)
        if self.stack is None or not isinstance(event, dict):
            return None
        try:
            self.secrets.known += secrets_of_clinic(self.stack, str(event.get("clinic_id")))
        except RecadoError as error:
            print(f"  the stack does not tell its secrets: {error}", file=sys.stderr)
        return self.secrets.verify(body, headers)

    def _next_behaviour(self) -> Behaviour:
        behaviour = self.behaviour
        if behaviour.times is not None:
            left = behaviour.times - 1
            self.behaviour = behaviour.model_copy(update={"times": left}) if left else Behaviour()
        return behaviour

    def _write(self, received: dict[str, Any]) -> None:
        if self.record is not None:
            with self.record.open("a", encoding="utf-8") as file:
                file.write(json.dumps(received, ensure_ascii=False) + "\n")


def line(body: bytes, *, verified: bool) -> str:
    """Return what is printed for a webhook: ``✓ signature  evt_…  message.received  chn_…  from +55…  "Confirmo"``."""
    mark = f"{'✓' if verified else '✗'} signature"
    event = _decoded(body)
    if not isinstance(event, dict):
        return f"{mark}  not a webhook"
    data = event.get("data")
    parts = [mark, *(str(event[name]) for name in ("id", "type", "channel_id") if event.get(name))]
    return "  ".join([*parts, *_facts(data if isinstance(data, dict) else {})])


def _facts(data: dict[str, Any]) -> list[str]:
    facts = []
    side = "to" if data.get("direction") == "outbound" else "from"
    party = data.get(side)
    if isinstance(party, dict) and (party.get("e164") or party.get("lid")):
        facts.append(f"{side} {party.get('e164') or party['lid']}")
    facts += [str(data[name]) for name in ("state", "reason", "code") if data.get(name)]
    text = data.get("text")
    if isinstance(text, dict):
        facts.append(json.dumps(text.get("body"), ensure_ascii=False))
    return facts


def _plain_signature_fits(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, headers.get("x-webhook-signature", ""))


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def port_in(environment: Path) -> int:
    """Return the port that the stack's environment file names for the receiver, 8070 without one."""
    found = _ADDRESS.search(environment.read_text()) if environment.exists() else None
    return int(found.group(1)) if found else _DEFAULT_PORT


async def serve(receiver: Receiver, port: int) -> None:
    """Receive until SIGINT or SIGTERM."""
    runner = web.AppRunner(receiver.application(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    over = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, over.set)
    try:
        await web.TCPSite(runner, _HOST, port).start()
        bound = runner.addresses[0][1]
        print(f"  listening on http://{_HOST}:{bound}/  secrets known: {len(receiver.secrets.known)}", flush=True)
        await over.wait()
    finally:
        await runner.cleanup()


def main(arguments: list[str]) -> int:
    """Read the command line and receive."""
    parser = argparse.ArgumentParser(prog="python -m local.receiver", description="Receive, verify and print webhooks.")
    parser.add_argument("--env", type=Path, default=Path(".local/env"), help="the stack's environment file")
    parser.add_argument("--port", type=int, help="port on 127.0.0.1; by default what --env names, or 8070")
    parser.add_argument("--secret", action="append", default=[], help="an endpoint's secret; may be repeated")
    parser.add_argument("--secrets", type=Path, help="where to keep secrets; by default beside --env")
    parser.add_argument("--record", type=Path, help="append every webhook to this file, one JSON object a line")
    options = parser.parse_args(arguments)
    secrets = Secrets(options.secrets or options.env.parent / "receiver-secrets.json", options.secret)
    port = options.port if options.port is not None else port_in(options.env)
    try:
        asyncio.run(serve(Receiver(secrets, options.record, options.env.parent / "stack.json"), port))
    except OSError as error:
        print(f"  cannot listen on 127.0.0.1:{port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
