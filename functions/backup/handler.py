"""Lambda: each hour, every clinic's backup."""

from datetime import datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.backup.settings import settings
from recado.aws.logging import logger, metrics
from recado.backups import service
from recado.kernel.clock import SystemClock, from_text

_log = logger("backup")
_metrics = metrics("backup")
_LEAST_TIME_MS = 60_000


class BackupIncompleteError(Exception):
    """Some clinics could not be backed up; raised so that the function's error alarm tells."""


@_log.inject_lambda_context(clear_state=True)
@_metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Back up for the hour of the event's ``time`` (now, without one); the next run takes what time did not allow.

    Raises:
        BackupIncompleteError: at least one clinic's backup failed.
    """
    settings()
    report = service.run(_moment(event), has_time=lambda: context.get_remaining_time_in_millis() > _LEAST_TIME_MS)
    counts = {
        "backed_up": len(report.backed_up),
        "present": report.present,
        "failed": len(report.failed),
        "left": report.left,
    }
    _metrics.add_metric(name="ClinicsBackedUp", unit="Count", value=counts["backed_up"])
    _metrics.add_metric(name="ClinicBackupsFailed", unit="Count", value=counts["failed"])
    _metrics.add_metric(name="ClinicBackupsLeft", unit="Count", value=counts["left"])
    _log.info("backup run over", extra={"counts": counts})
    if report.failed:
        raise BackupIncompleteError(f"{len(report.failed)} clinics could not be backed up")
    return counts


def _moment(event: dict[str, Any]) -> datetime:
    time = event.get("time")
    return from_text(time) if isinstance(time, str) else SystemClock().now()
