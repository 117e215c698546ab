"""For whom a person acts: what their clinic and their roles, as the identity provider signed them, allow here."""

from collections.abc import Collection, Mapping

from recado.clinics.model import (
    ClinicPrincipal,
    Person,
    PlatformPrincipal,
    Principal,
    RefusedPersonError,
    Role,
    Scope,
)

SCOPES: Mapping[Role, frozenset[Scope]] = {
    Role.CLINIC_MANAGER: frozenset(Scope),
    Role.CLINIC_ATTENDANT: frozenset({Scope.CHANNELS_READ, Scope.MESSAGES_READ, Scope.MESSAGES_SEND}),
}
"""The rights of each role within a clinic. Operators have those of a platform key."""


def principal(person: Person) -> Principal:
    """Return for whom a person acts, if the clinic is active.

    Groups that are no roles of ours mean nothing. Whoever is an operator works for no clinic: two ways to read a
    token would be one too many.

    Raises:
        RefusedPersonError: no role, a clinic's role without a clinic, or an operator who has a clinic's role or clinic.
    """
    roles = _roles(person.groups)
    if not roles:
        raise RefusedPersonError("no_role")
    if Role.OPERATOR in roles:
        if roles != {Role.OPERATOR} or person.clinic_id is not None:
            raise RefusedPersonError("operator_of_a_clinic")
        return PlatformPrincipal(None, person.subject_id)
    if person.clinic_id is None:
        raise RefusedPersonError("no_clinic")
    scopes = frozenset[Scope]().union(*(SCOPES[role] for role in roles))
    return ClinicPrincipal(person.clinic_id, scopes, None, None, person.subject_id)


def _roles(groups: Collection[str]) -> set[Role]:
    return {role for role in Role if role.value in groups}
