"""What a fenced task hands on before it exits: every fact it has, without a loop, for a bounded time."""

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recado.aws.logging import logger
from session_runner.journal import Journal
from session_runner.last_words import speak

NOW = datetime(2026, 11, 22, 13, tzinfo=UTC)


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

    assert speak(tmp_path, move, seconds=10, logger=logger("test"))
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

    assert not speak(tmp_path, move, seconds=0.2, logger=logger("test"))
    never.set()


def test_a_task_without_journals_has_nothing_to_say(tmp_path: Path) -> None:
    """It was fenced before it began."""
    assert speak(tmp_path / "none", lambda _: 0, seconds=1, logger=logger("test"))


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

    assert not speak(tmp_path, move, seconds=10, logger=logger("test"))
    assert len(taken) == 5
