"""Backups: whole, checkable, one clinic's own, and no more copying than needed."""

import gzip
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from recado.aws.clients import s3
from recado.aws.settings import BackupSettings, VaultSettings
from recado.backups import service, table
from recado.backups.model import Manifest, StoredObject, manifest_key
from recado.backups.storage import Storage
from recado.channels import service as channels
from recado.clinics import service as clinics
from recado.clinics.model import Scope
from recado.kernel.errors import ServiceUnavailableError
from recado.webhooks import service as webhooks
from recado.webhooks.addresses import AddressGuard
from tests.support.aws import EmulatedAws
from tests.support.clock import FixedClock

PUBLIC = AddressGuard(resolver=lambda _host, _port: ["93.184.215.14"])


@pytest.fixture
def aurora(aws: EmulatedAws) -> str:
    return clinics.create_clinic("Clínica Aurora", "America/Sao_Paulo").clinic_id


@pytest.fixture
def brisa(aws: EmulatedAws) -> str:
    return clinics.create_clinic("Clínica Brisa", "America/Sao_Paulo").clinic_id


def put_session(clinic_id: str, channel_id: str, content: bytes) -> None:
    s3().put_object(
        Bucket=VaultSettings().vault_bucket,
        Key=f"clinic/{clinic_id}/channel/{channel_id}/session.vault",
        Body=content,
        Metadata={"epoch": "3", "clean": "true"},
    )


def keys() -> list[str]:
    listed = s3().list_objects_v2(Bucket=BackupSettings().backup_bucket).get("Contents", [])
    return [found["Key"] for found in listed]


def copies() -> list[str]:
    return [key for key in keys() if "/vault/" in key]


def manifest(clinic_id: str, clock: FixedClock) -> Manifest:
    found = service.load_manifest(clinic_id, clock.now())
    assert found is not None
    return found


def configuration(clinic_id: str, clock: FixedClock) -> list[dict[str, Any]]:
    content = Storage().read(manifest(clinic_id, clock).configuration.key)
    assert content is not None
    items: list[dict[str, Any]] = json.loads(gzip.decompress(content))
    return items


def test_sessions_are_copied_as_they_are_and_encrypted(aurora: str, clock: FixedClock) -> None:
    put_session(aurora, "chn_1", b"one")
    put_session(aurora, "chn_2", b"twotwo")
    report = service.run(clock.now(), clock=clock)
    assert (report.backed_up, report.failed, report.left) == ((aurora,), (), 0)
    made = manifest(aurora, clock)
    assert {(one.source_key.rsplit("/", 2)[1], one.size) for one in made.objects} == {("chn_1", 3), ("chn_2", 6)}
    for one in made.objects:
        stored = s3().get_object(Bucket=BackupSettings().backup_bucket, Key=one.key)
        assert stored["ServerSideEncryption"] == "aws:kms"
        assert stored["Metadata"] == {"epoch": "3", "clean": "true"}
        assert len(stored["Body"].read()) == one.size


def test_the_configuration_is_whole_and_holds_no_secret_in_the_clear(aurora: str, clock: FixedClock) -> None:
    channel = channels.create(aurora, "Recepção", "recepcao")
    _, key_text = clinics.create_api_key(aurora, "agenda", frozenset({Scope.MESSAGES_READ}))
    endpoint, secret = webhooks.create_endpoint(
        aurora, url="https://example.com/", event_types=["message.*"], guard=PUBLIC
    )
    service.run(clock.now(), clock=clock)
    items = configuration(aurora, clock)
    kinds = {item["sk"]["S"].partition("#")[0] for item in items}
    assert {"clinic", "channel", "api_key", "endpoint"} <= kinds
    text = json.dumps(items, ensure_ascii=False)
    for present in (channel.channel_id, endpoint.webhook_endpoint_id, "Clínica Aurora"):
        assert present in text
    for secret_text in (secret, secret.removeprefix("whsec_"), key_text, key_text[-43:]):
        assert secret_text not in text
    assert manifest(aurora, clock).configuration_items == len(items)


