"""The phone's history to facts: with whom it has had one-to-one chats, and when last. No text and no name is taken.

After linking, and now and then later, the phone sends what it remembers in chunks (``HistorySync``), each of which may
hold thousands of chats with their messages. The library fetches and unpacks them; times inside are whole seconds.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from recado.contacts.model import KNOWN_FOR
from recado.kernel.clock import to_text
from session_runner.whatsapp.mapping import Fact, View
from session_runner.whatsapp.parties import Party, is_person, party_of, same_person

KIND = "contacts.in_history"

CONTACTS_PER_FACT = 25
"""A queue message carries up to ten facts and Lambda takes ten messages at once: each contact costs two writes."""

# The others carry no chats with people: status posts, settings, names (also of strangers in common groups).
_KINDS = frozenset({"INITIAL_BOOTSTRAP", "RECENT", "FULL", "ON_DEMAND"})
_NUMBER = re.compile(r"[1-9][0-9]{6,14}")
_LID = re.compile(r"[1-9][0-9]{4,29}")


@dataclass(frozen=True, slots=True)
class History:
    """What a chunk of history came to: the facts to journal, and how many chats were left out for which reason."""

    facts: Sequence[Fact] = ()
    ignored: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Contact:
    party: Party
    last_at: datetime


def announces_history(event: Any) -> bool:
    """Say whether a neonize ``Message`` event announces a chunk that the library is about to fetch and to tell."""
    if not event.Message.HasField("protocolMessage"):
        return False
    announced = event.Message.protocolMessage.historySyncNotification
    return bool(announced.directPath or announced.initialHistBootstrapInlinePayload)


def map_history(event: Any, view: View) -> History:
    """Map a neonize ``HistorySync`` event; a chat that cannot be read costs the others nothing.

    Left out are groups, broadcasts, newsletters and the own chat, chats without a time, and those whose last message is
    more than a year old: their people are strangers as before.
    """
    ignored: Counter[str] = Counter()
    chunk = event.Data
    kind = type(chunk).HistorySyncType.Name(chunk.syncType)
    if kind not in _KINDS:
        return History(ignored=Counter({f"history:{kind.lower()}": 1}))
    pairs = _pairs(chunk)
    contacts: dict[str, _Contact] = {}
    for conversation in chunk.conversations:
        try:
            found = _contact(conversation, pairs, view)
        except ValueError:
            found = "history:malformed"
        if isinstance(found, str):
            ignored[found] += 1
            continue
        known = contacts.get(found.party.canonical)
        if known is None or known.last_at < found.last_at:
            contacts[found.party.canonical] = found
    return History(list(_facts(list(contacts.values()))), ignored)


def _contact(conversation: Any, pairs: dict[str, str], view: View) -> _Contact | str:
    chat = _jid(conversation.ID)
    if not is_person(chat):
        return "history:no_person"
    alternatives = map(_jid, (conversation.pnJID, conversation.lidJID, pairs.get(_bare(chat), "")))
    other = next((jid for jid in alternatives if is_person(jid) and jid.Server != chat.Server), _jid(""))
    party = _checked(party_of(chat, other, view.book))
    if party is None:
        return "history:no_person"
    if same_person(party, view.own):
        return "history:own"
    seconds = max(conversation.lastMsgTimestamp, conversation.conversationTimestamp)
    if not seconds:
        seconds = max((one.message.messageTimestamp for one in conversation.messages), default=0)
    if not seconds:
        return "history:no_time"
    last_at = datetime.fromtimestamp(min(seconds, int(view.now.timestamp())), UTC)
    if last_at + KNOWN_FOR <= view.now:
        return "history:over_a_year"
    return _Contact(party, last_at)


def _pairs(chunk: Any) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for pair in chunk.phoneNumberToLidMappings:
        try:
            phone, lid = _jid(pair.pnJID), _jid(pair.lidJID)
        except ValueError:
            continue
        pairs[_bare(phone)], pairs[_bare(lid)] = _bare(lid), _bare(phone)
    return pairs


def _jid(text: str | bytes) -> SimpleNamespace:
    if isinstance(text, bytes):
        raise ValueError("not a text")  # noqa: TRY004 - what protobuf hands over where it was sent bytes for a text
    user, _, server = text.partition("@")
    return SimpleNamespace(User=user.partition(":")[0].partition(".")[0], Server=server)


def _bare(jid: SimpleNamespace) -> str:
    return f"{jid.User}@{jid.Server}"


def _checked(party: Party) -> Party | None:
    # "0" is WhatsApp's own account, and not all that has digits is an address.
    e164 = party.e164 if party.e164 and _NUMBER.fullmatch(party.e164[1:]) else None
    lid = party.lid if party.lid and _LID.fullmatch(party.lid.partition("@")[0]) else None
    return Party(e164, lid) if e164 or lid else None


def _facts(contacts: Sequence[_Contact]) -> Iterator[Fact]:
    for start in range(0, len(contacts), CONTACTS_PER_FACT):
        batch = contacts[start : start + CONTACTS_PER_FACT]
        plain = [{**one.party.to_data(), "last_at": to_text(one.last_at)} for one in batch]
        # The same chunk told again is the same facts.
        digest = hashlib.sha256(repr(plain).encode()).hexdigest()
        yield Fact(KIND, (digest,), max(one.last_at for one in batch), {"contacts": plain})
