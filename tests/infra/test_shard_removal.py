"""A shard is taken away only when nothing is left on it, and its id is never used again."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from infra import command_line
from infra.command_line import objections
from infra.config import Stage
from infra.deployed_shards import DeployedShards
from infra.shard_removal import Deployed, Remains, UnknownRemainsError, refusals
from recado.aws.schema import TABLES, creation_request
from tests.support.aws import EmulatedAws

_CLINIC = "cli_01k0000000000000000000000a"
_OWN = "shard-01k0000000000000000000000a"
_STAGE = Stage(name="dev", shared_shards=3, dedicated_clinics=(_CLINIC,))
_FEWER = replace(_STAGE, dedicated_clinics=(), retired_shards=(2,))
_DEPLOYED = Deployed(frozenset(_STAGE.shard_ids), frozenset(), 3)
_VAULT = "recado-dev-vault-123456789012-sa-east-1"


def _nothing(_shard_id: str) -> Remains:
    return Remains()


def _unknown(shard_id: str) -> Remains:
    raise UnknownRemainsError(f"nobody knows of {shard_id}")


def test_what_is_deployed_again_unchanged_is_not_even_looked_at() -> None:
    """Nor is a stage that only gets more shards, or one that was never deployed."""
    assert refusals(_STAGE, _DEPLOYED, _unknown) == []
    assert refusals(replace(_STAGE, shared_shards=9), _DEPLOYED, _unknown) == []
    assert refusals(_STAGE, Deployed(), _unknown) == []


@pytest.mark.parametrize(
    ("remains", "said"),
    [
        (Remains(channels=12), "12 channels"),
        (Remains(commands=3), "3 commands in its queue"),
        (Remains(spilled=True), "spilled facts"),
        (Remains(12, 3, True), "12 channels, 3 commands in its queue, spilled facts"),
    ],
)
@pytest.mark.parametrize(
    ("declared", "shard_id"),
    [(replace(_STAGE, dedicated_clinics=()), _OWN), (replace(_STAGE, retired_shards=(2,)), "shard-002")],
)
def test_a_shard_with_something_left_on_it_stays(declared: Stage, shard_id: str, remains: Remains, said: str) -> None:
    """The message names the shard and what is left, for dedicated and shared ones."""
    (refusal,) = refusals(declared, _DEPLOYED, lambda asked: remains if asked == shard_id else Remains())
    assert refusal.startswith(f"{shard_id} would disappear")
    assert said in refusal


def test_a_drained_shard_may_go() -> None:
    """Nothing is left on it, and its number stays taken."""
    assert refusals(replace(_STAGE, dedicated_clinics=(), retired_shards=(1,)), _DEPLOYED, _nothing) == []


def test_not_knowing_is_no_permission() -> None:
    """What cannot be counted is taken to be there."""
    (refusal,) = refusals(replace(_STAGE, dedicated_clinics=()), _DEPLOYED, _unknown)
    assert "cannot be known: nobody knows of" in refusal
    assert _OWN in refusal


def test_lowering_the_number_is_refused_even_if_nothing_is_left() -> None:
    """Raised again it would give the same ids to other shards."""
    (refusal,) = refusals(replace(_STAGE, shared_shards=2), _DEPLOYED, _nothing)
    assert "shards.shared is 2, but 3" in refusal
    assert "shards.retired" in refusal


def test_a_retired_number_does_not_come_back() -> None:
    """Its shard was given up; a new one gets a new number."""
    gone = Deployed(frozenset({"shard-001", "shard-003"}), frozenset({"shard-002"}), 3)
    (refusal,) = refusals(replace(_STAGE, dedicated_clinics=()), gone, _nothing)
    assert refusal.startswith("shard-002 was given up before")


@given(st.data())
def test_no_way_of_declaring_gets_round_it(data: st.DataObject) -> None:
    """Whatever was deployed and is declared now: what is allowed leaves no channel behind and uses no id twice."""
    stages = st.integers(1, 6).flatmap(
        lambda shared: st.builds(
            Stage,
            name=st.just("dev"),
            shared_shards=st.just(shared),
            retired_shards=st.sets(st.integers(1, shared), max_size=shared - 1).map(tuple),
            dedicated_clinics=st.sampled_from([(), (_CLINIC,)]),
        )
    )
    before, now = data.draw(stages), data.draw(stages)
    loads = {shard_id: data.draw(st.integers(0, 2)) for shard_id in before.shard_ids}
    deployed = Deployed(frozenset(before.shard_ids), frozenset(), before.shared_shards)
    if refusals(now, deployed, lambda shard_id: Remains(channels=loads[shard_id])):
        return
    gone = set(before.shard_ids) - set(now.shard_ids)
    assert not any(loads[shard_id] for shard_id in gone)
    given_up = {f"shard-{number:03d}" for number in before.retired_shards}
    assert not given_up & set(now.shard_ids)


class _Stacks:
    """CloudFormation as far as stacks are described: moto's needs more packages than this one call is worth."""

    def __init__(self, outputs: Mapping[str, Mapping[str, str]]) -> None:
        self._outputs = outputs

    def describe_stacks(self, **asked: str) -> dict[str, Any]:
        name = asked["StackName"]
        if name not in self._outputs:
            message = f"Stack with id {name} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in self._outputs[name].items()]
        return {"Stacks": [{"StackStatus": "UPDATE_COMPLETE", "Outputs": outputs}]}