def test_each_clinic_lies_under_its_own_prefix_and_holds_nothing_of_the_other(
    aurora: str, brisa: str, clock: FixedClock
) -> None:
    put_session(aurora, "chn_1", b"aurora")
    put_session(brisa, "chn_2", b"brisa")
    webhooks.create_endpoint(brisa, url="https://brisa.example/", event_types=["message.*"], guard=PUBLIC)
    service.run(clock.now(), clock=clock)
    for own, other in ((aurora, brisa), (brisa, aurora)):
        made = manifest(own, clock)
        for one in (made.configuration, *made.objects):
            assert one.key.startswith(f"clinic/{own}/")
            assert other not in one.key
        assert other not in json.dumps(configuration(own, clock))
    assert all(key.startswith(("clinic/", "progress.json")) for key in keys())


def test_a_clinic_whose_id_begins_like_anothers_is_still_another(aurora: str, clock: FixedClock) -> None:
    put_session(f"{aurora}x", "chn_1", b"foreign")
    service.run(clock.now(), clock=clock)
    assert manifest(aurora, clock).objects == ()


def test_repeating_an_hour_changes_nothing(aurora: str, clock: FixedClock) -> None:
    put_session(aurora, "chn_1", b"one")
    service.run(clock.now(), clock=clock)
    before, first = keys(), manifest(aurora, clock)
    put_session(aurora, "chn_1", b"changed")
    clock.advance(minutes=59)
    report = service.run(clock.now(), clock=clock)
    assert (report.backed_up, report.present) == ((), 1)
    assert keys() == before
    assert manifest(aurora, clock) == first


def test_only_what_changed_is_copied_in_the_next_hour(aurora: str, clock: FixedClock, aws: EmulatedAws) -> None:
    put_session(aurora, "chn_1", b"same")
    put_session(aurora, "chn_2", b"before")
    service.run(clock.now(), clock=clock)
    assert manifest(aurora, clock).copied == 2
    put_session(aurora, "chn_2", b"after")
    clock.advance(hours=1)
    service.run(clock.now(), clock=clock)
    made = manifest(aurora, clock)
    assert (len(made.objects), made.copied) == (2, 1)
    assert len(copies()) == 3
    assert service.verify(made) == []


def test_a_copy_is_renewed_before_a_lifecycle_rule_could_end_it(aurora: str, clock: FixedClock) -> None:
    put_session(aurora, "chn_1", b"same")
    service.run(clock.now(), clock=clock)
    clock.advance(days=6)
    service.run(clock.now(), clock=clock)
    assert manifest(aurora, clock).copied == 0
    clock.advance(days=2)
    service.run(clock.now(), clock=clock)
    made = manifest(aurora, clock)
    assert made.copied == 1
    assert made.objects[0].copied_at == clock.now()


def test_a_sound_backup_verifies_and_every_kind_of_damage_is_named(aurora: str, clock: FixedClock) -> None:
    for number in range(3):
        put_session(aurora, f"chn_{number}", f"session {number}".encode())
    service.run(clock.now(), clock=clock)
    made = manifest(aurora, clock)
    assert service.verify(made) == []

    bucket = BackupSettings().backup_bucket
    lost, cut, altered = (one.key for one in made.objects)
    s3().delete_object(Bucket=bucket, Key=lost)
    s3().put_object(Bucket=bucket, Key=cut, Body=b"short")
    s3().put_object(Bucket=bucket, Key=altered, Body=b"sessioN 2")
    s3().put_object(Bucket=bucket, Key=made.configuration.key, Body=b"")
    foreign = StoredObject("clinic/cli_other/configuration/x", 1, "0" * 64)
    assert {(one.key, one.kind) for one in service.verify(made)} == {
        (lost, "missing"),
        (cut, "size"),
        (altered, "content"),
        (made.configuration.key, "size"),
    }
    assert next(one.kind for one in service.verify(replace(made, configuration=foreign))) == "foreign"


