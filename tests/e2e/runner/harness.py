"""A runner in this process against an AWS account in this process, with real hosts and the real client.

The hosts never talk to AWS, so only they are processes of their own. What the runner hands to the ingest queue is
taken off and applied the way the recorder does, as far as channels and the phone's history are concerned.
"""

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from functions.recorder.entries import read_entry
from functions.recorder.facts import take_in
from local.whatsapp.redirect import client_environment
from recado.aws import clients, settings
from recado.channels import service as channels
from recado.channels.model import Channel, ChannelState, PairingMethod
from recado.clinics import service as clinics
from recado.contacts.model import parse_recipient
from recado.kernel.clock import SystemClock, from_text
from recado.kernel.envelopes import Command, Entry
from recado.kernel.ids import Prefix, new_id
from recado.messages import service as messages
from recado.messages.model import Message, SendRequest
from recado.shards import service as shards
from session_runner.settings import RunnerSettings
from session_runner.supervisor import Supervisor
from tests.e2e.whatsapp.harness import ROOT, RunningSimulator

WAIT_SECONDS = 30.0


@dataclass
class Platform:
    """The rooms as a caller uses them, the queue as the recorder reads it, and a runner that can be stopped."""

    simulator: RunningSimulator
    directory: Path
    entries: list[Entry] = field(default_factory=list)
    runner: Supervisor | None = None
    _running: asyncio.Task[int] | None = None
    _recording: asyncio.Task[None] | None = None
    _scenario: asyncio.Task[Any] | None = None
    _runs: int = 0

    async def start(self, **changes: Any) -> None:
        """Start a runner on an empty disk, as ECS does."""
        self._runs += 1
        plain: dict[str, Any] = {
            "shard_id": "shard-001",
            "runner_directory": self.directory / f"task-{self._runs}",
            "send_gap_seconds": (0, 0),
            "send_per_hour": 0,
            "cold_per_day": (),
            "typing_seconds": (0, 0),
            "connect_backoff_seconds": (0.2, 2),
            "command_wait_seconds": 0,
            "whatsapp_environment": client_environment(
                self.simulator.port, self.simulator.state, python_path=str(ROOT)
            ),
        }
        self.runner = Supervisor(RunnerSettings(**plain | changes))
        self._running = asyncio.create_task(self.runner.run())
        self._scenario = asyncio.current_task()
        if self._recording is None:
            self._recording = asyncio.create_task(self._record())
        await self.eventually(lambda: self.runner and self.runner.report()["status"] == "running", "the runner runs")

    async def stop(self) -> int:
        """SIGTERM."""
        assert self.runner is not None
        assert self._running is not None
        self.runner.stop()
        return await asyncio.wait_for(self._running, 60)

    async def crash(self) -> None:
        """Lose the task: no snapshot, no farewell; only the lease is given up, to save the 30 s of waiting for it."""
        assert self.runner is not None
        assert self._running is not None
        for host in self.runner.report()["hosts"]:
            os.kill(host["pid"], signal.SIGKILL)
        for task in asyncio.all_tasks() - {asyncio.current_task(), self._recording}:
            if task is not self._scenario:
                task.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        await self.runner.keeper.release()

    async def close(self) -> None:
        """End what still runs."""
        if self._running and not self._running.done():
            await self.stop()
        if self._recording:
            self._recording.cancel()

    async def clinic(self, name: str) -> str:
        clinic = await asyncio.to_thread(clinics.create_clinic, name, "America/Sao_Paulo")
        return clinic.clinic_id

    async def channel(self, clinic_id: str, name: str = "Recepção", **more: Any) -> Channel:
        return await asyncio.to_thread(channels.create, clinic_id, name, **more)

    async def connect(self, channel: Channel) -> Channel:
        return await asyncio.to_thread(
            channels.request_connect, channel.clinic_id, channel.channel_id, PairingMethod.QR
        )

    async def code(self, channel: Channel) -> str:
        """The pairing code, as soon as there is one."""

        def get() -> str | None:
            code = channels.get_pairing_code(channel.clinic_id, channel.channel_id)
            return code.code if code else None

        return str(await self.eventually(get, "a pairing code"))

    async def link(self, clinic_id: str, number: str, name: str = "Recepção") -> Channel:
        """A channel, connected, linked to the phone of that number."""
        channel = await self.channel(clinic_id, name)
        await self.connect(channel)
        await self.scan(channel, number)
        return await self.until(channel, ChannelState.CONNECTED)

    async def scan(self, channel: Channel, number: str) -> None:
        code = await self.code(channel)
        answer = await asyncio.to_thread(self.simulator.post, f"/phones/{number}/scan", code=code)
        assert answer["linked"]

    async def until(self, channel: Channel, state: ChannelState) -> Channel:
        """Wait for a state of the channel item."""

        def read() -> Channel | None:
            found = channels.get(channel.clinic_id, channel.channel_id)
            return found if found.state is state else None

        found = await self.eventually(read, f"the channel is {state}")
        assert isinstance(found, Channel)
        return found

    async def send(self, channel: Channel, to: str, text: str, ttl_seconds: int | None = None) -> Message:
        """Accept a message and ring, as the API does."""
        recipient = parse_recipient(to)
        request = SendRequest(recipient, text, ttl_seconds=ttl_seconds)
        accepted = await asyncio.to_thread(
            messages.accept, channel.clinic_id, channel.channel_id, request, None, text.encode()
        )
        await self.command(channel, "outbox.ring")
        return accepted.message

    async def command(self, channel: Channel, kind: str, **data: Any) -> None:
        now = SystemClock().now()
        later = from_text("2099-01-01T00:00:00Z")
        command = Command(new_id(Prefix.COMMAND), kind, channel.clinic_id, channel.channel_id, now, later, data)
        await asyncio.to_thread(shards.send_command, "shard-001", command)

    async def message(self, message: Message) -> Message:
        return await asyncio.to_thread(messages.get, message.clinic_id, message.channel_id, message.message_id)

    def facts(self, channel: Channel, kind: str) -> list[dict[str, Any]]:
        """The data of the channel's entries of a kind, in the order of their sequences."""
        own = {e.entry_id: e for e in self.entries if e.channel_id == channel.channel_id and e.kind == kind}
        return [entry.data for entry in sorted(own.values(), key=lambda entry: entry.sequence)]

    def states(self, channel: Channel) -> list[str]:
        return [str(fact["state"]) for fact in self.facts(channel, "channel.state")]

    async def eventually(self, probe: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
        """The first true value of ``probe``, asked again and again in a thread."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            if self._running and self._running.done() and self._running.exception():
                self._running.result()
            if value := await asyncio.to_thread(probe):
                return value
            await asyncio.sleep(0.03)
        raise AssertionError(f"did not happen in {seconds:g} s: {what}")

    async def _record(self) -> None:
        queue = settings.IngestSettings().ingest_queue_url
        while True:
            answer = await asyncio.to_thread(clients.sqs().receive_message, QueueUrl=queue, MaxNumberOfMessages=10)
            for message in answer.get("Messages", []):
                for plain in json.loads(message["Body"])["entries"]:
                    entry = Entry.from_mapping(plain)
                    await asyncio.to_thread(_apply, entry, plain)
                    self.entries.append(entry)
                handle = message["ReceiptHandle"]
                await asyncio.to_thread(clients.sqs().delete_message, QueueUrl=queue, ReceiptHandle=handle)
            await asyncio.sleep(0.03)


def _apply(entry: Entry, plain: dict[str, Any]) -> None:
    if entry.kind == "contacts.in_history":
        assert take_in(*read_entry(plain), SystemClock()).events == []
    if entry.kind != "channel.state":
        return
    data = entry.data
    until = data["ban_expires_at"]
    channels.apply_state(
        entry.clinic_id,
        entry.channel_id,
        state=ChannelState(data["state"]),
        reason=data["reason"],
        sequence=entry.sequence,
        observed_at=entry.observed_at,
        phone=data["phone"],
        lid=data["lid"],
        ban_expires_at=from_text(until) if until else None,
        retry_at=from_text(data["retry_at"]) if data["retry_at"] else None,
        clear_desired_version=data["desired_version"],
    )


def play(platform: Platform, scenario: Callable[[Platform], Awaitable[None]]) -> None:
    """Run a scenario to its end and leave nothing running."""

    async def whole() -> None:
        try:
            await scenario(platform)
        finally:
            await platform.close()

    asyncio.run(whole())
