"""The supervisor's handle on a host process: start it, ask it, hear its notices, and know when and how it ended."""

import asyncio
import itertools
import json
import logging
import os
import select
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recado.kernel.masking import mask_phones_in
from session_runner.hosts.errors import HostError, HostGone, NotSentError, RefusedError, UnknownOutcomeError

__all__ = ["Host", "HostError", "HostExit", "HostGone", "NotSentError", "RefusedError", "UnknownOutcomeError"]

logger = logging.getLogger(__name__)

_READY_SECONDS = 30.0
_LONGEST_LINE = 16 * 1024 * 1024
_KEPT_LINES = 60
# How Go begins to say why it aborts; hundreds of lines about goroutines follow.
_CAUSES = ("fatal error:", "panic:", "runtime:", "SIG")
_KEPT_CAUSES = 8
_LIBRARY_GREETING = "Press Ctrl+C to exit"
_DEFAULT_SECONDS = 15.0
# The library waits 75 s for WhatsApp's answer and nothing shortens that: give up only after it has.
_SECONDS = {
    "send_text": 90.0,
    "check_numbers": 90.0,
    "mark_read": 90.0,
    "typing": 90.0,
    "logout": 110.0,
    "start_session": 90.0,
    "stop_session": 30.0,
    "snapshot": 60.0,
    "shutdown": 30.0,
}


@dataclass(frozen=True, slots=True)
class HostExit:
    """How a host ended; numbers in what it wrote are masked.

    Attributes:
        returncode: its return code; negative: the signal.
        last_lines: the last lines it wrote.
        causes: the lines in which Go said why it aborts, if it did.
    """

    returncode: int
    last_lines: tuple[str, ...]
    causes: tuple[str, ...] = ()


