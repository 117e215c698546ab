"""One HTTP try against receivers that behave and receivers that do not."""

import socket
import ssl
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from recado.webhooks.addresses import AddressGuard
from recado.webhooks.transport import LARGEST_ANSWER, Outcome, Poster
from tests.functions.webhook_attempts.receivers import certificates, dripping, receiving, saying

LOCAL = ["127.0.0.0/8", "::1/128"]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def post(port: int, *, total: float = 5.0, path: str = "/", addresses: Sequence[str] = ("127.0.0.1",)) -> Outcome:
    guard = AddressGuard(LOCAL, resolver=lambda _host, _port: addresses)
    poster = Poster(guard, connect_seconds=1.0, total_seconds=total)
    return poster.post(f"http://receiver.test:{port}{path}", {"webhook-id": "evt_1"}, b'{"a":1}')


def test_the_request_is_a_post_of_the_very_bytes_with_our_headers_and_the_original_host() -> None:
    with receiving(saying(OK)) as receiver:
        outcome = post(receiver.port, path="/hooks?clinic=1")
    assert (outcome.status_code, outcome.error) == (200, None)
    head, _, body = receiver.requests[0].partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"post /hooks?clinic=1 http/1.1"
    assert f"host: receiver.test:{receiver.port}".encode() in lines
    assert b"webhook-id: evt_1" in lines
    assert body == b'{"a":1}'


