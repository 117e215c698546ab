"""What the channels room is told by the environment."""

from functools import lru_cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ProxySettings(BaseSettings):
    """Where channels' proxies may be."""

    model_config = SettingsConfigDict(env_prefix="RECADO_", extra="ignore", frozen=True)

    proxy_allowed_networks: tuple[str, ...] = Field(
        default=(), description="Networks (CIDRs) that channels' proxies may be in although they are not public."
    )


@lru_cache
def proxy_allowed_networks() -> tuple[str, ...]:
    """Return the networks that proxies may be in although they are not public."""
    return ProxySettings().proxy_allowed_networks
