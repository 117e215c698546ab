"""Webhooks when the clinic's own server is down, slow, moved, gone or in trouble."""

from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError

from tests.bench.platform import Receiver
from tests.e2e.platform.desk import Desk
from tests.e2e.platform.endpoint_server import EndpointServer, Reply
from tests.e2e.platform.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]
_OUTBOUND_FACTS = {"message.sent", "message.delivered"}


async def test_what_happened_while_the_receiver_was_down_comes_later_and_once(
    aurora: Desk, hooks: Receiver, contact: str
) -> None:
    """Attempts are made and counted while nobody listens; once somebody does, each fact comes under one event id."""
    endpoint = await aurora.endpoint(f"{hooks.url}/later", ["message.*"])
    await hooks.learn(endpoint["secret"])
    endpoint_id = endpoint["webhook_endpoint_id"]
    await hooks.kill()
    message_id = await aurora.send(contact, "ninguém atende")

    async def tried() -> bool:
        return any(attempt["error"] == "connect_failed" for attempt in await _attempts(aurora, endpoint_id))

    await eventually(tried, "an attempt finds nobody there")
    await hooks.start()

    async def told() -> list[dict[str, Any]] | None:
        bodies = [hook["body"] for hook in hooks.received() if hook["body"]["data"].get("message_id") == message_id]
        return bodies if {body["type"] for body in bodies} >= _OUTBOUND_FACTS else None

    bodies = await eventually(told, "both webhooks come")
    assert len({body["id"] for body in bodies}) == len(_OUTBOUND_FACTS)
    outcomes = {(one["event_type"], one["event_id"]) for one in await aurora.deliveries(endpoint_id)}
    assert outcomes == {(body["type"], body["id"]) for body in bodies}
    await _forget(aurora, endpoint_id)


async def test_a_slow_endpoint_does_not_hold_up_another_clinics_webhooks(
    aurora: Desk, brisa: Desk, server: EndpointServer
) -> None:
    """While one clinic's server sits on its webhooks and has answered none, another clinic's arrives."""
    slow = await aurora.listen(server, ["message.*"])
    quick = await brisa.listen(server, ["message.*"])
    server.answer(slow["path"], Reply(delay=9))
    for _ in range(6):
        await aurora.ping(slow["webhook_endpoint_id"])

    async def sits() -> bool:
        return bool(server.at(slow["path"]))

    await eventually(sits, "the slow server has the first webhook")
    await brisa.ping(quick["webhook_endpoint_id"])

    async def arrived() -> bool:
        return bool(server.at(quick["path"]))

    await eventually(arrived, "the other clinic's webhook comes")
    assert server.unanswered[slow["path"]] == len(server.at(slow["path"])) > 0
    server.answer(slow["path"], Reply())
    await _forget(aurora, slow["webhook_endpoint_id"])
    await _forget(brisa, quick["webhook_endpoint_id"])


async def test_a_redirect_is_a_failure_and_never_followed(aurora: Desk, server: EndpointServer) -> None:
    """302 with a Location is tried again at the same address; the other address hears nothing."""
    moved = await aurora.listen(server, ["message.*"])
    elsewhere = server.new_path()
    server.answer(moved["path"], Reply(302, {"Location": server.url + elsewhere}), Reply(302), Reply(204))
    delivery_id = await aurora.ping(moved["webhook_endpoint_id"])
    delivery = await aurora.until_delivery(moved["webhook_endpoint_id"], delivery_id, "delivered")
    assert [attempt["status_code"] for attempt in delivery["attempts"]] == [302, 302, 204]
    assert len(server.at(moved["path"])) == 3
    assert server.at(elsewhere) == []
    await _forget(aurora, moved["webhook_endpoint_id"])


async def test_gone_disables_the_endpoint_and_ends_what_is_under_way(
    aurora: Desk, server: EndpointServer, contact: str
) -> None:
    """410 is told on the endpoint, waiting deliveries end as cancelled, and only pings go there until it is enabled."""
    gone = await aurora.listen(server, ["message.delivered"])
    endpoint_id = gone["webhook_endpoint_id"]
    server.answer(gone["path"], Reply(500, {"Retry-After": "6"}), Reply(410), Reply())
    await aurora.send(contact, "espera")

    async def waits() -> dict[str, Any] | None:
        return next((one for one in await aurora.deliveries(endpoint_id) if one["attempts"]), None)

    waiting = await eventually(waits, "the first attempt fails")
    last = await aurora.until_delivery(endpoint_id, await aurora.ping(endpoint_id), "failed")
    assert [attempt["status_code"] for attempt in last["attempts"]] == [410]
    shown = await aurora.call("GET", f"/webhook-endpoints/{endpoint_id}")
    assert (shown["status"], shown["disabled_reason"]) == ("disabled", "gone")
    assert "secret" not in shown
    await aurora.until_status(await aurora.send(contact, "ninguém ouve"), "delivered")
    ended = await aurora.until_delivery(endpoint_id, waiting["delivery_id"], "cancelled")
    assert len(ended["attempts"]) == 1
    await aurora.until_delivery(endpoint_id, await aurora.ping(endpoint_id), "delivered")
    assert [arrival.body["type"] for arrival in server.at(gone["path"])] == [
        "message.delivered",
        "webhook.ping",
        "webhook.ping",
    ]
    enabled = await aurora.call("PATCH", f"/webhook-endpoints/{endpoint_id}", {"status": "enabled"})
    assert (enabled["status"], enabled["disabled_reason"]) == ("enabled", None)
    await _forget(aurora, endpoint_id)


