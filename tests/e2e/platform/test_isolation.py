"""One clinic's key on everything of the other's, against the deployed platform."""

import copy
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.bench.platform import Addresses
from tests.e2e.platform.desk import Desk
from tests.e2e.platform.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]
_URL = "http://127.0.0.1:9/"
_PERIOD = {"start": "2026-11-01T00:00:00Z", "end": "2026-11-02T00:00:00Z"}
# The example is an operator's: tier and status are refused to the clinic itself.
_OWN_BODIES = {("PATCH", "/v1/clinics/{clinic_id}"): {"name": "Outro nome"}}
_QUERIES = {"/volume": _PERIOD, "/qr": {"wait": 0}, "/pairing-code": {"wait": 0}}
_LISTS = (
    "/api-keys",
    "/channels",
    "/messages",
    "/channels/{channel_id}/messages",
    "/webhook-endpoints",
    "/webhook-endpoints/{webhook_endpoint_id}/deliveries",
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API's own description, with the body that the description gives as its example."""

    method: str
    path: str
    body: Any

    @property
    def ends_things(self) -> bool:
        """Whether what the path names is gone afterwards."""
        return self.method == "DELETE"


@dataclass(frozen=True, slots=True)
class House:
    """A clinic with one of everything: its desk, and the ids that fill paths."""

    desk: Desk
    ids: Mapping[str, str]

    async def call(self, operation: Operation, ids: Mapping[str, str]) -> httpx.Response:
        """Call an operation with this clinic's key, its path filled with these ids."""
        options: dict[str, Any] = {} if operation.body is None else {"json": operation.body}
        options["params"] = next((query for end, query in _QUERIES.items() if operation.path.endswith(end)), None)
        return await self.desk.answer_from_root(operation.method, operation.path.format(**ids), **options)


async def _furnished(addresses: Addresses, name: str) -> House:
    desk = await Desk.create(addresses, name)
    await desk.new_channel()
    key = await desk.call("POST", "/api-keys", {"name": "agenda", "scopes": ["messages:read"]})
    endpoint = (await desk.endpoint(_URL, ["message.*"]))["webhook_endpoint_id"]
    ids = {
        "clinic_id": desk.clinic_id,
        "channel_id": desk.channel_id,
        "api_key_id": key["api_key_id"],
        "webhook_endpoint_id": endpoint,
        "delivery_id": await desk.ping(endpoint),
        "message_id": await desk.send("5511977770001", f"só para a {name}"),
    }
    return House(desk, ids)


@pytest.fixture
async def houses(addresses: Addresses) -> AsyncIterator[tuple[House, House]]:
    """Two clinics with one of everything each."""
    aurora, brisa = await _furnished(addresses, "Casa Aurora"), await _furnished(addresses, "Casa Brisa")
    yield aurora, brisa
    await aurora.desk.close()
    await brisa.desk.close()


def _example(document: Mapping[str, Any], described: Mapping[str, Any]) -> Any:
    """Return the example of an operation's body, None if it takes none."""
    content = described.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    schema = content["schema"]
    for choice in [schema, *schema.get("anyOf", ())]:
        if "$ref" in choice:
            named = document["components"]["schemas"][choice["$ref"].rpartition("/")[2]]
            return copy.deepcopy(named["example"] if "example" in named else named["examples"][0])
    raise AssertionError(f"no example for {described['summary']}")


def _operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            body = _example(document, described)
            if body is not None and "url" in body:
                body["url"] = _URL
            yield Operation(method.upper(), path, _OWN_BODIES.get((method.upper(), path), body))


async def _described(desk: Desk) -> list[Operation]:
    """Return every operation, those that end something last."""
    operations = list(_operations((await desk.answer_from_root("GET", "/openapi.json")).json()))
    assert len([operation for operation in operations if "{clinic_id}" in operation.path]) > 30
    return sorted(operations, key=lambda operation: operation.ends_things)


async def test_a_foreign_key_gets_404_on_every_path_and_the_owner_does_not(houses: tuple[House, House]) -> None:
    """Whatever exists is not found by the other clinic, what is the platform's is 403, and the owner reaches it all."""
    aurora, brisa = houses
    operations = await _described(aurora.desk)
    wrong = []
    for operation in operations:
        answer = await brisa.call(operation, aurora.ids)
        allowed = (404, "clinic_not_found") if "{clinic_id}" in operation.path else (403, "insufficient_scope")
        if operation.path == "/health":
            assert answer.status_code == 200
        elif (answer.status_code, answer.json()["code"]) != allowed:
            wrong.append(f"{operation.method} {operation.path}: {answer.status_code} {answer.text}")
        if any(value in answer.text for name, value in aurora.ids.items() if name != "clinic_id"):
            wrong.append(f"{operation.method} {operation.path} tells an id: {answer.text}")
    assert wrong == []
    for operation in operations:
        answer = await aurora.call(operation, aurora.ids)
        # Of what the owner may do here, some asks for a linked number (409) and some is not there yet (no code).
        refused = answer.status_code in {401, 403, 404} and "{clinic_id}" in operation.path
        if (refused and answer.json()["code"] != "pairing_code_not_found") or answer.status_code >= 500:
            wrong.append(f"{operation.method} {operation.path}: {answer.status_code} {answer.text}")
    assert wrong == []


async def test_ids_of_another_clinic_are_not_found_under_the_own_path(houses: tuple[House, House]) -> None:
    """Each kind of id by itself, all others being the caller's own."""
    aurora, brisa = houses
    wrong, tried = [], 0
    for operation in await _described(brisa.desk):
        for name in brisa.ids.keys() - {"clinic_id"}:
            if f"{{{name}}}" in operation.path:
                answer = await brisa.call(operation, {**brisa.ids, name: aurora.ids[name]})
                tried += 1
                if answer.status_code != 404:
                    wrong.append(f"{operation.method} {operation.path} with a foreign {name}: {answer.text}")
    assert wrong == []
    assert tried > 20
    kept = await aurora.desk.message(aurora.ids["message_id"])
    assert (kept["status"], kept["text"]["body"]) == ("queued", "só para a Casa Aurora")
    assert (await aurora.desk.channel())["state"] == "created"


async def test_ids_of_another_clinic_in_queries_and_bodies_are_refused(houses: tuple[House, House]) -> None:
    """A foreign channel cannot be listed, counted, listened to or given a key, nor a foreign message quoted."""
    aurora, brisa = houses
    foreign, desk = aurora.ids["channel_id"], brisa.desk
    message = {"to": "5511977770001", "type": "text", "text": {"body": "x"}}
    answers = {
        "messages": await desk.answer("GET", "/messages", params={"channel_id": foreign}),
        "volume": await desk.answer("GET", "/analytics/volume", params={**_PERIOD, "channel_id": foreign}),
        "quote": await desk.post_message({**message, "context": {"message_id": aurora.ids["message_id"]}}),
        "key": await desk.answer(
            "POST", "/api-keys", json={"name": "x", "scopes": ["messages:read"], "channels": [foreign]}
        ),
        "endpoint": await desk.answer(
            "POST", "/webhook-endpoints", json={"url": _URL, "event_types": ["message.*"], "channels": [foreign]}
        ),
    }
    assert {what: answer.status_code for what, answer in answers.items()} == {
        "messages": 404,
        "volume": 404,
        "quote": 422,
        "key": 422,
        "endpoint": 422,
    }


async def test_cursors_of_another_clinic_are_refused_on_every_list(houses: tuple[House, House]) -> None:
    """400 for a cursor that the other clinic got for the same list; the one who got it goes on with it."""
    aurora, brisa = houses
    for house in houses:
        await house.desk.send("5511977770001", "mais uma")
        await house.desk.ping(house.ids["webhook_endpoint_id"])
        await house.desk.endpoint(_URL, ["channel.*"])
        await house.desk.call("POST", "/channels", {"name": "outro"})
    for path in _LISTS:
        first = (await aurora.desk.call("GET", f"{path.format(**aurora.ids)}?limit=1"))["next_cursor"]
        assert first, path
        refused = await brisa.desk.answer("GET", path.format(**brisa.ids), params={"limit": 1, "cursor": first})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_cursor"), path
        following = await aurora.desk.answer("GET", path.format(**aurora.ids), params={"limit": 1, "cursor": first})
        assert following.status_code == 200, path


async def test_no_webhook_of_one_clinic_ever_comes_to_the_other(aurora: Desk, brisa: Desk, contact: str) -> None:
    """Deliveries of the sender's endpoint name the sender only, and the other clinic's endpoint has none."""
    ours = (await aurora.endpoint(_URL, ["message.*"]))["webhook_endpoint_id"]
    theirs = (await brisa.endpoint(_URL, ["message.*"]))["webhook_endpoint_id"]
    await aurora.until_status(await aurora.send(contact, "só nossa"), "delivered")

    async def told() -> list[dict[str, Any]] | None:
        found = await aurora.deliveries(ours)
        return found if {"message.sent", "message.delivered"} <= {one["event_type"] for one in found} else None

    assert {one["channel_id"] for one in await eventually(told, "both webhooks are on their way")} == {
        aurora.channel_id
    }
    assert await brisa.deliveries(theirs) == []
    for desk, endpoint_id in ((aurora, ours), (brisa, theirs)):
        await desk.call("DELETE", f"/webhook-endpoints/{endpoint_id}")
