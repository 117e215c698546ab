"""What a fenced task hands on before it exits: every fact it has, without a loop, for a bounded time."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recado.aws.logging import logger
from session_runner.journal.journal import Journal
from session_runner.publishing.last_words import Way, speak

NOW = datetime(2026, 11, 22, 13, tzinfo=UTC)


def refuse(_: Journal) -> int:
    raise OSError("not to be used")


def say(journals: Path, move: Way, spill: Way = refuse, seconds: float = 10.0) -> bool:
    return speak(journals, move, spill, patience=seconds / 2, seconds=seconds, logger=logger("test"))


def _journals(folder: Path) -> list[Journal]:
    journals = [Journal(folder / f"{name}.journal") for name in ("host", "supervisor")]
    for number in range(5):
        journals[number % 2].append("cli_a", "chn_a", "message.received", (str(number),), NOW, {"n": number})
    return journals


def test_every_journal_is_emptied_also_while_its_writer_has_it_open(tmp_path: Path) -> None:
    """Nothing that WhatsApp has an acknowledgement for stays on a disk that goes with the task."""
    journals = _journals(tmp_path)
    taken: list[int] = []

    def move(journal: Journal) -> int:
        rows = journal.pending(2)
        taken.extend(row.data["n"] for row in rows)
        journal.mark_published([row.number for row in rows])
        return len(rows)

    assert say(tmp_path, move)
    assert sorted(taken) == [0, 1, 2, 3, 4]
    assert [journal.count() for journal in journals] == [0, 0]


@pytest.mark.parametrize("hangs", [True, False])
def test_a_queue_that_hangs_or_refuses_does_not_keep_the_task_alive(tmp_path: Path, hangs: bool) -> None:
    """The new owner may be at work already."""
    _journals(tmp_path)
    never = threading.Event()

    def move(journal: Journal) -> int:
        if hangs:
            never.wait(30)
        raise OSError("no queue")

    assert not say(tmp_path, move, move, seconds=0.2)
    never.set()


@pytest.mark.parametrize("hangs", [True, False])
def test_what_the_queue_does_not_take_goes_to_s3(tmp_path: Path, hangs: bool) -> None:
    """Whether it refuses or hangs: the disk goes with the task, and the next owner hands on what lies in S3."""
    journals = _journals(tmp_path)
    never = threading.Event()
    spilled: list[int] = []

    def move(journal: Journal) -> int:
        if hangs:
            never.wait(30)
        raise OSError("no queue")

    def spill(journal: Journal) -> int:
        rows = journal.pending()
        spilled.extend(row.data["n"] for row in rows)
        journal.mark_published([row.number for row in rows])
        return len(rows)

    assert say(tmp_path, move, spill, seconds=1.0)
    assert sorted(spilled) == [0, 1, 2, 3, 4]
    assert [journal.count() for journal in journals] == [0, 0]
    never.set()


def test_a_task_without_journals_has_nothing_to_say(tmp_path: Path) -> None:
    """It was fenced before it began."""
    assert say(tmp_path / "none", lambda _: 0)


def test_a_journal_that_fails_keeps_no_other_back(tmp_path: Path) -> None:
    """The publisher may have deleted one meanwhile; one that is damaged is told, and the others are handed on."""
    _journals(tmp_path)
    (tmp_path / "damaged.journal").write_bytes(b"no database" * 1000)
    gone = tmp_path / "gone.journal"
    Journal(gone).close()
    taken: list[str] = []

    def move(journal: Journal) -> int:
        rows = journal.pending()
        if not rows:
            gone.unlink(missing_ok=True)
        taken.extend(row.entry_id for row in rows)
        journal.mark_published([row.number for row in rows])
        return len(rows)

    assert not say(tmp_path, move, move)
    assert len(taken) == 5
