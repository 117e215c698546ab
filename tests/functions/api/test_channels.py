"""Channels over HTTP: created, found, connected, ended."""

from datetime import UTC, datetime, timedelta

import pytest

from recado.channels import service as channels
from recado.channels.model import ChannelState
from recado.clinics.model import Scope
from tests.functions.api.support import Caller, CountingTime, assert_problem, link, report
from tests.support.aws import SHARDS, EmulatedAws

_PHONE = "+5511988880001"


def test_a_new_channel_has_all_fields(aurora: Caller) -> None:
    """The shape of the tour: 201 with id and state."""
    answer = aurora.post("channels", {"name": "Recepção", "external_id": "recepcao", "expected_phone": "11988880001"})
    assert answer.status_code == 201
    channel = answer.json()
    assert channel["channel_id"].startswith("chn_")
    assert channel["created_at"] == channel["since"]
    fixed = {name: value for name, value in channel.items() if name not in {"channel_id", "created_at", "updated_at"}}
    assert fixed | {"since": ""} == {
        "name": "Recepção",
        "external_id": "recepcao",
        "expected_phone": _PHONE,
        "state": "created",
        "reason": None,
        "since": "",
        "next_action": "connect",
        "retry_at": None,
        "phone": None,
        "lid": None,
        "last_frame_at": None,
        "last_frame_age": None,
        "last_connected_at": None,
        "paired_at": None,
        "ban_expires_at": None,
        "proxy": None,
    }


def test_an_external_id_is_unique_in_its_clinic_only(aurora: Caller, brisa: Caller) -> None:
    """Repeating a creation makes no second channel; another clinic may use the same word."""
    aurora.channel(external_id="recepcao")
    answer = aurora.post("channels", {"name": "again", "external_id": "recepcao"})
    assert_problem(answer, 409, "channel_exists", "external_id")
    assert len(aurora.get("channels").json()["data"]) == 1
    brisa.channel(external_id="recepcao")


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "invalid_request", "name"),
        ({"name": " "}, "invalid_request", "name"),
        ({"name": "x", "external_id": ""}, "invalid_request", "external_id"),
        ({"name": "x", "external_id": "a\nb"}, "invalid_request", "external_id"),
        ({"name": "x", "expected_phone": "not a number"}, "invalid_phone_number", "expected_phone"),
        ({"name": "x", "phone": _PHONE}, "invalid_request", "phone"),
    ],
)
def test_a_bad_channel_is_refused_with_the_field_named(aurora: Caller, body: object, code: str, field: str) -> None:
    """Each limit holds."""
    assert_problem(aurora.post("channels", body), 422, code, field)


