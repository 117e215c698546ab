"""``make verify-aws``: what the API's edge answers, against a server that answers well or ill."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from infra.verification import edge
from infra.verification.checks import Outcome, make
from tests.infra.verification.stubs import StubbedSession, account

Answer = tuple[int, str | None, str]
Behaviour = Callable[[str, bytes], Answer]

OPEN: Answer = (401, "unauthenticated", "application/problem+json")
BLOCKED: Answer = (403, "request_blocked", "application/problem+json")
HUGE: Answer = (413, "body_too_large", "application/json")
FLOODED: Answer = (429, "rate_limited", "application/json")


def well(path: str, body: bytes) -> Answer:
    if len(body) > 256 * 1024:
        return HUGE
    return BLOCKED if "passwd" in path else OPEN


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, code, media_type = behaviour(self.path, self.rfile.read(int(self.headers["content-length"] or 0)))
            content = json.dumps({"code": code}).encode() if code else b"<html>Forbidden</html>"
            self.send_response(status)
            self.send_header("content-type", media_type)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the base class's name

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/dev/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def made(name: str, behaviour: Behaviour, **options: Any) -> Outcome:
    with serving(behaviour) as url:
        return make(name, account(StubbedSession({"Url": url}), **options))


def test_refusals_are_problems_with_their_codes() -> None:
    """No key, an attack and a huge body."""
    outcome = made("refusals_are_problems", well)
    assert outcome.status == "pass", outcome
    assert outcome.evidence.endswith("401 unauthenticated, 403 request_blocked, 413 body_too_large")


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (OPEN, (401, None, "text/html")),
        (OPEN, (200, "unauthenticated", "application/json")),
        (BLOCKED, (403, None, "text/html")),
        (BLOCKED, (200, "request_blocked", "application/json")),
        (HUGE, (413, "malformed_request", "application/json")),
        (HUGE, (413, "body_too_large", "text/plain")),
    ],
)
def test_a_refusal_that_is_no_problem_document_fails(kind: Answer, answer: Answer) -> None:
    """Whether status, code or media type is another."""

    def ill(path: str, body: bytes) -> Answer:
        meant = well(path, body)
        return answer if meant == kind else meant

    assert made("refusals_are_problems", ill).status == "fail"


def test_texts_have_to_reach_the_api() -> None:
    """Each of them; the evidence names the ones that did not by their places, not by what they say."""
    assert made("texts_pass_the_firewall", well).status == "pass"
    outcome = made("texts_pass_the_firewall", lambda _, body: BLOCKED if b"<script>" in body else OPEN)
    assert (outcome.status, outcome.evidence) == (
        "fail",
        f"sample texts that did not reach the API: 4 of {len(edge.TEXTS)}",
    )


def test_a_flood_has_to_be_throttled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some answer of a flood is 429 and a problem; a flood that is let through fails."""
    monkeypatch.setattr(edge, "_BATCH", 32)
    monkeypatch.setattr(edge, "_PATIENCE_SECONDS", 0.25)
    seen: list[str] = []

    def throttling(path: str, _: bytes) -> Answer:
        seen.append(path)
        return FLOODED if len(seen) > 50 else OPEN

    outcome = made("floods_are_throttled", throttling, disturb=True)
    assert outcome.status == "pass", outcome
    assert made("floods_are_throttled", well, disturb=True).status == "fail"
    broken = made("floods_are_throttled", lambda *_: (429, None, "text/html"), disturb=True)
    assert broken.status == "fail"


def test_an_api_that_does_not_answer_fails() -> None:
    """Nothing was shown."""
    with serving(well) as url:
        pass
    outcome = make("refusals_are_problems", account(StubbedSession({"Url": url})))
    assert (outcome.status, outcome.evidence.partition(":")[0]) == ("fail", "AWS could not be asked")
