"""Recipients as integrators write them, and what WhatsApp says about a number."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from recado.kernel.errors import InvalidPhoneNumberError

_LONGEST = 64
_NUMBER_TEXT = re.compile(r"\+?[0-9 ().\-/\u00a0]+", re.ASCII)
_ADDRESS = re.compile(r"(?P<user>[0-9]{5,20})(?::[0-9]{1,5})?@(?P<server>[a-z.]+)")
_E164_DIGITS = re.compile(r"[1-9][0-9]{6,14}")
_PHONE_SERVERS = frozenset({"c.us", "s.whatsapp.net"})
_LID_SERVERS = frozenset({"lid", "hosted.lid"})
_BRAZIL_MOBILE = re.compile(r"\+55(?P<area>[1-9][0-9])(?P<ninth>9?)(?P<line>[6-9][0-9]{7})")
_POSITIVE_LIFE = timedelta(days=30)
_NEGATIVE_LIFE = timedelta(hours=24)
WAITS_FOR = timedelta(hours=24)
"""How long after a contact wrote a message to them is an answer: the window of WhatsApp's own business rules."""

KNOWN_FOR = timedelta(days=365)
"""How long after the last sign of a contact they count as known."""


class Acquaintance(IntEnum):
    """How well a contact and a clinic know each other; the lower, the sooner a message to them goes out."""

    WAITING = 0
    KNOWN = 1
    STRANGER = 2


class KnownBy(StrEnum):
    """By what a contact first became known."""

    INBOUND = "inbound"
    PHONE = "phone"
    HISTORY = "history"


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a message is for.

    Attributes:
        input: the text as the integrator wrote it.
        e164: the number as ``+5511977770001``, unless a LID was given.
        lid: WhatsApp's own id of the account as ``123456789@lid``, if that was given.
    """

    input: str
    e164: str | None = None
    lid: str | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """What WhatsApp said about a number.

    Attributes:
        e164: the number that was asked about.
        registered_e164: the number under which the account is registered, which for Brazilian mobiles may lack
            the ninth digit; None if there is no account.
        jid: the account's address by number, such as ``551177770001@s.whatsapp.net``.
        lid: the account's LID, such as ``123456789@lid``, if known.
        on_whatsapp: whether the number has an account.
        checked_at: when WhatsApp was asked.
    """

    e164: str
    registered_e164: str | None
    jid: str | None
    lid: str | None
    on_whatsapp: bool
    checked_at: datetime

    @property
    def good_until(self) -> datetime:
        """Until when it need not be asked again: 30 days, or 24 hours if there was no account."""
        return self.checked_at + (_POSITIVE_LIFE if self.on_whatsapp else _NEGATIVE_LIFE)


@dataclass(frozen=True, slots=True)
class PastConversation:
    """A one-to-one chat that the clinic's phone has had.

    Attributes:
        e164: the contact's number, as ``+5511977770001``.
        lid: their LID, as ``123456789@lid``; at least one of the two is known.
        last_at: when the last message was written, by either side.
    """

    e164: str | None
    lid: str | None
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Contact:
    """What a clinic knows of a contact.

    Attributes:
        resolution: what WhatsApp said about the number, if it was asked.
        known_since: when the contact first wrote, or was first written to from the clinic's own phone; for one known
            from the phone's history, when their last conversation was.
        known_by: which of the three it was.
        wrote_at: when the contact last wrote, to a quarter of an hour.
    """

    resolution: Resolution | None = None
    known_since: datetime | None = None
    known_by: KnownBy | None = None
    wrote_at: datetime | None = None

    def acquaintance(self, now: datetime) -> Acquaintance:
        """Say how well the two know each other now."""
        if self.wrote_at is not None and now - self.wrote_at < WAITS_FOR:
            return Acquaintance.WAITING
        return Acquaintance.STRANGER if self.known_since is None else Acquaintance.KNOWN

    def heard_of_since(self, moment: datetime) -> bool:
        """Say whether there was a sign of the contact since this moment."""
        return any(seen is not None and seen >= moment for seen in (self.wrote_at, self.known_since))


def parse_recipient(text: str, default_region: str = "BR", *, field: str = "to") -> Recipient:
    """Read a recipient.

    Understood are bare digits (``11977770001``, ``5511977770001``), international (``+55 11 97777-0001``) and
    national notation (``(11) 97777-0001``), and WhatsApp's addresses ending in ``@c.us``, ``@s.whatsapp.net`` and
    ``@lid``. Digits without a plus are read as a number of the region first, then as an international one. An
    address is taken as it stands, because WhatsApp knows better than any numbering plan who is registered.

    Args:
        text: what the integrator wrote.
        default_region: the region of national numbers, as ISO 3166 code.
        field: the request field to name in the error.

    Raises:
        InvalidPhoneNumberError: it is none of these; groups, broadcasts and newsletters are not either.
    """
    bare = text.strip()
    if not 0 < len(bare) <= _LONGEST:
        raise InvalidPhoneNumberError("This is no phone number.", field=field)
    if "@" in bare:
        return _from_address(text, bare, field)
    e164 = _e164(bare, default_region) if _NUMBER_TEXT.fullmatch(bare) else None
    if e164 is None:
        raise InvalidPhoneNumberError("This is no phone number.", field=field)
    return Recipient(input=text, e164=e164)


def same_number(one: str, other: str) -> bool:
    """Say whether two E.164 numbers reach the same phone: Brazilian mobiles with and without the ninth digit do."""
    return one == other or _without_ninth_digit(one) == _without_ninth_digit(other)


def twin_of(name: str) -> str | None:
    """Return the other form of a Brazilian mobile number's digits, with or without the ninth digit; None for others.

    WhatsApp has kept many accounts under the number without it, whatever their owners are called under.
    """
    match = _BRAZIL_MOBILE.fullmatch(f"+{name}")
    return f"55{match['area']}{'' if match['ninth'] else '9'}{match['line']}" if match else None


def _from_address(text: str, bare: str, field: str) -> Recipient:
    match = _ADDRESS.fullmatch(bare.lower())
    server = match["server"] if match else ""
    if match and server in _LID_SERVERS:
        return Recipient(input=text, lid=f"{match['user']}@lid")
    if match and server in _PHONE_SERVERS and _E164_DIGITS.fullmatch(match["user"]):
        return Recipient(input=text, e164=f"+{match['user']}")
    raise InvalidPhoneNumberError("Only people can be written to: no groups, broadcasts or newsletters.", field=field)


def _e164(bare: str, region: str) -> str | None:
    if bare.startswith("00"):
        bare = "+" + bare[2:]
    if bare.startswith("+"):
        return _read(bare, None, strict=False)
    return _read(bare, region, strict=True) or _read("+" + re.sub(r"\D", "", bare), None, strict=True)


def _read(text: str, region: str | None, *, strict: bool) -> str | None:
    # Most functions never read a number, and all would pay for the numbering plans on every cold start.
    import phonenumbers  # noqa: PLC0415

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if phonenumbers.is_valid_number(number) or _BRAZIL_MOBILE.fullmatch(written):
        return written
    # Who wrote the country code knew what they wrote; a numbering plan newer than our data must not stop them.
    possible = phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE
    return written if possible and not strict else None


def _without_ninth_digit(e164: str) -> str:
    match = _BRAZIL_MOBILE.fullmatch(e164)
    return f"+55{match['area']}{match['line']}" if match else e164
