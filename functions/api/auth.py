"""Who is asking and what they may do: one dependency, to which every route names the scope it needs."""

from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from recado.aws.fencing import Fence, enter, fence_of
from recado.clinics import service as clinics
from recado.clinics.model import ClinicPrincipal, PlatformPrincipal, Principal, RefusedPersonError, Scope
from recado.kernel.errors import (
    ChannelNotFoundError,
    ClinicNotFoundError,
    InsufficientScopeError,
    UnauthenticatedError,
)
from recado.kernel.ids import Prefix, is_id

PLATFORM_SCOPES = frozenset({Scope.CLINICS_ADMIN, Scope.KEYS_WRITE})
"""All that a platform key or an operator may do: set clinics up. It reads no patient's data and sends nothing."""

_IMPLIED = {Scope.CHANNELS_WRITE: Scope.CHANNELS_READ, Scope.WEBHOOKS_WRITE: Scope.WEBHOOKS_READ}
"""Who may change a channel or an endpoint may look at it. Sending does not imply reading what patients wrote."""

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="Bearer",
    description="`Authorization: Bearer rk_…`, or the ID token of a person who signed in.",
)
_header = APIKeyHeader(
    name="X-Api-Key", auto_error=False, scheme_name="ApiKey", description="The same key as `X-Api-Key: rk_…`"
)


async def authorise(
    request: Request,
    security_scopes: SecurityScopes,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    api_key: Annotated[str | None, Depends(_header)],
) -> Principal:
    """Return who is asking, after checking that the key or person may do this in this clinic and channel.

    The clinic is checked before the scope: of somebody else's clinic not even the rights it takes are told.

    Raises:
        UnauthenticatedError: no key or token, or one that is not good.
        ClinicNotFoundError: the path names a clinic that is not the caller's own.
        InsufficientScopeError: the caller lacks the scope that the route declares.
        ChannelNotFoundError: the key is limited to channels and the path names another.
        ServiceUnavailableError: the store, STS or the signer of tokens does not answer.
    """
    token = bearer.credentials if bearer and _is_token(bearer.credentials) else None
    key_text = bearer.credentials if bearer else api_key
    principal, fence = await run_in_threadpool(_authorised, request, security_scopes, key_text, token)
    # Here and not in that thread, whose context ends with it: what this task calls later has to be inside.
    enter(fence)
    return principal


def _authorised(
    request: Request, security_scopes: SecurityScopes, key_text: str | None, token: str | None
) -> tuple[Principal, Fence | None]:
    if not key_text:
        raise UnauthenticatedError(
            "Send an API key as Authorization: Bearer or X-Api-Key, or a person's ID token as Authorization: Bearer."
        )
    principal = _signed_in(request, token) if token else clinics.authenticate(key_text)
    request.state.api_key_id, request.state.subject_id = principal.api_key_id, principal.subject_id
    clinic_id = request.path_params.get("clinic_id")
    if isinstance(principal, ClinicPrincipal):
        request.state.clinic_id = principal.clinic_id
        if clinic_id is not None and clinic_id != principal.clinic_id:
            raise ClinicNotFoundError
    _require_scopes(principal, security_scopes)
    channel_id = request.path_params.get("channel_id")
    if channel_id is not None and not may_see_channel(principal, channel_id):
        raise ChannelNotFoundError
    return principal, _fence(principal, clinic_id)


def _is_token(credentials: str) -> bool:
    """Say whether this is meant as a JSON Web Token: three parts, where keys have none."""
    return credentials.count(".") == 2


def _signed_in(request: Request, token: str) -> Principal:
    from functions.api import tokens  # noqa: PLC0415 - see there: programs with keys shall not pay for it

    try:
        person = tokens.person_of(token)
        request.state.subject_id = person.subject_id
        return clinics.authenticate_person(person)
    except RefusedPersonError as error:
        request.state.refusal = error.reason
        raise UnauthenticatedError from error


def _fence(principal: Principal, clinic_id: str | None) -> Fence | None:
    """Return what keeps the request inside one clinic: the key's own, or that which the platform's staff names.

    Raises:
        ClinicNotFoundError: what the staff names cannot be a clinic.
    """
    if isinstance(principal, ClinicPrincipal):
        return fence_of(principal.clinic_id)
    if clinic_id is None:
        return None
    if not is_id(Prefix.CLINIC, clinic_id):
        raise ClinicNotFoundError
    return fence_of(clinic_id)


def _require_scopes(principal: Principal, required: SecurityScopes) -> None:
    granted = scopes_of(principal)
    for scope in required.scopes:
        if scope not in granted:
            raise InsufficientScopeError(f"This needs the scope {scope}.")


def scopes_of(principal: Principal) -> frozenset[Scope]:
    """Return the rights of a caller, with those that others imply."""
    if isinstance(principal, PlatformPrincipal):
        return PLATFORM_SCOPES
    return principal.scopes | {_IMPLIED[scope] for scope in principal.scopes if scope in _IMPLIED}


def may_see_channel(principal: Principal, channel_id: str) -> bool:
    """Say whether the caller reaches this channel; without a channel list that is every one of their clinic's."""
    channels = channels_of(principal)
    return channels is None or channel_id in channels


def channels_of(principal: Principal) -> frozenset[str] | None:
    """Return the channels a key is limited to, or None when it is not limited."""
    return principal.channels if isinstance(principal, ClinicPrincipal) else None


def require_platform(principal: Principal) -> None:
    """Refuse everybody but the operators of the platform.

    Raises:
        InsufficientScopeError: the caller belongs to a clinic.
    """
    if not isinstance(principal, PlatformPrincipal):
        raise InsufficientScopeError("This needs a platform key, or an operator.")


def needs(scope: Scope) -> Any:
    """Return the dependency for a route that takes this scope."""
    return Security(authorise, scopes=[scope.value])


ClinicsAdmin = Annotated[Principal, needs(Scope.CLINICS_ADMIN)]
KeysWrite = Annotated[Principal, needs(Scope.KEYS_WRITE)]
ChannelsRead = Annotated[Principal, needs(Scope.CHANNELS_READ)]
ChannelsWrite = Annotated[Principal, needs(Scope.CHANNELS_WRITE)]
MessagesRead = Annotated[Principal, needs(Scope.MESSAGES_READ)]
MessagesSend = Annotated[Principal, needs(Scope.MESSAGES_SEND)]
WebhooksRead = Annotated[Principal, needs(Scope.WEBHOOKS_READ)]
WebhooksWrite = Annotated[Principal, needs(Scope.WEBHOOKS_WRITE)]
ReportsRead = Annotated[Principal, needs(Scope.REPORTS_READ)]
