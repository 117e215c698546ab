"""Answers of WhatsApp to questions that somebody waits for, handed from the runner to the waiting caller."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from recado.channels.runtime_table import CheckResultRecord, check_result_key
from recado.kernel.clock import Clock, SystemClock

_CLOCK = SystemClock()
_LIFE = timedelta(minutes=5)


def put_check_result(
    clinic_id: str, channel_id: str, request_id: str, results: Sequence[dict[str, Any]], *, clock: Clock = _CLOCK
) -> None:
    """Answer a request; the answer is kept for five minutes.

    Args:
        clinic_id: whose channel was asked.
        channel_id: which channel was asked.
        request_id: the request's id.
        results: per number ``{e164, on_whatsapp, registered_e164, lid}``.
        clock: tells until when it is kept.
    """
    CheckResultRecord(
        *check_result_key(clinic_id, channel_id, request_id),
        results=list(results),
        expires_at=int((clock.now() + _LIFE).timestamp()),
    ).store()


def get_check_result(
    clinic_id: str, channel_id: str, request_id: str, *, clock: Clock = _CLOCK
) -> list[dict[str, Any]] | None:
    """Return the answer to a request, or None while there is none."""
    record = CheckResultRecord.find(*check_result_key(clinic_id, channel_id, request_id), now=clock.now())
    return list(record.results) if record else None
