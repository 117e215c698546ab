"""The baseline: the WhatsApp client alone, as its own documentation uses it, on the same simulator.

Runs in a process of its own (``python -m tests.bench.bare_client PHONES_URL NUMBER DIRECTORY``), because the client is
one native library per process. Reads one JSON request a line and answers with one JSON object a line:
``{"send": {"to", "texts", "gap_s"}}`` gets ``{"started": [moments], "seconds"}``, and ``{"received": true}`` gets
``{"texts": {text: moment}}``. Moments are Unix seconds of this machine's clock.
"""

import json
import logging
import os
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from neonize.client import NewClient
from neonize.events import ConnectedEv, MessageEv
from neonize.utils import build_jid


class BareClient:
    """One linked session that only sends and listens."""

    def __init__(self, phones_url: str, number: str, directory: Path) -> None:
        self._scan_url = f"{phones_url}/phones/{number}/scan"
        self.connected = threading.Event()
        self.received: dict[str, float] = {}
        self._client = NewClient(str(directory / "bare.sqlite3"))
        self._client.event.qr(self._scan)
        self._client.event(ConnectedEv)(lambda *_: self.connected.set())
        self._client.event(MessageEv)(self._keep)

    def start(self) -> None:
        """Connect and link, on a thread that never ends."""
        threading.Thread(target=self._client.connect, daemon=True).start()

    def send(self, to: str, texts: list[str], gap_s: float) -> dict[str, Any]:
        """Send the texts one after the other and tell when each was begun."""
        address = build_jid(to)
        begun = []
        started = time.monotonic()
        for text in texts:
            begun.append(time.time())
            self._client.send_message(address, text)
            time.sleep(gap_s)
        return {"started": begun, "seconds": time.monotonic() - started}

    def _scan(self, _client: NewClient, code: bytes) -> None:
        body = json.dumps({"code": code.decode()}).encode()
        # Not in this callback: the phone's answer can be handled only once it has returned.
        threading.Thread(target=lambda: urllib.request.urlopen(self._scan_url, data=body).close(), daemon=True).start()  # noqa: S310 - our own simulator

    def _keep(self, _client: NewClient, message: Any) -> None:
        moment = time.time()
        content = message.Message
        self.received[content.conversation or content.extendedTextMessage.text] = moment


def main() -> None:
    """Serve requests from standard input until it closes."""
    phones_url, number, directory = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    # The client prints to standard output on its own account: answers go to a copy, its noise to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    bare = BareClient(phones_url, number, Path(directory))
    bare.start()
    if not bare.connected.wait(60):
        raise SystemExit("the bare client did not connect within 60 s")
    answers.write('{"connected": true}\n')
    answers.flush()
    for line in sys.stdin:
        request = json.loads(line)
        answer = bare.send(**request["send"]) if "send" in request else {"texts": bare.received}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
