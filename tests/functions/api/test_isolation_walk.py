"""Another clinic tries every route. Each attempt is refused, each own request works, no route is left out."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from functions.api.documentation import operations
from recado.channels import service as channels
from recado.channels.model import PairingMethod
from recado.clinics import service as clinics
from recado.clinics.model import Scope
from recado.contacts import service as contacts
from recado.contacts.model import Resolution
from tests.functions.api.support import Caller, link, receive

_HOOK = {"url": "https://8.8.8.8/hook", "event_types": ["message.*"]}
_TEXT = {"to": "+5511977770001", "type": "text", "text": {"body": "x"}}
_CHANNEL, _ENDPOINT = (
    "/v1/clinics/{clinic_id}/channels/{channel_id}",
    ("/v1/clinics/{clinic_id}/webhook-endpoints/{webhook_endpoint_id}"),
)


@dataclass(frozen=True, slots=True)
class Visit:
    """How the walk calls one operation.

    Attributes:
        status: what the owner gets.
        body: the JSON body.
        query: the query string.
        channel: the name of the owner's channel that the path names.
    """

    status: int = 200
    body: Mapping[str, Any] | None = None
    query: str = ""
    channel: str = "linked"


_VISITS: Mapping[tuple[str, str], Visit] = {
    ("GET", "/v1/clinics/{clinic_id}"): Visit(),
    ("PATCH", "/v1/clinics/{clinic_id}"): Visit(body={"name": "x"}),
    ("GET", "/v1/clinics/{clinic_id}/send-policy"): Visit(),
    ("PATCH", "/v1/clinics/{clinic_id}/send-policy"): Visit(body={"uncertain": "resend"}),
    ("GET", "/v1/clinics/{clinic_id}/api-keys"): Visit(),
    ("POST", "/v1/clinics/{clinic_id}/api-keys"): Visit(201, {"name": "x", "scopes": ["messages:read"]}),
    ("DELETE", "/v1/clinics/{clinic_id}/api-keys/{api_key_id}"): Visit(204),
    ("GET", "/v1/clinics/{clinic_id}/channels"): Visit(),
    ("POST", "/v1/clinics/{clinic_id}/channels"): Visit(201, {"name": "x"}),
    ("GET", _CHANNEL): Visit(),
    ("PATCH", _CHANNEL): Visit(body={"name": "x"}),
    ("DELETE", _CHANNEL): Visit(202, channel="doomed"),
    ("POST", f"{_CHANNEL}/connect"): Visit(202, {"method": "qr"}),
    ("POST", f"{_CHANNEL}/restart"): Visit(202),
    ("POST", f"{_CHANNEL}/disconnect"): Visit(202, channel="spare"),
    ("POST", f"{_CHANNEL}/logout"): Visit(202, channel="leaving"),
    ("GET", f"{_CHANNEL}/qr"): Visit(channel="pairing"),
    ("GET", f"{_CHANNEL}/pairing-code"): Visit(channel="pairing by code"),
    ("GET", f"{_CHANNEL}/messages"): Visit(),
    ("POST", f"{_CHANNEL}/messages"): Visit(202, _TEXT),
    ("GET", f"{_CHANNEL}/messages/{{message_id}}"): Visit(),
    ("POST", f"{_CHANNEL}/messages/{{message_id}}/read"): Visit(202),
    # Theirs to ask, and then refused for what the message is: only an uncertain one can be settled.
    ("POST", f"{_CHANNEL}/messages/{{message_id}}/settle"): Visit(409, {"decision": "resend"}),
    ("POST", f"{_CHANNEL}/typing"): Visit(202, {"to": "+5511977770001"}),
    ("POST", f"{_CHANNEL}/contacts/check"): Visit(body={"numbers": ["+5511977770001"]}),
    ("GET", "/v1/clinics/{clinic_id}/messages"): Visit(),
    ("GET", "/v1/clinics/{clinic_id}/webhook-endpoints"): Visit(),
    ("POST", "/v1/clinics/{clinic_id}/webhook-endpoints"): Visit(201, _HOOK),
    ("GET", _ENDPOINT): Visit(),
    ("PATCH", _ENDPOINT): Visit(body={"status": "enabled"}),
    ("POST", f"{_ENDPOINT}/ping"): Visit(202),
    ("POST", f"{_ENDPOINT}/rotate-secret"): Visit(),
    ("GET", f"{_ENDPOINT}/deliveries"): Visit(),
    ("GET", f"{_ENDPOINT}/deliveries/{{delivery_id}}"): Visit(),
    ("DELETE", _ENDPOINT): Visit(204),
    ("GET", "/v1/clinics/{clinic_id}/analytics/volume"): Visit(
        query="start=2026-11-01T00:00:00Z&end=2026-11-02T00:00:00Z"
    ),
}

_FOR_PLATFORM: Mapping[tuple[str, str], Visit] = {
    ("GET", "/v1/clinics"): Visit(),
    ("POST", "/v1/clinics"): Visit(201, {"name": "x"}),
    ("GET", "/v1/health/details"): Visit(),
}

_PUBLIC = {("GET", "/health")}


@dataclass
class House:
    """One clinic with one of everything."""

    caller: Caller
    channels: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    def names(self, visit: Visit) -> dict[str, str]:
        """Return what the path of a visit is filled with."""
        return {**self.ids, "clinic_id": self.caller.clinic_id, "channel_id": self.channels[visit.channel]}


def _furnished(caller: Caller, phone: str) -> House:
    house = House(caller)
    for name in ("linked", "spare", "doomed", "leaving", "pairing", "pairing by code"):
        house.channels[name] = caller.channel(name)
    link(caller, house.channels["linked"], f"{phone}1")
    caller.post(f"channels/{house.channels['linked']}/connect")
    link(caller, house.channels["leaving"], f"{phone}2")
    caller.post(f"channels/{house.channels['pairing']}/connect", {"method": "qr"})
    caller.post(f"channels/{house.channels['pairing by code']}/connect", {"method": "code", "phone": f"{phone}3"})
    soon = datetime.now(UTC) + timedelta(minutes=5)
    for name, method in (("pairing", PairingMethod.QR), ("pairing by code", PairingMethod.CODE)):
        channels.put_pairing_code(caller.clinic_id, house.channels[name], method, f"secret of {phone}", soon)
    house.ids["message_id"] = receive(caller, house.channels["linked"], f"words for {phone}")
    endpoint = caller.post("webhook-endpoints", _HOOK).json()["webhook_endpoint_id"]
    house.ids["webhook_endpoint_id"] = endpoint
    house.ids["delivery_id"] = caller.post(f"webhook-endpoints/{endpoint}/ping").json()["delivery_id"]
    house.ids["api_key_id"] = clinics.create_api_key(caller.clinic_id, "spare", frozenset({Scope.MESSAGES_READ}))[
        0
    ].api_key_id
    number = "+5511977770001"
    contacts.remember(caller.clinic_id, Resolution(number, number, None, None, True, datetime.now(UTC)))
    return house


@pytest.fixture
def houses(aurora: Caller, brisa: Caller) -> tuple[House, House]:
    """Two clinics with one of everything each."""
    return _furnished(aurora, "+551198888000"), _furnished(brisa, "+551198888100")


def _call(caller: Caller, method: str, path: str, names: Mapping[str, str], visit: Visit) -> Response:
    where = path.format(**names) + (f"?{visit.query}" if visit.query else "")
    return caller.request(method, where, **({} if visit.body is None else {"json": dict(visit.body)}))


def _in_order() -> Iterator[tuple[str, str, Visit]]:
    for (method, path), visit in _VISITS.items():
        yield method, path, visit


def _each(check: Callable[[str, str, Visit], str | None]) -> list[str]:
    """Run a check for every operation and collect what it says is wrong."""
    found = (check(method, path, visit) for method, path, visit in _in_order())
    return [problem for problem in found if problem]


def test_the_walk_visits_every_operation(client: TestClient) -> None:
    """A route that is added without a line here fails this test."""
    document = client.get("/openapi.json").json()
    served = {(method.upper(), path) for path, method, _ in operations(document)}
    assert served == {*_VISITS, *_FOR_PLATFORM, *_PUBLIC}


def test_the_owner_may_do_all_of_it(houses: tuple[House, House]) -> None:
    """The positive control: without it, a broken route would pass for a well-guarded one."""
    aurora, _ = houses

    def check(method: str, path: str, visit: Visit) -> str | None:
        answer = _call(aurora.caller, method, path, aurora.names(visit), visit)
        return None if answer.status_code == visit.status else f"{method} {path}: {answer.status_code} {answer.text}"

    assert _each(check) == []


def test_another_clinics_key_is_refused_everywhere(houses: tuple[House, House]) -> None:
    """With all scopes, on ids that exist: 404, and nothing of the other clinic in the answer."""
    aurora, brisa = houses

    def check(method: str, path: str, visit: Visit) -> str | None:
        answer = _call(brisa.caller, method, path, aurora.names(visit), visit)
        refused = (answer.status_code, answer.json()["code"]) == (404, "clinic_not_found")
        return None if refused else f"{method} {path}: {answer.status_code} {answer.text}"

    assert _each(check) == []


def test_ids_of_another_clinic_are_not_found_under_the_own_path(houses: tuple[House, House]) -> None:
    """Each kind of id by itself, all others being the caller's own."""
    aurora, brisa = houses

    def check(method: str, path: str, visit: Visit) -> str | None:
        own, foreign = brisa.names(visit), aurora.names(visit)
        problems = []
        for name in own:
            if name == "clinic_id" or f"{{{name}}}" not in path:
                continue
            answer = _call(brisa.caller, method, path, {**own, name: foreign[name]}, visit)
            if answer.status_code != 404:
                problems.append(f"{method} {path} with a foreign {name}: {answer.status_code} {answer.text}")
        return "; ".join(problems)

    assert _each(check) == []


