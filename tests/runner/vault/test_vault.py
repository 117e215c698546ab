"""The vault on S3's conditional writes (moto): fencing by epoch, own writes known again, foreign objects refused."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError, ReadTimeoutError

from recado.aws import clients, data_keys
from recado.aws.envelopes import DataKey
from recado.kernel.errors import DataErasedError, ServiceUnavailableError
from session_runner.vault import usage as vault_usage
from session_runner.vault.object import Kind, VaultDamagedError
from session_runner.vault.usage import Usage
from session_runner.vault.vault import Stored, Vault, VaultBusyError, VaultFencedError, key_of
from tests.runner.vault import version_one
from tests.support.aws import EmulatedAws

BUCKET = "recado-test-vault"
AURORA, BRISA, CHANNEL, OTHER_CHANNEL = "cli_aurora", "cli_brisa", "chn_1", "chn_2"


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
def s3(aws: EmulatedAws) -> S3:
    return S3(clients.s3())


@pytest.fixture
def told() -> list[Usage]:
    return []


def vault(s3: S3, epoch: int = 1, told: list[Usage] | None = None) -> Vault:
    heard = told if told is not None else []
    return Vault(
        s3,  # type: ignore[arg-type]
        bucket=BUCKET,
        kms_key_id="alias/vault",
        epoch=epoch,
        pause=lambda _: None,
        told=heard.append,
    )


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


def test_a_read_that_finds_a_deleted_object_finds_nothing(s3: S3) -> None:
    vault(s3).save(AURORA, CHANNEL, b"keys", over=None, clean=True)
    s3._client.delete_object(Bucket=BUCKET, Key=key_of(AURORA, CHANNEL))
    assert vault(s3).read(AURORA, CHANNEL) is None


def test_a_claim_of_what_is_gone_meanwhile_claims_nothing(s3: S3) -> None:
    seen = vault(s3, epoch=1).save(AURORA, CHANNEL, b"keys", over=None, clean=True)
    s3._client.delete_object(Bucket=BUCKET, Key=key_of(AURORA, CHANNEL))

    def refuse(_: dict[str, Any]) -> None:
        raise refused("PreconditionFailed")

    s3.faults.append(refuse)
    with pytest.raises(VaultDamagedError, match="gone"):
        vault(s3, epoch=2).claim(AURORA, CHANNEL, seen)


def put_under(s3: S3, clinic: str, channel: str, body: bytes, **metadata: str) -> None:
    marks = {"epoch": "1", "sequence": "1", "nonce": "6e" * 16, "clean": "true"} | metadata
    s3._client.put_object(Bucket=BUCKET, Key=key_of(clinic, channel), Body=body, Metadata=marks)


def saved_bytes(s3: S3, *, clean: bool = True) -> bytes:
    vault(s3).save(AURORA, CHANNEL, b"aurora's keys" * 100, over=None, clean=clean)
    body: bytes = s3._client.get_object(Bucket=BUCKET, Key=key_of(AURORA, CHANNEL))["Body"].read()
    return body


@pytest.mark.parametrize(("clinic", "channel"), [(BRISA, CHANNEL), (AURORA, OTHER_CHANNEL), (BRISA, OTHER_CHANNEL)])
@pytest.mark.parametrize("has_a_key", [True, False])
def test_another_clinics_or_channels_object_in_our_place_is_refused(
    s3: S3, clinic: str, channel: str, has_a_key: bool
) -> None:
    put_under(s3, clinic, channel, saved_bytes(s3))
    if has_a_key:
        data_keys.current(clinic)
    with pytest.raises(VaultDamagedError):
        vault(s3).read(clinic, channel)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body[:-5],
        lambda body: b"",
        lambda body: b"RECADOVT",
        lambda body: b"X" + body[1:],
        lambda body: body[:40],
        lambda body: body[:70] + b"\0\0\0",
        lambda body: body[:-1] + bytes([body[-1] ^ 1]),
    ],
)
def test_damaged_objects_are_refused(s3: S3, change: Callable[[bytes], bytes]) -> None:
    put_under(s3, AURORA, CHANNEL, change(saved_bytes(s3)))
    with pytest.raises(VaultDamagedError):
        vault(s3).read(AURORA, CHANNEL)


def test_what_the_metadata_says_changes_nothing(s3: S3) -> None:
    """Whoever can write the bucket cannot make an unclean snapshot pass for a clean one, nor lower an epoch."""
    put_under(s3, AURORA, CHANNEL, saved_bytes(s3, clean=False), clean="true", epoch="0", sequence="99")
    found = vault(s3).read(AURORA, CHANNEL)
    assert found
    assert (found.clean, found.epoch, found.sequence) == (False, 1, 1)


def test_an_old_version_put_back_is_taken_for_what_it_is(s3: S3) -> None:
    """It has its old epoch, so the next owner claims it; the owner of the newer epoch is not fenced by it."""
    old = saved_bytes(s3)
    newer = vault(s3, epoch=5)
    claimed = newer.claim(AURORA, CHANNEL, found_in(s3))
    put_under(s3, AURORA, CHANNEL, old)
    assert found_in(s3).epoch == 1
    again = newer.save(AURORA, CHANNEL, b"newer keys", over=claimed, clean=False)
    assert found_in(s3) == again


def found_in(s3: S3) -> Stored:
    found = vault(s3).read(AURORA, CHANNEL)
    assert found
    return found


def test_the_wrong_key_in_the_clinics_place_opens_nothing(s3: S3) -> None:
    body = saved_bytes(s3)
    own = data_keys.current(AURORA)
    data_keys._kept.clear()
    data_keys._keep(DataKey(AURORA, own.key_id, bytes(32)), data_keys._CLOCK)
    assert body
    with pytest.raises(VaultDamagedError):
        vault(s3).read(AURORA, CHANNEL)


def test_an_erased_key_takes_the_sessions_along_and_spares_the_other_clinics(s3: S3) -> None:
    vault(s3).save(BRISA, CHANNEL, b"brisa's keys", over=None, clean=True)
    kept = vault(s3).save(AURORA, CHANNEL, b"keys", over=None, clean=True)
    data_keys.erase(AURORA)
    with pytest.raises(DataErasedError):
        vault(s3).read(AURORA, CHANNEL)
    with pytest.raises(DataErasedError):
        vault(s3).save(AURORA, CHANNEL, b"keys", over=kept, clean=True)
    assert vault(s3).read(BRISA, CHANNEL)


def test_a_key_store_that_does_not_answer_is_no_damage(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is given up for it: the session is tried again."""
    vault(s3).save(AURORA, CHANNEL, b"keys", over=None, clean=True)
    data_keys.forget()

    def fail(**_: Any) -> Any:
        raise ReadTimeoutError(endpoint_url="http://127.0.0.1:1")

    monkeypatch.setattr(clients.kms(), "decrypt", fail)
    with pytest.raises(ServiceUnavailableError):
        vault(s3).read(AURORA, CHANNEL)


