"""A session's files: private, restored under our epoch, unclean unless the last owner ended in order."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from recado.kernel.errors import DataErasedError
from session_runner.vault.credentials import Credentials, Found
from session_runner.vault.object import Kind
from session_runner.vault.vault import Stored, Vault, VaultFencedError
from tests.runner.fakes import CHANNEL, CLINIC, EPOCH, MemoryVault

KEY = (CLINIC, CHANNEL)
CLEAN = Stored("1", EPOCH - 1, 1, "n", clean=True, kind=Kind.SNAPSHOT, snapshot=b"keys")


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    paths: list[Path] = []
    monkeypatch.setattr("session_runner.vault.credentials.prepare_unclean", paths.append)
    return paths


@pytest.fixture
def vault() -> MemoryVault:
    return MemoryVault()


def credentials(root: Path, vault: MemoryVault) -> Credentials:
    return Credentials(root, cast("Vault", vault), CLINIC, CHANNEL)


def test_a_clean_snapshot_is_used_as_it_is(tmp_path: Path, vault: MemoryVault, prepared: list[Path]) -> None:
    vault.stored[KEY] = CLEAN
    mine = credentials(tmp_path, vault)
    assert mine.restore() is Found.RESTORED
    assert mine.database.read_bytes() == b"keys"
    assert prepared == []


def test_an_unclean_snapshot_is_prepared_before_anybody_connects_with_it(
    tmp_path: Path, vault: MemoryVault, prepared: list[Path]
) -> None:
    vault.stored[KEY] = replace(CLEAN, clean=False)
    mine = credentials(tmp_path, vault)
    mine.restore()
    assert prepared == [mine.database]


def test_a_former_owner_that_writes_during_the_claim_makes_it_unclean(
    tmp_path: Path, vault: MemoryVault, prepared: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.stored[KEY] = CLEAN
    late = replace(CLEAN, snapshot=b"later keys", epoch=EPOCH, clean=False)
    monkeypatch.setattr(vault, "claim", lambda clinic_id, channel_id, stored: late)
    mine = credentials(tmp_path, vault)
    mine.restore()
    assert mine.database.read_bytes() == b"later keys"
    assert prepared == [mine.database]


def test_somebody_who_claims_the_same_snapshot_between_our_read_and_our_claim_makes_it_unclean(
    tmp_path: Path, vault: MemoryVault, prepared: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That owner may have connected with it, so that its content is the same proves nothing."""
    vault.stored[KEY] = CLEAN
    late = replace(CLEAN, epoch=EPOCH, sequence=CLEAN.sequence + 2, clean=False)
    monkeypatch.setattr(vault, "claim", lambda clinic_id, channel_id, stored: late)
    mine = credentials(tmp_path, vault)
    mine.restore()
    assert prepared == [mine.database]


@pytest.mark.parametrize("stored", [None, replace(CLEAN, kind=Kind.TOMBSTONE, snapshot=b"")])
def test_nothing_and_a_tombstone_are_no_credentials(tmp_path: Path, vault: MemoryVault, stored: Stored | None) -> None:
    if stored:
        vault.stored[KEY] = stored
    assert credentials(tmp_path, vault).restore() is Found.NOTHING
    assert list(tmp_path.iterdir()) == []


def test_files_left_of_an_earlier_link_are_not_mixed_with_the_restored_one(tmp_path: Path, vault: MemoryVault) -> None:
    vault.stored[KEY] = CLEAN
    mine = credentials(tmp_path, vault)
    mine.fresh()
    (mine.database.parent / "session.db-wal").write_bytes(b"of another link")
    mine.restore()
    assert [path.name for path in mine.database.parent.iterdir()] == ["session.db"]


def test_burying_writes_a_tombstone_once_and_removes_the_files(tmp_path: Path, vault: MemoryVault) -> None:
    vault.stored[KEY] = CLEAN
    mine = credentials(tmp_path, vault)
    mine.restore()
    mine.bury()
    tombstone = vault.stored[KEY]
    assert tombstone.kind is Kind.TOMBSTONE
    mine.bury()
    assert vault.stored[KEY] == tombstone
    assert list(tmp_path.iterdir()) == []


def test_burying_what_was_never_kept_writes_nothing(tmp_path: Path, vault: MemoryVault) -> None:
    credentials(tmp_path, vault).bury()
    assert vault.stored == {}


def test_a_stale_owner_can_neither_restore_nor_save_nor_bury(tmp_path: Path, vault: MemoryVault) -> None:
    vault.stored[KEY] = replace(CLEAN, epoch=EPOCH + 1)
    snapshot = tmp_path / "snapshot.db"
    snapshot.write_bytes(b"stale keys")
    mine = credentials(tmp_path / "sessions", vault)
    with pytest.raises(VaultFencedError):
        mine.restore()
    with pytest.raises(VaultFencedError):
        mine.save(snapshot, clean=True)
    with pytest.raises(VaultFencedError):
        mine.bury()
    assert vault.stored[KEY].snapshot == b"keys"
    assert not snapshot.exists()


def test_another_clinics_channel_of_the_same_name_has_its_own_object(tmp_path: Path, vault: MemoryVault) -> None:
    vault.stored[KEY] = CLEAN
    other = Credentials(tmp_path, cast("Vault", vault), "cli_brisa", CHANNEL)
    assert other.restore() is Found.NOTHING


def test_the_end_of_a_link_needs_no_tombstone_where_the_key_is_erased(tmp_path: Path) -> None:
    vault = MemoryVault(error=DataErasedError())
    mine = credentials(tmp_path, vault)
    mine.fresh()
    mine.bury()
    assert list(tmp_path.iterdir()) == []


def test_a_live_file_that_goes_on_after_a_clean_snapshot_takes_the_clean_mark_back(
    tmp_path: Path, vault: MemoryVault
) -> None:
    """A session that was stopped and is started again in the same process has a vault that no longer says clean."""
    snapshot = tmp_path / "snapshot.db"
    snapshot.write_bytes(b"newer keys")
    vault.stored[KEY] = CLEAN
    mine = credentials(tmp_path / "sessions", vault)
    mine.restore()
    mine.save(snapshot, clean=True)
    assert vault.stored[KEY].clean
    assert mine.restore() is Found.LIVE
    assert not vault.stored[KEY].clean
