"""``GET /health`` for the container's health check, from a thread of its own so that a hung loop shows."""

import json
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOOP_SECONDS = 15.0


class Health:
    """Serves the runner's health.

    Args:
        host: the address to listen on.
        port: the port; 0 for a free one.
        report: returns what to say; called in the server's thread, so it only reads.
    """

    def __init__(self, host: str, port: int, report: Callable[[], dict[str, Any]]) -> None:
        self._beat = time.monotonic()
        self._report = report
        health = self

        class _Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.split("?")[0] != "/health":
                    self.send_error(HTTPStatus.NOT_FOUND)
                    return
                status, body = health.answer()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ARG002 - the base class's names
                return

        self._server = ThreadingHTTPServer((host, port), _Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def beat(self) -> None:
        """Say that the event loop is alive."""
        self._beat = time.monotonic()

    def answer(self) -> tuple[HTTPStatus, bytes]:
        """Return status and body of the answer."""
        report = self._report()
        late = time.monotonic() - self._beat > LOOP_SECONDS
        if late:
            report["status"] = "hung"
        status = HTTPStatus.SERVICE_UNAVAILABLE if late else HTTPStatus.OK
        return status, json.dumps(report).encode()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
