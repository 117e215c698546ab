"""The publisher: hands on at once, keeps trying, and deletes a journal only when nobody writes and nothing is left."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aws_lambda_powertools import Logger

from session_runner.blocking import Blocking
from session_runner.journal.journal import Journal
from session_runner.publishing import publisher as module
from session_runner.publishing.ingest import IngestRefusedError
from session_runner.publishing.publisher import Publisher
from tests.runner.fakes import until

NOW = datetime(2026, 11, 22, 13, tzinfo=UTC)
QUIET = Logger(service="test", level="CRITICAL")


class Mover:
    def __init__(self) -> None:
        self.moved: list[str] = []
        self.failures = 0
        self.error: Exception = ConnectionError()

    def __call__(self, journal: Journal) -> int:
        rows = journal.pending(3)
        if self.failures and rows:
            self.failures -= 1
            raise self.error
        journal.mark_published([row.number for row in rows])
        self.moved += [row.kind for row in rows]
        return len(rows)


def play(scenario: Callable[[Mover, Publisher], object]) -> None:
    async def whole() -> None:
        mover = Mover()
        publisher = Publisher(mover, Blocking(2), QUIET)
        try:
            await scenario(mover, publisher)  # type: ignore[misc]
        finally:
            await publisher.close()

    asyncio.run(whole())


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def append(journal: Journal, kind: str) -> None:
    journal.append("cli", "chn", kind, (kind,), NOW, {})


def test_a_written_row_is_handed_on_when_the_publisher_is_woken(tmp_path: Path) -> None:
    async def scenario(mover: Mover, publisher: Publisher) -> None:
        path = tmp_path / "a.journal"
        journal = await publisher.watch(path)
        await asyncio.sleep(0.05)
        append(journal, "one")
        publisher.wake(path)
        await until(lambda: mover.moved == ["one"], "handed on", seconds=1)

    play(scenario)


def test_what_a_former_run_left_is_handed_on_and_its_file_removed(tmp_path: Path) -> None:
    async def scenario(mover: Mover, publisher: Publisher) -> None:
        path = tmp_path / "a.journal"
        former = Journal(path)
        for number in range(10):
            append(former, str(number))
        former.close()
        await publisher.watch(path)
        publisher.retire(path)
        assert await publisher.flush(5)
        await until(lambda: not files(tmp_path), "the file is gone")
        assert mover.moved == [str(number) for number in range(10)]

    play(scenario)


def test_a_refusing_queue_is_tried_again_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY_SECONDS", 0.01)

    async def scenario(mover: Mover, publisher: Publisher) -> None:
        mover.failures = 3
        journal = await publisher.watch(tmp_path / "a.journal")
        for number in range(5):
            append(journal, str(number))
        publisher.wake(tmp_path / "a.journal")
        await until(lambda: len(mover.moved) == 5, "all handed on")
        assert mover.moved == [str(number) for number in range(5)]

    play(scenario)


def test_a_queue_that_takes_most_is_not_given_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers; waiting ever longer for the one that it leaves out would keep all later facts on this disk."""
    monkeypatch.setattr(module, "FIRST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(module, "LAST_RETRY_SECONDS", 60.0)

    async def scenario(mover: Mover, publisher: Publisher) -> None:
        mover.error, mover.failures = IngestRefusedError(1, taken=9), 16
        journal = await publisher.watch(tmp_path / "a.journal")
        append(journal, "late")
        publisher.wake(tmp_path / "a.journal")
        await until(lambda: mover.moved == ["late"], "handed on", seconds=5)

    play(scenario)


def test_flushing_says_when_something_is_left(tmp_path: Path) -> None:
    async def scenario(mover: Mover, publisher: Publisher) -> None:
        mover.failures = 1000
        journal = await publisher.watch(tmp_path / "a.journal")
        append(journal, "one")
        assert not await publisher.flush(0.1)
        assert publisher.pending == 1

    play(scenario)
