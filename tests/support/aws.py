"""The AWS account that unit tests see: moto in process, with everything the product expects to find."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends

from recado.aws import clients, connections, data_keys, fencing, settings
from recado.aws.schema import TABLES, creation_request
from recado.kernel.envelopes import Command

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events.type_defs import TargetTypeDef

REGION = "sa-east-1"
_ACCOUNT = "123456789012"
_QUEUES = f"https://sqs.{REGION}.amazonaws.com/{_ACCOUNT}/"
SHARDS = ("shard-001", "shard-002")
KEY_ALIAS = "alias/recado-test"

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "RECADO_STAGE": "test",
    "RECADO_EVENT_BUS": "recado-test",
    "RECADO_INGEST_QUEUE_URL": f"{_QUEUES}recado-test-ingest",
    "RECADO_SHARDS": "001-002",
    "RECADO_SHARD_QUEUE_URL": f"{_QUEUES}recado-test-{{shard_id}}",
    "RECADO_DELIVERIES_QUEUE_URL": f"{_QUEUES}recado-test-deliveries",
    "RECADO_VAULT_BUCKET": "recado-test-vault",
    "RECADO_BACKUP_BUCKET": "recado-test-backup",
    "RECADO_KMS_KEY_ID": KEY_ALIAS,
    "RECADO_PUBLIC_URL": "http://127.0.0.1:8080",
    **{f"RECADO_{name.upper()}_TABLE": f"recado-test-{name}" for name in TABLES},
}

_CACHED_SETTINGS = (
    settings.table_names,
    settings.shard_queues,
    settings.closed_shards,
    settings.stage,
    settings.sealing_key,
    settings.region,
    settings.clinic_role,
)


class _Kept:
    """What is kept from test to test, because making it costs more than most tests do."""

    emulated = False
    """Whether the clients made so far belong to the emulated account."""


def forget_settings() -> None:
    """Make the product read its environment again and make its clients anew."""
    _Kept.emulated = False
    for cached in _CACHED_SETTINGS:
        cached.cache_clear()
    for module in (clients, connections, data_keys, fencing):
        module.forget()


def forget_emulated_clients() -> None:
    """Make sure that a test without the emulated account does not talk to it by way of clients kept from another."""
    if _Kept.emulated:
        forget_settings()


class EmulatedAws:
    """What tests may ask of the emulated account beyond what the product itself does."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def bodies(self, queue_url: str) -> list[str]:
        """Take all messages off a queue and return their bodies."""
        bodies: list[str] = []
        while messages := clients.sqs().receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                bodies.append(message["Body"])
                clients.sqs().delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def commands(self, shard_id: str) -> list[Command]:
        """Take all commands off a shard's queue."""
        return [Command.from_json(body) for body in self.bodies(settings.shard_queues()[shard_id])]

    def events(self) -> list[dict[str, Any]]:
        """Take the EventBridge events put so far, each as EventBridge hands it to a target."""
        return [json.loads(body) for body in self.bodies(f"{_QUEUES}recado-test-events")]

    def items(self, table: str) -> list[dict[str, Any]]:
        """Return every raw item of a table, for assertions on what is stored."""
        resource = boto3.resource("dynamodb", region_name=REGION)
        return list(resource.Table(settings.table_names().name_of(table)).scan()["Items"])

    @contextmanager
    def counting_calls(self) -> Iterator[list[str]]:
        """Collect the names of the AWS operations that are called inside."""
        self.calls = []
        yield self.calls


@contextmanager
def emulated_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedAws]:
    """Run the product against a complete account with nothing in it."""
    for name in (
        "AWS_ENDPOINT_URL",
        "AWS_PROFILE",
        "RECADO_CLOSED_SHARDS",
        "RECADO_WEBHOOK_RETRY_GAPS",
        "RECADO_WEBHOOK_ALLOWED_NETWORKS",
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    account = EmulatedAws()
    _make_calls_atomic(monkeypatch, account)
    if not _Kept.emulated:
        forget_settings()
        _Kept.emulated = True
    for cached in _CACHED_SETTINGS:
        cached.cache_clear()
    data_keys.forget()
    kept = f"recado-test-{next(iter(TABLES))}" in dynamodb_backends[_ACCOUNT][REGION].tables
    mock = mock_aws()
    mock.start(reset=not kept)
    try:
        if kept:
            _empty()
        else:
            _furnish()
        yield account
    finally:
        mock.stop(remove_data=False)


def _make_calls_atomic(monkeypatch: pytest.MonkeyPatch, account: EmulatedAws) -> None:
    # moto's backends are not safe against threads, AWS's operations are atomic: one call at a time gives that.
    lock = threading.RLock()
    process = BotocoreStubber.process_request

    def one_at_a_time(self: BotocoreStubber, request: Any) -> Any:
        with lock:
            target = request.headers.get("X-Amz-Target", b"")
            name = target.decode() if isinstance(target, bytes) else str(target)
            account.calls.append(name.rpartition(".")[2] or f"{request.method} {request.url}")
            return process(self, request)

    monkeypatch.setattr(BotocoreStubber, "process_request", one_at_a_time)


def demolish() -> None:
    """Have the next test's account built from nothing; for tests that change more than what is in it."""
    mock = mock_aws()
    mock.start()
    mock.stop()


def _empty() -> None:
    for table in dynamodb_backends[_ACCOUNT][REGION].tables.values():
        table.items.clear()
    for queue in sqs_backends[_ACCOUNT][REGION].queues.values():
        queue._messages = []
        queue._pending_messages = set()
    for bucket in s3_backends[_ACCOUNT]["aws"].buckets.values():
        bucket.keys.clear()
        bucket.multiparts.clear()


def _furnish() -> None:
    dynamodb = _dynamodb()
    for name, table in TABLES.items():
        dynamodb.create_table(**creation_request(table, settings.table_names().name_of(name)))
    sqs = clients.sqs()
    for queue in ("ingest", "deliveries", "events", *SHARDS):
        sqs.create_queue(QueueName=f"recado-test-{queue}")
    events = clients.events()
    events.create_event_bus(Name="recado-test")
    events.put_rule(Name="all", EventBusName="recado-test", EventPattern=json.dumps({"source": ["recado"]}))
    target: TargetTypeDef = {"Id": "all", "Arn": f"arn:aws:sqs:{REGION}:{_ACCOUNT}:recado-test-events"}
    events.put_targets(Rule="all", EventBusName="recado-test", Targets=[target])
    for bucket in ("vault", "backup"):
        clients.s3().create_bucket(
            Bucket=f"recado-test-{bucket}", CreateBucketConfiguration={"LocationConstraint": "sa-east-1"}
        )
        clients.s3().put_bucket_versioning(
            Bucket=f"recado-test-{bucket}", VersioningConfiguration={"Status": "Enabled"}
        )
    key = clients.kms().create_key()["KeyMetadata"]["KeyId"]
    clients.kms().create_alias(AliasName=KEY_ALIAS, TargetKeyId=key)


@lru_cache(maxsize=1)
def _dynamodb() -> "DynamoDBClient":
    return boto3.client("dynamodb", region_name=REGION)
