"""Many linked channels with the runner's real sessions and real hosts; the rooms and the vault are kept in memory.

AWS would answer at another speed than any stand-in here: what depends on the number of sessions in a host shows best
without it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger

from recado.channels.model import Channel, ChannelState, Desired
from recado.kernel.clock import SystemClock
from session_runner.blocking import Blocking
from session_runner.health.metrics import Metrics
from session_runner.hosts.host import Host
from session_runner.hosts.pool import HostPool, Seat
from session_runner.journal.facts import Facts
from session_runner.journal.journal import Journal
from session_runner.sessions.session import Session
from session_runner.sessions.start_line import StartLine
from session_runner.vault.object import Kind
from session_runner.vault.vault import Stored
from tests.bench.link_many import number_of
from tests.runner.fakes import MemoryChannels, MemoryVault, World

CLINIC = "cli_bench"
_SECONDS = 600.0
_BURST = 10  # as the supervisor has it


class CrowdChannels(MemoryChannels):
    """The channels room in memory, for as many channels as there are."""

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        super().__init__(next(iter(channels.values())))
        self._channels = channels

    def get(self, clinic_id: str, channel_id: str) -> Channel:
        """Return one of them; nobody changes any."""
        return self._channels[channel_id]


def linked_channels(count: int) -> dict[str, Channel]:
    """Return so many channels whose devices ``link_many`` has linked and that want to be connected."""
    now = datetime.now(UTC)
    channels = [
        Channel(
            clinic_id=CLINIC,
            channel_id=f"chn_{index}",
            name=str(index),
            external_id=None,
            expected_phone=None,
            shard_id="shard-001",
            created_at=now,
            updated_at=now,
            state_since=now,
            state=ChannelState.DISCONNECTED,
            desired=Desired.CONNECTED,
            desired_version=1,
            phone=f"+{number_of(index)}",
            lid=f"{index}@lid",
            paired_at=now,
        )
        for index in range(count)
    ]
    return {channel.channel_id: channel for channel in channels}


def vault_of(directory: Path, count: int) -> MemoryVault:
    """Return a vault that holds what ``link_many`` left in the directory."""
    vault = MemoryVault(epoch=0)
    for index in range(count):
        snapshot = (directory / f"{index}.db").read_bytes()
        stored = Stored("1", 0, 1, "n", clean=True, kind=Kind.SNAPSHOT, snapshot=snapshot)
        vault.stored[CLINIC, f"chn_{index}"] = stored
    return vault


@dataclass
class Crowd:
    """The sessions of all channels on hosts of so many sessions each.

    Args:
        directory: an empty directory for session files and journals.
        environment: what turns a host towards the simulator.
        vault: where the credentials are.
        channels: the channels.
        per_host: how many sessions a host takes.
        starts_per_second: the rate of the start line.
    """

    directory: Path
    environment: Mapping[str, str]
    vault: MemoryVault
    channels: Mapping[str, Channel]
    per_host: int
    starts_per_second: float
    sessions: dict[str, Session] = field(default_factory=dict)
    hosts: list[Host] = field(default_factory=list)

    async def start(self) -> float:
        """Connect all and return the seconds it took, the first host being warm."""
        quiet = Logger(service="bench", level="CRITICAL")
        blocking, clock = Blocking(16), SystemClock()
        self.vault.epoch += 1
        metrics = Metrics("bench", "shard-001", lambda _line: None)
        journal = Journal(self.directory / "supervisor.journal", clock)
        self.pool = HostPool(
            self._start_host,
            journals=self.directory,
            watch=_nothing,
            retire=lambda _path: None,
            written=lambda _path: None,
            on_notice=lambda notice: self.sessions[notice["channel_id"]].on_notice(notice),
            on_lost=lambda channel_id, seat: self.sessions[channel_id].on_host_lost(seat),
            sessions_per_host=self.per_host,
            spares=1,
            logger=quiet,
            metrics=metrics,
        )
        world = World(self.directory / "world", channels=CrowdChannels(self.channels))
        world.messages.clock = clock
        around = world.around(
            epoch=self.vault.epoch,
            facts=Facts(journal, lambda: None, Blocking(1), clock, quiet),
            vault=self.vault,
            pool=self.pool,
            blocking=blocking,
            clock=clock,
            logger=quiet,
            directory=self.directory / "sessions",
            start_line=StartLine(self.starts_per_second, burst=_BURST),
            metrics=metrics,
        )
        self.pool.warm_up()
        await self.spare_ready()
        began = asyncio.get_running_loop().time()
        for channel in self.channels.values():
            session = self.sessions[channel.channel_id] = Session(replace(channel), around, lambda _id: None)
            session.begin()
            session.nudge()
        await self._until(lambda: all(session.connected.is_set() for session in self.sessions.values()))
        return asyncio.get_running_loop().time() - began

    async def kill_fullest(self) -> list[float]:
        """Kill the host with the most sessions; return the seconds until each of them was connected again, rising."""
        await self.spare_ready()
        loop = asyncio.get_running_loop()
        seat = max(self.carriers(), key=lambda each: len(each.channels))
        lost = {channel_id: self.sessions[channel_id] for channel_id in seat.channels}
        back: list[float] = []
        killed = loop.time()
        seat.host.kill()
        while lost:
            for channel_id, session in list(lost.items()):
                incarnation = session.incarnation
                if incarnation and incarnation.seat is not seat and session.connected.is_set():
                    back.append(loop.time() - killed)
                    del lost[channel_id]
            if loop.time() - killed > _SECONDS:
                raise TimeoutError(f"{len(lost)} sessions did not come back")
            await asyncio.sleep(0.01)
        return back

    def carriers(self) -> list[Seat]:
        """Return the hosts that sessions live on."""
        return [seat for seat in self.pool.seats if seat.channels]

    async def spare_ready(self) -> None:
        """Wait for the spare host."""
        await self._until(lambda: any(seat.is_spare and not seat.pairing for seat in self.pool.seats))

    async def stop(self) -> None:
        """Stop all, leaving clean snapshots in the vault."""
        await asyncio.gather(*(session.shut_down(_SECONDS) for session in self.sessions.values()))
        await self.pool.close()
        for host in self.hosts:
            host.kill()
            await asyncio.shield(host.exited)
        await asyncio.sleep(0)

    async def _start_host(self, *, on_notice: Any, journal_path: Path, pairing: bool) -> Host:
        host = Host(on_notice)
        self.hosts.append(host)
        await host.start(
            directory=self.directory / "sessions",
            journal_path=journal_path,
            environment=self.environment,
            pairing=pairing,
            sessions=self.per_host,
        )
        return host

    async def _until(self, reached: Any) -> None:
        async with asyncio.timeout(_SECONDS):
            while not reached():  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.02)


async def _nothing(_path: Path) -> None:
    return None
