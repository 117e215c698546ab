"""What can be done with clinics, their API keys and their people."""

from collections.abc import Collection, Mapping
from typing import Any

from recado.aws.fencing import acting_for
from recado.aws.models import ConditionFailedError, Key, Page
from recado.aws.settings import stage
from recado.clinics import authentication
from recado.clinics.model import (
    ApiKey,
    Clinic,
    ClinicStatus,
    Person,
    Principal,
    Scope,
    Tier,
    check_name,
    check_time_zone,
    new_key_text,
)
from recado.clinics.table import (
    API_KEY_PREFIX,
    CLINIC_KIND,
    ApiKeyRecord,
    ClinicRecord,
    api_key_key,
    clinic_key,
    partition,
)
from recado.kernel.clock import Clock, SystemClock
from recado.kernel.errors import ApiKeyNotFoundError, ClinicNotFoundError, InvalidRequestError
from recado.kernel.ids import Prefix, is_id, new_id

_CLOCK = SystemClock()
_EDITABLE = frozenset({"name", "email", "phone", "address", "time_zone", "tier", "status"})


def create_clinic(
    name: str,
    time_zone: str,
    *,
    email: str | None = None,
    phone: str | None = None,
    address: str | None = None,
    tier: Tier = Tier.BASIC,
    clock: Clock = _CLOCK,
) -> Clinic:
    """Take a new clinic in.

    Raises:
        InvalidRequestError: the name or the time zone will not do.
    """
    now = clock.now()
    clinic = Clinic(
        clinic_id=new_id(Prefix.CLINIC, now),
        name=check_name(name),
        email=email,
        phone=phone,
        address=address,
        time_zone=check_time_zone(time_zone),
        tier=tier,
        status=ClinicStatus.ACTIVE,
        created_at=now,
        updated_at=now,
    )
    # The process's own rights need not reach into any clinic for this: the new one's own do.
    with acting_for(clinic.clinic_id):
        ClinicRecord.of(clinic).store(ClinicRecord.pk.does_not_exist())
    return clinic


def get_clinic(clinic_id: str) -> Clinic:
    """Return the clinic.

    Raises:
        ClinicNotFoundError: there is none of that id.
    """
    record = ClinicRecord.find(*clinic_key(clinic_id)) if is_id(Prefix.CLINIC, clinic_id) else None
    if record is None:
        raise ClinicNotFoundError
    return record.clinic()


def list_clinics(limit: int = 50, cursor_key: Key | None = None) -> Page[Clinic]:
    """Return the platform's clinics in the order in which they came."""
    page = ClinicRecord.page(CLINIC_KIND, index="by_kind", limit=limit, start=cursor_key)
    return Page([record.clinic() for record in page.items], page.last_key)


def update_clinic(clinic_id: str, changes: Mapping[str, Any], *, clock: Clock = _CLOCK) -> Clinic:
    """Change some fields of a clinic.

    Args:
        clinic_id: which clinic.
        changes: new values by field: name, email, phone, address, time_zone, tier, status; None clears an
            optional one.
        clock: tells the moment of the change.

    Raises:
        ClinicNotFoundError: there is none of that id.
        InvalidRequestError: a field does not exist, or its value will not do.
    """
    actions = [ClinicRecord.updated_at.set(clock.now())]
    for field, value in changes.items():
        attribute = ClinicRecord.editable(field) if field in _EDITABLE else None
        if attribute is None:
            raise InvalidRequestError("A clinic has no such field.", field=field)
        checked = _checked(field, value)
        actions.append(attribute.remove() if checked is None else attribute.set(checked))
    record = ClinicRecord(*clinic_key(clinic_id))
    try:
        record.change(actions, ClinicRecord.pk.exists())
    except ConditionFailedError as error:
        raise ClinicNotFoundError from error
    authentication.forget_clinic(clinic_id)
    return record.clinic()


