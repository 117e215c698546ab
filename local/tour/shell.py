"""A bash that keeps its variables between the tour's lines and remembers each request's HTTP status."""

import io
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from local.tour.expectation import Answer

# curl writes its response headers aside, so that the status is known without changing what the reader sees.
# jq is asked of the reader only for convenience; where it is missing, Python reads the one field.
_PREAMBLE = """
curl() {{ command curl --max-time 60 --dump-header {headers} "$@"; }}
command -v jq > /dev/null || jq() {{ {python} -m local.tour.field "$2" "${{3:-/dev/stdin}}"; }}
"""


class Shell:
    """Runs lines as a reader would type them, one after the other."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._scratch = tempfile.TemporaryDirectory(prefix="recado-tour-")
        self._headers = Path(self._scratch.name) / "headers"

    def __enter__(self) -> Self:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=self._directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._input = io.TextIOWrapper(cast("IO[bytes]", self._bash.stdin), encoding="utf-8")
        self._output = io.TextIOWrapper(cast("IO[bytes]", self._bash.stdout), encoding="utf-8", errors="replace")
        self.run(_PREAMBLE.format(headers=self._headers, python=sys.executable))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # What the tour left running in the background (the webhook receiver) goes with its shell.
        os.killpg(self._bash.pid, signal.SIGTERM)
        self._bash.wait(timeout=10)
        self._scratch.cleanup()

    def run(self, line: str) -> Answer:
        """Type one line and return what it printed with the status of its last request.

        Raises:
            RuntimeError: the shell itself ended.
        """
        self._headers.unlink(missing_ok=True)
        mark = "-- tour step done --"
        self._input.write(f"{line}\nprintf '\\n%s\\n' '{mark}'\n")
        printed: list[str] = []
        self._input.flush()
        for text in self._output:
            if text.rstrip("\n") == mark:
                return Answer("".join(printed).strip("\n"), self._status())
            printed.append(text)
        raise RuntimeError(f"the shell ended at {line!r}: {''.join(printed)}")

    def _status(self) -> int | None:
        if not self._headers.exists():
            return None
        statuses = re.findall(r"^HTTP/\S+ (\d{3})", self._headers.read_text(), re.MULTILINE)
        return int(statuses[-1]) if statuses else None