class Host:
    """One host process. Use it from the loop it was started on; start it from the main thread.

    Args:
        on_notice: called on the loop for each notice, a mapping with ``kind``; must not block or raise.
    """

    def __init__(self, on_notice: Callable[[dict[str, Any]], None]) -> None:
        self._on_notice = on_notice
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._causes: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._gone = False
        self.exited: asyncio.Future[HostExit] = asyncio.get_running_loop().create_future()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(
        self,
        *,
        directory: Path,
        journal_path: Path,
        environment: Mapping[str, str] | None = None,
        pairing: bool = False,
        sessions: int = 50,
        deadline_path: Path | None = None,
    ) -> None:
        """Start the process and return once it takes requests.

        Args:
            directory: where session files are; made ours alone (0700).
            journal_path: the journal it writes, of its own.
            environment: variables of its exec beside ours (proxy, trusted certificates); ``PYTHONPATH`` comes first.
            pairing: whether it is to link one device and nothing else.
            sessions: how many sessions it takes.
            deadline_path: the file of the ``LeaseDeadline`` that fences it.

        Raises:
            HostError: ``not_started`` - it ended or said nothing within 30 s.
        """
        _make_private(directory)
        ours, theirs = socket.socketpair()
        arguments = [
            *("--socket", str(theirs.fileno()), "--parent", str(os.getpid()), "--sessions", str(sessions)),
            *("--directory", str(directory), "--journal", str(journal_path)),
            *(("--pairing",) if pairing else ()),
            *(("--deadline", str(deadline_path)) if deadline_path else ()),
        ]
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "session_runner.host", *arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
                env=_exec_environment(environment or {}),
                start_new_session=True,
            )
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=_LONGEST_LINE)
        self._tasks = [
            asyncio.create_task(self._read(reader)),
            asyncio.create_task(self._read_errors(self._process)),
        ]
        self._tasks.append(asyncio.create_task(self._watch(self._process)))
        try:
            await asyncio.wait_for(asyncio.shield(self._ready), _READY_SECONDS)
        except (HostError, TimeoutError) as error:
            self.kill()
            ended = await asyncio.shield(self.exited)
            raise HostError("not_started", " | ".join(ended.last_lines[-3:]) or "no word from it") from error

    @property
    def pid(self) -> int:
        """Return the process id; 0 before the start."""
        return self._process.pid if self._process else 0

    async def request(self, kind: str, *, timeout: float | None = None, **payload: Any) -> dict[str, Any]:  # noqa: ASYNC109
        """Ask the host and return its answer.

        Args:
            kind: the request, as ``send_text``.
            timeout: seconds to wait; by default longer than the library ever takes.
            payload: the request's fields.

        Raises:
            NotSentError: a message certainly never left (``host_gone``: the host was dead before it was asked).
            RefusedError: WhatsApp refused the message.
            UnknownOutcomeError: a message may have left; ``timeout`` if the host did not answer in time.
            HostGone: the host died before it answered.
            HostError: anything else, by its code; ``timeout`` likewise.
        """
        if self._gone or self._writer is None:
            raise NotSentError("host_gone", "the host is not running")
        number = next(self._numbers)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        line = json.dumps({"id": number, "request": kind, "payload": payload}, ensure_ascii=False, default=str)
        self._writer.write(line.encode() + b"\n")
        try:
            return await asyncio.wait_for(future, timeout or _SECONDS.get(kind, _DEFAULT_SECONDS))
        except TimeoutError:
            error = UnknownOutcomeError if kind == "send_text" else HostError
            raise error("timeout", f"{kind} was not answered in time") from None
        finally:
            self._waiting.pop(number, None)

    async def stop(self, timeout: float = 30.0) -> HostExit:  # noqa: ASYNC109
        """Have it stop its sessions and end; kill it if it does not within ``timeout`` seconds."""
        try:
            await self.request("shutdown", timeout=timeout)
            return await asyncio.wait_for(asyncio.shield(self.exited), timeout)
        except (HostError, TimeoutError) as error:
            logger.warning("host %d did not end when asked (%s)", self.pid, error)
            self.kill()
            return await asyncio.shield(self.exited)

    def kill(self) -> None:
        """End it at once (SIGKILL); its sessions break off as they are."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    def ended_within(self, seconds: float) -> bool:
        """Wait for the process to end, from any thread and without the event loop, which may be what hangs."""
        process = self._process
        if process is None or process.returncode is not None:
            return True
        try:
            descriptor = os.pidfd_open(process.pid)
        except ProcessLookupError:
            return True
        try:
            # Readable once it has ended, whether anybody has asked for its status or not (pidfd_open(2)).
            return _readable(descriptor, seconds)
        finally:
            os.close(descriptor)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                self._take(json.loads(line))
        except (ConnectionError, ValueError):
            logger.exception("host %d sends what cannot be read", self.pid)
            self.kill()

    def _take(self, message: dict[str, Any]) -> None:
        notice = message.get("notice")
        if notice is None:
            self._settle(message)
        elif notice["kind"] == "ready":
            self._ready.set_result(None)
        else:
            try:
                self._on_notice(notice)
            except Exception:
                # Whoever listens must not stop the reading: answers would never come again.
                logger.exception("a notice of host %d was not taken: %s", self.pid, notice["kind"])

    def _settle(self, message: dict[str, Any]) -> None:
        future = self._waiting.get(message["id"])
        if future is None or future.done():
            logger.warning("host %d answered a request that nobody waits for any more", self.pid)
        elif "error" in message:
            future.set_exception(HostError.from_data(message["error"]))
        else:
            future.set_result(message["result"])

    async def _read_errors(self, process: asyncio.subprocess.Process) -> None:
        if process.stderr is None:
            return
        while line := await process.stderr.readline():
            text = mask_phones_in(line.decode(errors="replace").rstrip())
            if text == _LIBRARY_GREETING:
                continue
            if text.startswith(_CAUSES) and len(self._causes) < _KEPT_CAUSES:
                self._causes.append(text)
            self._last_lines.append(text)
            logger.info("host %d: %s", process.pid, text)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        returncode = await process.wait()
        # What it wrote before its end still counts: answers and notices first, then the news of the end.
        await asyncio.wait(self._tasks[:2])
        self._gone = True
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(HostGone("host_gone", "the host died before it answered"))
        if not self._ready.done():
            self._ready.set_exception(HostError("not_started", "the host ended at once"))
        if self._writer is not None:
            self._writer.close()
        self.exited.set_result(HostExit(returncode, tuple(self._last_lines), tuple(self._causes)))


def _readable(descriptor: int, seconds: float) -> bool:
    waiting = select.poll()  # Not select(), which takes no descriptor above 1023.
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(max(0.0, seconds) * 1000))


def _make_private(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)


def _exec_environment(extra: Mapping[str, str]) -> dict[str, str]:
    # Nothing of ours but what Python needs: a host has no business with AWS credentials.
    search_path = os.pathsep.join(
        path for path in (extra.get("PYTHONPATH", ""), *sys.path) if path and "site-packages" not in path
    )
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        **extra,
        "PYTHONPATH": search_path,
        "NEONIZE_BOT_TAG": "off",
    }
