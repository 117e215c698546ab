"""Clinics and their API keys over HTTP."""

import pytest

from recado.clinics.model import Scope
from tests.functions.api.support import Caller, assert_problem

_MISSING_KEY = "key_01kb1v00000000000000000000"


def test_creating_a_clinic_answers_201_with_all_fields(platform: Caller) -> None:
    """The shape of the tour."""
    answer = platform.post("/v1/clinics", {"name": "Clínica Sorriso", "time_zone": "America/Sao_Paulo"})
    assert answer.status_code == 201
    clinic = answer.json()
    assert clinic["clinic_id"].startswith("cli_")
    assert clinic["created_at"].endswith("Z")
    assert clinic | {"clinic_id": "", "created_at": "", "updated_at": ""} == {
        "clinic_id": "",
        "name": "Clínica Sorriso",
        "email": None,
        "phone": None,
        "address": None,
        "time_zone": "America/Sao_Paulo",
        "tier": "basic",
        "status": "active",
        "created_at": "",
        "updated_at": "",
    }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"name": 7}, "name"),
        ({"name": "x", "time_zone": "Mars/Olympus"}, "time_zone"),
        ({"name": "x", "time_zone": "../../etc/passwd"}, "time_zone"),
        ({"name": "x", "tier": "gold"}, "tier"),
        ({"name": "x", "email": "nobody"}, "email"),
        ({"name": "x", "nome": "y"}, "nome"),
    ],
)
def test_a_bad_clinic_is_refused_with_the_field_named(platform: Caller, body: object, field: str) -> None:
    """Each failure says where it lies; unknown fields are failures."""
    problem = assert_problem(platform.post("/v1/clinics", body), 422, "invalid_request", field)
    assert field in [failure["field"] for failure in problem["errors"]]


def test_only_the_platform_creates_and_lists_clinics(aurora: Caller) -> None:
    """A clinic's own administrator sees no other tenant."""
    assert_problem(aurora.post("/v1/clinics", {"name": "x"}), 403, "insufficient_scope")
    assert_problem(aurora.get("/v1/clinics"), 403, "insufficient_scope")


def test_clinics_are_listed_page_by_page(platform: Caller, aurora: Caller, brisa: Caller) -> None:
    """All tenants, each once."""
    first = platform.get("/v1/clinics?limit=1").json()
    second = platform.get(f"/v1/clinics?limit=1&cursor={first['next_cursor']}").json()
    ids = [clinic["clinic_id"] for page in (first, second) for clinic in page["data"]]
    assert ids == sorted({aurora.clinic_id, brisa.clinic_id})
    assert second["next_cursor"] is None


def test_a_clinic_is_read_and_changed(aurora: Caller) -> None:
    """Only what is sent changes; null empties an optional field."""
    assert aurora.get("").json()["name"] == "Clínica Aurora"
    changed = aurora.patch("", {"email": "a@b.example", "phone": "+551133330000"}).json()
    assert (changed["name"], changed["email"]) == ("Clínica Aurora", "a@b.example")
    assert aurora.patch("", {"email": None}).json()["email"] is None
    assert_problem(aurora.patch("", {"name": None}), 422, "invalid_request", "name")


def test_tier_and_status_are_the_operators_to_set(aurora: Caller, platform: Caller) -> None:
    """A clinic cannot give itself a better tier."""
    assert_problem(aurora.patch("", {"tier": "enterprise"}), 403, "insufficient_scope")
    path = f"/v1/clinics/{aurora.clinic_id}"
    assert platform.patch(path, {"tier": "premium"}).json()["tier"] == "premium"


def test_a_missing_clinic_is_404_for_the_platform_too(platform: Caller) -> None:
    """On every route that a platform key reaches."""
    missing = "/v1/clinics/cli_01kb1v00000000000000000000"
    key = {"name": "x", "scopes": ["messages:read"]}
    for answer in (
        platform.get(missing),
        platform.get("/v1/clinics/nonsense"),
        platform.patch(missing, {"name": "x"}),
        platform.get(f"{missing}/api-keys"),
        platform.post(f"{missing}/api-keys", key),
        platform.delete(f"{missing}/api-keys/{_MISSING_KEY}"),
    ):
        assert_problem(answer, 404, "clinic_not_found")


def test_a_new_key_is_shown_once_and_works(platform: Caller, aurora: Caller) -> None:
    """The shape of the tour; the list never shows the text again."""
    scopes = ["channels:write", "messages:send", "messages:read", "webhooks:write"]
    answer = platform.post(f"/v1/clinics/{aurora.clinic_id}/api-keys", {"name": "agenda", "scopes": scopes})
    assert answer.status_code == 201
    created = answer.json()
    assert created["note"] == "shown once"
    assert created["scopes"] == sorted(scopes)
    assert created["api_key"].startswith("rk_test_")
    assert created["api_key"].endswith(created["last4"])
    assert Caller(aurora.client, created["api_key"], aurora.clinic_id).get("channels").status_code == 200
    listed = aurora.get("api-keys")
    assert created["api_key_id"] in listed.text
    assert created["api_key"][-43:] not in listed.text


def test_a_key_gives_no_more_than_it_has(aurora: Caller) -> None:
    """keys:write is no way round the other scopes or the channel list."""
    channel_id = aurora.channel()
    weak = aurora.limited(Scope.KEYS_WRITE, Scope.MESSAGES_READ)
    body = {"name": "x", "scopes": ["messages:read"]}
    assert weak.post("api-keys", body).status_code == 201
    assert_problem(weak.post("api-keys", {**body, "scopes": ["messages:send"]}), 403, "insufficient_scope", "scopes")
    narrow = aurora.limited(Scope.KEYS_WRITE, Scope.MESSAGES_READ, channels={channel_id})
    assert_problem(narrow.post("api-keys", body), 403, "insufficient_scope", "channels")
    assert narrow.post("api-keys", {**body, "channels": [channel_id]}).status_code == 201


def test_a_key_limited_to_channels_neither_sees_nor_revokes_wider_keys(aurora: Caller) -> None:
    """What it cannot create it cannot end either."""
    channel_id = aurora.channel()
    narrow = aurora.limited(Scope.KEYS_WRITE, channels={channel_id})
    wide = next(key["api_key_id"] for key in aurora.get("api-keys").json()["data"] if key["channels"] is None)
    assert [key["channels"] for key in narrow.get("api-keys").json()["data"]] == [[channel_id]]
    assert_problem(narrow.delete(f"api-keys/{wide}"), 404, "api_key_not_found")


def test_a_key_for_another_clinics_channel_is_refused(aurora: Caller, brisa: Caller) -> None:
    """Channel ids in the body are checked like those in the path."""
    body = {"name": "x", "scopes": ["messages:read"], "channels": [brisa.channel()]}
    assert_problem(aurora.post("api-keys", body), 422, "invalid_request", "channels.0")


def test_revoking_is_final_and_may_be_repeated(aurora: Caller) -> None:
    """The key stays in the list with the moment it ended."""
    created = aurora.post("api-keys", {"name": "x", "scopes": ["messages:read"]}).json()
    path = f"api-keys/{created['api_key_id']}"
    assert aurora.delete(path).status_code == 204
    assert aurora.delete(path).status_code == 204
    listed = {key["api_key_id"]: key for key in aurora.get("api-keys").json()["data"]}
    assert listed[created["api_key_id"]]["revoked_at"] is not None
    assert_problem(aurora.delete(f"api-keys/{_MISSING_KEY}"), 404, "api_key_not_found")
    assert_problem(aurora.delete("api-keys/nonsense"), 404, "api_key_not_found")
