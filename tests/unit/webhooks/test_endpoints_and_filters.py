"""Which events an endpoint is sent, and with which secrets."""

from datetime import UTC, datetime, timedelta

import pytest

from recado.kernel.envelopes import Event
from recado.kernel.errors import InvalidRequestError
from recado.webhooks.commands import AttemptRequest
from recado.webhooks.events import CHANNEL_TYPES, FILTERS, MESSAGE_TYPES, parse_filters
from recado.webhooks.model import Attempt, DisabledReason, Endpoint, EndpointStatus

NOW = datetime(2026, 11, 22, 13, 0, tzinfo=UTC)


def endpoint(
    *event_types: str,
    channels: frozenset[str] | None = None,
    status: EndpointStatus = EndpointStatus.ENABLED,
    previous: bytes | None = None,
) -> Endpoint:
    return Endpoint(
        webhook_endpoint_id="whk_1",
        clinic_id="cli_a",
        url="https://example.com/",
        event_types=frozenset(event_types),
        channels=channels,
        status=status,
        disabled_reason=None if status is EndpointStatus.ENABLED else DisabledReason.REQUESTED,
        sealed_secret=b"new",
        sealed_previous_secret=previous,
        previous_secret_until=NOW + timedelta(hours=24) if previous else None,
        created_at=NOW,
        updated_at=NOW,
    )


def event(kind: str, clinic_id: str = "cli_a", channel_id: str = "chn_1") -> Event:
    return Event(id="evt_1", type=kind, clinic_id=clinic_id, channel_id=channel_id, sequence=1, timestamp=NOW)


def test_a_wildcard_takes_its_family_and_no_other() -> None:
    for kind in MESSAGE_TYPES:
        assert endpoint("message.*").wants(event(kind))
        assert not endpoint("channel.*").wants(event(kind))
    for kind in CHANNEL_TYPES:
        assert endpoint("channel.*").wants(event(kind))


def test_an_exact_type_takes_only_itself() -> None:
    assert endpoint("message.received").wants(event("message.received"))
    assert not endpoint("message.received").wants(event("message.sent"))


def test_another_clinics_event_is_never_wanted() -> None:
    assert not endpoint("message.*", "channel.*").wants(event("message.received", clinic_id="cli_b"))


def test_a_channel_filter_keeps_other_channels_away() -> None:
    filtered = endpoint("message.*", channels=frozenset({"chn_1"}))
    assert filtered.wants(event("message.received", channel_id="chn_1"))
    assert not filtered.wants(event("message.received", channel_id="chn_2"))


def test_a_disabled_endpoint_wants_nothing() -> None:
    assert not endpoint("message.*", status=EndpointStatus.DISABLED).wants(event("message.received"))


def test_the_replaced_secret_signs_until_its_overlap_ends() -> None:
    rotated = endpoint("message.*", previous=b"old")
    assert rotated.sealed_secrets(NOW + timedelta(hours=23, minutes=59)) == [b"new", b"old"]
    assert rotated.sealed_secrets(NOW + timedelta(hours=24)) == [b"new"]
    assert endpoint("message.*").sealed_secrets(NOW) == [b"new"]


def test_secrets_do_not_show_when_an_endpoint_is_printed() -> None:
    assert "new" not in repr(endpoint("message.*", previous=b"old"))


def test_filters_are_read_from_the_catalogue_only() -> None:
    assert parse_filters(sorted(FILTERS)) == FILTERS
    with pytest.raises(InvalidRequestError):
        parse_filters([])
    for unknown in ("message", "message.**", "*", "webhook.ping", "message.received ", "clinic.*"):
        with pytest.raises(InvalidRequestError) as refusal:
            parse_filters(["message.sent", unknown])
        assert refusal.value.field == "event_types.1"


@pytest.mark.parametrize(
    ("status", "successful"),
    [(200, True), (204, True), (299, True), (199, False), (301, False), (304, False), (500, False), (None, False)],
)
def test_only_2xx_is_success(status: int | None, successful: bool) -> None:
    assert Attempt(1, NOW, 5, status, None if status else "timeout").successful is successful


def test_an_attempt_request_survives_the_queue() -> None:
    request = AttemptRequest("cli_a", "whk_1", "dlv_1", 3)
    assert AttemptRequest.from_json(request.to_json()) == request


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"clinic_id":"cli_a","webhook_endpoint_id":"whk_1","delivery_id":"dlv_1","attempt":0}',
        '{"clinic_id":"cli_a","webhook_endpoint_id":"whk_1","delivery_id":"dlv_1","attempt":"1"}',
        '{"clinic_id":"","webhook_endpoint_id":"whk_1","delivery_id":"dlv_1","attempt":1}',
        '{"clinic_id":"cli_a","webhook_endpoint_id":"whk_1","delivery_id":"dlv_1","attempt":1,"more":2}',
    ],
)
def test_a_bad_attempt_request_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        AttemptRequest.from_json(text)
