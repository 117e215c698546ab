"""The vault on S3's conditional writes (moto): fencing by epoch, own writes known again, foreign objects refused."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from session_runner.vault import Stored, Vault, VaultBusyError, VaultFencedError, key_of
from session_runner.vault_format import Kind, VaultDamagedError

BUCKET = "vault"
AURORA, BRISA, CHANNEL = "cli_aurora", "cli_brisa", "chn_1"


class S3:
    """An S3 client whose next puts can be made to fail after or before they took effect."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.faults: list[Callable[[dict[str, Any]], None]] = []
        self.puts: list[dict[str, Any]] = []

    def get_object(self, **request: Any) -> Any:
        return self._client.get_object(**request)

    def put_object(self, **request: Any) -> Any:
        self.puts.append(request)
        if self.faults:
            self.faults.pop(0)(request)
        return self._client.put_object(**request)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield S3(client)


def vault(s3: S3, epoch: int = 1) -> Vault:
    return Vault(s3, bucket=BUCKET, kms_key_id="alias/vault", epoch=epoch, pause=lambda _: None)  # type: ignore[arg-type]


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "PutObject")


def test_an_empty_vault_holds_nothing(s3: S3) -> None:
    assert vault(s3).read(AURORA, CHANNEL) is None


def test_a_saved_snapshot_is_read_back_with_its_marks(s3: S3) -> None:
    saved = vault(s3, epoch=7).save(AURORA, CHANNEL, b"keys", over=None, clean=True)
    found = vault(s3).read(AURORA, CHANNEL)
    assert found == saved
    assert (found.epoch, found.sequence, found.clean, found.snapshot) == (7, 1, True, b"keys")


def test_objects_are_encrypted_under_our_key_bound_to_clinic_and_channel(s3: S3) -> None:
    vault(s3).save(AURORA, CHANNEL, b"keys", over=None, clean=True)
    put = s3.puts[0]
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", "alias/vault")
    assert put["SSEKMSEncryptionContext"]
    assert put["Key"] == "clinic/cli_aurora/channel/chn_1/session.vault"
    assert b"keys" not in put["Body"]


def test_a_claim_keeps_the_content_and_takes_the_epoch_and_the_clean_mark(s3: S3) -> None:
    old = vault(s3, epoch=1).save(AURORA, CHANNEL, b"keys", over=None, clean=True)
    claimed = vault(s3, epoch=2).claim(AURORA, CHANNEL, old)
    assert (claimed.epoch, claimed.clean, claimed.snapshot, claimed.sequence) == (2, False, b"keys", 2)
    assert vault(s3).read(AURORA, CHANNEL) == claimed


def test_a_stale_owner_cannot_write_after_the_claim(s3: S3) -> None:
    stale = vault(s3, epoch=1)
    old = stale.save(AURORA, CHANNEL, b"keys", over=None, clean=False)
    claimed = vault(s3, epoch=2).claim(AURORA, CHANNEL, old)
    with pytest.raises(VaultFencedError):
        stale.save(AURORA, CHANNEL, b"stale keys", over=old, clean=True)
    with pytest.raises(VaultFencedError):
        stale.bury(AURORA, CHANNEL, over=old)
    assert vault(s3).read(AURORA, CHANNEL) == claimed


def test_a_first_write_of_a_stale_owner_does_not_replace_a_newer_object(s3: S3) -> None:
    vault(s3, epoch=2).save(AURORA, CHANNEL, b"new", over=None, clean=False)
    with pytest.raises(VaultFencedError):
        vault(s3, epoch=1).save(AURORA, CHANNEL, b"old", over=None, clean=False)


def test_a_late_write_of_an_older_owner_is_overtaken_and_its_content_claimed(s3: S3) -> None:
    first = vault(s3, epoch=1)
    seen = first.save(AURORA, CHANNEL, b"early", over=None, clean=False)
    first.save(AURORA, CHANNEL, b"late", over=seen, clean=True)
    claimed = vault(s3, epoch=2).claim(AURORA, CHANNEL, seen)
    assert (claimed.snapshot, claimed.epoch, claimed.sequence) == (b"late", 2, 3)


