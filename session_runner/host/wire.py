"""JSON objects, one per line, over the socket between a host and its supervisor.

Never over stdout: the library prints there.
"""

import json
import queue
import socket
import threading
from collections.abc import Iterator
from typing import Any


class Wire:
    """The host's end. Any thread may send; one reads."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._outgoing: queue.SimpleQueue[bytes | threading.Event] = queue.SimpleQueue()
        self._journal_notice_waits = threading.Event()
        threading.Thread(target=self._write, name="wire", daemon=True).start()

    def receive(self) -> Iterator[dict[str, Any]]:
        """Give the supervisor's requests until it closes its end."""
        with self._connection.makefile("rb") as lines:
            for line in lines:
                yield json.loads(line)

    def answer(self, number: int, result: dict[str, Any]) -> None:
        """Answer a request."""
        self._send({"id": number, "result": result})

    def refuse(self, number: int, error: dict[str, Any]) -> None:
        """Answer a request that failed."""
        self._send({"id": number, "error": error})

    def notify(self, kind: str, **fields: Any) -> None:
        """Give a notice."""
        self._send({"notice": {"kind": kind, **fields}})

    def notify_journal_written(self) -> None:
        """Say that the journal has new rows; many writes make one notice."""
        if not self._journal_notice_waits.is_set():
            self._journal_notice_waits.set()
            self.notify("journal_written")

    def flush(self, timeout: float) -> None:
        """Wait until what was sent so far is written."""
        written = threading.Event()
        self._outgoing.put(written)
        written.wait(timeout)

    def _send(self, message: dict[str, Any]) -> None:
        self._outgoing.put(json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")

    def _write(self) -> None:
        while True:
            item = self._outgoing.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            # Cleared before the write: a row journalled after the supervisor has looked gets a notice of its own.
            if b'"journal_written"' in item[:40]:
                self._journal_notice_waits.clear()
            try:
                self._connection.sendall(item)
            except OSError:
                return  # the supervisor is gone; so shall we be
