"""Registering endpoints: limits, secrets at rest, rotation, and the other clinic."""

import base64
from collections.abc import Callable
from datetime import timedelta

import pytest

from recado.aws.sealing import SealBrokenError
from recado.kernel.errors import (
    InvalidRequestError,
    InvalidWebhookUrlError,
    LimitReachedError,
    WebhookEndpointNotFoundError,
)
from recado.kernel.ids import Prefix, new_id
from recado.webhooks import service
from recado.webhooks.addresses import AddressGuard
from recado.webhooks.model import DisabledReason, Endpoint, EndpointStatus
from recado.webhooks.secret_store import opened
from tests.support.aws import EmulatedAws
from tests.support.clock import FixedClock
from tests.unit.webhooks.scene import CLINIC, OTHER_CLINIC, PUBLIC

MakeEndpoint = Callable[..., Endpoint]


def test_an_endpoint_is_stored_as_given_and_its_secret_is_returned_once(aws: EmulatedAws, clock: FixedClock) -> None:
    endpoint, secret = service.create_endpoint(
        CLINIC, url="https://example.com/hook", event_types=["message.*", "channel.banned"], clock=clock, guard=PUBLIC
    )
    assert secret.startswith("whsec_")
    stored = service.get_endpoint(CLINIC, endpoint.webhook_endpoint_id)
    assert stored == endpoint
    assert stored.event_types == {"message.*", "channel.banned"}
    assert stored.enabled
    assert stored.channels is None
    assert stored.created_at == clock.now()


def test_the_secret_lies_sealed_in_the_table_and_opens_for_its_clinic_only(aws: EmulatedAws, clock: FixedClock) -> None:
    endpoint, secret = service.create_endpoint(
        CLINIC, url="https://example.com/", event_types=["message.*"], clock=clock, guard=PUBLIC
    )
    key = base64.b64decode(secret.removeprefix("whsec_"))
    for item in aws.items("core"):
        assert secret not in repr(item)
        assert repr(key)[2:-1] not in repr(item)
    assert opened(endpoint.sealed_secret, CLINIC) == secret
    with pytest.raises(SealBrokenError):
        opened(endpoint.sealed_secret, OTHER_CLINIC)


def test_a_clinic_may_bring_its_own_secret(aws: EmulatedAws, clock: FixedClock) -> None:
    own = "whsec_" + base64.b64encode(b"k" * 32).decode()
    _, secret = service.create_endpoint(
        CLINIC, url="https://example.com/", event_types=["message.*"], secret=own, clock=clock, guard=PUBLIC
    )
    assert secret == own


def test_what_is_not_acceptable_leaves_nothing_behind(aws: EmulatedAws) -> None:
    with pytest.raises(InvalidRequestError):
        service.create_endpoint(CLINIC, url="https://example.com/", event_types=["message.eaten"], guard=PUBLIC)
    with pytest.raises(InvalidRequestError):
        service.create_endpoint(
            CLINIC, url="https://example.com/", event_types=["message.*"], secret="short", guard=PUBLIC
        )
    with pytest.raises(InvalidRequestError) as refusal:
        service.create_endpoint(
            CLINIC,
            url="https://example.com/",
            event_types=["message.*"],
            channels=[new_id(Prefix.CHANNEL)],
            guard=PUBLIC,
        )
    assert refusal.value.field == "channels.0"
    with pytest.raises(InvalidWebhookUrlError):
        service.create_endpoint(CLINIC, url="http://example.com/", event_types=["message.*"], guard=PUBLIC)
    assert aws.items("core") == []


def test_without_the_setting_loopback_is_refused_and_with_it_accepted(
    aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidWebhookUrlError):
        service.create_endpoint(CLINIC, url="http://127.0.0.1:8070/", event_types=["message.*"])
    monkeypatch.setenv("RECADO_WEBHOOK_ALLOWED_NETWORKS", '["127.0.0.0/8"]')
    endpoint, _ = service.create_endpoint(CLINIC, url="http://127.0.0.1:8070/", event_types=["message.*"])
    assert endpoint.url == "http://127.0.0.1:8070/"


def test_a_host_that_does_not_exist_is_refused_as_the_urls_fault(aws: EmulatedAws) -> None:
    def nobody(_host: str, _port: int) -> list[str]:
        raise OSError

    with pytest.raises(InvalidWebhookUrlError, match="resolved"):
        service.create_endpoint(
            CLINIC, url="https://example.com/", event_types=["message.*"], guard=AddressGuard(resolver=nobody)
        )