_STACKS = {
    "recado-dev-messaging": {"Shards": "001-003,01k0000000000000000000000a", "SharedShards": "3"},
    "recado-dev-data": {"VaultBucket": _VAULT},
    "recado-odd-messaging": {},
}


@pytest.fixture
def account(aws: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    """An account with a deployed stage ``dev``: three shared shards and a dedicated one, nothing left on any."""
    session = boto3.Session(region_name="sa-east-1")
    make: Any = session.client
    clients = {name: make(name) for name in ("dynamodb", "s3", "sqs")}
    monkeypatch.setattr(session, "client", {**clients, "cloudformation": _Stacks(_STACKS)}.__getitem__)
    clients["dynamodb"].create_table(**creation_request(TABLES["core"], "recado-dev-core"))
    clients["s3"].create_bucket(Bucket=_VAULT, CreateBucketConfiguration={"LocationConstraint": "sa-east-1"})
    for shard_id in _STAGE.shard_ids:
        clients["sqs"].create_queue(QueueName=f"recado-dev-{shard_id}-commands")
        clients["sqs"].create_queue(QueueName=f"recado-dev-{shard_id}-commands-dead-letters")
    yield session
    clients["dynamodb"].delete_table(TableName="recado-dev-core")
    for key in clients["s3"].list_objects_v2(Bucket=_VAULT).get("Contents", []):
        clients["s3"].delete_object(Bucket=_VAULT, Key=key["Key"])
    clients["s3"].delete_bucket(Bucket=_VAULT)
    for url in clients["sqs"].list_queues(QueueNamePrefix="recado-dev").get("QueueUrls", []):
        clients["sqs"].delete_queue(QueueUrl=url)


def test_a_deployed_stage_says_what_it_has(account: boto3.Session) -> None:
    """From the outputs of its stack, and from queues that stayed when a shard was taken away."""
    account.client("sqs").create_queue(QueueName="recado-dev-shard-009-commands")
    account.client("sqs").create_queue(QueueName="recado-develop-shard-010-commands")
    assert DeployedShards(account, "dev").read() == Deployed(frozenset(_STAGE.shard_ids), frozenset({"shard-009"}), 3)
    assert DeployedShards(account, "prod").read() == Deployed()


def test_drained_shards_go_without_objection(account: boto3.Session) -> None:
    """Nothing is left on either."""
    assert objections(_FEWER, account) == []


def test_channels_commands_and_spilled_facts_of_the_account_are_found(account: boto3.Session) -> None:
    """A channel that lives on a shard, even if placement has lost count of it; waiting commands; what lies in S3."""
    for number in range(2):
        account.client("dynamodb").put_item(
            TableName="recado-dev-core",
            Item={
                "pk": {"S": "clinic#cli_1"},
                "sk": {"S": f"channel#{number}"},
                "shard_id": {"S": "shard-002"},
                "channel_id": {"S": f"{number}"},
            },
        )
    url = account.client("sqs").get_queue_url(QueueName=f"recado-dev-{_OWN}-commands")["QueueUrl"]
    account.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
    account.client("s3").put_object(Bucket=_VAULT, Key=f"spill/{_OWN}/1/x", Body=b"x")
    said = objections(_FEWER, account)
    assert len(said) == 2
    assert said[0].startswith("shard-002 would disappear, but it still has 2 channels;")
    assert said[1].startswith(f"{_OWN} would disappear, but it still has 1 commands in its queue, spilled facts")


def test_an_account_that_does_not_answer_is_an_objection(account: boto3.Session) -> None:
    """The table cannot be read: nobody knows how many channels are left."""
    table = account.client("dynamodb")
    table.delete_table(TableName="recado-dev-core")
    said = objections(_FEWER, account)
    table.create_table(**creation_request(TABLES["core"], "recado-dev-core"))
    assert len(said) == 2
    assert all("cannot be known: Query answers ResourceNotFoundException" in each for each in said)


def test_a_stack_that_does_not_say_its_shards_is_an_objection(account: boto3.Session) -> None:
    """It was deployed by something else than these templates."""
    (said,) = objections(replace(_STAGE, name="odd"), account)
    assert "cannot be known: the stack recado-odd-messaging does not say" in said


def test_a_refused_deployment_calls_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The CDK is not even installed; the exit status is not the CDK's own."""
    monkeypatch.setattr("sys.argv", ["command_line", "deploy", "--stage", "dev"])
    monkeypatch.setattr(command_line, "objections", lambda stage, _session: [f"{stage.name}: no"])
    monkeypatch.setattr(command_line, "install", lambda: pytest.fail("went on"))
    assert command_line.main() == 3
    assert "dev: no" in capsys.readouterr().err
