"""How counts lie in DynamoDB; ``docs/data-model.md`` lists keys and access patterns."""

from datetime import UTC, datetime

from pynamodb.attributes import NumberAttribute

from recado.analytics.model import Volume, hour_of
from recado.aws.models import ClinicItem
from recado.messages.model import Direction

_HOUR = "%Y%m%d%H"
_AFTER_ALL = "~"


class CountedItem(ClinicItem):
    """That an event was counted."""

    table = "analytics"


class VolumeItem(ClinicItem):
    """Messages of one channel, one direction and one hour."""

    table = "analytics"

    messages = NumberAttribute(default=0, attr_name="count")

    def volume(self) -> Volume:
        """Return the row."""
        hour, channel_id, direction = self.sk.split("#")
        return Volume(_hour(hour), channel_id, Direction(direction), int(self.messages))


def counted_key(clinic_id: str, event_id: str) -> tuple[str, str]:
    """Return where it is noted that an event was counted."""
    return f"clinic#{clinic_id}#counted", event_id


def volume_partition(clinic_id: str, month: str) -> str:
    """Return the partition of a clinic's counts of one month (``yyyymm``)."""
    return f"clinic#{clinic_id}#volume#{month}"


def volume_key(clinic_id: str, channel_id: str, direction: Direction, at: datetime) -> tuple[str, str]:
    """Return where a message of that moment is counted."""
    hour = hour_of(at)
    return volume_partition(clinic_id, f"{hour:%Y%m}"), f"{hour:{_HOUR}}#{channel_id}#{direction.value}"


def hours_between(first: datetime, last: datetime) -> tuple[str, str]:
    """Return the bounds of the sort keys from one hour to another, both included."""
    return f"{first.astimezone(UTC):{_HOUR}}", f"{last.astimezone(UTC):{_HOUR}}{_AFTER_ALL}"


def _hour(text: str) -> datetime:
    return datetime.strptime(text, _HOUR).replace(tzinfo=UTC)
