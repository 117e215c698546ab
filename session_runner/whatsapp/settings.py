"""What the command line is told by its environment."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class CommandLineSettings(BaseSettings):
    """What the command line passes on to the host that it starts."""

    model_config = SettingsConfigDict(env_prefix="RECADO_", extra="ignore")

    whatsapp_environment: dict[str, str] = Field(
        default_factory=dict, description="Variables for the host's exec; empty means the real WhatsApp."
    )
