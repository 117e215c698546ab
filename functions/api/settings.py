"""What the API reads from its environment."""

from functools import lru_cache
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from recado.aws.settings import (
    ClinicRoleSettings,
    DeliverySettings,
    SealingSettings,
    ShardSettings,
    StageSettings,
    TableSettings,
    WebhookSettings,
)

MAXIMUM_BODY_BYTES = 256 * 1024
"""Larger bodies answer 413; far above the longest text (4096 characters) and below API Gateway's 10 MB."""

LONGEST_WAIT_SECONDS = 20
"""How long a request may hold on: API Gateway cuts at 29 s, the function's time-out lies below that."""

HEALTH_CHECK_SECONDS = 5.0
"""The time-out of each single health check."""


class IdentitySettings(BaseSettings):
    """Whose tokens are taken from people who signed in: all three, or none and then no tokens at all."""

    model_config = SettingsConfigDict(env_prefix="RECADO_", extra="ignore", frozen=True)

    identity_issuer: str = Field(default="", description="Who signs people's tokens, as their claim `iss` says.")
    identity_audience: str = Field(
        default="", description="For which program they are signed, as their claim `aud` says: the dashboard's client."
    )
    identity_keys_url: str = Field(
        default="",
        pattern=r"^($|https://|http://(127\.0\.0\.1|localhost)[:/])",
        description="Where the signer publishes its keys (a JWKS): https, or on this machine.",
    )

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        given = {bool(self.identity_issuer), bool(self.identity_audience), bool(self.identity_keys_url)}
        if len(given) > 1:
            raise ValueError("identity_issuer, identity_audience and identity_keys_url come together or not at all")
        return self


class ApiSettings(
    TableSettings,
    ShardSettings,
    DeliverySettings,
    WebhookSettings,
    SealingSettings,
    ClinicRoleSettings,
    IdentitySettings,
    StageSettings,
):
    """All that the API is told; read as a whole when it starts, so that what is missing stops it at once."""

    public_url: str = Field(
        default="", description="The API's address as callers know it, where problem types point; empty: relative."
    )
    tracing: bool = Field(
        default=False,
        description="Whether X-Ray's traces get subsegments of our own; its SDK costs a cold start 0.25 s.",
    )
    memory_mb: int = Field(
        default=0,
        validation_alias="AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        description="Set by Lambda: the function's memory in MB; 0 outside.",
    )


@lru_cache(maxsize=1)
def api_settings() -> ApiSettings:
    """Return the settings, read once a process."""
    return ApiSettings()
