"""Every function as it is deployed: its built asset and layers, nothing else, under Lambda's own runtime."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from infra.timeouts import FUNCTION_TIMEOUTS
from local.stack.state import CHECKOUT
from recado.analytics import service as analytics
from recado.aws.settings import DeliverySettings
from recado.backups import service as backups
from recado.channels import service as channels
from recado.clinics import service as clinics
from recado.kernel.clock import from_text
from recado.messages import service as messages
from recado.webhooks import service as webhooks
from recado.webhooks.commands import AttemptRequest
from tests.functions.webhook_attempts.receivers import receiving, saying
from tests.infra.template import Templates
from tests.infra.test_functions import FUNCTIONS
from tests.support.aws import ENVIRONMENT, EmulatedAws
from tests.support.built_functions import install, running
from tests.support.lambdas import sqs_event
from tests.support.policies.recording import CLINIC_ROLE
from tests.support.policies.templates import ResolvedTemplates
from tests.support.runtime_api import FunctionError

pytest.importorskip("awslambdaric", reason="Lambda's runtime is published for Linux only")

SAMPLE_CLINIC, SAMPLE_CHANNEL = "cli_01jd0000000000000000000001", "chn_01jd0000000000000000000001"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def sample(name: str, clinic_id: str = SAMPLE_CLINIC, channel_id: str = SAMPLE_CHANNEL) -> Any:
    text = (CHECKOUT / "events" / f"{name}.json").read_text(encoding="utf-8")
    return json.loads(text.replace(SAMPLE_CLINIC, clinic_id).replace(SAMPLE_CHANNEL, channel_id))


class Lambda:
    """Runs functions against the emulated account, told by name what the templates tell them and nothing more."""

    def __init__(self, prod: Templates, endpoint: str, folder: Path) -> None:
        self._resolved = ResolvedTemplates(prod.stacks)
        self._endpoint = endpoint
        self._folder = folder

    def invoke(self, name: str, *events: Any, without: tuple[str, ...] = ()) -> list[Any]:
        """Start a function, hand it events one after the other and return its answers."""
        installation = install(name, self._folder / name, without=without)
        environment = self._environment(name)
        log = self._folder / f"{name}.log"
        try:
            with running(installation, environment, log, FUNCTION_TIMEOUTS[name]) as api:
                return [api.invoke(event) for event in events]
        except Exception as error:
            error.add_note(log.read_text(encoding="utf-8", errors="replace")[-4000:])
            raise

    def _environment(self, name: str) -> dict[str, str]:
        told = self._resolved.functions()[name].environment
        of_the_tests = {
            **ENVIRONMENT,
            "RECADO_CLINIC_ROLE_ARN": CLINIC_ROLE,
            "RECADO_WEBHOOK_ALLOWED_NETWORKS": '["127.0.0.0/8"]',
        }
        told = {key: of_the_tests.get(key, value) for key, value in told.items()}
        of_lambda = {key: value for key, value in ENVIRONMENT.items() if key.startswith("AWS_")}
        return {**of_lambda, **told, "AWS_ENDPOINT_URL": self._endpoint}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The tests' emulated account over HTTP, for other processes."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws_lambda(aws: EmulatedAws, prod: Templates, endpoint: str, tmp_path: Path) -> Lambda:
    """Lambda, as it were."""
    return Lambda(prod, endpoint, tmp_path)


def test_the_api_answers_that_it_is_healthy_and_turns_strangers_away(aws_lambda: Lambda) -> None:
    """In one process: /health is open to all, a key that nobody gave out is refused as a problem, and so is a token."""
    with_a_key, with_a_token = sample("http/list_messages"), sample("http/list_messages")
    with_a_token["headers"]["Authorization"] = "Bearer a.b.c"
    with_a_token["multiValueHeaders"]["Authorization"] = ["Bearer a.b.c"]
    healthy, *refused = aws_lambda.invoke("api", sample("http/health"), with_a_key, with_a_token)
    assert healthy["statusCode"] == 200, healthy["body"]
    for answer in refused:
        assert answer["statusCode"] == 401
        assert json.loads(answer["body"])["code"] == "unauthenticated"


def test_the_recorder_logs_a_message_and_tells_the_bus(aws_lambda: Lambda, aws: EmulatedAws, aurora: str) -> None:
    """One entry of the ingest queue becomes one message of its clinic and one event."""
    channel_id = channels.create(aurora, "Recepção").channel_id
    event = sample("sqs/ingest_message_received", aurora, channel_id)
    assert aws_lambda.invoke("recorder", event) == [{"batchItemFailures": []}]
    (logged,) = messages.list_clinic(aurora, limit=10, created_at=from_text("2026-11-22T13:00:00Z")).items
    assert logged.text == "Confirmo"
    assert [event["detail"]["type"] for event in aws.events()] == ["message.received"]


def test_an_event_becomes_a_delivery_and_the_delivery_an_attempt(
    aws_lambda: Lambda, aws: EmulatedAws, aurora: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two webhook functions, connected as their queues connect them: a receiver gets one signed request."""
    monkeypatch.setenv("RECADO_WEBHOOK_ALLOWED_NETWORKS", '["127.0.0.0/8"]')
    body = json.dumps(sample("eventbridge/channel.disconnected", aurora))
    with receiving(saying(OK)) as receiver:
        webhooks.create_endpoint(aurora, url=f"http://127.0.0.1:{receiver.port}/", event_types=["channel.*"])
        assert aws_lambda.invoke("webhooks", sqs_event([body])) == [{"batchItemFailures": []}]
        orders = aws.bodies(DeliverySettings().deliveries_queue_url)
        assert aws_lambda.invoke("webhook_attempts", sqs_event(orders)) == [{"batchItemFailures": []}]
    (request,) = receiver.requests
    assert b"webhook-signature: v1," in request.lower()


