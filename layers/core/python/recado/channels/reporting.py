"""Taking in what runners report of channels."""

from dataclasses import dataclass
from datetime import datetime

from recado.aws.logging import logger
from recado.aws.models import ConditionFailedError
from recado.channels import reports, store
from recado.channels.model import Channel, ChannelState
from recado.channels.reports import Outcome, Report
from recado.channels.runtime_table import SequenceRecord, sequence_key
from recado.kernel.errors import ChannelNotFoundError, ServiceUnavailableError

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What became of a report.

    Attributes:
        changed: whether it changed what is reported of the channel, now or when it first came: whoever announces
            changes may crash between taking a report in and announcing it.
        previous: what was reported before that.
        outcome: what became of it this time.
    """

    changed: bool
    previous: ChannelState | None
    outcome: Outcome


def apply_state(
    clinic_id: str,
    channel_id: str,
    *,
    state: ChannelState,
    reason: str | None,
    sequence: int,
    observed_at: datetime,
    phone: str | None = None,
    lid: str | None = None,
    ban_expires_at: datetime | None = None,
    retry_at: datetime | None = None,
    clear_desired_version: int | None = None,
) -> ApplyResult:
    """Take in a report; one that is older than what is known changes nothing. The arguments are those of Report.

    ``phone`` is only compared: a number becomes a channel's by ``claim_number`` and in no other way.

    Raises:
        ChannelNotFoundError: the clinic never had such a channel.
        ValueError: the state is none.
    """
    report = Report(
        state=ChannelState(state),
        reason=reason,
        sequence=sequence,
        observed_at=observed_at,
        lid=lid,
        ban_expires_at=ban_expires_at,
        retry_at=retry_at,
        clear_desired_version=clear_desired_version,
    )
    outcome = Outcome.IGNORED

    def decide(channel: Channel) -> Channel:
        nonlocal outcome
        after, outcome = reports.apply(channel, report)
        return after

    def read() -> Channel:
        channel = store.find(clinic_id, channel_id)
        if channel is None:
            raise ChannelNotFoundError
        return channel

    _, after = store.change(read, decide)
    if state == ChannelState.CONNECTED and phone is not None and phone != after.phone:
        logger("channels").warning(
            "A runner reports a number that the channel does not hold.", clinic_id=clinic_id, channel_id=channel_id
        )
    changed = after.changed_sequence == sequence
    return ApplyResult(changed, after.previous_state if changed else None, outcome)


def reserve_sequences(clinic_id: str, channel_id: str, count: int) -> int:
    """Set sequence numbers aside for a channel's reports, and return the first of them.

    Args:
        clinic_id: whose channel.
        channel_id: which channel.
        count: how many, at least 1; those not used are gaps.

    Raises:
        ChannelNotFoundError: the clinic never had such a channel.
    """
    if count < 1:
        raise ValueError("at least one")
    for _ in range(_ATTEMPTS):
        record = SequenceRecord(*sequence_key(clinic_id, channel_id))
        try:
            record.change([SequenceRecord.given.add(count)], SequenceRecord.pk.exists())
        except ConditionFailedError:
            _begin_sequence(clinic_id, channel_id)
            continue
        return int(record.given) - count + 1
    raise ServiceUnavailableError


def _begin_sequence(clinic_id: str, channel_id: str) -> None:
    """Begin after what the channel has seen: the counter's table is in no backup, and may have been lost."""
    channel = store.find(clinic_id, channel_id)
    if channel is None:
        raise ChannelNotFoundError
    record = SequenceRecord(*sequence_key(clinic_id, channel_id), given=channel.state_sequence)
    try:
        record.store(SequenceRecord.pk.does_not_exist())
    except ConditionFailedError:
        return  # Another began it in the same moment.