def test_a_manifest_that_was_tampered_with_is_refused(aurora: str, clock: FixedClock) -> None:
    put_session(aurora, "chn_1", b"one")
    service.run(clock.now(), clock=clock)
    text = manifest(aurora, clock).to_json()
    assert Manifest.from_json(text) == manifest(aurora, clock)
    plain = json.loads(text)
    damages: tuple[object, ...] = (
        plain | {"objects": []},
        plain | {"version": 2},
        {key: value for key, value in plain.items() if key != "configuration"},
        plain | {"counts": plain["counts"] | {"bytes": 1}},
        [],
    )
    for damaged in damages:
        with pytest.raises(ValueError, match="manifest"):
            Manifest.from_json(json.dumps(damaged))


def test_where_a_run_broke_off_there_is_no_manifest(
    aurora: str, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_session(aurora, "chn_1", b"one")

    def broken(*_arguments: object) -> None:
        raise ServiceUnavailableError

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "copy", broken)
        report = service.run(clock.now(), clock=clock)
    assert report.failed == (aurora,)
    assert service.load_manifest(aurora, clock.now()) is None
    assert service.run(clock.now(), clock=clock).backed_up == (aurora,)


def test_one_clinics_failure_does_not_cost_the_others_their_backup(
    aurora: str, brisa: str, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = table.configuration

    def failing(clinic_id: str) -> list[dict[str, Any]]:
        if clinic_id == aurora:
            raise ServiceUnavailableError
        return read(clinic_id)

    monkeypatch.setattr(table, "configuration", failing)
    report = service.run(clock.now(), clock=clock)
    assert (report.failed, report.backed_up) == ((aurora,), (brisa,))


def test_a_run_out_of_time_is_continued_where_it_stopped_and_nobody_starves(
    aws: EmulatedAws, clock: FixedClock
) -> None:
    made = sorted(clinics.create_clinic(f"Clínica {number}", "America/Sao_Paulo").clinic_id for number in range(5))
    order: list[str] = []
    for _ in range(5):
        answers = iter([True, True, False])
        report = service.run(clock.now(), clock=clock, has_time=lambda answers=answers: next(answers))  # type: ignore[misc]
        assert report.left == 3
        order += report.backed_up
        clock.advance(hours=1)
    assert order == made + made


def test_a_session_written_during_the_run_is_taken_as_it_is_then_and_a_deleted_one_is_left_out(
    aurora: str, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_session(aurora, "chn_1", b"before")
    put_session(aurora, "chn_2", b"doomed")
    listing = Storage.vault_objects

    def outdated(self: Storage, prefix: str) -> object:
        found = listing(self, prefix)
        put_session(aurora, "chn_1", b"after!!")
        s3().delete_object(Bucket=VaultSettings().vault_bucket, Key=f"clinic/{aurora}/channel/chn_2/session.vault")
        return found

    monkeypatch.setattr(Storage, "vault_objects", outdated)
    service.run(clock.now(), clock=clock)
    (only,) = manifest(aurora, clock).objects
    assert only.size == len(b"after!!")
    assert service.verify(manifest(aurora, clock)) == []


def test_two_runs_at_once_leave_one_whole_backup(
    aurora: str, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_session(aurora, "chn_1", b"one")
    exists = Storage.exists
    monkeypatch.setattr(Storage, "exists", lambda self, key: False if "/manifests/" in key else exists(self, key))
    service.run(clock.now(), clock=clock)
    first = manifest(aurora, clock)
    channels.create(aurora, "Recepção")
    service.run(clock.now() + timedelta(minutes=1), clock=clock)
    assert manifest(aurora, clock) == first
    assert service.verify(first) == []


def test_the_hour_is_utc_and_full(aurora: str, clock: FixedClock) -> None:
    clock.advance(minutes=30)
    service.run(clock.now(), clock=clock)
    assert manifest_key(aurora, clock.now()).endswith("/manifests/2026-11-22T13.json")
    assert manifest(aurora, clock).hour.isoformat() == "2026-11-22T13:00:00+00:00"


def test_a_damaged_note_of_progress_costs_nobody_a_backup(aurora: str, clock: FixedClock) -> None:
    for damaged in (b"not json", b"[]", b"{}"):
        s3().put_object(Bucket=BackupSettings().backup_bucket, Key=service.PROGRESS_KEY, Body=damaged)
        assert service.run(clock.now(), clock=clock).backed_up == (aurora,)
        clock.advance(hours=1)
