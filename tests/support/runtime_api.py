"""Lambda's Runtime API, as far as one function needs it: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

It hands one event at a time to a runtime that asks for it and takes its answer.
"""

import contextlib
import json
import queue
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_ROOT = "/2018-06-01/runtime/"
_REQUEST_ID = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
_TRACE = "Root=1-69219b00-000000000000000000000000;Parent=0000000000000000;Sampled=0"
_CLOSED = object()


class FunctionError(Exception):
    """The function could not start, or its handler raised; carries the type and the message that it told."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        super().__init__(f"{told.get('errorType')}: {told.get('errorMessage')}")
        self.kind = str(told.get("errorType"))


@dataclass(frozen=True, slots=True)
class _Answer:
    told: Any
    failed: bool


class RuntimeApi:
    """The API's state: what waits for the runtime, and what it answered.

    Args:
        function_name: in the ARN that the runtime is told.
        remaining_seconds: how long the handler is told that it may take.
    """

    def __init__(self, function_name: str, remaining_seconds: float = 60.0) -> None:
        self.address = ""
        self._arn = f"arn:aws:lambda:sa-east-1:123456789012:function:{function_name}"
        self._remaining_seconds = remaining_seconds
        self._events: queue.Queue[Any] = queue.Queue()
        self._answers: queue.Queue[_Answer] = queue.Queue()

    def invoke(self, event: Any, timeout_seconds: float = 60.0) -> Any:
        """Return what the handler returns for an event.

        Raises:
            FunctionError: the function could not be imported, or its handler raised.
            TimeoutError: nothing was answered.
        """
        self._events.put(event)
        try:
            answer = self._answers.get(timeout=timeout_seconds)
        except queue.Empty:
            raise TimeoutError("the function answered nothing") from None
        if answer.failed:
            raise FunctionError(answer.told)
        return answer.told

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Answer on a free port of loopback; ``address`` says which."""
        server = _Server(self)
        self.address = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._events.put(_CLOSED)
            server.shutdown()
            thread.join()
            server.server_close()

    def next_event(self) -> tuple[Mapping[str, str], bytes] | None:
        """Wait for the next event: its headers and body, or None when there will be none any more."""
        event = self._events.get()
        if event is _CLOSED:
            return None
        deadline = (time.time() + self._remaining_seconds) * 1000
        headers = {
            "Lambda-Runtime-Aws-Request-Id": _REQUEST_ID,
            "Lambda-Runtime-Deadline-Ms": str(int(deadline)),
            "Lambda-Runtime-Invoked-Function-Arn": self._arn,
            "Lambda-Runtime-Trace-Id": _TRACE,
        }
        return headers, json.dumps(event).encode()

    def take(self, path: str, body: bytes) -> None:
        """Take what the runtime posts: ``…/response``, ``…/error`` or ``init/error``."""
        self._answers.put(_Answer(json.loads(body), failed=path.endswith("/error")))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, api: RuntimeApi) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api = api

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a runtime that ended while it was waiting; whatever else goes wrong is printed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Small answers in many small writes, each waiting for the other side's acknowledgement, would cost 40 ms a call.
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        """Hand out the next event."""
        found = self.server.api.next_event() if self.path == f"{_ROOT}invocation/next" else None
        if found is None:
            self.close_connection = True
            self._answer(404, {}, b"{}")
        else:
            self._answer(200, *found)

    def do_POST(self) -> None:
        """Take an answer."""
        self.server.api.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(202, {}, b'{"status":"OK"}')

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing on standard error."""

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