@pytest.mark.parametrize("status", [204, 301, 400, 410, 500, 503])
def test_the_answers_status_is_reported_as_it_is(status: int) -> None:
    with receiving(saying(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n".encode())) as receiver:
        assert post(receiver.port).status_code == status


def test_a_redirect_is_not_followed() -> None:
    with receiving(saying(OK)) as elsewhere:
        location = f"http://127.0.0.1:{elsewhere.port}/"
        answer = f"HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode()
        with receiving(saying(answer)) as receiver:
            assert post(receiver.port).status_code == 302
        assert elsewhere.requests == []


def test_retry_after_is_handed_on() -> None:
    answer = b"HTTP/1.1 503 Busy\r\nretry-after: 90\r\ncontent-length: 0\r\n\r\n"
    with receiving(saying(answer)) as receiver:
        outcome = post(receiver.port)
    assert outcome.retry_after is not None
    assert outcome.retry_after.total_seconds() == 90


@pytest.mark.parametrize(
    ("start", "endless"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"x-more: 1\r\n"),
        (b"HTTP/1.1 200 OK\r\nx-long: ", b"a"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_a_receiver_that_drips_its_headers_is_cut_off_when_the_time_is_over(start: bytes, endless: bytes) -> None:
    with receiving(dripping(start, endless, every=0.05)) as receiver:
        began = time.monotonic()
        outcome = post(receiver.port, total=0.6)
        lasted = time.monotonic() - began
    assert (outcome.status_code, outcome.error) in {(None, "timeout"), (None, "bad_answer")}
    assert lasted < 3


def test_a_receiver_that_says_nothing_is_a_timeout() -> None:
    with receiving(lambda stream, _request: time.sleep(2)) as receiver:
        outcome = post(receiver.port, total=0.4)
    assert outcome.error == "timeout"
    assert outcome.duration_ms >= 390


def test_once_the_status_is_there_a_dripping_body_changes_nothing_and_ends_in_time() -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    with receiving(dripping(head, b"1\r\na\r\n", every=0.05)) as receiver:
        began = time.monotonic()
        outcome = post(receiver.port, total=0.6)
        lasted = time.monotonic() - began
    assert (outcome.status_code, outcome.error) == (200, None)
    assert lasted < 3


def test_of_a_huge_answer_only_a_part_is_read() -> None:
    taken: list[int] = []

    def flood(stream: socket.socket, _request: bytes) -> None:
        stream.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        try:
            while True:
                taken.append(stream.send(b"x" * 65536))
        except OSError:
            return

    with receiving(flood) as receiver:
        outcome = post(receiver.port)
    assert outcome.status_code == 200
    # What the kernel's buffers swallow comes on top of what we read.
    assert sum(taken) < LARGEST_ANSWER + 32 * 1024 * 1024


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70000]
)
def test_an_answer_that_is_not_http_is_an_error_and_not_a_success(answer: bytes) -> None:
    with receiving(saying(answer)) as receiver:
        outcome = post(receiver.port)
    assert outcome.status_code is None
    assert outcome.error in {"bad_answer", "connection_lost"}


def test_a_refused_connection_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert post(port).error == "connect_failed"


def test_the_next_address_is_tried_when_the_first_does_not_answer() -> None:
    with receiving(saying(OK)) as receiver:
        assert post(receiver.port, addresses=("127.0.0.9", "::1", "127.0.0.1")).status_code == 200


def test_a_name_that_cannot_be_resolved_is_told() -> None:
    def nobody(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such name")

    outcome = Poster(AddressGuard(LOCAL, resolver=nobody)).post("http://receiver.test/", {}, b"")
    assert outcome.error == "name_not_resolved"


def test_the_guard_is_asked_at_each_try_so_a_name_that_turned_inward_is_not_reached() -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    guard = AddressGuard(LOCAL, resolver=lambda _host, _port: next(answers))
    with receiving(saying(OK)) as receiver:
        url = f"http://receiver.test:{receiver.port}/"
        assert Poster(guard).post(url, {}, b"").status_code == 200
        assert Poster(guard).post(url, {}, b"").error == "url_refused"
    assert len(receiver.requests) == 1


def test_the_name_is_resolved_once_so_it_cannot_change_between_check_and_connection() -> None:
    asked: list[str] = []

    def turning(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    with receiving(saying(OK)) as receiver:
        poster = Poster(AddressGuard(LOCAL, resolver=turning))
        assert poster.post(f"http://receiver.test:{receiver.port}/", {}, b"").status_code == 200
    assert asked == ["receiver.test"]


def secure(port: int, trusted: ssl.SSLContext | None) -> Outcome:
    guard = AddressGuard(LOCAL, resolver=lambda _host, _port: ["127.0.0.1"])
    return Poster(guard, tls=trusted, total_seconds=5).post(f"https://receiver.test:{port}/", {}, b"{}")


def test_over_tls_the_pinned_address_is_asked_for_the_original_name(tmp_path: Path) -> None:
    server, trusting = certificates(tmp_path, "receiver.test")
    with receiving(saying(OK), server) as receiver:
        assert secure(receiver.port, trusting).status_code == 200
    assert receiver.server_names == ["receiver.test"]


def test_a_certificate_for_another_name_or_of_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    server, trusting = certificates(tmp_path, "other.test")
    with receiving(saying(OK), server) as receiver:
        assert secure(receiver.port, trusting).error == "tls_failed"
        assert secure(receiver.port, None).error == "tls_failed"
    assert receiver.requests == []


def test_over_tls_too_a_dripping_receiver_is_cut_off(tmp_path: Path) -> None:
    server, trusting = certificates(tmp_path, "receiver.test")
    guard = AddressGuard(LOCAL, resolver=lambda _host, _port: ["127.0.0.1"])
    with receiving(dripping(b"HTTP/1.1 200 OK\r\nx-long: ", b"a", every=0.05), server) as receiver:
        began = time.monotonic()
        outcome = Poster(guard, tls=trusting, total_seconds=0.6).post(
            f"https://receiver.test:{receiver.port}/", {}, b""
        )
        lasted = time.monotonic() - began
    assert outcome.error == "timeout"
    assert lasted < 3


def test_a_peer_that_never_finishes_the_tls_handshake_is_a_connect_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        guard = AddressGuard(LOCAL, resolver=lambda _host, _port: ["127.0.0.1"])
        poster = Poster(guard, connect_seconds=0.3, total_seconds=1)
        outcome = poster.post(f"https://receiver.test:{silent.getsockname()[1]}/", {}, b"")
    assert outcome.error == "connect_timeout"