def create_api_key(
    clinic_id: str,
    name: str,
    scopes: Collection[str],
    channels: Collection[str] | None = None,
    *,
    clock: Clock = _CLOCK,
) -> tuple[ApiKey, str]:
    """Make a key for a clinic.

    Args:
        clinic_id: for whom it acts.
        name: what its owner calls it.
        scopes: its rights, at least one.
        channels: the only channels it may use; None for all.
        clock: tells the moment of making.

    Returns:
        The key as stored, and its text, which is shown once and cannot be had again.

    Raises:
        ClinicNotFoundError: there is no such clinic.
        InvalidRequestError: no scope, one that does not exist, or an empty list of channels.
    """
    try:
        rights = frozenset(Scope(scope) for scope in scopes)
    except ValueError as error:
        raise InvalidRequestError("There is no such scope.", field="scopes") from error
    if not rights:
        raise InvalidRequestError("A key needs at least one scope.", field="scopes")
    if channels is not None and not channels:
        raise InvalidRequestError("Name at least one channel, or leave the list out for all.", field="channels")
    get_clinic(clinic_id)
    return _create_key(clinic_id, name, rights, None if channels is None else frozenset(channels), clock)


def create_platform_key(name: str, *, clock: Clock = _CLOCK) -> tuple[ApiKey, str]:
    """Make a key for the platform's own staff; returns it as stored, and its text, which is shown once."""
    return _create_key(None, name, frozenset(), None, clock)


def list_api_keys(clinic_id: str | None, limit: int = 50, cursor_key: Key | None = None) -> Page[ApiKey]:
    """Return a clinic's keys, revoked ones too, in the order of their making; None for the platform's."""
    page = ApiKeyRecord.page(
        partition(clinic_id),
        limit=limit,
        start=cursor_key,
        range_condition=ApiKeyRecord.sk.startswith(API_KEY_PREFIX),
        consistent=True,
    )
    return Page([record.api_key() for record in page.items], page.last_key)


def revoke_api_key(clinic_id: str | None, api_key_id: str, *, clock: Clock = _CLOCK) -> ApiKey:
    """End a key for good; other processes may accept it for up to 30 seconds more. Doing it again changes nothing.

    Raises:
        ApiKeyNotFoundError: the clinic (None: the platform) has no such key.
    """
    record = ApiKeyRecord(*api_key_key(clinic_id, api_key_id))
    try:
        record.change(
            [ApiKeyRecord.revoked_at.set(ApiKeyRecord.revoked_at | clock.now())],
            ApiKeyRecord.pk.exists(),
        )
    except ConditionFailedError as error:
        raise ApiKeyNotFoundError from error
    authentication.forget_key(api_key_id)
    return record.api_key()


def authenticate(key_text: str, *, clock: Clock = _CLOCK) -> Principal:
    """Return for whom a key acts.

    The answer is remembered in this process for up to 30 seconds.

    Raises:
        UnauthenticatedError: no key, unknown, revoked, of another installation, or of a suspended clinic.
    """
    return authentication.authenticate(key_text, clock)


def authenticate_person(person: Person, *, clock: Clock = _CLOCK) -> Principal:
    """Return for whom a person acts whose token was found good.

    The answer is remembered in this process for up to 30 seconds.

    Raises:
        RefusedPersonError: no role that we know, no clinic, or one that is missing or suspended.
    """
    return authentication.authenticate_person(person, clock)


def _create_key(
    clinic_id: str | None, name: str, scopes: frozenset[Scope], channels: frozenset[str] | None, clock: Clock
) -> tuple[ApiKey, str]:
    now = clock.now()
    text = new_key_text(stage(), clinic_id, new_id(Prefix.API_KEY, now))
    key = ApiKey(
        api_key_id=text.api_key_id,
        clinic_id=clinic_id,
        name=check_name(name),
        scopes=scopes,
        channels=channels,
        created_at=now,
        revoked_at=None,
        secret_hash=text.secret_hash,
        last4=text.secret[-4:],
    )
    ApiKeyRecord.of(key).store(ApiKeyRecord.pk.does_not_exist())
    return key, text.write()


def _checked(field: str, value: Any) -> Any:
    try:
        match field:
            case "name":
                return check_name(value)
            case "time_zone":
                return check_time_zone(value)
            case "tier":
                return Tier(value)
            case "status":
                return ClinicStatus(value)
            case _:
                return value
    except (ValueError, AttributeError, TypeError) as error:
        raise InvalidRequestError("This value will not do.", field=field) from error
