"""What the API reads from its environment."""

from functools import lru_cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MAXIMUM_BODY_BYTES = 256 * 1024
"""Larger bodies answer 413; far above the longest text (4096 characters) and below API Gateway's 10 MB."""

LONGEST_WAIT_SECONDS = 20
"""How long a request may hold on: API Gateway cuts at 29 s, the function's time-out lies below that."""

HEALTH_CHECK_SECONDS = 5.0
"""The time-out of each single health check."""


class ApiSettings(BaseSettings):
    """Settings of the API function beyond those of the rooms it calls.

    ``public_url`` is where problem types point; empty makes them relative, which RFC 9457 allows. ``memory_mb`` is
    what Lambda gives the function (its own variable), 0 outside Lambda. ``tracing`` adds X-Ray subsegments of our own
    to those that Lambda makes; its SDK costs a cold start a quarter of a second, so it is loaded only when asked for.
    """

    model_config = SettingsConfigDict(env_prefix="RECADO_", extra="ignore", frozen=True)

    public_url: str = ""
    tracing: bool = False
    memory_mb: int = Field(default=0, validation_alias="AWS_LAMBDA_FUNCTION_MEMORY_SIZE")


@lru_cache(maxsize=1)
def api_settings() -> ApiSettings:
    """Return the settings, read once a process."""
    return ApiSettings()
