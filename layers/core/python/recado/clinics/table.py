"""Clinics and API keys in the table ``core``.

A clinic is ``clinic#<clinic>``/``clinic``, listed through the index ``by_kind``. Its keys are
``clinic#<clinic>``/``api_key#<key>``; those of the platform's staff are ``platform``/``api_key#<key>``.
"""

from typing import Any

from pynamodb.attributes import UnicodeAttribute, UnicodeSetAttribute

from recado.aws.attributes import MomentAttribute, WordAttribute
from recado.aws.models import ClinicItem
from recado.clinics.model import ApiKey, Clinic, ClinicStatus, Scope, Tier

CLINIC_KIND = "clinic"
API_KEY_PREFIX = "api_key#"
_SORT_KEY = "clinic"


def partition(clinic_id: str | None) -> str:
    """Return the partition of a clinic's own items; None stands for the platform."""
    return f"clinic#{clinic_id}" if clinic_id else "platform"


class ClinicRecord(ClinicItem):
    """A clinic as stored."""

    table = "core"

    kind = UnicodeAttribute(default=CLINIC_KIND)
    id = UnicodeAttribute()
    name = UnicodeAttribute()
    email = UnicodeAttribute(null=True)
    phone = UnicodeAttribute(null=True)
    address = UnicodeAttribute(null=True)
    time_zone = UnicodeAttribute()
    tier = WordAttribute(Tier)
    status = WordAttribute(ClinicStatus)
    created_at = MomentAttribute()
    updated_at = MomentAttribute()

    @classmethod
    def of(cls, clinic: Clinic) -> "ClinicRecord":
        """Return the item of a clinic."""
        return cls(
            *clinic_key(clinic.clinic_id),
            id=clinic.clinic_id,
            name=clinic.name,
            email=clinic.email,
            phone=clinic.phone,
            address=clinic.address,
            time_zone=clinic.time_zone,
            tier=clinic.tier,
            status=clinic.status,
            created_at=clinic.created_at,
            updated_at=clinic.updated_at,
        )

    def clinic(self) -> Clinic:
        """Return the clinic."""
        return Clinic(
            clinic_id=self.id,
            name=self.name,
            email=self.email,
            phone=self.phone,
            address=self.address,
            time_zone=self.time_zone,
            tier=self.tier,
            status=self.status,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )

    @classmethod
    def editable(cls, name: str) -> Any:
        """Return the attribute of that name, for update expressions."""
        return getattr(cls, name)


class ApiKeyRecord(ClinicItem):
    """An API key as stored: the secret's hash, never the secret."""

    table = "core"

    api_key_id = UnicodeAttribute()
    clinic_id = UnicodeAttribute(null=True)
    name = UnicodeAttribute()
    scopes = UnicodeSetAttribute(null=True)
    channels = UnicodeSetAttribute(null=True)
    created_at = MomentAttribute()
    revoked_at = MomentAttribute(null=True)
    secret_hash = UnicodeAttribute()
    last4 = UnicodeAttribute()

    @classmethod
    def of(cls, key: ApiKey) -> "ApiKeyRecord":
        """Return the item of a key."""
        return cls(
            *api_key_key(key.clinic_id, key.api_key_id),
            api_key_id=key.api_key_id,
            clinic_id=key.clinic_id,
            name=key.name,
            scopes={scope.value for scope in key.scopes} or None,
            channels=set(key.channels) if key.channels else None,
            created_at=key.created_at,
            revoked_at=key.revoked_at,
            secret_hash=key.secret_hash,
            last4=key.last4,
        )

    def api_key(self) -> ApiKey:
        """Return the key."""
        return ApiKey(
            api_key_id=self.api_key_id,
            clinic_id=self.clinic_id,
            name=self.name,
            scopes=frozenset(Scope(scope) for scope in self.scopes or ()),
            channels=frozenset(self.channels) if self.channels else None,
            created_at=self.created_at,
            revoked_at=self.revoked_at,
            secret_hash=self.secret_hash,
            last4=self.last4,
        )


def clinic_key(clinic_id: str) -> tuple[str, str]:
    """Return the key of a clinic's item."""
    return partition(clinic_id), _SORT_KEY


def api_key_key(clinic_id: str | None, api_key_id: str) -> tuple[str, str]:
    """Return the key of an API key's item."""
    return partition(clinic_id), f"{API_KEY_PREFIX}{api_key_id}"
