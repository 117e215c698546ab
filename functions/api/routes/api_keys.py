"""API keys of a clinic. A key can hand on no more than it has itself."""

from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from functions.api.auth import KeysWrite, channels_of, scopes_of
from functions.api.documentation import problems
from functions.api.listing import Listing
from functions.api.schemas.api_keys import ApiKeyAnswer, NewApiKey, NewApiKeyAnswer
from functions.api.schemas.base import Listed, PageQuery
from recado.channels import service as channels
from recado.clinics import service as clinics
from recado.clinics.model import ApiKey, PlatformPrincipal, Principal
from recado.kernel.errors import ApiKeyNotFoundError, ChannelNotFoundError, InsufficientScopeError, InvalidRequestError

router = APIRouter(prefix="/v1/clinics/{clinic_id}/api-keys", tags=["api keys"])

_PAGE = 100


@router.post("", status_code=status.HTTP_201_CREATED, summary="Create an API key")
def create_api_key(principal: KeysWrite, clinic_id: str, body: NewApiKey) -> NewApiKeyAnswer:
    """Create a key. Its text is in this answer only: it is stored as a hash."""
    clinics.get_clinic(clinic_id)
    wanted = frozenset(body.channels) if body.channels is not None else None
    _refuse_more_than_own(principal, body, wanted)
    for position, channel_id in enumerate(body.channels or []):
        try:
            channels.get(clinic_id, channel_id)
        except ChannelNotFoundError as error:
            raise InvalidRequestError("The clinic has no such channel.", field=f"channels.{position}") from error
    api_key, text = clinics.create_api_key(clinic_id, body.name, frozenset(body.scopes), wanted)
    return NewApiKeyAnswer(**_show(api_key).model_dump(), api_key=text)


@router.get("", summary="List the API keys")
def list_api_keys(principal: KeysWrite, clinic_id: str, query: Annotated[PageQuery, Query()]) -> Listed[ApiKeyAnswer]:
    """List the clinic's keys, revoked ones too, without their texts."""
    clinics.get_clinic(clinic_id)
    listing = Listing("list_api_keys", query, clinic_id)
    page = clinics.list_api_keys(clinic_id, query.limit, listing.start())
    return listing.answer(page, _show, keep=lambda key: _within_reach(principal, key))


@router.delete(
    "/{api_key_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Revoke an API key",
    responses=problems(ApiKeyNotFoundError),
)
def revoke_api_key(principal: KeysWrite, clinic_id: str, api_key_id: str) -> Response:
    """Revoke a key for good; it may still be taken for up to 30 seconds. Revoking it again changes nothing."""
    clinics.get_clinic(clinic_id)
    if channels_of(principal) is not None and not _within_reach(principal, _find(clinic_id, api_key_id)):
        raise ApiKeyNotFoundError
    clinics.revoke_api_key(clinic_id, api_key_id)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


def _refuse_more_than_own(principal: Principal, body: NewApiKey, wanted: frozenset[str] | None) -> None:
    if isinstance(principal, PlatformPrincipal):
        return
    beyond = sorted(frozenset(body.scopes) - scopes_of(principal))
    if beyond:
        raise InsufficientScopeError(f"This key cannot give the scope {beyond[0]}, which it lacks.", field="scopes")
    own = channels_of(principal)
    if own is not None and (wanted is None or not wanted <= own):
        raise InsufficientScopeError("This key cannot give access to channels it does not reach.", field="channels")


def _find(clinic_id: str, api_key_id: str) -> ApiKey:
    page = clinics.list_api_keys(clinic_id, _PAGE)
    while True:
        for key in page.items:
            if key.api_key_id == api_key_id:
                return key
        if page.last_key is None:
            raise ApiKeyNotFoundError
        page = clinics.list_api_keys(clinic_id, _PAGE, page.last_key)


def _within_reach(principal: Principal, key: ApiKey) -> bool:
    """Say whether a key limited to channels may see another: only one limited to some of the same."""
    own = channels_of(principal)
    return own is None or (key.channels is not None and key.channels <= own)


def _show(key: ApiKey) -> ApiKeyAnswer:
    return ApiKeyAnswer(
        api_key_id=key.api_key_id,
        name=key.name,
        scopes=sorted(key.scopes),
        channels=None if key.channels is None else sorted(key.channels),
        last4=key.last4,
        created_at=key.created_at,
        revoked_at=key.revoked_at,
    )