# Objects of version 1.


def test_an_object_of_version_1_is_read_and_the_next_write_is_version_2(s3: S3) -> None:
    put_under(s3, AURORA, CHANNEL, version_one.pack(Kind.SNAPSHOT, AURORA, CHANNEL, b"old keys"), epoch="3")
    found = found_in(s3)
    assert (found.snapshot, found.epoch, found.clean) == (b"old keys", 3, True)
    claimed = vault(s3, epoch=4).claim(AURORA, CHANNEL, found)
    body = s3._client.get_object(Bucket=BUCKET, Key=key_of(AURORA, CHANNEL))["Body"].read()
    assert body[8] == 2
    assert found_in(s3) == claimed
    assert (claimed.snapshot, claimed.epoch, claimed.clean, claimed.sequence) == (b"old keys", 4, False, 2)


def test_a_newer_owners_object_of_version_1_fences_too(s3: S3) -> None:
    put_under(s3, AURORA, CHANNEL, version_one.pack(Kind.SNAPSHOT, AURORA, CHANNEL, b"keys"), epoch="9")
    with pytest.raises(VaultFencedError):
        vault(s3, epoch=8).save(AURORA, CHANNEL, b"stale", over=None, clean=True)


# What writes take.


def test_each_write_tells_its_requests_and_bytes(s3: S3, told: list[Usage]) -> None:
    mine = vault(s3, epoch=2, told=told)
    saved = mine.save(AURORA, CHANNEL, b"keys", over=None, clean=False)
    mine.claim(AURORA, CHANNEL, saved)
    size = len(s3.puts[0]["Body"])
    assert told == [
        Usage(AURORA, CHANNEL, "snapshot", clean=False, puts=1, sent_bytes=size, stored=True),
        Usage(AURORA, CHANNEL, "claim", clean=False, puts=1, sent_bytes=size, stored=True),
    ]


def test_refused_requests_are_counted_as_s3_bills_them(s3: S3, told: list[Usage]) -> None:
    def conflict(_: dict[str, Any]) -> None:
        raise refused("ConditionalRequestConflict")

    s3.faults += [conflict, conflict]
    vault(s3, told=told).save(AURORA, CHANNEL, b"keys", over=None, clean=True)
    assert [(usage.puts, usage.stored) for usage in told] == [(3, True)]
    with pytest.raises(VaultFencedError):
        vault(s3, epoch=0, told=told).bury(AURORA, CHANNEL, over=None)
    assert [(usage.purpose, usage.puts, usage.stored) for usage in told[1:]] == [("tombstone", 1, False)]


def test_what_is_told_becomes_a_log_line_and_two_counts(
    aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names the channel, for PUTs per channel-day; the metrics do not: a dimension each costs too much."""
    stream = io.StringIO()
    monkeypatch.setattr(vault_usage, "logger", lambda _: Logger(service="vault-usage-test", stream=stream))
    vault_usage.tell(Usage(AURORA, CHANNEL, "claim", clean=False, puts=2, sent_bytes=640, stored=True))
    line = json.loads(stream.getvalue())
    assert line["message"] == "vault write"
    wanted = {"clinic_id": AURORA, "channel_id": CHANNEL, "purpose": "claim", "puts": 2, "sent_bytes": 640}
    assert wanted.items() <= line.items()
    metrics = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert [line.get("VaultPuts") or line.get("VaultBytes") for line in metrics] == [[2.0], [640.0]]
    assert not any("channel_id" in line or "clinic_id" in line for line in metrics)
