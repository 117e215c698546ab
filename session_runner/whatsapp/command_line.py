"""One WhatsApp session by hand, through the same host process that the runner uses.

::

    python -m session_runner.whatsapp pair  --directory /tmp/me                   # shows a QR code to scan
    python -m session_runner.whatsapp pair  --directory /tmp/me --phone +5511988880001   # shows eight letters
    python -m session_runner.whatsapp send  --directory /tmp/me +5511977770001 "Olá"
    python -m session_runner.whatsapp watch --directory /tmp/me                   # JSON lines, until Ctrl-C

The directory holds the session's keys and is made readable by its owner only. This talks to the real WhatsApp. For the
simulator (``python -m local.whatsapp --port 8090 --state /tmp/simulator``) set its variables for the host first::

    export RECADO_WHATSAPP_ENVIRONMENT="$(python -c 'import json, pathlib
    from local.whatsapp.redirect import client_environment
    print(json.dumps(client_environment(8090, pathlib.Path("/tmp/simulator"))))')"
"""

import argparse
import asyncio
import json
import signal
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import segno

from recado.kernel.clock import to_text
from session_runner.hosts.host import Host, HostError
from session_runner.journal.journal import Journal
from session_runner.whatsapp.parties import PHONE_SERVER
from session_runner.whatsapp.settings import CommandLineSettings

_CHANNEL = "chn_command_line"
_CLINIC = "cli_command_line"


class Desk:
    """A session directory with a host on it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.journal_path = directory / "journal.sqlite"
        self.notices: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.host = Host(self.notices.put_nowait)

    def session(self) -> dict[str, Any]:
        """Return the fields that start or pair the session."""
        return {
            "channel_id": _CHANNEL,
            "clinic_id": _CLINIC,
            "database": str(self._directory / "session.db"),
            "incarnation": uuid.uuid4().hex,
        }

    @asynccontextmanager
    async def opened(self, *, pairing: bool = False) -> AsyncIterator[None]:
        """Run the host for as long as the block."""
        environment = CommandLineSettings().whatsapp_environment
        await self.host.start(
            directory=self._directory, journal_path=self.journal_path, environment=environment, pairing=pairing
        )
        try:
            yield
        finally:
            await self.host.stop()

    async def connect(self) -> None:
        """Start the session.

        Raises:
            HostError: it is not linked, or did not connect.
        """
        answer = await self.host.request("start_session", **self.session())
        if answer["state"] != "connected":
            raise HostError(answer["state"], "the session did not connect")


async def pair(desk: Desk, phone: str | None) -> None:
    """Link the session to a phone."""
    async with desk.opened(pairing=True):
        await desk.host.request("pair", **desk.session(), method="code" if phone else "qr", phone=phone)
        while True:
            notice = await desk.notices.get()
            if notice["kind"] == "pairing_code":
                _show(notice)
            elif notice["kind"] == "paired":
                print(f"linked as {notice['phone']} ({notice['lid']})")
                return
            elif notice["kind"] == "pairing_ended":
                raise HostError(notice["reason"], "the device was not linked")


async def send(desk: Desk, number: str, text: str) -> None:
    """Send one text."""
    async with desk.opened():
        await desk.connect()
        recipient = number if "@" in number else f"{number.lstrip('+')}@{PHONE_SERVER}"
        sent = await desk.host.request("send_text", channel_id=_CHANNEL, to_jid=recipient, text=text)
        print(json.dumps(sent))


async def watch(desk: Desk) -> None:
    """Print entries and connection events as they come."""
    async with desk.opened():
        journal = Journal(desk.journal_path)
        await desk.connect()
        while True:
            for row in await asyncio.to_thread(journal.pending):
                entry = {"entry_id": row.entry_id, "kind": row.kind, "fact_at": to_text(row.fact_at), "data": row.data}
                print(json.dumps(entry, ensure_ascii=False), flush=True)
                await asyncio.to_thread(journal.mark_published, [row.number])
            notice = await desk.notices.get()
            if notice["kind"] == "session_event":
                print(json.dumps(notice), flush=True)


def main(arguments: Sequence[str]) -> int:
    """Run one command; return the exit code."""
    # A shell without job control starts what is in its background with SIGINT ignored, and Python leaves it so.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(
        prog="python -m session_runner.whatsapp",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    pairing = commands.add_parser("pair", help="link a phone")
    pairing.add_argument("--phone", help="the phone's number, to link by letters instead of a QR code")
    sending = commands.add_parser("send", help="send a text")
    sending.add_argument("number", help="as +5511977770001, or a LID as 123456@lid")
    sending.add_argument("text")
    watching = commands.add_parser("watch", help="print what comes in")
    for command in (pairing, sending, watching):
        command.add_argument("--directory", type=Path, required=True, help="where the session is kept")
    chosen = parser.parse_args(arguments)
    try:
        asyncio.run(_run(chosen))
    except HostError as error:
        print(f"failed: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


async def _run(chosen: argparse.Namespace) -> None:
    desk = Desk(chosen.directory)
    if chosen.command == "pair":
        await pair(desk, chosen.phone)
    elif chosen.command == "send":
        await send(desk, chosen.number, chosen.text)
    else:
        await watch(desk)


def _show(notice: dict[str, Any]) -> None:
    if notice["method"] == "code":
        print(f"enter on the phone: {notice['code']}", flush=True)
        return
    print(f"scan before {notice['expires_at']}:", flush=True)
    segno.make_qr(notice["code"]).terminal(compact=True)
    print(notice["code"], flush=True)
