"""What each kind of command does to the sessions of the shard."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from recado.contacts.model import Resolution
from recado.kernel.envelopes import Command
from session_runner.commands.polling import Handler
from session_runner.hosts.errors import HostError
from session_runner.outbox.recipients import jid_of
from session_runner.ports import Surroundings
from session_runner.sessions.session import Session

COURTESY_SECONDS = 15.0


class Dispatch:
    """Hands commands to sessions.

    Args:
        find: returns the channel's session, made if the channel is new here; None when there is no such channel.
        around: what all sessions share.
    """

    def __init__(self, find: Callable[[str, str], Awaitable[Session | None]], around: Surroundings) -> None:
        self._find = find
        self._around = around
        self._tasks: set[asyncio.Task[None]] = set()

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by kind of command."""
        return {
            "channel.reconcile": self._reconcile,
            "outbox.ring": self._ring,
            "contacts.check": self._check,
            "messages.mark_read": self._mark_read,
            "chats.typing": self._typing,
        }

    async def _reconcile(self, command: Command) -> None:
        if session := await self._session(command):
            session.nudge()

    async def _ring(self, command: Command) -> None:
        if session := await self._session(command):
            session.sender.ring()

    async def _check(self, command: Command) -> None:
        if session := await self._session(command):
            request_id = str(command.data["request_id"])
            numbers = [str(number) for number in command.data["numbers"]]
            self._begin(self._answer_check(session, request_id, numbers), command)

    async def _mark_read(self, command: Command) -> None:
        if session := await self._session(command):
            chats: dict[tuple[str, str], list[str]] = {}
            for item in command.data["items"]:
                chat, sender = _jid(item["chat"]), _jid(item.get("sender") or item["chat"])
                chats.setdefault((chat, sender), []).append(str(item["whatsapp_id"]))
            self._begin(self._courtesies(session, chats), command)

    async def _typing(self, command: Command) -> None:
        if session := await self._session(command):
            to_jid, state = _jid(command.data["to"]), str(command.data["state"])
            self._begin(self._courtesy(session, "typing", to_jid=to_jid, state=state), command)

    async def _answer_check(self, session: Session, request_id: str, numbers: list[str]) -> None:
        found = await session.sender.recipients.check(numbers)
        await self._around.blocking(
            self._around.channels.put_check_result,
            session.channel.clinic_id,
            session.channel.channel_id,
            request_id,
            [_result(resolution) for resolution in found],
        )

    async def _courtesies(self, session: Session, chats: dict[tuple[str, str], list[str]]) -> None:
        for (chat, sender), whatsapp_ids in chats.items():
            await self._courtesy(session, "mark_read", chat=chat, sender=sender, whatsapp_ids=whatsapp_ids)

    async def _courtesy(self, session: Session, kind: str, **payload: Any) -> None:
        await session.request(kind, seconds=COURTESY_SECONDS, **payload)

    async def _session(self, command: Command) -> Session | None:
        session = await self._find(command.clinic_id, command.channel_id)
        if session is None:
            self._around.logger.warning("a command names no channel of this shard", extra=_fields(command))
        return session

    def _begin(self, work: Any, command: Command) -> None:
        async def guarded() -> None:
            try:
                await work
            except HostError as error:
                # Whoever waits sees no answer in time; whoever does not, asked for a courtesy.
                self._around.logger.warning("command not carried out", extra=_fields(command, code=error.code))
            except Exception:
                self._around.logger.exception("command not carried out", extra=_fields(command))

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _result(resolution: Resolution) -> dict[str, Any]:
    known = asdict(resolution)
    return {name: known[name] for name in ("e164", "on_whatsapp", "registered_e164", "lid")}


def _jid(party: Any) -> str:
    if isinstance(party, str):
        return party
    return jid_of(e164=party.get("e164"), lid=party.get("lid"))


def _fields(command: Command, **more: object) -> dict[str, object]:
    named = {"clinic_id": command.clinic_id, "channel_id": command.channel_id, "kind": command.kind}
    return {**named, **more}
