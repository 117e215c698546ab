"""Who is who: WhatsApp addresses (JIDs) as phone number and LID.

The LID is WhatsApp's number-free address of a person and the canonical one of a chat; the phone number is an attribute
that may be unknown. One-to-one chats arrive under either.
"""

from dataclasses import dataclass
from typing import Any, Protocol

_PHONE_SERVERS = frozenset({"s.whatsapp.net", "c.us", "hosted"})
_LID_SERVERS = frozenset({"lid", "hosted.lid"})
PHONE_SERVER = "s.whatsapp.net"
LID_SERVER = "lid"


class AddressBook(Protocol):
    """What the session's store knows of pairs of phone number and LID; both as the digits before the ``@``."""

    def lid_of(self, phone_digits: str) -> str | None:
        """Return the digits of the LID that belongs to a phone number."""
        ...

    def phone_of(self, lid_digits: str) -> str | None:
        """Return the digits of the phone number that belongs to a LID."""
        ...


@dataclass(frozen=True, slots=True)
class Party:
    """A person: ``e164`` as ``+5511977770001``, ``lid`` as ``123456@lid``; at least one is known of a real person."""

    e164: str | None = None
    lid: str | None = None

    @property
    def canonical(self) -> str:
        """Return the address that identifies the chat: the LID, or the phone number while no LID is known."""
        return self.lid or self.e164 or ""

    def to_data(self) -> dict[str, str | None]:
        """Return the wire shape ``{"e164", "lid"}``."""
        return {"e164": self.e164, "lid": self.lid}


def is_person(jid: Any) -> bool:
    """Say whether a neonize ``JID`` addresses one person (not a group, broadcast, newsletter or bot)."""
    return bool(jid.User) and jid.Server in _PHONE_SERVERS | _LID_SERVERS


def party_of(jid: Any, alternative: Any, book: AddressBook) -> Party:
    """Return the person behind a neonize ``JID``, both addresses filled in as far as anything knows them.

    Args:
        jid: the address the stanza carries.
        alternative: the other address WhatsApp sent along (``SenderAlt``, ``RecipientAlt``), possibly empty.
        book: the session's own store, asked last.
    """
    phone, lid = "", ""
    for address in (jid, alternative):
        if not is_person(address):
            continue
        if address.Server in _LID_SERVERS:
            lid = lid or address.User
        else:
            phone = phone or address.User
    if lid and not phone:
        phone = book.phone_of(lid) or ""
    elif phone and not lid:
        lid = book.lid_of(phone) or ""
    return party_from_digits(phone, lid)


def party_from_digits(phone_digits: str, lid_digits: str) -> Party:
    """Return the person with these digits; an empty text means unknown."""
    return Party(f"+{phone_digits}" if phone_digits else None, f"{lid_digits}@{LID_SERVER}" if lid_digits else None)


def party_from_texts(jid: str | None, lid: str | None) -> Party:
    """Return the person with these JID texts, as the store keeps them: ``5511977770001:12@s.whatsapp.net``."""
    return party_from_digits(digits_of(jid or ""), digits_of(lid or ""))


def digits_of(jid: str) -> str:
    """Return the user part of a JID text, without agent and device."""
    return jid.partition("@")[0].partition(":")[0].partition(".")[0]


def same_person(one: Party, other: Party) -> bool:
    """Say whether two parties share an address."""
    return (one.e164 is not None and one.e164 == other.e164) or (one.lid is not None and one.lid == other.lid)
