"""The journal keeps each fact once, in order, until it is published, whatever happens to its writer."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from recado.kernel.ids import time_of
from session_runner.journal.journal import Journal
from tests.support.clock import FixedClock

AT = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
ROOT = Path(__file__).parents[3]


@pytest.fixture
def journal(tmp_path: Path, clock: FixedClock) -> Journal:
    return Journal(tmp_path / "journal.sqlite", clock)


def append(journal: Journal, name: str = "A1", **data: Any) -> int:
    return journal.append("cli_1", "chn_1", "message.received", ("lid", name), AT, data).number


def test_returns_what_was_written(journal: Journal, clock: FixedClock) -> None:
    """A row carries the fact, when it was seen, and an id with the fact's own time inside."""
    written = journal.append("cli_1", "chn_1", "message.received", ("chat", "A1"), AT, {"text": {"body": "Olá 😀"}})
    assert journal.pending() == [written]
    assert written.observed_at == clock.now()
    assert written.sequence is None
    assert time_of(written.entry_id) == AT


def test_ids_are_the_same_in_every_file(tmp_path: Path) -> None:
    """Two journals that see the same fact give it the same id, so that it is recorded once."""
    rows = [
        Journal(tmp_path / name).append("cli_1", "chn_1", "message.received", ("chat", "A1"), AT, {"seen_by": name})
        for name in ("one", "other")
    ]
    assert rows[0].entry_id == rows[1].entry_id


@pytest.mark.parametrize(
    "other",
    [
        ("cli_2", "chn_1", "message.received", ("chat", "A1"), AT),
        ("cli_1", "chn_2", "message.received", ("chat", "A1"), AT),
        ("cli_1", "chn_1", "message.receipt", ("chat", "A1"), AT),
        ("cli_1", "chn_1", "message.received", ("chat", "A2"), AT),
        ("cli_1", "chn_1", "message.received", ("chat", "A1"), AT + timedelta(seconds=1)),
    ],
)
def test_other_facts_have_other_ids(journal: Journal, other: tuple[str, str, str, tuple[str, ...], datetime]) -> None:
    """Clinic, channel, kind, identity and time all make a difference."""
    first = journal.append("cli_1", "chn_1", "message.received", ("chat", "A1"), AT, {})
    assert journal.append(*other, {}).entry_id != first.entry_id
    assert journal.count() == 2


def test_a_pending_fact_is_written_once(journal: Journal) -> None:
    """The same fact again, while it waits, is the row that is already there."""
    first = append(journal, body="um")
    assert append(journal, body="dois") == first
    assert [row.data for row in journal.pending()] == [{"body": "um"}]


def test_numbered_facts_differ_by_their_number(journal: Journal) -> None:
    """Facts that nothing else makes unique (a channel connected, again) are told apart by their row."""
    rows = [
        journal.append("cli_1", "chn_1", "channel.state", ("incarnation",), AT, {}, numbered=True) for _ in range(2)
    ]
    assert rows[0].entry_id != rows[1].entry_id


def test_a_row_keeps_its_first_sequence(journal: Journal) -> None:
    """What was published once before a crash is published again as the same entry."""
    number = append(journal)
    journal.assign_sequences({number: 7})
    journal.assign_sequences({number: 8})
    assert journal.pending()[0].sequence == 7


def test_published_rows_are_gone_and_their_numbers_never_come_back(tmp_path: Path, journal: Journal) -> None:
    """Deleting the newest row does not free its number for the next one, not even over a reopening."""
    first = append(journal)
    journal.mark_published([first])
    journal.close()
    assert append(Journal(tmp_path / "journal.sqlite"), "A2") > first


def test_two_processes_share_the_file(tmp_path: Path, journal: Journal) -> None:
    """The publisher reads and deletes through its own connection while the writer goes on."""
    publisher = Journal(tmp_path / "journal.sqlite")
    numbers = [append(journal, f"A{number}") for number in range(10)]
    publisher.mark_published(row.number for row in publisher.pending(4))
    append(journal, "B")
    assert [row.number for row in publisher.pending()] == [*numbers[4:], numbers[-1] + 1]


