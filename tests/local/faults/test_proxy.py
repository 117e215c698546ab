"""The fault proxy before a service that counts what reaches it, asked by boto3 as the platform asks."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import boto3
import pytest
from aiohttp import ClientConnectionError, ClientSession, web
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.faults.fault import Fault, InvalidFaultError, Mode
from local.faults.proxy import FaultProxy
from local.stack.ports import HOST


class Upstream:
    """Answers every request with what a test wants, and notes its operation and body."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []
        self.answers: dict[str, Any] = {}

    async def answer(self, request: web.Request) -> web.Response:
        operation = request.headers.get("X-Amz-Target", request.method).rpartition(".")[2]
        self.seen.append((operation, await request.read()))
        if operation == "PUT":
            return web.Response()
        return web.Response(text=json.dumps(self.answers.get(operation, {})), content_type="application/x-amz-json-1.0")

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.seen]


def through_proxy(ask: Callable[[Callable[[str], Any], Upstream, FaultProxy], None]) -> None:
    """Run blocking calls of boto3 (one try each) against the proxy."""

    async def run() -> None:
        upstream = Upstream()
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", upstream.answer)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        proxy = FaultProxy(f"http://{HOST}:{runner.addresses[0][1]}")
        await proxy.start(HOST, 0)

        def client(service: str) -> Any:
            return boto3.client(
                service,  # type: ignore[call-overload]
                endpoint_url=f"http://{HOST}:{proxy.port}",
                region_name="sa-east-1",
                aws_access_key_id="x",
                aws_secret_access_key="x",
                config=Config(retries={"total_max_attempts": 1}, proxies={}, read_timeout=5),
            )

        try:
            await asyncio.to_thread(ask, client, upstream, proxy)
        finally:
            await proxy.stop()
            await runner.cleanup()

    asyncio.run(run())


CALLS: dict[str, Callable[[Any], Any]] = {
    "dynamodb": lambda client: client.list_tables(),
    "sqs": lambda client: client.list_queues(),
    "s3": lambda client: client.put_object(Bucket="vault", Key="k", Body=b"x"),
    "events": lambda client: client.list_rules(),
    "kms": lambda client: client.list_keys(),
}


@pytest.mark.parametrize("service", CALLS)
def test_without_a_fault_a_service_answers(service: str) -> None:
    """The proxy is not noticed."""

    def ask(client: Callable[[str], Any], upstream: Upstream, proxy: FaultProxy) -> None:
        CALLS[service](client(service))
        assert len(upstream.seen) == 1

    through_proxy(ask)


@pytest.mark.parametrize("service", CALLS)
def test_a_service_that_is_down_closes_the_connection_and_no_other_does(service: str) -> None:
    """Services are told apart by what requests say of themselves, since all share one address."""

    def ask(client: Callable[[str], Any], upstream: Upstream, proxy: FaultProxy) -> None:
        proxy.set(service, Fault(Mode.DOWN))
        for name, call in CALLS.items():
            if name == service:
                with pytest.raises(BotoCoreError):
                    call(client(name))
            else:
                call(client(name))
        assert len(upstream.seen) == len(CALLS) - 1

    through_proxy(ask)


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("dynamodb", "ProvisionedThroughputExceededException"),
        ("sqs", "RequestThrottled"),
        ("s3", "SlowDown"),
        ("events", "ThrottlingException"),
        ("kms", "ThrottlingException"),
    ],
)
def test_a_throttled_service_refuses_with_its_own_error_and_does_nothing(service: str, code: str) -> None:
    """Product code tells errors apart by these codes."""

    def ask(client: Callable[[str], Any], upstream: Upstream, proxy: FaultProxy) -> None:
        proxy.set(service, Fault(Mode.THROTTLED))
        with pytest.raises(ClientError) as refused:
            CALLS[service](client(service))
        assert refused.value.response["Error"]["Code"] == code
        assert upstream.seen == []

    through_proxy(ask)


@pytest.mark.parametrize("service", CALLS)
def test_an_answer_is_lost_after_the_service_did_what_was_asked(service: str) -> None:
    """The trap for every conditional write: done, and reported as failed."""

    def ask(client: Callable[[str], Any], upstream: Upstream, proxy: FaultProxy) -> None:
        proxy.set(service, Fault(Mode.ANSWER_LOST, count=1))
        with pytest.raises(BotoCoreError):
            CALLS[service](client(service))
        assert len(upstream.seen) == 1
        CALLS[service](client(service))
        assert len(upstream.seen) == 2

    through_proxy(ask)


