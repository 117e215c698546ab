"""Links many devices to the simulator one after another, in a process of its own that was turned towards it.

``python -m tests.bench.link_many PHONES_URL DIRECTORY COUNT`` leaves ``0.db``, ``1.db`` … in the directory.
"""

import json
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

from session_runner.host.process import end_process, use_all_descriptors
from session_runner.whatsapp.lifecycle import Change, SessionState
from session_runner.whatsapp.session import Listener, Session, SessionKey, Starts

_SECONDS = 30.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def number_of(index: int) -> str:
    """Return the phone number (digits) that a device is linked to."""
    return f"55118{70000000 + index}"


def _post(url: str, **body: Any) -> None:
    request = urllib.request.Request(url, method="POST", data=json.dumps(body).encode())  # noqa: S310 - ours
    _DIRECT.open(request, timeout=_SECONDS).close()


def _link(phones_url: str, database: Path, index: int, starts: Starts) -> None:
    connected = threading.Event()

    def changed(_session: Session, change: Change) -> None:
        if change.state is SessionState.CONNECTED:
            connected.set()

    def scan(code: str) -> None:
        _post(f"{phones_url}/phones/{number_of(index)}/scan", code=code)

    key = SessionKey("cli_bench", f"chn_{index}", f"link-{index}", database)
    session = Session(key, starts, Listener(lambda _fact: None, changed, on_qr_code=scan))
    session.start(wait=False)
    if not connected.wait(_SECONDS) or not session.stop(_SECONDS):
        raise TimeoutError(f"device {index} was not linked in time")


def main() -> None:
    """Link them."""
    phones_url, directory, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    use_all_descriptors()
    starts = Starts()
    for index in range(count):
        _post(f"{phones_url}/phones", number=number_of(index))
        _link(phones_url, directory / f"{index}.db", index, starts)
    end_process(0)


if __name__ == "__main__":
    main()