def test_threads_write_side_by_side(journal: Journal) -> None:
    """Sessions write from threads of their own; nothing is lost between them."""
    threads = [
        threading.Thread(target=lambda thread=thread: [append(journal, f"{thread}-{n}") for n in range(25)])
        for thread in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.count() == 100


def test_survives_kill_9(tmp_path: Path) -> None:
    """Every row whose append had returned is there after the writer was killed, and the file goes on working."""
    path = tmp_path / "journal.sqlite"
    program = (
        "import sys, itertools; from pathlib import Path; from datetime import datetime, UTC\n"
        "from session_runner.journal.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "for n in itertools.count():\n"
        "    journal.append('cli_1', 'chn_1', 'k', (str(n),), datetime.now(UTC), {'n': n})\n"
        "    print(n, flush=True)\n"
    )
    environment = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "layers/core/python")))}
    writer = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert writer.stdout is not None
    confirmed = [int(writer.stdout.readline()) for _ in range(30)]
    writer.send_signal(signal.SIGKILL)
    confirmed += [int(line) for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    journal = Journal(path)
    assert [row.data["n"] for row in journal.pending(100_000)][: len(confirmed)] == confirmed
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    append(journal)


def test_a_failed_write_leaves_the_journal_usable(journal: Journal) -> None:
    """What cannot be written (here: no JSON) raises, and the next fact is written as if nothing had happened."""
    with pytest.raises(TypeError):
        append(journal, body=object())
    append(journal, body="um")
    assert journal.count() == 1


def test_is_on_the_disk_when_append_returns(tmp_path: Path) -> None:
    """The promise rests on these two settings of SQLite."""
    journal = Journal(tmp_path / "journal.sqlite")
    connection = journal._connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


@settings(max_examples=50, deadline=None)
@given(
    data=st.dictionaries(
        st.text(min_size=1), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), max_size=5
    )
)
def test_any_json_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, data: dict[str, Any]) -> None:
    """Whatever people write survives the journal."""
    journal = Journal(tmp_path_factory.mktemp("journal") / "journal.sqlite")
    append(journal, data=data)
    assert journal.pending()[0].data == {"data": data}


class JournalMachine(RuleBasedStateMachine):
    """Random appends, publications, assignments and reopenings against a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self._path = Path(self._directory.name) / "journal.sqlite"
        self.journal = Journal(self._path, FixedClock())
        self.expected: list[dict[str, Any]] = []

    @rule(name=st.integers(0, 5))
    def append(self, name: int) -> None:
        row = self.journal.append("cli_1", "chn_1", "k", (str(name),), AT, {"name": name})
        present = next((item for item in self.expected if item["name"] == name), None)
        if present is None:
            self.expected.append({"name": name, "number": row.number, "sequence": None})
        else:
            assert row.number == present["number"]

    @rule(limit=st.integers(1, 3))
    def publish(self, limit: int) -> None:
        self.journal.mark_published(row.number for row in self.journal.pending(limit))
        del self.expected[:limit]

    @rule(sequence=st.integers(1, 100), limit=st.integers(1, 3))
    def assign(self, sequence: int, limit: int) -> None:
        self.journal.assign_sequences({row.number: sequence for row in self.journal.pending(limit)})
        for item in self.expected[:limit]:
            item["sequence"] = item["sequence"] or sequence

    @rule()
    def reopen(self) -> None:
        self.journal.close()
        self.journal = Journal(self._path, FixedClock())

    @invariant()
    def holds_what_was_not_published(self) -> None:
        rows = [
            {"name": row.data["name"], "number": row.number, "sequence": row.sequence} for row in self.journal.pending()
        ]
        assert rows == self.expected
        assert self.journal.count() == len(rows)

    def teardown(self) -> None:
        self.journal.close()
        self._directory.cleanup()


JournalMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestJournalMachine = JournalMachine.TestCase
