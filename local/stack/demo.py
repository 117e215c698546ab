"""The demo's clinics and keys, made through the API like anybody else's, and kept for the next run."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from local.stack.state import StateFolder, read_json, write_private

CLINICS = {"aurora": "Clínica Aurora", "brisa": "Clínica Brisa"}
_SCOPES = (
    "keys:write",
    "channels:read",
    "channels:write",
    "messages:read",
    "messages:send",
    "webhooks:read",
    "webhooks:write",
    "reports:read",
)


class DemoError(Exception):
    """The API did not make a demo clinic."""


@dataclass(frozen=True, slots=True)
class DemoClinic:
    """A demo clinic and a key with all its rights."""

    name: str
    clinic_id: str
    api_key: str


@dataclass(frozen=True, slots=True)
class Demo:
    """The platform's key and the demo clinics by their short names."""

    admin_key: str
    clinics: Mapping[str, DemoClinic]


async def prepare(url: str, state: StateFolder, make_admin_key: Callable[[], Awaitable[str]], *, clinics: bool) -> Demo:
    """Return the kept demo if the API still knows it, else make it.

    Args:
        url: the API's address.
        state: where it is kept.
        make_admin_key: makes a platform key.
        clinics: whether to make clinics at all.

    Raises:
        DemoError: the API refused.
    """
    kept = read_json(state.demo) or {"clinics": {}}
    async with aiohttp.ClientSession() as client:
        admin_key: str = kept.get("admin_key", "")
        if not admin_key or not await _accepted(client, f"{url}/v1/clinics?limit=1", admin_key):
            admin_key = await make_admin_key()
        made = {}
        for short, name in CLINICS.items() if clinics else ():
            known = kept["clinics"].get(short)
            if known and await _accepted(client, f"{url}/v1/clinics/{known['clinic_id']}/channels", known["api_key"]):
                made[short] = DemoClinic(**known)
            else:
                made[short] = await _make(client, url, admin_key, name)
    demo = Demo(admin_key, made)
    plain = {
        "admin_key": admin_key,
        "clinics": {
            short: {"name": clinic.name, "clinic_id": clinic.clinic_id, "api_key": clinic.api_key}
            for short, clinic in made.items()
        },
    }
    write_private(state.demo, json.dumps(plain, ensure_ascii=False, indent=2))
    return demo


async def _make(client: aiohttp.ClientSession, url: str, admin_key: str, name: str) -> DemoClinic:
    clinic = await _post(client, f"{url}/v1/clinics", admin_key, {"name": name, "time_zone": "America/Sao_Paulo"})
    clinic_id = clinic["clinic_id"]
    key = await _post(
        client, f"{url}/v1/clinics/{clinic_id}/api-keys", admin_key, {"name": "demo", "scopes": list(_SCOPES)}
    )
    return DemoClinic(name, clinic_id, key["api_key"])


async def _accepted(client: aiohttp.ClientSession, url: str, key: str) -> bool:
    async with client.get(url, headers=_bearer(key)) as answer:
        return answer.ok


async def _post(client: aiohttp.ClientSession, url: str, key: str, body: Mapping[str, Any]) -> dict[str, Any]:
    async with client.post(url, headers=_bearer(key), json=body) as answer:
        if not answer.ok:
            raise DemoError(f"POST {url} answered {answer.status}: {await answer.text()}")
        made: dict[str, Any] = await answer.json()
        return made


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
