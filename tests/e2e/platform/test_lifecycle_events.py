"""What happens to a linked number, as the channel and its webhooks tell it.

A QR code that nobody scans ends the pairing only after WhatsApp's own 160 seconds; the tests of the host do that with
the codes' times compressed.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.bench.platform import Addresses, Phones
from tests.e2e.platform.desk import Desk
from tests.e2e.platform.endpoint_server import EndpointServer
from tests.e2e.platform.waiting import eventually
from tests.support.connect_proxy import ConnectProxy

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]


@dataclass(frozen=True, slots=True)
class Observed:
    """A clinic with a linked number of its own, and what its webhooks tell."""

    desk: Desk
    phones: Phones
    server: EndpointServer
    path: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The channel's events in the order in which things happened."""
        own = [event for event in self.server.events_at(self.path) if event["channel_id"] == self.desk.channel_id]
        return sorted(own, key=lambda event: (event["sequence"], event["type"]))

    async def told(self, *types: str, after: int = 0) -> list[dict[str, Any]]:
        """Wait until events of these types, and each one's ``channel.state_changed``, have come; return all of them.

        Args:
            types: what must have come; webhooks come in any order.
            after: only events beyond this sequence count.
        """

        async def probe() -> list[dict[str, Any]] | None:
            later = [event for event in self.events if event["sequence"] > after]
            changes = {event["sequence"] for event in later if event["type"] == "channel.state_changed"}
            named = {event["type"]: event["sequence"] for event in later if event["sequence"] in changes}
            return later if named.keys() >= set(types) else None

        return await eventually(probe, f"webhooks tell {', '.join(types)}")

    async def act(self, action: str, **details: Any) -> int:
        """Have something happen to the number; return the sequence of the last event before it."""
        before = max((event["sequence"] for event in self.events), default=0)
        await self.phones.call("POST", f"/phones/{self.desk.number}/{action}", details)
        return before


@pytest.fixture
async def observed(
    addresses: Addresses, phones: Phones, server: EndpointServer, number: Callable[[], str]
) -> AsyncIterator[Observed]:
    """A clinic whose number is linked and connected."""
    desk = await Desk.create(addresses, "Clínica observada")
    endpoint = await desk.listen(server, ["channel.*"])
    await desk.new_channel()
    await desk.scan(phones, number())
    await desk.until_state("connected")
    clinic = Observed(desk, phones, server, endpoint["path"])
    await clinic.told("channel.connected")
    yield clinic
    await desk.close()


def _states(events: list[dict[str, Any]]) -> list[tuple[str, str | None]]:
    return [
        (event["data"]["state"], event["data"]["reason"])
        for event in events
        if event["type"] == "channel.state_changed"
    ]


async def test_linking_tells_each_step_and_never_the_code(observed: Observed) -> None:
    """Pairing, a code that lies ready, connecting, connected: in this order, and no webhook carries the code."""

    async def told() -> bool:
        return len(observed.events) >= 5

    await eventually(told, "three changes, the code and the connection are told")
    assert [state for state, _ in _states(observed.events)] == ["pairing", "connecting", "connected"]
    ready = next(event for event in observed.events if event["type"] == "channel.qr_ready")
    assert ready["data"].keys() == {"method", "expires_at"}
    connected = next(event for event in observed.events if event["type"] == "channel.connected")
    assert connected["data"]["phone"] == f"+{observed.desk.number}"
    assert "2@" not in str([event["data"] for event in observed.events])


async def test_a_phone_that_unlinks_us_ends_the_channel_until_it_is_linked_again(observed: Observed) -> None:
    """Both webhooks tell why, sends are refused, and a new QR code connects the same channel."""
    before = await observed.act("unlink")
    ended = await observed.desk.until_state("logged_out")
    assert (ended["reason"], ended["phone"], ended["next_action"]) == ("unlinked_by_phone", None, "link_again")
    events = await observed.told("channel.logged_out", "channel.state_changed", after=before)
    assert {(event["type"], event["data"]["reason"], event["data"]["previous"]) for event in events} == {
        ("channel.state_changed", "unlinked_by_phone", "connected"),
        ("channel.logged_out", "unlinked_by_phone", "connected"),
    }
    refused = await observed.desk.post_message({"to": "5511977770001", "type": "text", "text": {"body": "x"}})
    assert (refused.status_code, refused.json()["code"]) == (409, "channel_state")
    await observed.desk.scan(observed.phones, observed.desk.number)
    assert (await observed.desk.until_state("connected"))["phone"] == f"+{observed.desk.number}"
    await observed.desk.until_status(await observed.desk.send("5511977770001", "de volta"), "delivered")


async def test_a_ban_tells_when_it_ends_and_is_not_knocked_at(observed: Observed) -> None:
    """State, webhook and answer name the end of the ban; connecting and sending are refused until then."""
    before = await observed.act("ban", code=101, expire_s=600)
    banned = await observed.desk.until_state("banned")
    assert (banned["reason"], banned["next_action"]) == ("ban_101", "wait_for_ban_to_end")
    left = (datetime.fromisoformat(banned["ban_expires_at"]) - datetime.now(UTC)).total_seconds()
    assert 480 < left <= 600
    events = await observed.told("channel.banned", "channel.state_changed", after=before)
    told = next(event for event in events if event["type"] == "channel.banned")
    assert told["data"]["ban_expires_at"] == banned["ban_expires_at"]
    connect = await observed.desk.answer("POST", f"/channels/{observed.desk.channel_id}/connect")
    assert (connect.status_code, connect.json()["code"]) == (409, "channel_state")
    send = await observed.desk.post_message({"to": "5511977770001", "type": "text", "text": {"body": "x"}})
    assert (send.status_code, send.json()["code"]) == (409, "channel_state")


