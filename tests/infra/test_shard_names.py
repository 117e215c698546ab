"""Shards in an environment: all of them in little room, and each one's queue where its address says."""

import json
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from infra.config import Stage
from infra.shard_names import command_queue_name, listed, unlisted
from recado.aws.settings import ShardSettings
from recado.kernel.ids import Prefix, new_id
from recado.shards.model import clinic_of
from tests.infra.template import Templates
from tests.support.policies.templates import ResolvedTemplates

_LIMIT = 4_096
"""What Lambda takes of names and values together, in bytes."""

_ULID = st.from_regex(r"[0-7][0-9a-hjkmnp-tv-z]{25}", fullmatch=True)


@given(
    st.sets(st.integers(1, 999), min_size=1).map(sorted),
    st.lists(_ULID, unique=True, max_size=20),
)
def test_what_infra_lists_is_what_settings_read(numbers: list[int], clinics: list[str]) -> None:
    """Any set of shared and dedicated shards goes through the environment and comes out the same."""
    shard_ids = [*(f"shard-{number:03d}" for number in numbers), *(f"shard-{clinic}" for clinic in clinics)]
    some = sorted(shard_ids[::2])
    read = ShardSettings(
        shards=listed(shard_ids), closed_shards=listed(some), shard_queue_url="https://queues/{shard_id}"
    )
    assert list(read.shard_ids) == shard_ids
    assert read.closed_shard_ids == set(some)
    assert unlisted(listed(shard_ids)) == shard_ids


def test_the_address_in_the_settings_is_the_queues_own(crowded: Templates) -> None:
    """With a shard's id put in, it names the queue that the messaging stack makes, for shared and dedicated shards."""
    environment = ResolvedTemplates(crowded.stacks).functions()["api"].environment
    read = ShardSettings(shards=environment["RECADO_SHARDS"], shard_queue_url=environment["RECADO_SHARD_QUEUE_URL"])
    queues = {queue["QueueName"] for queue in crowded.properties("AWS::SQS::Queue")}
    named = {read.queue_url_of(shard_id).rpartition("/")[2] for shard_id in read.shard_ids}
    assert len(named) == 40
    assert named == {name for name in queues if name.endswith("-commands")}
    assert command_queue_name("crowded", "shard-001") in named


def test_no_environment_of_a_function_passes_what_lambda_takes(crowded: Templates) -> None:
    """References are put in, in the region with the longest name, and with room for names that only AWS makes."""
    for name, function in ResolvedTemplates(crowded.stacks).functions().items():
        assert _bytes_of(function.environment) < _LIMIT, name


def test_as_many_ids_as_there_can_be_fit_into_it(crowded: Templates) -> None:
    """999 shared shards and 80 dedicated ones, however many of them one stack could hold."""
    shared = [f"shard-{number:03d}" for number in range(1, 1_000)]
    dedicated = [f"shard-{new_id(Prefix.CLINIC)[4:]}" for _ in range(80)]
    for name, function in ResolvedTemplates(crowded.stacks).functions().items():
        environment = dict(function.environment)
        if "RECADO_SHARDS" in environment:
            environment["RECADO_SHARDS"] = listed([*shared, *dedicated])
            environment["RECADO_CLOSED_SHARDS"] = listed(dedicated[:10])
        assert _bytes_of(environment) < _LIMIT, name


def test_as_many_shards_as_may_be_deployed_fit_into_every_stack(prod: Templates, crowded: Templates) -> None:
    """CloudFormation takes 500 resources; what a shard takes is the difference between 2 and 40 of them."""
    for stack, body in crowded.stacks.items():
        smaller = prod.stacks.get(stack.replace("crowded", "prod"))
        if smaller is None:
            continue
        many, few = len(body["Resources"]), len(smaller["Resources"])
        assert many + (many - few) / (40 - 2) * (90 - 40) < 500, stack


def test_no_stack_imports_what_belongs_to_one_shard(crowded: Templates) -> None:
    """CloudFormation removes no export that another stack imports: a shard could never be given up."""
    assert "ImportValue" in json.dumps(crowded.stacks["recado-crowded-sessions"])
    for stack, body in crowded.stacks.items():
        exported = [name for name, output in body.get("Outputs", {}).items() if "Export" in output]
        assert not [name for name in exported if "Shard" in name], stack


def _bytes_of(environment: Mapping[str, str]) -> int:
    longest = {
        name: value.replace("sa-east-1", "ap-southeast-1") + "-" * (_MADE_BY_AWS - len(value))
        for name, value in environment.items()
    }
    return len(json.dumps(longest).encode())


_MADE_BY_AWS = 40
"""Ids such as a key's are not longer."""


def test_placement_knows_whose_each_declared_shard_is() -> None:
    """The domain reads from a shard's id what the stage made it from."""
    stage = Stage(name="crowded", shared_shards=2, dedicated_clinics=tuple(new_id(Prefix.CLINIC) for _ in range(3)))
    assert [clinic_of(shard.shard_id) for shard in stage.shards] == [shard.clinic_id for shard in stage.shards]
