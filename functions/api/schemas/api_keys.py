"""API keys on the wire."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from functions.api.schemas.base import Answer, Given, Moment, with_example
from functions.api.schemas.clinics import Name
from recado.clinics.model import Scope

_EXAMPLE = {
    "api_key_id": "key_01kb1v00000000000000000000",
    "name": "agenda",
    "scopes": ["channels:write", "messages:read", "messages:send", "webhooks:write"],
    "channels": None,
    "last4": "x4Qw",
    "created_at": "2026-11-22T13:00:00.000Z",
    "revoked_at": None,
}

ChannelId = Annotated[str, StringConstraints(pattern=r"^chn_[0-7][0-9a-hjkmnp-tv-z]{25}$")]


class NewApiKey(Given):
    """A key to be created."""

    model_config = with_example(
        {"name": "agenda", "scopes": ["channels:write", "messages:send", "messages:read", "webhooks:write"]}
    )

    name: Name
    scopes: list[Scope] = Field(min_length=1, max_length=len(Scope))
    channels: list[ChannelId] | None = Field(
        None, min_length=1, max_length=100, description="Limit the key to these channels; null for all of the clinic's."
    )


class ApiKeyAnswer(Answer):
    """A key without its secret, which is not stored."""

    model_config = with_example(_EXAMPLE)

    api_key_id: str
    name: str
    scopes: list[str]
    channels: list[str] | None
    last4: str = Field(description="The last four characters, to tell keys apart.")
    created_at: Moment
    revoked_at: Moment | None


class NewApiKeyAnswer(ApiKeyAnswer):
    """A key just created: the only time its text is shown."""

    model_config = with_example(
        {
            **_EXAMPLE,
            "api_key": "rk_prod_01kb1v00000000000000000000_01kb1v00000000000000000000_" + "x" * 43,
            "note": "shown once",
        }
    )

    api_key: str
    note: Literal["shown once"] = "shown once"