async def test_a_connection_that_is_taken_over_again_and_again_is_left_to_the_other(observed: Observed) -> None:
    """Twice it is taken back after a pause; the third time the channel ends as replaced, and connects when asked to."""
    for _ in range(2):
        before = await observed.act("replace")
        events = await observed.told("channel.disconnected", "channel.connected", after=before)
        assert _states(events)[0] == ("disconnected", "stream_replaced")
    before = await observed.act("replace")
    replaced = await observed.desk.until_state("replaced")
    assert (replaced["reason"], replaced["next_action"]) == ("replaced_elsewhere", "connect")
    events = await observed.told("channel.replaced", after=before)
    assert _states(events) == [("replaced", "replaced_elsewhere")]
    await observed.desk.call("POST", f"/channels/{observed.desk.channel_id}/connect")
    await observed.desk.until_state("connected")


async def test_an_outdated_client_is_told_and_what_is_accepted_meanwhile_waits(observed: Observed) -> None:
    """WhatsApp refuses the version: the channel says so and queues; connected again, it sends what waited."""
    before = await observed.act("outdated", enabled=True)
    await observed.act("drop")
    outdated = await observed.desk.until_state("outdated")
    assert (outdated["reason"], outdated["next_action"]) == ("client_outdated", "upgrade")
    waiting = await observed.desk.send("5511977770001", "esperou")
    assert (await observed.desk.message(waiting))["status"] == "queued"

    async def told() -> bool:
        return ("outdated", "client_outdated") in _states(await observed.told("channel.state_changed", after=before))

    await eventually(told, "the webhook tells")
    await observed.act("outdated", enabled=False)
    await observed.desk.call("POST", f"/channels/{observed.desk.channel_id}/connect")
    await observed.desk.until_status(waiting, "delivered")


async def test_a_dropped_connection_comes_back_and_both_are_told(observed: Observed) -> None:
    """Disconnected, then connected, without anybody's doing and without a new link."""
    before = await observed.act("drop")
    events = await observed.told("channel.disconnected", "channel.connected", after=before)
    assert _states(events)[0] == ("disconnected", "connection_lost")
    assert _states(events)[-1][0] == "connected"
    assert not [event for event in events if event["type"] == "channel.qr_ready"]
    await observed.desk.until_state("connected")


async def test_a_channel_connects_through_its_own_proxy_and_never_past_it(observed: Observed, brisa: Desk) -> None:
    """Set over the API, sealed, used by the runner; while it is down the channel says so and when it is tried again."""
    desk = observed.desk
    channel = f"/channels/{desk.channel_id}"
    with ConnectProxy(_port_of(observed.phones)) as proxy:
        refused = await brisa.answer("PATCH", channel, json={"proxy": proxy.url})
        assert refused.status_code == 404
        shown = await desk.call("PATCH", channel, {"proxy": proxy.url})
        assert shown["proxy"] == f"127.0.0.1:{proxy.port}"
        await eventually(lambda: _tunnels(proxy), "it goes through the proxy")
        await desk.until_state("connected")
        proxy.stop()
        await desk.call("POST", f"{channel}/restart")

        async def blamed() -> dict[str, Any] | None:
            found = await desk.channel()
            return found if found["reason"] == "proxy_unreachable" else None

        down = await eventually(blamed, "the proxy is blamed")
        assert (down["state"], down["next_action"]) == ("disconnected", "check_proxy")
        assert down["retry_at"] is not None
        assert "senha" not in str(down)
        proxy.start()
        await desk.until_state("connected")
        await desk.call("PATCH", channel, {"proxy": None})
    await desk.until_state("connected")


async def test_a_number_that_another_clinic_holds_is_rejected_and_nothing_disclosed(
    observed: Observed, aurora: Desk, phones: Phones
) -> None:
    """The new device is unlinked, the holder's connection is untouched, and no answer or webhook tells whose it is."""
    holder = await aurora.channel()
    await observed.desk.new_channel()
    await observed.desk.scan(phones, aurora.number)
    rejected = await observed.desk.until_state("rejected")
    assert (rejected["reason"], rejected["next_action"], rejected["phone"]) == (
        "number_in_use",
        "use_another_number",
        None,
    )
    events = await observed.told("channel.rejected")
    assert _states(events)[-1] == ("rejected", "number_in_use")
    for theirs in (aurora.clinic_id, aurora.channel_id, aurora.number, str(holder["lid"]).partition("@")[0]):
        assert theirs not in str(events)
        assert theirs not in str(rejected)
    after = await aurora.channel()
    assert (after["state"], after["since"]) == ("connected", holder["since"])
    assert len((await phones.call("GET", f"/phones/{aurora.number}"))["devices"]) == 1


async def _tunnels(proxy: ConnectProxy) -> list[str]:
    return proxy.tunnels


def _port_of(phones: Phones) -> int:
    port = phones.url.rpartition(":")[2]
    return int(port.rstrip("/"))
