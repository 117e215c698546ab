"""Placing sessions on hosts: packed, spared, and told of when they die."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from session_runner.health.metrics import Metrics
from session_runner.hosts import pool as module
from session_runner.hosts.pool import HostPool, RunningHost, Seat
from tests.runner.fakes import FakeHost, until


class Yard:
    """Where fake hosts are made, and what was told of them."""

    def __init__(self) -> None:
        self.hosts: list[tuple[FakeHost, bool]] = []
        self.errors: list[Exception] = []
        self.retired: list[Path] = []
        self.watched: list[Path] = []
        self.written: list[Path] = []
        self.lost: list[str] = []
        self.lines: list[str] = []
        self.notices: list[dict[str, Any]] = []

    async def start(
        self, *, on_notice: Callable[[dict[str, Any]], None], journal_path: Path, pairing: bool
    ) -> RunningHost:
        await asyncio.sleep(0.01)
        if self.errors:
            raise self.errors.pop(0)
        host = FakeHost(on_notice, len(self.hosts))
        self.hosts.append((host, pairing))
        return host

    async def watch(self, path: Path) -> None:
        self.watched.append(path)

    def pool(self, *, spares: int = 0, sessions: int = 2) -> HostPool:
        return HostPool(
            self.start,
            journals=Path("journals"),
            watch=self.watch,
            retire=self.retired.append,
            written=self.written.append,
            on_notice=self.notices.append,
            on_lost=lambda channel_id, _: self.lost.append(channel_id),
            sessions_per_host=sessions,
            spares=spares,
            logger=Logger(service="test", level="CRITICAL"),
            metrics=Metrics("test", "shard-001", self.lines.append),
        )


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REFILL_SECONDS", 0.01)


def play(pool: Callable[[Yard], HostPool], scenario: Callable[[Yard, HostPool], Awaitable[None]]) -> None:
    async def whole() -> None:
        yard = Yard()
        made = pool(yard)
        try:
            await scenario(yard, made)
        finally:
            await made.close()

    asyncio.run(whole())


def test_a_host_takes_sessions_up_to_its_limit() -> None:
    async def scenario(yard: Yard, pool: HostPool) -> None:
        seats = await asyncio.gather(*(pool.place(f"chn_{number}") for number in range(5)))
        assert len(yard.hosts) == 3
        assert sorted(len(seat.channels) for seat in set(seats)) == [1, 2, 2]
        pool.leave("chn_0", seats[0])
        await pool.place("chn_5")
        assert len(yard.hosts) == 3

    play(lambda yard: yard.pool(), scenario)


def test_spares_of_both_kinds_are_kept_and_replaced() -> None:
    async def scenario(yard: Yard, pool: HostPool) -> None:
        pool.warm_up()
        await until(lambda: sorted(pairing for _, pairing in yard.hosts) == [False, True], "one of each kind")
        spare = next(host for host, pairing in yard.hosts if pairing)
        seat = await pool.place_pairing("chn_a")
        assert seat.host is spare
        await until(lambda: sum(pairing for _, pairing in yard.hosts) == 2, "another spare for pairing")
        pool.leave("chn_a", seat)
        assert spare.exited.done()

    play(lambda yard: yard.pool(spares=1), scenario)


def test_a_host_that_has_paired_is_not_used_for_the_next_pairing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has been killed, but a process takes a moment to end."""

    async def scenario(yard: Yard, pool: HostPool) -> None:
        first = await pool.place_pairing("chn_1")
        with monkeypatch.context() as slow:
            slow.setattr(first.host, "kill", lambda: None)
            pool.leave("chn_1", first)
            assert await pool.place_pairing("chn_2") is not first

    play(lambda yard: yard.pool(), scenario)


def test_the_sessions_of_a_dead_host_are_told_and_its_journal_given_up() -> None:
    async def scenario(yard: Yard, pool: HostPool) -> None:
        seat: Seat = await pool.place("chn_a")
        await pool.place("chn_b")
        yard.hosts[0][0].kill()
        await until(lambda: yard.lost == ["chn_a", "chn_b"], "both are told")
        assert yard.retired == yard.watched == [seat.journal_path]
        assert (await pool.place("chn_a")).host is yard.hosts[1][0]

    play(lambda yard: yard.pool(), scenario)


def test_a_host_that_does_not_start_is_an_error_and_its_journal_given_up() -> None:
    async def scenario(yard: Yard, pool: HostPool) -> None:
        yard.errors = [RuntimeError("no memory")]
        with pytest.raises(RuntimeError):
            await pool.place("chn_a")
        assert yard.retired == yard.watched
        assert (await pool.place("chn_a")).channels == {"chn_a"}

    play(lambda yard: yard.pool(), scenario)


def test_a_spare_that_does_not_start_is_tried_again() -> None:
    async def scenario(yard: Yard, pool: HostPool) -> None:
        yard.errors = [RuntimeError("no memory")] * 2
        pool.warm_up()
        await until(lambda: len(yard.hosts) == 2, "both spares")

    play(lambda yard: yard.pool(spares=1), scenario)


def test_notices_go_where_they_belong() -> None:
    async def scenario(yard: Yard, pool: HostPool) -> None:
        seat = await pool.place("chn_a")
        host = yard.hosts[0][0]
        host.incarnations["chn_a"] = "i"
        host.notice("journal_written", "chn_a")
        host.event("chn_a", "connected")
        assert yard.written == [seat.journal_path]
        assert [notice["event"] for notice in yard.notices] == ["connected"]

    play(lambda yard: yard.pool(), scenario)
