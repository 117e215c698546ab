"""Remembering, per clinic, what WhatsApp said about a number, because asking too often gets a number banned."""

from recado.aws.models import ConditionFailedError
from recado.contacts.model import Resolution
from recado.contacts.table import ContactRecord, contact_key
from recado.kernel.clock import Clock, SystemClock

_CLOCK = SystemClock()


def cached(clinic_id: str, e164: str, *, clock: Clock = _CLOCK) -> Resolution | None:
    """Return what WhatsApp said about a number, unless that was never asked for this clinic or too long ago.

    Args:
        clinic_id: for whom; what one clinic asked is not told another.
        e164: the number, as ``+5511977770001``.
        clock: tells whether the answer is still good.
    """
    record = ContactRecord.find(*contact_key(clinic_id, e164), now=clock.now(), consistent=False)
    return record.resolution() if record else None


def remember(clinic_id: str, resolution: Resolution) -> None:
    """Keep what WhatsApp said about a number; an answer older than the one kept changes nothing."""
    newer = ContactRecord.checked_at.does_not_exist() | (ContactRecord.checked_at <= resolution.checked_at)
    try:
        ContactRecord.of(clinic_id, resolution).store(newer)
    except ConditionFailedError:
        return  # What is kept is newer, which is what the caller wants kept.
