"""What the command line is told by its environment."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class CommandLineSettings(BaseSettings):
    """``RECADO_WHATSAPP_ENVIRONMENT``: variables for the host's exec as JSON; empty means the real WhatsApp."""

    model_config = SettingsConfigDict(env_prefix="RECADO_", extra="ignore")

    whatsapp_environment: dict[str, str] = Field(default_factory=dict)