async def test_retry_after_lengthens_the_wait(aurora: Desk, server: EndpointServer) -> None:
    """After a 500 that asks for four seconds the next attempt keeps them, though it would come after one."""
    busy = await aurora.listen(server, ["message.*"])
    server.answer(busy["path"], Reply(500, {"Retry-After": "4"}), Reply())
    delivery_id = await aurora.ping(busy["webhook_endpoint_id"])
    delivery = await aurora.until_delivery(busy["webhook_endpoint_id"], delivery_id, "delivered")
    first, second = server.at(busy["path"])
    assert second.at - first.at >= 4
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == delivery["event_id"]
    assert [(one["number"], one["status_code"]) for one in delivery["attempts"]] == [(1, 500), (2, 200)]
    assert all(one["duration_ms"] >= 0 and one["error"] is None for one in delivery["attempts"])
    await _forget(aurora, busy["webhook_endpoint_id"])


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://192.168.1.1/hook",
        "https://[fd00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://0x0a000001/",
        "http://8.8.8.8/",
        "https://user:password@8.8.8.8/",
    ],
)
async def test_addresses_that_webhooks_may_not_reach_are_refused(
    aurora: Desk, server: EndpointServer, url: str
) -> None:
    """422 names the field, at registration and when an endpoint is changed to such an address."""
    body = {"url": url, "event_types": ["message.*"]}
    refused = await aurora.answer("POST", "/webhook-endpoints", json=body)
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (
        422,
        "invalid_webhook_url",
        "url",
    )
    good = await aurora.listen(server, ["message.*"])
    path = f"/webhook-endpoints/{good['webhook_endpoint_id']}"
    changed = await aurora.answer("PATCH", path, json={"url": url})
    assert (changed.status_code, changed.json()["field"]) == (422, "url")
    assert (await aurora.call("GET", path))["url"] == server.url + good["path"]
    await _forget(aurora, good["webhook_endpoint_id"])


async def test_after_a_rotation_both_secrets_verify(aurora: Desk, server: EndpointServer) -> None:
    """In the overlap the old secret and the new one verify the same webhook; a second rotation ends the first one's."""
    endpoint = await aurora.listen(server, ["message.*"])
    endpoint_id, secrets = endpoint["webhook_endpoint_id"], [endpoint["secret"]]
    for _ in range(2):
        rotated = await aurora.call("POST", f"/webhook-endpoints/{endpoint_id}/rotate-secret")
        secrets.append(rotated["secret"])
        assert rotated["previous_secret_until"] is not None
        await aurora.until_delivery(endpoint_id, await aurora.ping(endpoint_id), "delivered")
        arrival = server.at(endpoint["path"])[-1]
        for valid in secrets[-2:]:
            arrival.verify(valid)
    with pytest.raises(WebhookVerificationError):
        arrival.verify(secrets[0])
    await _forget(aurora, endpoint_id)


async def test_an_endpoint_hears_only_what_it_asked_for(aurora: Desk, server: EndpointServer, contact: str) -> None:
    """Event types and channels filter; a signed body names the clinic and tells a text only where it belongs."""
    all_types = await aurora.listen(server, ["message.*"])
    only = await aurora.listen(server, ["message.delivered"], channels=[aurora.channel_id])
    spare = (await aurora.call("POST", "/channels", {"name": "outro"}))["channel_id"]
    other_channel = await aurora.listen(server, ["message.*", "channel.*"], channels=[spare])
    await aurora.until_status(await aurora.send(contact, "filtrada"), "delivered")

    async def told() -> bool:
        arrived = {event["type"] for event in server.events_at(all_types["path"])}
        return arrived >= _OUTBOUND_FACTS and bool(server.at(only["path"]))

    await eventually(told, "both endpoints hear")
    await aurora.until_delivery(
        other_channel["webhook_endpoint_id"], await aurora.ping(other_channel["webhook_endpoint_id"]), "delivered"
    )
    assert [event["type"] for event in server.events_at(only["path"])] == ["message.delivered"]
    assert [event["type"] for event in server.events_at(other_channel["path"])] == ["webhook.ping"]
    for arrival in server.at(all_types["path"]):
        arrival.verify(all_types["secret"])
        assert (arrival.body["clinic_id"], arrival.body["channel_id"]) == (aurora.clinic_id, aurora.channel_id)
    texts = {event["type"]: event["data"]["text"] for event in server.events_at(all_types["path"])}
    assert texts == {"message.sent": {"body": "filtrada"}, "message.delivered": None}
    for endpoint in (all_types, only, other_channel):
        await _forget(aurora, endpoint["webhook_endpoint_id"])
    await aurora.call("DELETE", f"/channels/{spare}")


async def _attempts(desk: Desk, endpoint_id: str) -> list[dict[str, Any]]:
    return [attempt for delivery in await desk.deliveries(endpoint_id) for attempt in delivery["attempts"]]


async def _forget(desk: Desk, endpoint_id: str) -> None:
    """Delete an endpoint: a clinic has at most 16."""
    await desk.call("DELETE", f"/webhook-endpoints/{endpoint_id}")
