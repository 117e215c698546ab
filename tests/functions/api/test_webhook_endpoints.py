"""Webhook endpoints and their delivery log over HTTP."""

from typing import Any

import pytest

from recado.aws import data_keys
from recado.clinics.model import Scope
from recado.webhooks.model import MAXIMUM_ENDPOINTS
from tests.functions.api.support import Caller, assert_problem

_PUBLIC_URL = "https://8.8.8.8/hook"
_OWN_SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"


def _register(caller: Caller, **fields: Any) -> dict[str, Any]:
    body = {"url": _PUBLIC_URL, "event_types": ["message.*", "channel.*"], **fields}
    answer = caller.post("webhook-endpoints", body)
    assert answer.status_code == 201, answer.text
    endpoint: dict[str, Any] = answer.json()
    return endpoint


def test_a_new_endpoint_shows_its_secret_once(aurora: Caller) -> None:
    """The shape of the tour; neither reading nor listing shows it again."""
    endpoint = _register(aurora)
    assert endpoint["webhook_endpoint_id"].startswith("whk_")
    assert endpoint["secret"].startswith("whsec_")
    assert (endpoint["status"], endpoint["note"]) == ("enabled", "shown once")
    assert endpoint["event_types"] == ["channel.*", "message.*"]
    read = aurora.get(f"webhook-endpoints/{endpoint['webhook_endpoint_id']}")
    listed = aurora.get("webhook-endpoints")
    assert endpoint["secret"] not in read.text + listed.text
    assert "secret" not in read.json()
    assert listed.json()["data"] == [read.json()]


def test_a_clinic_may_bring_its_own_secret(aurora: Caller) -> None:
    """In the form of Standard Webhooks only."""
    assert _register(aurora, secret=_OWN_SECRET)["secret"] == _OWN_SECRET
    body = {"url": _PUBLIC_URL, "event_types": ["message.*"], "secret": "hunter2"}
    assert_problem(aurora.post("webhook-endpoints", body), 422, "invalid_request", "secret")


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"url": "http://8.8.8.8/"}, "invalid_webhook_url", "url"),
        ({"url": "https://127.0.0.1/"}, "invalid_webhook_url", "url"),
        ({"url": "https://169.254.169.254/latest"}, "invalid_webhook_url", "url"),
        ({"url": ""}, "invalid_request", "url"),
        ({"event_types": []}, "invalid_request", "event_types"),
        ({"event_types": ["message.eaten"]}, "invalid_request", "event_types.0"),
        ({"channels": []}, "invalid_request", "channels"),
        ({"channels": ["nonsense"]}, "invalid_request", "channels.0"),
        ({"channels": ["chn_01kb1v00000000000000000000"]}, "invalid_request", "channels.0"),
        ({"enabled": True}, "invalid_request", "enabled"),
    ],
)
def test_a_bad_endpoint_is_refused(aurora: Caller, change: dict[str, Any], code: str, field: str) -> None:
    """No way into our network, no unknown event, no unknown channel."""
    answer = aurora.post("webhook-endpoints", {"url": _PUBLIC_URL, "event_types": ["message.*"], **change})
    assert_problem(answer, 422, code, field)


def test_another_clinics_channel_cannot_be_listened_to(aurora: Caller, brisa: Caller) -> None:
    """Not at creation and not by a change."""
    foreign = brisa.channel()
    body = {"url": _PUBLIC_URL, "event_types": ["message.*"], "channels": [foreign]}
    assert_problem(aurora.post("webhook-endpoints", body), 422, "invalid_request", "channels.0")
    path = f"webhook-endpoints/{_register(aurora)['webhook_endpoint_id']}"
    assert_problem(aurora.patch(path, {"channels": [foreign]}), 422, "invalid_request", "channels.0")


