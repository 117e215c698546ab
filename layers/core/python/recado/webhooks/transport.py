"""One HTTP POST to a checked address: pinned, without redirects, and over when its time is over."""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as PoolTimeoutError

from recado.kernel.errors import InvalidWebhookUrlError
from recado.webhooks.addresses import AddressGuard, Target
from recado.webhooks.retries import parse_retry_after

CONNECT_SECONDS = 3.0
TOTAL_SECONDS = 10.0
LARGEST_ANSWER = 64 * 1024


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a POST: an answer's status, or the code of what prevented one."""

    status_code: int | None
    error: str | None
    duration_ms: int
    retry_after: timedelta | None = None


class _FailedError(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Poster:
    """Posts to webhook URLs.

    Args:
        guard: decides which URLs may be posted to; asked anew for each attempt.
        connect_seconds: the longest wait for a connection, over all of the host's addresses.
        total_seconds: the longest a whole attempt may last, however slowly the receiver answers.
        tls: the TLS settings; by default certificates are verified against the system's authorities.
    """

    def __init__(
        self,
        guard: AddressGuard,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        total_seconds: float = TOTAL_SECONDS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = guard
        self._connect_seconds = connect_seconds
        self._total_seconds = total_seconds
        self._tls = tls or ssl.create_default_context()

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Make one attempt; never raises for what the receiver does.

        The answer's status decides as soon as its headers are there; its body is read, up to 64 KiB, only so that
        the receiver is not cut off while it writes, and thrown away.
        """
        started = time.monotonic()

        def lasted() -> int:
            return round((time.monotonic() - started) * 1000)

        try:
            target = self._guard.check(url)
        except InvalidWebhookUrlError:
            return Outcome(None, "url_refused", lasted())
        except OSError:
            return Outcome(None, "name_not_resolved", lasted())
        try:
            status, retry_after = self._exchange(target, headers, body, started + self._total_seconds)
        except _FailedError as failure:
            return Outcome(None, failure.code, lasted())
        return Outcome(status, None, lasted(), parse_retry_after(retry_after, datetime.now(UTC)))

    def _exchange(
        self, target: Target, headers: Mapping[str, str], body: bytes, deadline: float
    ) -> tuple[int, str | None]:
        connection = self._connected(target, deadline)
        try:
            with _ended_at(deadline, connection) as ended:
                try:
                    connection.timeout = max(deadline - time.monotonic(), 0.001)
                    connection.request(
                        "POST",
                        target.path,
                        body=body,
                        headers={**headers, "host": target.host_header, "connection": "close"},
                        preload_content=False,
                        decode_content=False,
                    )
                    response = connection.getresponse()
                except (OSError, HTTPError, http.client.HTTPException) as error:
                    raise _FailedError(_code_of(error, timed_out=ended.is_set())) from error
                if ended.is_set():
                    # Headers that were cut off in the middle read like headers that ended there.
                    raise _FailedError("timeout")
                with contextlib.suppress(OSError, HTTPError, http.client.HTTPException, ValueError):
                    response.read(LARGEST_ANSWER)
                return response.status, response.headers.get("retry-after")
        finally:
            connection.close()

    def _connected(self, target: Target, deadline: float) -> HTTPConnection:
        until = min(deadline, time.monotonic() + self._connect_seconds)
        failure = _FailedError("connect_timeout")
        for address in target.addresses:
            remaining = until - time.monotonic()
            if remaining <= 0:
                break
            connection = self._connection(target, address, remaining)
            try:
                connection.connect()
            except (OSError, HTTPError) as error:
                connection.close()
                failure = _FailedError(_code_of(error, connecting=True))
            else:
                return connection
        raise failure

    def _connection(self, target: Target, address: str, timeout: float) -> HTTPConnection:
        if target.scheme == "http":
            return HTTPConnection(address, target.port, timeout=timeout)
        return HTTPSConnection(
            address,
            target.port,
            timeout=timeout,
            server_hostname=target.host,
            # The context itself matches the certificate with server_hostname; urllib3's assert_hostname would switch
            # that off in the shared context and match on its own.
            ssl_context=self._tls,
        )


@contextlib.contextmanager
def _ended_at(deadline: float, connection: HTTPConnection) -> Iterator[threading.Event]:
    # A socket's time-out starts anew with each byte that comes, so a receiver that drips would hold on for ever:
    # a timer ends the connection under the reader instead.
    ended = threading.Event()
    # Kept here because the connection forgets its socket while the answer's body is still being read from it.
    stream = connection.sock

    def end() -> None:
        ended.set()
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(deadline - time.monotonic(), 0), end)
    timer.daemon = True
    timer.start()
    try:
        yield ended
    finally:
        timer.cancel()


def _code_of(error: Exception, *, timed_out: bool = False, connecting: bool = False) -> str:
    if timed_out:
        return "timeout"
    if isinstance(error, SSLError | ssl.SSLError):
        return "tls_failed"
    if connecting:
        # urllib3's NewConnectionError (refused, unreachable) is, for old times' sake, a ConnectTimeoutError too.
        late = isinstance(error, ConnectTimeoutError | TimeoutError) and not isinstance(error, NewConnectionError)
        return "connect_timeout" if late else "connect_failed"
    if isinstance(error, TimeoutError | PoolTimeoutError):
        return "timeout"
    return "connection_lost" if isinstance(error, OSError) else "bad_answer"