def test_a_write_whose_answer_was_lost_is_known_again_by_its_nonce(s3: S3) -> None:
    def take_effect_then_repeat(request: dict[str, Any]) -> None:
        s3._client.put_object(**request)

    s3.faults.append(take_effect_then_repeat)
    saved = vault(s3).save(AURORA, CHANNEL, b"keys", over=None, clean=False)
    assert len(s3.puts) == 1
    assert saved.sequence == 1
    assert vault(s3).read(AURORA, CHANNEL) == saved


def test_a_conflicting_write_in_progress_is_read_again_and_retried(s3: S3) -> None:
    def conflict(_: dict[str, Any]) -> None:
        raise refused("ConditionalRequestConflict")

    s3.faults += [conflict, conflict]
    saved = vault(s3).save(AURORA, CHANNEL, b"keys", over=None, clean=False)
    assert len(s3.puts) == 3
    assert vault(s3).read(AURORA, CHANNEL) == saved


def test_endless_conflicts_end_in_an_error_with_nothing_written(s3: S3) -> None:
    def conflict(_: dict[str, Any]) -> None:
        raise refused("ConditionalRequestConflict")

    s3.faults += [conflict] * 50
    with pytest.raises(VaultBusyError):
        vault(s3).save(AURORA, CHANNEL, b"keys", over=None, clean=False)
    assert vault(s3).read(AURORA, CHANNEL) is None


def test_other_errors_of_the_store_are_not_mistaken_for_a_lost_race(s3: S3) -> None:
    def denied(_: dict[str, Any]) -> None:
        raise refused("AccessDenied")

    s3.faults.append(denied)
    with pytest.raises(ClientError):
        vault(s3).save(AURORA, CHANNEL, b"keys", over=None, clean=False)


def test_a_tombstone_ends_the_link_and_leaves_the_good_snapshot_as_an_earlier_version(s3: S3) -> None:
    kept = vault(s3).save(AURORA, CHANNEL, b"keys", over=None, clean=False)
    vault(s3).bury(AURORA, CHANNEL, over=kept)
    found = vault(s3).read(AURORA, CHANNEL)
    assert found is not None
    assert (found.kind, found.snapshot) == (Kind.TOMBSTONE, b"")
    versions = s3._client.list_object_versions(Bucket=BUCKET, Prefix=key_of(AURORA, CHANNEL))["Versions"]
    assert len(versions) == 2


def test_a_new_pairing_is_written_over_the_tombstone(s3: S3) -> None:
    tombstone = vault(s3, epoch=1).bury(AURORA, CHANNEL, over=None)
    saved = vault(s3, epoch=2).save(AURORA, CHANNEL, b"new keys", over=tombstone, clean=False)
    assert vault(s3).read(AURORA, CHANNEL) == saved


def stolen(s3: S3, change: Callable[[bytes], bytes], **metadata: str) -> Stored | None:
    saved = vault(s3).save(AURORA, CHANNEL, b"aurora's keys" * 100, over=None, clean=True)
    body = s3._client.get_object(Bucket=BUCKET, Key=key_of(AURORA, CHANNEL))["Body"].read()
    marks = {"epoch": "1", "sequence": "1", "nonce": saved.nonce, "clean": "true"} | metadata
    s3._client.put_object(Bucket=BUCKET, Key=key_of(BRISA, CHANNEL), Body=change(body), Metadata=marks)
    s3._client.put_object(Bucket=BUCKET, Key=key_of(AURORA, CHANNEL), Body=change(body), Metadata=marks)
    return saved


def test_another_clinics_object_under_our_key_is_refused(s3: S3) -> None:
    stolen(s3, lambda body: body)
    with pytest.raises(VaultDamagedError, match="another channel"):
        vault(s3).read(BRISA, CHANNEL)


@pytest.mark.parametrize(
    "change",
    [lambda body: body[:-5], lambda body: b"", lambda body: b"X" + body[1:], lambda body: body[:60] + b"\0\0\0"],
)
def test_damaged_objects_are_refused(s3: S3, change: Callable[[bytes], bytes]) -> None:
    stolen(s3, change)
    with pytest.raises(VaultDamagedError):
        vault(s3).read(AURORA, CHANNEL)


def test_an_object_without_a_readable_epoch_is_refused(s3: S3) -> None:
    stolen(s3, lambda body: body, epoch="many")
    with pytest.raises(VaultDamagedError):
        vault(s3).read(AURORA, CHANNEL)
