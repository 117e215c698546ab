"""The WhatsApp simulator as a part of the stack, and the people on its phones."""

import sys
from typing import Any

import aiohttp

from local.stack.environment import base_environment
from local.stack.part import Part
from local.stack.state import CHECKOUT, StateFolder

CLINIC_PHONES = tuple(f"55119888800{number:02d}" for number in range(1, 11))
_FIRST_NAMES = ("Ana", "Bruno", "Carla", "Diego", "Elisa", "Fábio", "Gabriela", "Hugo", "Inês", "João")
_CONTACTS = 50
_NOT_ON_WHATSAPP_FROM = 46


def simulator_part(state: StateFolder, port: int, *, holding: int | None = None) -> Part:
    """Return the simulator, not yet started."""
    return Part(
        "whatsapp",
        [sys.executable, "-m", "local.whatsapp", "--port", str(port), "--state", state.whatsapp],
        environment=base_environment(),
        folder=CHECKOUT,
        logs=state.logs,
        holding=holding,
    )


def people() -> list[dict[str, Any]]:
    """Return the demo's people, as the simulator's ``POST /phones`` takes them.

    +55 11 97777-0001 to -0050 are patients. Every fifth is known to WhatsApp without the ninth digit, as old
    Brazilian accounts are; the last five are left out: they have no WhatsApp.
    """
    phones: list[dict[str, Any]] = [{"number": number, "name": "Recepção"} for number in CLINIC_PHONES]
    for number in range(1, _CONTACTS + 1):
        if number >= _NOT_ON_WHATSAPP_FROM:
            continue
        person = {"number": f"551197777{number:04d}", "name": _FIRST_NAMES[number % len(_FIRST_NAMES)]}
        if number % 5 == 0:
            person["registered_as"] = f"55117777{number:04d}"
        phones.append(person)
    return phones


async def register_people(url: str) -> None:
    """Register the demo's people unless they are registered already.

    Raises:
        aiohttp.ClientResponseError: the simulator refused one.
    """
    async with aiohttp.ClientSession(raise_for_status=True) as client:
        async with client.get(f"{url}/phones") as answer:
            known = await answer.text()
        for person in people():
            if person["number"] not in known:
                async with client.post(f"{url}/phones", json=person):
                    pass
