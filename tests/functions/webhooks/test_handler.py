"""The whole way of a webhook in one process: bus event, deliveries, attempt, a receiver that verifies."""

import json
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from functions.webhook_attempts.handler import handler as make_attempts
from functions.webhooks.handler import handler as dispatch
from recado.aws.settings import DeliverySettings
from recado.channels import service as channels
from recado.clinics import service as clinics
from recado.contacts.model import parse_recipient
from recado.kernel.envelopes import Event
from recado.kernel.ids import Prefix, new_id
from recado.messages import service as messages
from recado.messages.model import SendRequest
from recado.webhooks import service
from recado.webhooks.model import DeliveryStatus, Endpoint
from tests.functions.webhook_attempts.receivers import Receiver, receiving, saying
from tests.support.aws import EmulatedAws
from tests.support.lambdas import bus_body, lambda_context, sqs_event

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@pytest.fixture
def clinic_id(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> str:
    """A clinic in an installation whose webhooks may reach loopback."""
    monkeypatch.setenv("RECADO_WEBHOOK_ALLOWED_NETWORKS", '["127.0.0.0/8"]')
    return clinics.create_clinic("Clínica Aurora", "America/Sao_Paulo").clinic_id


def registered(clinic_id: str, receiver: Receiver) -> tuple[Endpoint, str]:
    return service.create_endpoint(
        clinic_id, url=f"http://127.0.0.1:{receiver.port}/", event_types=["message.*", "channel.*"]
    )


def happened(kind: str, clinic_id: str, channel_id: str, **data: object) -> Event:
    now = datetime.now(UTC)
    return Event(new_id(Prefix.EVENT, now), kind, clinic_id, channel_id, 7, now, dict(data))


def carry(aws: EmulatedAws, *events: Event) -> None:
    """Take events from the bus's queue through both functions, as the event source mappings do."""
    context = lambda_context()
    answer = dispatch(sqs_event([bus_body(event) for event in events]), context)
    assert answer == {"batchItemFailures": []}
    orders = aws.bodies(DeliverySettings().deliveries_queue_url)
    assert make_attempts(sqs_event(orders), context) == {"batchItemFailures": []}


def test_a_sent_message_reaches_its_clinics_receiver_signed_and_with_its_text(aws: EmulatedAws, clinic_id: str) -> None:
    channel = channels.create(clinic_id, "Recepção")
    request = SendRequest(
        to=parse_recipient("(11) 97777-0001"),
        text="Olá! Consulta amanhã às 14h.",
        client_reference="42",
    )
    accepted = messages.accept(clinic_id, channel.channel_id, request, None, b"{}").message
    event = happened(
        "message.sent",
        clinic_id,
        channel.channel_id,
        message_id=accepted.message_id,
        direction="outbound",
        type="text",
        source="api",
        status="sent",
        code=None,
        client_reference="42",
        whatsapp_id="3EB0",
    )
    with receiving(saying(OK)) as receiver:
        endpoint, secret = registered(clinic_id, receiver)
        carry(aws, event)
    (request_bytes,) = receiver.requests
    head, _, body = request_bytes.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    told = Webhook(secret).verify(body, headers)
    assert told["id"] == event.id
    assert told["data"]["text"] == {"body": "Olá! Consulta amanhã às 14h."}
    assert told["data"]["to"]["e164"] == "+5511977770001"
    assert (told["data"]["client_reference"], told["data"]["status"]) == ("42", "sent")
    (delivery,) = service.list_deliveries(clinic_id, endpoint.webhook_endpoint_id, limit=10).items
    assert delivery.status is DeliveryStatus.DELIVERED


def test_nothing_of_one_clinic_reaches_the_other(aws: EmulatedAws, clinic_id: str) -> None:
    other = clinics.create_clinic("Clínica Brisa", "America/Sao_Paulo").clinic_id
    with receiving(saying(OK)) as own, receiving(saying(OK)) as foreign:
        registered(clinic_id, own)
        registered(other, foreign)
        channel = channels.create(clinic_id, "Recepção")
        carry(aws, happened("channel.state_changed", clinic_id, channel.channel_id, state="banned", reason="spam"))
    assert len(own.requests) == 1
    assert foreign.requests == []


def test_an_event_that_names_another_clinics_message_shows_nothing_of_it(aws: EmulatedAws, clinic_id: str) -> None:
    other = clinics.create_clinic("Clínica Brisa", "America/Sao_Paulo").clinic_id
    channel = channels.create(other, "Recepção")
    request = SendRequest(to=parse_recipient("+5511977770001"), text="Segredo da Brisa")
    accepted = messages.accept(other, channel.channel_id, request, None, b"{}").message
    with receiving(saying(OK)) as receiver:
        registered(clinic_id, receiver)
        carry(aws, happened("message.sent", clinic_id, channel.channel_id, message_id=accepted.message_id))
    (request_bytes,) = receiver.requests
    assert b"Segredo" not in request_bytes
    assert b"97777" not in request_bytes


def test_a_connected_channel_tells_its_number_once_it_has_one(aws: EmulatedAws, clinic_id: str) -> None:
    channel = channels.create(clinic_id, "Recepção")
    channels.claim_number(clinic_id, channel.channel_id, "+5511988880001", "123@lid")
    with receiving(saying(OK)) as receiver:
        registered(clinic_id, receiver)
        carry(aws, happened("channel.connected", clinic_id, channel.channel_id, state="connected", reason=None))
    body = json.loads(receiver.requests[0].partition(b"\r\n\r\n")[2])
    assert body["data"]["phone"] == "+5511988880001"


def test_a_poison_record_fails_alone(aws: EmulatedAws, clinic_id: str) -> None:
    with receiving(saying(OK)) as receiver:
        registered(clinic_id, receiver)
        good = bus_body(happened("channel.banned", clinic_id, new_id(Prefix.CHANNEL), state="banned"))
        answer = dispatch(sqs_event(["not json", good, '{"detail":{}}']), lambda_context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "0"}, {"itemIdentifier": "2"}]}
    assert len(aws.bodies(DeliverySettings().deliveries_queue_url)) == 1


def test_the_logs_tell_ids_and_nothing_of_the_message(
    aws: EmulatedAws, clinic_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    channel = channels.create(clinic_id, "Recepção")
    request = SendRequest(to=parse_recipient("+5511977770001"), text="Resultado do exame")
    accepted = messages.accept(clinic_id, channel.channel_id, request, None, b"{}").message
    with receiving(saying(OK)) as receiver:
        _, secret = registered(clinic_id, receiver)
        carry(aws, happened("message.sent", clinic_id, channel.channel_id, message_id=accepted.message_id))
    text = repr([vars(record) for record in caplog.records])
    assert clinic_id in text
    for private in ("Resultado", "977770001", secret, f":{receiver.port}"):
        assert private not in text


def test_an_event_that_comes_twice_makes_one_delivery(aws: EmulatedAws, clinic_id: str) -> None:
    with receiving(saying(OK)) as receiver:
        endpoint, _ = registered(clinic_id, receiver)
        event = happened("channel.connected", clinic_id, new_id(Prefix.CHANNEL))
        carry(aws, event)
        assert dispatch(sqs_event([bus_body(event)]), lambda_context()) == {"batchItemFailures": []}
    assert len(receiver.requests) == 1
    assert len(service.list_deliveries(clinic_id, endpoint.webhook_endpoint_id, limit=10).items) == 1
    assert aws.bodies(DeliverySettings().deliveries_queue_url) == []
