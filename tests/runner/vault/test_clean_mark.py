"""The trap of the clean mark, on the real vault (moto): a session restored clean, used, lost, and restored again.

A WhatsApp session is a ratchet. If the second owner took the first snapshot for clean once more, it would reuse keys
that the first owner has spent. What prevents it is the claim: the mark is gone before anybody can connect.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from recado.aws import clients
from session_runner.vault.credentials import Credentials, Found
from session_runner.vault.vault import Stored, Vault, VaultFencedError
from tests.support.aws import EmulatedAws

CLINIC, CHANNEL = "cli_aurora", "chn_1"
KEYS = b"the keys of a session that was stopped in order"


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were prepared as those of an unclean end are."""
    paths: list[Path] = []
    monkeypatch.setattr("session_runner.vault.credentials.prepare_unclean", paths.append)
    return paths


@pytest.fixture
def task(aws: EmulatedAws, tmp_path: Path) -> Callable[[int], Credentials]:
    """Makes the credentials of a new task, with an empty disk."""

    def start(epoch: int) -> Credentials:
        return Credentials(tmp_path / f"task-{epoch}", vault(epoch), CLINIC, CHANNEL)

    return start


def vault(epoch: int) -> Vault:
    return Vault(clients.s3(), bucket="recado-test-vault", kms_key_id="alias/vault", epoch=epoch, told=lambda _: None)


def stored() -> Stored:
    found = vault(0).read(CLINIC, CHANNEL)
    assert found
    return found


def stopped_in_order(first: Credentials, tmp_path: Path) -> None:
    """Leave what a task leaves that was told to stop: a clean snapshot."""
    snapshot = tmp_path / "final.db"
    snapshot.write_bytes(KEYS)
    first.save(snapshot, clean=True)
    assert stored().clean


def test_restored_clean_then_sent_then_died_is_not_restored_clean_again(
    task: Callable[[int], Credentials], tmp_path: Path, prepared: list[Path]
) -> None:
    stopped_in_order(task(1), tmp_path)
    second = task(2)
    assert second.restore() is Found.RESTORED
    assert prepared == []
    # It connects and sends; then its task is gone before the first write.
    third = task(3)
    assert third.restore() is Found.RESTORED
    assert third.database.read_bytes() == KEYS
    assert prepared == [third.database]


def test_the_mark_is_gone_before_there_is_a_file_to_connect_with(
    task: Callable[[int], Credentials], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_in_order(task(1), tmp_path)
    seen: list[bool] = []
    monkeypatch.setattr("session_runner.vault.credentials._write", lambda path, snapshot: seen.append(stored().clean))
    task(2).restore()
    assert seen == [False]


def test_without_a_claim_there_is_no_session(
    task: Callable[[int], Credentials], tmp_path: Path, prepared: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When S3 refuses the claim, nothing is restored, and the next try finds the snapshot still clean."""
    stopped_in_order(task(1), tmp_path)
    second = task(2)
    with monkeypatch.context() as outage:

        def refuse(**_: object) -> None:
            raise ClientError({"Error": {"Code": "SlowDown"}}, "PutObject")

        outage.setattr(clients.s3(), "put_object", refuse)
        with pytest.raises(ClientError):
            second.restore()
    assert not second.database.exists()
    assert second.restore() is Found.RESTORED
    assert prepared == []


def test_a_claim_whose_answer_is_lost_with_its_task_counts_all_the_same(
    task: Callable[[int], Credentials], tmp_path: Path, prepared: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows whether that task connected; the next one must take it that it did."""
    stopped_in_order(task(1), tmp_path)
    put = clients.s3().put_object
    with monkeypatch.context() as outage:

        def take_effect_without_an_answer(**request: object) -> None:
            put(**request)  # type: ignore[arg-type]
            raise ClientError({"Error": {"Code": "InternalError"}}, "PutObject")

        outage.setattr(clients.s3(), "put_object", take_effect_without_an_answer)
        with pytest.raises(ClientError):
            task(2).restore()
    third = task(3)
    third.restore()
    assert prepared == [third.database]


def test_the_former_owner_cannot_put_the_mark_back(
    task: Callable[[int], Credentials], tmp_path: Path, prepared: list[Path]
) -> None:
    """Its own clean end comes too late once the next one has claimed."""
    first = task(1)
    stopped_in_order(first, tmp_path)
    task(2).restore()
    with pytest.raises(VaultFencedError):
        stopped_in_order(first, tmp_path)
    assert not stored().clean
