"""Clinics on the wire."""

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints

from functions.api.schemas.base import Answer, Given, Moment, with_example
from recado.clinics.model import ClinicStatus, Tier

_EXAMPLE = {
    "clinic_id": "cli_01kb1v00000000000000000000",
    "name": "Clínica Sorriso",
    "email": "contato@sorriso.example",
    "phone": "+551133330000",
    "address": "Rua das Flores, 100, São Paulo",
    "time_zone": "America/Sao_Paulo",
    "tier": "basic",
    "status": "active",
    "created_at": "2026-11-22T13:00:00.000Z",
    "updated_at": "2026-11-22T13:00:00.000Z",
}


def _known_time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("Not a time zone of the IANA database, such as America/Sao_Paulo.") from error
    return name


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
Email = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Phone = Annotated[str, StringConstraints(min_length=8, max_length=32)]
Address = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
TimeZone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_known_time_zone)]


class NewClinic(Given):
    """A clinic to be created."""

    model_config = with_example({"name": "Clínica Sorriso", "time_zone": "America/Sao_Paulo", "tier": "basic"})

    name: Name
    email: Email | None = None
    phone: Phone | None = None
    address: Address | None = None
    time_zone: TimeZone = "America/Sao_Paulo"
    tier: Tier = Tier.BASIC


class ClinicChange(Given):
    """What to change; fields left out stay as they are, null empties the optional ones."""

    model_config = with_example({"email": "agenda@sorriso.example", "tier": "premium"})

    name: Name = Field(default="")
    email: Email | None = None
    phone: Phone | None = None
    address: Address | None = None
    time_zone: TimeZone = Field(default="")
    tier: Tier = Tier.BASIC
    status: ClinicStatus = ClinicStatus.ACTIVE


class ClinicAnswer(Answer):
    """A clinic."""

    model_config = with_example(_EXAMPLE)

    clinic_id: str
    name: str
    email: str | None
    phone: str | None
    address: str | None
    time_zone: str
    tier: Tier
    status: ClinicStatus
    created_at: Moment
    updated_at: Moment
