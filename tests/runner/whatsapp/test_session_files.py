"""Session files through the library's own SQLite."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from session_runner.hosts.errors import HostError
from session_runner.whatsapp.native_database import NativeDatabase, NativeDatabaseError
from session_runner.whatsapp.restore import prepare_unclean
from session_runner.whatsapp.session_files import SessionStore, checkpoint, device_of, take_snapshot

# The columns we read, as whatsmeow's schema 15 has them; the end-to-end tests use the real one.
SCHEMA = """
CREATE TABLE whatsmeow_device (jid TEXT PRIMARY KEY, lid TEXT, push_name TEXT, signed_pre_key_id INTEGER);
CREATE TABLE whatsmeow_pre_keys (jid TEXT, key_id INTEGER, uploaded BOOLEAN);
CREATE TABLE whatsmeow_identity_keys (our_jid TEXT, their_id TEXT);
CREATE TABLE whatsmeow_lid_map (lid TEXT PRIMARY KEY, pn TEXT UNIQUE);
CREATE TABLE whatsmeow_app_state_version (jid TEXT, name TEXT, version BIGINT);
CREATE TABLE whatsmeow_app_state_sync_keys (jid TEXT, key_id BLOB);
CREATE TABLE whatsmeow_sessions (our_jid TEXT, their_id TEXT, session BLOB);
INSERT INTO whatsmeow_sessions VALUES ('5511988880001:4@s.whatsapp.net', '938928894547328_1:0', x'00');
INSERT INTO whatsmeow_lid_map VALUES ('938928894547328', '5511977770001');
"""
DEVICE = "INSERT INTO whatsmeow_device VALUES ('5511988880001:4@s.whatsapp.net', '688328653607671:4@lid', 'Aurora', 1)"


def run(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


@pytest.fixture
def session_file(tmp_path: Path) -> Path:
    path = tmp_path / "session ?#%.db"
    run(path, SCHEMA + DEVICE)
    return path


def test_reads_values_of_every_type(session_file: Path) -> None:
    """Integers beyond 32 bits, floats, texts with NUL and emoji, bytes, empty bytes and null."""
    with NativeDatabase(session_file) as database:
        rows = database.query("SELECT 1 << 40, 1.5, 'olá 😀' || char(0) || 'x', x'00ff', x'', null, ?", "¿?")
    assert rows == [(1 << 40, 1.5, "olá 😀\0x", b"\x00\xff", b"", None, "¿?")]


def test_reports_what_sqlite_says(session_file: Path, tmp_path: Path) -> None:
    """Errors carry SQLite's message; a file that does not exist is not made."""
    with NativeDatabase(session_file) as database, pytest.raises(NativeDatabaseError, match="no such table"):
        database.query("SELECT * FROM absent")
    with pytest.raises(NativeDatabaseError, match="unable to open"):
        NativeDatabase(tmp_path / "absent.db")
    assert not (tmp_path / "absent.db").exists()


def test_names_the_device(session_file: Path, tmp_path: Path) -> None:
    """The number and LID without the device part; None where there is none."""
    device = device_of(session_file)
    assert device is not None
    assert device.jid == "5511988880001:4@s.whatsapp.net"
    assert device.party.to_data() == {"e164": "+5511988880001", "lid": "688328653607671@lid"}
    assert device_of(tmp_path / "absent.db") is None
    run(tmp_path / "empty.db", "CREATE TABLE other (x)")
    assert device_of(tmp_path / "empty.db") is None
    run(session_file, "DELETE FROM whatsmeow_device")
    assert device_of(session_file) is None


def test_a_file_with_two_devices_is_refused(session_file: Path) -> None:
    """One session a file: with two nobody could say whose it is."""
    run(session_file, "INSERT INTO whatsmeow_device VALUES ('1:1@s.whatsapp.net', NULL, '', 1)")
    with pytest.raises(NativeDatabaseError):
        device_of(session_file)


def test_pairs_numbers_and_lids(session_file: Path) -> None:
    """Both ways, and None for strangers."""
    store = SessionStore(session_file)
    assert store.lid_of("5511977770001") == "938928894547328"
    assert store.phone_of("938928894547328") == "5511977770001"
    assert store.lid_of("5511900000000") is None
    store.close()


def test_a_snapshot_is_one_private_file_that_replaces_nothing(session_file: Path, tmp_path: Path) -> None:
    """It holds what the write-ahead log held, is ours alone, and never overwrites."""
    run(session_file, "PRAGMA journal_mode=WAL; UPDATE whatsmeow_device SET push_name = 'Nova'")
    target = tmp_path / "copy.db"
    snapshot = take_snapshot(session_file, target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.glob("copy.db*")) == ["copy.db"]
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("SELECT push_name FROM whatsmeow_device").fetchone() == ("Nova",)
    assert snapshot.size == target.stat().st_size
    with pytest.raises(HostError, match="invalid_request"):
        take_snapshot(session_file, target)
    assert target.stat().st_size == snapshot.size


def test_a_snapshot_that_fails_leaves_nothing(session_file: Path, tmp_path: Path) -> None:
    """Half a copy must not be taken for one."""
    run(session_file, "DROP TABLE whatsmeow_lid_map")
    with pytest.raises(NativeDatabaseError):
        take_snapshot(session_file, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_a_logged_out_file_is_not_copied(session_file: Path, tmp_path: Path) -> None:
    """A copy without a device must never take the place of a good one."""
    run(session_file, "DELETE FROM whatsmeow_device")
    with pytest.raises(HostError, match="not_paired"):
        take_snapshot(session_file, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize(
    ("statement", "changes"),
    [
        ("INSERT INTO whatsmeow_pre_keys VALUES ('x', 813, 1)", True),
        ("INSERT INTO whatsmeow_identity_keys VALUES ('x', 'y')", True),
        ("INSERT INTO whatsmeow_lid_map VALUES ('2', '3')", True),
        ("INSERT INTO whatsmeow_app_state_version VALUES ('x', 'regular', 5)", True),
        ("UPDATE whatsmeow_device SET lid = '1@lid'", True),
        ("UPDATE whatsmeow_sessions SET session = x'01'", False),
    ],
)
def test_the_fingerprint_follows_what_a_restore_needs(session_file: Path, statement: str, changes: bool) -> None:
    """Keys, people and app state count; the sessions that change with every message do not."""
    store = SessionStore(session_file)
    before = store.fingerprint()
    run(session_file, statement)
    assert (store.fingerprint() != before) is changes


def test_a_checkpoint_empties_the_log(session_file: Path) -> None:
    """Afterwards the file itself holds everything."""
    with NativeDatabase(session_file) as running:
        running.query("PRAGMA journal_mode=WAL")
        running.query("UPDATE whatsmeow_device SET push_name = 'Nova'")
        log = session_file.with_name(session_file.name + "-wal")
        assert log.stat().st_size > 0
        checkpoint(session_file)
        assert log.stat().st_size == 0


def test_an_unclean_copy_loses_its_signal_sessions_and_nothing_else(session_file: Path, tmp_path: Path) -> None:
    """The first messages after an unclean restore would vanish silently with them."""
    copy = tmp_path / "copy.db"
    take_snapshot(session_file, copy)
    assert prepare_unclean(copy) == 1
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM whatsmeow_sessions").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM whatsmeow_device").fetchone() == (1,)
    assert prepare_unclean(copy) == 0


def test_preparing_what_is_no_session_file_fails(tmp_path: Path) -> None:
    """Nothing is created and nothing else is touched."""
    with pytest.raises(sqlite3.Error):
        prepare_unclean(tmp_path / "absent.db")
    assert not (tmp_path / "absent.db").exists()