def test_an_endpoint_is_changed_field_by_field(aurora: Caller) -> None:
    """What is not sent stays; null lifts the channel filter."""
    channel_id = aurora.channel()
    path = f"webhook-endpoints/{_register(aurora, channels=[channel_id])['webhook_endpoint_id']}"
    disabled = aurora.patch(path, {"status": "disabled"}).json()
    assert (disabled["status"], disabled["disabled_reason"]) == ("disabled", "requested")
    assert disabled["channels"] == [channel_id]
    changed = aurora.patch(path, {"event_types": ["message.read"], "channels": None, "status": "enabled"}).json()
    assert (changed["event_types"], changed["channels"], changed["disabled_reason"]) == (["message.read"], None, None)
    assert aurora.get(path).json() == changed
    assert_problem(aurora.patch(path, {"url": "https://10.0.0.1/"}), 422, "invalid_webhook_url", "url")
    assert_problem(aurora.patch(path, {"url": None}), 422, "invalid_request", "url")
    assert_problem(aurora.patch(path, {"secret": "x"}), 422, "invalid_request", "secret")


def test_an_endpoint_is_deleted(aurora: Caller) -> None:
    """And is gone."""
    path = f"webhook-endpoints/{_register(aurora)['webhook_endpoint_id']}"
    assert aurora.delete(path).status_code == 204
    assert_problem(aurora.get(path), 404, "webhook_endpoint_not_found")
    assert_problem(aurora.delete(path), 404, "webhook_endpoint_not_found")


def test_a_secret_is_replaced_with_an_overlap(aurora: Caller) -> None:
    """The new one is shown once; until when the old one signs too is told."""
    endpoint = _register(aurora)
    path = f"webhook-endpoints/{endpoint['webhook_endpoint_id']}"
    data_keys.forget()  # as in a function that has just started
    rotated = aurora.post(f"{path}/rotate-secret")
    assert rotated.status_code == 200
    assert rotated.json()["secret"] not in {endpoint["secret"], ""}
    assert rotated.json()["previous_secret_until"] is not None
    assert aurora.post(f"{path}/rotate-secret", {"secret": _OWN_SECRET}).json()["secret"] == _OWN_SECRET
    assert_problem(aurora.post(f"{path}/rotate-secret", {"secret": "x"}), 422, "invalid_request", "secret")


def test_the_number_of_endpoints_is_limited(aurora: Caller) -> None:
    """Sixteen."""
    for _ in range(MAXIMUM_ENDPOINTS):
        _register(aurora)
    body = {"url": _PUBLIC_URL, "event_types": ["message.*"]}
    assert_problem(aurora.post("webhook-endpoints", body), 409, "limit_reached")


def test_a_ping_shows_up_in_the_delivery_log(aurora: Caller) -> None:
    """With nothing tried yet."""
    path = f"webhook-endpoints/{_register(aurora)['webhook_endpoint_id']}"
    ping = aurora.post(f"{path}/ping")
    assert ping.status_code == 202
    page = aurora.get(f"{path}/deliveries").json()
    (delivery,) = page["data"]
    assert page["next_cursor"] is None
    assert (delivery["delivery_id"], delivery["event_id"]) == (ping.json()["delivery_id"], ping.json()["event_id"])
    assert (delivery["event_type"], delivery["channel_id"]) == ("webhook.ping", None)
    assert (delivery["status"], delivery["attempts"]) == ("pending", [])
    assert aurora.get(f"{path}/deliveries/{delivery['delivery_id']}").json() == delivery


