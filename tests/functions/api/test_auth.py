"""Who gets in: keys, scopes, clinics and channel lists."""

import pytest
from fastapi.testclient import TestClient

from recado.clinics import service as clinics
from recado.clinics.model import Scope
from tests.functions.api.support import Caller, assert_problem


def test_no_key_is_401_and_names_the_way_to_authenticate(client: TestClient, aurora: Caller) -> None:
    """RFC 9110: a 401 carries WWW-Authenticate."""
    answer = client.get(aurora.path("channels"))
    assert_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_key_may_come_in_either_header(client: TestClient, aurora: Caller) -> None:
    """Bearer and X-Api-Key are the same."""
    assert client.get(aurora.path("channels"), headers={"X-Api-Key": aurora.key}).status_code == 200
    assert client.get(aurora.path("channels"), headers={"Authorization": f"bearer {aurora.key}"}).status_code == 200


@pytest.mark.parametrize("kind", ["nonsense", "wrong secret", "other clinic's name", "other stage"])
def test_a_wrong_key_is_401_whatever_is_wrong_with_it(kind: str, aurora: Caller, brisa: Caller) -> None:
    """All wrong keys look alike."""
    stage, holder, key_id, secret = aurora.key.removeprefix("rk_").split("_", 3)
    keys = {
        "nonsense": "nonsense",
        "wrong secret": f"rk_{stage}_{holder}_{key_id}_{'x' * 43}",
        "other clinic's name": f"rk_{stage}_{brisa.clinic_id.removeprefix('cli_')}_{key_id}_{secret}",
        "other stage": f"rk_other_{holder}_{key_id}_{secret}",
    }
    answer = Caller(aurora.client, keys[kind], aurora.clinic_id).get("channels")
    problem = assert_problem(answer, 401, "unauthenticated")
    assert keys[kind] not in str(problem)


def test_a_basic_authorization_header_is_no_key(client: TestClient, aurora: Caller) -> None:
    """Only Bearer is understood."""
    answer = client.get(aurora.path("channels"), headers={"Authorization": f"Basic {aurora.key}"})
    assert_problem(answer, 401, "unauthenticated")


def test_a_revoked_key_is_401_at_once_in_the_process_that_revoked_it(aurora: Caller) -> None:
    """Revoking forgets what was remembered."""
    other = aurora.limited(Scope.CHANNELS_READ)
    assert other.get("channels").status_code == 200
    keys = {key["name"]: key["api_key_id"] for key in aurora.get("api-keys").json()["data"]}
    assert aurora.delete(f"api-keys/{keys['limited']}").status_code == 204
    assert_problem(other.get("channels"), 401, "unauthenticated")


def test_a_suspended_clinic_is_401(aurora: Caller, platform: Caller) -> None:
    """The operators can shut a clinic out."""
    changed = platform.patch(f"/v1/clinics/{aurora.clinic_id}", {"status": "suspended"})
    assert changed.status_code == 200
    assert_problem(aurora.get("channels"), 401, "unauthenticated")


def test_another_clinic_is_404_before_its_scopes_are_looked_at(aurora: Caller, brisa: Caller) -> None:
    """Not even the rights that an operation takes are told about somebody else's clinic."""
    weak = brisa.limited(Scope.REPORTS_READ)
    problem = assert_problem(weak.get(aurora.path("channels")), 404, "clinic_not_found")
    assert problem["type"].endswith("/errors/not_found")
    assert (problem["title"], problem["detail"]) == ("Not found", "No such clinic for this caller.")


def test_a_missing_clinic_and_a_foreign_one_answer_the_same(aurora: Caller, brisa: Caller) -> None:
    """Nobody can find out which clinics exist."""
    missing = "/v1/clinics/cli_01kb1v00000000000000000000/channels"
    foreign, absent = (brisa.get(path).json() for path in (aurora.path("channels"), missing))
    del foreign["request_id"], absent["request_id"]
    assert foreign == absent


def test_a_missing_scope_is_403_and_named(aurora: Caller) -> None:
    """The integrator learns what to ask for."""
    answer = aurora.limited(Scope.MESSAGES_READ).post("channels", {"name": "x"})
    assert "channels:write" in assert_problem(answer, 403, "insufficient_scope")["detail"]


def test_writing_implies_reading_for_channels_and_webhooks_but_sending_does_not_for_messages(aurora: Caller) -> None:
    """A system that only sends reminders must not be able to read what patients answer."""
    assert aurora.limited(Scope.CHANNELS_WRITE).get("channels").status_code == 200
    assert aurora.limited(Scope.WEBHOOKS_WRITE).get("webhook-endpoints").status_code == 200
    assert_problem(aurora.limited(Scope.MESSAGES_SEND).get("messages"), 403, "insufficient_scope")


def test_a_platform_key_reads_no_patient_data(platform: Caller, aurora: Caller) -> None:
    """Operators set clinics up and see no messages."""
    for path in ("messages", "channels", "webhook-endpoints"):
        assert_problem(platform.get(aurora.path(path)), 403, "insufficient_scope")


def test_a_key_limited_to_channels_sees_only_those(aurora: Caller) -> None:
    """Other channels of the own clinic answer 404 and are left out of lists."""
    mine, other = aurora.channel("mine"), aurora.channel("other")
    limited = aurora.limited(channels={mine})
    assert limited.get(f"channels/{mine}").status_code == 200
    assert_problem(limited.get(f"channels/{other}"), 404, "channel_not_found")
    assert [channel["channel_id"] for channel in limited.get("channels").json()["data"]] == [mine]
    assert_problem(limited.get(f"messages?channel_id={other}"), 404, "channel_not_found")
    assert_problem(limited.post("channels", {"name": "third"}), 403, "insufficient_scope")


def test_keys_are_stored_as_hashes(aurora: Caller) -> None:
    """Whoever reads the table learns no key."""
    stored = clinics.list_api_keys(aurora.clinic_id, 10).items
    assert stored
    assert all(key.secret_hash not in aurora.key and aurora.key[-43:] not in repr(key) for key in stored)