def test_channels_are_listed_page_by_page(aurora: Caller) -> None:
    """Every channel once, whatever the page size."""
    made = [aurora.channel(name) for name in ("one", "two", "three")]
    seen, cursor = [], ""
    while True:
        page = aurora.get(f"channels?limit=1{cursor}").json()
        seen += [channel["channel_id"] for channel in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == made


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=", "page=2"])
def test_bad_list_parameters_are_refused(aurora: Caller, query: str) -> None:
    """An unknown parameter too: a misspelt filter must not list everything."""
    assert_problem(aurora.get(f"channels?{query}"), 422, "invalid_request", query.partition("=")[0])


@pytest.mark.parametrize("cursor", ["nonsense", "AAAA", "W10", "%F0%9F%98%80"])
def test_a_made_up_cursor_is_400(aurora: Caller, cursor: str) -> None:
    """Whatever it decodes to."""
    assert_problem(aurora.get(f"channels?cursor={cursor}"), 400, "invalid_cursor", "cursor")


def test_a_missing_channel_is_404_everywhere(aurora: Caller) -> None:
    """Well-formed or not, with and without a sub-resource."""
    for channel_id in ("chn_01kb1v00000000000000000000", "nonsense", "chn_%2e%2e"):
        assert_problem(aurora.get(f"channels/{channel_id}"), 404, "channel_not_found")
        assert_problem(aurora.delete(f"channels/{channel_id}"), 404, "channel_not_found")
        for action in ("connect", "disconnect", "logout", "restart"):
            assert_problem(aurora.post(f"channels/{channel_id}/{action}"), 404, "channel_not_found")


def test_a_channel_is_renamed(aurora: Caller) -> None:
    """Only name and proxy can be changed, and something has to be."""
    channel_id = aurora.channel()
    assert aurora.patch(f"channels/{channel_id}", {"name": "Nova"}).json()["name"] == "Nova"
    assert_problem(aurora.patch(f"channels/{channel_id}", {"state": "x"}), 422, "invalid_request", "state")
    assert_problem(aurora.patch(f"channels/{channel_id}", {}), 422, "invalid_request", "name")


def test_a_proxy_is_shown_without_its_password_and_wakes_the_runner(aurora: Caller, aws: EmulatedAws) -> None:
    """Write only: no answer, no list, no log holds user or password; taking it away works the same way."""
    channel_id = aurora.channel()
    for shard in SHARDS:
        aws.commands(shard)
    url = "http://clinica:s3nh4-secreta@203.0.113.9:3128"
    refused = aurora.patch(f"channels/{channel_id}", {"proxy": url})
    assert_problem(refused, 422, "invalid_request", "proxy")  # a documentation address is not public
    set_to = aurora.patch(f"channels/{channel_id}", {"proxy": url.replace("203.0.113.9", "198.41.0.4")})
    assert set_to.status_code == 200, set_to.text
    for answer in (refused, set_to, aurora.get(f"channels/{channel_id}"), aurora.get("channels")):
        assert "s3nh4" not in answer.text
        assert "clinica:" not in answer.text
    assert aurora.get(f"channels/{channel_id}").json()["proxy"] == "198.41.0.4:3128"
    assert [command.kind for shard in SHARDS for command in aws.commands(shard)] == ["channel.reconcile"]
    assert aurora.patch(f"channels/{channel_id}", {"name": "Nova"}).json()["proxy"] == "198.41.0.4:3128"
    assert aurora.patch(f"channels/{channel_id}", {"proxy": None}).json()["proxy"] is None


def test_nobody_sets_the_proxy_of_another_clinics_channel(aurora: Caller, brisa: Caller) -> None:
    """The other clinic's channel is not found, and nothing changed in it."""
    channel_id = aurora.channel()
    assert_problem(brisa.patch(f"channels/{channel_id}", {"proxy": "http://198.41.0.4:1"}), 404, "channel_not_found")
    assert aurora.get(f"channels/{channel_id}").json()["proxy"] is None


def test_a_planned_attempt_and_the_age_of_the_last_sign_of_life_are_shown(aurora: Caller) -> None:
    """While an attempt is planned its moment is shown; somebody who asks anew ends the plan."""
    channel_id = aurora.channel()
    link(aurora, channel_id, _PHONE)
    names = (aurora.clinic_id, channel_id)
    heard = datetime.now(UTC) - timedelta(seconds=90)
    channels.put_liveness(*names, connected=False, last_frame_at=heard, epoch=1)
    soon = datetime.now(UTC) + timedelta(minutes=2)
    report(aurora, channel_id, ChannelState.DISCONNECTED, reason="proxy_unreachable", retry_at=soon)
    shown = aurora.get(f"channels/{channel_id}").json()
    assert (shown["state"], shown["reason"], shown["next_action"]) == (
        "disconnected",
        "proxy_unreachable",
        "check_proxy",
    )
    assert datetime.fromisoformat(shown["retry_at"]) - soon < timedelta(milliseconds=1)
    assert 90 <= shown["last_frame_age"] < 120
    aurora.post(f"channels/{channel_id}/connect")
    assert aurora.get(f"channels/{channel_id}").json()["retry_at"] is None


def test_connecting_an_unlinked_channel_starts_pairing_and_wakes_its_runner(aurora: Caller, aws: EmulatedAws) -> None:
    """The tour's second step; a second call changes nothing."""
    channel_id = aurora.channel()
    for shard in SHARDS:
        aws.commands(shard)
    first = aurora.post(f"channels/{channel_id}/connect", {"method": "qr"})
    second = aurora.post(f"channels/{channel_id}/connect", {"method": "qr"})
    assert (first.status_code, first.json()["state"], first.json()["next_action"]) == (202, "pairing", "scan_qr")
    assert first.json() == second.json()
    commands = [command for shard in SHARDS for command in aws.commands(shard)]
    assert [(command.kind, command.channel_id) for command in commands] == [("channel.reconcile", channel_id)]


def test_connecting_needs_no_body(aurora: Caller) -> None:
    """QR is the default."""
    assert aurora.post(f"channels/{aurora.channel()}/connect").json()["state"] == "pairing"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"method": "code"}, "invalid_request", "phone"),
        ({"method": "code", "phone": "not a number"}, "invalid_phone_number", "phone"),
        ({"method": "fax"}, "invalid_request", "method"),
    ],
)
def test_bad_ways_to_connect_are_refused(aurora: Caller, body: object, code: str, field: str) -> None:
    """Linking by code needs the number that will type it."""
    assert_problem(aurora.post(f"channels/{aurora.channel()}/connect", body), 422, code, field)


def test_a_channel_may_be_waited_for(aurora: Caller, time: CountingTime) -> None:
    """The answer comes when it is connected, and with what the runner said of it."""
    channel_id = aurora.channel()
    aurora.post(f"channels/{channel_id}/connect")
    time.after(3, lambda: link(aurora, channel_id, _PHONE))
    answer = aurora.get(f"channels/{channel_id}?wait_for=connected")
    channel = answer.json()
    assert (answer.status_code, channel["state"], channel["phone"]) == (200, "connected", _PHONE)
    assert channel["last_frame_at"] is not None
    assert channel["next_action"] is None
    assert time.slept < 5


