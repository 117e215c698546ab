"""What a clinic is, who may act for it, and how an API key is written."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from recado.kernel.errors import InvalidRequestError
from recado.kernel.ids import Prefix, is_id

_SECRET_BYTES = 32
_KEY = re.compile(
    r"rk_(?P<stage>[a-z][a-z0-9-]{0,20})_(?P<holder>platform|[0-9a-z]{26})_(?P<key>[0-9a-z]{26})_"
    r"(?P<secret>[A-Za-z0-9_-]{43})"
)
_PLATFORM = "platform"


class Tier(StrEnum):
    """What a clinic has bought; decides its limits."""

    BASIC = "basic"
    PREMIUM = "premium"
    ENTERPRISE = "enterprise"


class ClinicStatus(StrEnum):
    """Whether a clinic may use the platform."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class Scope(StrEnum):
    """One right that a clinic's API key may have."""

    CLINICS_ADMIN = "clinics:admin"
    KEYS_WRITE = "keys:write"
    CHANNELS_READ = "channels:read"
    CHANNELS_WRITE = "channels:write"
    MESSAGES_READ = "messages:read"
    MESSAGES_SEND = "messages:send"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    REPORTS_READ = "reports:read"
    PRIVACY_ADMIN = "privacy:admin"


@dataclass(frozen=True, slots=True)
class Clinic:
    """A tenant. ``time_zone`` is an IANA name such as ``America/Sao_Paulo``."""

    clinic_id: str
    name: str
    email: str | None
    phone: str | None
    address: str | None
    time_zone: str
    tier: Tier
    status: ClinicStatus
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored: its secret only as a hash.

    ``clinic_id`` is None for a key of the platform's own staff. ``channels`` limits the key to some of the
    clinic's channels; None means all of them.
    """

    api_key_id: str
    clinic_id: str | None
    name: str
    scopes: frozenset[Scope]
    channels: frozenset[str] | None
    created_at: datetime
    revoked_at: datetime | None
    secret_hash: str
    last4: str


class Role(StrEnum):
    """What a person is to the platform or to their clinic; the groups of the identity provider."""

    OPERATOR = "operators"
    CLINIC_MANAGER = "clinic_managers"
    CLINIC_ATTENDANT = "clinic_attendants"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who signed in, as the identity provider vouches for them.

    ``subject_id`` is the provider's own, opaque id; nothing here tells a name or an address. ``clinic_id`` is None
    for those who work for no clinic. ``groups`` may hold others than our roles.
    """

    subject_id: str
    clinic_id: str | None
    groups: frozenset[str]


class RefusedPersonError(Exception):
    """Somebody's token is not taken.

    Attributes:
        reason: a word for our logs, such as ``expired``; callers are not told.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class PlatformPrincipal:
    """A caller of the platform's own staff, for every clinic: a key (``api_key_id``) or a person (``subject_id``)."""

    api_key_id: str | None
    subject_id: str | None = None


@dataclass(frozen=True, slots=True)
class ClinicPrincipal:
    """A caller who acts for one clinic, within these scopes and, unless None, these channels.

    It is either a key (``api_key_id``) or a person (``subject_id``).
    """

    clinic_id: str
    scopes: frozenset[Scope]
    channels: frozenset[str] | None
    api_key_id: str | None
    subject_id: str | None = None

    def may(self, scope: Scope) -> bool:
        """Say whether the caller was given this right."""
        return scope in self.scopes

    def may_use(self, channel_id: str) -> bool:
        """Say whether the caller was given this channel."""
        return self.channels is None or channel_id in self.channels


Principal = PlatformPrincipal | ClinicPrincipal


@dataclass(frozen=True, slots=True, repr=False)
class KeyText:
    """The parts of a key as a caller sends it: ``rk_<stage>_<clinic or "platform">_<key>_<secret>``.

    The clinic stands in the key so that it can be looked up without an index over secrets.
    """

    stage: str
    clinic_id: str | None
    api_key_id: str
    secret: str

    def write(self) -> str:
        """Return the whole key, which only its owner may ever see."""
        holder = _bare(self.clinic_id) if self.clinic_id else _PLATFORM
        return f"rk_{self.stage}_{holder}_{_bare(self.api_key_id)}_{self.secret}"

    @property
    def secret_hash(self) -> str:
        """The hash under which the secret is stored; 256 random bits need no salt and no slow hash."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def proves(self, stored: ApiKey) -> bool:
        """Say whether the secret is that of the stored key, in a time that tells nothing about it."""
        return hmac.compare_digest(self.secret_hash, stored.secret_hash)


def new_key_text(stage: str, clinic_id: str | None, api_key_id: str) -> KeyText:
    """Return a key with a fresh secret of 256 random bits."""
    return KeyText(stage, clinic_id, api_key_id, secrets.token_urlsafe(_SECRET_BYTES))


def parse_key_text(text: str) -> KeyText | None:
    """Return the parts of a key, or None when the text is no key."""
    match = _KEY.fullmatch(text)
    if match is None:
        return None
    holder = match["holder"]
    clinic_id = None if holder == _PLATFORM else f"{Prefix.CLINIC}_{holder}"
    api_key_id = f"{Prefix.API_KEY}_{match['key']}"
    if not is_id(Prefix.API_KEY, api_key_id) or (clinic_id and not is_id(Prefix.CLINIC, clinic_id)):
        return None
    return KeyText(match["stage"], clinic_id, api_key_id, match["secret"])


def check_time_zone(name: str) -> str:
    """Return the name if the time zone database knows it.

    Raises:
        InvalidRequestError: it does not; the field is ``time_zone``.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidRequestError("This is no IANA time zone name.", field="time_zone") from error
    return name


def check_name(name: str) -> str:
    """Return the name without surrounding blanks.

    Raises:
        InvalidRequestError: nothing is left, or more than 200 characters; the field is ``name``.
    """
    bare = name.strip()
    if not 0 < len(bare) <= 200:
        raise InvalidRequestError("A name has 1 to 200 characters.", field="name")
    return bare


def _bare(identifier: str) -> str:
    return identifier.partition("_")[2]
