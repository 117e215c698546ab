"""What each clinic knows of its contacts: what WhatsApp said of a number, and whether the two have written before."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from pynamodb.expressions.update import Action

from recado.aws.models import ConditionFailedError
from recado.contacts.model import KNOWN_FOR, Contact, KnownBy, PastConversation, Resolution, twin_of
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
    plain = {name: name.removeprefix("+") for name in names}
    # A Brazilian number with the ninth digit may be registered without it, and writes under that.
    asked = {*plain.values(), *(twin for name in plain.values() if (twin := twin_of(name)))}
    found = _found(clinic_id, asked, clock)
    registered = {name: _registered_as(found.get(name)) for name in plain.values()}
    found |= _found(clinic_id, {name for name in registered.values() if name and name not in asked}, clock)
    whole = {}
    for name, digits in plain.items():
        contact = found.get(digits, Contact())
        other = found.get(registered[digits] or twin_of(digits) or "")
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


def meet_in_history(clinic_id: str, conversations: Iterable[PastConversation], *, clock: Clock = _CLOCK) -> int:
    """Note whom the clinic's phone has had conversations with; return how many names were noted anew.

    They are known for a year from their last conversation, as if Recado had seen it; older ones change nothing. What
    is known already stays: a later sign is never taken back. Repeating it writes nothing.

    Args:
        clinic_id: whose contacts they are.
        conversations: the phone's one-to-one chats.
        clock: tells what is older than a year, and what has expired.
    """
    now = clock.now()
    last: dict[str, datetime] = {}
    for one in conversations:
        at = min(one.last_at, now)
        if at + KNOWN_FOR > now:
            for name in filter(None, (one.e164, one.lid)):
                last[name] = max(at, last.get(name, at))
    keys = {contact_key(clinic_id, name): name for name in last}
    records = ContactRecord.many(list(keys), consistent=False)
    until = {keys[record.pk, record.sk]: record.kept_until for record in records if record.kept_until}
    news = [name for name, at in last.items() if until.get(name, 0) < int((at + KNOWN_FOR).timestamp())]
    for name in news:
        _note(clinic_id, [name], KnownBy.HISTORY, last[name])
    return len(news)


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


def _registered_as(contact: Contact | None) -> str | None:
    registered = contact.resolution.registered_e164 if contact and contact.resolution else None
    return registered.removeprefix("+") if registered else None