def test_the_seventeenth_endpoint_is_refused_until_one_is_deleted(make_endpoint: MakeEndpoint) -> None:
    made = [make_endpoint() for _ in range(16)]
    with pytest.raises(LimitReachedError):
        make_endpoint()
    assert make_endpoint(OTHER_CLINIC).clinic_id == OTHER_CLINIC
    service.delete_endpoint(CLINIC, made[0].webhook_endpoint_id)
    with pytest.raises(WebhookEndpointNotFoundError):
        service.delete_endpoint(CLINIC, made[0].webhook_endpoint_id)
    make_endpoint()
    with pytest.raises(LimitReachedError):
        make_endpoint()


def test_endpoints_are_listed_page_by_page_and_only_the_clinics_own(
    make_endpoint: MakeEndpoint, clock: FixedClock
) -> None:
    made = []
    for _ in range(5):
        made.append(make_endpoint().webhook_endpoint_id)
        clock.advance(1)
    make_endpoint(OTHER_CLINIC)
    seen: list[str] = []
    key = None
    while True:
        page = service.list_endpoints(CLINIC, limit=2, key=key)
        seen += [endpoint.webhook_endpoint_id for endpoint in page.items]
        key = page.last_key
        if key is None:
            break
    assert seen == made


def test_an_update_changes_what_it_names_and_nothing_else(make_endpoint: MakeEndpoint, clock: FixedClock) -> None:
    before = make_endpoint()
    clock.advance(60)
    after = service.update_endpoint(
        CLINIC, before.webhook_endpoint_id, event_types=["message.received"], clock=clock, guard=PUBLIC
    )
    assert after.event_types == {"message.received"}
    assert (after.url, after.channels, after.status) == (before.url, before.channels, before.status)
    assert after.sealed_secret == before.sealed_secret
    assert after.updated_at == clock.now()
    moved = service.update_endpoint(CLINIC, before.webhook_endpoint_id, url="https://example.org/", guard=PUBLIC)
    assert moved.url == "https://example.org/"
    assert moved.event_types == {"message.received"}
    assert service.get_endpoint(CLINIC, before.webhook_endpoint_id) == moved


def test_the_url_of_an_update_is_judged_like_a_new_one(make_endpoint: MakeEndpoint) -> None:
    endpoint = make_endpoint()
    inward = AddressGuard(resolver=lambda _host, _port: ["10.0.0.1"])
    with pytest.raises(InvalidWebhookUrlError):
        service.update_endpoint(CLINIC, endpoint.webhook_endpoint_id, url="https://example.org/", guard=inward)
    assert service.get_endpoint(CLINIC, endpoint.webhook_endpoint_id).url == endpoint.url


def test_disabling_says_why_and_enabling_forgets_it(make_endpoint: MakeEndpoint) -> None:
    endpoint = make_endpoint()
    off = service.update_endpoint(CLINIC, endpoint.webhook_endpoint_id, status=EndpointStatus.DISABLED)
    assert (off.status, off.disabled_reason) == (EndpointStatus.DISABLED, DisabledReason.REQUESTED)
    on = service.update_endpoint(CLINIC, endpoint.webhook_endpoint_id, status=EndpointStatus.ENABLED)
    assert (on.status, on.disabled_reason) == (EndpointStatus.ENABLED, None)


def test_a_rotation_keeps_the_old_secret_for_a_day(make_endpoint: MakeEndpoint, clock: FixedClock) -> None:
    endpoint = make_endpoint()
    old = opened(endpoint.sealed_secret, CLINIC)
    rotated, new = service.rotate_secret(CLINIC, endpoint.webhook_endpoint_id, clock=clock)
    assert new != old
    assert rotated.previous_secret_until == clock.now() + timedelta(hours=24)
    assert [opened(sealed, CLINIC) for sealed in rotated.sealed_secrets(clock.now())] == [new, old]
    assert [opened(sealed, CLINIC) for sealed in rotated.sealed_secrets(clock.advance(hours=24))] == [new]
    assert service.get_endpoint(CLINIC, endpoint.webhook_endpoint_id) == rotated


def test_the_other_clinic_finds_reaches_and_changes_nothing(make_endpoint: MakeEndpoint) -> None:
    endpoint = make_endpoint()
    identifier = endpoint.webhook_endpoint_id
    for trespass in (
        lambda: service.get_endpoint(OTHER_CLINIC, identifier),
        lambda: service.update_endpoint(OTHER_CLINIC, identifier, url="https://evil.example/", guard=PUBLIC),
        lambda: service.rotate_secret(OTHER_CLINIC, identifier),
        lambda: service.delete_endpoint(OTHER_CLINIC, identifier),
        lambda: service.ping(OTHER_CLINIC, identifier),
        lambda: service.list_deliveries(OTHER_CLINIC, identifier, limit=10),
        lambda: service.get_delivery(OTHER_CLINIC, identifier, "dlv_1"),
    ):
        with pytest.raises(WebhookEndpointNotFoundError):
            trespass()
    assert service.list_endpoints(OTHER_CLINIC, limit=10).items == []
    assert service.get_endpoint(CLINIC, identifier) == endpoint
