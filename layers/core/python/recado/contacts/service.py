"""What each clinic knows of its contacts: what WhatsApp said of a number, and whether they have written."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from pynamodb.expressions.update import Action

from recado.aws.models import ConditionFailedError
from recado.contacts.model import KNOWN_FOR, Contact, KnownBy, Resolution
from recado.contacts.table import ContactRecord, contact_key
from recado.kernel.clock import Clock, SystemClock

SIGNS_APART = timedelta(minutes=15)
"""A contact's messages within so much time are noted once: a conversation must not cost a write for each of them."""

_CLOCK = SystemClock()


def cached(clinic_id: str, e164: str, *, clock: Clock = _CLOCK) -> Resolution | None:
    """Return what WhatsApp said about a number, unless that was never asked for this clinic or too long ago.

    Args:
        clinic_id: for whom; what one clinic asked is not told another.
        e164: the number, as ``+5511977770001``.
        clock: tells whether the answer is still good.
    """
    now = clock.now()
    record = ContactRecord.find(*contact_key(clinic_id, e164), now=now, consistent=False)
    resolution = record.resolution() if record else None
    return resolution if resolution and resolution.good_until > now else None


def contacts_named(clinic_id: str, names: Collection[str], *, clock: Clock = _CLOCK) -> dict[str, Contact]:
    """Return what the clinic knows of each of these, by name; a stranger is an empty ``Contact``.

    Args:
        clinic_id: the clinic.
        names: numbers (``+55…`` or digits) or LIDs (``…@lid``), such as an outbox row's ``chat``.
        clock: tells what has expired.
    """
    found = _found(clinic_id, names, clock)
    registered = {name: _registered_elsewhere(name, contact) for name, contact in found.items()}
    # A Brazilian number with the ninth digit may be registered without it, and writes under that.
    elsewhere = _found(clinic_id, {name for name in registered.values() if name}, clock)
    whole = {}
    for name in names:
        contact = found.get(name, Contact())
        other = elsewhere.get(registered.get(name) or "")
        whole[name] = replace(other, resolution=contact.resolution) if other and not contact.known_since else contact
    return whole


def remember(clinic_id: str, resolution: Resolution) -> None:
    """Keep what WhatsApp said about a number; an answer older than the one kept changes nothing."""
    newer = ContactRecord.checked_at.does_not_exist() | (ContactRecord.checked_at <= resolution.checked_at)
    until = int(resolution.good_until.timestamp())
    record = ContactRecord(*contact_key(clinic_id, resolution.e164))
    try:
        record.change(
            [*_answer(resolution), ContactRecord.expires_at.set(ContactRecord.kept_until | until)],
            newer,
        )
    except ConditionFailedError:
        return  # What is kept is newer, which is what the caller wants kept.


def meet(
    clinic_id: str, e164: str | None, lid: str | None, by: KnownBy, at: datetime, *, clock: Clock = _CLOCK
) -> None:
    """Note a sign of a contact: they wrote, or somebody wrote to them from the clinic's own phone.

    The first sign is noted under the number and the LID, later ones under the number alone if there is one, and not
    more often than every quarter of an hour. Repeating it changes nothing.

    Args:
        clinic_id: whose contact it is.
        e164: their number, as ``+5511977770001``.
        lid: their LID, as ``123456789@lid``.
        by: who wrote.
        at: when.
        clock: tells what has expired.
    """
    names = [name for name in (e164, lid) if name]
    if not names:
        return
    now = clock.now()
    record = ContactRecord.find(*contact_key(clinic_id, names[0]), now=now, consistent=False)
    known = record.contact() if record else Contact()
    if by is KnownBy.INBOUND and e164 is not None and not _has_account(known, lid, now):
        # Whoever writes to us has an account: answering them need not ask WhatsApp.
        remember(clinic_id, Resolution(e164, e164, f"{e164.removeprefix('+')}@s.whatsapp.net", lid, True, at))
    if known.known_since is None:
        _note(clinic_id, names, by, at)
    elif _is_news(known, by, at):
        _note(clinic_id, names[:1], by, at)


def _has_account(known: Contact, lid: str | None, now: datetime) -> bool:
    answer = known.resolution
    fresh = answer is not None and answer.on_whatsapp and answer.good_until > now
    return fresh and answer is not None and lid in {None, answer.lid}


def _note(clinic_id: str, names: Collection[str], by: KnownBy, at: datetime) -> None:
    kept_until = int((at + KNOWN_FOR).timestamp())
    actions = [
        ContactRecord.known_since.set(ContactRecord.known_since | at),
        ContactRecord.known_by.set(ContactRecord.known_by | by),
        ContactRecord.kept_until.set(kept_until),
        ContactRecord.expires_at.set(kept_until),
    ]
    if by is KnownBy.INBOUND:
        actions.append(ContactRecord.wrote_at.set(at))
    not_later = ContactRecord.kept_until.does_not_exist() | (ContactRecord.kept_until <= kept_until)
    for name in names:
        try:
            ContactRecord(*contact_key(clinic_id, name)).change(actions, not_later)
        except ConditionFailedError:
            continue  # A later sign is noted already.


def _is_news(known: Contact, by: KnownBy, at: datetime) -> bool:
    if by is not KnownBy.INBOUND:
        return False
    return known.wrote_at is None or at - known.wrote_at >= SIGNS_APART


def _answer(resolution: Resolution) -> list[Action]:
    optional = (
        (ContactRecord.registered_e164, resolution.registered_e164),
        (ContactRecord.jid, resolution.jid),
        (ContactRecord.lid, resolution.lid),
    )
    return [
        ContactRecord.e164.set(resolution.e164),
        ContactRecord.on_whatsapp.set(resolution.on_whatsapp),
        ContactRecord.checked_at.set(resolution.checked_at),
        *(attribute.set(value) if value else attribute.remove() for attribute, value in optional),
    ]


def _found(clinic_id: str, names: Collection[str], clock: Clock) -> dict[str, Contact]:
    keys = {contact_key(clinic_id, name): name for name in names}
    now = clock.now()
    records = ContactRecord.many(list(keys), consistent=False)
    return {keys[record.pk, record.sk]: record.contact() for record in records if record.is_live(now)}


def _registered_elsewhere(name: str, contact: Contact) -> str | None:
    registered = contact.resolution.registered_e164 if contact.resolution else None
    return registered if registered and registered.removeprefix("+") != name.removeprefix("+") else None