def test_some_events_of_a_call_are_refused_inside_a_good_answer() -> None:
    """FailedEntryCount counts them, each in its place; the others reach the bus."""

    def ask(client: Callable[[str], Any], upstream: Upstream, proxy: FaultProxy) -> None:
        proxy.set("events", Fault(Mode.FAILED_ENTRIES, probability=0.5))
        entries = [{"Source": "s", "DetailType": "t", "Detail": f'{{"n": {n}}}'} for n in range(10)]
        upstream.answers["PutEvents"] = {"FailedEntryCount": 0, "Entries": [{"EventId": str(n)} for n in range(10)]}
        answer = client("events").put_events(Entries=entries)
        refused = [place for place, told in enumerate(answer["Entries"]) if "ErrorCode" in told]
        reached = json.loads(upstream.seen[0][1])["Entries"]
        assert 0 < len(refused) < 10
        assert answer["FailedEntryCount"] == len(refused)
        assert reached == [entry for place, entry in enumerate(entries) if place not in refused]

    through_proxy(ask)


def test_all_messages_of_a_batch_are_refused_without_asking_the_queue() -> None:
    """SQS tells them one by one as failed."""

    def ask(client: Callable[[str], Any], upstream: Upstream, proxy: FaultProxy) -> None:
        proxy.set("sqs", Fault(Mode.FAILED_ENTRIES))
        entries = [{"Id": str(n), "MessageBody": "b"} for n in range(3)]
        answer = client("sqs").send_message_batch(QueueUrl="http://q/1/q", Entries=entries)
        assert [failure["Id"] for failure in answer["Failed"]] == ["0", "1", "2"]
        assert upstream.seen == []

    through_proxy(ask)


def test_a_fault_can_concern_one_operation_and_end_by_itself() -> None:
    """Two refusals of PutItem, none of anything else, and then all is well."""

    def ask(client: Callable[[str], Any], upstream: Upstream, proxy: FaultProxy) -> None:
        proxy.set("dynamodb", Fault(Mode.UNAVAILABLE, operations=("PutItem",), count=2))
        dynamodb = client("dynamodb")
        for _ in range(3):
            dynamodb.list_tables()
            with suppress(ClientError):
                dynamodb.put_item(TableName="t", Item={"pk": {"S": "p"}})
        assert upstream.operations.count("ListTables") == 3
        assert upstream.operations.count("PutItem") == 1

    through_proxy(ask)


def test_going_down_cuts_off_a_request_that_is_being_answered() -> None:
    """A long poll does not outlive the outage."""

    async def run() -> None:
        asked, never = asyncio.Event(), asyncio.Event()

        async def hang(request: web.Request) -> web.Response:
            asked.set()
            await never.wait()
            return web.Response()

        application = web.Application()
        application.router.add_route("*", "/{path:.*}", hang)
        runner = web.AppRunner(application, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        proxy = FaultProxy(f"http://{HOST}:{runner.addresses[0][1]}")
        await proxy.start(HOST, 0)
        async with ClientSession() as client:
            headers = {"X-Amz-Target": "AmazonSQS.ReceiveMessage"}
            polling = asyncio.create_task(client.post(f"http://{HOST}:{proxy.port}/", headers=headers))
            await asked.wait()
            proxy.set("sqs", Fault(Mode.DOWN))
            with pytest.raises(ClientConnectionError):
                await asyncio.wait_for(polling, 5)
        never.set()
        await proxy.stop()
        await runner.cleanup()

    asyncio.run(run())


def test_faults_are_set_and_told_over_http_and_nonsense_is_refused() -> None:
    """The control API: what is left out stays, null ends a fault, an unknown name changes nothing."""

    async def run() -> None:
        proxy = FaultProxy("http://127.0.0.1:9")
        await proxy.start(HOST, 0)
        url = f"http://{HOST}:{proxy.port}/faults"
        async with ClientSession() as client:

            async def post(body: Any) -> tuple[int, Any]:
                async with client.post(url, json=body) as answer:
                    return answer.status, await answer.json()

            assert (await post({"s3": {"latency_ms": 50}}))[0] == 200
            status, told = await post({"s3": {"mode": "throttled"}, "sqs": {"mode": "down", "count": 2}})
            assert status == 200
            assert told["faults"]["s3"] == {
                "mode": "throttled",
                "latency_ms": 50,
                "probability": 1.0,
                "operations": [],
                "count": None,
            }
            refused: list[Any] = [
                {"ec2": {}},
                {"s3": {"mod": "down"}},
                {"s3": {"mode": "tired"}},
                {"s3": {"count": "x"}},
            ]
            for nonsense in refused:
                assert (await post(nonsense))[0] == 400
            status, told = await post({"s3": None})
            assert told["faults"]["s3"]["mode"] == "normal"
            assert told["faults"]["sqs"]["count"] == 2
        await proxy.stop()

    asyncio.run(run())


def test_a_count_of_nothing_is_no_fault() -> None:
    """A count runs out at its last strike."""
    fault = Fault(Mode.DOWN, count=2)
    assert fault.after_striking().mode is Mode.DOWN
    assert fault.after_striking().after_striking() == Fault()
    with pytest.raises(InvalidFaultError):
        fault.changed({"latency_ms": -1})