def test_deliveries_are_filtered_and_paged(aurora: Caller) -> None:
    """Newest first; a cursor holds for its endpoint and filters."""
    path = f"webhook-endpoints/{_register(aurora)['webhook_endpoint_id']}"
    made = [aurora.post(f"{path}/ping").json()["delivery_id"] for _ in range(3)]
    first = aurora.get(f"{path}/deliveries?limit=2").json()
    second = aurora.get(f"{path}/deliveries?limit=2&cursor={first['next_cursor']}").json()
    seen = [delivery["delivery_id"] for page in (first, second) for delivery in page["data"]]
    assert sorted(seen) == sorted(made)
    assert second["next_cursor"] is None
    assert aurora.get(f"{path}/deliveries?status=delivered").json()["data"] == []
    filtered = aurora.get(f"{path}/deliveries?status=delivered&cursor={first['next_cursor']}")
    assert_problem(filtered, 400, "invalid_cursor", "cursor")
    other = f"webhook-endpoints/{_register(aurora)['webhook_endpoint_id']}"
    foreign = aurora.get(f"{other}/deliveries?limit=2&cursor={first['next_cursor']}")
    assert_problem(foreign, 400, "invalid_cursor", "cursor")
    assert_problem(aurora.get(f"{path}/deliveries?status=lost"), 422, "invalid_request", "status")


def test_missing_endpoints_and_deliveries_are_404(aurora: Caller) -> None:
    """Well-formed or not."""
    path = f"webhook-endpoints/{_register(aurora)['webhook_endpoint_id']}"
    for delivery_id in ("dlv_01kb1v00000000000000000000", "nonsense"):
        assert_problem(aurora.get(f"{path}/deliveries/{delivery_id}"), 404, "delivery_not_found")
    for missing in ("webhook-endpoints/whk_01kb1v00000000000000000000", "webhook-endpoints/nonsense"):
        assert_problem(aurora.get(f"{missing}/deliveries"), 404, "webhook_endpoint_not_found")
        assert_problem(aurora.post(f"{missing}/ping"), 404, "webhook_endpoint_not_found")
        assert_problem(aurora.post(f"{missing}/rotate-secret"), 404, "webhook_endpoint_not_found")


def test_a_limited_key_reaches_only_endpoints_of_its_channels(aurora: Caller) -> None:
    """It can neither listen to other channels nor see what they were told."""
    mine, other = aurora.channel("mine"), aurora.channel("other")
    limited = aurora.limited(channels={mine})
    whole = _register(aurora)["webhook_endpoint_id"]
    body = {"url": _PUBLIC_URL, "event_types": ["message.*"]}
    for channels in (None, [other], [mine, other]):
        answer = limited.post("webhook-endpoints", {**body, "channels": channels})
        assert_problem(answer, 403, "insufficient_scope", "channels")
    own = _register(limited, channels=[mine])["webhook_endpoint_id"]
    assert [one["webhook_endpoint_id"] for one in limited.get("webhook-endpoints").json()["data"]] == [own]
    assert limited.get(f"webhook-endpoints/{own}").status_code == 200
    widened = limited.patch(f"webhook-endpoints/{own}", {"channels": None})
    assert_problem(widened, 403, "insufficient_scope", "channels")
    for answer in (
        limited.get(f"webhook-endpoints/{whole}"),
        limited.patch(f"webhook-endpoints/{whole}", {"status": "disabled"}),
        limited.delete(f"webhook-endpoints/{whole}"),
        limited.post(f"webhook-endpoints/{whole}/ping"),
        limited.post(f"webhook-endpoints/{whole}/rotate-secret"),
        limited.get(f"webhook-endpoints/{whole}/deliveries"),
    ):
        assert_problem(answer, 404, "webhook_endpoint_not_found")


def test_reading_scopes_change_nothing(aurora: Caller) -> None:
    """Every change needs webhooks:write."""
    path = f"webhook-endpoints/{_register(aurora)['webhook_endpoint_id']}"
    reader = aurora.limited(Scope.WEBHOOKS_READ)
    assert reader.get(path).status_code == 200
    for answer in (
        reader.post("webhook-endpoints", {"url": _PUBLIC_URL, "event_types": ["message.*"]}),
        reader.patch(path, {"status": "disabled"}),
        reader.delete(path),
        reader.post(f"{path}/ping"),
        reader.post(f"{path}/rotate-secret"),
    ):
        assert_problem(answer, 403, "insufficient_scope")
