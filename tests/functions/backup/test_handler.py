"""The backup function: by the hour of its event, loud when a clinic fails."""

from datetime import UTC, datetime

import pytest

from functions.backup.handler import BackupIncompleteError, handler
from recado.aws.clients import s3
from recado.aws.settings import BackupSettings, VaultSettings
from recado.backups import service, table
from recado.clinics import service as clinics
from recado.kernel.errors import ServiceUnavailableError
from recado.kernel.ids import Prefix, new_id
from tests.support.aws import EmulatedAws
from tests.support.lambdas import lambda_context

EVENT = {"source": "aws.scheduler", "time": "2026-11-22T13:04:59Z"}
PLENTY_MS = 900_000


def test_a_run_backs_up_for_the_hour_it_was_scheduled_for(aws: EmulatedAws) -> None:
    clinic_id = clinics.create_clinic("Clínica Aurora", "America/Sao_Paulo").clinic_id
    assert handler(EVENT, lambda_context(remaining_ms=PLENTY_MS)) == {
        "backed_up": 1,
        "present": 0,
        "failed": 0,
        "left": 0,
    }
    made = service.load_manifest(clinic_id, datetime(2026, 11, 22, 13, tzinfo=UTC))
    assert made is not None
    assert service.verify(made) == []
    assert handler(EVENT, lambda_context(remaining_ms=PLENTY_MS))["present"] == 1


def test_with_little_time_left_the_next_run_goes_on(aws: EmulatedAws) -> None:
    clinics.create_clinic("Clínica Aurora", "America/Sao_Paulo")
    assert handler(EVENT, lambda_context(remaining_ms=30_000))["left"] == 1
    assert handler(EVENT, lambda_context(remaining_ms=PLENTY_MS))["backed_up"] == 1


def test_a_failed_clinic_makes_the_function_fail_so_that_its_alarm_rings(
    aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinics.create_clinic("Clínica Aurora", "America/Sao_Paulo")

    def broken(_clinic_id: str) -> None:
        raise ServiceUnavailableError

    monkeypatch.setattr(table, "configuration", broken)
    with pytest.raises(BackupIncompleteError):
        handler(EVENT, lambda_context(remaining_ms=PLENTY_MS))


def test_sessions_are_copied_out_of_the_vault(aws: EmulatedAws) -> None:
    clinic_id = clinics.create_clinic("Clínica Aurora", "America/Sao_Paulo").clinic_id
    channel_id = new_id(Prefix.CHANNEL)
    key = f"clinic/{clinic_id}/channel/{channel_id}/session.vault"
    s3().put_object(Bucket=VaultSettings().vault_bucket, Key=key, Body=b"sealed")
    assert handler(EVENT, lambda_context(remaining_ms=PLENTY_MS))["backed_up"] == 1
    made = service.load_manifest(clinic_id, datetime(2026, 11, 22, 13, tzinfo=UTC))
    assert made is not None
    assert service.verify(made) == []
    listed = s3().list_objects_v2(Bucket=BackupSettings().backup_bucket)["Contents"]
    assert [found["Key"] for found in listed if found["Key"].startswith(f"clinic/{clinic_id}/vault/")]