def test_the_schedule_moves_what_is_due(aws_lambda: Lambda, aws: EmulatedAws) -> None:
    """An attempt that fell due is on its queue after one run."""
    order = AttemptRequest("cli_1", "whk_1", "dlv_1", 5)
    fallen_due = datetime.now(UTC) - timedelta(minutes=3)
    webhooks.schedule(order, fallen_due, fallen_due - timedelta(minutes=30))
    assert aws_lambda.invoke("webhook_schedule", sample("schedule/webhook_schedule")) == [{"moved": 1}]
    assert aws.bodies(DeliverySettings().deliveries_queue_url) == [order.to_json()]


def test_analytics_counts_a_message(aws_lambda: Lambda) -> None:
    """One event of the bus, handed over by its queue, is one message in its hour."""
    envelope = sample("eventbridge/message.received")
    assert aws_lambda.invoke("analytics", sqs_event([json.dumps(envelope)])) == [{"batchItemFailures": []}]
    at = from_text(envelope["detail"]["timestamp"])
    (row,) = analytics.volume(SAMPLE_CLINIC, at - timedelta(hours=2), at + timedelta(hours=2))
    assert row.count == 1


def test_the_backup_copies_every_clinic(aws_lambda: Lambda) -> None:
    """A run of the clock leaves a backup that can be verified."""
    clinic_id = clinics.create_clinic("Clínica Aurora", "America/Sao_Paulo").clinic_id
    (counts,) = aws_lambda.invoke("backup", sample("schedule/backup"))
    assert counts == {"backed_up": 1, "present": 0, "failed": 0, "left": 0}
    made = backups.load_manifest(clinic_id, datetime(2026, 11, 22, 13, tzinfo=UTC))
    assert made is not None
    assert backups.verify(made) == []


def test_a_package_that_is_missing_from_the_layers_is_noticed(aws_lambda: Lambda) -> None:
    """Without it the function does not start, also when the package is installed on this machine."""
    with pytest.raises(FunctionError, match="pynamodb") as refused:
        aws_lambda.invoke("webhook_schedule", sample("schedule/webhook_schedule"), without=("pynamodb",))
    assert refused.value.kind == "Runtime.ImportModuleError"


def test_no_function_is_left_out() -> None:
    """A new folder in functions/ has to be invoked here too."""
    assert set(re.findall(r'invoke\("(\w+)"', Path(__file__).read_text(encoding="utf-8"))) == set(FUNCTIONS)