def test_waiting_in_vain_answers_the_present_state_after_20_seconds(aurora: Caller, time: CountingTime) -> None:
    """Never longer: API Gateway would cut the request off."""
    channel_id = aurora.channel()
    answer = aurora.get(f"channels/{channel_id}?wait_for=connected")
    assert (answer.status_code, answer.json()["state"]) == (200, "created")
    assert time.slept == 20
    assert_problem(aurora.get(f"channels/{channel_id}?wait_for=banned"), 422, "invalid_request", "wait_for")


def test_the_list_shows_when_each_channel_was_last_heard(aurora: Caller) -> None:
    """State, number and last sign of life."""
    channel_id = aurora.channel()
    link(aurora, channel_id, _PHONE)
    listed = aurora.get("channels").json()["data"][0]
    assert (listed["state"], listed["phone"]) == ("connected", _PHONE)
    assert listed["last_frame_at"] is not None


def test_a_linked_channel_is_disconnected_restarted_and_logged_out(aurora: Caller) -> None:
    """Each is a wish that the runner carries out: 202."""
    channel_id = aurora.channel()
    aurora.post(f"channels/{channel_id}/connect")
    link(aurora, channel_id, _PHONE)
    assert aurora.post(f"channels/{channel_id}/restart").status_code == 202
    assert channels.get(aurora.clinic_id, channel_id).restart_requested_at is not None
    assert aurora.post(f"channels/{channel_id}/disconnect").status_code == 202
    assert channels.get(aurora.clinic_id, channel_id).desired == "disconnected"
    assert aurora.post(f"channels/{channel_id}/logout").status_code == 202
    assert channels.get(aurora.clinic_id, channel_id).desired == "logged_out"


def test_logging_out_waits_for_what_was_accepted_before(aurora: Caller) -> None:
    """The present end of the outbox goes along with the wish."""
    channel_id = aurora.channel()
    link(aurora, channel_id, _PHONE)
    aurora.post(f"channels/{channel_id}/messages", {"to": "+5511977770001", "type": "text", "text": {"body": "x"}})
    aurora.post(f"channels/{channel_id}/logout")
    assert channels.get(aurora.clinic_id, channel_id).drain_sequence == 1


def test_an_unlinked_channel_can_neither_be_logged_out_nor_restarted(aurora: Caller) -> None:
    """There is nothing to end: 409."""
    channel_id = aurora.channel()
    assert_problem(aurora.post(f"channels/{channel_id}/logout"), 409, "channel_state")
    assert_problem(aurora.post(f"channels/{channel_id}/restart"), 409, "channel_state")


def test_a_channel_that_was_never_linked_is_deleted_at_once(aurora: Caller) -> None:
    """Its external id is free again, and it is gone from list and path."""
    channel_id = aurora.channel(external_id="recepcao")
    answer = aurora.delete(f"channels/{channel_id}")
    assert (answer.status_code, answer.json()["state"]) == (202, "deleted")
    assert_problem(aurora.get(f"channels/{channel_id}"), 404, "channel_not_found")
    assert aurora.get("channels").json()["data"] == []
    aurora.channel(external_id="recepcao")


def test_a_linked_channel_is_deleted_by_its_runner(aurora: Caller) -> None:
    """The number is logged out first, so the channel is still there."""
    channel_id = aurora.channel()
    link(aurora, channel_id, _PHONE)
    assert aurora.delete(f"channels/{channel_id}").status_code == 202
    assert channels.get(aurora.clinic_id, channel_id).desired == "deleted"
    assert_problem(aurora.post(f"channels/{channel_id}/connect"), 409, "channel_state")


def test_a_banned_channel_shows_until_when(aurora: Caller) -> None:
    """And what to do about it."""
    channel_id = aurora.channel()
    until = datetime.now(UTC) + timedelta(hours=1)
    report(aurora, channel_id, ChannelState.BANNED, ban_expires_at=until)
    channel = aurora.get(f"channels/{channel_id}").json()
    assert (channel["state"], channel["next_action"]) == ("banned", "wait_for_ban_to_end")
    assert channel["ban_expires_at"] is not None
    assert_problem(aurora.post(f"channels/{channel_id}/connect"), 409, "channel_state")


def test_reading_scopes_change_nothing(aurora: Caller) -> None:
    """Every change needs channels:write."""
    reader, path = aurora.limited(Scope.CHANNELS_READ), f"channels/{aurora.channel()}"
    assert reader.get(path).status_code == 200
    for answer in (
        reader.post("channels", {"name": "x"}),
        reader.patch(path, {"name": "x"}),
        reader.delete(path),
        *(reader.post(f"{path}/{action}") for action in ("connect", "disconnect", "logout", "restart")),
        reader.get(f"{path}/qr"),
        reader.get(f"{path}/pairing-code"),
    ):
        assert_problem(answer, 403, "insufficient_scope")
