"""What follows from shards' ids: their queues' names, and the short form in which all ids fit into an environment."""

from collections.abc import Iterable

from aws_cdk import Aws

# Written where the id belongs; settings put each shard's in.
_ANY_SHARD = "{shard_id}"
_DIGITS = 3


def command_queue_name(stage_name: str, shard_id: str) -> str:
    """Return the name of a shard's command queue."""
    return f"recado-{stage_name}-{shard_id}-commands"


def command_queue_url(stage_name: str) -> str:
    """Return the address of every shard's command queue, with ``{shard_id}`` in the place of the id.

    Made from names and not from references to the queues, since a Lambda function's environment holds 4 KB
    (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html), and because an address that another
    stack imports would keep its queue from ever being removed.
    """
    name = command_queue_name(stage_name, _ANY_SHARD)
    return f"https://sqs.{Aws.REGION}.amazonaws.com/{Aws.ACCOUNT_ID}/{name}"


def command_queue_arn(stage_name: str, shard_id: str) -> str:
    """Return the ARN of a shard's command queue, by its name for the same reason."""
    return f"arn:aws:sqs:{Aws.REGION}:{Aws.ACCOUNT_ID}:{command_queue_name(stage_name, shard_id)}"


def shared_id(number: int) -> str:
    """Return the id of a shared shard."""
    return f"shard-{number:0{_DIGITS}d}"


def listed(shard_ids: Iterable[str]) -> str:
    """Return shard ids in short, as in ``001-038,040,01k0000000000000000000000a``.

    Args:
        shard_ids: shared ones, ``shard-<three digits>`` in rising order, and dedicated ones, ``shard-<ULID>``.
    """
    parts = [shard_id.removeprefix("shard-") for shard_id in shard_ids]
    # By their length: a ULID may be all digits.
    numbers = [int(part) for part in parts if len(part) == _DIGITS]
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    ranges = ["-".join(f"{number:03d}" for number in run) for run in runs]
    return ",".join([*ranges, *(part for part in parts if len(part) != _DIGITS)])


def unlisted(text: str) -> list[str]:
    """Return the shard ids that ``listed`` has put in short."""
    found: list[str] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += [shared_id(number) for number in range(int(first), int(last) + 1)] if last else [f"shard-{part}"]
    return found