def test_nothing_changed_in_the_clinic_that_others_tried(houses: tuple[House, House]) -> None:
    """After all attempts the owner finds everything as it was."""
    aurora, brisa = houses
    before = _belongings(aurora)
    for method, path, visit in _in_order():
        _call(brisa.caller, method, path, aurora.names(visit), visit)
        names = {**aurora.names(visit), "clinic_id": brisa.caller.clinic_id}
        if "{channel_id}" in path or "_id}" in path.replace("{clinic_id}", ""):
            _call(brisa.caller, method, path, names, visit)
    assert _belongings(aurora) == before


def _belongings(house: House) -> dict[str, Any]:
    paths = ["", "send-policy", "channels", "messages", "webhook-endpoints", "api-keys"]
    paths.append(f"webhook-endpoints/{house.ids['webhook_endpoint_id']}/deliveries")
    found = {path: house.caller.get(path).json() for path in paths}
    for channel in found["channels"]["data"]:
        del channel["last_frame_age"]  # It tells the time, not the channel.
    return found


def test_cursors_of_another_clinic_are_refused(houses: tuple[House, House]) -> None:
    """Every list, with a cursor that the other clinic got for the same list."""
    aurora, brisa = houses
    lists = [path for method, path in _VISITS if method == "GET" and path.endswith(("s", "deliveries"))]
    assert len(lists) == 6
    for path in lists:
        visit = _VISITS["GET", path]
        for house in houses:
            _make_two(house)
        issued = aurora.caller.get(f"{path.format(**aurora.names(visit))}?limit=1").json()["next_cursor"]
        assert issued, path
        answer = brisa.caller.get(f"{path.format(**brisa.names(visit))}?limit=1&cursor={issued}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), path


def _make_two(house: House) -> None:
    """Make sure that every list has a second page."""
    caller = house.caller
    for _ in range(2):
        caller.post(f"channels/{house.channels['linked']}/messages", _TEXT)
        caller.post(f"webhook-endpoints/{house.ids['webhook_endpoint_id']}/ping")
    if len(caller.get("webhook-endpoints").json()["data"]) < 2:
        caller.post("webhook-endpoints", _HOOK)


def test_ids_of_another_clinic_in_queries_and_bodies_are_refused(houses: tuple[House, House]) -> None:
    """Wherever an id can be put, it is looked up in the own clinic."""
    aurora, brisa = houses
    foreign = aurora.channels["linked"]
    caller, own = brisa.caller, brisa.channels["linked"]
    quoting = {**_TEXT, "context": {"message_id": aurora.ids["message_id"]}}
    period = "start=2026-11-01T00:00:00Z&end=2026-11-02T00:00:00Z"
    attempts = {
        "messages of a foreign channel": (caller.get(f"messages?channel_id={foreign}"), 404),
        "volume of a foreign channel": (caller.get(f"analytics/volume?{period}&channel_id={foreign}"), 404),
        "quoting a foreign message": (caller.post(f"channels/{own}/messages", quoting), 422),
        "a key for a foreign channel": (
            caller.post("api-keys", {"name": "x", "scopes": ["messages:read"], "channels": [foreign]}),
            422,
        ),
        "an endpoint for a foreign channel": (caller.post("webhook-endpoints", {**_HOOK, "channels": [foreign]}), 422),
    }
    assert {what: answer.status_code for what, (answer, _) in attempts.items()} == {
        what: status for what, (_, status) in attempts.items()
    }


def test_clinics_reach_nothing_of_the_platforms(aurora: Caller, platform: Caller) -> None:
    """403 with every scope a clinic can have; 2xx for the platform."""
    for (method, path), visit in _FOR_PLATFORM.items():
        refused = _call(aurora, method, path, {}, visit)
        assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope"), path
        assert _call(platform, method, path, {}, visit).status_code == visit.status, path


def test_a_key_without_scopes_that_fit_is_403_on_every_own_route(houses: tuple[House, House]) -> None:
    """The route's scope is really asked for: a key with only an unrelated right gets nowhere."""
    aurora, _ = houses
    bare = aurora.caller.limited(Scope.PRIVACY_ADMIN)

    def check(method: str, path: str, visit: Visit) -> str | None:
        answer = _call(bare, method, path, aurora.names(visit), visit)
        refused = (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
        return None if refused else f"{method} {path}: {answer.status_code} {answer.text}"

    assert _each(check) == []


def test_no_key_is_401_on_every_route(houses: tuple[House, House]) -> None:
    """Nothing under /v1 is public."""
    aurora, _ = houses
    nobody = Caller(aurora.caller.client, "rk_test_nobody", aurora.caller.clinic_id)

    def check(method: str, path: str, visit: Visit) -> str | None:
        answer = _call(nobody, method, path, aurora.names(visit), visit)
        return None if answer.status_code == 401 else f"{method} {path}: {answer.status_code}"

    assert _each(check) == []


def test_a_key_limited_to_channels_gets_404_for_the_others_everywhere(houses: tuple[House, House]) -> None:
    """The same walk inside one clinic: paths that name another channel."""
    aurora, _ = houses
    other = aurora.caller.channel("only")
    limited = aurora.caller.limited(channels={other})

    def check(method: str, path: str, visit: Visit) -> str | None:
        if "{channel_id}" not in path:
            return None
        answer = _call(limited, method, path, aurora.names(visit), visit)
        refused = (answer.status_code, answer.json()["code"]) == (404, "channel_not_found")
        return None if refused else f"{method} {path}: {answer.status_code} {answer.text}"

    assert _each(check) == []
