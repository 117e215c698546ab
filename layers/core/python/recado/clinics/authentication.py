"""Finding out for whom a key or a person acts, and remembering it for a short while."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recado.aws.settings import stage
from recado.clinics import people
from recado.clinics.model import (
    ApiKey,
    ClinicPrincipal,
    ClinicStatus,
    KeyText,
    Person,
    PlatformPrincipal,
    Principal,
    RefusedPersonError,
    parse_key_text,
)
from recado.clinics.table import ApiKeyRecord, ClinicRecord, api_key_key, clinic_key
from recado.kernel.clock import Clock
from recado.kernel.errors import UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Callable

REMEMBERED_SECONDS = 30.0
_MOST_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class _Remembered:
    principal: Principal
    until: float


_remembered: OrderedDict[str, _Remembered] = OrderedDict()
_guard = threading.Lock()


def authenticate(key_text: str, clock: Clock) -> Principal:
    """Return for whom a key acts; refusals are never remembered, so that a new key works at once.

    Raises:
        UnauthenticatedError: for every kind of wrong key alike.
    """
    # The text itself is not kept in memory, so that a dump of the process shows no keys.
    mark = hashlib.sha256(key_text.encode()).hexdigest()
    return _known_or(mark, lambda: _look_up(key_text), clock)


def authenticate_person(person: Person, clock: Clock) -> Principal:
    """Return for whom a person acts; refusals are never remembered here either.

    Raises:
        RefusedPersonError: no role that we know, no clinic, or one that is missing or suspended.
    """
    mark = f"{person.subject_id} {person.clinic_id} {' '.join(sorted(person.groups))}"
    return _known_or(mark, lambda: _look_at(person), clock)


def _known_or(mark: str, look: "Callable[[], Principal]", clock: Clock) -> Principal:
    started = clock.monotonic()
    with _guard:
        known = _remembered.get(mark)
        if known and started < known.until:
            return known.principal
    principal = look()
    with _guard:
        _remembered[mark] = _Remembered(principal, started + REMEMBERED_SECONDS)
        while len(_remembered) > _MOST_REMEMBERED:
            _remembered.popitem(last=False)
    return principal


def forget_key(api_key_id: str) -> None:
    """Forget what this process remembers of a key."""
    _forget(lambda principal: principal.api_key_id == api_key_id)


def forget_clinic(clinic_id: str) -> None:
    """Forget what this process remembers of a clinic's keys and people."""
    _forget(lambda principal: isinstance(principal, ClinicPrincipal) and principal.clinic_id == clinic_id)


def forget_all() -> None:
    """Forget every key and person."""
    _forget(lambda _: True)


def _look_up(key_text: str) -> Principal:
    text = parse_key_text(key_text)
    if text is None or text.stage != stage():
        raise UnauthenticatedError
    record = ApiKeyRecord.find(*api_key_key(text.clinic_id, text.api_key_id))
    if record is None:
        raise UnauthenticatedError
    key = record.api_key()
    if not text.proves(key) or key.revoked_at is not None:
        raise UnauthenticatedError
    return _principal(text, key)


def _principal(text: KeyText, key: ApiKey) -> Principal:
    if text.clinic_id is None:
        return PlatformPrincipal(key.api_key_id)
    if not _is_active(text.clinic_id):
        raise UnauthenticatedError
    return ClinicPrincipal(text.clinic_id, key.scopes, key.channels, key.api_key_id)


def _look_at(person: Person) -> Principal:
    principal = people.principal(person)
    if isinstance(principal, ClinicPrincipal) and not _is_active(principal.clinic_id):
        raise RefusedPersonError("clinic_not_active")
    return principal


def _is_active(clinic_id: str) -> bool:
    clinic = ClinicRecord.find(*clinic_key(clinic_id))
    return clinic is not None and clinic.status is ClinicStatus.ACTIVE


def _forget(concerns: "Callable[[Principal], bool]") -> None:
    with _guard:
        for mark in [mark for mark, known in _remembered.items() if concerns(known.principal)]:
            del _remembered[mark]
